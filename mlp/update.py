"""One update: gradients in, the step to add out, by clipping, weight decay and an optimiser."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlp.activations import Array
from mlp.network import Network
from mlp.optimisers import OPTIMISERS, Optimiser


def _norm(g: Array) -> Array:
    """(R, 1) Frobenius norms in float64; scaled first, because a square overflows long before a norm does."""
    largest = np.maximum(g.max(axis=1, keepdims=True), -g.min(axis=1, keepdims=True))
    unit = g / np.where(largest > 0, largest, 1)
    return np.sqrt(np.vecdot(unit, unit))[:, None] * largest.astype(np.float64)


def _copied(grads: Array, out: Array) -> Array:
    """The gradients in out."""
    if out is not grads:
        np.copyto(out, grads)
    return out


class Update:
    """The step that follows from a gradient, worked out once: when it is looked at, or else to be applied."""

    def __init__(self, work: Callable[[Array], Array]) -> None:
        self._work = work
        self._steps: Array | None = None

    def steps(self, out: Array) -> Array:
        """(R, P), written to `out` unless it has been worked out before."""
        if self._steps is None:
            self._steps = self._work(out)
        return self._steps


class UpdateRule:
    """From gradients to the step that is added: clipping by global norm, weight decay, the optimiser.

    Decay acts on weights, not on biases or gains: added to the gradient (L2), or where the optimiser is
    decoupled a step of its own.
    """

    def __init__(self, net: Network, optimiser: str, clip: float | None, weight_decay: float) -> None:
        rule: Optimiser = OPTIMISERS.bind(optimiser)()
        self.net, self.clip, self.decoupled = net, clip, rule.decoupled
        self.optimise = rule.start(net.params)
        self.decay = self._decay(weight_decay) if weight_decay else None

    def _decay(self, weight_decay: float) -> Array:
        decay = np.zeros_like(self.net.params[:1])
        for layer in self.net.views(decay):
            layer.w[:] = weight_decay
        return decay

    @np.errstate(all="ignore")
    def step(self, grads: Array, lr: Array, out: Array) -> Array:
        """(R, P) steps for (R, P) gradients and (R, 1) rates, written to out, which may be the gradients."""
        if self.clip is not None or (self.decay is not None and not self.decoupled):
            grads = _copied(grads, out)
        if self.clip is not None:
            grads *= np.minimum(1, self.clip / _norm(grads))
        if self.decay is not None and not self.decoupled:
            grads += self.decay * self.net.params
        steps = self.optimise(grads, lr, out)
        if self.decay is not None and self.decoupled:
            steps -= lr * self.decay * self.net.params
        return steps

    @np.errstate(all="ignore")
    def apply(self, steps: Array) -> None:
        """Add the steps to the parameters."""
        np.add(self.net.params, steps, out=self.net.params)
