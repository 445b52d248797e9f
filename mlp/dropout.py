"""Dropout: each update leaves out a random share of the hidden layers' outputs (Srivastava et al. 2014)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlp.activations import Array
from mlp.network import Network
from mlp.streams import stream


class Dropout:
    """The masks of R runs: 0 with probability `share`, else 1/(1 − share), so that the mean output stays.

    A run's masks at a step depend on its seed and the step alone.
    """

    def __init__(self, net: Network, examples: int, seeds: Sequence[int], share: float) -> None:
        self.seeds, self.share, self.dtype = seeds, share, net.params.dtype
        self.shapes = [(examples, width) for width in net.sizes[1:-1]] if share else []

    def masks(self, step: int) -> list[Array]:
        """Return (R, B, n) for every hidden layer of the pass before update `step`; none without dropout."""
        if not self.shapes:
            return []
        streams = [stream(seed, "dropout", step) for seed in self.seeds]
        kept = self.dtype.type(1 / (1 - self.share))
        return [
            np.stack([rng.random(shape, np.float32) >= self.share for rng in streams]) * kept
            for shape in self.shapes
        ]
