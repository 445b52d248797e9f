"""Norms, counts and moments of stacked arrays: one of each, right over the whole range of the number format.

A plain norm squares first, so it returns exactly 0 below about 1e-22 in float32 and 1e-162 in float64. Here
the squares are used where they keep their digits, and the numbers are scaled first where they would not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mlp.special import Array

Measure = npt.NDArray[np.float64]  # (R,), one number for each run
Truths = npt.NDArray[np.bool_]
Exponents = npt.NDArray[np.int64]  # (R,) or (R, …) of what is stored as true · 2^exponent

HUGE = {"float32": 1e15, "float64": 1e140}  # a norm whose square keeps its digits, and so its reciprocal's
BEYOND = 20_000  # a power of two that takes every number of any format to 0 or to infinity
FIRST = 64  # rows in which what ever occurs in a column has mostly occurred
CHUNK = 4096  # squares of float32 that are summed in float32: good to 1e-7, and 3 times as fast


@np.errstate(all="ignore")  # a square that overflowed is measured again; a run that diverged gives NaN
def frobenius(x: Array) -> Measure:
    """Return the Frobenius norm of every x[r] in float64: (R, …) -> (R,), without false zeros or overflow."""
    norm: Measure = np.sqrt(_square_sums(x.reshape(len(x), -1)))
    huge = HUGE["float32" if x.dtype == np.float32 else "float64"]
    sizes = norm.tolist()
    if min(sizes) > 1 / huge and max(sizes) < huge:
        return norm
    for r in np.flatnonzero(~((norm > 1 / huge) & (norm < huge))):
        row = x[r].ravel().astype(np.float64)
        largest = np.abs(row).max(initial=0.0)
        if 0 < largest < np.inf:
            norm[r] = largest * np.sqrt(np.vecdot(row / largest, row / largest))
    return norm


def _square_sums(x: Array) -> Measure:
    """Return the sum of squares of every row: (R, n) -> (R,)."""
    if x.dtype != np.float32:
        wide = x.astype(np.float64, copy=False)
        return np.asarray(np.vecdot(wide, wide))
    if x.shape[-1] <= CHUNK:
        return np.vecdot(x, x).astype(np.float64)
    whole = x.shape[-1] // CHUNK * CHUNK
    pieces, rest = x[:, :whole].reshape(len(x), -1, CHUNK), x[:, whole:]
    sums = np.vecdot(pieces, pieces).sum(axis=-1, dtype=np.float64)
    return np.asarray(sums + np.vecdot(rest, rest) if rest.shape[-1] else sums)


@np.errstate(all="ignore")  # a column of nothing but zeros is 0/0
def column_norms(x: Array) -> Measure:
    """Return the Euclidean norm of every column in float64: (R, m, n) -> (R, n)."""
    wide = x.astype(np.float64, copy=False)
    largest = np.abs(wide).max(axis=-2, keepdims=True)
    norm = largest[:, 0] * np.sqrt(np.square(wide / largest).sum(axis=-2))
    return np.where(largest[:, 0] == 0, 0.0, norm)


@np.errstate(all="ignore")
def rms(x: Array) -> Measure:
    """Return the root mean square of every x[r] in float64: (R, …) -> (R,)."""
    return frobenius(x) / np.sqrt(x[0].size)


@np.errstate(all="ignore")
def moments(x: Array) -> tuple[Measure, Measure, Measure]:
    """Return the mean, the variance and the root mean square of every x[r]: (R, …) -> three times (R,).

    One run at a time, so that what is left of it lies in the cache. A variance is 0 or infinite only where
    no number is so small or so large; the root mean square then still tells.
    """
    found = np.empty((3, len(x)))
    for r, block in enumerate(x):
        wide = np.ascontiguousarray(block, np.float64)  # the block itself where it is that already
        mean = wide.sum() / wide.size
        centred = np.subtract(wide, mean, out=None if wide is block else wide)
        variance = np.vdot(centred, centred) / wide.size
        square = variance + mean * mean
        is_plain = 1 / HUGE["float64"] < variance and square < HUGE["float64"]
        found[:, r] = (mean, variance, np.sqrt(square)) if is_plain else _scaled_moments(block, mean)
    return found[0], found[1], found[2]


def _scaled_moments(x: Array, mean: float) -> tuple[float, float, float]:
    """Return mean, variance and root mean square of an x whose squares may leave the format."""
    largest = float(np.abs(x).max(initial=0.0))
    if not 0 < largest < np.inf:
        return mean, np.nan if largest else 0.0, abs(mean)  # no numbers, or nothing but zeros
    power = int(np.frexp(largest)[1])
    near_one = np.ldexp(x.astype(np.float64), -power)
    size = np.sqrt(np.square(near_one).mean())
    return np.ldexp(near_one.mean(), power), np.ldexp(near_one.var(), 2 * power), np.ldexp(size, power)


def times_power(x: Array, power: Exponents) -> Array:
    """Return x[r] · 2^power[r], exact but at the ends of x's format: (R, …), (R,) -> (R, …)."""
    if not np.count_nonzero(power):
        return x
    each = np.minimum(np.maximum(power, -BEYOND), BEYOND).astype(np.int32)
    with np.errstate(all="ignore"):
        return np.asarray(np.ldexp(x, each.reshape(-1, *[1] * (x.ndim - 1))))


def scaled(x: Array, power: int) -> Array:
    """Return x · 2^power, exact but at the ends of x's format."""
    return np.asarray(np.ldexp(x, min(max(power, -BEYOND), BEYOND)))


def largest(x: Array) -> Array:
    """Return the largest absolute entry of every run: (R, B, n) -> (R,)."""
    return np.maximum(x.max(axis=(1, 2)), -x.min(axis=(1, 2)))


def power_of(x: Array) -> int:
    """Return the power of two just above the largest absolute entry; very low where all are 0."""
    size = np.abs(x).max()
    return int(np.frexp(size)[1]) if size else -BEYOND


def count(mask: Truths) -> Measure:
    """Count what is True along the last axis, by a fast product with ones: (…, n) -> (…) in float64."""
    if not mask.any():  # as with x < 0 behind a ReLU
        return np.zeros(mask.shape[:-1])
    kind = np.float32 if mask.shape[-1] < 2**24 else np.float64  # in which a count is exact
    return (mask.astype(kind) @ _ones(mask.shape[-1], np.dtype(kind))).astype(np.float64)


def ever(holds: Callable[[Array], Truths], x: Array) -> Truths:
    """Return in which columns some entry holds: (R, m, n) -> (R, n).

    The first rows often answer for every column. Else all are looked at, FIRST rows side by side as one long
    row, since to reduce few long rows is several times as fast as to reduce many short ones.
    """
    runs, m, n = x.shape
    found = holds(x[:, :FIRST]).any(axis=-2)
    if m <= FIRST or found.all():
        return np.asarray(found)
    whole = m // FIRST * FIRST
    mask = holds(x)
    side_by_side = mask[:, :whole].reshape(runs, -1, FIRST * n).any(axis=-2)
    return np.asarray(side_by_side.reshape(runs, FIRST, n).any(axis=-2) | mask[:, whole:].any(axis=-2))


def share(mask: Truths) -> Measure:
    """Return the share of every mask[r] that is True: (R, …) -> (R,)."""
    return np.array([np.count_nonzero(block) for block in mask], np.float64) / mask[0].size


@lru_cache(maxsize=8)
def _ones(size: int, dtype: np.dtype[Any]) -> Array:
    return np.ones(size, dtype)
