"""Networks drawn anew at their initialisation, for claims about all networks of a shape.

A run of the config gives the settings. The forward pass is the project's own, `mlp.probes.jacobian.forward`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.activations import Array
from mlp.network import Network, create
from mlp.probes import jacobian

MANY = 1_000_000  # networks a seed may draw without meeting those of the next


def networks(run: Any, sizes: tuple[int, ...], count: int, *, norm: str = "none") -> Network:
    """`count` networks of these sizes drawn as a run is, by seeds of their own that follow from the run's."""
    seeds = [run.seed * MANY + k for k in range(count)]
    inits, biases = [run.init] * count, [run.bias] * count
    return create(sizes, run.activation, seeds=seeds, init=inits, bias=biases, norm=norm)


@dataclass(frozen=True)
class Passed:
    """A hidden layer after a forward pass.

    These are z (R, B, n), a = f(z), slope = f'(z), and the factor by which a normalisation has scaled z,
    which is 1 where nothing is normalised.
    """

    z: Array
    a: Array
    slope: Array
    scale: Array | float


def forward(net: Network, x: Array) -> Iterator[Passed]:
    """The hidden layers at x (B, n_in), from the first to the last."""
    for saved in jacobian.forward(net, x).saved:
        scale = 1.0 if saved.scale is None else saved.scale
        yield Passed(saved.z, saved.a, net.act.df(saved.z, saved.a), scale)


def backward(net: Network, passed: list[Passed], g: Array) -> Iterator[Array]:
    """dL/dz (R, B, n) of the hidden layers from the last to the first, g being dL/da of the last.

    The moments of a normalisation are held fixed: this is the derivative by one example's own input.
    """
    for index in reversed(range(len(passed))):
        delta = g * passed[index].slope
        yield delta
        g = (delta * passed[index].scale) @ net.layers[index].w.mT


def mean_cosine(rows: Array) -> float:
    """The mean cosine of the angle between two different rows of an (n, m) array."""
    unit, n = rows / np.linalg.norm(rows, axis=1, keepdims=True), len(rows)
    return float((np.square(unit.sum(axis=0)).sum() - n) / (n * (n - 1)))


def tangent(net: Network, passed: list[Passed], u: Array) -> Array:
    """J u (R, B, n): the derivative of the last hidden layer's output along u (B, n_in)."""
    t = u[None]
    for layer, p in zip(passed, net.layers, strict=False):
        t = (t @ p.w) * layer.slope
    return np.asarray(t)
