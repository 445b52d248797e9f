"""What an option may be: the range of a number, one of a few words, a list, the text of a table.

The type of a keyword argument says it, and every value is checked against that type before anything runs:

```python
slope: Annotated[float, Within(0, 1, above=True)] = 0.01  # a number in a range
examples: Count = 4  # a whole number from 1
activation: Annotated[str, ACTIVATIONS] = "sigmoid"  # a text that this table reads, spelled as it spells it
inputs: list[Literal["plain", "centred"]]  # one item or more, and none twice
```

`bool`, `Literal` and `| None` are as in Python.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any

from mlp.calls import RegistryError, did_you_mean, spell

LONGEST_SHOWN = 100  # characters of a value in a message


@dataclass(frozen=True)
class Within:
    """The range of a number: from `low` to `high`, less the end that `above` or `below` leaves out."""

    low: float = -inf
    high: float = inf
    above: bool = False  # the number is above `low`
    below: bool = False  # the number is below `high`

    def __contains__(self, value: float) -> bool:
        """Return whether a number lies in the range; NaN lies in none."""
        return self.low <= value <= self.high and not (
            (self.above and value == self.low) or (self.below and value == self.high)
        )

    def __str__(self) -> str:
        if self.high == inf:
            return f"{'above' if self.above else 'of at least'} {_plainly(self.low)}"
        joined = "to below" if self.below else "up to" if self.above else "to"
        joined = f"and {joined.removeprefix('to ')}" if self.above else joined
        return f"{'above' if self.above else 'from'} {_plainly(self.low)} {joined} {_plainly(self.high)}"


Share = Annotated[float, Within(0, 1)]
Positive = Annotated[float, Within(0, 1e12, above=True)]
Count = Annotated[int, Within(1, 1_000_000_000)]


def _plainly(number: float) -> str:
    return f"{number:.10g}"


def fitted(value: Any, allowed: Any) -> Any:
    """Return a value as an option of this type keeps it.

    Errors: RegistryError, whose text continues a sentence that ends with the value.
    """
    base, rules = _apart(allowed)
    origin, parts = typing.get_origin(base), typing.get_args(base)
    if origin in (typing.Union, types.UnionType):
        value = _fitted_to_one(value, parts, allowed)
    elif origin is list:
        value = _fitted_list(value, parts[0], allowed)
    elif not (_is_a(value, base) and all(value in rule for rule in rules if isinstance(rule, Within))):
        raise RegistryError(f", which is not {in_words(allowed)}{_intended(value, allowed)}")
    for rule in rules:
        if hasattr(rule, "canonical"):
            try:
                value = rule.canonical(value)
            except ValueError as error:
                raise RegistryError(f": {error}") from None
    return float(value) + 0.0 if base is float else value  # 1 is 1.0, and −0.0 is 0.0


def cut(value: Any) -> str:
    """Return a value as a message shows it: its first hundred characters."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _apart(allowed: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type, and what `Annotated` adds to it."""
    rules = getattr(allowed, "__metadata__", ())
    return (allowed.__origin__ if rules else allowed), rules


def _fitted_to_one(value: Any, parts: Sequence[Any], whole: Any) -> Any:
    """Return the value as the first type that it fits keeps it."""
    errors = []
    for part in parts:
        try:
            return fitted(value, part)
        except RegistryError as error:
            errors.append(str(error))
    read = [error for error in errors if error.startswith(": ")]  # the right type, and its table refuses it
    if read:
        raise RegistryError(read[0])
    raise RegistryError(f", which is not {in_words(whole)}{_intended(value, whole)}")


def _fitted_list(value: Any, item: Any, whole: Any) -> list[Any]:
    if not isinstance(value, list):
        raise RegistryError(f", which is not {in_words(whole)}")
    if not value:
        raise RegistryError(", an empty list: it needs one item or more, or is left out")
    found = []
    for each in value:
        try:
            found.append(fitted(each, item))
        except RegistryError as error:
            raise RegistryError(f": {cut(each)}{error}" if str(error)[0] == "," else str(error)) from None
        if found.count(found[-1]) > 1:
            raise RegistryError(f": {spell(found[-1])} is listed twice")
    return found


def _is_a(value: Any, base: Any) -> bool:
    """Return whether a value is of a type that is neither a union nor a list; True is not a number."""
    if typing.get_origin(base) is typing.Literal:
        return value in typing.get_args(base)
    if base is None or base is type(None):
        return value is None
    if base in (int, float):
        return isinstance(value, int if base is int else int | float) and not isinstance(value, bool)
    return isinstance(value, base) if isinstance(base, type) and base is not inspect.Parameter.empty else True


def in_words(allowed: Any) -> str:
    """Return in words what values a type allows: ``a number above 0 and up to 1``."""
    base, rules = _apart(allowed)
    origin, parts = typing.get_origin(base), typing.get_args(base)
    named = [rule if isinstance(rule, str) else rule.words for rule in rules if not isinstance(rule, Within)]
    if named:
        return str(named[0])
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(in_words, parts))
    if origin is list:
        return f"a list, each item {in_words(parts[0])}"
    names = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
    return " ".join([names.get(base, "null"), *map(str, rules)])


def _intended(value: Any, allowed: Any) -> str:
    """Return a hint at the value that was meant: a near word, 1000 for 1e3, 0.05 for a share of 5."""
    base, rules = _apart(allowed)
    parts = typing.get_args(base)
    if typing.get_origin(base) is typing.Literal:
        near = did_you_mean(value[:60], parts) if isinstance(value, str) else ""
        return f".{near}" if near else ""
    if parts:
        return next(filter(None, (_intended(value, part) for part in parts)), "")
    if isinstance(value, bool) or not isinstance(value, int | float) or base not in (int, float):
        return ""
    meant = value / 100 if base is float else int(value)
    is_meant = meant == value if base is int else value > 1 and any(rule.high == 1 for rule in rules)
    is_meant = is_meant and all(meant in rule for rule in rules)
    return f". Did you mean {spell(meant)}?" if is_meant else ""
