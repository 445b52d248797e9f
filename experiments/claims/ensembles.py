"""Networks drawn anew at their initialisation, for claims about networks that no run of the config is.

A run gives the settings. These claims draw their own networks, where all others read the records: L05, L06
and L16 are about hundreds of networks per seed, L07's check about wider ones, L14a about layers of different
widths, L08 and L09 about inputs other than the data's, L18 about what a block passes on, which is no column.
L03b could read the probe `jacobian_mean`; it looks at an input of its own because its stored numbers were
found so (the probe's are 0.1 and 0.6 % larger, and lie within the printed ranges as well).

The forward pass is the project's own, `mlp.probes.jacobian.forward`. Two derivatives are taken here, since
no probe has them: `backward` for one vector at a time (pulling it back as a Jacobian's row gives the same to
2e-16 and takes half as long again), and `tangent`, which needs no n × n Jacobian of each network.
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


def networks(
    run: Any, sizes: tuple[int, ...], count: int, *, norm: str = "none", first: int = 0, residual: float = 0.0
) -> Network:
    """Draw `count` networks of these sizes as a run is drawn, with seeds that follow from the run's.

    `first` is how many networks of the run have been drawn before, so that many can be drawn in parts.
    """
    seeds = [run.seed * MANY + first + k for k in range(count)]
    inits, biases = [run.init] * count, [run.bias] * count
    return create(sizes, run.activation, seeds=seeds, init=inits, bias=biases, norm=norm, residual=residual)


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
    """Yield the hidden layers at x (B, n_in), from the first to the last."""
    for saved in jacobian.forward(net, x).saved:
        scale = 1.0 if saved.scale is None else saved.scale
        yield Passed(saved.z, saved.a, net.act.df(saved.z, saved.a), scale)


def backward(net: Network, passed: list[Passed], g: Array) -> Iterator[Array]:
    """Yield dL/dz (R, B, n) of the hidden layers from the last to the first; g is dL/da of the last.

    The moments of a normalisation are held fixed: this is the derivative by one example's own input.
    """
    for index in reversed(range(len(passed))):
        delta = g * passed[index].slope
        yield delta
        g = (delta * passed[index].scale) @ net.layers[index].w.mT


def mean_cosine(rows: Array) -> float:
    """Return the mean cosine of the angle between two different rows of an (n, m) array."""
    unit, n = rows / np.linalg.norm(rows, axis=1, keepdims=True), len(rows)
    return float((np.square(unit.sum(axis=0)).sum() - n) / (n * (n - 1)))


def tangent(net: Network, passed: list[Passed], u: Array) -> Array:
    """Return J u (R, B, n): the derivative of the last hidden layer's output along u (B, n_in)."""
    t = u[None]
    for layer, p in zip(passed, net.layers, strict=False):
        t = (t @ p.w) * layer.slope
    return np.asarray(t)
