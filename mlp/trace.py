"""A read-only record of one layer of R runs at one step: what a probe is given."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from mlp.activations import Activation, Array
from mlp.numbers import Measure, count, frobenius, moments
from mlp.tape import Tape

T = TypeVar("T")

_ARRAYS = (
    "x", "z", "a", "slope", "scaled_delta", "scaled_dw", "scaled_db", "exponent", "w", "b", "w0", "step",
)  # fmt: skip


@dataclass(frozen=True)
class LayerTrace:
    """One layer, numbered from the input (1 … depth hidden, depth + 1 the output), over B examples.

    The R runs are the slice `runs` of their stack. All arrays are read-only, and valid until the next trace
    is asked for:

    x (R, B, n_in) is the layer's input, z (R, B, n_out) what enters the activation, a = f(z), and slope =
    f'(z), exact also where the activation is saturated. w (R, n_in, n_out) and b (R, 1, n_out) are the
    parameters, w0 the weights at the start, and step the update of w that follows.

    delta = dLoss/dz and dw, db, the gradients of the mean loss, are tracked with an exponent so that none
    underflows: `scaled_delta`, `scaled_dw` and `scaled_db` are the true values times 2^exponent, with
    exponent (R,). The properties `delta`, `dw` and `db` have the true size, in float64, and may underflow.

    tape is the pass that the arrays come from, for measures that need more than this layer.
    """

    layer: int
    runs: slice
    act: Activation
    x: Array
    z: Array
    a: Array
    slope: Array
    scaled_delta: Array
    scaled_dw: Array
    scaled_db: Array
    exponent: npt.NDArray[np.int64]
    w: Array
    b: Array
    w0: Array
    step: Array
    tape: Tape | None = None
    _memo: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    @property
    def delta(self) -> Array:
        """dLoss/dz at its true size: (R, B, n_out)."""
        return self.once("delta", lambda: self._unscaled(self.scaled_delta))

    @property
    def dw(self) -> Array:
        """Gradient of the mean loss with respect to w, at its true size: (R, n_in, n_out)."""
        return self.once("dw", lambda: self._unscaled(self.scaled_dw))

    @property
    def db(self) -> Array:
        """Gradient of the mean loss with respect to b, at its true size: (R, 1, n_out)."""
        return self.once("db", lambda: self._unscaled(self.scaled_db))

    @property
    def dead(self) -> npt.NDArray[np.bool_]:
        """Units whose slope is 0 on every example, so that no gradient passes: (R, n_out)."""
        return self.once("dead", lambda: count(self.slope != 0, axis=-2) == 0)

    def norm(self, name: str) -> Measure:
        """Return the Frobenius norm of the named array (of a scaled one still scaled): (R,)."""
        return self.once(f"{name} norm", lambda: frobenius(getattr(self, name)))

    def moments(self, name: str) -> tuple[Measure, Measure]:
        """Return the mean and the variance of the named array over examples and units: (R,), (R,)."""
        return self.once(f"{name} moments", lambda: moments(getattr(self, name)))

    def once(self, key: Hashable, measure: Callable[[], T]) -> T:
        """Return measure(), computed for whichever probe asks first: several may share a key."""
        if key not in self._memo:
            self._memo[key] = measure()
        return cast("T", self._memo[key])

    @np.errstate(all="ignore")
    def _unscaled(self, scaled: Array) -> Array:
        wide = scaled.astype(np.float64, copy=False)  # always: a neighbour must not choose the format
        if not self.exponent.any():
            return wide
        shape = (-1,) + (1,) * (scaled.ndim - 1)
        return np.ldexp(wide, -self.exponent.reshape(shape).astype(np.int32))
