"""The default probes: what is measured in every layer where a config names no probes."""

from __future__ import annotations

from math import log10
from typing import Annotated

import numpy as np
import numpy.typing as npt

from mlp.activations import Array
from mlp.numbers import Exponents, Measure, count, ever, frobenius, share, times_power
from mlp.probes.missing import known
from mlp.probes.table import probe
from mlp.registry import Within
from mlp.trace import LayerTrace

_quiet = np.errstate(all="ignore")  # a run that diverged is measured as NaN; the others must not hear of it


def _log10(norm: Measure, exponent: Exponents) -> Measure:
    with np.errstate(divide="ignore"):
        return np.log10(norm) - exponent * log10(2)


def _rms(t: LayerTrace, name: str) -> Measure:
    """Return the root mean square of delta, dw or db over its entries, at its true size: (R,)."""
    entries = getattr(t, f"scaled_{name}")[0].size
    return times_power(t.norm(f"scaled_{name}") / np.sqrt(entries), -t.exponent_of(name))


@probe(default=True)
def delta_norm(t: LayerTrace) -> Measure:
    """‖dLoss/dz‖ over the whole probe set, Loss the mean over its examples."""
    return t.size("delta")


@probe(default=True)
def dw_norm(t: LayerTrace) -> Measure:
    """‖dLoss/dw‖ of the mean loss."""
    return t.size("dw")


@probe(default=True)
def db_norm(t: LayerTrace) -> Measure:
    """‖dLoss/db‖ of the mean loss."""
    return t.size("db")


@probe(default=True)
def w_norm(t: LayerTrace) -> Measure:
    """‖w‖."""
    return t.norm("w")


@probe(default=True)
def delta_log10(t: LayerTrace) -> Measure:
    """log10 ‖dLoss/dz‖, right also where the norm is smaller than any number; −inf for an exact zero."""
    return _log10(t.norm("scaled_delta"), t.exponent)


@probe(default=True)
def dw_log10(t: LayerTrace) -> Measure:
    """log10 ‖dLoss/dw‖, right also where the norm is smaller than any number; −inf for an exact zero."""
    return _log10(t.norm("scaled_dw"), t.dw_exponent)


@probe(default=True)
def delta_rms(t: LayerTrace) -> Measure:
    """Root mean square of dLoss/dz over examples and units."""
    return _rms(t, "delta")


@probe(default=True)
def dw_rms(t: LayerTrace) -> Measure:
    """Root mean square of dLoss/dw over the layer's weights: comparable between layers of other shapes."""
    return _rms(t, "dw")


@probe(default=True)
def db_rms(t: LayerTrace) -> Measure:
    """Root mean square of dLoss/db over the layer's units."""
    return _rms(t, "db")


@probe(default=True)
def z_mean(t: LayerTrace) -> Measure:
    """Mean of the pre-activations over examples and units."""
    return t.moments("z")[0]


@probe(default=True)
def z_var(t: LayerTrace) -> Measure:
    """Variance of the pre-activations over examples and units."""
    return t.moments("z")[1]


@probe(default=True)
def z_rms(t: LayerTrace) -> Measure:
    """Root mean square of the pre-activations over examples and units."""
    return t.moments("z")[2]


@probe(default=True)
def a_mean(t: LayerTrace) -> Measure:
    """Mean of the activation's outputs over examples and units."""
    return t.moments("a")[0]


@probe(default=True)
def a_var(t: LayerTrace) -> Measure:
    """Variance of the activation's outputs over examples and units."""
    return t.moments("a")[1]


@probe(default=True)
def a_rms(t: LayerTrace) -> Measure:
    """Root mean square of the activation's outputs over examples and units."""
    return t.moments("a")[2]


@probe(default=True)
def dead_fraction(t: LayerTrace) -> Measure:
    """Share of units with slope 0 on every example, so that they get no gradient."""
    return known(t, share(t.dead), "slope")


@probe(default=True)
def inactive_fraction(t: LayerTrace) -> Measure:
    """Share of units with z ≤ 0 on every example; of a leaky activation they still learn."""
    return known(t, share(~ever(lambda z: z > 0, t.scaled_z)))


@probe(default=True)
def saturated_fraction(t: LayerTrace, below: Annotated[float, Within(0, 1, above=True)] = 0.1) -> Measure:
    """Share of (example, unit) pairs with a slope under `below` (default 0.1) of the largest possible."""
    size = t.slope if t.slope.min() >= 0 else np.abs(t.slope)
    return known(t, share(size < below * t.act.max_slope), "slope")


@probe(default=True)
def slope_rms(t: LayerTrace) -> Measure:
    """Root mean square of the slope over examples and units: what the activation leaves of a gradient."""
    return known(t, t.norm("slope") / np.sqrt(t.slope[0].size))


@probe(default=True)
@_quiet
def update_ratio(t: LayerTrace) -> Measure:
    """‖step‖/‖w‖ of the update that follows; NaN after the last update."""
    return t.size("step") / t.norm("w")


@probe(default=True)
@_quiet
def displacement(t: LayerTrace) -> Measure:
    """‖w − w₀‖/‖w₀‖, how far the weights are from where they started."""
    return frobenius(t.w - t.w0) / frobenius(t.w0)


def _has_gradient(t: LayerTrace) -> npt.NDArray[np.bool_]:
    """Return (R, B, n_out) whether delta is truly not 0, also where the number format has lost it."""
    found = t.scaled_delta != 0
    for r, arrivals in t.arrivals.items():
        found[r] = arrivals.delta
    return found


def _by_example(t: LayerTrace) -> tuple[Measure, Measure]:
    """Return the mean agreement of an example's gradients into a unit, and the share that all agree: (R,).

    An example's gradient of w_ij is x_i·delta_j, so into every unit its signs agree just as those of x do. It
    counts as often as there are units that it sends a gradient to.
    """

    def measure() -> tuple[Measure, Measure]:
        x = t.scaled_x[:1] if t.scaled_x.strides[0] == 0 else t.scaled_x  # all runs see the same: once
        return _mean_agreement(x, count(_has_gradient(t)))

    return t.once("agreement by example", measure)


def _of_the_mean(t: LayerTrace) -> tuple[Measure, Measure]:
    """Return the same of the mean loss's gradients, over the units that get one: (R,)."""

    def measure() -> tuple[Measure, Measure]:
        return _mean_agreement(t.scaled_dw.mT, np.ones(1))

    return t.once("agreement of the mean", measure)


@_quiet
def _mean_agreement(values: Array, weights: Array) -> tuple[Measure, Measure]:
    """Return how far signs agree along the last axis, and how often all do: (R or 1, n, m) -> (R,).

    The agreement is |n₊ − n₋|/(n₊ + n₋): 1 all of one sign, 0 evenly split. Both are weighted means over
    those of the n that have a value other than 0; NaN where none has.
    """
    plus, minus = count(values > 0), count(values < 0)
    agreement = np.abs(plus - minus) / (plus + minus)
    weights = np.where(plus + minus > 0, weights, 0)
    total = weights.sum(axis=-1)
    mean = (np.where(weights > 0, agreement, 0) * weights).sum(axis=-1) / total
    return mean, ((agreement == 1) * weights).sum(axis=-1) / total


@probe(default=True)
def sign_agreement(t: LayerTrace) -> Measure:
    """How far one example pushes a unit's incoming weights the same way: 1 all, 0 evenly split.

    The mean over the (example, unit) pairs with a gradient.
    """
    return known(t, _by_example(t)[0], "scaled_delta")


@probe(default=True)
def sign_agreement_batch(t: LayerTrace) -> Measure:
    """The same for the gradient of the whole set's mean loss."""
    return known(t, _of_the_mean(t)[0], "scaled_dw")


@probe(default=True)
def one_sign_fraction(t: LayerTrace) -> Measure:
    """Share of (example, unit) pairs whose incoming weight gradients all have one sign."""
    return known(t, _by_example(t)[1], "scaled_delta")


@probe(default=True)
def one_sign_fraction_batch(t: LayerTrace) -> Measure:
    """Share of units whose incoming weight gradients of the mean loss all have one sign."""
    return known(t, _of_the_mean(t)[1], "scaled_dw")


def _is_zero(t: LayerTrace) -> Array:
    """Return (R, n_in, n_out) whether a weight's gradient is truly 0: no example sends one to it.

    Of a run with lost slopes it is counted, by weight, on how many examples both factors are not 0.
    """

    def measure() -> Array:
        zero = t.scaled_dw == 0
        for r, arrivals in t.arrivals.items():
            together = arrivals.x.T.astype(np.float32) @ arrivals.delta.astype(np.float32)
            zero[r] = together == 0
        return zero

    return t.once("zero gradients", measure)


@probe(default=True)
def zero_fraction(t: LayerTrace) -> Measure:
    """Share of weight gradients that are exactly zero; what only its number format makes 0 is not counted."""
    fraction = known(t, share(_is_zero(t)), "scaled_dw")
    for r in t.arrivals:  # known also where the gradients have left the format, and are NaN
        fraction[r] = _is_zero(t)[r].mean()
    return fraction


@probe(default=True)
def subnormal_fraction(t: LayerTrace) -> Measure:
    """Share of weight gradients, not zero, below the smallest normal number of the run's own format."""
    size = np.abs(t.scaled_dw)
    smallest = times_power(np.full(len(size), float(np.finfo(t.w.dtype).tiny)), t.dw_exponent)
    return known(t, share(~_is_zero(t) & (size < smallest[:, None, None])), "scaled_dw")
