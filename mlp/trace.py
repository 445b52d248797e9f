"""A read-only record of one layer of R runs at one step: what a probe is given."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np

from mlp.activations import Activation, Array
from mlp.numbers import Exponents, Measure, Truths, ever, frobenius, moments, times_power
from mlp.tape import Tape
from mlp.true_zeros import Arrivals

T = TypeVar("T")

_EXPONENT_OF = {"x": "x_exponent", "z": "z_exponent", "a": "z_exponent", "delta": "exponent",
                "dw": "dw_exponent", "db": "exponent", "step": "step_exponent"}  # fmt: skip


def _true_size(name: str, says: str, *, wide: bool = False) -> property:
    """Return a property: the named array at its true size; wide: in float64."""

    @np.errstate(all="ignore")  # beyond what the format holds: 0 or inf
    def unscaled(trace: LayerTrace) -> Array:
        array: Array = getattr(trace, f"scaled_{name}")
        if wide:  # always, since a neighbour must not choose the format
            array = array.astype(np.float64, copy=False)
        return times_power(array, -trace.exponent_of(name))

    return property(lambda trace: trace.once(name, lambda: unscaled(trace)), doc=says)


@dataclass(frozen=True)
class LayerTrace:
    """One layer, numbered from the input (1 … depth hidden, depth + 1 the output), over B examples.

    The R runs are the slice `runs` of their stack. All arrays are read-only, and valid until the next trace
    is asked for:

    x (R, B, n_in) is the layer's input, z (R, B, n_out) what enters the activation, a = f(z), and slope =
    f'(z), exact also where the activation is saturated, and 0 only where it is truly 0. w (R, n_in, n_out)
    and b (R, 1, n_out) are the parameters, w0 the weights at the start, delta = dLoss/dz, dw and db the
    gradients of the mean loss, and step the update of w that follows (NaN after the last).

    Whatever may leave the number format is stored as `scaled_NAME`, the true values times 2^exponent, with an
    exponent for each run, (R,): `exponent` of delta and db, `dw_exponent`, `x_exponent`, `z_exponent` of z
    and a, `step_exponent`. The properties `x`, `z`, `a`, `delta`, `dw`, `db` and `step` have the true size,
    which may underflow; the last four are in float64. Signs and zeros are those of the scaled arrays.

    arrivals: of the runs with a slope that its format has lost, what is truly not 0 (see `Arrivals`).
    tape is the pass that the arrays come from, for measures that need more than this layer.
    """

    layer: int
    runs: slice
    act: Activation
    scaled_x: Array
    scaled_z: Array
    scaled_a: Array
    slope: Array
    scaled_delta: Array
    scaled_dw: Array
    scaled_db: Array
    scaled_step: Array
    w: Array
    b: Array
    w0: Array
    exponent: Exponents
    x_exponent: Exponents
    z_exponent: Exponents
    step_exponent: Exponents
    arrivals: Mapping[int, Arrivals] = field(default_factory=dict)
    tape: Tape | None = None
    _memo: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items()):
            if isinstance(value, np.ndarray):
                view = value.view()
                view.flags.writeable = False
                object.__setattr__(self, name, view)

    x = _true_size("x", "The layer's input at its true size: (R, B, n_in).")
    z = _true_size("z", "What enters the activation, at its true size: (R, B, n_out).")
    a = _true_size("a", "f(z) at its true size: (R, B, n_out).")
    delta = _true_size("delta", "dLoss/dz at its true size, in float64: (R, B, n_out).", wide=True)
    dw = _true_size("dw", "Gradient of the mean loss by w, in float64: (R, n_in, n_out).", wide=True)
    db = _true_size("db", "Gradient of the mean loss by b, in float64: (R, 1, n_out).", wide=True)
    step = _true_size("step", "Update of w that follows, in float64, or NaN: (R, n_in, n_out).", wide=True)

    @property
    def dw_exponent(self) -> Exponents:
        """Exponent of scaled_dw, whose terms are an input times a delta: (R,)."""
        return self.exponent + self.x_exponent

    @property
    def dead(self) -> Truths:
        """Units whose slope is 0 on every example, so that no gradient passes: (R, n_out); a NaN is no 0."""
        return self.once("dead", lambda: ~ever(lambda slope: slope != 0, self.slope))

    def exponent_of(self, name: str) -> Exponents:
        """Return the exponent of scaled_NAME for x, z, a, delta, dw, db or step: (R,)."""
        return cast("Exponents", getattr(self, _EXPONENT_OF[name]))

    def norm(self, name: str) -> Measure:
        """Return the Frobenius norm of the named array as it is stored: (R,)."""
        return self.once(f"{name} norm", lambda: frobenius(getattr(self, name)))

    def size(self, name: str) -> Measure:
        """Return the Frobenius norm of x, z, a, delta, dw, db or step at its true size: (R,)."""
        return self.once(
            f"{name} size", lambda: times_power(self.norm(f"scaled_{name}"), -self.exponent_of(name))
        )

    def moments(self, name: str) -> tuple[Measure, Measure, Measure]:
        """Return mean, variance and root mean square of x, z or a over examples and units: (R,) each."""

        def measure() -> tuple[Measure, Measure, Measure]:
            power = -self.exponent_of(name)
            mean, variance, rms = moments(getattr(self, f"scaled_{name}"))
            return times_power(mean, power), times_power(variance, 2 * power), times_power(rms, power)

        return self.once(f"{name} moments", measure)

    def once(self, key: Hashable, measure: Callable[[], T]) -> T:
        """Return measure(), computed for whichever probe asks first: several may share a key."""
        if key not in self._memo:
            self._memo[key] = measure()
        return cast("T", self._memo[key])
