"""A config as a tree whose every value knows where it was written, and the faults found in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

DEEPEST = 10  # nested lists and mappings; a config needs three, and recursion needs an end
MOST_FAULTS = 100  # more than anyone reads; it also bounds the time that a hostile file takes


class ConfigError(ValueError):
    """What is wrong with a config: one message per fault, all of them in str()."""

    def __init__(self, messages: list[str]) -> None:
        self.messages = list(messages)
        super().__init__("\n".join(self.messages))

    def __reduce__(self) -> tuple[Any, ...]:
        return ConfigError, (self.messages,)


class Place(NamedTuple):
    """Where a text stands; line and column count from 1, and 0 means that the source has no lines."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


class Fault(NamedTuple):
    """One thing wrong: where in the file, under which key, and what."""

    place: Place
    path: str
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.path, self.text) if part)


@dataclass(slots=True)
class Node:
    """A scalar, a list of Nodes or a dict of Nodes; `keys` says where a dict's keys stand."""

    value: Any
    place: Place
    keys: dict[str, Place] = field(default_factory=dict)


class Faults:
    """What was found so far; of a value that is wrong in more than one way, the first."""

    def __init__(self) -> None:
        self.found: dict[tuple[Place, str], Fault] = {}

    def add(self, place: Place, path: str, text: str) -> None:
        """Note a fault; at `MOST_FAULTS` of them the search ends."""
        self.found.setdefault((place, path), Fault(place, path, text))
        if len(self.found) == MOST_FAULTS:
            self.raise_if_any(f"… and possibly more: the first {MOST_FAULTS} are shown")

    def raise_if_any(self, *more: str) -> None:
        """ConfigError with all faults in the order of the file, those of no line last."""
        if self.found:
            faults = sorted(self.found.values(), key=lambda f: (not f.place.line, *f.place[1:]))
            raise ConfigError([*map(str, faults), *more])


def node_of(value: Any, place: Place, depth: int = 0) -> Node:
    """A Python value as a tree whose every node is at `place`; ValueError if it is nested too deeply."""
    if depth > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} deep")
    if isinstance(value, Mapping):
        children = {str(key): node_of(item, place, depth + 1) for key, item in value.items()}
        return Node(children, place, dict.fromkeys(children, place))
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return Node([node_of(item, place, depth + 1) for item in value], place)
    return Node(value, place)


def plain(node: Node) -> Any:
    """The tree without its places, as Python values."""
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    return node.value


def join(path: str, key: str | int) -> str:
    """``sweep`` and ``depth`` is ``sweep.depth``; ``sweep.depth`` and 2 is ``sweep.depth[2]``."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    key = key if re.fullmatch(r"[\w.-]{1,40}", key) else shown(key)
    return f"{path}.{key}" if path else key


def shown(value: Any) -> str:
    """A value as a message shows it: as YAML writes it, on one line, cut to 60 characters."""
    if isinstance(value, list | tuple | dict):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
