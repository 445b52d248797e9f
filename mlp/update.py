"""One update: gradients in, the step to add out, by clipping, weight decay and an optimiser."""

from __future__ import annotations

import numpy as np

from mlp.activations import Array
from mlp.network import Network
from mlp.numbers import frobenius
from mlp.optimisers import OPTIMISERS, Optimiser, Step


def _copied(grads: Array, out: Array) -> Array:
    """Return the gradients, copied to out."""
    if out is not grads:
        np.copyto(out, grads)
    return out


class UpdateRule:
    """From gradients to the step that is added: clipping by global norm, weight decay, the optimiser.

    Decay acts on weights, not on biases or gains: added to the gradient (L2), or where the optimiser is
    decoupled a step of its own. Layer l learns at the rate lr·layer_lr^(depth + 1 − l).
    """

    def __init__(
        self, net: Network, optimiser: str, clip: float | None, weight_decay: float, layer_lr: float = 1.0
    ) -> None:
        rule: Optimiser = OPTIMISERS.bind(optimiser)()
        self.net, self.clip, self.decoupled = net, clip, rule.decoupled
        self.optimiser, self.forgets = optimiser, rule.forgets
        self.factor: Array | float = 1.0  # of the last clipping
        self.faint: dict[int, Step] = {}  # by run: the rule for gradients that do not reach the update
        self.optimise = rule.start(net.params)
        self.decay = self._decay(weight_decay) if weight_decay else None
        self.rates = self._rates(layer_lr) if layer_lr != 1 else None

    def _rates(self, layer_lr: float) -> Array:
        """Return (1, P): the factor on the learning rate of each parameter, 1 in the output layer."""
        rates = np.empty_like(self.net.params[:1])
        for index, layer in enumerate(self.net.layers):
            rates[:, layer.block] = layer_lr ** (self.net.depth - index)
        return rates

    def _decay(self, weight_decay: float) -> Array:
        decay = np.zeros_like(self.net.params[:1])
        for layer in self.net.views(decay):
            layer.w[:] = weight_decay
        return decay

    @np.errstate(all="ignore")
    def step(self, grads: Array, lr: Array, out: Array) -> Array:
        """Return (R, P) steps for (R, P) gradients and (R, 1) rates, written to out, which may be grads."""
        if self.clip is not None or (self.decay is not None and not self.decoupled):
            grads = _copied(grads, out)
        if self.clip is not None:
            self.factor = np.minimum(1, self.clip / frobenius(grads))[:, None]  # of a zero gradient 1
            grads *= self.factor
        if self.decay is not None and not self.decoupled:
            grads += self.decay * self.net.params
        steps = self.optimise(grads, lr, out)
        if np.shape(steps) != self.net.params.shape:
            wrong = f"returns {type(steps).__name__} of shape {np.shape(steps)}"
            raise ValueError(f"optimiser {self.optimiser} {wrong}, not {self.net.params.shape}")
        if self.decay is not None and self.decoupled:
            steps -= lr * self.decay * self.net.params
        if self.rates is not None:
            steps *= self.rates
        return steps

    @np.errstate(all="ignore")
    def faint_step(self, grads: Array, lr: Array) -> Array:
        """Return (R, P), in float64: what gradients that are too small to move a weight add to the steps.

        To be called after `step`, with (R, P) float64 gradients that are 0 wherever `step` was given them.
        Each run has the same rule again, with a memory of its own from its first such gradient on. Its steps
        and the others add up for every rule that is linear in the gradients; for the adaptive ones while √v
        is lost beside their eps, as it is for gradients so small, but their moments start later.
        """
        steps, grads = np.zeros_like(grads), grads * self.factor
        for r in np.flatnonzero(grads.any(axis=-1)).tolist():
            if r not in self.faint:
                self.faint[r] = OPTIMISERS.bind(self.optimiser)().start(grads[:1])
        for r, rule in self.faint.items():
            steps[r] = rule(grads[r : r + 1], lr[r : r + 1].astype(np.float64), np.empty_like(grads[:1]))
        return steps if self.rates is None else steps * self.rates

    @np.errstate(all="ignore")
    def apply(self, steps: Array) -> None:
        """Add the steps to the parameters."""
        np.add(self.net.params, steps, out=self.net.params)
