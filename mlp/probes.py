"""Probes: a layer's trace -> one number per run. The first line of a docstring is the column's meaning.

Everything is measured by the slope and the arrays, never by the activation's name, so a new activation is
measured rightly the day it is added. Norms are Frobenius norms. Ratios between layers are analysis.
"""

from __future__ import annotations

from math import log10

import numpy as np
import numpy.typing as npt

from mlp.activations import Array
from mlp.on_request import ON_REQUEST
from mlp.registry import Registry
from mlp.trace import LayerTrace, Measure, count, frobenius

PROBES = Registry("probe")

_quiet = np.errstate(all="ignore")  # a run that diverged is measured as NaN; the others must not hear of it


def _true(t: LayerTrace, name: str) -> Measure:
    return np.ldexp(t.norm(name), -t.exponent.astype(np.int32))


def _share(mask: npt.NDArray[np.bool_]) -> Measure:
    """(R,) share of True."""
    if mask.ndim == 2:
        return np.count_nonzero(mask, axis=-1) / mask.shape[-1]
    return _counts(mask) / mask[0].size


def _counts(mask: npt.NDArray[np.bool_]) -> Measure:
    """(R,) number of True; a count over one large block is far faster than one along axes."""
    return np.array([np.count_nonzero(block) for block in mask], np.float64)


def _small_slopes(t: LayerTrace, below: float) -> Measure:
    """(R,) number of slopes under `below` of the largest possible."""
    return _counts(t.slope_size(below) < below * t.act.max_slope)


def _log10(t: LayerTrace, name: str) -> Measure:
    with np.errstate(divide="ignore"):
        return np.log10(t.norm(name)) - t.exponent * log10(2)


@PROBES
def delta_norm(t: LayerTrace) -> Measure:
    """‖dLoss/dz‖ over the whole probe set, Loss the mean over its examples."""
    return _true(t, "scaled_delta")


@PROBES
def dw_norm(t: LayerTrace) -> Measure:
    """‖dLoss/dw‖ of the mean loss."""
    return _true(t, "scaled_dw")


@PROBES
def db_norm(t: LayerTrace) -> Measure:
    """‖dLoss/db‖ of the mean loss."""
    return _true(t, "scaled_db")


@PROBES
def w_norm(t: LayerTrace) -> Measure:
    """‖w‖."""
    return t.norm("w")


@PROBES
def delta_log10(t: LayerTrace) -> Measure:
    """log10 ‖dLoss/dz‖, right also where the norm is smaller than any number; −inf for an exact zero."""
    return _log10(t, "scaled_delta")


@PROBES
def dw_log10(t: LayerTrace) -> Measure:
    """log10 ‖dLoss/dw‖, right also where the norm is smaller than any number; −inf for an exact zero."""
    return _log10(t, "scaled_dw")


@PROBES
def delta_rms(t: LayerTrace) -> Measure:
    """Root mean square of dLoss/dz over examples and units."""
    return _true(t, "scaled_delta") / np.sqrt(t.scaled_delta[0].size)


@PROBES
def dw_rms(t: LayerTrace) -> Measure:
    """Root mean square of dLoss/dw over the layer's weights: comparable between layers of other shapes."""
    return _true(t, "scaled_dw") / np.sqrt(t.scaled_dw[0].size)


@PROBES
def db_rms(t: LayerTrace) -> Measure:
    """Root mean square of dLoss/db over the layer's units."""
    return _true(t, "scaled_db") / np.sqrt(t.scaled_db[0].size)


@PROBES
def z_mean(t: LayerTrace) -> Measure:
    """Mean of the pre-activations over examples and units."""
    return t.moments("z")[0]


@PROBES
def z_var(t: LayerTrace) -> Measure:
    """Variance of the pre-activations over examples and units."""
    return t.moments("z")[1]


@PROBES
@_quiet
def z_rms(t: LayerTrace) -> Measure:
    """Root mean square of the pre-activations over examples and units."""
    mean, variance = t.moments("z")
    return np.sqrt(variance + mean**2)


@PROBES
def a_mean(t: LayerTrace) -> Measure:
    """Mean of the activation's outputs over examples and units."""
    return t.moments("a")[0]


@PROBES
def a_var(t: LayerTrace) -> Measure:
    """Variance of the activation's outputs over examples and units."""
    return t.moments("a")[1]


@PROBES
@_quiet
def a_rms(t: LayerTrace) -> Measure:
    """Root mean square of the activation's outputs over examples and units."""
    mean, variance = t.moments("a")
    return np.sqrt(variance + mean**2)


@PROBES
def dead_fraction(t: LayerTrace) -> Measure:
    """Share of units with slope 0 on every example, so that they get no gradient."""
    return _share(t.dead)


@PROBES
def inactive_fraction(t: LayerTrace) -> Measure:
    """Share of units with z ≤ 0 on every example; of a leaky activation they still learn."""
    return (count(t.z > 0, axis=-2) == 0).mean(axis=-1)


@PROBES
def saturated_fraction(t: LayerTrace, below: float = 0.1) -> Measure:
    """Share of (example, unit) pairs with a slope under `below` (default 0.1) of the largest possible."""
    return t.summary(_small_slopes, below) / t.a[0].size


@PROBES
def slope_rms(t: LayerTrace) -> Measure:
    """Root mean square of the slope over examples and units: what the activation leaves of a gradient."""
    return frobenius(t.slope) / np.sqrt(t.slope[0].size)


@PROBES
@_quiet
def update_ratio(t: LayerTrace) -> Measure:
    """‖step‖/‖w‖ of the update that follows."""
    return t.norm("step") / t.norm("w")


@PROBES
@_quiet
def displacement(t: LayerTrace) -> Measure:
    """‖w − w₀‖/‖w₀‖, how far the weights are from where they started."""
    return frobenius(t.w - t.w0) / frobenius(t.w0)


def _agreement(values: Array) -> Array:
    """|n₊ − n₋|/(n₊ + n₋) along the last axis: 1 all of one sign, 0 evenly split; NaN if all are zero."""
    plus, minus = count(values > 0, axis=-1), count(values < 0, axis=-1)
    with np.errstate(invalid="ignore"):
        return np.abs(plus - minus) / (plus + minus)


def _by_example(t: LayerTrace) -> tuple[Array, Array]:
    """(R, B) agreement of one example's gradients into any unit, and to how many units it sends one.

    An example's gradient of w_ij is x_i·delta_j, so into every unit its signs agree just as those of x do.
    """

    def measure() -> tuple[Array, Array]:
        each = _agreement(t.x)
        units = count(t.scaled_delta != 0, axis=-1)
        return each, np.where(np.isfinite(each), units, 0)  # an input of zeros sends none

    return t.once("agreement by example", measure)


def _of_the_mean(t: LayerTrace) -> tuple[Array, Array]:
    """(R, n_out) agreement of the mean loss's gradients into a unit, and 1 where the unit gets one."""

    def measure() -> tuple[Array, Array]:
        each = _agreement(t.scaled_dw.mT)
        return each, np.isfinite(each).astype(np.float64)

    return t.once("agreement of the mean", measure)


def _weighted_mean(values: Array, weights: Array) -> Measure:
    """(R,) mean of (R, n) values over those with a weight; NaN where none has any."""
    usable = np.where(weights > 0, values, 0)
    with np.errstate(invalid="ignore"):
        return np.asarray((usable * weights).sum(axis=-1) / weights.sum(axis=-1), np.float64)


@PROBES
def sign_agreement(t: LayerTrace) -> Measure:
    """How far one example pushes a unit's incoming weights the same way: 1 all, 0 evenly split.

    The mean over the (example, unit) pairs with a gradient.
    """
    return _weighted_mean(*_by_example(t))


@PROBES
def sign_agreement_batch(t: LayerTrace) -> Measure:
    """The same for the gradient of the whole set's mean loss."""
    return _weighted_mean(*_of_the_mean(t))


@PROBES
def one_sign_fraction(t: LayerTrace) -> Measure:
    """Share of (example, unit) pairs whose incoming weight gradients all have one sign."""
    agreement, units = _by_example(t)
    return _weighted_mean(agreement == 1, units)


@PROBES
def one_sign_fraction_batch(t: LayerTrace) -> Measure:
    """Share of units whose incoming weight gradients of the mean loss all have one sign."""
    agreement, gets_one = _of_the_mean(t)
    return _weighted_mean(agreement == 1, gets_one)


@PROBES
def zero_fraction(t: LayerTrace) -> Measure:
    """Share of weight gradients that are exactly zero, underflow not counted: it is tracked."""
    return _share(t.scaled_dw == 0)


@PROBES
def subnormal_fraction(t: LayerTrace) -> Measure:
    """Share of weight gradients, not zero, below the smallest normal number of the run's own format."""
    size = np.abs(t.scaled_dw.astype(np.float64))
    smallest = np.ldexp(float(np.finfo(t.w.dtype).tiny), t.exponent.astype(np.int32))
    return _share((size > 0) & (size < smallest[:, None, None]))


DEFAULT_PROBES = tuple(PROBES)
PROBES.update(ON_REQUEST)

# Of every unit ----------------------------------------------------------------------------------------------

UNIT_PROBES = Registry("unit probe")  # a layer's trace -> (R, n_out), one number per run and unit


def _lengths(rows: Array, exponent: npt.NDArray[np.int64]) -> Measure:
    """(R, n) Euclidean norms along axis −2 of (R, m, n) scaled by 2^exponent, at their true size."""
    wide = rows.astype(np.float64, copy=False)
    largest = np.abs(wide).max(axis=-2, keepdims=True)
    with np.errstate(all="ignore"):  # a unit with nothing but zeros: 0/0
        norm = largest[:, 0] * np.sqrt(np.square(wide / largest).sum(axis=-2))
    norm = np.where(largest[:, 0] == 0, 0.0, norm)
    return np.asarray(np.ldexp(norm, -exponent.astype(np.int32)[:, None]))


@UNIT_PROBES
def unit_dead(t: LayerTrace) -> Measure:
    """1 if the unit's slope is 0 on every example, so that it gets no gradient; else 0."""
    return t.dead.astype(np.float64)


@UNIT_PROBES
def unit_inactive(t: LayerTrace) -> Measure:
    """1 if z ≤ 0 on every example, else 0; a leaky unit that is still learns."""
    return (count(t.z > 0, axis=-2) == 0).astype(np.float64)


@UNIT_PROBES
@_quiet
def unit_z_mean(t: LayerTrace) -> Measure:
    """Mean of the unit's pre-activation over examples."""
    return np.asarray(t.z.mean(axis=-2, dtype=np.float64))


@UNIT_PROBES
def unit_bias(t: LayerTrace) -> Measure:
    """The unit's bias."""
    return np.asarray(t.b[:, 0], np.float64)


@UNIT_PROBES
def unit_w_norm(t: LayerTrace) -> Measure:
    """‖w‖ of the weights into the unit."""
    return _lengths(t.w, np.zeros(len(t.w), np.int64))


@UNIT_PROBES
def unit_step_norm(t: LayerTrace) -> Measure:
    """‖step‖ of the update that follows, of the weights into the unit."""
    return _lengths(t.step, np.zeros(len(t.w), np.int64))


@UNIT_PROBES
def unit_gradient_norm(t: LayerTrace) -> Measure:
    """‖(dLoss/dw, dLoss/db)‖ of the mean loss: the weights into the unit and its bias together."""
    return _lengths(np.concatenate([t.scaled_dw, t.scaled_db], axis=-2), t.exponent)
