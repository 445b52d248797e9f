"""Which figures of a store are as they would be drawn now, so that nothing is drawn again unchanged.

A list beside them has of each figure its files, their hashes, and a hash of all that it is made of: its
call-text, the records, the code and the versions of what draws. The summary, the diagnosis and the report are
kept in the same way, because each of them takes longer than a figure.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.storage.files import content
from experiments.storage.own_parts import used_by
from experiments.storage.provenance import CODE, versions
from experiments.storage.records import COLUMNS, Records
from experiments.storage.store import Store

if TYPE_CHECKING:
    import pandas as pd

LIST = "made_of.json"
WRITTEN = {".py", ".html", ".css", ".js"}  # the files that code is in
LONGEST = 100  # characters of a file's name


class Gallery:
    """The figures of a store, for these records."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store, self._records = store, digest(records)
        self._list = _read(store.folder / LIST)

    def files(self, text: str, facts: Any = None) -> list[Path]:
        """Return the files of a figure if they are as they would be drawn now, else an empty list.

        facts: what else it is made of now, as plain data; None asks whether it is true of these records.
        """
        return [self._store.folder / name for name in self.hashes(text, facts)]

    def hashes(self, text: str, facts: Any = None) -> dict[str, str]:
        """Return the SHA-256 of each file of a figure by its name; empty where `files` is."""
        entry = self._list.get(text, {})
        same_facts = facts is None or entry.get("facts") == _hash(facts)
        known = same_facts and entry.get("made_of") == self._made_of(text)
        hashes = entry.get("files") if known else None
        if not isinstance(hashes, dict):
            return {}
        sound = all(_sha256(self._store.folder / name) == sha for name, sha in hashes.items())
        return hashes if sound else {}

    def keep(self, text: str, made: Mapping[str, bytes], facts: Any = None) -> list[Path]:
        """Write a figure's files by their names in the store; return their paths. Errors: StoreError."""
        paths = [self._store.write(name, data) for name, data in made.items()]
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in made.items()}
        self._list[text] = {"made_of": self._made_of(text), "files": hashes}
        self._list[text] |= {"facts": _hash(facts)} if facts is not None else {}
        self._write()
        return paths

    def forget(self) -> None:
        """Delete the figures that are no longer true: of other records or code, or such as fail now."""
        stale = [text for text in self._list if not self.files(text)]
        used = {name for text, entry in self._list.items() if text not in stale for name in _names(entry)}
        for text in stale:
            for name in set(_names(self._list.pop(text))) - used:
                self._store.discard(name)
        if stale:
            self._write()

    def _made_of(self, text: str) -> str:
        return _hash([text, self._records, _code(), versions(), used_by([text])])

    def _write(self) -> None:
        self._store.write(LIST, (json.dumps(self._list, indent=1) + "\n").encode())


def file_names(texts: Iterable[str]) -> dict[str, str]:
    """Return the stem of each figure's files: its call-text in letters, digits and underscores.

    Where two texts would have the same stem, a hash of its text is added to each.
    """
    stems = {text: re.sub(r"[^0-9A-Za-z]+", "_", text).strip("_")[:LONGEST] for text in texts}
    lower = [stem.lower() for stem in stems.values()]  # some systems do not tell A from a
    ends = {text: f"_{hashlib.sha256(text.encode()).hexdigest()[:8]}" for text in stems}
    return {text: stem + ends[text] * (lower.count(stem.lower()) > 1) for text, stem in stems.items()}


def digest(records: Records) -> str:
    """Return a hash of all frames, their columns and what is said of them."""
    total = hashlib.sha256()
    for name in COLUMNS:
        frame: pd.DataFrame = getattr(records, name)
        total.update(f"{name} {list(frame.columns)} {sorted(frame.attrs.items(), key=str)}".encode())
        for column in frame:
            total.update(_bytes(frame[column]))
    return total.hexdigest()


def _hash(facts: Any) -> str:
    """Return a hash of plain data."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _bytes(column: pd.Series) -> bytes:
    if column.dtype == "Int64":
        return column.to_numpy(np.float64, na_value=np.nan).tobytes()
    if column.dtype in (np.float64, np.int64):
        return np.ascontiguousarray(column.to_numpy()).tobytes()
    return "\0".join(map(str, column)).encode()


@cache
def _code() -> str:
    """Return a hash of this project's code, that of its pages included."""
    total = hashlib.sha256()
    root = Path(__file__).resolve().parents[2]
    every = (path for folder in CODE for path in (root / folder).rglob("*"))
    for path in sorted(path for path in every if path.suffix in WRITTEN):
        total.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the list; where it is missing or damaged an empty one: then everything is drawn."""
    try:
        found = json.loads(content(path))
    except (OSError, ValueError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {text: entry for text, entry in entries if isinstance(entry, dict)}


def _names(entry: Mapping[str, Any]) -> list[str]:
    files = entry.get("files")
    return [str(name) for name in files] if isinstance(files, dict) else []


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(content(path)).hexdigest()
    except OSError:
        return ""
