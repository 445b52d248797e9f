"""Which runs a figure or claim is about: a text such as ``runs(depth=[10, 50], init=normal(std=0.01))``.

Each value is read as the config's key of that name is, so that it is compared in the one spelling that the
records have: ``normal(std=0.01)`` is ``normal``, whose default that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from experiments.config.vocabulary import Run, keys_of
from mlp.registry import RegistryError, call_text, did_you_mean, parse_call

FORM = "runs(field=value, …)"


def wanted(text: str) -> dict[str, tuple[Any, ...]]:
    """The fields of a run that a text names, each with the values that are wanted; errors: RegistryError.

    The empty text names none and means all runs.
    """
    return {key: value if isinstance(value, tuple) else (value,) for key, value in _read(text).items()}


def _read(text: str) -> dict[str, Any]:
    """The fields with a value or a tuple of values, as the text has them."""
    if not text:
        return {}
    name, options = parse_call(text)
    if name != "runs" or not options:
        raise RegistryError(f"it is not of the form {FORM}, as in runs(depth=[10, 50], init=he_normal)")
    return {field: _values(field, given) for field, given in options.items()}


def _values(field: str, given: Any) -> Any:
    known = keys_of(Run)
    if field not in known:
        near = did_you_mean(field, known) or f" Its fields: {', '.join(known)}"
        raise RegistryError(f"a run has no field {field!r}.{near}")
    kind = known[field].metadata["kind"]
    try:
        if not isinstance(given, list):
            return kind.read(given)
        values = tuple(map(kind.read, given))
    except ValueError as error:
        raise RegistryError(f"{field}: {error}") from None
    if not values:
        raise RegistryError(f"{field}: an empty list, which no run has a value of")
    return values


def listed(names: Any) -> list[str]:
    """Return the names of an option that may be one name, several or none."""
    return [names] if isinstance(names, str) else list(names or ())


def told_twice(hue: Any, facet: Any, across: Iterable[str]) -> str:
    """Say which field a figure would tell in two ways: by its colour and by panels or an axis; "" if none."""
    if both := set(listed(hue)) & set(listed(facet)):
        return f"{min(both)} is told by the colour (hue) and by panels (facet): one of them will do"
    if crossed := set(listed(hue)) & set(across):
        return f"hue={min(crossed)}: that is along an axis of this figure, so no colour can tell it"
    return ""


def no_such_run(field: str, value: Any, there: Iterable[Any]) -> str:
    """Say that no run has a value in a field, and which values the runs have."""
    known = [_text(each) for each in there]
    hint = did_you_mean(value, known) if isinstance(value, str) else ""
    return f"no run has {field} {_text(value)}.{hint} Runs have {', '.join(known)}"


def _text(value: Any) -> str:
    return "null" if value is None else value if isinstance(value, str) else f"{value:g}"


class RunFilter:
    """Reads the texts of this file for an option of the type `Where`."""

    words = f"a text of the form {FORM}"

    def canonical(self, text: str) -> str:
        """The one spelling of a text; errors: RegistryError."""
        found = {key: list(v) if isinstance(v, tuple) else v for key, v in _read(text).items()}
        return call_text("runs", found) if found else ""


Where = Annotated[str, RunFilter()]
