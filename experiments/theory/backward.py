"""The way back through a wide random network, and how far one of finite width strays from it.

Strays are kept to first order in 1/width, as n times the covariance between examples of ln‖delta_e‖². Two
sources a layer: which units an example's gradient passes (f'², and the weights' own chi-square), and the
forward signal, whose strays change f' further up. For one input, homogeneous f and Gaussian weights this is
the known C_f·L/n (`closed_forms.spread`); over many inputs strays average out as far as the inputs and their
gradients differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from experiments.theory.gaussian import Array
from experiments.theory.inputs import Inputs
from experiments.theory.kernels import Hidden, Output


@dataclass(frozen=True)
class Returned:
    """Gradients at a layer, times exp(−log_scale/2).

    delta, du: (D, M, M) sums over units of delta·delta', after and before normalisation. noise: (M, M),
    n·cov of ln‖delta_e‖² for given u at this layer; lean: (M,) d ln‖delta_e‖²/d ln u; du_noise and du_lean
    those of du. centred: whether du is 0 in the mean over the examples, unit by unit.
    """

    log_scale: float
    delta: Array
    du: Array
    noise: Array
    lean: Array
    du_noise: Array
    du_lean: Array
    centred: bool = False


@dataclass(frozen=True)
class _Above:
    """dLoss/d(a layer's output): products g (D, M, M), with noise and lean as in Returned.

    lean is by ln u of the layer that follows: `weight` (n_in·Var w), `u` (M,). scatter: (M, M) by how much
    cos² of two examples' g exceeds that of g's products, as random weights do by 1/width a layer.
    """

    g: Array
    log_scale: float
    noise: Array
    lean: Array
    weight: float
    u: Array
    scatter: Array

    def rescaled(self) -> _Above:
        """With entries of about 1, so that a thousand sigmoid layers do not underflow."""
        size = float(np.einsum("dii->", self.g)) / len(self.g)
        return replace(self, g=self.g / size, log_scale=self.log_scale + float(np.log(size)))


def walk(inputs: Inputs, layers: Sequence[Hidden], output: Output, width: int) -> Iterator[Returned]:
    """From the output layer to the first hidden one; `width` of the hidden layers."""
    none = np.zeros_like(inputs.gram)
    last = output.deltas @ output.deltas.mT
    yield Returned(0.0, last, last, none, output.lean, none, output.lean)
    scatter = (1 - np.eye(len(none))) / width
    g = output.weight * last
    above = _Above(g, 0.0, none, output.lean, output.weight, output.u, scatter).rescaled()
    for layer in reversed(layers):
        noises = _noises(layer, above)
        here = _layer(inputs, layer, above, noises)
        yield here
        below = _below(layer, above, here, noises)
        above = replace(below, scatter=below.scatter + scatter).rescaled()


def forward_noise(layers: Sequence[Hidden], output: Output) -> Iterator[Array]:
    """(M, M) for every layer from the first: n·cov of ln u, what the layers below it stray."""
    noise = np.zeros((len(output.u),) * 2)
    yield noise
    following = [*((layer.rule.weight, layer.u) for layer in layers[1:]), (output.weight, output.u)]
    for layer, (weight, u) in zip(layers, following, strict=False):
        carried, by_square = weight / u * gain(layer) * layer.u, weight / u
        noise = np.outer(carried, carried) * noise + np.outer(by_square, by_square) * _square_noise(layer)
        yield noise


def gain(layer: Hidden) -> Array:
    """(M,): d (mean square of the layer's output) / d u."""
    rule = layer.rule
    if not rule.skip:
        return layer.square_slope
    along = 1 / rule.weight  # of x² itself: u is weight·x² + bias
    return along + rule.skip**2 * layer.square_slope + 2 * rule.skip * layer.x.mean * layer.mean_slope


def _square_noise(layer: Hidden) -> Array:
    """n·cov of the mean square of the layer's output; past a skip also of its mixed term 2·skip·x·f(z)."""
    skip = layer.rule.skip
    if not skip:
        return layer.square_noise
    return skip**4 * layer.square_noise + 4 * skip**2 * layer.x.products * layer.products


@dataclass(frozen=True)
class _Noises:
    """(M, M) n·cov that a layer adds to ln‖delta‖²: by its slopes, its output, both.

    passed: (M,), the lean above, by u of this layer.
    """

    own: Array
    stray: Array
    mixed: Array
    passed: Array


def _noises(layer: Hidden, above: _Above) -> _Noises:
    apart, along = _fourth_moments(above.g)
    own = layer.slope_noise * (apart + 2 * (along + above.scatter)) - apart * (1 + layer.slope_held)
    by_square = above.lean * above.weight / above.u
    mixed = by_square[:, None] * layer.cross_noise * (layer.rule.skip**2 or 1.0)
    stray = np.outer(by_square, by_square) * _square_noise(layer)
    return _Noises(own, stray, mixed + mixed.T, by_square * gain(layer) * layer.u)


def _layer(inputs: Inputs, layer: Hidden, above: _Above, noises: _Noises) -> Returned:
    delta = (layer.rule.skip**2 or 1.0) * layer.slopes * above.g
    noise, lean = above.noise + noises.own + noises.stray + noises.mixed, layer.bend + noises.passed
    norm = layer.rule.norm
    if norm is None:
        return Returned(above.log_scale, delta, delta, noise, lean, noise, lean)
    over_batch = norm.axis == -2
    du = _through_batch_norm(inputs, layer, delta) if over_batch else delta
    du = du * np.outer(layer.scale, layer.scale)
    sampled = 0.0 if over_batch else 2 * layer.c**2  # the mean square over n units that it is divided by
    return Returned(above.log_scale, delta, du, noise, lean, noise + sampled, lean - 1, over_batch)


def _through_batch_norm(inputs: Inputs, layer: Hidden, delta: Array) -> Array:
    """Less the batch's means of delta and of delta·û, and more by how units differ in their variance.

    A unit's variance over the batch strays from that of all by 2·mean c², c over all pairs of examples, and
    stands in a denominator. First order in that: exact for uncorrelated inputs, a few per cent a layer for
    inputs of low rank (ReLU on digits: 2 %).
    """
    root = np.sqrt(layer.z)
    u = layer.c * np.outer(root, root)
    delta = inputs.centred(delta)
    along = (inputs.excess * u * inputs.weights) @ (inputs.excess * delta) / inputs.total
    twice = (inputs.pairs * u * delta).sum(axis=(1, 2))[:, None, None] * u / inputs.total**2
    alike = float((inputs.pairs * u * u).sum()) / inputs.total**2
    return (1 + 2 * alike) * delta - (along + along.mT - twice)


def _below(layer: Hidden, above: _Above, here: Returned, noises: _Noises) -> _Above:
    """Through the layer's weights, and past its skip if it has one."""
    weight = layer.rule.weight
    back = weight * here.du
    if not layer.rule.skip:
        scatter = _scattered(layer, above)
        return _Above(back, here.log_scale, here.du_noise, here.du_lean, weight, layer.u, scatter)
    g = above.g + back
    share = np.einsum("dii->i", back) / np.einsum("dii->i", g)
    noise = above.noise + noises.stray + np.outer(share, share) * (noises.own + here.du_noise - here.noise)
    noise = noise + (share[:, None] + share) / 2 * noises.mixed + _interference(above.g, back, share)
    lean = noises.passed + share * (here.du_lean - noises.passed)
    return _Above(g, here.log_scale, noise, lean, weight, layer.u, above.scatter)


def _scattered(layer: Hidden, above: _Above) -> Array:
    """What is left below the layer of the scatter above it: examples that pass other units part further."""
    root = np.sqrt(np.diag(layer.slopes))
    alike = layer.slopes / np.outer(root, root)
    return above.scatter * alike**2


def _interference(skipped: Array, branch: Array, share: Array) -> Array:
    """n·cov of the product of the two gradients that meet where a skip ends; its mean is 0."""
    alike = np.sqrt(_fourth_moments(skipped)[1] * _fourth_moments(branch)[1])
    both = np.sqrt(share * (1 - share))
    return 4 * np.outer(both, both) * alike


def _fourth_moments(g: Array) -> tuple[Array, Array]:
    """(M, M) means over draws of |g_e|²|g_e'|² and of (g_e·g_e')², over the product of the mean |g|²."""
    size = np.einsum("dii->di", g)
    mean = size.mean(axis=0)
    both = np.outer(mean, mean)
    return size.T @ size / len(size) / both, np.square(g).mean(axis=0) / both
