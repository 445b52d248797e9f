"""One part: the records of a stack as a Parquet file per frame, protected by hashes.

The file of `runs` is the commit mark: it holds the SHA-256 of the part's other files and of itself, the
version of the numbers and the ids of its runs. A part that is incomplete, edited or foreign does not open.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.storage.files import NO_FILE, content
from experiments.storage.identity import SCHEMA
from experiments.storage.records import COLUMNS, PROBED, VARIABLE, Records, dtypes, typed

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MARK = b"vanishing_gradients"  # the key under which a file's footer holds this project's metadata
COLUMNS_ONLY = "0-columns"  # sorts before every part, whose names are letters, digits and underscores
UNSEALED = "0" * 64  # the placeholder that is replaced by the hash of the file that contains it
FRAMES = tuple(COLUMNS)
TOGETHER = 256  # files joined at a time, because a table takes at least 30 kB of memory
ON_REQUEST = {frame: measured for frame, measured in PROBED.items() if frame != "layers"}


class BadPart(ValueError):
    """A part must not be read as data; the message completes "this part …"."""


@dataclass(frozen=True, eq=False)
class Part:
    """The contents of a valid part: the status of its runs by id, what was measured in them, and by whom."""

    name: str
    runs: dict[str, str]
    probes: tuple[str, ...]
    unit_probes: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    plane_columns: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    maker: Mapping[str, str] = field(default_factory=dict)  # who made the numbers; empty: not noted

    @property
    def frames(self) -> tuple[str, ...]:
        """The frames that have a file in this part, the commit mark first."""
        return _frames(self)

    def columns(self, frame: str) -> tuple[str, ...]:
        """The further columns of one of its frames: probes, or the scores of a regression."""
        return getattr(self, VARIABLE[frame]) if frame in VARIABLE else ()


def _frames(owner: Part | Records) -> tuple[str, ...]:
    """Return the frames to store: an optional frame only if something was measured in it."""
    return tuple(f for f in FRAMES if f not in ON_REQUEST or getattr(owner, ON_REQUEST[f]))


def path_of(folder: Path, frame: str, name: str) -> Path:
    """Return the path of a part's file of one frame."""
    return folder / frame / f"{name}.parquet"


def seal(records: Records, name: str, maker: Mapping[str, str]) -> dict[str, bytes]:
    """Return the bytes of a part's files by frame, in the order in which they are written: runs last.

    The commit mark names the `maker` of the numbers.
    """
    measured = _frames(records)[:0:-1]
    files = {frame: encode(frame, getattr(records, frame), name) for frame in measured}
    facts: dict[str, Any] = {frame: hashlib.sha256(raw).hexdigest() for frame, raw in files.items()}
    facts |= {key: getattr(records, key) for frame, key in ON_REQUEST.items() if frame in measured}
    facts |= {"scores": records.scores} if records.scores else {}
    facts |= {"maker": dict(maker)} if maker else {}
    status = dict(zip(records.runs["run_id"], records.runs["status"], strict=True))
    raw = encode("runs", records.runs, name, seal=UNSEALED, runs=status, probes=records.probes, **facts)
    digest = hashlib.sha256(raw).hexdigest()
    return files | {"runs": raw.replace(UNSEALED.encode(), digest.encode())}


def encode(frame: str, rows: pd.DataFrame, name: str, **facts: Any) -> bytes:
    """Return a frame as a Parquet file with this project's metadata in its footer.

    The schema comes from the documented types and never from the values, so that a column in which all
    values are NaN has the same type in every part.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = _table(frame, rows)
    texts = [field.name for field in table.schema if field.type == pa.string()]
    mark = json.dumps({"frame": frame, "name": name, "schema": SCHEMA, **facts})
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, use_dictionary=texts) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({MARK.decode(): mark})
    return sink.getvalue().to_pybytes()


def columns_file(frame: str, columns: tuple[str, ...]) -> bytes:
    """Return the Parquet file without rows by which readers of a frame's folder know all its columns."""
    return _columns_file(frame, columns, SCHEMA)


@cache
def _columns_file(frame: str, columns: tuple[str, ...], version: int) -> bytes:
    """Return the same, once for all sweeps; the file holds the version of the numbers."""
    return encode(frame, typed(frame, dict.fromkeys(columns, ())), COLUMNS_ONLY)


@cache
def schema(frame: str, columns: tuple[str, ...]) -> pa.Schema:
    """Return the Arrow schema of these columns, with the metadata from which pandas restores types."""
    import pyarrow as pa

    kinds = {"str": pa.string(), "int64": pa.int64(), "Int64": pa.int64(), "float64": pa.float64()}
    fields = [(column, kinds[dtype]) for column, dtype in dtypes(frame, columns).items()]
    described = pa.Table.from_pandas(typed(frame, dict.fromkeys(columns, ())), preserve_index=False)
    return pa.schema(fields, described.schema.metadata)


def _table(frame: str, rows: pd.DataFrame) -> pa.Table:
    import pyarrow as pa

    fields = schema(frame, tuple(rows.columns))
    # In `runs` NaN is a setting that was left out (null); elsewhere NaN is a measured value and stays NaN.
    measured = pa.float64() if frame != "runs" else None
    arrays = [
        pa.array(column, type=field.type, from_pandas=field.type != measured)
        for field, (_, column) in zip(fields, rows.items(), strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=fields)


def open_part(folder: Path, name: str) -> Part:
    """Check all files of a part and return its contents; errors: BadPart, FileNotFoundError."""
    raw = _bytes(path_of(folder, "runs", name))
    facts = facts_of(raw)
    if facts.get("schema") != SCHEMA:
        raise BadPart(f"holds version {facts.get('schema')} of the numbers, and this is {SCHEMA}")
    if (facts.get("frame"), facts.get("name")) != ("runs", name):
        raise BadPart(f"was written as {facts.get('frame')}/{facts.get('name')}.parquet")
    sealed = str(facts.get("seal")).encode()
    unsealed = raw.replace(sealed, UNSEALED.encode()) if len(sealed) == len(UNSEALED) else b""
    if hashlib.sha256(unsealed).hexdigest().encode() != sealed:
        raise BadPart("was changed after it was written")
    measured = {key: tuple(facts.get(key, ())) for key in VARIABLE.values()}
    part = Part(name, facts["runs"], **measured, maker=facts.get("maker") or {})
    for frame in part.frames[1:]:
        _check(path_of(folder, frame, name), facts[frame])
    return part


def _check(path: Path, expected: str) -> None:
    try:
        digest = hashlib.sha256(_bytes(path)).hexdigest()
    except FileNotFoundError:
        raise BadPart(f"has lost its {path.parent.name}") from None
    if digest != expected:
        raise BadPart(f"has {path.parent.name} that were changed after they were written")


def _bytes(path: Path) -> bytes:
    """Return a file's contents. An OSError is passed on: an unreadable file may still be valid."""
    try:
        return content(path)
    except IsADirectoryError:
        raise BadPart(f"has a folder in the place of its {path.parent.name}") from None
    except OSError as error:
        if error.strerror == NO_FILE:
            raise BadPart(f"has {NO_FILE}, in the place of its {path.parent.name}") from None
        raise


def facts_of(raw: bytes) -> dict[str, Any]:
    """Return this project's metadata in a file's footer; errors: BadPart where there are none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(pa.BufferReader(raw)).metadata
    except (pa.ArrowException, OSError, ValueError):
        raise BadPart("is not a whole Parquet file") from None
    try:
        facts = json.loads((metadata or {})[MARK])
    except (KeyError, ValueError):
        raise BadPart("was not written by a sweep") from None
    if not isinstance(facts, dict):
        raise BadPart("was not written by a sweep")
    return facts


def is_ours(path: Path) -> bool:
    """Return whether a file's metadata name the frame and part that its path names."""
    try:
        facts = facts_of(content(path))
    except (BadPart, OSError):
        return False
    return (facts.get("frame"), facts.get("name")) == (path.parent.name, path.stem)


def scan(folder: Path) -> tuple[dict[str, Part], dict[str, str]]:
    """Return the valid parts of a folder by name, and the faults of the others by name."""
    sound, bad = {}, {}
    for path in sorted((folder / "runs").glob("[!._]*.parquet")):
        if path.stem != COLUMNS_ONLY:
            try:
                sound[path.stem] = open_part(folder, path.stem)
            except (BadPart, FileNotFoundError) as error:
                if path.exists():  # otherwise a sweep has replaced it since the folder was listed
                    bad[path.stem] = str(error)
    return sound, bad


def homes(parts: Mapping[str, Part]) -> dict[str, str]:
    """Return the part to read each run from: the first by name in which the run did not crash, if any."""
    home: dict[str, str] = {}
    for name in sorted(parts):
        for run, state in parts[name].runs.items():
            if run not in home or (state != "crashed" and parts[home[run]].runs[run] == "crashed"):
                home[run] = name
    return home


def read(
    folder: Path, frame: str, take: Mapping[Part, list[str]], wanted: Collection[str] | None = None
) -> pa.Table:
    """Return one frame's rows of the listed runs of each part; a column that a part lacks is null.

    wanted: the probes that are read; None for all. Of a file no other column is read.
    """
    import pyarrow as pa

    holding = [(part, ids) for part, ids in take.items() if frame in part.frames]
    probes = dict.fromkeys(probe for part, _ in holding for probe in part.columns(frame))
    chosen = [probe for probe in probes if wanted is None or probe in wanted]
    fields = schema(frame, (*COLUMNS[frame], *chosen))
    names = None if wanted is None else fields.names
    joined = [fields.empty_table()]
    for first in range(0, len(holding), TOGETHER):
        some = [_rows(folder, frame, part, ids, names) for part, ids in holding[first : first + TOGETHER]]
        whole = pa.concat_tables([joined[0], *some], promote_options="default")
        joined.append(whole.select(fields.names).cast(fields).combine_chunks())
    return pa.concat_tables(joined)


def _rows(folder: Path, frame: str, part: Part, ids: list[str], names: list[str] | None) -> pa.Table:
    """Return the rows of these runs of one part (one dataset of all files takes three times the memory)."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    path = path_of(folder, frame, part.name)
    source = pa.BufferReader(content(path)) if names is None else path  # of a path the columns alone are read
    with pq.ParquetFile(source) as file:
        table = file.read(names, use_threads=False)
    return table if len(ids) == len(part.runs) else table.filter(pc.field("run_id").isin(ids))
