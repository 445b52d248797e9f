"""The backward pass of a wide random network, and how far a network of finite width strays from it.

A stray is the random deviation of one network from the mean over networks. Strays are kept to first order in
1/width, as n times the covariance between examples of ln‖delta_e‖². Each layer has two sources of them: which
units an example's gradient passes (f'², and the chi-square of the weights), and the forward signal, whose
strays change f' in the layers above. For one input, homogeneous f and Gaussian weights this is the known
C_f·L/n (`closed_forms.spread`); over many inputs the strays average out as far as the inputs and their
gradients differ.

A gradient goes back through the weights that the signal came through. Where the loss's gradient depends on
the logits, a part of it lies along the signal: `radial` follows it, and `reuse` sums what it adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from experiments.theory.gaussian import Array
from experiments.theory.inputs import Inputs
from experiments.theory.kernels import Hidden, Output, alike
from experiments.theory.strays import gain, passed_on, square_noise


@dataclass(frozen=True, kw_only=True)
class Returned:
    """Gradients at a layer, times exp(−log_scale/2).

    delta, du: (D, M, M) sums over units of delta·delta', after and before normalisation. noise: (M, M),
    n·cov of ln‖delta_e‖² for given u at this layer; lean: (M,) d ln‖delta_e‖²/d ln u; du_noise and du_lean
    those of du. turn: (M, M) d (du·du')/d (product of two different inputs of the layer), through the
    loss. scatter, reuse: as in _Above. centred: whether du is 0 in the mean over the examples, unit by unit.
    """

    log_scale: float = 0.0
    delta: Array
    du: Array
    noise: Array
    lean: Array
    du_noise: Array
    du_lean: Array
    turn: Array
    scatter: Array
    reuse: float = 0.0
    centred: bool = False


@dataclass(frozen=True, kw_only=True)
class _Above:
    """dLoss/d(a layer's output): products g (D, M, M), with noise and lean as in Returned.

    lean is by ln u of the layer that follows: `weight` (n_in·Var w), `u` (M,). keeps, peaked: its
    Rule.keeps_down, and Output.peaked, which is 0 further down. scatter: (M, M) by how much cos² of two
    examples' g exceeds that of g's products, as random weights do by 1/width a layer. turn: (M, M)
    d g/d (product of two different outputs). radial: (M,), an example's g has radial times its output in it.
    reuse: how much of ln Σ|g|² such parts make, summed from the output on.
    """

    g: Array
    log_scale: float = 0.0
    noise: Array
    lean: Array
    weight: float
    u: Array
    keeps: float
    peaked: Array | float = 0.0
    scatter: Array
    turn: Array
    radial: Array
    reuse: float

    def rescaled(self) -> _Above:
        """Return the same with entries of about 1, so that a thousand sigmoid layers do not underflow."""
        size = float(np.einsum("dii->", self.g)) / len(self.g)
        return replace(
            self, g=self.g / size, turn=self.turn / size, radial=self.radial / np.sqrt(size),
            log_scale=self.log_scale + float(np.log(size)),
        )  # fmt: skip


def walk(inputs: Inputs, layers: Sequence[Hidden], output: Output, width: int) -> Iterator[Returned]:
    """Yield the gradients from the output layer to the first hidden one; the hidden layers have `width`."""
    none = np.zeros_like(inputs.gram)
    last = output.deltas @ output.deltas.mT
    turn = output.weight * output.turn
    yield Returned(
        delta=last, du=last, noise=none, lean=output.lean, du_noise=none, du_lean=output.lean, turn=turn,
        scatter=none,
    )  # fmt: skip
    scatter = (1 - np.eye(len(none))) / width  # by weights that are independent
    radial = output.weight * output.bend / width
    along = width * np.outer(radial, radial) * output.x.products
    g = output.weight * last + along
    above = _Above(
        g=g, noise=none, lean=output.lean, weight=output.weight, u=output.u, keeps=output.keeps,
        peaked=output.peaked, scatter=scatter * (1 - output.keeps), turn=output.weight * turn, radial=radial,
        reuse=_made_by(inputs, along, g),
    ).rescaled()  # fmt: skip
    for layer in reversed(layers):
        noises = _noises(layer, above)
        here = _layer(inputs, layer, above, noises, width)
        yield here
        through = _past if layer.rule.skip else _through
        below = through(inputs, layer, above, here, noises, width)
        above = replace(below, scatter=below.scatter + scatter * (1 - below.keeps)).rescaled()


@dataclass(frozen=True)
class _Noises:
    """The (M, M) n·cov that a layer adds to ln‖delta‖²: by its slopes, its output, and both together.

    passed: (M,), the lean above, by u of this layer.
    """

    own: Array
    stray: Array
    mixed: Array
    passed: Array


def _noises(layer: Hidden, above: _Above) -> _Noises:
    apart, along = _fourth_moments(above.g)
    fourth = apart + 2 * (along + above.scatter) + above.peaked
    own = layer.slope_noise * fourth - apart * (1 + layer.slope_held)
    by_square = above.lean * above.weight / above.u
    mixed = by_square[:, None] * layer.cross_noise * (layer.rule.skip**2 or 1.0)
    stray = np.outer(by_square, by_square) * square_noise(layer)
    passed = by_square * gain(layer) * layer.u
    return _Noises(own - 2 * above.keeps * along, stray, mixed + mixed.T, passed)


def _layer(inputs: Inputs, layer: Hidden, above: _Above, noises: _Noises, width: int) -> Returned:
    branch = layer.rule.skip**2 or 1.0
    along = branch * width * np.outer(above.radial, above.radial)
    delta = branch * (layer.slopes * above.g + along * (layer.radial - layer.slopes * layer.products))
    noise, lean = above.noise + noises.own + noises.stray + noises.mixed, layer.bend + noises.passed
    here = Returned(
        log_scale=above.log_scale, delta=delta, du=delta, noise=noise, lean=lean, du_noise=noise,
        du_lean=lean, turn=branch * layer.slopes * above.turn * passed_on(layer), scatter=above.scatter,
        reuse=above.reuse,
    )  # fmt: skip
    return here if layer.rule.norm is None else _before_norm(inputs, layer, here)


def _before_norm(inputs: Inputs, layer: Hidden, here: Returned) -> Returned:
    """Return the gradients with du, where delta is that after the normalisation.

    A unit's own normalisation over the batch takes from its gradient what goes with its signal, so that
    there is no `turn` left to first order.
    """
    over_batch = layer.rule.norm is not None and layer.rule.norm.over_batch
    scale = np.outer(layer.scale, layer.scale)
    du = _through_batch_norm(inputs, layer, here.delta) if over_batch else here.delta
    sampled = 0.0 if over_batch else 2 * layer.c**2  # the mean square over n units that it is divided by
    return replace(
        here, du=du * scale, du_noise=here.noise + sampled, du_lean=here.lean - 1,
        turn=here.turn * scale * (not over_batch), centred=over_batch,
    )  # fmt: skip


def _through_batch_norm(inputs: Inputs, layer: Hidden, delta: Array) -> Array:
    """Take off the batch's means of delta and of delta·û, and allow for units that differ in their variance.

    A unit's variance over the batch strays from that of all by 2·`alike` and stands in a denominator. First
    order in that: exact for uncorrelated inputs, a per cent a layer for digits.
    """
    root = np.sqrt(layer.z)
    u = layer.c * np.outer(root, root)
    delta = inputs.centred(delta)
    along = (inputs.excess * u * inputs.weights) @ (inputs.excess * delta) / inputs.total
    twice = (inputs.pairs * u * delta).sum(axis=(1, 2))[:, None, None] * u / inputs.total**2
    return (1 + 2 * alike(inputs, u)) * delta - (along + along.mT - twice)


def _through(
    inputs: Inputs, layer: Hidden, above: _Above, here: Returned, noises: _Noises, width: int
) -> _Above:
    """Return the gradient below the layer's weights."""
    weight, radial = layer.rule.weight, layer.rule.weight * gain(layer) * above.radial
    along = width * np.outer(radial, radial) * layer.x.products
    g = weight * here.du + along
    return _Above(
        g=g, log_scale=here.log_scale, noise=here.du_noise, lean=here.du_lean, weight=weight, u=layer.u,
        keeps=layer.rule.keeps_down, scatter=_scattered(layer, above), turn=weight * here.turn,
        radial=radial, reuse=above.reuse + _made_by(inputs, along, g),
    )  # fmt: skip


def _past(
    inputs: Inputs, layer: Hidden, above: _Above, here: Returned, noises: _Noises, width: int
) -> _Above:
    """Return the gradient below the layer's weights, with what comes past its skip."""
    weight, radial = layer.rule.weight, layer.rule.weight * gain(layer) * above.radial
    more = np.outer(radial, radial) - np.outer(above.radial, above.radial)
    along = width * more * layer.x.products
    back = weight * here.du
    g = above.g + back
    share = np.einsum("dii->i", back) / np.einsum("dii->i", g)
    noise = above.noise + noises.stray + np.outer(share, share) * (noises.own + here.du_noise - here.noise)
    noise = noise + (share[:, None] + share) / 2 * noises.mixed + _interference(above.g, back, share)
    return _Above(
        g=g + along, log_scale=here.log_scale, noise=noise,
        lean=noises.passed + share * (here.du_lean - noises.passed), weight=weight, u=layer.u,
        keeps=layer.rule.keeps_down, scatter=above.scatter,
        turn=above.turn * passed_on(layer) + weight * here.turn, radial=radial,
        reuse=above.reuse + _made_by(inputs, along, g + along),
    )  # fmt: skip


def _made_by(inputs: Inputs, part: Array, g: Array) -> float:
    """Return −ln of what is left of Σ|g|² without a part of it."""
    whole = float(np.einsum("dii->i", g) @ inputs.weights) / len(g)
    return float(-np.log(max(1 - float(np.diag(part) @ inputs.weights) / whole, 1e-3)))


def _scattered(layer: Hidden, above: _Above) -> Array:
    """Return what is left of the scatter below a layer: examples that pass other units part further."""
    root = np.sqrt(np.diag(layer.slopes))
    return above.scatter * (layer.slopes / np.outer(root, root)) ** 2


def _interference(skipped: Array, branch: Array, share: Array) -> Array:
    """Return n·cov of the product of the two gradients that meet where a skip ends; its mean is 0."""
    along = np.sqrt(_fourth_moments(skipped)[1] * _fourth_moments(branch)[1])
    both = np.sqrt(share * (1 - share))
    return 4 * np.outer(both, both) * along


def _fourth_moments(g: Array) -> tuple[Array, Array]:
    """Return (M, M) means over draws of |g_e|²|g_e'|² and (g_e·g_e')², over the product of mean |g|²."""
    size = np.einsum("dii->di", g)
    mean = size.mean(axis=0)
    both = np.outer(mean, mean)
    return size.T @ size / len(size) / both, np.square(g).mean(axis=0) / both
