"""Means over Gaussian variables, by quadrature with every kink of the integrand on a panel's edge.

One variable: composite Gauss-Legendre on ±12 standard deviations, panels graded towards 0, because that is
where an activation turns when the variance is large. Two correlated variables: either the same rule twice
(`pair_mean`, to nine digits or more, a few milliseconds) or a Hermite series (`Basis`, for all pairs of many
inputs at once: exact for an input with itself, between two to half a per cent for a function with a jump
and far better for one without).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mlp.activations import Activation

Array = npt.NDArray[np.floating[Any]]
Function = Callable[[Array], Array]

REACH = 12.0  # standard deviations; what lies beyond weighs 1e-33
QUARTERINGS = 10  # below 1.5 each panel is a quarter of its neighbour, down to 1e-6: enough for tanh(1e5 z)
NODES = 16  # Gauss-Legendre nodes per panel
FLAT = 1e-290  # what a variance of 0 is taken for: f' beside 0, never on a kink there
ORDERS = 32  # terms of a Hermite series
TAIL_NODES = 4  # exponentials that stand for the terms left out


@cache
def _panel_rule(nodes: int) -> tuple[Array, Array]:
    """Return Gauss-Legendre nodes and weights on (0, 1)."""
    node, weight = np.polynomial.legendre.leggauss(nodes)
    return np.asarray((node + 1) / 2), np.asarray(weight / 2)


def _fill(edges: Array, nodes: int = NODES) -> tuple[Array, Array]:
    """Return standard normal nodes and weights: (..., E) sorted edges -> two (..., (E − 1)·nodes)."""
    node, weight = _panel_rule(nodes)
    width = np.diff(edges)[..., None]
    z = (edges[..., :-1, None] + width * node).reshape(*edges.shape[:-1], -1)
    weights = (width * weight).reshape(z.shape) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return z, weights


_HALF = np.array([REACH, 6.0, 3.0, *(1.5 / 4.0**k for k in range(QUARTERINGS + 1))])
_GRADED = np.concatenate([-_HALF, [0.0], _HALF])


def nodes(variance: Any = 1.0, kinks: Iterable[float] = ()) -> tuple[Array, Array]:
    """Return standard normal z, and weights of sum 1, with no panel across a kink of f(√variance·z).

    variance: any shape S  ->  (*S, K), (*S, K); one rule, (K,), for all variances if no kink moves.
    """
    away = np.asarray([k for k in kinks if k != 0.0])
    if not away.size:
        return _fixed_nodes()
    moved = np.clip(away / _scaled(variance), -REACH, REACH)
    fixed = np.broadcast_to(_GRADED, (*moved.shape[:-1], _GRADED.size))
    return _fill(np.sort(np.concatenate([fixed, moved], axis=-1), axis=-1))


@lru_cache(maxsize=1)
def _fixed_nodes() -> tuple[Array, Array]:
    return _fill(np.sort(_GRADED))


def _scaled(variance: Any) -> Array:
    """Return √variance with an axis for the nodes."""
    return np.asarray(np.sqrt(np.maximum(np.asarray(variance, dtype=float), FLAT)))[..., None]


def mean(f: Function, variance: Any = 1.0, kinks: Iterable[float] = ()) -> Array:
    """Return E f(Z), Z ~ N(0, variance); an array of variances gives an array."""
    z, weights = nodes(variance, kinks)
    return np.asarray((weights * f(_scaled(variance) * z)).sum(axis=-1))


def mean_slope(f: Function, variance: Any = 1.0, kinks: Iterable[float] = ()) -> Array:
    """d E f(Z) / d variance = E f(Z)(z² − 1)/(2 variance), z = Z/sd (Stein): f need not be smooth."""
    z, weights = nodes(variance, kinks)
    u = _scaled(variance)
    return np.asarray((weights * f(u * z) * (z * z - 1)).sum(axis=-1) / (2 * u[..., 0] ** 2))


def slope_of(act: Activation) -> Function:
    """Return f' as a function of z alone."""
    return lambda z: act.df(z, act.f(z))


def squared(f: Function) -> Function:
    """Return the function z -> f(z)²."""
    return lambda z: np.square(f(z))


def pair_mean(
    f: Function, g: Function, c: float, variance: float = 1.0, kinks: Iterable[float] = ()
) -> float:
    """Return E f(X) g(Y) for X, Y ~ N(0, variance) of correlation −1 ≤ c ≤ 1."""
    kinks, scale = tuple(kinks), float(_scaled(variance)[0])
    if abs(c) == 1:
        mirrored = (*kinks, *(-k for k in kinks))
        return float(mean(lambda x: f(x) * g(c * x), variance, mirrored))
    rest = np.sqrt((1 - c) * (1 + c))
    places = np.array([*kinks, 0.0, -8.0, -2.0, 2.0, 8.0]) / scale  # kinks, and where curves bend
    x, weights = _fill(_outer_edges(places, c, rest))
    inner = np.clip((places - c * x[:, None]) / rest, -REACH, REACH)
    even = np.broadcast_to(np.linspace(-REACH, REACH, 13), (x.size, 13))
    y, inner_weights = _fill(np.sort(np.concatenate([even, inner], axis=1), axis=1), nodes=12)
    smooth = (inner_weights * g(scale * (c * x[:, None] + rest * y))).sum(axis=1)
    return float(weights @ (f(scale * x) * smooth))


def _outer_edges(places: Array, c: float, rest: float) -> Array:
    """Return the edges of panels: f's kinks, and close ones where the inner mean (g smoothed) turns."""
    smear = rest / max(abs(c), 1e-3) * np.array([-8, -4, -2, -1, 0, 1, 2, 4, 8])
    turns = (places[:, None] / (c if abs(c) > 1e-3 else 1.0) + smear).ravel()
    return np.sort(np.concatenate([_GRADED, np.clip(np.concatenate([places, turns]), -REACH, REACH)]))


@dataclass(frozen=True)
class Series:
    """A function of N(0, variance_e) for each of M inputs, as a Hermite series.

    values: (M, K) at the basis's nodes; coefficients: (ORDERS, M), order 0 the mean.
    """

    values: Array
    coefficients: Array


@dataclass(frozen=True)
class Basis:
    """Normalised Hermite polynomials at the nodes of M variances, and powers of all pairs' correlations.

    E g(X_e) h(X_e') = Σ_k ĝ_k(e) ĥ_k(e') c_ee'^k (Mehler 1866; "dual activation" in Daniely, Frostig &
    Singer 2016). The sum of the terms left out is known on the diagonal, where c = 1, and is carried to
    the other pairs by `_tail`.
    """

    points: Array  # (M, K), √variance·z
    weights: Array  # (K,) or (M, K)
    weighted: Array  # (ORDERS, K) or (ORDERS, M, K): weight times polynomial
    powers: Array  # (ORDERS, M, M)
    tail: Array  # (M, M)
    stein: Array  # (M, K): (z² − 1)/(2 variance)

    @classmethod
    def of(cls, variance: Array, correlation: Array, kinks: Iterable[float] = ()) -> Basis:
        """Return the basis for variances (M,) and correlations (M, M), whose diagonal is 1."""
        z, weights = nodes(variance, kinks)
        weighted = _fixed_weighted() if z.ndim == 1 else weights * hermite(z)
        powers = np.ones((ORDERS, *correlation.shape))
        for k in range(1, ORDERS):
            np.multiply(powers[k - 1], correlation, out=powers[k])
        stein = (z * z - 1) / (2 * variance[:, None])
        return cls(_scaled(variance) * z, weights, weighted, powers, _tail(correlation), stein)

    def mean(self, values: Array) -> Array:
        """Return (M,): the mean of a function given by its values at `points`, (M, K)."""
        return np.asarray((self.weights * values).sum(axis=1))

    def mean_slope(self, values: Array) -> Array:
        """Return (M,): the derivative of the mean by the variance, by Stein's identity."""
        return np.asarray((self.weights * values * self.stein).sum(axis=1))

    def expand(self, values: Array) -> Series:
        """Return the series of a function given by its values at `points`, (M, K)."""
        if self.weighted.ndim == 2:
            return Series(values, self.weighted @ values.T)
        return Series(values, np.einsum("kei,ei->ke", self.weighted, values))

    def pairs(self, g: Series, h: Series) -> Array:
        """Return (M, M): E g(X_e) h(X_e') for all pairs."""
        kept = np.einsum("ki,kj,kij->ij", g.coefficients, h.coefficients, self.powers)
        left_out = self.mean(g.values * h.values) - np.diag(kept)
        root = np.sqrt(np.abs(left_out))
        return np.asarray(kept + np.sign(left_out) * np.outer(root, root) * self.tail)

    def low_orders(self, g: Series, h: Series, first: int = 1) -> Array:
        """Return (M, M): the part of `pairs` that comes from z's mean (order 1) and mean square."""
        part = slice(first, 3)
        return np.einsum("ki,kj,kij->ij", g.coefficients[part], h.coefficients[part], self.powers[part])


def _tail(correlation: Array) -> Array:
    """Return how the sum of the terms from ORDERS on depends on c, 1 at c = 1, for a function that jumps.

    A jump's terms go as k^−3/2, so Σ k^−3/2 c^k ∝ ∫₀¹ c^(ORDERS/t²) dt. Where c is negative they
    alternate and all but cancel.
    """
    node, weight = _panel_rule(TAIL_NODES)
    positive = np.maximum(correlation, 0.0)
    return np.asarray(sum(w * positive ** (ORDERS / t**2) for t, w in zip(node, weight, strict=True)))


def hermite(z: Array) -> Array:
    """Return polynomials 0 … ORDERS − 1, orthonormal under the standard normal: (ORDERS, *z.shape)."""
    table = np.empty((ORDERS, *z.shape))
    table[0], table[1] = 1.0, z
    for k in range(1, ORDERS - 1):
        table[k + 1] = (z * table[k] - np.sqrt(k) * table[k - 1]) / np.sqrt(k + 1)
    return table


@lru_cache(maxsize=1)
def _fixed_weighted() -> Array:
    z, weights = _fixed_nodes()
    return weights * hermite(z)
