"""One forward and one backward pass of R runs over B examples, in buffers that are allocated once.

Gradients of a deep saturating net leave the range of their number format: float32 from about depth 50 on,
float64 from about depth 500. So the backward pass carries an exponent for every run and layer: where the
gradient has become small (or large) it is multiplied by an exact power of two. What is stored is
``true · 2^exponent``; nothing else changes, not one bit, and no false zero or slow subnormal appears.

The pass that is measured (`exact`) carries exponents forwards, too. Where a run's z has become tiny, f is
a straight line through 0 on either side of it, so f(z·2^e) = f(z)·2^e and the slope is the same; z is
multiplied by 2^e, and x and a above it with it. Where that cannot be done (a normalisation, a skip, an f
that is no such line) and z leaves the format, the slopes from there on are NaN: no zero is made up.
A slope that the format has lost (of a sigmoid at z = −200 in float32) is stored as the smallest number above
0, and a pass of True and False beside the numbers tells which gradients are truly zero (`Arrivals`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlp.activation_type import LINEAR, is_linear_at_zero, reach
from mlp.activations import Array
from mlp.network import Layer, Network
from mlp.numbers import BEYOND, times_power
from mlp.products import product, product_of_transposed, product_transposed

# A gradient is rescaled when its largest entry leaves 2^±REACH. It enters an update as zero where its
# exponent says that it lies under 2^-FLOOR: far less than the last place of any weight it would be added to.
REACH = {"float32": 40, "float64": 300}
FLOOR = {"float32": 60, "float64": 600}
STRIDE = 4  # layers between two checks in training; none shrinks a gradient by 2^(REACH/STRIDE)
SAMPLE = 8  # examples a check in training looks at
WEAK = {"float32": -90, "float64": -900}  # a product under 2^WEAK is taken again, of larger inputs
STRONG = 60  # powers of two above 1 to which they are brought


@dataclass
class Saved:
    """What the forward pass leaves at one hidden layer for the backward pass and the probes."""

    z: Array  # (R, B, n) the activation's input; of a lean tape only until the next layer
    a: Array  # (R, B, n) its output
    u_hat: Array | None = None  # normalised pre-activations
    scale: Array | None = None  # what they were multiplied by


@dataclass
class Arrivals:
    """Of one run at one layer: whether each input is truly not 0 (B, n_in), and each delta (B, n_out)."""

    x: npt.NDArray[np.bool_]
    delta: npt.NDArray[np.bool_]


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
        self.exponent = np.zeros((net.depth + 1, net.runs), np.int64)
        self.x_exponent, self.z_exponent = np.zeros((2, *self.exponent.shape), np.int64)
        self.arrivals: list[dict[int, Arrivals]] = [{} for _ in range(net.depth + 1)]
        self._faint: set[int] = set()  # runs with a z so large that the format may lose its slope
        self._forget_exponents()
        if exact:
            self._follows = net.norm is None and not net.residual and is_linear_at_zero(net.act, dtype)
            self._can_fade = min(reach(net.act, dtype)) < np.inf
            self._may_vanish = float(net.act.f(np.zeros(1, dtype))[0]) == 0
            least = WEAK[dtype.name] if is_linear_at_zero(net.act, dtype) else WEAK[dtype.name] / 2
            self._least = 2.0**least  # |z| under which an output may leave the format
            self._reach_of_slope = reach(net.act, dtype)
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
        if self.exact:
            self._forget_exponents()
        for index, p in enumerate(net.layers):
            z = self.z[index]
            product(self.x[index], p.w, out=z)
            if self._any_exponent and self.x_exponent[index].any():
                self._add_scaled_bias(z, index, p)
            else:
                np.add(z, p.b, out=z)
            if index == self.depth:
                return self._logits(z)
            saved = self._normalise(z, index, p)
            if self.exact:
                self._watch(saved.z, index)
            self._activate(saved, index)
            self.x[index + 1] = self._add_skip(saved.a, index)
            if self._any_exponent:
                self.x_exponent[index + 1] = self.z_exponent[index]
        raise AssertionError("a network has an output layer")

    def _logits(self, z: Array) -> Array:
        """Return the true logits, whose being tiny does no harm to a loss; z stays as it is."""
        if not self.exact:
            return z
        self._watch(z, self.depth)
        self._faint = {r for r in self._faint if self._blind_from[r] > self.depth and np.isfinite(z[r]).all()}
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

    def backward(
        self, d_logits: Array, grads: tuple[Layer, ...], exponent: npt.NDArray[np.int64] | None = None
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

    def gradients(
        self, d_logits: Array, grads: tuple[Layer, ...], exponent: npt.NDArray[np.int64] | None = None
    ) -> None:
        """Fill `grads` by the whole backward pass, still scaled by the exponents."""
        for _ in self.backward(d_logits, grads, exponent):
            pass

    def _layer(self, g: Array, index: int, grad: Layer, exponent: npt.NDArray[np.int64]) -> Array:
        """Gradients of layer `index` from the g of the layer above; hands back dLoss/d(its own output)."""
        if index < self.depth:
            g = self._towards_input(g, index + 1)
        if self.exact or (self.depth - index) % STRIDE == 0:
            self._rescale(g, exponent)
        delta = self.delta[index] = self._delta(g, index, exponent)
        self.exponent[index] = exponent
        if self._faint:
            self._arrive(delta, index)
        du = self._through_norm(delta, index, grad)
        product_of_transposed(self.x[index], du, grad.w)
        np.matmul(self._ones, du, out=grad.b)
        self._du = du
        return g

    def _delta(self, g: Array, index: int, exponent: npt.NDArray[np.int64]) -> Array:
        """dLoss/dz of layer `index` from the gradient of its output; in place but for a skip's."""
        if index == self.depth:
            return self._kept(g) if self.keep else g
        if self.skips[index]:
            g = np.multiply(g, self.net.residual, out=self._buffer("skip", index * self.keep, g.shape[-1]))
        slope = self._slope_of(index)
        again = {r: self._wide_product(g[r], index, r) for r in sorted(self._faint)}
        np.multiply(g, slope, out=g)
        for r, (product_, shift) in again.items():
            g[r] = product_
            exponent[r] += shift
        return g

    def _wide_product(self, g: Array, index: int, r: int) -> tuple[Array, int]:
        """Return g·f'(z) of run r by slopes in float64, times 2^shift so that it is about 1, and the shift.

        A skip's gradient is to be added to what comes past it, so that its shift is 0.
        """
        z = self.saved[index].z[r].astype(np.float64)
        wide = g * self.net.act.df(z, self.net.act.f(z))
        shift = 0 if self.skips[index] or not np.isfinite(wide).all() else -_power_of(wide)
        return _scaled(wide, shift), shift

    def _slope_of(self, index: int) -> Array:
        """Return the slope that a hidden layer's gradient is multiplied by."""
        saved = self.saved[index]
        if self.in_place is None:
            self.slope[index] = self.net.act.df(saved.z, saved.a)
        else:
            self.slope[index] = self._slope[index]
            self.in_place.slope(saved.a, self.slope[index])
        return self._true_slope(self.slope[index], index) if self.exact else self.slope[index]

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

    # -- exponents forwards ----------------------------------------------------------------------------

    def _forget_exponents(self) -> None:
        self.x_exponent[:] = 0
        self.z_exponent[:] = 0
        self._any_exponent = False
        self._blind_from = np.full(self.net.runs, self.depth + 1)  # the layer whose z left the format
        self._is_blind = False
        self._faint.clear()
        self._reached: dict[int, npt.NDArray[np.bool_]] = {}
        for each in self.arrivals:
            each.clear()

    def _add_scaled_bias(self, z: Array, index: int, p: Layer) -> None:
        """Add b to the product x·w, (R, B, n) times 2^x_exponent; where b is large the exponent gives way."""
        for r, power in enumerate(self.x_exponent[index].tolist()):
            least = max(0, STRONG - _power_of(p.b[r]))
            if least < power:
                _shrink(z[r], least - power)
            z[r] += _scaled(p.b[r], min(least, power))
            self.z_exponent[index, r] = min(least, power)

    def _watch(self, z: Array, index: int) -> None:
        """Look at each run's least and largest z, and bring what is tiny to where f is a straight line."""
        sample = z[:, :: max(1, z.shape[1] // SAMPLE)]
        tiny = (_largest(sample) < 2.0 ** LINEAR[z.dtype.name] / 4) | (self.z_exponent[index] != 0)
        for r in np.flatnonzero(tiny).tolist():
            size = float(np.abs(z[r]).max())
            if not (size < 2.0 ** LINEAR[z.dtype.name] / 4 or self.z_exponent[index, r]):
                continue
            if self._follows or index == self.depth:
                self._follow(z, index, r)
            else:
                self._mark(size, index, r)
        if index < self.depth and self._can_fade:
            left, right = self._reach_of_slope
            flat = z.reshape(len(z), -1)
            faint = (flat.min(axis=-1) < -left) | (flat.max(axis=-1) > right)
            self._faint.update(np.flatnonzero(faint).tolist())

    def _follow(self, z: Array, index: int, r: int) -> None:
        """Bring z[r] to 2^LINEAR, or to its true size if that is larger."""
        if np.abs(z[r]).max() < 2.0 ** WEAK[z.dtype.name]:
            self._multiply_again(z, index, r)
        now = int(self.z_exponent[index, r])
        wanted = max(0, now + LINEAR[z.dtype.name] - _power_of(z[r])) if z[r].any() else 0
        z[r] = _scaled(z[r], wanted - now)
        self.z_exponent[index, r] = wanted
        self._any_exponent = True

    def _multiply_again(self, z: Array, index: int, r: int) -> None:
        """Take x·w + b of run r anew with larger inputs, since products of tiny numbers lose their digits."""
        x, p = self.x[index], self.net.layers[index]
        own, here = slice(r, r + 1) if len(x) > 1 else slice(0, 1), slice(r, r + 1)
        before = int(self.x_exponent[index, r])
        room = 100 - _power_of(p.w[here]) - int(np.ceil(np.log2(p.w.shape[1])))  # of 126 powers of two
        shift = min(STRONG, room) - _power_of(x[own])
        shift = min(shift, 100 - before - _power_of(p.b[here]))
        if x[own].any() and p.w[here].any() and shift > 0:
            product(_scaled(x[own], shift), p.w[here], out=z[here])
            z[r] += _scaled(p.b[r], before + shift)
            self.z_exponent[index, r] = before + shift

    def _mark(self, size: float, index: int, r: int) -> None:
        """Note that run r's z has left the format, unless f(0) is not 0, so that it does no harm, or z is."""
        x, w = self.x[index], self.net.layers[index].w[r]
        is_zero = size == 0 and not (self.net.norm is None and x[r if len(x) > 1 else 0].any() and w.any())
        if self._may_vanish and size < self._least and not is_zero:
            self._blind_from[r] = min(self._blind_from[r], index)
            self._is_blind = True

    # -- which gradients are truly zero ------------------------------------------------------------------

    def _true_slope(self, slope: Array, index: int) -> Array:
        """Return the slope (R, B, n) with NaN where z has left the format, and no false zeros."""
        z = self.saved[index].z
        if self._is_blind:
            slope[self._blind_from <= index] = np.nan
        for r in self._faint:
            lost = (slope[r] == 0) & self._on_a_fading_side(z[r])
            slope[r][lost] = np.finfo(slope.dtype).smallest_subnormal
        return slope

    def _on_a_fading_side(self, z: Array) -> npt.NDArray[np.bool_]:
        left, right = self.net.act.fades
        return ((z < 0) & left) | ((z > 0) & right)

    def _arrive(self, delta: Array, index: int) -> None:
        """Note for every faint run which inputs and deltas of layer `index` are truly not 0.

        Where all deltas that are not 0 have left the format, none is known: they become NaN.
        """
        for r in self._faint:
            passes = self._passes_on(index, r) if index < self.depth else delta[r] != 0
            x = self.x[index][r if len(self.x[index]) > 1 else 0] != 0
            if index and not self.skips[index - 1]:
                x |= self._on_a_fading_side(self.saved[index - 1].z[r])
            self.arrivals[index][r] = Arrivals(x, passes)
            if passes.any() and not delta[r].any():
                delta[r] = np.nan

    def _passes_on(self, index: int, r: int) -> npt.NDArray[np.bool_]:
        """Return (B, n) whether a gradient arrives at the layer's z, by way of the layer above."""
        above = self.arrivals[index + 1][r].delta
        norm = self.net.norm
        below = above if norm is None or index + 1 == self.depth else above.any(axis=norm.axis, keepdims=True)
        below = np.broadcast_to(below, above.shape)
        connected = self.net.layers[index + 1].w[r] != 0
        found = below.astype(np.float32) @ connected.T.astype(np.float32) > 0
        if self.skips[index + 1]:
            found |= self._reached[r]
        self._reached[r] = found
        return found & (self.slope[index][r] != 0)

    # -- exponents backwards -----------------------------------------------------------------------------

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
        if not self.has_exponents:
            return
        floor = FLOOR[grads.dtype.name]
        for columns, exponent in self._blocks():
            if exponent.any():
                factor = np.where(exponent > floor, 0.0, np.ldexp(1.0, -np.minimum(exponent, floor)))
                grads[:, columns] *= factor[:, None].astype(grads.dtype)

    @np.errstate(all="ignore")
    def faint_gradients(self, grads: Array) -> Array:
        """Return (R, P) float64: of gradients still scaled the true size of those that `unscale` makes 0."""
        faint = np.zeros(grads.shape)
        for columns, exponent in self._blocks():
            low = exponent > FLOOR[grads.dtype.name]
            if low.any():
                wide = grads[low, columns].astype(np.float64)
                faint[low, columns] = times_power(wide, -exponent[low])
        return faint

    @property
    def has_exponents(self) -> bool:
        """Whether any gradient of the last backward pass is not stored at its true size."""
        return bool(self.exponent.any() or (self.exact and self.x_exponent.any()))

    @property
    def has_faint_gradients(self) -> bool:
        """Whether `unscale` gives a layer's gradients up as too small to move a weight."""
        floor = FLOOR[self.net.params.dtype.name]
        return self.has_exponents and bool((self.exponent + self.x_exponent > floor).any())

    def _blocks(self) -> Iterator[tuple[slice, npt.NDArray[np.int64]]]:
        """Yield columns of an (R, P) block of gradients that share an exponent, and their exponents (R,)."""
        for exponent, inputs, p in zip(self.exponent, self.x_exponent, self.net.layers, strict=True):
            after_w = p.block.start + p.w.shape[1] * p.w.shape[2]
            yield slice(p.block.start, after_w), exponent + inputs
            yield slice(after_w, p.block.stop), exponent


def _largest(g: Array) -> Array:
    """Return the largest absolute entry of every run: (R,)."""
    return np.maximum(g.max(axis=(1, 2)), -g.min(axis=(1, 2)))


def _power_of(x: Array) -> int:
    """Return the power of two just above the largest |entry|; very low where all are 0."""
    largest = np.abs(x).max()
    return int(np.frexp(largest)[1]) if largest else -BEYOND


def _scaled(x: Array, power: int) -> Array:
    """Return x · 2^power."""
    return np.asarray(np.ldexp(x, min(max(power, -BEYOND), BEYOND)))


def _shrink(x: Array, power: int) -> None:
    """x · 2^power in place, where what is lost keeps its sign as the smallest normal number."""
    small = _scaled(x, power)
    lost = (small == 0) & (x != 0)
    small[lost] = np.copysign(np.finfo(x.dtype).tiny, x[lost])
    np.copyto(x, small)


def _shift(g: Array, shift: npt.NDArray[np.int64]) -> None:
    """g · 2^shift by run, in two halves because 2^±150 is no float32."""
    half = shift // 2
    for part in (half, shift - half):
        g *= np.ldexp(g.dtype.type(1), part.astype(np.int32))[:, None, None]
