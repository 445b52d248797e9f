"""Optimisers: gradients in, steps to add out; they never touch the parameters.

An optimiser is a function that starts its state for an (R, P) block of gradients and returns
`step(g, lr, out)`: g (R, P) and lr (R, 1) -> the (R, P) steps, written to out, which may be g.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlp.activations import Array
from mlp.registry import Registry

Step = Callable[[Array, Array, Array], Array]


@dataclass(frozen=True)
class Optimiser:
    """start(like) -> step.

    decoupled: weight decay acts on the weights and not through the gradient. forgets: a step depends on no
    gradient before, so that one which nobody watches need not be taken.
    """

    start: Callable[[Array], Step]
    decoupled: bool = False
    forgets: bool = False


OPTIMISERS = Registry("optimiser")


def _share(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"{name} is {value}; it lies in [0, 1)")
    return value


def _positive(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value}; it lies between 0 and 1")
    return value


@OPTIMISERS
def sgd() -> Optimiser:
    """step = −lr·g."""
    return Optimiser(lambda like: lambda g, lr, out: np.multiply(g, -lr, out=out), forgets=True)


@OPTIMISERS
def momentum(beta: float = 0.9) -> Optimiser:
    """v ← beta·v + g, step = −lr·v.  Polyak 1964."""
    _share("momentum: beta", beta)

    def start(like: Array) -> Step:
        v = np.zeros_like(like)

        def step(g: Array, lr: Array, out: Array) -> Array:
            np.multiply(v, beta, out=v)
            np.add(v, g, out=v)
            return np.multiply(v, -lr, out=out)

        return step

    return Optimiser(start)


@OPTIMISERS
def nesterov(beta: float = 0.9) -> Optimiser:
    """v ← beta·v + g, step = −lr·(g + beta·v).  Nesterov 1983, in the form of Sutskever et al. 2013."""
    _share("nesterov: beta", beta)

    def start(like: Array) -> Step:
        v = np.zeros_like(like)
        ahead = np.empty_like(like)

        def step(g: Array, lr: Array, out: Array) -> Array:
            np.multiply(v, beta, out=v)
            np.add(v, g, out=v)
            np.multiply(v, beta, out=ahead)
            np.add(g, ahead, out=out)
            return np.multiply(out, -lr, out=out)

        return step

    return Optimiser(start)


@OPTIMISERS
def rmsprop(rho: float = 0.99, eps: float = 1e-8) -> Optimiser:
    """s ← rho·s + (1−rho)·g², step = −lr·g/(√s + eps).  Tieleman & Hinton 2012."""
    _share("rmsprop: rho", rho)
    _positive("rmsprop: eps", eps)

    def start(like: Array) -> Step:
        s = np.zeros_like(like)
        root = np.empty_like(like)

        def step(g: Array, lr: Array, out: Array) -> Array:
            _decay_square(s, g, rho, root)
            np.sqrt(s, out=root)
            np.add(root, eps, out=root)
            np.divide(g, root, out=out)
            return np.multiply(out, -lr, out=out)

        return step

    return Optimiser(start)


@OPTIMISERS
def adam(beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> Optimiser:
    """step = −lr·m̂/(√v̂ + eps), moments corrected for their start at 0.  Kingma & Ba 2015, algorithm 1."""
    return _adam("adam", beta1, beta2, eps, decoupled=False)


@OPTIMISERS
def adamw(beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> Optimiser:
    """Adam whose weight decay is a step of its own, −lr·decay·w.  Loshchilov & Hutter 2019, algorithm 2."""
    return _adam("adamw", beta1, beta2, eps, decoupled=True)


def _adam(name: str, beta1: float, beta2: float, eps: float, *, decoupled: bool) -> Optimiser:
    _share(f"{name}: beta1", beta1)
    _share(f"{name}: beta2", beta2)
    _positive(f"{name}: eps", eps)

    def start(like: Array) -> Step:
        m, v, root = np.zeros_like(like), np.zeros_like(like), np.empty_like(like)
        count = 0

        def step(g: Array, lr: Array, out: Array) -> Array:
            nonlocal count
            count += 1
            np.multiply(m, beta1, out=m)
            np.multiply(g, 1 - beta1, out=root)
            np.add(m, root, out=m)
            _decay_square(v, g, beta2, root)
            np.multiply(v, 1 / (1 - beta2**count), out=root)
            np.sqrt(root, out=root)
            np.add(root, eps, out=root)
            np.divide(m, root, out=out)
            return np.multiply(out, -lr / (1 - beta1**count), out=out)

        return step

    return Optimiser(start, decoupled)


def _decay_square(s: Array, g: Array, rho: float, scratch: Array) -> None:
    """s ← rho·s + (1−rho)·g²."""
    np.multiply(s, rho, out=s)
    np.square(g, out=scratch)
    np.multiply(scratch, 1 - rho, out=scratch)
    np.add(s, scratch, out=s)
