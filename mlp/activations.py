"""The table of activation functions: a = f(z), its exact slope, its bounds.

One function an activation: formula and source in the docstring, options as keyword arguments. A formula need
not care for the ends of the number format (see `activation_type`). The one thing left to the author: a square
in a denominator is lost without a trace (z/√(z² + 1) is 0 from 1e19 on in float32); `np.hypot` has it right.

The slope is what this project measures, so it is exact in both tails: ``a(1 − a)`` is 0 from z = 37 on
(float64), which would count a saturated sigmoid as dead; ``¼ sech²(z/2)`` is not. For training, where only
its size matters, an activation may add a fast form that takes the slope from the output (`InPlace`); these
stand below the table.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import erfc, exp, pi, sqrt
from typing import Annotated, Any

import numpy as np

from mlp.activation_type import Activation, InPlace, Learnt
from mlp.registry import Registry, Within
from mlp.special import Array, expit, ndtr

__all__ = ["ACTIVATIONS", "Activation", "ActivationName", "Array", "InPlace", "activation"]

ALIASES = {"swish": "silu", "logistic": "sigmoid", "linear": "identity"}
ACTIVATIONS = Registry("activation", ALIASES)
ActivationName = Annotated[str, ACTIVATIONS]  # the type of an option that is an activation's call-text


@lru_cache(maxsize=4096)
def activation(text: str) -> Activation:
    """Return the activation that a call-text names; one object per text, so its gains are derived once."""
    return ACTIVATIONS.bind(text)()


@ACTIVATIONS
def identity() -> Activation:
    """z: no activation at all; a network of it is one linear map."""
    return Activation(
        f=lambda z: +z,
        df=lambda z, a: np.ones_like(z),
        in_place=_fast_identity(),
    )


@ACTIVATIONS
def sigmoid(shift: Annotated[float, Within(-1e3, 1e3)] = 0.0) -> Activation:
    """σ(z) + shift, σ(z) = 1/(1 + e⁻ᶻ), slope ¼ sech²(z/2).  The logistic function, Verhulst 1845.

    shift=-0.5 centres the outputs on 0 and leaves everything else, to see what their being positive does. A
    shifted sigmoid is taken as ½ tanh(z/2) + ½ + shift, for σ(z) − ½ has no digits left near z = 0.
    """
    return Activation(
        f=(lambda z: np.tanh(z / 2) / 2 + (0.5 + shift)) if shift else expit,
        df=lambda z, a: _bell(z),
        low=shift,
        high=1 + shift,
        max_slope=0.25,
        in_place=_fast_sigmoid(shift),
    )


@ACTIVATIONS
def tanh() -> Activation:
    """tanh(z) = 2σ(2z) − 1, slope sech²(z)."""
    return Activation(
        f=np.tanh,
        df=lambda z, a: 4 * _bell(z, 2),
        low=-1,
        high=1,
        in_place=_fast_tanh(),
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
    return Activation(
        f=lambda z: np.maximum(z, 0),
        df=lambda z, a: _positive(z),
        low=0,
        kinks=(0.0,),
        in_place=_fast_relu(),
    )


@ACTIVATIONS
def leaky_relu(slope: Annotated[float, Within(0, 1, above=True)] = 0.01) -> Activation:
    """max(z, slope·z), 0 < slope ≤ 1.  Maas, Hannun & Ng 2013."""
    return Activation(
        f=lambda z: np.maximum(z, slope * z),
        df=lambda z, a: np.maximum(_positive(z), slope),
        kinks=(0.0,),
        in_place=_fast_leaky_relu(slope),
    )


@ACTIVATIONS
def prelu(slope: Annotated[float, Within(0, 1)] = 0.25) -> Activation:
    """z above 0 and p·z below, where each hidden layer learns its own p from `slope` on.  He et al. 2015.

    Weight decay leaves p alone, as they have it. What p has become is the probe `slope_below`.
    """
    learnt = Learnt(
        slope,
        f=lambda z, p: np.where(z > 0, z, p * z),
        df=lambda z, a, p: np.where(z > 0, z.dtype.type(1), p),
        dp=lambda z, p: np.minimum(z, 0),
    )
    start = leaky_relu(slope) if slope else relu()
    return replace(start, in_place=None, learnt=learnt)


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


# Parts of the formulas above ------------------------------------------------------------------------------


def _bell(z: Array, scale: float = 1.0) -> Array:
    """Return ¼ sech²(scale·z/2) as s(1 − s), s = σ(−|scale·z|): exact in both tails, and never above ¼."""
    s = np.abs(z)
    np.multiply(s, -scale, out=s)
    np.exp(s, out=s)
    rest = s + 1
    np.divide(s, rest, out=s)
    np.subtract(1, s, out=rest)
    return np.multiply(s, rest, out=s)


def _positive(z: Array) -> Array:
    """Return 1 where z > 0, else 0, in z's dtype."""
    return (z > 0).astype(z.dtype)


# Fast forms for training ----------------------------------------------------------------------------------


def _fast_identity() -> InPlace:
    return InPlace(lambda z, out: np.copyto(out, z), lambda a, out: out.fill(1), exact=True)


def _fast_sigmoid(shift: float) -> InPlace:
    def f(z: Array, out: Array) -> None:
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

    return InPlace(f, slope)


def _fast_tanh() -> InPlace:
    def slope(a: Array, out: Array) -> None:
        np.square(a, out=out)
        np.subtract(1, out, out=out)

    return InPlace(lambda z, out: np.tanh(z, out=out), slope)


def _fast_relu() -> InPlace:
    def f(z: Array, out: Array) -> None:
        np.maximum(z, _full(0, z.shape[1:], z.dtype), out=out)

    return InPlace(f, lambda a, out: np.greater(a, 0, out=out), exact=True)


def _fast_leaky_relu(alpha: float) -> InPlace:
    def f(z: Array, out: Array) -> None:
        np.multiply(z, alpha, out=out)
        np.maximum(z, out, out=out)

    def slope(a: Array, out: Array) -> None:
        np.greater(a, 0, out=out)
        np.maximum(out, _full(alpha, a.shape[1:], a.dtype), out=out)

    return InPlace(f, slope, exact=True)


@lru_cache(maxsize=64)
def _full(value: float, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return a block of one value: with it `maximum` is five times as fast as with a scalar."""
    return np.full(shape, value, dtype)
