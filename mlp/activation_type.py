"""What an activation is: f, its slope and its bounds, and what follows from them.

A formula need not care for the ends of the number format: where it gives inf or NaN there, `Activation` takes
the value from further in, so that f and slope are right and silent for every z, infinities included. What
follows is worked out from f and the slope alone, so that no formula has to state it: the gains for drawing
weights, and how the activation behaves where the format ends (`fades`, `reach`, `is_linear_at_zero`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from mlp.quadrature import gaussian_mean
from mlp.special import Array

LINEAR = {"float32": -30, "float64": -200}  # under 2^LINEAR, z² is lost beside z
FADED = 1e-270  # of the largest slope: a slope under this is at the end of float64
_POWERS = 2.0 ** np.arange(-1022, 1023)


@dataclass(frozen=True)
class InPlace:
    """The same function and slope written into a given block, for the training loop.

    `f(z, out)` and `slope(a, out)`; out is another block than the first and takes every step on the way. Only
    for activations that never fall. Both are right to a few last places of the largest value; exact: the
    slope is right in the tails too. Tested against `f` and `df`.
    """

    f: Callable[[Array, Array], Any]
    slope: Callable[[Array, Array], Any]
    exact: bool = False


@dataclass(frozen=True)
class Learnt:
    """A number p of an activation that is learnt with the weights, one for each hidden layer.

    start: what p is before the first update. f(z, p), df(z, a, p) and dp(z, p) = ∂f/∂p take p as an array
    (R, 1, 1); they are not guarded. The slope may fade on neither side, since where it does is worked out
    once (`reach`). Errors: ValueError where it does.
    """

    start: float
    f: Callable[[Array, Array], Array]
    df: Callable[[Array, Array, Array], Array]
    dp: Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Activation:
    """A scalar function applied to every unit.

    f(z) -> a and df(z, a) -> slope are element-wise and keep the dtype. `low` and `high` bound f; the slope
    never exceeds `max_slope` in size; `kinks` are the places where the slope jumps (there it is the one
    from the left). Both functions are guarded against overflow (see `_guarded`).
    """

    f: Callable[[Array], Array]
    df: Callable[[Array, Array], Array]
    low: float = -inf
    high: float = inf
    max_slope: float = 1.0
    kinks: tuple[float, ...] = ()
    in_place: InPlace | None = None
    learnt: Learnt | None = None  # f and df are those at its start

    def __post_init__(self) -> None:
        f, df = self.f, self.df
        guarded = _guarded(f, f, _continued)
        slope = _guarded(df, lambda z: df(z, guarded(z)), lambda value, near, z: value)
        object.__setattr__(self, "f", guarded)
        object.__setattr__(self, "df", slope)
        if self.learnt is not None and min(reach(self, np.dtype(np.float64))) < inf:
            raise ValueError("an activation whose slope fades cannot learn a number: see Learnt")

    def at(self, p: Array) -> Activation:
        """Return the activation with its learnt number at p, (R, 1, 1)."""
        if (rule := self.learnt) is None:
            return self
        here = replace(self, learnt=None)
        object.__setattr__(here, "f", lambda z: rule.f(z, p))
        object.__setattr__(here, "df", lambda z, a: rule.df(z, a, p))
        return here

    @cached_property
    def gain(self) -> float:
        """The factor on 1/√n_in that keeps the mean square of a layer: (E f(Z)²)^−½ for Z ~ N(0, 1)."""
        return gaussian_mean(lambda z: self.f(z) ** 2, kinks=self.kinks) ** -0.5

    @cached_property
    def gradient_gain(self) -> float:
        """The factor on 1/√n_in that keeps the mean square of delta: (E f'(Z)²)^−½ for Z ~ N(0, 1)."""
        return gaussian_mean(lambda z: self.df(z, self.f(z)) ** 2, kinks=self.kinks) ** -0.5

    @cached_property
    def fades(self) -> tuple[bool, bool]:
        """Whether the slope fades below every number for far negative z, and for far positive z.

        Where it does, a slope of 0 was lost to the number format and the unit is not dead. Where it does
        not, as left of ReLU's kink, 0 is the truth. Told by the last slope that is not 0 on the way out: if
        it is itself at the end of float64 the slope has faded, else it has jumped.
        """
        return self._fades(-1.0), self._fades(1.0)

    def slope_at(self, z: Array) -> Array:
        """Return |f'(z)|."""
        return np.abs(self.df(z, self.f(z)))

    def is_dead_at(self, z: float) -> bool:
        """Return whether a unit passes back exactly nothing at z, and not for the number format alone."""
        return bool(self.slope_at(np.array([z]))[0] == 0 and not self.fades[int(z > 0)])

    def _fades(self, side: float) -> bool:
        far = side * _POWERS
        passing = np.flatnonzero(self.slope_at(far))
        if not len(passing):
            return False
        inner, outer = far[passing[-1]], far[min(passing[-1] + 1, len(far) - 1)]
        for _ in range(60):  # to two neighbouring numbers
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if self.slope_at(np.array([middle]))[0] else (inner, middle)
        last = float(self.slope_at(np.array([inner]))[0])
        return bool(inner == outer or last < FADED * self.max_slope)


# At the ends of the number format ------------------------------------------------------------------------


@lru_cache(maxsize=256)
def reach(act: Activation, dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return how far z may go below and above 0 before the format loses a slope: inf where it never does."""
    exponents = np.arange(np.finfo(dtype).minexp, np.finfo(dtype).maxexp)

    def last(side: float, fades: bool) -> float:
        lost = np.flatnonzero(act.slope_at((side * 2.0**exponents).astype(dtype)) == 0)
        return float(2.0 ** exponents[max(lost[0] - 1, 0)]) if fades and len(lost) else inf

    left, right = act.fades
    return last(-1.0, left), last(1.0, right)


@lru_cache(maxsize=256)
def is_linear_at_zero(act: Activation, dtype: np.dtype[Any]) -> bool:
    """Return whether f(c·z) = c·f(z) to rounding for c > 0 and every z under 2^LINEAR."""
    near = np.array([-1.9, -1.3, -1, 0, 1, 1.3, 1.9], dtype) * dtype.type(2.0 ** LINEAR[dtype.name])
    scale = dtype.type(2.0**-20)
    outer, inner = act.f(near), act.f(near * scale)
    slope, within = act.slope_at(near), act.slope_at(near * scale)
    rounding = 16 * float(np.finfo(dtype).eps)
    same = np.abs(inner - outer * scale) <= rounding * np.abs(inner)
    lost = (outer == 0) & (slope != 0) & (near != 0)
    return bool(same.all() and outer[3] == 0 and not lost.any() and np.allclose(slope, within, rtol=rounding))


def _guarded(
    formula: Callable[..., Array],
    of_z: Callable[[Array], Array],
    extend: Callable[[Array, Array, Array], Array],
) -> Callable[..., Array]:
    """Return the formula, silent, and evaluated nearer to 0 at those z where it gives no number.

    `of_z` is the formula as a function of z alone; `extend(value, near, z)` carries its value from the nearer
    place out to z. Nothing is looked at unless NumPy reports an overflow or an invalid operation, so an
    ordinary call costs some microseconds more, whatever the size of z.
    """

    def guarded(z: Array, *rest: Array) -> Array:
        reports: list[str] = []
        with np.errstate(
            all="ignore", over="call", invalid="call", call=lambda kind, _: reports.append(kind)
        ):
            value = formula(z, *rest)
        if not reports:
            return value
        with np.errstate(all="ignore"):
            lost = ~np.isfinite(value) & ~np.isnan(z)
            return _repaired(value, z, lost, of_z, extend) if lost.any() else value

    return guarded


def _repaired(
    value: Array,
    z: Array,
    lost: npt.NDArray[np.bool_],
    of_z: Callable[[Array], Array],
    extend: Callable[[Array, Array, Array], Array],
) -> Array:
    """Return the value with new numbers where it is lost, each from its own z alone.

    The formula is tried where z⁴ does not overflow, and if it gives no number there, as far out as it does.
    """
    far = z.dtype.type(2.0 ** (np.finfo(z.dtype).maxexp // 4))
    near = np.clip(z[lost], -far, far)
    found = of_z(near)
    bad = ~np.isfinite(found) & (np.abs(near) > 1)
    if bad.any():
        near[bad] = _halved(near[bad], of_z)
        found[bad] = of_z(near[bad])
    whole = np.array(value)
    whole[lost] = extend(found, near, z[lost])
    return whole


def _halved(z: Array, of_z: Callable[[Array], Array]) -> Array:
    """Return z halved until its formula gives a number, or until it is 1 or less; |z| > 1, and it gives none.

    Powers of two, so that a straight line is carried back out without a rounding. How many halvings it takes
    is found by bisection: eight trials in place of 250, and of a slope, whose own f has to be repaired, 64.
    """
    mantissa, halvings = np.frexp(np.abs(z))
    few, enough = np.zeros_like(halvings), halvings - (mantissa == 0.5)
    while (enough - few > 1).any():
        middle = (few + enough) // 2
        good = np.isfinite(of_z(np.ldexp(z, -middle)))
        few, enough = np.where(good, few, middle), np.where(good, middle, enough)
    return np.asarray(np.ldexp(z, -enough))


def _continued(value: Array, near: Array, z: Array) -> Array:
    """Return f(z) from f(near): on a line through 0 where f still grows, else the constant it has reached.

    What grows faster than z ends at the largest number, so that a network that is still finite stays so.
    """
    line, most = value * (z / near), np.finfo(z.dtype).max
    line = np.where(np.isfinite(z), np.clip(line, -most, most), line)
    return np.where(np.abs(value) > np.sqrt(np.abs(near)), line, value)
