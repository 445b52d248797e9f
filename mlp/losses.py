"""Losses: (logits, y) -> the mean over the batch for every run, and its gradient.

z: (R, B, C) logits;  y: (R, B) or (1, B) class indices  ->  (R,) in nats (or squared units), (R, B, C)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mlp.activations import Array
from mlp.registry import Registry
from mlp.special import expit

Labels = npt.NDArray[np.int64]

LOSSES = Registry("loss")


def _one_hot(z: Array, y: Labels) -> Array:
    """Return the (R, B, C) array of zeros and ones in z's dtype; y may have one row for all runs."""
    return np.asarray(y[..., None] == np.arange(z.shape[-1]), dtype=z.dtype)


def _places(y: Labels, shape: tuple[int, ...]) -> Labels:
    """Return where in a flat (R, C, B) every example's own class stands: (R, B)."""
    runs, classes, examples = shape
    return (np.arange(runs)[:, None] * classes + y) * examples + np.arange(examples)


def accuracy(z: Array, y: Labels) -> npt.NDArray[np.float64]:
    """Return the share of examples whose largest logit is their own class: (R,); NaN where a logit is."""
    right = (z.argmax(axis=-1) == y).mean(axis=-1)
    return np.where(np.isfinite(z).all(axis=(-2, -1)), right, np.nan)


@LOSSES
def softmax_cross_entropy(z: Array, y: Labels) -> tuple[Array, Array]:
    """−log softmax(z)[y].  Stable for any finite logits: the largest is subtracted first."""
    delta = np.array(z.mT, order="C")  # (R, C, B): what runs over a few classes is slow in (R, B, C)
    delta -= delta.max(axis=-2, keepdims=True)
    own = _places(y, delta.shape)
    entries = delta.reshape(-1)
    shifted = entries[own]
    np.exp(delta, out=delta)
    total = delta.sum(axis=-2, keepdims=True)
    value = (np.log(total[:, 0]) - shifted).mean(axis=-1)
    delta /= total
    entries[own] -= 1
    delta /= z.shape[-2]
    return value, np.ascontiguousarray(delta.mT)


@LOSSES
def sigmoid_cross_entropy(z: Array, y: Labels) -> tuple[Array, Array]:
    """Σ_c −t log σ(z) − (1−t) log(1−σ(z)) with one-hot t: Nielsen 2015, eq. 63."""
    target = _one_hot(z, y)
    each = np.maximum(z, 0) - z * target + np.log1p(np.exp(-np.abs(z)))
    delta: Any = (expit(z) - target) / z.shape[-2]
    return each.sum(axis=-1).mean(axis=-1), delta


@LOSSES
def mean_squared_error(z: Array, y: Labels) -> tuple[Array, Array]:
    """(z − t)² with one-hot t, the mean over examples and classes (no factor ½)."""
    error = z - _one_hot(z, y)
    value = np.square(error).mean(axis=(-2, -1))
    error *= 2 / (z.shape[-2] * z.shape[-1])
    return value, error
