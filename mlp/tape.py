"""One forward and one backward pass of R runs over B examples, in buffers that are allocated once.

Gradients of a deep saturating net leave the range of their number format: float32 from about depth 50 on,
float64 from about depth 500. So the backward pass carries an exponent for every run and layer: where the
gradient has become small (or large) it is multiplied by an exact power of two. What is stored is
``true · 2^exponent``; nothing else changes, not one bit, and no false zero or slow subnormal appears.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlp.activations import Array
from mlp.network import Layer, Network
from mlp.products import product, product_of_transposed, product_transposed

# A gradient is rescaled when its largest entry leaves 2^±REACH. It enters an update as zero where its
# exponent says that it lies under 2^-FLOOR: far less than the last place of any weight it would be added to.
REACH = {"float32": 40, "float64": 300}
FLOOR = {"float32": 60, "float64": 600}
STRIDE = 4  # layers between two checks in training; none shrinks a gradient by 2^(REACH/STRIDE)
SAMPLE = 8  # examples a check in training looks at


@dataclass
class Saved:
    """What the forward pass leaves at one hidden layer for the backward pass and the probes."""

    z: Array  # (R, B, n) the activation's input; of a lean tape only until the next layer
    a: Array  # (R, B, n) its output
    u_hat: Array | None = None  # normalised pre-activations
    scale: Array | None = None  # what they were multiplied by


class Tape:
    """The buffers of R runs and B examples, and the two passes that fill them.

    exact: slopes are exact in both tails, and every layer's z, a and slope can be read until the next pass.
    Else the tape is lean, as training needs it: slopes come from `Activation.in_place` where there is one,
    for one layer at a time, and no z is kept where a has all that the way back needs.

    delta[index] can be read while `backward` stands at that layer; with keep until the next pass.
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
        self.exponent = np.zeros((net.depth + 1, net.runs), np.int64)
        self.known: dict[str, Any] = {}  # what others have worked out from the last forward pass
        self._ones = np.ones((1, 1, examples), dtype)
        self._buffers: dict[tuple[str, int, int], Array] = {}
        self._reach = 2.0 ** REACH[dtype.name]
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

    # -- forward ---------------------------------------------------------------------------------------

    @np.errstate(all="ignore")
    def forward(self, x: Array) -> Array:
        """Logits (R, B, C) of x: (R, B, n_in), or (1, B, n_in) where all runs see the same examples."""
        net = self.net
        self.x[0] = x
        self.saved.clear()
        self.known.clear()
        self.moments.clear()
        for index, p in enumerate(net.layers):
            z = self.z[index]
            product(self.x[index], p.w, out=z)
            np.add(z, p.b, out=z)
            if index == self.depth:
                return z
            saved = self._normalise(z, index, p)
            self._activate(saved, index)
            self.x[index + 1] = self._add_skip(saved.a, index)
        raise AssertionError("a network has an output layer")

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
            saved.a = self.net.act.f(saved.z)
        else:
            saved.a = self._a[index]
            self.in_place.f(saved.z, saved.a)
        self.saved.append(saved)

    def _add_skip(self, a: Array, index: int) -> Array:
        if not self.skips[index]:
            return a
        h = self._buffer("h", index, a.shape[-1])
        np.multiply(a, self.net.residual, out=h)
        return np.add(h, self.x[index], out=h)

    # -- backward --------------------------------------------------------------------------------------

    def backward(self, d_logits: Array, grads: tuple[Layer, ...]) -> Iterator[int]:
        """Walk from the output layer to the first, filling `grads`; yield each layer's index, from 0.

        At a yield `delta[index]` (R, B, n) and `grads[index]` hold the true values times 2^exponent[index].
        """
        g, exponent = d_logits, np.zeros(self.net.runs, np.int64)
        for index in reversed(range(len(self.net.layers))):
            with np.errstate(all="ignore"):  # the caller's own settings hold at the yield
                g = self._layer(g, index, grads[index], exponent)
            yield index

    def gradients(self, d_logits: Array, grads: tuple[Layer, ...]) -> None:
        """Fill `grads` by the whole backward pass, still scaled by the exponents."""
        for _ in self.backward(d_logits, grads):
            pass

    def _layer(self, g: Array, index: int, grad: Layer, exponent: npt.NDArray[np.int64]) -> Array:
        """Gradients of layer `index` from the g of the layer above; hands back dLoss/d(its own output)."""
        if index < self.depth:
            g = self._towards_input(g, index + 1)
        if self.exact or (self.depth - index) % STRIDE == 0:
            self._rescale(g, exponent)
        self.exponent[index] = exponent
        delta = self.delta[index] = self._delta(g, index)
        du = self._through_norm(delta, index, grad)
        product_of_transposed(self.x[index], du, grad.w)
        np.matmul(self._ones, du, out=grad.b)
        self._du = du
        return g

    def _delta(self, g: Array, index: int) -> Array:
        """dLoss/dz of layer `index` from the gradient of its output; in place but for a skip's."""
        if index == self.depth:
            return self._kept(g) if self.keep else g
        if self.skips[index]:
            g = np.multiply(g, self.net.residual, out=self._buffer("skip", index * self.keep, g.shape[-1]))
        return np.multiply(g, self._slope_of(index), out=g)

    def _slope_of(self, index: int) -> Array:
        """Return the slope that a hidden layer's gradient is multiplied by."""
        saved = self.saved[index]
        if self.in_place is None:
            self.slope[index] = self.net.act.df(saved.z, saved.a)
        else:
            self.slope[index] = self._slope[index]
            self.in_place.slope(saved.a, self.slope[index])
        return self.slope[index]

    def _kept(self, g: Array) -> Array:
        kept = self._buffer("g", self.depth, g.shape[-1])
        np.copyto(kept, g)
        return kept

    def _through_norm(self, delta: Array, index: int, grad: Layer) -> Array:
        """dLoss/du before the normalisation; delta itself where there is none."""
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
        """dLoss/d(the output of the layer below) = du·wᵀ, and past a skip also g itself."""
        below, scratch = self._below[index - 1]
        product_transposed(self._du, self.net.layers[index].w, below, scratch)
        if self.skips[index]:
            np.add(below, g, out=below)
        return below

    # -- exponents -------------------------------------------------------------------------------------

    def _rescale(self, g: Array, exponent: npt.NDArray[np.int64]) -> None:
        """Bring runs whose gradient leaves 2^±REACH back to about 1, in place, and count the exponent."""
        sample = g[:, :: max(1, g.shape[1] // SAMPLE)] if not self.exact else g
        if self._surely_within_reach(sample):
            return
        asked = ~self._within_reach(_largest(sample))
        if not asked.any():
            return
        largest = _largest(g)
        out = asked & (largest > 0) & ~self._within_reach(largest) & np.isfinite(largest)
        if out.any():  # of the runs that asked: whether a neighbour did must not matter
            shift = np.where(out, -np.frexp(largest)[1], 0)
            _shift(g, shift)
            exponent += shift

    def _within_reach(self, largest: Array) -> npt.NDArray[np.bool_]:
        return (largest > 1 / self._reach) & (largest < self._reach)

    def _surely_within_reach(self, g: Array) -> bool:
        """Whether the sums of squares, which are quicker to come by, say so of every run's largest entry."""
        flat = g.reshape(len(g), -1)
        most = self._reach * self._reach
        return all(flat.shape[1] / most < square < most for square in np.vecdot(flat, flat).tolist())

    @np.errstate(all="ignore")
    def unscale(self, grads: Array) -> None:
        """Give an (R, P) block of gradients its true scale, in place; what lies under 2^-FLOOR becomes 0."""
        if not self.exponent.any():
            return
        floor = FLOOR[grads.dtype.name]
        for exponent, p in zip(self.exponent, self.net.layers, strict=True):
            if exponent.any():
                factor = np.where(exponent > floor, 0.0, np.ldexp(1.0, -np.minimum(exponent, floor)))
                grads[:, p.block] *= factor[:, None].astype(grads.dtype)


def _largest(g: Array) -> Array:
    """Return the largest absolute entry of every run: (R,)."""
    return np.maximum(g.max(axis=(1, 2)), -g.min(axis=(1, 2)))


def _shift(g: Array, shift: npt.NDArray[np.int64]) -> None:
    """g · 2^shift by run, in two halves because 2^±150 is no float32."""
    half = shift // 2
    for part in (half, shift - half):
        g *= np.ldexp(g.dtype.type(1), part.astype(np.int32))[:, None, None]
