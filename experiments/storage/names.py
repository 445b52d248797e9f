"""The names of experiments that no file names: of a dict, and of a config with overrides.

A name is a folder of results/, so two experiments of different content never have the same: an override or
another dict makes another folder, and overwrites nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from experiments import config
from experiments.config import Experiment

LONGEST = 60  # characters of what is read in a name; the rest is in its hash
PLAIN = re.compile(r"[A-Za-z0-9_.+-]+")
UNNAMED = "notebook"  # the name that `config.from_mapping` gives to a dict without one


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
