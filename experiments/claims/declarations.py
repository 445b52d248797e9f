"""The table of claims, and what a claim declares of itself: its rule in words and what it needs to be judged.

```python
@CLAIMS
@needs("delta_norm", varies=("depth",))
@rule("‖delta‖ of layer 1 is over {least:g} of the last layer's at every depth")
def nothing_vanishes(records: Records, *, least: float = 0.1) -> Verdict: ...
```

A config that asks for the claim without recording what it needs is refused before anything trains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlp.registry import Registry, parse_call

CLAIMS = Registry("claim")


def needs(*probes: str, varies: Sequence[str] = ()) -> Callable[[Any], Any]:
    """Declare the probes that a claim reads and the fields of a run of which it compares several values.

    The probes may be of layers, of units or distributions. What serves a remark alone is not declared.
    """

    def declared(claim: Any) -> Any:
        claim.needs, claim.varies = probes, tuple(varies)
        return claim

    return declared


def rule(text: str | Callable[..., str]) -> Callable[[Any], Any]:
    """Declare the rule in words, with the claim's options in braces, or as a function of the options."""

    def declared(claim: Any) -> Any:
        claim.rule = text
        return claim

    return declared


def check(claim: Any) -> Any:
    """Declare that a claim never reads the records: it looks at functions or measures times by itself.

    A config whose claims are all checks, and that sets no field of a run, trains nothing.
    """
    claim.is_check = True
    return claim


def rule_of(text: str) -> str:
    """The rule of a claim's call-text, with the options that are set there and the defaults of the others."""
    name, given = parse_call(text)
    defaults = {key: option.default for key, option in CLAIMS.options(name).items()}
    stated = getattr(CLAIMS[name], "rule", "")
    words = stated if callable(stated) else stated.format
    return str(words(**defaults | given))
