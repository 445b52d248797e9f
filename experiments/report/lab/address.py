"""How the lab is set: by a link's query, by the command line and by its controls, in the same words.

``activation=relu`` sets both networks, ``a.activation=relu`` and ``b.activation=tanh`` one of them; a later
word goes over an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from experiments import datasets
from experiments.config import ConfigError, Run, keys_of
from experiments.config.kinds import Kind, OneOf, Real, Whole
from experiments.config.yaml_strict import plain_scalar
from experiments.report.lab.presets import DEFAULT, PRESETS
from mlp.registry import did_you_mean, parse_call

OF_ONE = ("activation", "depth", "width", "init", "lr", "norm", "residual")  # fields of one network
OF_BOTH = ("dataset", "seed")
NAMES = "ab"  # of the networks
# What leaves a laptop time for 20 updates a second, or nearly: smaller ranges than a config's.
KINDS: dict[str, Kind] = {
    **{name: keys_of(Run)[name].metadata["kind"] for name in (*OF_ONE, *OF_BOTH)},
    "depth": Whole(1, 100),
    "width": Whole(1, 512),
    "preset": OneOf(tuple(PRESETS)),
    "networks": Whole(1, 2),
    "speed": Whole(1, 1000),
    "factor": Real(1, 1e6),
}
DATA = ("digits", "circles", "moons", "spirals", "xor")
MOST_EXAMPLES = 10_000
LONGEST = 200  # characters of a value


@dataclass(frozen=True)
class Asked:
    """All that is set: a run for each network, updates per screen update, and the oversized step's factor."""

    preset: str
    runs: tuple[Run, ...]
    speed: int = 1
    factor: float = 100.0


def read(words: Iterable[tuple[str, str]]) -> Asked:
    """Return what pairs of a key and a text ask for, on top of their preset; errors: ConfigError.

    All faults are told at once.
    """
    words = list(words)
    faults: list[str] = []
    chosen = [_value(key, text, faults) for key, text in words if key == "preset"] or [DEFAULT]
    preset = PRESETS.get(chosen[-1], PRESETS[DEFAULT])
    pairs = [tuple(word.split("=", 1)) for word in preset.words] + [p for p in words if p[0] != "preset"]
    networks: list[dict[str, Any]] = [{}, {}]
    others: dict[str, Any] = {}
    for key, text in pairs:
        which, dot, field = key.rpartition(".")
        value = _value(field if dot else key, text, faults, key)
        if key in KINDS and key not in (*OF_ONE, *OF_BOTH):
            others[key] = value
        for name, network in zip(NAMES, networks, strict=True):
            if not dot or which == name:
                network[field] = value
    if faults:
        raise ConfigError(faults)
    runs = [Run(**{k: network[k] for k in (*OF_ONE, *OF_BOTH) if k in network}) for network in networks]
    return Asked(str(chosen[-1]), tuple(runs[: others.pop("networks", 2)]), **others)


def _value(field: str, text: str, faults: list[str], key: str = "") -> Any:
    """Return the value that a text stands for; say what is wrong with it in `faults`."""
    key = key or field
    which, dot, _ = key.rpartition(".")
    keys = [*KINDS, *(f"{name}.{each}" for name in NAMES for each in OF_ONE)]
    if field not in KINDS or (dot and (which not in NAMES or not which or field not in OF_ONE)):
        shown = key if len(key) <= 40 else f"{key[:40]}…"
        hint = did_you_mean(shown, keys)
        faults.append(
            f"unknown key {shown!r}.{hint} Known: {', '.join(KINDS)}; a.KEY and b.KEY set one network"
        )
        return None
    try:
        if len(text) > LONGEST:
            raise ValueError(f"a text of {len(text)} characters is too long")
        if field == "dataset":
            _check_small(text)
        return KINDS[field].read(plain_scalar(text))
    except (ValueError, datasets.DataError) as error:
        faults.append(f"{key}: {error}")
        return None


def _check_small(dataset: str) -> None:
    """That the lab shows this data set; no other is looked for, since a link may come from anyone."""
    name = parse_call(dataset)[0]
    if name not in DATA:
        raise ValueError(f"the lab has no {name!r}; it shows {', '.join(DATA)}, with any of their options")
    examples = datasets.training_size(dataset) or 0
    if examples > MOST_EXAMPLES:
        raise ValueError(f"{examples} training examples are too many to be watched; at most {MOST_EXAMPLES}")


def words_of(asked: Asked) -> list[tuple[str, str]]:
    """Return the pairs that `read` makes this of: every control, those of one network where both differ."""
    words = [("preset", asked.preset), ("networks", str(len(asked.runs)))]
    for field in (*OF_BOTH, *OF_ONE):
        values = [shown(getattr(run, field)) for run in asked.runs]
        if len(set(values)) == 1:
            words.append((field, values[0]))
        else:
            words += [(f"{name}.{field}", value) for name, value in zip(NAMES, values, strict=False)]
    return [*words, ("speed", str(asked.speed)), ("factor", shown(asked.factor))]


def query(asked: Asked) -> str:
    """Return the query of the link to it, without the question mark."""
    return urlencode(words_of(asked), safe="(),")


def shown(value: Any) -> str:
    """A value as it is written in a config, to the last digit."""
    return value if isinstance(value, str) else f"{value:.15g}"


def with_field(asked: Asked, which: int | None, field: str, text: str) -> Asked:
    """The same with another text for a field, of one network or of all; errors: ConfigError."""
    faults: list[str] = []
    value = _value(field, text, faults)
    if faults:
        raise ConfigError(faults)
    runs = [replace(run, **{field: value}) if which in (None, i) else run for i, run in enumerate(asked.runs)]
    return replace(asked, runs=tuple(runs))
