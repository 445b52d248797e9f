"""The write-up's own functions, letter for letter: claim W15 compares with them, W08 and W12 time them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any


def sigmoid(x: Array) -> Array:
    """1/(1 + e⁻ˣ)."""
    return 1 / (1 + np.exp(-x))


def grad_sigmoid(x: Array) -> Array:
    """Its derivative."""
    return sigmoid(x) * (1 - sigmoid(x))


def grad_tanh(x: Array) -> Array:
    """The derivative of np.tanh."""
    return 1 - np.tanh(x) ** 2


def relu(x: Array) -> Array:
    """max(0, x), one element at a time."""
    return np.array([max(0, i) for i in x])


def grad_relu(x: Array) -> Array:
    """Its derivative."""
    return np.array([1 if i > 0 else 0 for i in x])


def leaky_relu(x: Array) -> Array:
    """max(0.1 x, x), one element at a time."""
    return np.array([max(0.1 * i, i) for i in x])


def grad_leaky_relu(x: Array) -> Array:
    """Its derivative."""
    return np.array([1 if i > 0 else 0.1 for i in x])


FUNCTIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "sigmoid": (sigmoid, grad_sigmoid),
    "tanh": (np.tanh, grad_tanh),
    "relu": (relu, grad_relu),
    "leaky_relu(slope=0.1)": (leaky_relu, grad_leaky_relu),
}

# The x axis of each picture: start, end and step.
RANGES = {
    "sigmoid": (-10, 10, 0.1),
    "tanh": (-10, 10, 0.01),
    "relu": (-3, 3, 0.01),
    "leaky_relu(slope=0.1)": (-3, 3, 0.01),
}
