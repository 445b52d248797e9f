"""Checks of one stored run's network against differences, a second forward pass, and laws it has to obey.

Each check takes a `Subject` and gives the largest relative disagreement, or None where it does not apply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import isfinite
from typing import Any

import numpy as np

from experiments.config import Run
from experiments.verification import forward
from mlp.losses import LOSSES, Labels
from mlp.network import Network, create
from mlp.registry import Registry
from mlp.tape import Tape

Array = Any


@dataclass(frozen=True)
class Subject:
    """A run's network at its start, in float64, and some of its examples."""

    run: Run
    net: Network
    x: Array  # (B, n_in)
    y: Labels  # (B,)

    @classmethod
    def of(cls, run: Run, x: Array, y: Labels, classes: int) -> Subject:
        """The network that the run starts from, whatever its own number format."""
        sizes = (x.shape[1], *[run.width] * run.depth, classes)
        net = create(sizes, run.activation, seeds=[run.seed], init=[run.init], bias=[run.bias],
                     norm=run.norm, residual=run.residual)  # fmt: skip
        return cls(run, net, x, y)

    def with_params(self, params: Array) -> Subject:
        """The same network with other parameters (1, P)."""
        net = self.net
        return replace(self, net=Network(net.sizes, net.act, params, net.norm, net.residual))

    def logits(self) -> Array:
        """(B, C)."""
        return Tape(self.net, len(self.x), exact=True).forward(self.x[None])[0].copy()

    def loss(self) -> float:
        """Mean loss of the examples."""
        return float(LOSSES[self.run.loss](self.logits()[None], self.y[None])[0][0])

    def gradient(self) -> Array:
        """(1, P), by the backward pass that training uses."""
        tape = Tape(self.net, len(self.x), exact=False)
        grads = np.zeros_like(self.net.params)
        _, d_logits = LOSSES[self.run.loss](tape.forward(self.x[None]), self.y[None])
        tape.gradients(d_logits, self.net.views(grads))
        tape.unscale(grads)
        return grads

    def direction(self, seed: int) -> Array:
        """A random (1, P) change in proportion to what it changes, so that few units cross a kink on the way.

        A weight moves by its own size, a bias by that of the layer's pre-activations: in a deep ReLU net
        these may be 1e-8, and a step of 1e-6 along anything larger would be no small step.
        """
        rng = np.random.default_rng(seed)
        tape = Tape(self.net, len(self.x), exact=True)
        tape.forward(self.x[None])
        change = np.zeros_like(self.net.params)
        for p, d, z in zip(self.net.layers, self.net.views(change), tape.z, strict=True):
            d.w[:] = p.w * rng.standard_normal(p.w.shape)
            d.b[:] = np.sqrt(np.mean(z**2)) * rng.standard_normal(p.b.shape)
            for part in (d.gain, d.shift):
                if part is not None:
                    part[:] = rng.standard_normal(part.shape)
        return change

    def layers(self) -> forward.Layers:
        """The parameters for the second forward pass."""
        names = ("w", "b", "gain", "shift")
        found = [{n: getattr(layer, n) for n in names} for layer in self.net.layers]
        return [{n: a[0] for n, a in layer.items() if a is not None} for layer in found]

    def flat(self, layers: forward.Layers) -> Array:
        """(1, P) of parameters in the form of `layers`."""
        params = np.zeros_like(self.net.params)
        for view, layer in zip(self.net.views(params), layers, strict=True):
            for name, value in layer.items():
                getattr(view, name)[0] = value
        return params


CHECKS = Registry("check")


def _gap(ours: Array, theirs: Array) -> float:
    """Largest difference relative to the largest entry of either."""
    scale = max(np.abs(ours).max(initial=0), np.abs(theirs).max(initial=0))
    return float(np.abs(ours - theirs).max(initial=0) / scale) if scale > 0 else 0.0


def _tolerance(limit: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The largest disagreement that rounding explains, kept on the check."""

    def noted(check: Callable[..., Any]) -> Callable[..., Any]:
        check.tolerance = limit  # type: ignore[attr-defined]
        return check

    return noted


@CHECKS
@_tolerance(1e-5)  # of step 1e-6 rounding leaves 1e-10, of step 1e-8 mostly under 1e-6
def finite_difference(s: Subject) -> float:
    """The slope of the loss along a random direction against a central difference.

    Of three steps the one that agrees best: a deep net has kinks within 1e-6 of its parameters, but a wrong
    slope is wrong for every step. Where the slope is so small that both losses agree but for their last
    digits, these are allowed for.
    """
    direction = s.direction(seed=0)
    slope = float(np.vdot(s.gradient(), direction))
    return min(_difference_gap(s, direction, slope, step) for step in (1e-6, 1e-7, 1e-8))


def _difference_gap(s: Subject, direction: Any, slope: float, step: float) -> float:
    ahead, behind = (s.with_params(s.net.params + h * direction).loss() for h in (step, -step))
    rounding = 8 * np.finfo(float).eps * abs(ahead) / (2 * step)
    gap = abs(slope - (ahead - behind) / (2 * step))
    return gap / max(abs(slope), rounding / finite_difference.tolerance)


def _second(s: Subject, layers: forward.Layers) -> Any:
    f = forward.formula(s.run.activation)
    one_hot = np.eye(s.net.sizes[-1])[s.y]
    return forward.loss_of(layers, s.x, one_hot, f, s.run.loss, s.run.norm, s.run.residual)


@CHECKS
@_tolerance(1e-9)  # no difference is taken: what is left is rounding over the depth
def complex_step(s: Subject) -> float | None:
    """The slope of the loss along a random direction against Im loss(w + ih·v)/h of a second forward pass."""
    if forward.formula(s.run.activation) is None:
        return None
    direction = s.direction(seed=1)
    shifted = s.with_params(s.net.params + 1e-30j * direction)
    derivative = _second(s, shifted.layers()).imag / 1e-30
    return _gap(np.vdot(s.gradient(), direction), derivative)


@CHECKS
@_tolerance(1e-9)  # two orders of summation
def autograd(s: Subject) -> float | None:
    """Every entry of the gradient against HIPS autograd on a second forward pass."""
    if find_spec("autograd") is None:
        return None
    f = forward.traced(s.run.activation, s.net.act)
    one_hot = np.eye(s.net.sizes[-1])[s.y]
    theirs = forward.gradients(s.layers(), s.x, one_hot, f, s.run.loss, s.run.norm, s.run.residual)
    return _gap(s.gradient(), s.flat(theirs))


@CHECKS
@_tolerance(1e-10)  # sums of fewer terms in another order
def split_batch(s: Subject) -> float | None:
    """The gradient of a batch is the mean of its halves', unless the batch is normalised as one."""
    if s.run.norm.startswith("batch"):
        return None
    half = len(s.x) // 2
    parts = [replace(s, x=s.x[i], y=s.y[i]).gradient() for i in (slice(half), slice(half, 2 * half))]
    return _gap(replace(s, x=s.x[: 2 * half], y=s.y[: 2 * half]).gradient(), sum(parts) / 2)


@CHECKS
@_tolerance(1e-10)
def permuted_units(s: Subject) -> float | None:
    """The units of a hidden layer in another order give the same logits; a skip ties their order."""
    if not s.run.depth or s.run.residual:
        return None
    order = np.random.default_rng(2).permutation(s.run.width)
    layers = s.layers()
    first, second = layers[:2]
    layers[0] = {name: value[..., order] for name, value in first.items()}
    layers[1] = second | {"w": second["w"][order]}
    return _gap(s.logits(), s.with_params(s.flat(layers)).logits())


def _homogeneous(s: Subject) -> bool:
    """Whether f(c·z) = c·f(z) for c > 0, and no bias or normalisation spoils it."""
    z = np.linspace(-3, 3, 13)
    scaled = np.allclose(s.net.act.f(2 * z), 2 * s.net.act.f(z), rtol=1e-12, atol=0)
    return bool(scaled) and s.run.norm == "none" and s.run.depth > 0


@CHECKS
@_tolerance(1e-10)
def rescaled(s: Subject) -> float | None:
    """A homogeneous unit may have its incoming parameters × c and its outgoing weights ÷ c."""
    if not _homogeneous(s) or s.run.residual:
        return None
    layers = s.layers()
    layers[0] = {name: 3 * value for name, value in layers[0].items()}
    layers[1] = layers[1] | {"w": layers[1]["w"] / 3}
    return _gap(s.logits(), s.with_params(s.flat(layers)).logits())


@CHECKS
@_tolerance(1e-9)
def euler(s: Subject) -> float | None:
    """⟨w, dw⟩ is the same number in every layer of a homogeneous net without biases (Euler's identity)."""
    if not _homogeneous(s) or s.run.bias != "zeros" or s.run.residual:
        return None
    grads = s.net.views(s.gradient())
    each = np.array([np.vdot(p.w, g.w) for p, g in zip(s.net.layers, grads, strict=True)])
    size = max(np.linalg.norm(p.w) * np.linalg.norm(g.w) for p, g in zip(s.net.layers, grads, strict=True))
    return float(np.ptp(each) / size) if size > 0 and isfinite(size) else 0.0


@CHECKS
@_tolerance(1e-9)
def tanh_as_sigmoid(s: Subject) -> float | None:
    """tanh z = 2σ(2z) − 1: a tanh net is a sigmoid net with other weights and biases."""
    if s.run.activation != "tanh" or s.run.norm != "none" or s.run.residual or not s.run.depth:
        return None
    layers = s.layers()
    changed = []
    for index, layer in enumerate(layers):
        w, b = layer["w"], layer["b"]
        if index:  # what came as tanh comes as σ: a = 2σ − 1
            w, b = 2 * w, b - w.sum(axis=0)
        if index < len(layers) - 1:
            w, b = 2 * w, 2 * b
        changed.append({"w": w, "b": b})
    other = Subject.of(replace(s.run, activation="sigmoid"), s.x, s.y, s.net.sizes[-1])
    return _gap(s.logits(), other.with_params(other.flat(changed)).logits())
