"""The exponents of a backward pass: gradients are kept near 1 by exact powers of two.

Gradients of a deep saturating network leave the range of their number format: float32 from about depth 50
on, float64 from about depth 500. So each run has an exponent in every layer, and where its gradient has
become small (or large) it is multiplied by a power of two. What is stored is ``true · 2^exponent``; not one
bit of it changes otherwise, and no false zero or slow subnormal number appears.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mlp.activations import Array
from mlp.network import Network
from mlp.numbers import Exponents, largest, times_power

# A gradient is rescaled when its largest entry leaves 2^±REACH. It enters an update as zero where its
# exponent says that it lies under 2^-FLOOR: far less than the last place of any weight it would be added to.
REACH = {"float32": 40, "float64": 300}
FLOOR = {"float32": 60, "float64": 600}
SAMPLE = 8  # examples that a check in training looks at


class BackwardExponents:
    """The exponents of the gradients of R runs, and what is done by them.

    exponent (depth + 1, R) is that of a layer's delta and db, which the pass fills in; its dw has that and
    x_exponent (depth + 1, R), its input's. sampled: only some examples are looked at, as in training.
    """

    def __init__(
        self,
        net: Network,
        exponent: Exponents,
        x_exponent: Exponents,
        *,
        sampled: bool,
    ) -> None:
        self.net, self.exponent, self.x_exponent, self.sampled = net, exponent, x_exponent, sampled
        dtype = net.params.dtype
        self._reach = 2.0 ** REACH[dtype.name]
        self._floor = FLOOR[dtype.name]

    def rescale(self, g: Array, exponent: Exponents) -> None:
        """Bring runs whose gradient g (R, B, n) leaves 2^±REACH back to about 1, and count in exponent (R,).

        Both are changed in place.
        """
        seen = g[:, :: max(1, g.shape[1] // SAMPLE)] if self.sampled else g
        if self._surely_within_reach(seen):
            return
        asked = ~self._within_reach(largest(seen))
        if not asked.any():
            return
        size = largest(g)
        out = asked & (size > 0) & ~self._within_reach(size) & np.isfinite(size)
        if out.any():  # of the runs that asked: whether a neighbour did must not matter
            shift = np.where(out, -np.frexp(size)[1], 0)
            _shift(g, shift)
            exponent += shift

    def _within_reach(self, size: Array) -> npt.NDArray[np.bool_]:
        return (size > 1 / self._reach) & (size < self._reach)

    def _surely_within_reach(self, g: Array) -> bool:
        """Return whether every run's sum of squares, which is quicker to have, shows that it is in reach."""
        flat = g.reshape(len(g), -1)
        most = self._reach * self._reach
        return all(flat.shape[1] / most < square < most for square in np.vecdot(flat, flat).tolist())

    @property
    def are_used(self) -> bool:
        """Whether any gradient of the last backward pass is not stored at its true size."""
        return bool(self.exponent.any() or self.x_exponent.any())

    @property
    def leave_faint_gradients(self) -> bool:
        """Whether `unscale` gives a layer's gradients up as too small to move a weight."""
        return self.are_used and bool((self.exponent + self.x_exponent > self._floor).any())

    @np.errstate(all="ignore")
    def unscale(self, grads: Array) -> None:
        """Give an (R, P) block of gradients its true scale, in place; what lies under 2^-FLOOR becomes 0."""
        if not self.are_used:
            return
        for columns, exponent in self._blocks():
            if exponent.any():
                power = np.ldexp(1.0, -np.minimum(exponent, self._floor))
                factor = np.where(exponent > self._floor, 0.0, power)
                grads[:, columns] *= factor[:, None].astype(grads.dtype)

    @np.errstate(all="ignore")
    def faint_gradients(self, grads: Array) -> Array:
        """Return (R, P) float64: of gradients still scaled the true size of those that `unscale` makes 0."""
        faint = np.zeros(grads.shape)
        for columns, exponent in self._blocks():
            low = exponent > self._floor
            if low.any():
                wide = grads[low, columns].astype(np.float64)
                faint[low, columns] = times_power(wide, -exponent[low])
        return faint

    def _blocks(self) -> Iterator[tuple[slice, Exponents]]:
        """Yield columns of an (R, P) block of gradients that share an exponent, and their exponents (R,)."""
        for exponent, inputs, p in zip(self.exponent, self.x_exponent, self.net.layers, strict=True):
            after_w = p.block.start + p.w.shape[1] * p.w.shape[2]
            yield slice(p.block.start, after_w), exponent + inputs
            yield slice(after_w, p.block.stop), exponent


def _shift(g: Array, shift: Exponents) -> None:
    """Multiply each run by 2^shift in place, in two halves because 2^±150 is no float32."""
    half = shift // 2
    for part in (half, shift - half):
        g *= np.ldexp(g.dtype.type(1), part.astype(np.int32))[:, None, None]
