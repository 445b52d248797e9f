"""Losses: (logits, y) -> the mean over the batch for every run, and its gradient.

z: (R, B, C) logits;  y: (R, B) or (1, B) class indices  ->  (R,) in nats (or squared units), (R, B, C)

A squared error also takes y that are numbers (of a floating type) to be predicted, with C = 1: a regression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mlp.activations import ActivationName, Array, activation
from mlp.numbers import BEYOND, Exponents, Measure, rms
from mlp.registry import Registry
from mlp.special import expit

Labels = npt.NDArray[Any]  # class indices (int64), or numbers to be predicted
Loss = Callable[[Array, Labels], tuple[Array, Array]]

# A gradient whose largest entry is under this is worked out again from its logarithm.
SURE = {"float32": 2.0**-64, "float64": 2.0**-300}

LOSSES = Registry("loss", {"cross_entropy": "softmax_cross_entropy", "mse": "mean_squared_error"})


def _one_hot(z: Array, y: Labels) -> Array:
    """Return the (R, B, C) array of zeros and ones in z's dtype; y may have one row for all runs."""
    return np.asarray(y[..., None] == np.arange(z.shape[-1]), dtype=z.dtype)


def are_numbers(y: Labels) -> bool:
    """Return whether the labels are numbers to be predicted, not class indices."""
    return y.dtype.kind == "f"


def _places(y: Labels, shape: tuple[int, ...]) -> Labels:
    """Return where in a flat (R, C, B) every example's own class stands: (R, B)."""
    runs, classes, examples = shape
    return (np.arange(runs)[:, None] * classes + y) * examples + np.arange(examples)


def accuracy(z: Array, y: Labels) -> npt.NDArray[np.float64]:
    """Return the share of examples whose largest logit is their own class: (R,); NaN where a logit is.

    Of numbers to be predicted no answer is right or wrong: NaN.
    """
    if are_numbers(y):
        return np.full(len(z), np.nan)
    right = (z.argmax(axis=-1) == y).mean(axis=-1)
    return np.where(np.isfinite(z).all(axis=(-2, -1)), right, np.nan)


def evaluate(loss: Loss, z: Array, y: Labels) -> tuple[Measure, Array, Exponents]:
    """Return the mean loss (R,) in float64, and its gradient (R, B, C) as true · 2^exponent, (R,).

    `loss` is an entry of the table, bound to its options. Of a run that classifies every example rightly and
    surely, the gradient may lie below every number of the format. Then it is worked out again from its
    logarithm, if the loss says how (see `surely`); all other exponents are 0.
    """
    value, delta = loss(z, y)
    value, exponent = np.array(value, np.float64), np.zeros(len(z), np.int64)
    again = getattr(getattr(loss, "func", loss), "surely", None)
    if again is not None and (value < SURE["float32"] ** 0.5).any():  # else no run can be so sure
        labels = np.broadcast_to(y, z.shape[:2])
        size = np.maximum(delta.max(axis=(-2, -1)), -delta.min(axis=(-2, -1)))
        for r in np.flatnonzero(size < SURE[delta.dtype.name]):
            value[r], delta[r], exponent[r] = again(z[r].astype(np.float64), labels[r])
    return value, delta, exponent


def surely(logarithms: Callable[[Array, Labels], Array]) -> Callable[[Loss], Loss]:
    """Return the decorator of a cross-entropy whose gradient is known by its logarithm.

    logarithms(z, y) of one run, (B, C) and (B,), are those of |dLoss/dz| of one example, for logits so sure
    that e^logarithm is lost beside 1. They are −inf for an entry that is minus the sum of the others.
    """

    def worked_out(z: Array, y: Labels) -> tuple[float, Array, int]:
        log = logarithms(z, y)
        largest = log.max()
        exponent = int(min(-largest / np.log(2), 2.0**60)) if np.isfinite(largest) else 0
        size = np.exp(log + exponent * np.log(2))
        by_example = size.sum(axis=-1)
        own = np.arange(len(y)), y
        delta = size.copy()
        delta[own] = -np.where(np.isneginf(log[own]), by_example, size[own])
        value = np.ldexp(by_example.mean(), -min(exponent, BEYOND))
        return value, delta / len(y), exponent

    def decorate(loss: Loss) -> Loss:
        loss.surely = worked_out  # type: ignore[attr-defined]
        return loss

    return decorate


def _above_own(z: Array, y: Labels) -> Array:
    """log p_c = z_c − z_own of a sure softmax: (B, C); −inf at the own class."""
    log = z - z[np.arange(len(y)), y, None]
    log[np.arange(len(y)), y] = -np.inf
    return log


def _wrong_side(z: Array, y: Labels) -> Array:
    """log σ(±z) of sure sigmoids, the sign that of a wrong answer: (B, C)."""
    return np.where(y[..., None] == np.arange(z.shape[-1]), -z, z)


@LOSSES
@surely(_above_own)
def softmax_cross_entropy(z: Array, y: Labels) -> tuple[Array, Array]:
    """−log softmax(z)[y].  Stable for any finite logits, and for sure predictions right to the last digits.

    With S = Σ e^(z_c − z_own) over the other classes the loss is log(1 + S). The own class's gradient is
    minus the sum of the others', which p − 1 would lose as p comes near to 1.
    """
    delta = np.array(z.mT, order="C")  # (R, C, B): what runs over a few classes is slow in (R, B, C)
    own = _places(y, delta.shape)
    entries = delta.reshape(-1)
    delta -= entries[own][:, None]
    entries[own] = -np.inf
    most = np.maximum(delta.max(axis=-2), 0)  # (R, B): nothing overflows once it is taken off
    delta -= most[:, None]
    np.exp(delta, out=delta)
    others = delta.sum(axis=-2)
    value = (most + np.log1p(others + np.expm1(-most))).mean(axis=-1)
    total = (others + np.exp(-most)) * z.shape[-2]
    entries[own] = -others
    delta /= total[:, None]
    return value, np.ascontiguousarray(delta.mT)


@LOSSES
@surely(_wrong_side)
def sigmoid_cross_entropy(z: Array, y: Labels) -> tuple[Array, Array]:
    """Σ_c −t log σ(z) − (1−t) log(1−σ(z)) with one-hot t: Nielsen 2015, eq. 63.

    Each term is log(1 + eᵘ) and its gradient ±σ(u), with u = −z for the own class and z for the others: the
    1 − σ that loses its digits as σ comes near to 1 is never taken.
    """
    sign = 1 - 2 * _one_hot(z, y)
    u = sign * z
    each = np.maximum(u, 0) + np.log1p(np.exp(-np.abs(u)))
    delta: Any = sign * expit(u) / z.shape[-2]
    return each.sum(axis=-1).mean(axis=-1), delta


@LOSSES
def mean_squared_error(z: Array, y: Labels, output: ActivationName = "identity") -> tuple[Array, Array]:
    """(f(z) − t)² with one-hot t, the mean over examples and classes (no factor ½); or t = y for numbers.

    f is the output's activation: with sigmoid the quadratic cost of Nielsen 2015, eq. 6, but for its ½.
    """
    f = activation(output)
    answer = f.f(z)
    error = answer - (y[..., None] if are_numbers(y) else _one_hot(z, y))
    value = np.square(rms(error))
    error *= 2 / (z.shape[-2] * z.shape[-1])
    return value, error if output == "identity" else error * f.df(z, answer)
