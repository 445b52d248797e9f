"""The exponents of a forward pass that is measured: signals that become tiny are kept in the number format.

Where a run's z has become tiny, f is a straight line through 0 on either side of it, so that
f(z·2^e) = f(z)·2^e and the slope is the same; z is then multiplied by 2^e, and so are a and what is above it.
Where that cannot be done (a normalisation, a skip, an f that is no such line) and z leaves the format, the
run is blind from that layer on: its slopes are not known.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlp.activation_type import LINEAR, is_linear_at_zero
from mlp.activations import Array
from mlp.network import Layer, Network
from mlp.numbers import Exponents, largest, power_of, scaled
from mlp.products import product

SAMPLE = 8  # examples that say whether a run may be tiny
WEAK = {"float32": -90, "float64": -900}  # a product under 2^WEAK is taken again, of larger inputs
STRONG = 60  # powers of two above 1 to which they are brought


def can_follow(net: Network) -> bool:
    """Return whether a signal that becomes tiny can be followed through the network's hidden layers."""
    return net.norm is None and not net.residual and is_linear_at_zero(net.act, net.params.dtype)


def is_tiny(x: Array) -> npt.NDArray[np.bool_]:
    """Return for each run whether x (R, B, n) is so small, on some examples, that products lose digits."""
    return largest(x[:, :: max(1, x.shape[1] // SAMPLE)]) < 2.0 ** WEAK[x.dtype.name]


class ForwardExponents:
    """The exponents of R runs in every layer: what is stored is true · 2^exponent.

    x_exponent and z_exponent (depth + 1, R) are those of a layer's input, and of its z and a. blind_from (R,)
    is the first layer, from 0, whose z has left the format; depth + 1 where none has.
    """

    def __init__(self, net: Network, x_exponent: Exponents, z_exponent: Exponents) -> None:
        self.net, self.x_exponent, self.z_exponent = net, x_exponent, z_exponent
        dtype = net.params.dtype
        is_line = is_linear_at_zero(net.act, dtype)
        self._follows = can_follow(net)
        self._may_vanish = float(net.act.f(np.zeros(1, dtype))[0]) == 0
        self._least = 2.0 ** (WEAK[dtype.name] if is_line else WEAK[dtype.name] / 2)  # of a safe |z|
        self._line = 2.0 ** LINEAR[dtype.name] / 4  # |z| under which f is a straight line
        self.start()

    def start(self) -> None:
        """Forget the last pass."""
        self.x_exponent[:] = 0
        self.z_exponent[:] = 0
        self.any = False
        self.blind_from = np.full(self.net.runs, self.net.depth + 1)
        self.is_any_blind = False

    def add_bias(self, z: Array, index: int, p: Layer) -> None:
        """Add b to the product x·w, (R, B, n) times 2^x_exponent; where b is large the exponent gives way."""
        if not (self.any and self.x_exponent[index].any()):
            np.add(z, p.b, out=z)
            return
        for r, power in enumerate(self.x_exponent[index].tolist()):
            least = max(0, STRONG - power_of(p.b[r]))
            if least < power:
                _shrink(z[r], least - power)
            z[r] += scaled(p.b[r], min(least, power))
            self.z_exponent[index, r] = min(least, power)

    def watch(self, z: Array, x: Array, index: int, mean: Array | None = None) -> None:
        """Bring what is tiny of layer `index`'s z, of its input x, to where f is a straight line.

        mean is what a normalisation has taken off, where there is one.
        """
        sample = z[:, :: max(1, z.shape[1] // SAMPLE)]
        tiny = (largest(sample) < self._line) | (self.z_exponent[index] != 0)
        for r in np.flatnonzero(tiny).tolist():
            size = float(np.abs(z[r]).max())
            if not (size < self._line or self.z_exponent[index, r]):
                continue
            if self._follows or index == self.net.depth:
                self._follow(z, x, index, r)
            else:
                self._mark(size, x, index, r, None if mean is None else mean[r])

    def pass_on(self, index: int) -> None:
        """Give the next layer's input the exponent of this one's output."""
        if self.any:
            self.x_exponent[index + 1] = self.z_exponent[index]

    def _follow(self, z: Array, x: Array, index: int, r: int) -> None:
        """Bring z[r] to 2^LINEAR, or to its true size if that is larger."""
        if np.abs(z[r]).max() < 2.0 ** WEAK[z.dtype.name]:
            self._multiply_again(z, x, index, r)
        now = int(self.z_exponent[index, r])
        wanted = max(0, now + LINEAR[z.dtype.name] - power_of(z[r])) if z[r].any() else 0
        z[r] = scaled(z[r], wanted - now)
        self.z_exponent[index, r] = wanted
        self.any = True

    def _multiply_again(self, z: Array, x: Array, index: int, r: int) -> None:
        """Take x·w + b of run r anew with larger inputs, since products of tiny numbers lose their digits."""
        p = self.net.layers[index]
        own, here = slice(r, r + 1) if len(x) > 1 else slice(0, 1), slice(r, r + 1)
        before = int(self.x_exponent[index, r])
        room = 100 - power_of(p.w[here]) - int(np.ceil(np.log2(p.w.shape[1])))  # of 126 powers of two
        shift = min(STRONG, room) - power_of(x[own])
        shift = min(shift, 100 - before - power_of(p.b[here]))
        if x[own].any() and p.w[here].any() and shift > 0:
            product(scaled(x[own], shift), p.w[here], out=z[here])
            z[r] += scaled(p.b[r], before + shift)
            self.z_exponent[index, r] = before + shift

    def _mark(self, size: float, x: Array, index: int, r: int, mean: Array | None) -> None:
        """Note that run r's z has left the format, unless f(0) is not 0, so that it does no harm, or z is 0.

        It is 0 if no product x·w has two factors, or if the mean that was taken off was all of it.
        """
        w, own = self.net.layers[index].w[r], x[r if len(x) > 1 else 0]
        adds_up = bool((own.any(axis=0) & w.any(axis=1)).any())
        is_zero = size == 0 and (not adds_up or (mean is not None and bool(mean.any())))
        if self._may_vanish and size < self._least and not is_zero:
            self.blind_from[r] = min(self.blind_from[r], index)
            self.is_any_blind = True


def _shrink(x: Array, power: int) -> None:
    """Multiply by 2^power in place; what is lost keeps its sign as the smallest normal number."""
    small = scaled(x, power)
    lost = (small == 0) & (x != 0)
    small[lost] = np.copysign(np.finfo(x.dtype).tiny, x[lost])
    np.copyto(x, small)
