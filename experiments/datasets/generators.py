"""Classes of points drawn by rule: each generator is one function (rng, *, n, …) -> (x, y).

Its decorator makes it a data set at once, this project's and a user's own alike. Circles and moons are
scikit-learn's to the last bit but for their noise, without its import of two seconds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from experiments.datasets.catalogue import DATASETS, Source
from experiments.datasets.preparation import (
    Parts,
    Preparation,
    Scale,
    Shift,
    SplitSeed,
    Test,
    check_within,
    held_out,
)
from experiments.datasets.readers import LARGEST_ARRAY, DataError
from experiments.datasets.table_columns import LARGEST_CLASSES
from experiments.datasets.user_code import failed
from mlp.registry import PROJECT, Registry, RegistryError, Share, Within

Number = Annotated[int, Within(4, LARGEST_ARRAY)]
Noise = Annotated[float, Within(0, 1_000_000)]
Turns = Annotated[float, Within(0, 100)]
Features = Annotated[int, Within(1, LARGEST_ARRAY)]
Classes = Annotated[int, Within(2, LARGEST_CLASSES)]

Examples = tuple[NDArray[np.float64], NDArray[np.int64]]
Draw = Callable[..., Examples]


class Generators(Registry):
    """A table of generators; used as a decorator it makes a data set of each, by the same name."""

    def __call__(self, function: Draw) -> Draw:
        """Register `function` and hand it back unchanged; errors: RegistryError as of any table."""
        DATASETS(_data_set_of(function))
        return super().__call__(function)


def _data_set_of(draw: Draw) -> Callable[..., Source]:
    """Return the factory of the data set that ``draw(rng, *, n, …)`` draws, with the options of all others.

    Errors: RegistryError where it has no n, from which the sizes of its parts follow.
    """
    own = [p for name, p in inspect.signature(draw, eval_str=True).parameters.items() if name != "rng"]
    if "n" not in (p.name for p in own if p.default is not p.empty):
        raise RegistryError(f"generator {draw.__name__!r} needs an option n, as in n: int = 1000")

    def factory(
        *,
        test: Test = 0.2,
        scale: Scale = "standard",
        shift: Shift = 0.0,
        alternate: bool = False,
        split_seed: SplitSeed = 0,
        **given: Any,
    ) -> Source:
        options = {p.name: p.default for p in own} | given
        check_drawn(**options)
        preparation, n = Preparation(scale, shift, split_seed, alternate), options["n"]
        training = n - held_out(test, n)

        def read() -> Parts:
            return preparation.divide(*_drawn(draw, preparation.rng("draw"), options), test)

        return Source(read, preparation, training)

    factory.__name__, factory.__module__, factory.__doc__ = draw.__name__, draw.__module__, draw.__doc__
    added = inspect.signature(factory, eval_str=True).parameters.values()
    shared = [p for p in added if p.kind is p.KEYWORD_ONLY]
    factory.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    return factory


def _drawn(draw: Draw, rng: np.random.Generator, options: dict[str, Any]) -> Examples:
    """Return what a generator draws; errors: DataError where a user's own fails or draws no examples."""
    try:
        x, y = map(np.asarray, draw(rng, **options))
    except Exception as error:
        if draw.__module__.partition(".")[0] in PROJECT:
            raise
        raise DataError(failed(f"data set {draw.__name__}", error)) from None
    name, n = draw.__name__, options["n"]
    if x.ndim != 2 or len(x) != n or x.dtype.kind not in "biuf" or not np.isfinite(x).all():
        raise DataError(f"{name}: x, {x.dtype} of shape {x.shape}, is not ({n}, features) finite numbers")
    if y.shape != (n,) or y.dtype.kind not in "iu" or y.min() < 0:
        raise DataError(f"{name}: y, {y.dtype} of shape {y.shape}, is not ({n},) classes, counted from 0")
    return x, y.astype(np.int64)


GENERATORS = Generators("generator")


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
