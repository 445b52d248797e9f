"""How the values of a field are written beside their lines: in full, or by what tells them apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.config.kinds import Name, table
from experiments.config.vocabulary import Run, keys_of
from mlp.registry import RegistryError, call_text, parse_call

NUMBER = re.compile(r"(\d+\.?\d*(?:e-?\d+)?)")  # in a text, so that factor=50 comes before factor=200


def show(value: Any) -> str:
    """A field's value as it is written in a config: 0.1 and not 0.1000, 50 and not 50.0."""
    return value if isinstance(value, str) else f"{value:g}"


def spelled_out(text: str, field: str) -> str:
    """A call-text of a field of a run with all its options, those too that are at their default."""
    kind = keys_of(Run)[field].metadata["kind"] if field in keys_of(Run) else None
    if not isinstance(kind, Name) or not text:
        return text
    names = table(kind.kind)
    try:
        name, given = names.parse(text)
        options = {key: given.get(key, p.default) for key, p in names.options(name).items()}
    except ValueError:  # records outlive the table that their texts were read by
        return text
    return call_text(name, options)


def short(values: Iterable[Any], field: str) -> dict[Any, str]:
    """How values are named beside their lines: where texts differ in one number, by its option alone.

    ``factor=50`` and ``factor=100`` for ``shock(at=20, factor=50)`` and ``shock(at=20)``; else without the
    options in which all texts of a name agree (`shared`).
    """
    values = list(dict.fromkeys(values))
    if not in_steps(values, field):
        common = shared(values)
        return {value: _without(value, common) for value in values}
    calls = {value: parse_call(spelled_out(value, field))[1] for value in values if isinstance(value, str)}
    full = [
        options for options in calls.values() if any(isinstance(v, int | float) for v in options.values())
    ]
    differing = [key for key in full[0] if len({str(options.get(key)) for options in full}) > 1]
    if len(differing) != 1:
        return {value: show(value) for value in values}
    key = differing[0]
    return {v: f"{key}={show(calls[v][key])}" if key in calls.get(v, {}) else show(v) for v in values}


def shared(values: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """By the name of a call-text, the options that two texts or more have, and all with the same value.

    ``{"digits": {"test": 0.8}}`` of ``digits(test=0.8)`` and ``digits(test=0.8, shift=1)``.
    """
    given: dict[str, list[dict[str, Any]]] = {}
    for value in dict.fromkeys(values):
        if isinstance(value, str) and value and value != "none":
            name, options = _parsed(value)
            given.setdefault(name, []).append(options)
    common = {
        name: {key: v for key, v in calls[0].items() if all(key in c and c[key] == v for c in calls)}
        for name, calls in given.items()
        if len(calls) > 1
    }
    return {name: options for name, options in common.items() if options}


def _without(value: Any, common: Mapping[str, Mapping[str, Any]]) -> str:
    """A value as it is shown, without the options that are common to all texts of its name."""
    if not isinstance(value, str) or not common or (name := _parsed(value)[0]) not in common:
        return show(value)
    rest = {key: v for key, v in _parsed(value)[1].items() if key not in common[name]}
    return call_text(name, rest)


def _parsed(text: str) -> tuple[str, dict[str, Any]]:
    """A call-text's name and options; of a text that is none, the text."""
    try:
        return parse_call(text)
    except RegistryError:
        return text, {}


def in_steps(values: Sequence[Any], field: str) -> bool:
    """Whether values are one text but for its numbers, and at most one other, such as none or constant."""
    without = [NUMBER.sub("#", spelled_out(value, field)) for value in values if isinstance(value, str)]
    numbered = [text for text in without if "#" in text.partition("(")[2]]  # float32 is a name
    return len(numbered) >= 2 and len(set(numbered)) == 1 and len(values) - len(numbered) <= 1
