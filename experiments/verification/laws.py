"""Checks of a run's network against finite differences, a second forward pass, and laws that it must obey.

Each check takes a `Subject` and returns the largest relative difference, or None where it does not apply.
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
from mlp.losses import LOSSES, Labels, are_numbers
from mlp.network import Network, create
from mlp.registry import Registry
from mlp.tape import Tape

Array = Any


@dataclass(frozen=True)
class Subject:
    """A run's network at the initialisation, in float64, and some of its examples."""

    run: Run
    net: Network
    x: Array  # (B, n_in)
    y: Labels  # (B,)

    @classmethod
    def of(cls, run: Run, x: Array, y: Labels, classes: int) -> Subject:
        """Build the network that the run starts from, in float64 whatever the run's dtype."""
        sizes = (x.shape[1], *[run.width] * run.depth, classes)
        net = create(sizes, run.activation, seeds=[run.seed], init=[run.init], bias=[run.bias],
                     norm=run.norm, residual=run.residual)  # fmt: skip
        return cls(run, net, x, y)

    def with_params(self, params: Array) -> Subject:
        """Return the same network with other parameters, (1, P)."""
        return replace(self, net=self.net.with_params(params))

    def logits(self) -> Array:
        """Return the logits, (B, C)."""
        return Tape(self.net, len(self.x), exact=True).forward(self.x[None])[0].copy()

    def loss(self) -> float:
        """Return the mean loss of the examples, in nats for the cross-entropies."""
        return float(LOSSES[self.run.loss](self.logits()[None], self.y[None])[0][0])

    def gradient(self) -> Array:
        """Return the gradient, (1, P), computed by the backward pass that training uses."""
        tape = Tape(self.net, len(self.x), exact=False)
        grads = np.zeros_like(self.net.params)
        _, d_logits = LOSSES[self.run.loss](tape.forward(self.x[None]), self.y[None])
        tape.gradients(d_logits, self.net.views(grads))
        tape.backwards.unscale(grads)
        return grads

    def off_kinks(self) -> Subject:
        """Return the same network with those examples alone of which no unit lies on a kink (see `NEAR`).

        There the slope is one of two by convention, and a difference of losses has their mean.
        """
        tape = Tape(self.net, len(self.x), exact=True)
        tape.forward(self.x[None])
        on = np.zeros(len(self.x), bool)
        for saved in tape.saved:
            z = saved.z[0]
            for kink in self.net.act.kinks:
                on |= (abs(z - kink) <= NEAR * (np.sqrt(np.mean(z**2)) + abs(kink))).any(axis=-1)
        return replace(self, x=self.x[~on], y=self.y[~on])

    def direction(self, seed: int) -> Array:
        """Return a random direction, (1, P), scaled to the parameters so that few units cross a kink.

        A weight changes in proportion to its own size, a bias in proportion to the layer's pre-activations:
        in a deep ReLU net these may be 1e-8, so that a step of 1e-6 in a bias would not be small.
        """
        rng = np.random.default_rng(seed)
        tape = Tape(self.net, len(self.x), exact=True)
        tape.forward(self.x[None])
        change = np.zeros_like(self.net.params)
        for p, d, z in zip(self.net.layers, self.net.views(change), tape.z, strict=True):
            d.w[:] = p.w * rng.standard_normal(p.w.shape)
            d.b[:] = np.sqrt(np.mean(z**2)) * rng.standard_normal(p.b.shape)
            for part in (d.gain, d.shift, d.learnt):
                if part is not None:
                    part[:] = rng.standard_normal(part.shape)
        return change

    def by_layer(self, params: Array) -> list[Any]:
        """Return where in params (1, P) each layer's parameters are, as indices."""
        places = np.arange(params.size, dtype=np.float64)[None]
        found = []
        for layer in self.net.views(places):
            parts = (layer.w, layer.b, layer.gain, layer.shift, layer.learnt)
            found.append(np.concatenate([part.ravel() for part in parts if part is not None]).astype(int))
        return found

    def layers(self) -> forward.Layers:
        """Return the parameters in the form that the second forward pass takes."""
        names = ("w", "b", "gain", "shift", "learnt")
        layers = [{n: getattr(layer, n) for n in names} for layer in self.net.layers]
        return [{n: a[0] for n, a in layer.items() if a is not None} for layer in layers]

    def flat(self, layers: forward.Layers) -> Array:
        """Return as one array, (1, P), parameters that are in the form of `layers`."""
        params = np.zeros_like(self.net.params)
        for view, layer in zip(self.net.views(params), layers, strict=True):
            for name, value in layer.items():
                getattr(view, name)[0] = value
        return params


CHECKS = Registry("check")
NEAR = 1e-6  # of a layer's z, which the smallest step of a finite difference moves by about 1e-8
SETTLED = 1e-3  # two central differences, of steps ten times apart, that agree to this say something
FAINT = 1e-6  # of the next layer's gradient: less than any layer that lets something through lets through
STEP = 1e-200  # of a complex step: its square is 0, so that a z of exactly 0 keeps the real part 0


def _gap(ours: Array, theirs: Array) -> float:
    """Return the largest difference relative to the largest entry of either array."""
    scale = max(np.abs(ours).max(initial=0), np.abs(theirs).max(initial=0))
    return float(np.abs(ours - theirs).max(initial=0) / scale) if scale > 0 else 0.0


def _largest(gaps: list[Any], sizes: list[Any]) -> float:
    """Return the largest of the layers' gaps, each relative to its own layer's gradient.

    A layer near the input may have 1e-24 of the last one's gradient, and is as wrong if it is off by 1 %.
    Less than FAINT of the next layer's is what rounding leaves of gradients that cancel: it is compared with
    FAINT of the next layer's. Where the two have not three digits in common, rounding is all that is left,
    and nothing better reaches the layers below.
    """
    largest, least = 0.0, 0.0
    for gap, size in zip(gaps[::-1], sizes[::-1], strict=True):
        scale = max(float(size), least)
        largest = max(largest, float(gap) / scale if scale > 0 else 0.0)
        is_rounding = size < least and gap >= SETTLED * size
        least = scale if is_rounding else FAINT * scale
    return largest


def _tolerance(limit: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a check with the largest difference that rounding explains, as its `tolerance`."""

    def noted(check: Callable[..., Any]) -> Callable[..., Any]:
        check.tolerance = limit  # type: ignore[attr-defined]
        return check

    return noted


@CHECKS
@_tolerance(1e-5)  # rounding contributes about 1e-10 at step 1e-6, and mostly under 1e-6 at step 1e-8
def finite_difference(s: Subject) -> float | None:
    """Compare the slope of the loss along a random direction with a central difference.

    Examples that lie on a kink are left out, under batch normalisation too, whose moments are then those of
    the others. The best of three step sizes counts: a deep net has kinks within 1e-6 of its parameters, but a
    wrong slope disagrees at every step size. Where the slope is so small that the two losses differ only in
    their last digits, the rounding of these digits is allowed for. Where the loss is so steep that the
    differences themselves do not settle, they say nothing: layer normalisation of equal units makes 1e-14 of
    a parameter matter.
    """
    s = s.off_kinks()
    if not len(s.x):
        return None
    direction = s.direction(seed=0)
    slope = float(np.vdot(s.gradient(), direction))
    found = [_difference(s, direction, step) for step in (1e-6, 1e-7, 1e-8)]
    limit = finite_difference.tolerance
    gap = min(abs(slope - each) / max(abs(slope), rounding / limit) for each, rounding in found)
    settled = any(
        abs(a - b) <= SETTLED * abs(a) for (a, _), (b, _) in zip(found[:-1], found[1:], strict=True)
    )
    return gap if gap <= limit or settled else None


def _difference(s: Subject, direction: Any, step: float) -> tuple[float, float]:
    """Return the central difference of the loss along the direction, and what rounding may have added."""
    ahead, behind = (s.with_params(s.net.params + h * direction).loss() for h in (step, -step))
    return (ahead - behind) / (2 * step), 8 * np.finfo(float).eps * abs(ahead) / (2 * step)


def _second(s: Subject, layers: forward.Layers) -> Any:
    f = forward.formula(s.run.activation)
    wanted = s.y[:, None] if are_numbers(s.y) else np.eye(s.net.sizes[-1])[s.y]
    return forward.loss_of(layers, s.x, wanted, f, s.run.loss, s.run.norm, s.run.residual)


@CHECKS
@_tolerance(1e-9)  # no difference is taken, so that only rounding is left, which grows with the depth
def complex_step(s: Subject) -> float | None:
    """Compare each layer's slope along v with Im loss(w + ih·v)/h of the second forward pass."""
    if forward.formula(s.run.activation) is None or not forward.is_written(s.run.loss, s.run.norm):
        return None
    direction, gradient = s.direction(seed=1), s.gradient()
    gaps, sizes = [], []
    for part in s.by_layer(direction):
        change = np.zeros_like(direction)
        change[:, part] = direction[:, part]
        derivative = _second(s, s.with_params(s.net.params + 1j * STEP * change).layers()).imag / STEP
        gaps.append(abs(np.vdot(gradient[:, part], direction[:, part]) - derivative))
        sizes.append(np.linalg.norm(gradient[:, part]) * np.linalg.norm(direction[:, part]))
    return _largest(gaps, sizes)


@CHECKS
@_tolerance(1e-9)  # the two methods sum in different orders
def autograd(s: Subject) -> float | None:
    """Compare every entry of the gradient with HIPS autograd on the second forward pass, layer by layer."""
    if find_spec("autograd") is None or not forward.is_written(s.run.loss, s.run.norm):
        return None
    f = forward.traced(s.run.activation, s.net.act)
    wanted = s.y[:, None] if are_numbers(s.y) else np.eye(s.net.sizes[-1])[s.y]
    theirs = forward.gradients(s.layers(), s.x, wanted, f, s.run.loss, s.run.norm, s.run.residual)
    one, other = s.gradient(), s.flat(theirs)
    parts = s.by_layer(one)
    gaps = [np.abs(one[:, part] - other[:, part]).max() for part in parts]
    return _largest(gaps, [max(np.abs(one[:, part]).max(), np.abs(other[:, part]).max()) for part in parts])


@CHECKS
@_tolerance(1e-10)  # the halves are summed in another order
def split_batch(s: Subject) -> float | None:
    """Check that a batch's gradient is the mean of its halves' gradients; not under batch normalisation."""
    if s.net.norm is not None and s.net.norm.over_batch:
        return None
    half = len(s.x) // 2
    parts = [replace(s, x=s.x[i], y=s.y[i]).gradient() for i in (slice(half), slice(half, 2 * half))]
    return _gap(replace(s, x=s.x[: 2 * half], y=s.y[: 2 * half]).gradient(), sum(parts) / 2)


@CHECKS
@_tolerance(1e-10)
def permuted_units(s: Subject) -> float | None:
    """Check that permuting a hidden layer's units keeps the logits; residual connections fix the order."""
    if not s.run.depth or s.run.residual:
        return None
    order = np.random.default_rng(2).permutation(s.run.width)
    layers = s.layers()
    first, second = layers[:2]
    layers[0] = {n: value if n == "learnt" else value[..., order] for n, value in first.items()}
    layers[1] = second | {"w": second["w"][order]}
    return _gap(s.logits(), s.with_params(s.flat(layers)).logits())


def _homogeneous(s: Subject) -> bool:
    """Return whether f(c·z) = c·f(z) for c > 0 in a network that has hidden layers and no normalisation."""
    z = np.linspace(-3, 3, 13)
    scaled = np.allclose(s.net.act.f(2 * z), 2 * s.net.act.f(z), rtol=1e-12, atol=0)
    return bool(scaled) and s.run.norm == "none" and s.run.depth > 0


@CHECKS
@_tolerance(1e-10)
def rescaled(s: Subject) -> float | None:
    """Check that the logits stay the same if a unit's inputs are multiplied and its outputs divided by 3."""
    if not _homogeneous(s) or s.run.residual:
        return None
    layers = s.layers()
    layers[0] = {name: value if name == "learnt" else 3 * value for name, value in layers[0].items()}
    layers[1] = layers[1] | {"w": layers[1]["w"] / 3}
    return _gap(s.logits(), s.with_params(s.flat(layers)).logits())


@CHECKS
@_tolerance(1e-9)
def euler(s: Subject) -> float | None:
    """Check that ⟨w, dw⟩ is equal in all layers of a homogeneous net without biases (Euler's identity)."""
    biased = any(layer.b.any() for layer in s.net.layers)  # some initialisers draw biases, too
    if not _homogeneous(s) or biased or s.run.residual:
        return None
    grads = s.net.views(s.gradient())
    each = np.array([np.vdot(p.w, g.w) for p, g in zip(s.net.layers, grads, strict=True)])
    size = max(np.linalg.norm(p.w) * np.linalg.norm(g.w) for p, g in zip(s.net.layers, grads, strict=True))
    return float(np.ptp(each) / size) if size > 0 and isfinite(size) else 0.0


@CHECKS
@_tolerance(1e-9)
def tanh_as_sigmoid(s: Subject) -> float | None:
    """Check that a tanh net equals the sigmoid net with weights changed by tanh z = 2σ(2z) − 1."""
    if s.run.activation != "tanh" or s.run.norm != "none" or s.run.residual or not s.run.depth:
        return None
    layers = s.layers()
    changed = []
    for index, layer in enumerate(layers):
        w, b = layer["w"], layer["b"]
        if index:  # the inputs are σ instead of tanh = 2σ − 1
            w, b = 2 * w, b - w.sum(axis=0)
        if index < len(layers) - 1:
            w, b = 2 * w, 2 * b
        changed.append({"w": w, "b": b})
    other = Subject.of(replace(s.run, activation="sigmoid"), s.x, s.y, s.net.sizes[-1])
    return _gap(s.logits(), other.with_params(other.flat(changed)).logits())
