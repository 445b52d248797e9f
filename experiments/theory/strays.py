"""How far the signal of a network of finite width strays on its way forward, to first order in 1/width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from experiments.theory.gaussian import Array
from experiments.theory.kernels import Hidden, Output


def forward_noise(layers: Sequence[Hidden], output: Output) -> Iterator[Array]:
    """Return (M, M) for every layer from the first: n·cov of ln u, which comes from the layers below it."""
    noise = np.zeros((len(output.u),) * 2)
    yield noise
    following = [*((layer.rule.weight, layer.u) for layer in layers[1:]), (output.weight, output.u)]
    for layer, (weight, u) in zip(layers, following, strict=False):
        carried, by_square = weight / u * gain(layer) * layer.u, weight / u
        noise = np.outer(carried, carried) * noise + np.outer(by_square, by_square) * square_noise(layer)
        yield noise


def passed_on(layer: Hidden) -> Array:
    """Return (M, M): d (product of the outputs)/d (product of the inputs), for two different inputs."""
    moved = layer.rule.weight * np.outer(layer.scale, layer.scale) * layer.slopes
    return 1 + layer.rule.skip**2 * moved if layer.rule.skip else moved


def pair_noise(layers: Sequence[Hidden]) -> Iterator[Array]:
    """Return (M, M) for the inputs of each layer, the output layer last: n·variance of the product of two."""
    noise = np.zeros_like(layers[0].products) if layers else np.zeros((1, 1))
    yield noise
    for layer in layers:
        skip, own = layer.rule.skip, layer.pair_noise
        if skip:
            square = np.diag(layer.x.products)
            mixed = np.outer(square, layer.square)
            own = skip**4 * own + skip**2 * (mixed + mixed.T - 2 * layer.x.products * layer.products)
        noise = passed_on(layer) ** 2 * noise + own
        yield noise


def gain(layer: Hidden) -> Array:
    """Return (M,): d (mean square of the layer's output) / d u."""
    rule = layer.rule
    if not rule.skip:
        return layer.square_slope
    along = 1 / rule.weight  # of x² itself: u is weight·x² + bias
    return along + rule.skip**2 * layer.square_slope + 2 * rule.skip * layer.x.mean * layer.mean_slope


def square_noise(layer: Hidden) -> Array:
    """Return n·cov of the mean square of the output; past a skip also of its mixed term 2·skip·x·f(z)."""
    skip = layer.rule.skip
    if not skip:
        return layer.square_noise
    return skip**4 * layer.square_noise + 4 * skip**2 * layer.x.products * layer.products
