"""Measures that published detectors of training problems read, none of them in the default set.

They are defined as those tools define them, on plain arrays, so that the tools' rules can be asked about
the same networks.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from mlp.numbers import Measure, moments, share
from mlp.probes.missing import known
from mlp.probes.table import probe
from mlp.registry import Share, Within
from mlp.trace import LayerTrace

Level = Annotated[float, Within(-1e12, 1e12)]

LARGE = 5.0  # of an output, in magnitude
QUIET, PERCENTILE = 1e-5, 95.0  # of |output| over examples
FULL, BINS = 0.85, 50  # of ρ, and in how many bins its outputs are put


@probe()
def dw_mean_abs(t: LayerTrace) -> Measure:
    """Mean of |dLoss/dw| over the layer's weights."""
    return np.abs(t.dw).mean(axis=(-2, -1))


@probe()
def dw_max_abs(t: LayerTrace) -> Measure:
    """Largest |dLoss/dw| of the layer."""
    return np.abs(t.dw).max(axis=(-2, -1))


@probe()
def dw_span(t: LayerTrace) -> Measure:
    """From the 5th to the 95th percentile of dLoss/dw over the layer's weights."""
    low, high = np.percentile(t.dw.reshape(len(t.dw), -1), (5, 95), axis=-1)
    return (high - low).astype(np.float64)


@probe()
def w_max_abs(t: LayerTrace) -> Measure:
    """Largest |w| of the layer."""
    return np.abs(t.w).max(axis=(-2, -1)).astype(np.float64)


@probe()
def w_var(t: LayerTrace) -> Measure:
    """Variance of the layer's weights."""
    return moments(t.w)[1]


@probe()
def output_zero_fraction(t: LayerTrace) -> Measure:
    """Share of the activation's outputs that are exactly 0."""
    return known(t, share(t.scaled_a == 0))


@probe()
def output_beyond_fraction(t: LayerTrace) -> Measure:
    """Share of the activation's outputs of at least 5 in magnitude."""
    return known(t, share(np.abs(t.a) >= LARGE))


@probe()
def input_beyond_fraction(t: LayerTrace, low: Level = -5.0, high: Level = 5.0) -> Measure:
    """Share of pre-activations at most `low` or at least `high` (default −5 and 5)."""
    return known(t, share((t.z <= low) | (t.z >= high)))


@probe()
def rarely_active_fraction(t: LayerTrace, below: Share = 0.01) -> Measure:
    """Share of units whose output is above 0 on fewer than `below` (default 0.01) of the examples."""
    return known(t, share((t.scaled_a > 0).mean(axis=-2) < below))


@probe()
@np.errstate(all="ignore")  # of outputs that are infinite
def quiet_fraction(t: LayerTrace) -> Measure:
    """Share of units of whose |output| the 95th percentile over examples is under 1e-5."""
    return known(t, share(np.percentile(np.abs(t.a), PERCENTILE, axis=-2) < QUIET))


@probe()
@np.errstate(all="ignore")  # of outputs that are infinite, or all the same
def binned_saturation_fraction(t: LayerTrace) -> Measure:
    """Share of units with ρ above 0.85: how far a bounded unit's outputs lie at their ends.

    ρ is Σ |mean of the bin|·(examples in it)/(examples), over 50 equal bins of the unit's outputs scaled to
    [−1, 1] by the activation's range here, the layer's smallest and largest output (Rakitianskaia &
    Engelbrecht 2015).
    """
    a = t.a.astype(np.float64)
    low, high = a.min(axis=(-2, -1), keepdims=True), a.max(axis=(-2, -1), keepdims=True)
    scaled = 2 * (a - low) / (high - low) - 1
    place = np.clip(np.nan_to_num((scaled + 1) / 2 * BINS), 0, BINS - 1).astype(np.intp)
    runs, units = scaled.shape[0], scaled.shape[-1]
    unit = np.arange(runs * units).reshape(runs, 1, units)
    sums = np.bincount((unit * BINS + place).ravel(), scaled.ravel(), minlength=runs * units * BINS)
    rho = np.abs(sums).reshape(runs, units, BINS).sum(axis=-1)
    return known(t, share(rho / scaled.shape[-2] > FULL))
