"""The columns of a table -> inputs and labels: which column is the label, and how each other one is encoded.

Whatever is decided here is said in a sentence, which goes into the manifest and the report; what cannot be
decided is asked back in one message that names the columns to choose from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.datasets import tasks
from experiments.datasets.cell_values import is_text, tidied, without_commas
from experiments.datasets.delimited import is_number
from experiments.datasets.readers import DataError, shown
from experiments.datasets.tasks import FEW, LARGEST_CLASSES, REPEATED, listed, target_of
from mlp.registry import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

LARGEST_CATEGORIES = 100  # more different texts than that make too many inputs of one column
SURELY = 3  # so few different whole numbers are labels, whether or not they occur again
TINY = 10  # rows; of so few it cannot be told whether a value occurs again
USUAL = ("target", "label", "labels", "class", "y", "species", "kind", "outcome", "diagnosis", "survived")
MARKERS = (-99, -999, -9999, -99999, 999, 9999, 99999)  # that are written for a gap in a column of numbers
INDEX = ("", "id", "index", "rownames", "unnamed: 0")
IDENTITY = re.compile(r"(.*[\W_])?(id|ID|Id)|.*[a-z](Id|ID)")  # customer_id, PassengerId; not paid

Chosen = str | int | None  # a column by name or position; None: to be found
Place = Callable[[int, int], str]  # (row, column) -> where that is, in the user's words


class Table(NamedTuple):
    """The examples of a table: x (n, d) with NaN for a gap, and the target as `tasks.Target` describes it.

    decisions: what was decided, a sentence each. notes: those of them that a user should look at.
    """

    x: NDArray[np.float64]
    y: NDArray[Any]
    classes: tuple[str, ...]
    decisions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    x_test: NDArray[np.float64] | None = None  # the test part, where the publisher has divided the set
    y_test: NDArray[Any] | None = None
    question: str = ""

    def for_task(self, task: tasks.Task | None, path: str) -> Table:
        """Return the table with its target settled as classes or as numbers; errors: DataError."""
        y = self.y if self.y_test is None else np.concatenate([self.y, self.y_test])
        found, said = tasks.settled(tasks.Target(y, self.classes, self.question), task, path)
        y_test = None if self.y_test is None else found.y[len(self.y) :]
        decisions = (*self.decisions, *said)
        return self._replace(
            y=found.y[: len(self.y)], y_test=y_test, classes=found.classes, decisions=decisions
        )


class Columns:
    """The columns of a frame, each with its name in words, and what was said of them."""

    def __init__(
        self, frame: pd.DataFrame, names: Sequence[str] | None, path: str, place: Place, decimal: str = "."
    ) -> None:
        """Take a frame whose columns are numbered from 0; `names` is None where the table names none."""
        self.path, self.place, self.decimal = path, place, decimal
        self.named = names is not None
        self.names = list(names) if names is not None else [""] * frame.shape[1]
        self.decisions: list[str] = []
        self.notes: list[str] = []
        self.cells = {i: self._read(frame[i], i) for i in range(frame.shape[1])}

    def _read(self, cells: pd.Series, column: int) -> pd.Series:
        values, how = without_commas(tidied(cells, self.decimal), self.decimal)
        if how:
            self.note(f"column {self.word(column)} is read as numbers with {how}")
        return values

    def word(self, column: int) -> str:
        """Return a column as a sentence names it."""
        return repr(shown(self.names[column])) if self.names[column] else f"{column} (the first is 0)"

    def note(self, sentence: str) -> None:
        """Keep a decision that a user should look at."""
        self.decisions.append(sentence)
        self.notes.append(sentence)

    def find(self, wanted: Chosen) -> int:
        """Return the position of a column by name or position (−1 the last); errors: DataError."""
        return position(self.names, wanted, shown(self.path))


def position(names: Sequence[str], wanted: Chosen, path: str) -> int:
    """Return where a column stands among the names, from 0; errors: DataError."""
    if isinstance(wanted, int):
        if not -len(names) <= wanted < len(names):
            raise DataError(f"{path}: has no column {wanted}, only 0 to {len(names) - 1:,}")
        return wanted % len(names)
    if names.count(str(wanted)) == 1:
        return names.index(str(wanted))
    if wanted in names:
        raise DataError(f"{path}: has {names.count(wanted)} columns {wanted!r}; give a position")
    known = [name for name in names if name]
    hint = did_you_mean(str(wanted), known)
    there = (
        f"It has {shown(', '.join(known[:50]))}" if known else "Its columns have no names; give a position"
    )
    raise DataError(f"{path}: has no column {wanted!r}.{hint} {there}")


def table_of(columns: Columns, target: Chosen, drop: Sequence[str | int]) -> Table:
    """Return the examples of a table; errors: DataError for what cannot be read, or has to be asked back."""
    if len(columns.cells) < 2:
        raise DataError(f"{columns.place(0, 0)}: is the only column; inputs and a label are needed")
    for wanted in drop:
        columns.cells.pop(columns.find(wanted), None)
    if drop:
        columns.decisions.append(f"left out as drop= says: {', '.join(map(str, drop))}")
    chosen = None if target is None else columns.find(target)
    if chosen is not None and chosen not in columns.cells:
        raise DataError(f"{shown(columns.path)}: column {columns.word(chosen)} is both target and dropped")
    for column in columns.cells:
        _check_no_stray(columns, column)
    _leave_out_useless(columns, keep=chosen)
    if not columns.cells:
        raise DataError(f"{shown(columns.path)}: no column is left; inputs and a label are needed")
    if chosen is None:
        chosen = _chosen(columns)
    found, known = _labels(columns, chosen)
    if found.classes and not found.question:
        _remark_on_twins(columns, chosen, known)
    x = _inputs(columns, chosen)
    if not x.shape[1]:
        raise DataError(f"{shown(columns.path)}: no column is left for the inputs")
    said = tuple(columns.decisions), tuple(columns.notes)
    return Table(x[known], found.y, found.classes, *said, question=found.question)


# Which column is what -------------------------------------------------------------------------------------


def _leave_out_useless(columns: Columns, keep: int | None) -> None:
    """Leave out, and say so, empty columns, an index that was saved with the table, and names of rows."""
    for column, values in list(columns.cells.items()):
        reason = _why_useless(columns, column, values)
        if reason and column != keep:
            del columns.cells[column]
            columns.note(f"column {columns.word(column)} is left out: {reason}")


def _why_useless(columns: Columns, column: int, values: pd.Series) -> str:
    if values.isna().all():
        return "it is empty"
    is_index = columns.named and columns.names[column].lower() in INDEX
    if is_number_column(values):
        return _why_index(columns, column, values, is_index)
    different = values.nunique()
    if is_text(values) and (is_index or not is_repeated(values)):
        return f"its {different:,} different texts name the rows"
    return ""


def _why_index(columns: Columns, column: int, values: pd.Series, is_index: bool) -> str:
    """Return why numbers are an index and no input; where they may be one, note it and return ""."""
    numbers, word = values.to_numpy(np.float64, na_value=np.nan), columns.word(column)
    if len(values) < 3 or np.isnan(numbers).any():
        return ""
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers near the ends of the format
        counts = bool((np.diff(numbers) == 1).all())
    differ = bool(values.is_unique)
    if is_index and differ:
        told = "it counts the rows" if counts else "it has another number in each row"
        return f"{told}, as an index that was saved with the table"
    if counts and len(values) > FEW:
        columns.note(f"column {word} counts the rows and is an input: if it is an index, say drop=")
    elif differ and _are_whole(numbers) and IDENTITY.fullmatch(columns.names[column]):
        told = "has another number in each row and is an input: if it is an index, say drop="
        columns.note(f"column {word} {told}")
    return ""


def is_repeated(values: pd.Series) -> bool:
    """Return whether the values of a column occur twice or more in the mean, or are too few to tell."""
    known = int(values.notna().sum())
    return known <= TINY or 2 * values.nunique() <= known


def is_number_column(values: pd.Series) -> bool:
    """Return whether a column holds numbers; truth values are none."""
    return not is_text(values) and values.dtype != bool


WORDS, SOME, MANY, NO = 3, 2, 1, 0  # how likely a column holds labels: words, some whole numbers, many, no


def _rank(values: pd.Series) -> int:
    if is_number_column(values) and not _are_whole(values.to_numpy(np.float64, na_value=np.nan)):
        return NO
    different, known = values.nunique(), int(values.notna().sum())
    if not 2 <= different <= LARGEST_CLASSES:
        return NO
    if not is_number_column(values):
        return WORDS if is_repeated(values) else NO
    if different <= FEW and (different <= SURELY or REPEATED * different <= known):
        return SOME
    return MANY if REPEATED * different <= known else NO


def _are_whole(numbers: NDArray[np.float64]) -> bool:
    """Return whether all numbers but gaps are whole, without pandas: 20,000 columns would take it long."""
    known = numbers[~np.isnan(numbers)]
    return bool((np.isfinite(known) & (known == np.floor(known))).all())


def _chosen(columns: Columns) -> int:
    """Return the column of the labels; errors: DataError where several may be meant.

    It is the one with a usual name; else the only one that is likeliest to hold labels, unless the last might
    do, too; else, where no column holds words, the last one if it may hold labels.
    """
    ranks = {column: _rank(values) for column, values in columns.cells.items()}
    last, highest = max(ranks), max(ranks.values())
    best = [column for column, rank in ranks.items() if rank == highest]
    usual = [column for column in ranks if columns.names[column].lower() in USUAL and ranks[column]]
    if len(usual) == 1:
        return _said(columns, usual[0], "by its name")
    if highest == NO and len(columns.cells[last]) > TINY:
        raise DataError(_measurement(columns, last))
    if not usual and (highest == NO or (last in best and (highest < WORDS or len(best) == 1))):
        return _said(columns, last, "the last")
    if not usual and len(best) == 1 and ranks[last] <= MANY:
        columns.notes.append(f"column {columns.word(best[0])} is taken for the labels; if not, say target=")
        return _said(columns, best[0], "the only one that looks like labels")
    likely = usual or [column for column, rank in ranks.items() if rank >= min(SOME, highest)]
    raise DataError(_question(columns, likely))


def _question(columns: Columns, likely: Sequence[int]) -> str:
    """Ask for the target, with the columns that may be meant."""
    named = [f"{columns.word(column)} ({columns.cells[column].nunique()} values)" for column in likely]
    first = columns.names[likely[0]] or likely[0]
    return (
        f"{shown(columns.path)}: which column holds the labels? Say target=, as in target={first!r}; these "
        f"may: {listed(named)}"
    )


def _measurement(columns: Columns, last: int) -> str:
    """Say that no column looks like labels."""
    values = columns.cells[last]
    return (
        f"{shown(columns.path)}: no column looks like labels: the last, {columns.word(last)}, has "
        f"{values.nunique():,} different values in {count_of(len(values), 'row')}, as a measurement has. "
        "Say target= if another or this one is meant; a measurement is learnt as a number (a regression)"
    )


def _said(columns: Columns, column: int, why: str) -> int:
    columns.decisions.append(f"the labels are column {columns.word(column)}, {why}")
    return column


# Labels ---------------------------------------------------------------------------------------------------


def _labels(columns: Columns, column: int) -> tuple[tasks.Target, NDArray[np.bool_]]:
    """Return the target where it is there, and which rows have one, (n,); errors: DataError."""
    values = columns.cells[column]
    known = values.notna().to_numpy()
    if not known.all():
        gone = count_of(int((~known).sum()), "row")
        columns.note(f"left out for want of a label: {gone}")
    rows = np.flatnonzero(known)
    found = target_of(
        values[known].to_numpy(), lambda row: columns.place(int(rows[row]), column), columns.path
    )
    return found, known


def count_of(number: int, thing: str) -> str:
    """Return a number with its thing: ``1 row``, ``3 rows``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _remark_on_twins(columns: Columns, target: int, known: NDArray[np.bool_]) -> None:
    """Say which other columns tell the label outright, value by value."""
    import pandas as pd

    labels = columns.cells[target][known]
    different = labels.nunique()
    for column, values in columns.cells.items():
        values = values if known.all() else values[known]
        if column == target or values.nunique() != different:
            continue
        pairs = pd.DataFrame({"a": values, "b": labels}).drop_duplicates()
        if len(pairs) == different and pairs["a"].notna().all():
            word = columns.word(column)
            columns.note(
                f"column {word} tells the label outright, value by value: if it is no input, say drop="
            )


# Inputs ---------------------------------------------------------------------------------------------------


def _inputs(columns: Columns, target: int) -> NDArray[np.float64]:
    """Return every column but the label as numbers, (n, d): texts as one input of 0 or 1 for each value."""
    parts, encoded = [], []
    for column, values in columns.cells.items():
        if column == target:
            continue
        if not is_text(values):
            numbers = values.to_numpy(np.float64, na_value=np.nan)
            _remark_on_a_marker(numbers, columns, column)
            _check_not_infinite(numbers, columns, column)
            parts.append(numbers[:, None])
            continue
        parts.append(_one_hot(columns, column))
        encoded.append(f"{columns.word(column)} ({parts[-1].shape[1]})")
    if encoded:
        said = f"texts become inputs of 0 or 1, one for each value: {listed(encoded)}"
        columns.decisions.append(said)
    return np.concatenate(parts, axis=1) if parts else np.empty((len(columns.cells[target]), 0))


def _one_hot(columns: Columns, column: int) -> NDArray[np.float64]:
    """Return (n, values) of 0 and 1, the values in alphabetical order; a gap is a value too, the last."""
    import pandas as pd

    values = columns.cells[column]
    if values.nunique() > LARGEST_CATEGORIES:
        word, name = columns.word(column), columns.names[column] or column
        raise DataError(
            f"{shown(columns.path)}: column {word} holds {values.nunique():,} different texts; at most "
            f"{LARGEST_CATEGORIES} become inputs. Leave it out: drop={name!r}"
        )
    return pd.get_dummies(values, dummy_na=bool(values.isna().any()), dtype=np.float64).to_numpy()


def _check_no_stray(columns: Columns, column: int) -> None:
    """Refuse a column of texts of which at least half are numbers; errors: DataError at the first other."""
    values = columns.cells[column].dropna()
    if not is_text(values):
        return
    marks = np.array([is_number(cell, columns.decimal) for cell in values])
    if marks.any() and 2 * marks.sum() >= len(marks):
        row = int(values.index[int(np.argmin(marks))])
        cell = values.iloc[int(np.argmin(marks))]
        name = columns.names[column] or column
        raise DataError(
            f"{columns.place(row, column)}: {cell[:40]!r} is not a number, as others of the column are; "
            f"mend it, or say drop={name!r}"
        )


def _remark_on_a_marker(numbers: NDArray[np.float64], columns: Columns, column: int) -> None:
    """Say where a number that people write for a gap stands far from all others of its column."""
    for marker in MARKERS:
        there = numbers == marker
        others = np.abs(numbers[~there & np.isfinite(numbers)])
        if there.any() and len(others) and others.max() < abs(marker) / 10:
            times = count_of(int(there.sum()), "time")
            columns.note(
                f"column {columns.word(column)} holds {marker:g} {times}, far from "
                "its other numbers: if it stands for a gap, leave these cells empty"
            )


def _check_not_infinite(numbers: NDArray[np.float64], columns: Columns, column: int) -> None:
    infinite = np.isinf(numbers)
    if infinite.any():
        row = int(np.argmax(infinite))
        raise DataError(f"{columns.place(row, column)}: {numbers[row]} is not a finite number")
