"""A second, independent forward pass of the network, which other tools differentiate.

HIPS autograd differentiates it where that is installed. A complex step (Squire & Trapp 1998) always can,
because each formula is analytic except at its kinks and accepts complex numbers. Exactly on a kink the piece
on its left is taken, as `mlp` does. It is chosen by the real part alone, since NumPy orders complex numbers
of equal real parts by their imaginary ones. From `mlp` only the parameters are used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import erf

from mlp.activations import activation
from mlp.registry import parse_call

if TYPE_CHECKING:
    from mlp.activations import Activation

try:
    import autograd.numpy as anp
    from autograd.extend import defvjp, primitive

    erf = primitive(erf)  # autograd's own would load all of scipy.stats, half a second
    defvjp(erf, lambda ans, z: lambda g: g * 2 / anp.sqrt(anp.pi) * anp.exp(-z * z))
except ImportError:  # without autograd, only the complex step is used
    anp = np

Layers = list[dict[str, Any]]


def _above(z: Any, kink: float, right: Any, left: Any) -> Any:
    """Return `right` where z lies above the kink, and `left` on it and below."""
    return anp.where(anp.real(z) > kink, right, left)


def _size(z: Any) -> Any:
    """Return |z| by the sign of the real part, which is analytic except at 0."""
    return _above(z, 0, z, -z)


def _sigma(z: Any) -> Any:
    e = anp.exp(-_size(z))
    return _above(z, 0, 1 / (1 + e), e / (1 + e))


def _softplus(z: Any) -> Any:
    return _above(z, 0, z, 0) + anp.log(1 + anp.exp(-_size(z)))


def _elu(z: Any, alpha: float = 1.0, scale: float = 1.0) -> Any:
    return scale * _above(z, 0, z, alpha * (anp.exp(_above(z, 0, 0, z)) - 1))


# name: f(z, **options)
FORMULAS: dict[str, Callable[..., Any]] = {
    "identity": lambda z: z,
    "sigmoid": lambda z, shift=0.0: _sigma(z) + shift,
    "tanh": anp.tanh,
    "lecun_tanh": lambda z: 1.7159 * anp.tanh(2 * z / 3),
    "relu": lambda z: _above(z, 0, z, 0),
    "leaky_relu": lambda z, slope=0.01: _above(z, 0, z, slope * z),
    "prelu": lambda z, learnt=None, slope=0.25: _above(z, 0, z, (slope if learnt is None else learnt) * z),
    "elu": _elu,
    "selu": lambda z: _elu(z, 1.6732632423543772, 1.0507009873554805),
    "gelu": lambda z: z * (1 + erf(z / 2**0.5)) / 2,
    "silu": lambda z, beta=1.0: z * _sigma(beta * z),
    "softplus": _softplus,
    "softsign": lambda z: z / (1 + _size(z)),
    "arctan": anp.arctan,
    "mish": lambda z: z * anp.tanh(_softplus(z)),
    "hard_sigmoid": lambda z: _above(z, 3, 1.0, _above(z, -3, z / 6 + 0.5, 0.0)),
    "hard_tanh": lambda z: _above(z, 1, 1.0, _above(z, -1, z, -1.0)),
}


def formula(text: str) -> Callable[..., Any] | None:
    """Return the second formula of an activation, given by its call-text, or None if there is none."""
    name, options = parse_call(text)
    if name not in FORMULAS:
        return None
    return lambda z, *learnt: FORMULAS[name](z, *learnt, **options)


def traced(text: str, act: Activation) -> Callable[..., Any]:
    """Return an f that autograd can differentiate: the second formula or, without one, `act` itself."""
    if found := formula(text):
        return found
    f = primitive(act.f)
    defvjp(f, lambda a, z: lambda g: g * act.df(z, a))
    return f


def _log_softmax(z: Any) -> Any:
    shifted = z - anp.max(anp.real(z), axis=1, keepdims=True)
    return shifted - anp.log(anp.sum(anp.exp(shifted), axis=1, keepdims=True))


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "softmax_cross_entropy": lambda z, t: -anp.sum(t * _log_softmax(z)) / len(t),
    "sigmoid_cross_entropy": lambda z, t: anp.sum(_softplus(z) - t * z) / len(t),
    "mean_squared_error": lambda z, t: anp.mean((z - t) ** 2),
}

NORM_AXES = {"batch": 0, "layer": 1}


def _normalise(u: Any, axis: int, eps: float) -> Any:
    mean = anp.mean(u, axis=axis, keepdims=True)
    return (u - mean) / anp.sqrt(anp.mean((u - mean) ** 2, axis=axis, keepdims=True) + eps)


def is_written(loss: str, norm: str) -> bool:
    """Return whether this second network has the loss and the normalisation; it lacks a user's own."""
    return parse_call(loss)[0] in LOSSES and parse_call(norm)[0] in {"none", *NORM_AXES}


def logits(layers: Layers, x: Any, f: Callable[..., Any], norm: str, residual: float) -> Any:
    """Return the logits of one run, (B, C).

    A layer is {w, b}, with {gain, shift} where it is normalised, and {learnt} where its f learns a number.
    """
    rule, options = parse_call(norm)
    for index, layer in enumerate(layers):
        z = anp.dot(x, layer["w"]) + layer["b"]
        if index == len(layers) - 1:
            break
        if rule != "none":
            u = _normalise(z, NORM_AXES[rule], options.get("eps", 1e-5))
            z = layer["gain"] * u + layer["shift"]
        a = f(z, layer["learnt"]) if "learnt" in layer else f(z)
        x = x + residual * a if residual and index else a
    return z


def loss_of(layers: Layers, x: Any, target: Any, f: Any, loss: str, norm: str, residual: float) -> Any:
    """Return the mean loss of one run; target (B, C) is one-hot, or (B, 1) the numbers of a regression."""
    name, options = parse_call(loss)
    z = logits(layers, x, f, norm, residual)
    if "output" in options:
        z = traced(options["output"], activation(options["output"]))(z)
    return LOSSES[name](z, target)


def gradients(layers: Layers, x: Any, target: Any, f: Any, loss: str, norm: str, residual: float) -> Layers:
    """Return the gradient of the loss by HIPS autograd, in the form of `layers`."""
    from autograd import grad

    return grad(lambda p: loss_of(p, x, target, f, loss, norm, residual))(layers)
