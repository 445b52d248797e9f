"""Norms, counts and moments of stacked arrays: one of each, right over the whole range of the number format.

A plain norm squares first, so it returns exactly 0 below about 1e-22 in float32 and 1e-162 in float64. Here
the squares are used where they keep their digits, and the numbers are scaled first where they would not.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mlp.special import Array

Measure = npt.NDArray[np.float64]  # (R,), one number for each run
Exponents = npt.NDArray[np.int64]  # (R,) or (R, …) of what is stored as true · 2^exponent

HUGE = {"float32": 1e15, "float64": 1e140}  # a norm whose square keeps its digits, and so its reciprocal's
BEYOND = 20_000  # a power of two that takes every number of any format to 0 or to infinity
CHUNK = 4096  # squares of float32 that are summed in float32: good to 1e-7, and 3 times as fast


@np.errstate(all="ignore")  # a square that overflowed is measured again; a run that diverged gives NaN
def frobenius(x: Array) -> Measure:
    """Return the Frobenius norm of every x[r] in float64: (R, …) -> (R,), without false zeros or overflow."""
    norm: Measure = np.sqrt(_square_sums(x.reshape(len(x), -1)))
    huge = HUGE["float32" if x.dtype == np.float32 else "float64"]
    if all(1 / huge < each < huge for each in norm.tolist()):
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
    found, scratch = np.empty((3, len(x))), np.empty(x.shape[1:])
    for r, block in enumerate(x):
        np.copyto(scratch, block)
        mean = scratch.mean()
        np.subtract(scratch, mean, out=scratch)
        variance = np.vdot(scratch, scratch) / scratch.size
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


@np.errstate(all="ignore")
def times_power(x: Array, power: Exponents) -> Array:
    """Return x[r] · 2^power[r], exact but at the ends of x's format: (R, …), (R,) -> (R, …)."""
    if not power.any():
        return x
    each = np.minimum(np.maximum(power, -BEYOND), BEYOND).astype(np.int32)
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


def count(mask: npt.NDArray[np.bool_], axis: int) -> Measure:
    """Count what is True along the last axis (−1) or the one before it (−2), by a fast product with ones."""
    kind = np.float32 if mask.shape[axis] < 2**24 else np.float64  # in which a count is exact
    numbers: Array = mask.astype(kind)
    ones = _ones(mask.shape[axis], np.dtype(kind))
    return (numbers @ ones if axis == -1 else ones @ numbers).astype(np.float64)


def share(mask: npt.NDArray[np.bool_]) -> Measure:
    """Return the share of every mask[r] that is True: (R, …) -> (R,)."""
    if mask.ndim == 2:
        return np.count_nonzero(mask, axis=-1) / mask.shape[-1]
    return np.array([np.count_nonzero(block) for block in mask], np.float64) / mask[0].size


@lru_cache(maxsize=8)
def _ones(size: int, dtype: np.dtype[Any]) -> Array:
    return np.ones(size, dtype)
