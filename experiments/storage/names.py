"""Which experiment a file, a dict and overrides describe, and the name that it is stored under.

A name is a folder of results/, so two experiments of different content never have the same: an override or
another dict makes another folder, and overwrites nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments import config
from experiments.config import Experiment

LONGEST = 60  # characters of what is read in a name; the rest is in its hash
PLAIN = re.compile(r"[A-Za-z0-9_.+-]+")
UNNAMED = "notebook"  # the name that `config.from_mapping` gives to a dict without one

Source = str | Path | Mapping[str, Any] | Experiment


def experiment_of(source: Source, overrides: Iterable[str] = (), name: str | None = None) -> Experiment:
    """Return the experiment that a file, a dict or another experiment describes; errors: ConfigError.

    Its name, which is its folder's, is `name` or the key `name`; else that of the file and of what overrides
    change in it (`of_variant`), or a hash of a dict's contents (`of_contents`).
    """
    chosen = [f"name={json.dumps(name)}"] if name is not None else []
    changes = [*overrides, *chosen]
    changed = _read(source, changes)
    if any(text.partition("=")[0].strip() == "name" for text in changes):
        return changed
    if _is_unnamed(source, changed):
        return replace(changed, name=of_contents(changed))
    if not changes:
        return changed
    try:
        plain = _read(source)
    except config.ConfigError:  # it is not valid without the overrides
        plain = None
    return replace(changed, name=of_variant(changed.name, plain, changed, changes))


def _read(source: Source, overrides: Sequence[str] = ()) -> Experiment:
    if isinstance(source, Experiment):
        return config.from_mapping(config.to_mapping(source), overrides=overrides) if overrides else source
    if isinstance(source, Mapping):
        return config.from_mapping(source, overrides=overrides)
    return config.load(source, overrides)


def _is_unnamed(source: Source, experiment: Experiment) -> bool:
    """Return whether neither a file nor a key has given an experiment its name."""
    named = isinstance(source, Mapping) and "name" in source
    return experiment.name == UNNAMED and experiment.path is None and not named


def of_contents(experiment: Experiment) -> str:
    """Name an experiment by what it asks: ``notebook-1f0c9a7e``."""
    return f"{UNNAMED}-{_digest({k: v for k, v in config.to_mapping(experiment).items() if k != 'name'})}"


def of_variant(name: str, plain: Experiment | None, changed: Experiment, overrides: Iterable[str]) -> str:
    """Name a config with overrides by what they change: ``deep_sigmoid+depth=2,4+lr=0.01``.

    What changes nothing is no part of the name, and neither is the order or spelling of the overrides. What
    has no place in a folder's name, or is too long, is replaced by a hash at the end. `plain` is the
    experiment without overrides; None where it is not valid without them.
    """
    after = _settings(changed)
    if plain is None:
        keys = {text.partition("=")[0].strip().rpartition(".")[2] for text in overrides}
        differing = {key: value for key, value in after.items() if key.removeprefix("zip.") in keys}
    else:
        before = _settings(plain)
        differing = {key: value for key, value in after.items() if (key, value) not in before.items()}
    if not differing:
        return name
    text = "+".join(f"{key}={_shown(value)}" for key, value in differing.items())
    if len(text) > LONGEST or not all(map(_is_plain, differing.values())):
        text = f"{re.sub(r'[^A-Za-z0-9_.,=+-]+', '-', text)[:LONGEST].rstrip('-')}-{_digest(differing)}"
    return f"{name}+{text}"


def _settings(experiment: Experiment) -> dict[str, Any]:
    """Return every setting by its key: a single value, a list of values, or under ``zip.key`` a list."""
    found = config.to_mapping(experiment)
    sections = [found.pop(name) for name in ("base", "sweep", "zip")]
    together = {f"zip.{key}": values for key, values in sections[2].items()}
    found.pop("name")
    return sections[0] | sections[1] | together | found


def _is_plain(value: Any) -> bool:
    """Return whether a value can be read back from the name; a list of one would be read as its value."""
    if isinstance(value, list):
        return len(value) > 1 and all(not isinstance(item, list) and _is_plain(item) for item in value)
    return bool(PLAIN.fullmatch(_shown(value)))


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_shown, value))
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return "null" if value is None else str(value)


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
