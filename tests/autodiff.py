"""The network a third time: only its forward pass is written, HIPS autograd differentiates it."""

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
from autograd import grad
from autograd.extend import defvjp, primitive
from autograd.scipy.special import erf, expit

from mlp.activations import Activation

# name: f, whose slope autograd finds
FORMULAS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda z: z,
    "sigmoid": expit,
    "tanh": anp.tanh,
    "lecun_tanh": lambda z: 1.7159 * anp.tanh(2 * z / 3),
    "relu": lambda z: anp.where(z > 0, z, 0),
    "leaky_relu": lambda z: anp.where(z > 0, z, 0.01 * z),
    "leaky_relu(slope=0.3)": lambda z: anp.where(z > 0, z, 0.3 * z),
    "elu": lambda z: anp.where(z > 0, z, anp.expm1(z)),
    "elu(alpha=2.0)": lambda z: anp.where(z > 0, z, 2 * anp.expm1(z)),
    "selu": lambda z: 1.0507009873554805 * anp.where(z > 0, z, 1.6732632423543772 * anp.expm1(z)),
    "gelu": lambda z: z * (1 + erf(z / 2**0.5)) / 2,
    "silu": lambda z: z * expit(z),
    "silu(beta=3.0)": lambda z: z * expit(3 * z),
    "softplus": lambda z: anp.logaddexp(0, z),
    "softsign": lambda z: z / (1 + anp.abs(z)),
    "arctan": anp.arctan,
    "mish": lambda z: z * anp.tanh(anp.logaddexp(0, z)),
    "hard_sigmoid": lambda z: anp.where(z > 3, 1.0, anp.where(z < -3, 0.0, z / 6 + 0.5)),
    "hard_tanh": lambda z: anp.where(z > 1, 1.0, anp.where(z < -1, -1.0, z)),
}


def traced(text: str, act: Activation) -> Callable[[Any], Any]:
    """An f that autograd can look into; of an activation that is new here, its own f with its own slope."""
    if text in FORMULAS:
        return FORMULAS[text]
    f = primitive(act.f)
    defvjp(f, lambda a, z: lambda g: g * act.df(z, a))
    return f


def _log_softmax(z: Any) -> Any:
    shifted = z - anp.max(z, axis=1, keepdims=True)
    return shifted - anp.log(anp.sum(anp.exp(shifted), axis=1, keepdims=True))


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "softmax_cross_entropy": lambda z, t: -anp.sum(t * _log_softmax(z)) / len(t),
    "sigmoid_cross_entropy": lambda z, t: -anp.sum(
        t * anp.log(expit(z)) + (1 - t) * anp.log(expit(-z))
    ) / len(t),
    "mean_squared_error": lambda z, t: anp.mean((z - t) ** 2),
}  # fmt: skip

NORM_AXES = {"batch": 0, "layer": 1}


def _normalise(u: Any, axis: int, eps: float) -> Any:
    mean = anp.mean(u, axis=axis, keepdims=True)
    return (u - mean) / anp.sqrt(anp.mean((u - mean) ** 2, axis=axis, keepdims=True) + eps)


def logits(layers: list[dict[str, Any]], x: Any, f: Callable[[Any], Any], norm: str, residual: float) -> Any:
    """(B, C) of one run; a layer is {w, b} and where it is normalised {gain, shift}."""
    for index, layer in enumerate(layers):
        z = anp.dot(x, layer["w"]) + layer["b"]
        if index == len(layers) - 1:
            break
        if norm != "none":
            z = layer["gain"] * _normalise(z, NORM_AXES[norm], 1e-5) + layer["shift"]
        x = x + residual * f(z) if residual and index else f(z)
    return z


def gradients(layers: list[dict[str, Any]], x: Any, target: Any, f: Any, loss: str, norm: str,
              residual: float) -> list[dict[str, Any]]:  # fmt: skip
    """dLoss/d(every parameter), in the form of `layers`; target (B, C) is one-hot."""
    return grad(lambda p: LOSSES[loss](logits(p, x, f, norm, residual), target))(layers)
