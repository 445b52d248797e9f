"""Optimisers: gradients in, steps to add out; they never touch the parameters.

An optimiser is a function that starts its state for an (R, P) block of gradients and returns
`step(g, lr, out)`: g (R, P) and lr (R, 1) -> the (R, P) steps, written to out, which may be g.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mlp.activations import Array
from mlp.registry import Registry, Within

Step = Callable[[Array, Array, Array], Array]


@dataclass(frozen=True)
class Optimiser:
    """A rule: start(like) -> step.

    decoupled: weight decay acts on the weights and not through the gradient. forgets: a step depends on its
    own gradient alone, so that gradients too small to move a weight matter only where the step is measured.
    """

    start: Callable[[Array], Step]
    decoupled: bool = False
    forgets: bool = False


OPTIMISERS = Registry("optimiser")
Decay = Annotated[float, Within(0, 1, below=True)]  # the part of a running mean that one step keeps
Small = Annotated[float, Within(0, 1, above=True, below=True)]


@OPTIMISERS
def sgd() -> Optimiser:
    """step = −lr·g."""
    return Optimiser(lambda like: lambda g, lr, out: np.multiply(g, -lr, out=out), forgets=True)


@OPTIMISERS
def momentum(beta: Decay = 0.9) -> Optimiser:
    """v ← beta·v + g, step = −lr·v.  Polyak 1964."""

    def start(like: Array) -> Step:
        v = np.zeros_like(like)

        def step(g: Array, lr: Array, out: Array) -> Array:
            np.multiply(v, beta, out=v)
            np.add(v, g, out=v)
            return np.multiply(v, -lr, out=out)

        return step

    return Optimiser(start)


@OPTIMISERS
def nesterov(beta: Decay = 0.9) -> Optimiser:
    """v ← beta·v + g, step = −lr·(g + beta·v).  Nesterov 1983, in the form of Sutskever et al. 2013."""

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
def rmsprop(rho: Decay = 0.99, eps: Small = 1e-8) -> Optimiser:
    """s ← rho·s + (1−rho)·g², step = −lr·g/(√s + eps).  Tieleman & Hinton 2012."""

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
def adam(beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Small = 1e-8) -> Optimiser:
    """step = −lr·m̂/(√v̂ + eps), moments corrected for their start at 0.  Kingma & Ba 2015, algorithm 1."""
    return _adam(beta1, beta2, eps, decoupled=False)


@OPTIMISERS
def adamw(beta1: Decay = 0.9, beta2: Decay = 0.999, eps: Small = 1e-8) -> Optimiser:
    """Adam whose weight decay is a step of its own, −lr·decay·w.  Loshchilov & Hutter 2019, algorithm 2."""
    return _adam(beta1, beta2, eps, decoupled=True)


def _adam(beta1: float, beta2: float, eps: float, *, decoupled: bool) -> Optimiser:

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
