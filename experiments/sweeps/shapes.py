"""The shapes that decide on time and memory: of a data set, once it is loaded, and of a network on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from experiments import datasets
from experiments.config import Recording, Run


@dataclass(frozen=True)
class Shape:
    """What of a data set decides on memory and time."""

    features: int
    classes: int
    train: int
    test: int
    is_number: bool = False  # whether a number is learnt, by a single output

    def traced(self, run: Run, recording: Recording) -> int:
        """Return the number of examples that a trace is taken on."""
        return run.batch if recording.trace == "batch" else min(recording.probe_set, self.train)


def shape_of(dataset: str) -> Shape:
    """Return the shape of a data set, which is read for it at the first call; errors: DataError."""
    changeable = datasets.is_own(dataset)  # all others are the same as long as this process lives
    return _shape_of(dataset, datasets.fingerprint(dataset) if changeable else "")


@lru_cache(maxsize=100_000)
def _shape_of(dataset: str, fingerprint: str) -> Shape:
    data = datasets.load(dataset)
    return Shape(data.x.shape[1], data.classes, len(data.x), len(data.x_test), data.is_regression)


def layer_sizes(run: Run, data: Shape) -> tuple[int, ...]:
    """Return the number of features, the units of each hidden layer, and the number of classes."""
    return data.features, *[run.width] * run.depth, data.classes


def matrices(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return (n_in, n_out) of each layer's weights."""
    return list(pairwise(sizes))
