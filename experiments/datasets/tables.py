"""A user's own examples: .csv, .npz and .parquet files of numbers with a label each."""

from __future__ import annotations

import csv
import io
import math
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.datasets.readers import (
    LARGEST_ARRAY,
    DataError,
    check_file,
    check_shape,
    opened,
    shown,
    times,
)
from mlp.registry import did_you_mean

if TYPE_CHECKING:
    import zipfile

LARGEST_LINE = 2**24  # characters of a line of CSV; a row of a million numbers fits
LARGEST_DIRECTORY = 2**16  # bytes of a ZIP's table of contents; one of 50 arrays has 4,000
LARGEST_CLASSES = 1000  # more different labels than that are measurements, not labels
LARGEST_LABEL = 2.0**53  # below it, float64 tells any two whole numbers apart
STORED, DEFLATED = 0, 8  # the packings numpy writes; LZMA may ask for gigabytes before it fails

Target = str | int | None
Examples = tuple[NDArray[np.float64], NDArray[np.int64]]  # inputs (n, d) and labels (n,)
Place = Callable[[int, int], str]  # (row, column) -> where that is, in the user's words


def check_table(path: str) -> None:
    """Check that the file exists and that `read_table` can read its format; errors: DataError."""
    if Path(path).suffix.lower() not in READERS:
        raise DataError(f"{shown(path)}: its name ends in none of {', '.join(READERS)}")
    check_file(path)


def read_table(path: str, target: Target = None) -> Examples:
    """Read the inputs and labels in a user's .csv, .npz or .parquet file; errors: DataError.

    `target` is where the labels are: a column's name or position (0 the first; -1, the default, the last)
    or, in an NPZ, an array's name (by default "y"). Every other column is an input. Inputs are finite
    numbers, labels whole numbers of 2 to 1,000 values, which are numbered 0, 1, 2, … in their order.
    """
    check_table(path)
    x, labels = READERS[Path(path).suffix.lower()](path, target)
    values, y = np.unique(labels, return_inverse=True)
    if len(values) < 2:
        raise DataError(f"{shown(path)}: every example has the label {values[0]}; two or more are needed")
    if len(values) > LARGEST_CLASSES:
        raise DataError(
            f"{shown(path)}: {len(values):,} different labels; at most {LARGEST_CLASSES:,} are read. "
            "Is the target a measurement?"
        )
    return x, y.astype(np.int64)


FEW = 20  # different values of a column that may be labels


def look_again(x: NDArray[np.float64], y: NDArray[np.int64], target: Target) -> tuple[str, ...]:
    """What of a table that was read may not be meant, in a sentence each.

    x (n, d) and y (n,) as `read_table` returned them for this `target`.
    """
    ordered = np.sort(x, axis=0)
    counting = np.flatnonzero((np.diff(ordered, axis=0) == 1).all(axis=0)) if len(x) > FEW else []
    notes = [
        f"input {column} (the first is 0) counts the rows: if it is an index that was saved with the table, "
        "take it out"
        for column in counting
    ]
    first = np.unique(x[:, 0])
    if target is None and (first == np.floor(first)).all() and 1 < len(first) <= FEW < len(np.unique(y)):
        notes.append(
            f"the last column is taken for the labels and has {len(np.unique(y))} different ones; the first "
            f"has {len(first)}: if those are the labels, say target=0"
        )
    return tuple(notes)


# What the formats share -----------------------------------------------------------------------------------


def _parted(numbers: NDArray[np.float64], names: Sequence[str], target: int, place: Place) -> Examples:
    """Split a table of shape (n, columns) into its inputs and its labels."""
    if len(names) < 2:
        raise DataError(f"{place(0, 0)}: is the only column; inputs and a label are needed")
    _check_finite(numbers, place)
    labels = _whole(numbers[:, target], lambda row: place(row, target))
    return np.delete(numbers, target, axis=1), labels


def _check_finite(numbers: NDArray[np.float64], place: Place) -> None:
    finite = np.isfinite(numbers)
    if not finite.all():
        row, column = map(int, np.unravel_index(np.argmin(finite), finite.shape))
        raise DataError(f"{place(row, column)}: {numbers[row, column]} is not a finite number")


def _whole(labels: NDArray[np.float64], place: Callable[[int], str]) -> NDArray[np.int64]:
    whole = (labels == np.floor(labels)) & (np.abs(labels) < LARGEST_LABEL)  # false for NaN too
    if not whole.all():
        row = int(np.argmin(whole))
        size = " of less than 2^53" if abs(labels[row]) >= LARGEST_LABEL else ""
        raise DataError(f"{place(row)}: the label {labels[row]} is not a whole number{size}")
    return labels.astype(np.int64)


def _column(names: list[str], target: Target, path: str) -> int:
    """Return the position of the target's column; a negative one counts from the last."""
    if target is None or isinstance(target, int):
        position = -1 if target is None else target
        if not -len(names) <= position < len(names):
            raise DataError(f"{shown(path)}: has no column {position}, only 0 to {len(names) - 1:,}")
        return position
    if names.count(target) == 1:
        return names.index(target)
    if target in names:
        raise DataError(f"{shown(path)}: has {names.count(target)} columns {target!r}; give a position")
    hint = did_you_mean(target, names)
    raise DataError(f"{shown(path)}: has no column {target!r}.{hint} It has {shown(', '.join(names[:50]))}")


# CSV ------------------------------------------------------------------------------------------------------


def read_csv(path: str, target: Target = None) -> Examples:
    """Read a CSV file, whose cells are separated by commas, semicolons or tabs.

    The first line may name the columns, by words or by counting them (see `_is_header`).
    """
    with opened(path, "CSV") as raw:
        lines = _lines(io.TextIOWrapper(raw, "utf-8-sig", newline=""), path)
        first = next(lines, "")
        reader = csv.reader(chain([first], lines), delimiter=max(",;\t", key=first.count), strict=True)
        rows = ((reader.line_num, row) for row in reader if row)  # a blank line holds no example
        start, head = next(rows, (1, []))
        following = next(rows, None)
        rows = chain([following] if following else [], rows)
        if headed := _is_header(head, following[1] if following else [], f"{shown(path)}, line {start:,}"):
            names, words = [name.strip() for name in head], [shown(name.strip()) for name in head]
        else:
            names, words = [""] * len(head), [f"{i} (the first is 0)" for i in range(len(head))]
        numbers, at = _numbers(rows if headed else chain([(start, head)], rows), words, path)
    if not numbers:
        raise DataError(f"{shown(path)}: holds no examples")
    table = np.frombuffer(numbers, np.float64).reshape(len(at), len(names))

    def place(row: int, column: int) -> str:
        return f"{shown(path)}, line {at[row]:,}, column {words[column]}"

    return _parted(table, names, _column(names, target, path), place)


SURE_COUNT = 4  # columns, from which on 0, 1, 2, 3 is hardly an example
GAPS = {"", "?", "na", "n/a", "nan", "null", "none", "-"}  # what people write where a value is missing


def _is_header(cells: Sequence[str], following: Sequence[str], place: str) -> bool:
    """Whether a first line names the columns; errors: DataError where that cannot be told.

    It does if its cells are words, or if its numbers count the columns from 0 or 1: pandas writes ``0,1,2,…``
    for columns without names. A short count may be an example, unless the line that follows has fractions.
    """
    cells = [cell.strip() for cell in cells]
    numbers = [cell for cell in cells if _is_number(cell)]
    others = [cell for cell in cells if not _is_number(cell)]
    counts = len(numbers) > 1 and numbers in (
        [str(i + start) for i in range(len(numbers))] for start in (0, 1)
    )
    if not others:
        if counts and len(cells) < SURE_COUNT and all(map(str.isdecimal, following)):
            raise DataError(
                f"{place}: {','.join(cells)} may be an example or count the columns; name the columns"
            )
        return counts
    gaps = [cell for cell in cells[1:] if cell.lower() in GAPS and not _is_number(cell)]
    if numbers and not counts and (gaps or 2 * len(numbers) > len(cells)):
        found = "an empty cell" if not others[0] else repr(others[0][:40])
        raise DataError(
            f"{place}: {found} among numbers: a gap in an example, or a name? Fill it, or put names first"
        )
    return True


def _lines(text: io.TextIOWrapper, path: str) -> Iterator[str]:
    """Yield the lines of a text, and refuse one that is long enough to fill the memory."""
    number = 1
    while line := text.readline(LARGEST_LINE + 1):
        if len(line) > LARGEST_LINE:
            raise DataError(f"{shown(path)}, line {number:,}: longer than {LARGEST_LINE:,} characters")
        yield line
        number += 1


def _numbers(
    rows: Iterable[tuple[int, list[str]]], words: list[str], path: str
) -> tuple[array[float], array[int]]:
    """Return the numbers of all rows, one after the other, and the line on which each row ends."""
    numbers, at = array("d"), array("q")
    for line, row in rows:
        place = f"{shown(path)}, line {line:,}"
        if len(row) != len(words):
            raise DataError(f"{place}: {len(row):,} cells, where the first line has {len(words):,}")
        try:
            numbers.extend(map(_number, row))
        except ValueError:
            column = next(i for i, cell in enumerate(row) if not _is_number(cell))
            cell = row[column].strip()
            problem = f"{cell[:40]!r} is not a number" if cell else "the cell is empty"
            raise DataError(f"{place}, column {words[column]}: {problem}") from None
        at.append(line)
        if len(numbers) > LARGEST_ARRAY:
            raise DataError(f"{place}: more than {LARGEST_ARRAY:,} numbers; that many are read")
    return numbers, at


def _number(cell: str) -> float:
    """The number in a cell; ValueError for Python's own spellings such as 1_0, which no file means."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True


# NPZ ------------------------------------------------------------------------------------------------------


def read_npz(path: str, target: Target = None) -> Examples:
    """Read the labels (n,) from the array `target` ("y"), the inputs (n, …) from "x" or the only other array.

    Pickled objects are refused, for to unpickle one is to run whatever code it names.
    """
    import zipfile

    with opened(path, "NPZ") as raw:
        _check_directory(raw, path)
        with zipfile.ZipFile(raw) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            inputs, labels = _inputs_and_labels(list(members), target, path)
            x = _npy(archive, members[inputs], f"{path}: {inputs}")
            y = _npy(archive, members[labels], f"{path}: {labels}")
    if y.ndim != 1 or x.ndim < 2 or len(x) != len(y):
        raise DataError(f"{shown(path)}: inputs {x.shape}, labels {y.shape}; (n, d) and (n,) are needed")
    x = x.reshape(len(x), -1)
    _check_finite(x, lambda row, column: f"{shown(path)}: {shown(inputs)}[{row}, {column}]")
    return x, _whole(y, lambda row: f"{shown(path)}: {shown(labels)}[{row}]")


def _inputs_and_labels(names: list[str], target: Target, path: str) -> tuple[str, str]:
    label = "y" if target is None else str(target)
    others = [name for name in names if name != label]
    if label in names and ("x" in others or len(others) == 1):
        return ("x" if "x" in others else others[0]), label
    raise DataError(
        f"{shown(path)}: needs the inputs in an array 'x' and the labels in {label!r}; "
        f"it has {shown(', '.join(map(repr, names))) or 'none'}"
    )


def _check_directory(stream: IO[bytes], path: str) -> None:
    """Refuse a table of contents that would fill the memory, because zipfile reads all of it at once."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 2**16 - 22))  # the end record has 22 bytes and a comment of up to 2**16
    tail = stream.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0:
        raise DataError(f"{shown(path)}: is not an NPZ (a ZIP of arrays), or is cut short")
    listed = int.from_bytes(tail[end + 12 : end + 16], "little")
    zip64 = tail[max(0, end - 20) : end].startswith(b"PK\6\7")
    if listed > LARGEST_DIRECTORY or zip64:
        raise DataError(f"{shown(path)}: lists too many arrays")


def _npy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> NDArray[np.float64]:
    """Read one array of an NPZ as float64, after checking what its header declares against what it holds."""
    if member.compress_type not in (STORED, DEFLATED):
        raise DataError(f"{shown(name)}: packed by method {member.compress_type}, which numpy does not write")
    with archive.open(member) as stream:
        if np.lib.format.read_magic(stream) != (1, 0):  # a 2.0 header may itself be gigabytes long
            raise DataError(f"{shown(name)}: is not an array of plain numbers")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype.kind not in "biuf":
            raise DataError(f"{shown(name)}: holds {dtype}, not numbers")
        check_shape(shape, name)
        declared, held = f"{math.prod(shape) * dtype.itemsize:,}", f"{member.file_size - stream.tell():,}"
        if held != declared:
            raise DataError(
                f"{shown(name)}: declares {times(shape)} {dtype}, {declared} bytes, and has {held}"
            )
        stream.seek(0)
        numbers = np.lib.format.read_array(stream, allow_pickle=False)
    return np.asarray(numbers, np.float64)


# Parquet --------------------------------------------------------------------------------------------------


def read_parquet(path: str, target: Target = None) -> Examples:
    """Read columns of numbers or truth values; a pandas index that was stored with them is left out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(path, "Parquet") as raw:
        file = pq.ParquetFile(raw)
        index = (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])
        schema = [field for field in file.schema_arrow if field.name not in index]
        for kind, name in ((field.type, field.name) for field in schema):
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
                raise DataError(f"{shown(path)}: column {shown(name)} holds {kind}, not numbers")
        names = [field.name for field in schema]
        if len(set(names)) < len(names):
            raise DataError(f"{shown(path)}: two columns have the same name")
        check_shape((file.metadata.num_rows, len(names)), path)
        position = _column(names, target, path)
        table = file.read(columns=names, use_threads=False)
        numbers = np.column_stack([c.cast(pa.float64(), safe=False).to_numpy() for c in table.columns])

    def place(row: int, column: int) -> str:
        return f"{shown(path)}, row {row:,} (the first is 0), column {shown(names[column])}"

    return _parted(numbers, names, position, place)


READERS: dict[str, Callable[[str, Target], Examples]] = {
    ".csv": read_csv,
    ".npz": read_npz,
    ".parquet": read_parquet,
}
