"""A user's own table, a text, Parquet or NPZ file, by the ending of its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.datasets.archives import read_npz
from experiments.datasets.delimited import line_of, read_text
from experiments.datasets.readers import DataError, check_file, check_shape, opened, shown
from experiments.datasets.table_columns import Chosen, Columns, Table, position, table_of

TEXTS = (".csv", ".tsv", ".txt", ".data", ".tab", ".dat")
Reader = Callable[[str, Chosen, Sequence[str | int]], Table]


def check_table(path: str) -> None:
    """Check that the file exists and that `read_table` can read its format; errors: DataError."""
    _reader(path)
    check_file(path)


def read_table(path: str, target: Chosen = None, drop: Sequence[str | int] = ()) -> Table:
    """Return the examples in a user's file, and what was decided in reading them; errors: DataError.

    `target` is the column of the labels, by name or position (0 the first, -1 the last) or, in an NPZ, an
    array's name; without it `table_columns` tells how it is found. `drop` are columns to leave out.
    """
    check_table(path)
    return _reader(path)(path, target, drop)


def read_csv(path: str, target: Chosen = None, drop: Sequence[str | int] = ()) -> Table:
    """Read a text table: any separator, decimal comma or point, with names of its columns or without."""
    frame, layout = read_text(path)

    def place(row: int, column: int) -> str:
        return f"{shown(path)}, line {line_of(path, row, layout):,}, column {layout.words[column]}"

    columns = Columns(frame, layout.names, path, place, layout.decimal)
    columns.decisions += layout.notes
    if layout.decimal == ",":
        columns.decisions.append("numbers have a decimal comma")
    return table_of(columns, target, drop)


def read_parquet(path: str, target: Chosen = None, drop: Sequence[str | int] = ()) -> Table:
    """Read columns of numbers, truth values or texts; an index that pandas stored is left out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(path, "Parquet") as raw:
        file = pq.ParquetFile(raw)
        index = (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])
        schema = [field for field in file.schema_arrow if field.name not in index]
        names = [field.name for field in schema]
        if len(set(names)) < len(names):
            raise DataError(f"{shown(path)}: two columns have the same name")
        dropped = {names[position(names, column, shown(path))] for column in drop}
        for kind, name in ((field.type, field.name) for field in schema if field.name not in dropped):
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            if not any(getattr(pa.types, f"is_{known}")(kind) for known in PARQUET):
                told = f"column {shown(name)} holds {kind}, not numbers or texts; leave it out: drop={name!r}"
                raise DataError(f"{shown(path)}: {told}")
        check_shape((file.metadata.num_rows, len(names)), path)
        kept = [name for name in names if name not in dropped]
        frame = file.read(columns=kept, use_threads=False).to_pandas(ignore_metadata=True)
        frame = frame.reindex(columns=names)  # those to drop are empty

    def place(row: int, column: int) -> str:
        return f"{shown(path)}, row {row:,} (the first is 0), column {shown(names[column])}"

    return table_of(Columns(frame.set_axis(range(len(names)), axis=1), names, path, place), target, drop)


PARQUET = (  # the types that are read; times as texts
    "integer", "floating", "decimal", "boolean", "string", "large_string", "date", "timestamp", "null",
)  # fmt: skip
READERS: dict[str, Reader] = dict.fromkeys(TEXTS, read_csv) | {".npz": read_npz, ".parquet": read_parquet}


def _reader(path: str) -> Reader:
    """Return what reads a file of this name, whatever its case; a text may be packed, as in a.csv.gz."""
    ends = [end.lower() for end in Path(path).suffixes]
    packed = ends[-1:] == [".gz"]
    end = "".join(ends[-2:-1] if packed else ends[-1:])
    if end not in READERS or (packed and end not in TEXTS):
        known = ", ".join(READERS)
        raise DataError(
            f"{shown(path)}: its name ends in none of {known}; a text may be packed, as in .csv.gz"
        )
    return READERS[end]
