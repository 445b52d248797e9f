"""Where first-order theory is too inaccurate for a band, or for a line, and the sentences that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

# Bounds set on other settings than those of the coverage study (`experiments.verification.band_coverage`).
LEAST_LEFT = 0.03  # of the sizes of a sum's terms: what is left of less depends on which examples are chosen
LEAST_OF_ALL = 0.003  # where all examples are there, and none chosen: a Hermite series errs by this much
LEAST_FOR_BAND = 0.1  # the same: what is left of less varies by twice the variance that theory expects
MOST_PAIRED = 0.3  # of ‖dw‖² that pairs of examples make whose signals are alike by chance
MOST_ALIKE = 0.1  # units' variances over a batch then vary by √0.2
MOST_REUSED = 0.2  # of ln‖delta‖²: what comes of sharing weights is then as much as all the rest
SHARED = 5.0  # the share by which that widens the variance, over `reuse`; fitted below MOST_REUSED
SHARED_OF_ONE = 2.5  # the same of a single input, whose band is known: C·L/n
WIDEST = 1.0  # sd of a log norm, a factor of e: beyond, first order in 1/width says nothing

CANCELS = "no line", "the sum over examples cancels further than theory can tell"
TOO_WIDE = "no line", "theory expects it to vary over seeds by more than a factor of e, and holds for less"
BELOW_ZERO = "no line", "theory gives an example a squared gradient below 0, which there cannot be"
FEW = "no line", "few directions hold most of the variance over the batch, and theory takes it for many"
REUSED = "no band", "the loss's gradient depends much on the weights through which it goes back"
CHOSEN = "no band", "most of the sum over examples cancels, and what is left depends on which are chosen"
PAIRED = "no band", "much of it comes of examples whose signals are alike by chance"
IN_BATCH = "no band", "how far networks stray under batch normalisation is known too roughly"

Limit = tuple[str, str]  # what there is not, and why


@dataclass(frozen=True)
class LogNorm:
    """ln norm of one layer and its sd over seeds, NaN where there is no line or no band, and why."""

    log: float
    sd: float
    limit: Limit | None = None

    def without_band(self, limit: Limit) -> LogNorm:
        """Return the same without its band."""
        return replace(self, sd=np.nan, limit=limit) if np.isfinite(self.log) else self

    def without_line(self, limit: Limit) -> LogNorm:
        """Return the same without a line or a band, unless it is an exact 0."""
        return self if self.log == -np.inf else LogNorm(np.nan, np.nan, limit)


def sentences(norms: Sequence[LogNorm]) -> tuple[str, ...]:
    """Return a sentence per reason: "no band in layers 1 to 3: …". The last norm is the output layer's."""
    where: dict[Limit, list[int]] = {}
    for layer, norm in enumerate(norms, start=1):
        if norm.limit is not None:
            where.setdefault(norm.limit, []).append(layer)
    return tuple(f"{what} in {_named(at, len(norms))}: {why}" for (what, why), at in where.items())


def _named(layers: Sequence[int], count: int) -> str:
    if len(layers) == count:
        return "any layer"
    if list(layers) == list(range(1, count)):
        return "any hidden layer"
    if len(layers) == 1:
        return f"layer {layers[0]}"
    if layers[-1] - layers[0] == len(layers) - 1:
        return f"layers {layers[0]} to {layers[-1]}"
    return "layers " + ", ".join(map(str, layers))
