"""What the theory needs to know of the data: the products of a few examples that stand for all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.theory.gaussian import Array

EXAMPLES = 64  # that stand for all: dw then errs by a few hundredths of its log, and a layer costs 3 ms
MOST_OF_STRATUM = 0.45  # at ½ the row sums of `_different` have no solution
ROUNDS = 60  # of its iteration, which gains a digit in two to five
PER_CLASS = 4  # with fewer, classes are not kept apart in the choice


@dataclass(frozen=True, eq=False)
class Inputs:
    """M examples that stand for `total`.

    gram: (M, M) products x·x'/n_in, so that its diagonal is each input's mean square; y: (M,) classes;
    weights: (M,), how many examples each stands for, summing to `total`; strata: (M,), groups within which
    the weights are right. Equal only to itself: layers already computed for it are found again by identity.
    """

    gram: Array
    y: npt.NDArray[np.int64]
    weights: Array
    strata: npt.NDArray[np.int64]
    n_in: int
    classes: int

    @property
    def total(self) -> float:
        """The number of all examples, for which the M stand."""
        return float(self.weights.sum())

    @classmethod
    def one(cls, n_in: int, classes: int, mean_square: float = 1.0) -> Inputs:
        """Return a single input, as in textbooks."""
        label = np.zeros(1, np.int64)
        return cls(np.array([[mean_square]]), label, np.ones(1), label, n_in, classes)

    @classmethod
    def white(
        cls, total: int, n_in: int, classes: int, mean_square: float = 1.0, examples: int = EXAMPLES
    ) -> Inputs:
        """Return `total` inputs of one mean square and no correlation, evenly spread over the classes."""
        y = np.arange(min(examples, total)) % classes
        weights = np.full(y.size, total / y.size)
        return cls(mean_square * np.eye(y.size), y, weights, _strata(y, classes), n_in, classes)

    @classmethod
    def measured(cls, x: Any, y: Any, classes: int, examples: int = EXAMPLES) -> Inputs:
        """Return about `examples` that stand for all those a run is measured on: x (n, n_in), y (n,).

        Each class is cut along the inputs' size into bins of equal share, half by number and half by mean
        square (a few large inputs can hold most of the gradient). A bin's middle example, scaled to its
        mean square, stands for it: every class's number and total square are kept. No randomness.
        """
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=np.int64)
        size = np.square(x).mean(axis=1)
        chosen, weights, squares = [], [], []
        for label in np.unique(y):
            mine = np.flatnonzero(y == label)
            mine = mine[np.argsort(size[mine], kind="stable")]
            for part in _cut(mine, size, max(1, round(examples * mine.size / y.size))):
                chosen.append(part[part.size // 2])
                weights.append(part.size)
                squares.append(size[part].mean())
        scale = np.sqrt(np.array(squares) / np.maximum(size[chosen], np.finfo(float).tiny))
        kept = x[chosen] * scale[:, None]
        labels = y[chosen]
        found = cls(
            kept @ kept.T / x.shape[1], labels, np.array(weights, float), _strata(labels, classes),
            x.shape[1], classes,
        )  # fmt: skip
        of_all = y if (found.strata == labels).all() else np.zeros_like(y)
        return replace(found, gram=_as_of_all(found, x, of_all))

    @cached_property
    def pairs(self) -> Array:
        """Return (M, M): how many ordered pairs of all examples each pair stands for.

        On the diagonal an example with itself, `weights`; off it two different ones. Without this the M
        would count as a data set of M, in which an example's product with itself weighs far too much.
        """
        pairs = np.outer(self.weights, self.weights)
        for stratum in np.unique(self.strata):
            mine = np.flatnonzero(self.strata == stratum)
            pairs[np.ix_(mine, mine)] = _different(self.weights[mine])
        return np.asarray(pairs + np.diag(self.weights))

    @cached_property
    def excess(self) -> Array:
        """Return (M, M): `pairs` over the product of two weights, to correct a double sum over examples."""
        return self.pairs / np.outer(self.weights, self.weights)

    def mean(self, values: Array) -> Any:
        """Return the mean over all examples of (…, M) values."""
        return values @ self.weights / self.total

    def centred(self, kernel: Array) -> Array:
        """Return (…, M, M) products after the mean over all examples is taken from each factor."""
        rows = self.pairs / self.pairs.sum(axis=1, keepdims=True)
        of_row = (kernel * rows).sum(axis=-1)
        of_all = (kernel * self.pairs).sum(axis=(-2, -1)) / self.pairs.sum()
        return np.asarray(kernel - of_row[..., :, None] - of_row[..., None, :] + of_all[..., None, None])


def _cut(mine: npt.NDArray[np.int64], size: Array, parts: int) -> list[npt.NDArray[np.int64]]:
    """Cut examples, in order of size, into at most `parts` bins of equal share."""
    share = sum(size[mine] ** k / max((size[mine] ** k).sum(), np.finfo(float).tiny) for k in (0, 1, 2))
    middle = np.cumsum(share) - share / 2
    bins = np.minimum((middle / share.sum() * parts).astype(int), parts - 1)
    return [mine[bins == b] for b in np.unique(bins)]


def _as_of_all(few: Inputs, x: Array, strata: npt.NDArray[np.int64]) -> Array:
    """Return the chosen examples' products, shifted and scaled to the mean and mean square over all pairs.

    For each two strata and pairs of different examples. Where inputs are hardly correlated, N² products of
    mean about 0 add up to as much as the N squares; the few that are chosen would miss that by multiples.
    """
    gram = few.gram.copy()
    parts = [(np.flatnonzero(few.strata == s), x[strata == s]) for s in np.unique(few.strata)]
    for a, (rows, x_a) in enumerate(parts):
        for b, (columns, x_b) in enumerate(parts[: a + 1]):
            here = np.ix_(rows, columns)
            different = few.pairs[here] - (np.diag(few.weights[rows]) if a == b else 0)
            if different.any():
                block = _rescaled(few.gram[here], different, _pair_moments(x_a, x_b, same=a == b))
                gram[here] = np.where(different > 0, block, gram[here])
                gram[np.ix_(columns, rows)] = gram[here].T
    most = np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    return np.clip(gram, -most, most)


def _pair_moments(x_a: Array, x_b: Array, *, same: bool) -> tuple[float, float]:
    """Return mean and mean square of x·x'/n_in over pairs, one example from each; two different if `same`."""
    count, n_in = len(x_a) * len(x_b), x_a.shape[1]
    total = float(x_a.sum(axis=0) @ x_b.sum(axis=0)) / n_in
    if n_in < len(x_a):
        square = float(((x_a.T @ x_a) * (x_b.T @ x_b)).sum()) / n_in**2
    else:
        square = float(np.square(x_a @ x_b.T).sum()) / n_in**2
    if same:
        size = np.square(x_a).mean(axis=1)
        count, total, square = count - len(size), total - size.sum(), square - np.square(size).sum()
    return total / count, square / count


def _rescaled(few: Array, different: Array, moments: tuple[float, float]) -> Array:
    """Return products with the given mean and mean square over `different` pairs."""
    share = different / different.sum()
    mean, square = float((share * few).sum()), float((share * few * few).sum())
    wide, wide_few = moments[1] - moments[0] ** 2, square - mean**2
    tight = wide_few <= 1e-12 * square or wide <= 0
    return moments[0] + (few - mean) * (1.0 if tight else np.sqrt(wide / wide_few))


def _strata(y: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    """Return the classes, or one group for all where a class has too few examples to tell pairs apart."""
    return y if y.size >= PER_CLASS * classes else np.zeros_like(y)


def _different(weights: Array) -> Array:
    """Return the numbers of pairs of two different examples of a stratum: 0 on the diagonal, rows w(Σw − 1).

    Right row sums make sums over pairs of what depends on one of the two exact, and those cancel in dw and
    db. With one example that stands for about half of its stratum there is no such matrix: then only the
    total is right.
    """
    total = weights.sum()
    apart = np.outer(weights, weights) * (1 - np.eye(weights.size))
    if weights.size == 1:  # the others of its stratum are taken to be like it
        return np.array([[total * (total - 1)]])
    if weights.max() > MOST_OF_STRATUM * total:
        return apart * (total * total - total) / apart.sum()
    factor = weights.copy()
    for _ in range(ROUNDS):
        factor = np.sqrt(factor * weights * (total - 1) / (factor.sum() - factor))
    return np.outer(factor, factor) * (1 - np.eye(weights.size))
