"""Which gradients are truly zero, where the number format has lost the slopes that they come from.

The slope of a sigmoid at z = −200 is no float32, and yet it is not 0. Such a slope is stored as the smallest
number above 0, the products that need its digits are taken in float64, and a pass of True and False beside
the numbers tells where a gradient arrives at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlp.activation_type import reach
from mlp.activations import Array
from mlp.network import Network
from mlp.numbers import power_of, scaled

Truths = npt.NDArray[np.bool_]


@dataclass
class Arrivals:
    """Of one run at one layer: whether each input is truly not 0 (B, n_in), and each delta (B, n_out)."""

    x: Truths
    delta: Truths


class TrueZeros:
    """The faint runs of one pass, those with a z so large that the format may lose its slope.

    arrivals[index] has an entry for each faint run once the backward pass has come to that layer.
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        self.arrivals: list[dict[int, Arrivals]] = [{} for _ in range(net.depth + 1)]
        self.faint: set[int] = set()
        self._left, self._right = reach(net.act, net.params.dtype)
        self._can_fade = min(self._left, self._right) < np.inf
        self._reached: dict[int, Truths] = {}  # by run: where a gradient arrives at the output of a layer

    def start(self) -> None:
        """Forget the last pass."""
        self.faint.clear()
        self._reached.clear()
        for each in self.arrivals:
            each.clear()

    def look(self, z: Array) -> None:
        """Note the runs of z (R, B, n) that reach to where the format may lose a slope."""
        if self._can_fade:
            flat = z.reshape(len(z), -1)
            faint = (flat.min(axis=-1) < -self._left) | (flat.max(axis=-1) > self._right)
            self.faint.update(np.flatnonzero(faint).tolist())

    def keep(self, known: Truths) -> None:
        """Give up the faint runs that are not among the known, (R,): of NaN nothing can be said."""
        self.faint = {r for r in self.faint if known[r]}

    def mend(self, slope: Array, z: Array) -> None:
        """Put the smallest number above 0 into slope (R, B, n) where only the format has made it 0."""
        for r in self.faint:
            lost = (slope[r] == 0) & self._on_a_fading_side(z[r])
            slope[r][lost] = np.finfo(slope.dtype).smallest_subnormal

    def wide_products(self, g: Array, z: Array, *, may_shift: bool) -> dict[int, tuple[Array, int]]:
        """Return by faint run g·f'(z) of slopes in float64, times 2^shift so that it is about 1, and shift.

        A gradient that another is added to may not shift: its shift is 0.
        """
        found = {}
        for r in sorted(self.faint):
            wide_z = z[r].astype(np.float64)
            wide = g[r] * self.net.act.df(wide_z, self.net.act.f(wide_z))
            shift = -power_of(wide) if may_shift and np.isfinite(wide).all() else 0
            found[r] = scaled(wide, shift), shift
        return found

    def arrive(self, index: int, delta: Array, x: Array, z_below: Array | None, slope: Array | None) -> None:
        """Note for every faint run which inputs and deltas of layer `index` are truly not 0.

        z_below is the z that the inputs x are the activation of, if they are no more than that; slope is None
        for the output layer. Where all deltas that are not 0 have left the format, none is known: they
        become NaN.
        """
        for r in self.faint:
            passes = delta[r] != 0 if slope is None else self._passed_on(index, r) & (slope[r] != 0)
            inputs = x[r if len(x) > 1 else 0] != 0
            if z_below is not None:
                inputs |= self._on_a_fading_side(z_below[r])
            self.arrivals[index][r] = Arrivals(inputs, passes)
            if passes.any() and not delta[r].any():
                delta[r] = np.nan

    def _on_a_fading_side(self, z: Array) -> Truths:
        left, right = self.net.act.fades
        return ((z < 0) & left) | ((z > 0) & right)

    def _passed_on(self, index: int, r: int) -> Truths:
        """Return (B, n) whether a gradient arrives at the output of layer `index` from the layer above."""
        above = self.arrivals[index + 1][r].delta
        norm = self.net.norm
        if norm is not None and index + 1 < self.net.depth:  # what arrives at one unit reaches all along
            above = np.broadcast_to(above.any(axis=norm.axis, keepdims=True), above.shape)
        connected = self.net.layers[index + 1].w[r] != 0
        found = above.astype(np.float32) @ connected.T.astype(np.float32) > 0
        if self.net.is_skip(index + 1):
            found |= self._reached[r]
        self._reached[r] = found
        return np.asarray(found)
