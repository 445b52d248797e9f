"""How a layer's numbers lie over the orders of magnitude: a trace -> the share of them in each half decade.

Sizes are true ones, also where no number of the run's format is so small: the bins are of |value|·2^exponent
before it was scaled. So a gradient that vanishes is seen to do so beyond the place where the format gives
out, and what lies beyond is told apart: exact zeros, and what would be subnormal or less in that format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log10

import numpy as np

from mlp.activations import Array
from mlp.numbers import Exponents
from mlp.registry import Registry
from mlp.trace import LayerTrace

Scaled = tuple[Array, Exponents]  # values (R, …), true · 2^exponent, and the exponents (R,)

DISTRIBUTIONS = Registry("distribution")  # a trace -> Scaled

PER_DECADE = 2


@DISTRIBUTIONS
def delta(t: LayerTrace) -> Scaled:
    """|dLoss/dz| over examples and units, Loss the mean over the examples."""
    return t.scaled_delta, t.exponent


@DISTRIBUTIONS
def dw(t: LayerTrace) -> Scaled:
    """|dLoss/dw| of the mean loss over the layer's weights."""
    return t.scaled_dw, t.dw_exponent


@DISTRIBUTIONS
def z(t: LayerTrace) -> Scaled:
    """|z|, the pre-activations over examples and units."""
    return t.scaled_z, t.z_exponent


@DISTRIBUTIONS
def a(t: LayerTrace) -> Scaled:
    """|a|, the activation's outputs over examples and units."""
    return t.scaled_a, t.z_exponent


def histograms(t: LayerTrace, quantities: Mapping[str, Callable[[LayerTrace], Scaled]]) -> dict[str, Array]:
    """Columns row (of the trace, from 0), bin, subnormal, and of each quantity by its name the share.

    bin is log10 of its lower edge, −inf for exact zeros; subnormal is 1 for what is not 0 but below the
    smallest normal number of the run's format, else 0. A row for each bin in which any of them has a share;
    shares are of all values, so that they add up to less than 1 where some are infinite. The shares of a
    quantity with a NaN are NaN; a run of nothing else has no rows.
    """
    scaled = {name: quantity(t) for name, quantity in quantities.items()}
    smallest = float(np.finfo(t.w.dtype).tiny)
    rows: list[tuple[float, ...]] = []
    for r in range(len(t.w)):
        found = [histogram(values[r], int(exponent[r]), smallest) for values, exponent in scaled.values()]
        keys = sorted(set().union(*(shares for shares in found if shares is not None)))
        rows += [(r, *key, *(np.nan if s is None else s.get(key, 0.0) for s in found)) for key in keys]
    table = np.array(rows).reshape(-1, 3 + len(scaled)).T
    places = {"row": table[0].astype(np.int64), "bin": table[1], "subnormal": table[2].astype(np.int64)}
    return places | dict(zip(scaled, table[3:], strict=True))


@np.errstate(all="ignore")
def histogram(values: Array, exponent: int, smallest: float) -> dict[tuple[float, int], float] | None:
    """The share of |values|·2^-exponent by (bin, subnormal), as in `histograms`; None if one is NaN."""
    sizes = np.abs(values.ravel().astype(np.float64, copy=False))
    if np.isnan(sizes).any():
        return None
    sizes = sizes[np.isfinite(sizes)]
    some = sizes[sizes != 0]
    counts = {(-np.inf, 0): sizes.size - some.size} if some.size < sizes.size else {}
    place = np.floor(PER_DECADE * (np.log10(some) - exponent * log10(2))).astype(np.int64)
    low = some < np.ldexp(smallest, exponent)
    for subnormal, at in enumerate((place[~low], place[low])):
        first = at.min(initial=0)
        each = np.bincount(at - first)
        for k in np.flatnonzero(each):
            counts[(first + k) / PER_DECADE, subnormal] = int(each[k])
    return {key: number / values.size for key, number in counts.items()}
