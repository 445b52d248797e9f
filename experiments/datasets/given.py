"""Data from Python as a data set by name: arrays, a pandas frame, or what scikit-learn's loaders return."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.datasets.archives import Pair, as_examples
from experiments.datasets.catalogue import DATASETS, Source
from experiments.datasets.preparation import Gaps, Preparation, Scale, Shift, SplitSeed, Test, divided
from experiments.datasets.readers import DataError
from experiments.datasets.table_columns import Chosen, Columns, Table, count_of, table_of
from experiments.datasets.tasks import Task, target_of


def give(name: str, data: Any, target: Chosen = None) -> None:
    """Register data as the data set `name`, which then is a value of `dataset`; errors: DataError.

    data: (x, y) with x (n, …) and y (n,), each an array or of pandas; a frame, whose column `target` holds
    the labels and is found as that of a file is; or a scikit-learn Bunch. Words, truth values and gaps are
    treated as those of a file (`table_columns`). Fractions as y are learnt as numbers, a regression;
    whole numbers with ``dataset: name(task='regression')``. What was given under this name before is
    replaced. The contents, not the name alone, are part of a run's identity.
    """
    if not name.isidentifier():
        raise DataError(f"data: {name!r} cannot be the name of a data set: letters, digits and _ make a name")
    table = _table(name, data, target)
    if not table.question:  # else it is asked when the data are used, since only then a task may be said
        table.for_task(None, f"data {name!r}")
    DATASETS(_factory(name, table))


def _table(name: str, data: Any, target: Chosen) -> Table:
    if hasattr(data, "data") and hasattr(data, "target"):  # a Bunch of scikit-learn
        names = getattr(data, "target_names", None)
        table = _table(name, (data.data, data.target), None)
        if names is not None and len(names) == len(table.classes) and np.ndim(names) == 1:
            table = table._replace(classes=tuple(map(str, names)))
        return table
    if isinstance(data, tuple | list) and len(data) == 2:
        x, y = data
        if not _is_frame(x):
            return _of_arrays(name, x, y)
        label = "target"
        while label in x.columns:  # an input of this name is kept
            label += "_"
        return _of_frame(name, x.assign(**{label: _bare(y)}), label)
    if _is_frame(data):
        return _of_frame(name, data, target)
    raise DataError(
        f"data {name!r}: {type(data).__name__} is none of what can be given: (x, y), a pandas frame, or "
        "what a loader of scikit-learn returns"
    )


def _is_frame(data: Any) -> bool:
    return hasattr(data, "columns") and hasattr(data, "assign")


def _bare(y: Any) -> Any:
    """Return labels without an index, by which pandas would pair them."""
    return np.asarray(y).reshape(len(y), -1)[:, 0]


def _of_frame(name: str, frame: Any, target: Chosen) -> Table:
    names = [str(column) for column in frame.columns]

    def place(row: int, column: int) -> str:
        return f"data {name!r}, row {row:,} (the first is 0), column {names[column]}"

    frame = frame.reset_index(drop=True).set_axis(range(len(names)), axis=1)
    return table_of(Columns(frame, names, f"data {name!r}", place), target, ())


def _of_arrays(name: str, x: Any, y: Any) -> Table:
    if hasattr(x, "toarray"):
        raise DataError(f"data {name!r}: x is a sparse matrix; give x.toarray()")
    inputs, labels = np.asarray(x), np.asarray(y)
    inputs, labels, notes = _with_label(inputs, labels)
    if inputs.dtype.kind not in "biuf" or labels.dtype.kind not in "biufUS":
        held = f"{inputs.dtype} and {labels.dtype}"
        raise DataError(f"data {name!r}: holds {held}, not numbers; a frame may have words")
    rows, labels = as_examples(inputs.astype(np.float64), labels, f"data {name!r}", Pair("x", "y"))
    found = target_of(labels, lambda row: f"data {name!r}: y[{row}]", f"data {name!r}")
    return Table(rows, found.y, found.classes, notes, notes, question=found.question)


def _with_label(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], tuple[str, ...]]:
    """Return the examples that have a label, objects as texts, and a sentence where some have none."""
    import pandas as pd

    if y.dtype.kind not in "Of" or y.ndim != 1 or len(x) != len(y):
        return x, y, ()
    gone = pd.isna(y)
    kept = y[~gone].astype(str) if y.dtype == object else y[~gone]
    told = (f"left out for want of a label: {count_of(int(gone.sum()), 'row')}",) if gone.any() else ()
    return x[~gone], kept, told


def _factory(name: str, table: Table) -> Callable[..., Source]:
    """Return the function that describes the data set, as those of the catalogue do."""
    digest = hashlib.sha256(repr((table.x.shape, table.classes)).encode())
    for part in (table.x, table.y):
        digest.update(np.ascontiguousarray(part).tobytes())
    known = digest.hexdigest()[:16]

    def factory(
        *,
        task: Task | None = None,
        gaps: Gaps = "median",
        test: Test = 0.2,
        scale: Scale = "standard",
        shift: Shift = 0.0,
        alternate: bool = False,
        split_seed: SplitSeed = 0,
    ) -> Source:
        preparation = Preparation(scale, shift, split_seed, alternate)
        return Source(
            lambda: divided(table, preparation, test, gaps, task, f"data {name!r}"),
            preparation,
            training=None,
            own=True,
            fingerprint=lambda: known,
        )

    factory.__name__ = name
    kinds = f"{len(table.classes)} classes" if table.classes else "a number"
    factory.__doc__ = f"Given from Python: {len(table.y):,} examples of {kinds}."
    factory.again = partial(_factory, name, table)  # type: ignore[attr-defined]  # for workers: `shipping`
    return factory
