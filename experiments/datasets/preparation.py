"""What becomes of examples before a network sees them: divided, put into a fair order, scaled.

Whatever scaling needs is measured on the training part alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.datasets.readers import DataError
from experiments.datasets.table_columns import Table
from experiments.datasets.tasks import Task
from mlp.registry import Within

Scale = Literal["standard", "overall", "sphere", "unit", "range", "symmetric", "none"]
SCALED = {
    "standard": "each has mean 0 and variance 1 over the training examples",
    "overall": "all together have mean 0 and mean square 1 over the training examples",
    "sphere": "all together have mean 0, then every example mean square 1",
    "unit": "each lies from 0 to 1 over the training examples",
    "range": "all together lie from 0 to 1 over the training examples",
    "symmetric": "all together lie from −1 to 1 over the training examples",
    "none": "they are left as they come",
}
Shift = Annotated[float, Within(-1_000_000, 1_000_000)]  # beyond, the inputs are lost to rounding
SplitSeed = Annotated[int, Within(0, 2**64)]
Gaps = Literal["median", "drop", "refuse"]
Test = Annotated[float, Within(0, 1, above=True, below=True)]  # the share of examples that is held out
ROUNDING = 4 * np.finfo(np.float64).eps  # of its size: a feature that varies by less is constant
ROUNDED_MEAN = 1e-9  # of the deviation: a mean that is left after the mean was taken off is taken off again
BEYOND = "the inputs are too large or too small to be scaled in float64"


class Parts(NamedTuple):
    """A data set divided and not yet scaled; x (n, d) of any type of number."""

    x: NDArray[Any]
    y: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    classes: int
    notes: tuple[str, ...] = ()  # what a user should look at
    decisions: tuple[str, ...] = ()  # what was decided in reading and dividing, these notes included
    unit: float = 1.0  # what a target that is a number was divided by

    def noted(self, sentence: str) -> Parts:
        """Return the same with one more decision that a user should look at."""
        return self._replace(notes=(*self.notes, sentence), decisions=(*self.decisions, sentence))


@dataclass(frozen=True)
class Preparation:
    """The options that every data set shares."""

    scale: Scale
    shift: float
    split_seed: int
    alternate: bool = False

    @property
    def words(self) -> str:
        """How the inputs are scaled, in a sentence."""
        shifted = f", then shifted by {self.shift:g}" if self.shift else ""
        return f"the inputs are scaled by scale={self.scale}: {SCALED[self.scale]}{shifted}"

    def rng(self, purpose: str) -> np.random.Generator:
        """A stream of its own for each purpose."""
        key = tuple(purpose.encode())
        return np.random.default_rng(np.random.SeedSequence(self.split_seed, spawn_key=key))

    def divide(self, x: NDArray[Any], y: NDArray[Any], test: float) -> Parts:
        """Hold out a share of the examples, the classes in proportion in both parts."""
        order, number = fair_order(y, self.rng("split")), held_out(test, len(y))
        tested, trained = order[:number], order[number:]
        classes = int(y.max()) + 1 if y.dtype.kind == "i" else 1
        return Parts(x[trained], y[trained], x[tested], y[tested], classes)

    def apply(self, parts: Parts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both parts' inputs as new float64 arrays on the scale that the training part settles."""
        x, x_test = (part.astype(np.float64, order="C") for part in (parts.x, parts.x_test))
        with np.errstate(all="ignore"):
            if self.scale != "none":
                _scale(x, x_test, self.scale)
            for part in (x, x_test):
                part += self.shift
                if self.alternate:
                    part[:, 1::2] -= 2 * self.shift
        if not (np.isfinite(x).all() and np.isfinite(x_test).all()):
            raise DataError(BEYOND)
        return x, x_test


def divided(
    table: Table, preparation: Preparation, test: float, gaps: Gaps, task: Task | None, name: str
) -> Parts:
    """Divide a user's table of this name, treat its gaps and say what was decided; errors: DataError."""
    table = table.for_task(task, name)
    x, y = table.x, table.y
    has_gap = np.isnan(x).any(axis=1)
    gone = int(has_gap.sum())
    if gone and gaps == "refuse":
        raise DataError(
            f"{name}: {gone:,} examples have a gap; gaps=median fills them, gaps=drop leaves them out"
        )
    if gone and gaps == "drop":
        x, y = x[~has_gap], y[~has_gap]
        if not len(x):
            raise DataError(f"{name}: every example has a gap; gaps=median fills them")
    if table.x_test is None or table.y_test is None:
        parts = preparation.divide(x, y, test)
    else:
        train = fair_order(y, preparation.rng("split"))
        tested = fair_order(table.y_test, preparation.rng("test"))
        parts = Parts(x[train], y[train], table.x_test[tested], table.y_test[tested], 0)
    decided = (*table.decisions, preparation.words)
    parts = parts._replace(classes=len(table.classes) or 1, decisions=decided, notes=table.notes)
    if gone and gaps == "drop":
        parts = parts.noted(f"{gone:,} of {len(has_gap):,} examples are left out for their gaps")
    if not table.classes:
        return without_gaps(_standardised(parts, name))
    if unseen := sorted(set(parts.y_test.tolist()) - set(parts.y.tolist())):
        parts = parts.noted(f"no training example is of class {', '.join(table.classes[i] for i in unseen)}")
    return without_gaps(parts)


def _standardised(parts: Parts, name: str) -> Parts:
    """Return the parts of a regression with the target at mean 0 and variance 1 of the training examples."""
    mean, sd = float(parts.y.mean()), float(parts.y.std())
    if not (np.isfinite(sd) and sd > ROUNDING * abs(mean)):
        raise DataError(f"{name}: the target is the same number in every training example, {mean:g}")
    said = (
        f"the target is learnt as a number, less its mean {mean:.4g} and over its deviation {sd:.4g} in "
        "training: always predicting the mean gives a loss of 1 and an R² of 0"
    )
    y, y_test = (parts.y - mean) / sd, (parts.y_test - mean) / sd
    return parts._replace(y=y, y_test=y_test, unit=sd, decisions=(*parts.decisions, said))


def without_gaps(parts: Parts) -> Parts:
    """Return the parts with each gap (NaN) filled by the median of its column in the training part.

    A column that has gaps alone in the training part becomes 0.
    """
    gaps = [np.isnan(part) for part in (parts.x, parts.x_test)]
    count = sum(int(gap.sum()) for gap in gaps)
    if not count:
        return parts
    columns = np.flatnonzero(gaps[0].any(axis=0) | gaps[1].any(axis=0))
    for column in columns:
        known = parts.x[~gaps[0][:, column], column]
        for part, gap in zip((parts.x, parts.x_test), gaps, strict=True):
            part[gap[:, column], column] = np.median(known) if len(known) else 0.0
    where = f"{len(columns):,} of {parts.x.shape[1]:,} inputs"
    return parts.noted(
        f"{count:,} gaps in {where} are filled with the median of the training examples; "
        "gaps=drop leaves out the examples that have one"
    )


def check_within(option: str, value: float, low: float, high: float) -> None:
    """That an option lies in the range that the data leave it; errors: DataError."""
    if not low <= value <= high:
        raise DataError(f"{option}={value}: must be from {low:,} to {high:,}")


def held_out(test: float, n: int) -> int:
    """How many of `n` examples a share is, rounded up as scikit-learn does; errors if a part has none."""
    number = math.ceil(test * n - 1e-9)  # the share is a decimal: 0.07 of 100 is 7, not 8
    if not 1 <= number < n:
        raise DataError(
            f"test={test}: leaves {n - number:,} of {n:,} examples to train on, {number:,} to test"
        )
    return number


def fair_order(y: NDArray[Any], rng: np.random.Generator) -> NDArray[np.intp]:
    """A random order in which any first m examples hold the classes in proportion, to within one each.

    Example i of a class of s stands at (i + 1/2) / s of the way; of those that stand level chance decides.
    Equal numbers of a regression are taken for a class.
    """
    order = rng.permutation(len(y))
    by_class = order[np.argsort(y[order], kind="stable")]
    sizes = np.unique(y, return_counts=True)[1]
    position = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
    return by_class[np.lexsort((rng.random(len(y)), position))]


def _scale(x: NDArray[np.float64], x_test: NDArray[np.float64], scale: Scale) -> None:
    """In place, for a whole set of images is 0.4 GB; the statistics are those of `x`."""
    axis = 0 if scale in ("standard", "unit") else None
    low, high = x.min(axis), x.max(axis)
    centres = {"unit": low, "range": low, "symmetric": (low + high) / 2}
    centre = centres[scale] if scale in centres else x.mean(axis)
    largest = np.abs([low, high]).max(axis=0)
    varies = np.asarray(high - low > ROUNDING * largest)
    for part in (x, x_test):
        part -= centre
    if scale not in centres:  # of numbers far from 0 the mean is rounded, and what is left has a mean, too
        rest = x.mean(axis)
        rest = np.where(np.abs(rest) > ROUNDED_MEAN * _rms(x, axis), rest, 0.0)
        if rest.any():
            for part in (x, x_test):
                part -= rest
    spans = {"unit": high - low, "range": high - low, "symmetric": (high - low) / 2}
    width = spans[scale] if scale in spans else _rms(x, axis)
    if not (np.isfinite(width) & (width > 0))[varies].all():
        raise DataError(BEYOND)
    width = np.where(varies, width, np.inf)  # a feature that is constant but for rounding becomes 0
    for part in (x, x_test):
        part /= width
        if scale == "sphere":
            length = _rms(part, 1)[:, None]
            part /= np.where(length > 0, length, 1.0)


def _rms(x: NDArray[np.float64], axis: int | None) -> NDArray[np.float64]:
    """Root mean square along an axis, or of all, without a squared copy."""
    path = {0: "ij,ij->j", 1: "ij,ij->i", None: "ij,ij->"}[axis]
    squares: NDArray[np.float64] = np.einsum(path, x, x)
    return np.sqrt(squares / (x.size if axis is None else x.shape[axis]))
