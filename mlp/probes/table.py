"""The table of probes: a layer's trace -> one number per run, (R,) in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mlp.numbers import Measure
from mlp.registry import Registry

Probe = TypeVar("Probe", bound=Callable[..., Measure])


@dataclass(frozen=True)
class ProbeFacts:
    """What a probe says of itself.

    default: measured where a config names no probes. costly: may take longer than a step of training, so it
    is measured at a few of the watched steps. whole_pass: looks at other layers too, so that it cannot be
    measured on a trace without its `tape`.
    """

    default: bool = False
    costly: bool = False
    whole_pass: bool = False

    @property
    def words(self) -> str:
        """The facts in words, for a table of all probes."""
        said = {
            "In the default set.": self.default,
            "Costly: measured at `watch_costly` of the steps.": self.costly,
            "Looks at the whole pass.": self.whole_pass,
        }
        return " ".join(words for words, is_so in said.items() if is_so)


class ProbeTable(Registry):
    """A registry that also knows of each probe what its decorator says."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self._facts: dict[str, ProbeFacts] = {}

    def facts(self, name: str) -> ProbeFacts:
        """Return what the named probe says of itself; nothing where it is registered by `@PROBES` alone."""
        return self._facts.get(name, ProbeFacts())

    def declare(self, function: Probe, facts: ProbeFacts) -> Probe:
        """Register a probe with what it says of itself."""
        self(function)
        self._facts[function.__name__] = facts
        return function

    @property
    def default(self) -> tuple[str, ...]:
        """The names of the default set, in the order in which they were registered."""
        return tuple(name for name in self if self.facts(name).default)


PROBES = ProbeTable("probe")


def probe(
    *, default: bool = False, costly: bool = False, whole_pass: bool = False
) -> Callable[[Probe], Probe]:
    """Return the decorator that registers a probe with these facts (see `ProbeFacts`)."""
    facts = ProbeFacts(default, costly, whole_pass)
    return lambda function: PROBES.declare(function, facts)
