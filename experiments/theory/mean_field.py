"""Mean-field theory of a wide, deep, plain network: one or two inputs, equal layers, scalar maps.

Conventions: w ~ N(0, weight/n_in), b ~ N(0, bias); q is the mean square of a unit's z; factors such as χ
are for *squared* norms. Everything follows from quadrature over f and f', for any activation.

Poole et al. 2016; Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017; Pennington, Schoenholz & Ganguli 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.theory.gaussian import Array, mean, mean_slope, pair_mean, slope_of, squared
from mlp.activations import Activation
from mlp.special import ndtr

SMALLEST, LARGEST = 1e-12, 1e9  # a q that leaves this range has gone to 0 or to infinity
GRID = 421  # places at which a root is looked for: twenty a decade
FLAT = 1e-10  # relative: a map this close to the identity has a fixed point wherever one looks


def variance_map(act: Activation, q: Any, weight: float, bias: float = 0.0) -> Array:
    """q of the next layer: weight·E f(√q Z)² + bias (Poole et al. 2016, eq. 3)."""
    return weight * mean(squared(act.f), q, act.kinks) + bias


def variance_slope(act: Activation, q: Any, weight: float) -> Array:
    """d variance_map / dq: below 1 at a fixed point that attracts."""
    return weight * mean_slope(squared(act.f), q, act.kinks)


def chi(act: Activation, q: Any, weight: float) -> Array:
    """χ = weight·E f'(√q Z)²: what ‖delta‖² is multiplied by from one layer to the one below.

    Poole et al. 2016, eq. 6; Pennington et al. 2018, section 2.2. q may be 0 or inf (a limit).
    """
    return weight * mean(squared(slope_of(act)), np.clip(q, 0.0, LARGEST), act.kinks)


def variances(act: Activation, depth: int, weight: float, bias: float = 0.0, first: float = 1.0) -> Array:
    """(depth,): q of every hidden layer, `first` being that of layer 1."""
    qs = [float(first)]
    for _ in range(depth - 1):
        qs.append(float(variance_map(act, qs[-1], weight, bias)))
    return np.array(qs)


def delta_ratio(act: Activation, depth: int, weight: float, bias: float = 0.0, first: float = 1.0) -> float:
    """‖delta_1‖/‖delta_depth‖ of one input: √Π χ(q_l) over layers 1 … depth − 1."""
    below_last = variances(act, depth, weight, bias, first)[:-1]
    return float(np.exp(0.5 * np.log(chi(act, below_last, weight)).sum()))


def flat_fraction(act: Activation, q: Any, below: float = 0.1) -> Array:
    """P(|f'(√q Z)| < below·max_slope): the expected `saturated_fraction`, to rounding."""
    edges, first = _flat_edges(act, below)
    bounds = np.concatenate([[-np.inf], edges, [np.inf]])
    below_bound = ndtr(bounds / np.sqrt(np.maximum(q, SMALLEST))[..., None])
    return np.asarray(np.diff(below_bound, axis=-1)[..., (0 if first else 1) :: 2].sum(axis=-1))


@lru_cache(maxsize=256)
def _flat_edges(act: Activation, below: float) -> tuple[Array, bool]:
    """Where |f'| crosses below·max_slope, ascending, and whether the slope is flat left of them all."""
    slope = slope_of(act)

    def flat(z: Array) -> npt.NDArray[np.bool_]:
        return np.abs(slope(z)) < below * act.max_slope

    beside = [side for k in act.kinks for side in (np.nextafter(k, -np.inf), k, np.nextafter(k, np.inf))]
    z = np.unique(np.concatenate([np.sinh(np.linspace(-12, 12, 4001)), beside]))
    at = np.flatnonzero(np.diff(flat(z)))
    low, high, left = z[at], z[at + 1], flat(z[at])
    for _ in range(60):
        middle = (low + high) / 2
        same = flat(middle) == left
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return (low + high) / 2, bool(flat(z[:1])[0])


def fixed_points(act: Activation, weight: float, bias: float = 0.0) -> list[tuple[float, bool]]:
    """Every q = variance_map(q) in (1e-12, 1e9), ascending, each with whether it attracts.

    A continuum of them (ReLU under He) gives an empty list, since no one of them attracts or repels.
    """
    grid = np.geomspace(SMALLEST, LARGEST, GRID)
    gap = variance_map(act, grid, weight, bias) / grid - 1
    found = []
    for at in np.flatnonzero((np.sign(gap[:-1]) != np.sign(gap[1:])) & (np.abs(gap[1:]) > FLAT)):
        q = _root_in_log(lambda x: float(variance_map(act, x, weight, bias) / x - 1), grid[at], grid[at + 1])
        found.append((q, bool(gap[at] > 0)))
    return found


def fixed_point(act: Activation, weight: float, bias: float = 0.0, start: float = 1.0) -> float:
    """q*: where iterating the variance map from `start` ends; 0.0 or inf if it leaves every bound.

    A start that the map leaves where it is (ReLU under He: any) is returned unchanged.
    """
    drift = float(variance_map(act, start, weight, bias)) / start - 1
    if abs(drift) < FLAT:
        return start
    points = [q for q, _ in fixed_points(act, weight, bias)]
    if drift > 0:
        return min((q for q in points if q > start), default=np.inf)
    return max((q for q in points if q < start), default=0.0)


def correlation_map(act: Activation, c: float, q: float, weight: float, bias: float = 0.0) -> float:
    """Correlation of two inputs' z one layer on, both of mean square q (Poole et al. 2016, eq. 5)."""
    after = float(variance_map(act, q, weight, bias))
    return (weight * pair_mean(act.f, act.f, c, q, act.kinks) + bias) / after


def chi_at(act: Activation, c: float, q: float, weight: float) -> float:
    """χ_c = weight·E f'(X) f'(Y) at correlation c; χ_1 is `chi`."""
    slope = slope_of(act)
    return weight * pair_mean(slope, slope, c, q, act.kinks)


def correlation_fixed_point(act: Activation, weight: float, bias: float = 0.0) -> float:
    """c*: what the correlation of two inputs tends to. 1 where χ ≤ 1 (order), less where χ > 1 (chaos).

    NaN where q* is 0 or infinite, since there is no layer to stand at.
    """
    q = fixed_point(act, weight, bias)
    if not 0 < q < np.inf:
        return np.nan
    if float(chi(act, q, weight)) <= 1 + FLAT:
        return 1.0

    def drift(c: float) -> float:
        return correlation_map(act, c, q, weight, bias) - c

    return 0.0 if abs(drift(0.0)) < FLAT else root(drift, 0.0, 1 - 1e-6)


def depth_scales(act: Activation, weight: float, bias: float = 0.0) -> dict[str, float]:
    """Layers over which things fall by e: `xi_c` two inputs' correlation, `xi_grad` ‖delta‖².

    ξ_c = −1/ln χ_c*, ξ_∇ = −1/ln χ_1 (Schoenholz et al. 2017, eqs. 8 and 14); ξ_∇ < 0 means growth, and
    both are inf at criticality. A plain net trains up to a depth of about 5 to 6 ξ_c (section 5 there).
    Where q* is 0 or infinite there is no ξ_c (NaN): c does not settle exponentially.
    """
    xi_c, xi_grad = _depth_scales(act, weight, bias)
    return {"xi_c": xi_c, "xi_grad": xi_grad}


@lru_cache(maxsize=4096)  # a map of a sweep asks for each of its settings again
def _depth_scales(act: Activation, weight: float, bias: float) -> tuple[float, float]:
    q = fixed_point(act, weight, bias)
    c = correlation_fixed_point(act, weight, bias)
    xi_grad = _scale(float(chi(act, q, weight)))
    if not c < 1:
        return xi_grad if c == 1 else np.nan, xi_grad
    return _scale(chi_at(act, c, q, weight)), xi_grad


def _scale(factor: float) -> float:
    return np.inf if abs(factor - 1) < 1e-9 else -1 / float(np.log(factor))


def critical_line(act: Activation, q: Any) -> tuple[Array, Array]:
    """(weight, bias) for which q is the fixed point and χ = 1 there; a negative bias: there is none.

    weight = 1/E f'(√q Z)², bias = q − weight·E f(√q Z)² (Pennington et al. 2018, section 2.2).
    """
    weight = 1 / mean(squared(slope_of(act)), q, act.kinks)
    return weight, np.asarray(q) - weight * mean(squared(act.f), q, act.kinks)


def critical_point(act: Activation, bias: float = 0.0) -> tuple[float, float]:
    """(weight, q*) with χ = 1 at the fixed point for a given bias variance; NaNs where there is none.

    Tanh without biases is critical at (1, 0), ReLU at 2 for every q (given as 0), sigmoid only at 103.
    """
    grid = np.geomspace(SMALLEST, LARGEST, GRID)
    excess = (critical_line(act, grid)[1] - bias) / grid
    turns = np.flatnonzero(np.sign(excess[:-1]) != np.sign(excess[1:]))
    turns = turns[np.maximum(np.abs(excess[turns]), np.abs(excess[turns + 1])) > 1e-6]
    if turns.size:
        at = turns[0]
        q = _root_in_log(lambda x: float(critical_line(act, x)[1] - bias) / x, grid[at], grid[at + 1])
        return float(critical_line(act, q)[0]), q
    if bias == 0 and abs(excess[0]) < 1e-6:
        return float(critical_line(act, 0.0)[0]), 0.0
    return np.nan, np.nan


def _root_in_log(f: Callable[[float], float], low: float, high: float) -> float:
    return float(np.exp(root(lambda x: f(np.exp(x)), np.log(low), np.log(high))))


def root(f: Callable[[float], float], low: float, high: float) -> float:
    """A zero of f between two places where its sign differs: Illinois (Dowell & Jarratt 1971)."""
    at_low, at_high = f(low), f(high)
    if at_low * at_high > 0:
        return np.nan
    for _ in range(100):
        if at_high == at_low or abs(high - low) < 1e-13 * max(abs(low), abs(high), 1e-3):
            break
        middle = high - at_high * (high - low) / (at_high - at_low)
        value = f(middle)
        if value * at_high <= 0:
            low, at_low = high, at_high
        else:
            at_low /= 2
        high, at_high = middle, value
        if value == 0:
            break
    return float(high)
