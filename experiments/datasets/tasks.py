"""What is learnt of a table: its target as a class, or as a number (a regression).

Words are classes, and many different fractions are numbers. Whole numbers may be either: few different ones
are classes, and many of which hardly one occurs twice are asked back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.datasets.readers import DataError, shown

Task = Literal["classification", "regression"]

LARGEST_CLASSES = 1000  # more different labels than that are measurements, not labels
LARGEST_LABEL = 2.0**53  # below it, float64 tells any two whole numbers apart
FEW = 20  # different numbers of a column that may well be labels
REPEATED = 3  # more different whole numbers have to occur so often in the mean to be labels
NAMED = 12  # classes or columns that a sentence names
AS_NUMBER = "task='regression' learns it as a number"


class Target(NamedTuple):
    """A target before its task is settled.

    y (n,) is int64 from 0, with the classes' names, or float64 with none where these cannot be classes.
    question: what to ask where no task is said, "" where there is nothing to ask.
    """

    y: NDArray[Any]
    classes: tuple[str, ...]
    question: str = ""


def target_of(values: NDArray[Any], place: Callable[[int], str], path: str) -> Target:
    """Return what a column (n,) of words, truth values or numbers says as a target.

    place(row) says where a value stands. Errors: DataError for a number that is not finite.
    """
    if values.dtype.kind not in "iuf":
        return _classes_of(values)
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise DataError(f"{place(row)}: the label {numbers[row]} is not a finite number")
    different = len(np.unique(numbers))
    whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < LARGEST_LABEL)
    if values.dtype.kind == "f" and not whole.all():
        return Target(numbers, (), _fractions(numbers, whole, place) if different <= FEW else "")
    if different > LARGEST_CLASSES:
        return Target(numbers, (), f"{shown(path)}: {_too_many(different)} {AS_NUMBER}")
    found = _classes_of(values if values.dtype.kind in "iu" else numbers.astype(np.int64))
    if different > FEW and REPEATED * different > len(numbers):
        asked = f"the target has {different:,} different whole numbers in {len(numbers):,} examples"
        question = f"{shown(path)}: {asked}: {AS_NUMBER}, task='classification' each as a class"
        return found._replace(question=question)
    return found


def _classes_of(values: NDArray[Any]) -> Target:
    classes, y = np.unique(values, return_inverse=True)
    return Target(y.astype(np.int64), tuple(map(str, classes.tolist())))


def _fractions(numbers: NDArray[np.float64], whole: NDArray[np.bool_], place: Callable[[int], str]) -> str:
    """Ask about a few different numbers of which some cannot be a class."""
    row = int(np.argmin(whole))
    size = " of less than 2^53" if abs(numbers[row]) >= LARGEST_LABEL else ""
    return f"{place(row)}: the label {numbers[row]} is not a whole number{size}; {AS_NUMBER}"


def settled(target: Target, task: Task | None, path: str) -> tuple[Target, list[str]]:
    """Return the target as the task has it, and sentences on its classes; errors: DataError.

    int64 classes for a classification; float64 and no classes for a regression.
    """
    if task is None and target.question:
        raise DataError(target.question)
    if task == "regression" or (task is None and not target.classes):
        return Target(_numbers(target, path), ()), []
    if not target.classes:
        asked = target.question or f"{shown(path)}: the target's fractions are no classes; {AS_NUMBER}"
        raise DataError(asked)
    _check_classes(target.classes, path)
    return target, class_sentences(target.y, target.classes)


def _numbers(target: Target, path: str) -> NDArray[np.float64]:
    if not target.classes:
        return target.y.astype(np.float64)
    try:
        return np.array([float(name) for name in target.classes])[target.y]
    except ValueError:
        named = shown(listed(target.classes))
        raise DataError(
            f"{shown(path)}: task='regression' needs numbers, and the target holds {named}"
        ) from None


def _check_classes(classes: Sequence[str], path: str) -> None:
    if len(classes) < 2:
        raise DataError(
            f"{shown(path)}: every example has the label {shown(classes[0])}; two or more are needed"
        )
    if len(classes) > LARGEST_CLASSES:
        raise DataError(f"{shown(path)}: {_too_many(len(classes))}")


def _too_many(different: int) -> str:
    return (
        f"{different:,} different labels; at most {LARGEST_CLASSES:,} are read. Is the target a measurement?"
    )


def class_sentences(y: NDArray[np.int64], names: Sequence[str]) -> list[str]:
    """Say how the classes are numbered, how many examples each has, and what a constant answer scores."""
    counts = np.bincount(y, minlength=len(names))
    classes = [f"{i} = {shown(name)} ({counts[i]:,})" for i, name in enumerate(names)]
    largest = int(counts.argmax())
    share = f"{counts[largest] / counts.sum():.1%}"
    return [
        f"classes and their examples: {listed(classes)}",
        f"the largest class, {shown(names[largest])}, has {share} of the examples: that is the accuracy of "
        "always answering it",
    ]


def listed(items: Sequence[str]) -> str:
    """Return the items in one line, the first NAMED of them by name."""
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return f"{', '.join(items[:NAMED])}{more}"
