"""Classes of points drawn by rule: each generator is one function (rng, *, n, …) -> (x, y).

Circles and moons are scikit-learn's to the last bit but for their noise, without its import of two seconds.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from experiments.datasets.preparation import check_within
from experiments.datasets.readers import LARGEST_ARRAY
from experiments.datasets.table_columns import LARGEST_CLASSES
from mlp.registry import Registry, Share, Within

GENERATORS = Registry("generator")
Number = Annotated[int, Within(4, LARGEST_ARRAY)]
Noise = Annotated[float, Within(0, 1_000_000)]
Turns = Annotated[float, Within(0, 100)]
Features = Annotated[int, Within(1, LARGEST_ARRAY)]
Classes = Annotated[int, Within(2, LARGEST_CLASSES)]

Examples = tuple[NDArray[np.float64], NDArray[np.int64]]


def check_drawn(*, n: int, features: int = 2, classes: int = 2, **others: float) -> None:
    """That there are two examples a class and the table fits in memory; errors: DataError."""
    check_within("n", n, 2 * classes, LARGEST_ARRAY // features)


def _on_circle(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([np.cos(angle), np.sin(angle)])


@GENERATORS
def circles(
    rng: np.random.Generator, *, n: Number = 1000, noise: Noise = 0.1, factor: Share = 0.5
) -> Examples:
    """A circle of radius `factor` inside one of radius 1, each point off by a normal step of `noise`."""
    angle = np.concatenate([np.linspace(0, 2 * np.pi, part, endpoint=False) for part in (n // 2, n - n // 2)])
    y = (np.arange(n) >= n // 2).astype(np.int64)
    radius = np.where(y == 1, factor, 1.0)
    return radius[:, None] * _on_circle(angle) + rng.normal(0, noise, (n, 2)), y


@GENERATORS
def moons(rng: np.random.Generator, *, n: Number = 1000, noise: Noise = 0.1) -> Examples:
    """Two half circles that reach into each other, each point off by a normal step of `noise`."""
    upper = _on_circle(np.linspace(0, np.pi, n // 2))
    lower = np.array([1.0, 0.5]) - _on_circle(np.linspace(0, np.pi, n - n // 2))
    y = (np.arange(n) >= n // 2).astype(np.int64)
    return np.concatenate([upper, lower]) + rng.normal(0, noise, (n, 2)), y


@GENERATORS
def spirals(
    rng: np.random.Generator,
    *,
    n: Number = 1000,
    noise: Noise = 0.02,
    classes: Classes = 2,
    turns: Turns = 1.5,
) -> Examples:
    """One arm a class, from the middle out to radius 1 in so many turns.  After Lang & Witbrock 1988."""
    y = np.arange(n) % classes
    radius = (np.arange(n) // classes + 1) / -(-n // classes)
    arms = radius[:, None] * _on_circle(2 * np.pi * (turns * radius + y / classes))
    return arms + rng.normal(0, noise, (n, 2)), y


@GENERATORS
def xor(rng: np.random.Generator, *, n: Number = 1000, noise: Noise = 0.3) -> Examples:
    """Clouds around the corners (±1, ±1), opposite corners of one class: no line does better than chance."""
    right, upper = np.arange(n) % 2, np.arange(n) // 2 % 2
    corners = 2.0 * np.column_stack([right, upper]) - 1.0
    return corners + rng.normal(0, noise, (n, 2)), right ^ upper


@GENERATORS
def blobs(
    rng: np.random.Generator,
    *,
    n: Number = 1000,
    noise: Noise = 1.0,
    features: Features = 2,
    classes: Classes = 3,
) -> Examples:
    """A normal cloud of deviation `noise` for each class, centred at random between -10 and 10."""
    y = np.arange(n) % classes
    centres = rng.uniform(-10, 10, (classes, features))
    return centres[y] + rng.normal(0, noise, (n, features)), y


@GENERATORS
def gaussian_noise(
    rng: np.random.Generator, *, n: Number = 1000, features: Features = 64, classes: Classes = 10
) -> Examples:
    """Normal inputs and labels that have nothing to do with them: only learning by heart fits them."""
    return rng.normal(0, 1, (n, features)), np.arange(n) % classes
