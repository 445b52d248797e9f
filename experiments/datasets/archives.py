"""NumPy archives (.npz) -> inputs and labels, by the names that people give to these arrays.

Pickled objects are refused, for to unpickle one is to run whatever code it names.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.datasets.readers import DataError, check_shape, opened, shown, times
from experiments.datasets.table_columns import Chosen, Table
from experiments.datasets.tasks import target_of

if TYPE_CHECKING:
    import zipfile

LARGEST_DIRECTORY = 2**16  # bytes of a ZIP's table of contents; one of 50 arrays has 4,000
STORED, DEFLATED = 0, 8  # the packings numpy writes; LZMA may ask for gigabytes before it fails
INPUTS = ("x", "data", "features", "images", "inputs", "arr_0")
LABELS = ("y", "labels", "label", "targets", "target", "classes", "arr_1")
TRAIN, TEST = "train", "test"


class Pair(NamedTuple):
    """The names of the arrays that hold the inputs and the labels of one part of a data set."""

    inputs: str
    labels: str


def read_npz(path: str, target: Chosen = None, drop: Sequence[str | int] = ()) -> Table:
    """Return the inputs (n, …) as rows and the labels (n,) in an archive; errors: DataError.

    The arrays are found by their names, such as x and y, data and target, x_train and y_train, arr_0 and
    arr_1; `target` names that of the labels. A test part is kept as the publisher has divided it.
    """
    import zipfile

    if drop:
        raise DataError(f"{shown(path)}: drop= leaves out columns of a table; an NPZ has arrays")
    with opened(path, "NPZ") as raw:
        _check_directory(raw, path)
        with zipfile.ZipFile(raw) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            pairs = _pairs(list(members), target, path)
            parts = [_part(archive, members, pair, path) for pair in pairs]
    used = {name for pair in pairs for name in pair}
    decisions = [f"the inputs are {pairs[0].inputs!r} and the labels {pairs[0].labels!r}"]
    if left := [name for name in members if name not in used]:
        decisions.append(shown(f"arrays that are not read: {', '.join(left)}"))
    (x, labels), *tests = parts
    found = target_of(
        np.concatenate([y for _, y in parts]),
        lambda row: f"{shown(path)}: {shown(pairs[0].labels)}[{row}]",
        path,
    )
    y, y_test = found.y[: len(labels)], found.y[len(labels) :]
    if not tests:
        return Table(x, y, found.classes, tuple(decisions), question=found.question)
    if x.shape[1] != tests[0][0].shape[1]:
        raise DataError(f"{shown(path)}: the test examples have other inputs than those to train on")
    decisions.append(f"the test examples are {pairs[1].inputs!r}: test= divides nothing")
    return Table(
        x, y, found.classes, tuple(decisions), x_test=tests[0][0], y_test=y_test, question=found.question
    )


def _pairs(names: list[str], target: Chosen, path: str) -> list[Pair]:
    """Return the names of the training pair, and of the test pair if there is one; errors: DataError."""
    if target is None:
        train = _pair(names, "") or _pair(names, TRAIN)
        test = _pair(names, TEST) if train else None
        if train:
            return [train, *([test] if test and test != train else [])]
    label = str(target) if target is not None else _first(names, LABELS, "")
    others = [name for name in names if name != label]
    inputs = _first(others, INPUTS, "") or (others[0] if len(others) == 1 else None)
    if label in names and inputs is not None:
        return [Pair(inputs, str(label))]
    raise DataError(
        f"{shown(path)}: needs the inputs in an array 'x' and the labels in 'y', or say target=; "
        f"it has {shown(', '.join(map(repr, names))) or 'none'}"
    )


def _pair(names: Sequence[str], part: str) -> Pair | None:
    inputs, labels = _first(names, INPUTS, part), _first(names, LABELS, part)
    return Pair(inputs, labels) if inputs and labels else None


def _first(names: Sequence[str], words: Sequence[str], part: str) -> str | None:
    """Return the first array whose name is one of the words, with the part before or after it."""
    spelled = {name.lower(): name for name in names}
    forms = [form for w in words for form in ((f"{w}_{part}", f"{part}_{w}", f"{w}{part}") if part else (w,))]
    return next((spelled[form] for form in forms if form in spelled), None)


def _part(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], pair: Pair, path: str
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the inputs (n, d) and the labels (n,) of a part; errors: DataError."""
    x = np.asarray(_npy(archive, members[pair.inputs], f"{path}: {pair.inputs}"), np.float64)
    y = _npy(archive, members[pair.labels], f"{path}: {pair.labels}", texts=True)
    return as_examples(x, y, path, pair)


def as_examples(
    x: NDArray[Any], y: NDArray[Any], path: str, pair: Pair
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return inputs (n, …) as rows (n, d) and labels, also (n, 1) or one-hot, as (n,)."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and y.dtype.kind in "biuf" and ((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all():
        y = y.argmax(axis=1)
    if y.ndim != 1 or x.ndim < 2 or len(x) != len(y):
        raise DataError(f"{shown(path)}: inputs {x.shape}, labels {y.shape}; (n, d) and (n,) are needed")
    x = x.reshape(len(x), -1)
    infinite = np.isinf(x)
    if infinite.any():
        row, column = map(int, np.unravel_index(np.argmax(infinite), x.shape))
        place = f"{shown(path)}: {shown(pair.inputs)}[{row}, {column}]"
        raise DataError(f"{place}: {x[row, column]} is not a finite number")
    return x, y


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


def _npy(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, *, texts: bool = False
) -> NDArray[Any]:
    """Read one array of an NPZ, after checking what its header declares against what it holds."""
    if member.compress_type not in (STORED, DEFLATED):
        raise DataError(f"{shown(name)}: packed by method {member.compress_type}, which numpy does not write")
    with archive.open(member) as stream:
        if np.lib.format.read_magic(stream) != (1, 0):  # a 2.0 header may itself be gigabytes long
            raise DataError(f"{shown(name)}: is not an array of plain numbers")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype.kind not in ("biufUS" if texts else "biuf"):
            raise DataError(f"{shown(name)}: holds {dtype}, not numbers")
        check_shape(shape, name)
        declared, held = f"{math.prod(shape) * dtype.itemsize:,}", f"{member.file_size - stream.tell():,}"
        if held != declared:
            raise DataError(
                f"{shown(name)}: declares {times(shape)} {dtype}, {declared} bytes, and has {held}"
            )
        stream.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array
