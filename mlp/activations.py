"""Activation functions: a = f(z), its exact slope, its bounds.

One function an activation: formula and source in the docstring, options as keyword arguments. A formula
need not care for the ends of the number format: where it gives inf or NaN there, `Activation` takes the value
from further in, so that f and slope are right and silent for every z, infinities included. The one thing left
to the author: a square in a denominator is lost without a trace (z/√(z² + 1) is 0 from 1e19 on in float32);
`np.hypot` has it right.

The slope is what this project measures, so it is exact in both tails: ``a(1 − a)`` is 0 from z = 37 on
(float64), which would count a saturated sigmoid as dead; ``¼ sech²(z/2)`` is not. For training, where only
its size matters, an activation may add a second form that takes the slope from the output (`InPlace`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import erfc, exp, inf, pi, sqrt
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from mlp.registry import Registry, Within
from mlp.special import expit, ndtr

Array = npt.NDArray[Any]

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

    def __post_init__(self) -> None:
        f, df = self.f, self.df
        guarded = _guarded(f, f, _continued)
        slope = _guarded(df, lambda z: df(z, guarded(z)), lambda value, near, z: value)
        object.__setattr__(self, "f", guarded)
        object.__setattr__(self, "df", slope)

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
        """|f'(z)|."""
        return np.abs(self.df(z, self.f(z)))

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


@lru_cache(maxsize=256)
def reach(act: Activation, dtype: np.dtype[Any]) -> tuple[float, float]:
    """How far z may go below and above 0 before the number format loses a slope: inf where it never does."""
    exponents = np.arange(np.finfo(dtype).minexp, np.finfo(dtype).maxexp)

    def last(side: float, fades: bool) -> float:
        lost = np.flatnonzero(act.slope_at((side * 2.0**exponents).astype(dtype)) == 0)
        return float(2.0 ** exponents[max(lost[0] - 1, 0)]) if fades and len(lost) else inf

    left, right = act.fades
    return last(-1.0, left), last(1.0, right)


@lru_cache(maxsize=256)
def is_linear_at_zero(act: Activation, dtype: np.dtype[Any]) -> bool:
    """Whether f(c·z) = c·f(z) to rounding for c > 0 and every z under 2^LINEAR."""
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
    """The formula, silent, and evaluated nearer to 0 at those z where it gives no number.

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
    """The value with new numbers where it is lost, each from its own z alone.

    The formula is tried where z⁴ does not overflow, and from there at half of z, a quarter and so on until it
    gives a number. Powers of two, so that a straight line is carried back out without a rounding.
    """
    far = z.dtype.type(2.0 ** (np.finfo(z.dtype).maxexp // 4))
    near = np.clip(z[lost], -far, far)
    found = of_z(near)
    while (bad := ~np.isfinite(found) & (np.abs(near) > 1)).any():
        near[bad] /= 2
        found[bad] = of_z(near[bad])
    whole = np.array(value)
    whole[lost] = extend(found, near, z[lost])
    return whole


def _continued(value: Array, near: Array, z: Array) -> Array:
    """f(z) from f(near): on a line through 0 where f still grows there, else the constant it has reached."""
    return np.where(np.abs(value) > np.sqrt(np.abs(near)), value * (z / near), value)


ALIASES = {"swish": "silu", "logistic": "sigmoid", "linear": "identity"}
ACTIVATIONS = Registry("activation", ALIASES)
ActivationName = Annotated[str, ACTIVATIONS]  # the type of an option that is an activation's call-text


@lru_cache(maxsize=4096)
def activation(text: str) -> Activation:
    """Return the activation that a call-text names; one object per text, so its gains are derived once."""
    return ACTIVATIONS.bind(text)()


WIDEST = 12.0  # standard deviations; what lies beyond weighs 1e-33
PANEL = 0.25  # width of a panel in standard deviations
NODES = 12  # Gauss-Legendre nodes a panel: exact to rounding for a sigmoid as steep as σ(10 z)


def gaussian_mean(f: Callable[[Array], Array], variance: float = 1.0, kinks: Iterable[float] = ()) -> float:
    """E f(Z) for Z ~ N(0, variance), by composite Gauss-Legendre quadrature split at the kinks.

    A panel that straddles a kink spoils the result: with one node on ReLU's kink E f'² comes out 0.876
    of its value.
    """
    if variance == 0:
        return float(f(np.zeros(1))[0])
    scale = sqrt(variance)
    z, weights = _nodes(tuple(sorted(k / scale for k in kinks if abs(k) < WIDEST * scale)))
    return float(weights @ f(scale * z))


@lru_cache(maxsize=256)
def _nodes(kinks: tuple[float, ...]) -> tuple[Array, Array]:
    """Nodes of the standard normal and their weights, which sum to 1."""
    edges = np.unique(np.concatenate([np.arange(-WIDEST, WIDEST + PANEL, PANEL), np.asarray(kinks)]))
    node, weight = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half + half * node).ravel()
    density = np.exp(-z * z / 2) * (half * weight).ravel()
    return z, density / density.sum()


def _bell(z: Array, scale: float = 1.0) -> Array:
    """¼ sech²(scale·z/2) as s(1 − s) with s = σ(−|scale·z|): exact in both tails, and never above ¼."""
    s = np.abs(z)
    np.multiply(s, -scale, out=s)
    np.exp(s, out=s)
    rest = s + 1
    np.divide(s, rest, out=s)
    np.subtract(1, s, out=rest)
    return np.multiply(s, rest, out=s)


@lru_cache(maxsize=64)
def _full(value: float, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A block of one value: against it `maximum` runs at full width, against a scalar at a fifth of that."""
    return np.full(shape, value, dtype)


def _positive(z: Array) -> Array:
    """1 where z > 0, else 0, in z's dtype."""
    return (z > 0).astype(z.dtype)


@ACTIVATIONS
def identity() -> Activation:
    """z: no activation at all; a network of it is one linear map."""
    return Activation(
        f=lambda z: +z,
        df=lambda z, a: np.ones_like(z),
        in_place=InPlace(lambda z, out: np.copyto(out, z), lambda a, out: out.fill(1), exact=True),
    )


@ACTIVATIONS
def sigmoid(shift: Annotated[float, Within(-1e3, 1e3)] = 0.0) -> Activation:
    """σ(z) + shift, σ(z) = 1/(1 + e⁻ᶻ), slope ¼ sech²(z/2).  The logistic function, Verhulst 1845.

    shift=-0.5 centres the outputs on 0 and leaves everything else, to see what their being positive does. A
    shifted sigmoid is taken as ½ tanh(z/2) + ½ + shift, for σ(z) − ½ has no digits left near z = 0.
    """

    def in_place(z: Array, out: Array) -> None:
        if shift or z.dtype == np.float32:  # ½ + ½ tanh(z/2): in float32 twice as fast
            np.multiply(z, 0.5, out=out)
            np.tanh(out, out=out)
            np.multiply(out, 0.5, out=out)
            np.add(out, 0.5 + shift, out=out)
            return
        np.negative(z, out=out)
        np.exp(out, out=out)  # overflows to inf where a is 0 to every digit
        np.add(out, 1, out=out)
        np.divide(1, out, out=out)

    def slope(a: Array, out: Array) -> None:
        np.subtract(1 + shift, a, out=out)
        np.multiply(out, a - shift if shift else a, out=out)

    return Activation(
        f=(lambda z: np.tanh(z / 2) / 2 + (0.5 + shift)) if shift else expit,
        df=lambda z, a: _bell(z),
        low=shift,
        high=1 + shift,
        max_slope=0.25,
        in_place=InPlace(in_place, slope),
    )


def _slope_of_tanh(a: Array, out: Array) -> None:
    np.square(a, out=out)
    np.subtract(1, out, out=out)


@ACTIVATIONS
def tanh() -> Activation:
    """tanh(z) = 2σ(2z) − 1, slope sech²(z)."""
    return Activation(
        f=np.tanh,
        df=lambda z, a: 4 * _bell(z, 2),
        low=-1,
        high=1,
        in_place=InPlace(lambda z, out: np.tanh(z, out=out), _slope_of_tanh),
    )


@ACTIVATIONS
def lecun_tanh() -> Activation:
    """1.7159 tanh(2z/3), so that f(±1) = ±1.  LeCun, Bottou, Orr & Müller 1998, section 4.4."""
    return Activation(
        f=lambda z: 1.7159 * np.tanh(z * (2 / 3)),
        df=lambda z, a: (1.7159 * 2 / 3 * 4) * _bell(z, 4 / 3),
        low=-1.7159,
        high=1.7159,
        max_slope=1.7159 * 2 / 3,
    )


@ACTIVATIONS
def relu() -> Activation:
    """max(z, 0).  Nair & Hinton 2010; Glorot, Bordes & Bengio 2011."""

    def in_place(z: Array, out: Array) -> None:
        np.maximum(z, _full(0, z.shape[1:], z.dtype), out=out)

    return Activation(
        f=lambda z: np.maximum(z, 0),
        df=lambda z, a: _positive(z),
        low=0,
        kinks=(0.0,),
        in_place=InPlace(in_place, lambda a, out: np.greater(a, 0, out=out), exact=True),
    )


@ACTIVATIONS
def leaky_relu(slope: Annotated[float, Within(0, 1, above=True)] = 0.01) -> Activation:
    """max(z, slope·z), 0 < slope ≤ 1.  Maas, Hannun & Ng 2013."""

    def in_place(z: Array, out: Array) -> None:
        np.multiply(z, slope, out=out)
        np.maximum(z, out, out=out)

    def into(a: Array, out: Array) -> None:
        np.greater(a, 0, out=out)
        np.maximum(out, _full(slope, a.shape[1:], a.dtype), out=out)

    return Activation(
        f=lambda z: np.maximum(z, slope * z),
        df=lambda z, a: np.maximum(_positive(z), slope),
        kinks=(0.0,),
        in_place=InPlace(in_place, into, exact=True),
    )


def _elu(alpha: float, scale: float) -> Activation:
    def df(z: Array, a: Array) -> Array:
        above = _positive(z)
        return scale * (above + (1 - above) * alpha * np.exp(np.minimum(z, 0)))

    return Activation(
        f=lambda z: scale * (np.maximum(z, 0) + alpha * np.expm1(np.minimum(z, 0))),
        df=df,
        low=-scale * alpha,
        max_slope=scale * max(1.0, alpha),
        kinks=(0.0,),  # for alpha = 1 the slope is continuous and only its own slope jumps
    )


@ACTIVATIONS
def elu(alpha: Annotated[float, Within(0, 1e6, above=True)] = 1.0) -> Activation:
    """z above 0, alpha·(eᶻ − 1) below.  Clevert, Unterthiner & Hochreiter 2016, eq. 15."""
    return _elu(alpha, scale=1.0)


# Klambauer et al. 2017, eq. 14: the one pair for which mean 0 and variance 1 reproduce themselves.
SELU_ALPHA = -sqrt(2 / pi) / (exp(0.5) * erfc(1 / sqrt(2)) - 1)
SELU_SCALE = (1 - sqrt(exp(1)) * erfc(1 / sqrt(2))) * sqrt(
    2 * pi / (2 + pi - 2 * sqrt(exp(1)) * (2 + pi) * erfc(1 / sqrt(2))
              + exp(1) * pi * erfc(1 / sqrt(2)) ** 2 + 2 * exp(2) * erfc(sqrt(2)))
)  # fmt: skip


@ACTIVATIONS
def selu() -> Activation:
    """1.0507·ELU(alpha = 1.6733): unit variance is a fixed point.  Klambauer et al. 2017."""
    return _elu(float(SELU_ALPHA), float(SELU_SCALE))


@ACTIVATIONS
def gelu() -> Activation:
    """z·Φ(z), Φ the normal distribution function, in the exact form.  Hendrycks & Gimpel 2016."""
    return Activation(
        f=lambda z: z * ndtr(z),
        df=lambda z, a: ndtr(z) + z * (np.exp(-z * z / 2) / z.dtype.type(sqrt(2 * pi))),
        low=-0.16997120747990369,  # at z = −0.7518
        max_slope=1.1289041451825208,  # at z = √2: Φ(√2) + √2 φ(√2)
    )


@ACTIVATIONS
def silu(beta: Annotated[float, Within(1e-3, 1e3)] = 1.0) -> Activation:
    """z·σ(beta·z), also called swish.  Elfwing et al. 2018; Ramachandran, Zoph & Le 2017."""
    return Activation(
        f=lambda z: z * expit(z * beta),
        df=lambda z, a: expit(z * beta) * (1 + z * beta * expit(-z * beta)),
        low=-0.27846454276107380 / beta,
        max_slope=1.0998393201288668,
    )


@ACTIVATIONS
def softplus() -> Activation:
    """log(1 + eᶻ), slope σ(z).  Dugas et al. 2001; Glorot, Bordes & Bengio 2011."""
    return Activation(
        f=lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))),
        df=lambda z, a: expit(z),
        low=0,
    )


@ACTIVATIONS
def softsign() -> Activation:
    """z/(1 + |z|).  Bergstra et al. 2009; Glorot & Bengio 2010."""
    return Activation(
        f=lambda z: z / (1 + np.abs(z)),
        df=lambda z, a: np.square(1 / (1 + np.abs(z))),
        low=-1,
        high=1,
    )


@ACTIVATIONS
def arctan() -> Activation:
    """arctan(z), slope 1/(1 + z²)."""
    return Activation(
        f=np.arctan,
        df=lambda z, a: np.square(1 / np.hypot(z, 1)),
        low=-pi / 2,
        high=pi / 2,
    )


@ACTIVATIONS
def mish() -> Activation:
    """z·tanh(log(1 + eᶻ)).  Misra 2019."""

    def tanh_softplus(z: Array) -> tuple[Array, Array]:
        """tanh(softplus(z)) = n/(n + 2) with n = eᶻ(eᶻ + 2), and n; 1 to every digit from z = 20 on."""
        e = np.exp(np.minimum(z, 20))
        n = e * (e + 2)
        return n / (n + 2), n

    def df(z: Array, a: Array) -> Array:
        near = np.clip(z, -1000, 20)
        t, n = tanh_softplus(near)
        return t + near * expit(near) * (4 * (n + 1) / np.square(n + 2))

    return Activation(
        f=lambda z: np.maximum(z, -1000) * tanh_softplus(z)[0],
        df=df,
        low=-0.3088434130172504,
        max_slope=1.0884981612517277,
    )


@ACTIVATIONS
def hard_sigmoid() -> Activation:
    """clip(z/6 + ½, 0, 1).  Courbariaux et al. 2015, with the slope of Howard et al. 2019."""
    return Activation(
        f=lambda z: np.clip(z / 6 + 0.5, 0, 1),
        df=lambda z, a: ((z > -3) & (z <= 3)) / z.dtype.type(6),
        low=0,
        high=1,
        max_slope=1 / 6,
        kinks=(-3.0, 3.0),
    )


@ACTIVATIONS
def hard_tanh() -> Activation:
    """clip(z, −1, 1).  Collobert 2004."""
    return Activation(
        f=lambda z: np.clip(z, -1, 1),
        df=lambda z, a: ((z > -1) & (z <= 1)).astype(z.dtype),
        low=-1,
        high=1,
        kinks=(-1.0, 1.0),
    )
