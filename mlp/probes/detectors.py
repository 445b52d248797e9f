"""Measures that published detectors of training problems read, none of them in the default set.

They are defined as those tools define them, on plain arrays, so that the tools' rules can be asked about
the same networks.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from mlp.numbers import Measure, share
from mlp.probes.table import probe
from mlp.registry import Share, Within
from mlp.trace import LayerTrace

Size = Annotated[float, Within(0, 1e12)]
Level = Annotated[float, Within(-1e12, 1e12)]
Percentile = Annotated[float, Within(0, 100)]
Bins = Annotated[int, Within(1, 1000)]


@probe()
def dw_mean_abs(t: LayerTrace) -> Measure:
    """Mean of |dLoss/dw| over the layer's weights."""
    return np.abs(t.dw).mean(axis=(-2, -1))


@probe()
def dw_max_abs(t: LayerTrace) -> Measure:
    """Largest |dLoss/dw| of the layer."""
    return np.abs(t.dw).max(axis=(-2, -1))


@probe()
def w_max_abs(t: LayerTrace) -> Measure:
    """Largest |w| of the layer."""
    return np.abs(t.w).max(axis=(-2, -1)).astype(np.float64)


@probe()
def w_var(t: LayerTrace) -> Measure:
    """Variance of the layer's weights."""
    return t.w.astype(np.float64).var(axis=(-2, -1))


@probe()
def output_zero_fraction(t: LayerTrace) -> Measure:
    """Share of the activation's outputs that are exactly 0."""
    return t.known(share(t.scaled_a == 0))


@probe()
def output_beyond_fraction(t: LayerTrace, size: Size = 5.0) -> Measure:
    """Share of the activation's outputs of at least `size` (default 5) in magnitude."""
    return t.known(share(np.abs(t.a) >= size))


@probe()
def input_beyond_fraction(t: LayerTrace, low: Level = -5.0, high: Level = 5.0) -> Measure:
    """Share of pre-activations at most `low` or at least `high` (default −5 and 5)."""
    return t.known(share((t.z <= low) | (t.z >= high)))


@probe()
def rarely_active_fraction(t: LayerTrace, below: Share = 0.01) -> Measure:
    """Share of units whose output is above 0 on fewer than `below` (default 0.01) of the examples."""
    return t.known(share((t.scaled_a > 0).mean(axis=-2) < below))


@probe()
@np.errstate(all="ignore")  # of outputs that are infinite
def quiet_fraction(t: LayerTrace, below: Size = 1e-5, percentile: Percentile = 95.0) -> Measure:
    """Share of units of whose |output| this percentile over examples (default 95) is under `below`."""
    return t.known(share(np.percentile(np.abs(t.a), percentile, axis=-2) < below))


@probe()
def binned_saturation_fraction(t: LayerTrace, above: Share = 0.85, bins: Bins = 50) -> Measure:
    """Share of units with ρ above `above`: how far a bounded unit's outputs lie at their ends.

    ρ is Σ |mean of the bin|·(examples in it)/(examples), over `bins` equal bins of the unit's outputs scaled
    to [−1, 1] by the activation's range here, the layer's smallest and largest output (Rakitianskaia &
    Engelbrecht 2015). With the mean of each bin taken of |output| it is the mean of |output| itself, up to
    the one bin that straddles 0.
    """
    a = t.a.astype(np.float64)
    low, high = a.min(axis=(-2, -1), keepdims=True), a.max(axis=(-2, -1), keepdims=True)
    with np.errstate(all="ignore"):
        scaled = 2 * (a - low) / (high - low) - 1
    place = np.clip(np.nan_to_num((scaled + 1) / 2 * bins), 0, bins - 1).astype(int)
    rho = np.zeros(scaled.shape[::2])
    for b in range(bins):
        rho += np.abs(np.where(place == b, scaled, 0.0).sum(axis=-2))
    return t.known(share(rho / scaled.shape[-2] > above))
