"""Data sets by name: real digits and images, generated classes, and the user's own files.

A factory describes a data set without reading it, so that a config can be checked at once; `load` reads it,
divides it and scales it. The options that all of them share:

``test``        the share of examples held out; where the publisher has divided the set, a number of them
``scale``       "standard": mean 0 and variance 1 for each feature; a constant feature becomes 0
                "overall": one mean and one variance for all, so that the inputs' mean square is exactly 1
                "sphere": overall, then every example brought to mean square 1 by itself, as theory has it
                "unit": for each feature the smallest value becomes 0 and the largest 1; not centred
                "range": the same with one smallest and one largest for all, as of pixels over 255
                "symmetric": the smallest of all becomes −1 and the largest 1
                "none": as they come
``shift``       added to every input after scaling: the same problem, its inputs not centred
``alternate``   every second feature is shifted the other way: as far from centred, but not of one sign
``split_seed``  settles which examples are held out, the order of the others and, if generated, all of them

Whatever scaling needs is measured on the training part alone. A path is taken from the working folder.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from experiments.datasets import published
from experiments.datasets.preparation import (
    Gaps,
    Parts,
    Preparation,
    Scale,
    Shift,
    SplitSeed,
    Test,
    check_within,
    divided,
    fair_order,
    held_out,
)
from experiments.datasets.readers import DataError, check_file, file_digest, shown
from experiments.datasets.tables import check_table, read_table
from experiments.datasets.tasks import Task
from mlp.registry import Count, Registry, Within

__all__ = [
    "DATASETS", "DataError", "Dataset", "DatasetName", "decisions", "fingerprint", "load", "training_size",
]  # fmt: skip

DATASETS = Registry("dataset", {"two_moons": "moons", "make_moons": "moons", "make_blobs": "blobs"})
DatasetName = Annotated[str, DATASETS]  # the type of an option that is a data set's call-text
Position = Annotated[int, Within(-1_000_000, 1_000_000)]  # of a column; a negative one counts from the last
READING = 5  # raised whenever the same file would be read as other numbers: runs on it get other ids
KEPT = 4  # data sets that stay in memory; a sweep over several finishes one before the next
DIGITS = 1797  # examples in scikit-learn's copy of the UCI digits

Examples = tuple[NDArray[Any], NDArray[np.int64]]
Stamps = tuple[tuple[str, int, int], ...]  # absolute path, bytes and time of change of each file


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples to train on and examples held out; the arrays are shared and read-only.

    x: (n, d) float64;  y: (n,) int64 from 0 to classes - 1.  The first m training examples hold the classes
    in proportion whatever m is, so that a probe set may be cut from the front.
    Of a regression y is (n,) float64 with mean 0 and variance 1 in training, `unit` the deviation that it was
    divided by, and `classes` 1, the network's outputs.
    """

    x: NDArray[np.float64]
    y: NDArray[Any]
    x_test: NDArray[np.float64]
    y_test: NDArray[Any]
    classes: int
    name: str  # the canonical call-text
    notes: str = ""  # what the name does not say and a user should look at
    decisions: tuple[str, ...] = ()  # what was decided in reading a user's data, these notes included
    fingerprint: str = ""  # of what these arrays were read from, as `fingerprint` gives it
    unit: float = 1.0

    @property
    def is_regression(self) -> bool:
        """Whether a number is learnt and not a class."""
        return self.y.dtype.kind == "f"


@dataclass(frozen=True)
class Source:
    """A data set before it is read, as its factory describes it."""

    read: Callable[[], Parts]
    preparation: Preparation
    training: int | None  # the number of training examples; None where only reading can tell
    files: tuple[str, ...] = ()
    own: bool = False  # whether these are a user's data, of which it is to be said how they were read
    fetch: Callable[[], None] = lambda: None
    fingerprint: Callable[[], str] = lambda: ""
    notes: str = ""


def load(text: str) -> Dataset:
    """The data set that a call-text names, kept for the next call; errors: RegistryError, DataError."""
    source = _source(text)
    source.fetch()
    return _load(DATASETS.canonical(text), _stamps(source))


def training_size(text: str) -> int | None:
    """How many training examples `load` would give, without loading; None where only reading can tell.

    Checks the range of every option and that the files are there: the door for a config's data sets.
    """
    return _source(text).training


def fingerprint(text: str) -> str:
    """What of the data its call-text does not settle: a hash of a user's file, "" for built-in data."""
    source = _source(text)
    source.fetch()
    return _fingerprint(DATASETS.canonical(text), _stamps(source))


def decisions(text: str) -> tuple[str, ...]:
    """Return what was decided in reading a user's data, a sentence each; nothing of built-in data.

    Which column is the label, what the classes are and how many examples each has, how texts and gaps are
    treated, what is left out: for the manifest and the report.
    """
    return load(text).decisions if is_own(text) else ()


def is_own(text: str) -> bool:
    """Return whether these are a user's data, a file or given from Python."""
    return _source(text).own


@lru_cache(maxsize=KEPT)
def _load(name: str, stamps: Stamps) -> Dataset:
    source = _source(name)
    parts = source.read()
    try:
        x, x_test = source.preparation.apply(parts)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    arrays = (x, parts.y, x_test, parts.y_test)
    for array in arrays:
        array.flags.writeable = False
    found = _fingerprint(name, stamps)
    if _stamps(source) != stamps:
        raise DataError(f"{name}: was changed while it was read")
    notes = "; ".join(filter(None, [source.notes, *parts.notes]))
    return Dataset(*arrays, parts.classes, name, notes, parts.decisions, found, parts.unit)


@lru_cache
def _fingerprint(name: str, stamps: Stamps) -> str:
    return _source(name).fingerprint()


def _source(text: str) -> Source:
    source: Source = DATASETS.bind(text)()
    return source


def _stamps(source: Source) -> Stamps:
    """Differs once a file is changed, or another working folder makes the same path another file."""
    facts = [(os.path.abspath(path), check_file(path)) for path in source.files]
    return tuple((path, found.st_size, found.st_mtime_ns) for path, found in facts)


# Real examples --------------------------------------------------------------------------------------------


@DATASETS
def digits(
    *,
    test: Test = 0.2,
    scale: Scale = "standard",
    shift: Shift = 0.0,
    alternate: bool = False,
    split_seed: SplitSeed = 0,
) -> Source:
    """1,797 handwritten digits of 8 × 8 pixels, 10 classes.  UCI, Alpaydin & Kaynak 1998; in scikit-learn."""
    preparation = Preparation(scale, shift, split_seed, alternate)
    training = DIGITS - held_out(test, DIGITS)
    return Source(lambda: preparation.divide(*_read_digits(), test), preparation, training)


def _read_digits() -> Examples:
    """From scikit-learn's file; importing scikit-learn for it would take 2 s, reading takes 15 ms."""
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise DataError("digits: comes with scikit-learn, which is not installed: pip install scikit-learn")
    path = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        table = np.loadtxt(path, delimiter=",")
        return table[:, :-1], table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x, y.astype(np.int64)


@DATASETS
def fashion_mnist(
    *,
    train: Count | None = None,
    test: Count | None = None,
    scale: Scale = "overall",
    shift: Shift = 0.0,
    alternate: bool = False,
    split_seed: SplitSeed = 0,
) -> Source:
    """Clothes of 28 × 28 pixels, 10 classes; `train` of 60,000, `test` of 10,000.  Xiao et al. 2017."""
    return _images("fashion_mnist", train, test, Preparation(scale, shift, split_seed, alternate))


@DATASETS
def mnist(
    *,
    train: Count | None = None,
    test: Count | None = None,
    scale: Scale = "overall",
    shift: Shift = 0.0,
    alternate: bool = False,
    split_seed: SplitSeed = 0,
) -> Source:
    """Digits of 28 × 28 pixels, 10 classes; `train` of 60,000, `test` of 10,000.  LeCun et al. 1998."""
    return _images("mnist", train, test, Preparation(scale, shift, split_seed, alternate))


def _images(name: str, train: int | None, test: int | None, preparation: Preparation) -> Source:
    """A published set of images; where its test images alone are found, they are divided 4 to 1."""
    pairs = published.locate(name)
    there = published.count(pairs[-1], published.TEST)
    notes = ""
    if len(pairs) == 1:
        notes = f"the training images were not found; the {there:,} test images are divided"
        test = held_out(0.2, there) if test is None else test
    tested = there if test is None else test
    left = published.count(pairs[0], published.TRAIN) - (tested if len(pairs) == 1 else 0)
    trained = left if train is None else train
    check_within("test", tested, 1, there if len(pairs) == 2 else there - 1)
    check_within("train", trained, 1, left)

    def read() -> Parts:
        x, y = published.read_pair(name, pairs[0])
        order = fair_order(y, preparation.rng("split"))
        x_test, y_test, order_test = x, y, order[:tested]
        if len(pairs) == 1:
            order = order[tested:]
        else:
            x_test, y_test = published.read_pair(name, pairs[1])
            order_test = fair_order(y_test, preparation.rng("test"))[:tested]
        order = order[:trained]
        return Parts(x[order], y[order], x_test[order_test], y_test[order_test], published.CLASSES)

    return Source(
        read,
        preparation,
        trained,
        files=tuple(path for pair in pairs for path in pair),
        fetch=lambda: published.fetch(name, pairs),
        fingerprint=lambda: published.fingerprint(name, pairs),
        notes=notes,
    )


@DATASETS
def file(
    *,
    path: str = "",
    target: str | Position | None = None,
    drop: list[str | Position] | str | Position | None = None,
    task: Task | None = None,
    gaps: Gaps = "median",
    test: Test = 0.2,
    scale: Scale = "standard",
    shift: Shift = 0.0,
    alternate: bool = False,
    split_seed: SplitSeed = 0,
) -> Source:
    """The user's own text, Parquet or NPZ table; `target` is the labels' column, `drop` those to leave out.

    Texts become inputs of 0 or 1. gaps: "median" fills a missing number with that of the training part,
    "drop" leaves the example out, "refuse" reads no table that has one. task: "classification" or
    "regression", which learns the target as a number; told by the column where it can be.
    """
    if not path:
        raise DataError("file: needs a path, as in file(path='measurements.csv', target='kind')")
    check_table(path)
    preparation = Preparation(scale, shift, split_seed, alternate)
    dropped = drop if isinstance(drop, list) else [] if drop is None else [drop]

    return Source(
        lambda: divided(read_table(path, target, dropped), preparation, test, gaps, task, shown(path)),
        preparation,
        training=None,
        files=(path,),
        own=True,
        fingerprint=lambda: hashlib.sha256(f"{READING} {file_digest(path)}".encode()).hexdigest()[:16],
    )
