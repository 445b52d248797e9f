"""One forward and one backward pass of R runs over B examples, in buffers that are allocated once.

A pass that trains is lean. A pass that is measured is exact: it keeps what every layer has computed, its
slopes are exact, and neither its signals nor its gradients end where the number format does. How that is
done stands in `backward_exponents` (of both kinds of pass), `forward_exponents` and `true_zeros`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.activations import Array
from mlp.backward_exponents import BackwardExponents
from mlp.forward_exponents import ForwardExponents
from mlp.losses import Labels, Loss
from mlp.network import Layer, Network
from mlp.numbers import Exponents, times_power
from mlp.products import product, product_of_transposed, product_transposed
from mlp.true_zeros import Arrivals, TrueZeros

STRIDE = 4  # layers between two rescalings in training; none shrinks a gradient by 2^(REACH/STRIDE)


@dataclass
class Saved:
    """What the forward pass leaves at one hidden layer for the backward pass and the probes."""

    z: Array  # (R, B, n) the activation's input; of a lean tape only until the next layer
    a: Array  # (R, B, n) its output
    u_hat: Array | None = None  # normalised pre-activations
    scale: Array | None = None  # what they were multiplied by


@dataclass(frozen=True)
class Origin:
    """Where a tape's pass comes from: its runs as they started, and the loss and classes of its examples.

    y is (R, B), or (1, B) if all runs see the same.
    """

    start: Network
    loss: Loss
    y: Labels


class Tape:
    """The buffers of R runs and B examples, and the two passes that fill them.

    exact: slopes are exact in both tails, and every layer's z, a and slope can be read until the next pass.
    Else the tape is lean, as training needs it: slopes come from `Activation.in_place` where there is one,
    for one layer at a time, and no z is kept where a has all that the way back needs.

    delta[index] can be read while `backward` stands at that layer; with keep until the next pass.

    x_exponent and z_exponent (depth + 1, R) are those of a layer's input, and of its z and a. The logits that
    `forward` returns are true. arrivals[index] has an entry for each run with a slope that its format lost.
    """

    def __init__(self, net: Network, examples: int, *, exact: bool, keep: bool = False) -> None:
        self.net, self.exact, self.keep = net, exact, keep
        fast = net.act.in_place
        self.in_place = fast if fast is not None and (fast.exact or not exact) else None
        dtype = net.params.dtype
        self.shape = (net.runs, examples)
        self.depth = net.depth
        self.skips = [net.is_skip(index) for index in range(net.depth + 1)]
        self.x: list[Array] = [np.empty(0, dtype)] * (net.depth + 1)
        self.saved: list[Saved] = []
        self.moments: list[tuple[Array, Array]] = []
        self.delta: list[Array] = [np.empty(0, dtype)] * (net.depth + 1)
        self.slope: list[Array] = [np.empty(0, dtype)] * net.depth
        self.exponent, self.x_exponent, self.z_exponent = np.zeros((3, net.depth + 1, net.runs), np.int64)
        self.backwards = BackwardExponents(net, self.exponent, self.x_exponent, sampled=not exact)
        self.forwards = ForwardExponents(net, self.x_exponent, self.z_exponent) if exact else None
        self.zeros = TrueZeros(net) if exact else None
        self.origin: Origin | None = None  # of a training's own pass
        self.masks: Sequence[Array] = ()  # of dropout: what each hidden layer's output is multiplied by
        self.known: dict[str, Any] = {}  # what others have worked out from the last forward pass
        self._ones = np.ones((1, 1, examples), dtype)
        self._buffers: dict[tuple[str, int, int], Array] = {}
        keeps_z = exact or self.in_place is None or net.norm is not None
        self.z = [
            self._buffer("u", index if keeps_z or index == net.depth else 0, n)
            for index, n in enumerate(net.sizes[1:])
        ]
        hidden = range(net.depth if self.in_place else 0)
        self._a = [self._buffer("a", index, net.sizes[index + 1]) for index in hidden]
        self._slope = [self._buffer("slope", index * exact, net.sizes[index + 1]) for index in hidden]
        self._below = [
            (self._buffer("g", index if keep else (index + 1) % 2, n), self._transposed(p.w))
            for index, (n, p) in enumerate(zip(net.sizes[1:-1], net.layers[1:], strict=True))
        ]

    def _buffer(self, purpose: str, index: int, width: int) -> Array:
        """Return a block (R, B, width), the same one for the same key."""
        key = (purpose, index, width)
        if key not in self._buffers:
            self._buffers[key] = np.empty((*self.shape, width), self.net.params.dtype)
        return self._buffers[key]

    def _transposed(self, w: Array) -> Array:
        """Return a block that takes wᵀ."""
        key = ("w", w.shape[-1], w.shape[-2])
        if key not in self._buffers:
            self._buffers[key] = np.empty((len(w), w.shape[-1], w.shape[-2]), w.dtype)
        return self._buffers[key]

    @property
    def arrivals(self) -> list[dict[int, Arrivals]]:
        """By layer and run, what is truly not 0 (see `TrueZeros`); nothing of a lean pass."""
        return self.zeros.arrivals if self.zeros else [{} for _ in self.exponent]

    # -- forward ---------------------------------------------------------------------------------------

    @np.errstate(all="ignore")
    def forward(self, x: Array) -> Array:
        """Return the logits (R, B, C) of x: (R, B, n_in), or (1, B, n_in) if all runs see the same."""
        net = self.net
        self.x[0] = x
        self.saved.clear()
        self.known.clear()
        self.moments.clear()
        if self.forwards and self.zeros:
            self.forwards.start()
            self.zeros.start()
        for index, p in enumerate(net.layers):
            z = self.z[index]
            product(self.x[index], p.w, out=z)
            if self.forwards:
                self.forwards.add_bias(z, index, p)
            else:
                np.add(z, p.b, out=z)
            if index == self.depth:
                return self._logits(z)
            saved = self._normalise(z, index, p)
            if self.forwards and self.zeros:
                mean = self.moments[-1][0] if self.moments else None
                self.forwards.watch(saved.z, self.x[index], index, mean)
                self.forwards.pass_on(index)
                self.zeros.look(saved.z)
            self._activate(saved, index)
            self.x[index + 1] = self._add_skip(self._drop(saved.a, index), index)
        raise AssertionError("a network has an output layer")

    def _logits(self, z: Array) -> Array:
        """Return the true logits, whose being tiny does no harm to a loss; z stays as it is."""
        if not (self.forwards and self.zeros):
            return z
        self.forwards.watch(z, self.x[self.depth], self.depth)
        if self.zeros.faint:
            self.zeros.keep((self.forwards.blind_from > self.depth) & np.isfinite(z).all(axis=(1, 2)))
        return times_power(z, -self.z_exponent[self.depth])

    def _normalise(self, u: Array, index: int, p: Layer) -> Saved:
        norm = self.net.norm
        if norm is None or p.gain is None or p.shift is None:
            return Saved(u, u)
        mean, scale = norm.forward(u)
        self.moments.append((mean, scale))
        z = self._buffer("z", index, u.shape[-1])
        np.multiply(u, p.gain, out=z)
        np.add(z, p.shift, out=z)
        return Saved(z, z, u, scale)

    def _activate(self, saved: Saved, index: int) -> None:
        if self.in_place is None:
            saved.a = self.net.act_of(index).f(saved.z)
        else:
            saved.a = self._a[index]
            self.in_place.f(saved.z, saved.a)
        self.saved.append(saved)

    def _drop(self, a: Array, index: int) -> Array:
        if not self.masks:
            return a
        return np.multiply(a, self.masks[index], out=self._buffer("dropped", index, a.shape[-1]))

    def _add_skip(self, a: Array, index: int) -> Array:
        if not self.skips[index]:
            return a
        h = self._buffer("h", index, a.shape[-1])
        np.multiply(a, self.net.residual, out=h)
        return np.add(h, self.x[index], out=h)

    # -- backward --------------------------------------------------------------------------------------

    def backward(
        self, d_logits: Array, grads: tuple[Layer, ...], exponent: Exponents | None = None
    ) -> Iterator[int]:
        """Walk from the output layer to the first, filling `grads`; yield each layer's index, from 0.

        `d_logits` is the true gradient times 2^exponent, (R,). At a yield `delta[index]` (R, B, n) and
        `grads[index]` hold the true values times 2^exponent[index], those of the weights times
        2^(exponent + x_exponent)[index].
        """
        g, exponent = d_logits, np.zeros(self.net.runs, np.int64) if exponent is None else exponent.copy()
        for index in reversed(range(len(self.net.layers))):
            with np.errstate(all="ignore"):  # the caller's own settings hold at the yield
                g = self._layer(g, index, grads[index], exponent)
            yield index

    def gradients(self, d_logits: Array, grads: tuple[Layer, ...], exponent: Exponents | None = None) -> None:
        """Fill `grads` by the whole backward pass, still scaled by the exponents."""
        for _ in self.backward(d_logits, grads, exponent):
            pass

    def _layer(self, g: Array, index: int, grad: Layer, exponent: Exponents) -> Array:
        """Fill in the gradients of layer `index`, and return dLoss/d(its output).

        g is dLoss/d(output) of the layer above; for the output layer it is dLoss/dlogits.
        """
        if index < self.depth:
            g = self._towards_input(g, index + 1)
        if self.exact or (self.depth - index) % STRIDE == 0:
            self.backwards.rescale(g, exponent)
        delta = self.delta[index] = self._delta(g, index, grad, exponent)
        self.exponent[index] = exponent
        if self.zeros and self.zeros.faint:
            self._arrive(self.zeros, delta, index)
        du = self._through_norm(delta, index, grad)
        product_of_transposed(self.x[index], du, grad.w)
        np.matmul(self._ones, du, out=grad.b)
        self._du = du
        return g

    def _delta(self, g: Array, index: int, grad: Layer, exponent: Exponents) -> Array:
        """Return dLoss/dz of layer `index` from g = dLoss/d(output), written over g if no skip needs g."""
        if index == self.depth:
            return self._kept(g) if self.keep else g
        if self.skips[index]:
            g = np.multiply(g, self.net.residual, out=self._buffer("skip", index * self.keep, g.shape[-1]))
        if self.masks:
            np.multiply(g, self.masks[index], out=g)
        slope, z = self._slope_of(index), self.saved[index].z
        if grad.learnt is not None:
            grad.learnt[:, 0, 0] = self._by_learnt(g, index)
        again = self.zeros.wide_products(g, z, may_shift=not self.skips[index]) if self.zeros else {}
        np.multiply(g, slope, out=g)
        for r, (wide, shift) in again.items():
            g[r] = wide
            exponent[r] += shift
        return g

    def _by_learnt(self, g: Array, index: int) -> Array:
        """Return dLoss/d(the number that layer `index` learns of its activation), (R,), from dLoss/da."""
        rule, p = self.net.act.learnt, self.net.layers[index].learnt
        assert rule is not None
        assert p is not None
        z = times_power(self.saved[index].z, -self.z_exponent[index])
        return np.asarray((g * rule.dp(z, p)).reshape(len(g), -1).sum(axis=-1))

    def _slope_of(self, index: int) -> Array:
        """Return the slope that a hidden layer's gradient is multiplied by."""
        saved = self.saved[index]
        if self.in_place is None:
            self.slope[index] = self.net.act_of(index).df(saved.z, saved.a)
        else:
            self.slope[index] = self._slope[index]
            self.in_place.slope(saved.a, self.slope[index])
        if self.forwards and self.zeros:
            if self.forwards.is_any_blind:
                self.slope[index][self.forwards.blind_from <= index] = np.nan
            self.zeros.mend(self.slope[index], saved.z)
        return self.slope[index]

    def _arrive(self, zeros: TrueZeros, delta: Array, index: int) -> None:
        """Note which gradients of layer `index` are truly zero."""
        from_activation = index > 0 and not self.skips[index - 1]
        z_below = self.saved[index - 1].z if from_activation else None
        zeros.arrive(index, delta, self.x[index], z_below, self.slope[index] if index < self.depth else None)

    def _kept(self, g: Array) -> Array:
        kept = self._buffer("g", self.depth, g.shape[-1])
        np.copyto(kept, g)
        return kept

    def _through_norm(self, delta: Array, index: int, grad: Layer) -> Array:
        """Return dLoss/du, u being z before the normalisation; delta itself where there is none."""
        norm, p = self.net.norm, self.net.layers[index]
        if norm is None or grad.gain is None or grad.shift is None or p.gain is None:
            return delta
        saved = self.saved[index]
        assert saved.u_hat is not None
        assert saved.scale is not None
        du = self._buffer("du", 0, delta.shape[-1])
        np.multiply(delta, saved.u_hat, out=du)
        np.matmul(self._ones, du, out=grad.gain)
        np.matmul(self._ones, delta, out=grad.shift)
        np.multiply(delta, p.gain, out=du)
        return norm.backward(du, saved.u_hat, saved.scale)

    def _towards_input(self, g: Array, index: int) -> Array:
        """Return dLoss/d(the output of the layer below): du·wᵀ, and g itself past a skip."""
        below, scratch = self._below[index - 1]
        product_transposed(self._du, self.net.layers[index].w, below, scratch)
        if self.skips[index]:
            np.add(below, g, out=below)
        return below
