"""A small, strict YAML: text in, a tree of values that know their line and column out.

Plain scalars are read by YAML 1.2's core schema (PyYAML reads 1.1, where ``1e-3`` is a text, ``010`` is 8,
``on`` is true and ``1:30`` is 90). A duplicate key, an anchor, an alias, a tag or a second document is a
fault. Nothing is evaluated or imported, and size and depth are limited, so a hostile file costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from experiments.config.tree import DEEPEST, Fault, Node, Place, join, shown

LARGEST = 200_000  # bytes; the longest config here has 2,000, and 200 kB are parsed in under a second
MOST_DIGITS = 40  # Python refuses int() of 4,300 and is slow before; a seed has at most 19

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where the wheel has it: 10 times faster
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE, _FALSE = re.compile(r"true|True|TRUE"), re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"(?P<sign>[-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(data: bytes, source: str) -> tuple[Node | None, list[Fault]]:
    """The one document in `data`, and what is wrong with it; no Node where it cannot be read at all."""
    text, fault = _decode(data, source)
    return (None, [fault]) if fault else _parse(text, source, fixed=None)


def read_value(text: str, place: Place) -> tuple[Node | None, list[Fault]]:
    """One value, as on a command line; every node and fault is at `place`."""
    found = _UNPRINTABLE.search(text)
    if found or len(text) > LARGEST:
        what = f"the character {found.group()!r}" if found else f"{len(text)} characters"
        return None, [Fault(place, "", f"{what} cannot be part of a value")]
    return _parse(text, place.source, fixed=place)


def _decode(data: bytes, source: str) -> tuple[str, Fault | None]:
    if len(data) > LARGEST:
        return "", Fault(Place(source), "", f"more than {LARGEST:,} bytes; a config is a page of text")
    if b"\0" in data:
        return "", Fault(Place(source), "", "a binary file, not YAML text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        text = f"the byte 0x{data[error.start]:02x} is not UTF-8 text; save the file as UTF-8"
        return "", Fault(Place(source, line, column), "", text)
    found = _UNPRINTABLE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - text.rfind("\n", 0, found.start())
        fault = f"the control character {found.group()!r} cannot be part of YAML text"
        return "", Fault(Place(source, line, column), "", fault)
    return text, None


def _parse(text: str, source: str, fixed: Place | None) -> tuple[Node | None, list[Fault]]:
    reader = _Reader(source, fixed)
    try:
        return reader.document(yaml.parse(text, Loader=_LOADER)), reader.faults
    except yaml.MarkedYAMLError as error:
        reader.faults.append(Fault(reader.place(error.problem_mark), "", _explain(error, text)))
    except _TooDeep as error:
        reader.faults.append(error.fault)
    return None, reader.faults


def _explain(error: yaml.MarkedYAMLError, text: str) -> str:
    """The parser's complaint, or a plainer one for what people do most."""
    mark = error.problem_mark
    line = text.split("\n")[mark.line] if mark and mark.line <= text.count("\n") else ""
    if mark and line[mark.column : mark.column + 1] == "\t":
        return "a tab; YAML is indented by spaces"
    problem = f"{error.problem}, {error.context}" if error.context else str(error.problem)
    return f"not YAML: {problem}"


class _TooDeep(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class _Reader:
    """Builds the tree from the parser's events, so that nothing is expanded before it is looked at."""

    def __init__(self, source: str, fixed: Place | None) -> None:
        self.source = source
        self.fixed = fixed
        self.faults: list[Fault] = []

    def place(self, mark: Any) -> Place:
        if self.fixed or not mark:
            return self.fixed or Place(self.source)
        return Place(self.source, mark.line + 1, mark.column + 1)

    def fault(self, place: Place, path: str, text: str) -> None:
        self.faults.append(Fault(place, path, text))

    def document(self, events: Iterator[Any]) -> Node | None:
        root, documents = None, 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    self.fault(self.place(event.start_mark), "", "a second document; a config is one")
                    return root
            elif not isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent | yaml.DocumentEndEvent):
                root = self.node(event, events, "", 0)
        return root

    def node(self, event: Any, events: Iterator[Any], path: str, depth: int) -> Node:
        place = self.place(event.start_mark)
        if depth > DEEPEST:
            raise _TooDeep(Fault(place, path[:60], f"nested more than {DEEPEST} deep"))
        if isinstance(event, yaml.AliasEvent):
            alias = shown(f"*{event.anchor}")
            self.fault(place, path, f"the alias {alias}; aliases are not read: write the value out")
            return Node(None, place)
        if event.anchor is not None:
            self.fault(place, path, f"the anchor {shown(f'&{event.anchor}')}; anchors are not read")
        if event.tag is not None:
            self.fault(place, path, f"the tag {shown(event.tag)}; tags are not read")
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(list(self.items(events, path, depth)), place)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(events, place, path, depth)
        return Node(self.scalar(event, place, path), place)

    def items(self, events: Iterator[Any], path: str, depth: int) -> Iterator[Node]:
        index = 0
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            yield self.node(event, events, join(path, index), depth + 1)
            index += 1

    def mapping(self, events: Iterator[Any], place: Place, path: str, depth: int) -> Node:
        found = Node({}, place)
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            at = self.place(event.start_mark)
            is_text = isinstance(event, yaml.ScalarEvent) and event.anchor is None and event.tag is None
            if not is_text:
                self.node(event, events, path, depth + 1)
                self.fault(at, path, "a key must be a plain text")
            key = event.value if is_text else ""
            value = self.node(next(events), events, join(path, key), depth + 1)
            if is_text and key in found.value:
                self.fault(at, join(path, key), f"given twice; first on line {found.keys[key].line}")
            elif is_text:
                found.value[key], found.keys[key] = value, at
        return found

    def scalar(self, event: Any, place: Place, path: str) -> Any:
        text = event.value
        if event.style or event.tag is not None:  # quoted, or a block
            return text
        if len(text) > MOST_DIGITS and (_INT.fullmatch(text) or _FLOAT.fullmatch(text)):
            self.fault(place, path, f"a number of {len(text)} characters; at most {MOST_DIGITS} are read")
            return None
        return plain_scalar(text)


def plain_scalar(text: str) -> None | bool | int | float | str:
    """An unquoted text by YAML 1.2's core schema (chapter 10.3.2 of its specification)."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return bool(_TRUE.fullmatch(text))
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.fullmatch(text)
    if special:
        return float("nan") if special["sign"] is None else float(f"{special['sign']}inf")
    return text


def written(config: Mapping[str, Any]) -> str:
    """Return a config as YAML text in the order of its keys, lists of plain values in a line."""
    return str(
        yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    )
