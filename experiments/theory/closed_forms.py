"""Results with a formula of their own: kernels, born-dead units, spread at finite width, normalisation.

Depths count hidden layers, as everywhere here; a paper's "L layers" is depth L − 1. Where a formula was
recalled, not read in its source, the docstring says *recalled*, and what confirms it.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any

import numpy as np

from experiments.theory.gaussian import Array, mean, pair_mean, slope_of, squared
from mlp.activations import Activation


def kappa_0(c: Any) -> Array:
    """(π − arccos c)/π: 2 E 1[X>0]1[Y>0] at correlation c.  Cho & Saul 2009, n = 0."""
    return np.asarray((np.pi - np.arccos(c)) / np.pi)


def kappa_1(c: Any) -> Array:
    """(√(1 − c²) + c(π − arccos c))/π: 2 E relu(X)relu(Y) at unit variance.  Cho & Saul 2009, n = 1."""
    c = np.asarray(c, dtype=float)
    return np.asarray((np.sqrt((1 - c) * (1 + c)) + c * (np.pi - np.arccos(c))) / np.pi)


# --- spread at finite width --------------------------------------------------------------------------


def spread(act: Activation, q: Any = 1.0) -> Array:
    """C_f = 3 E f'⁴/(E f'²)² − 1: n·Var of one layer's factor on ‖delta‖², one input, Gaussian weights.

    ReLU 5, linear 2 [D]. For one input ln(‖delta_1‖/‖delta_L‖) has sd ½√(C L/n), mean −C L/(4n).
    """
    slope = slope_of(act)
    second = mean(squared(slope), q, act.kinks)
    with np.errstate(divide="ignore", invalid="ignore"):  # NaN where q is, or where no slope is left
        return np.asarray(3 * mean(squared(squared(slope)), q, act.kinks) / second**2 - 1)


def log_norm_band(spread: float, layers: float, width: float) -> tuple[float, float]:
    """(shift, sd) of the log of one input's ‖delta‖ `layers` layers down: −C L/(4n), ½√(C L/n) [D]."""
    return -spread * layers / (4 * width), 0.5 * sqrt(spread * layers / width)


def relu_moment_ratio(widths: Iterable[int]) -> float:
    """E‖Ju‖⁴/(E‖Ju‖²)² = Π(1 + 5/n_l): exact for Gaussian ReLU nets without biases, any u [D].

    The law behind Hanin 2018 and Hanin & Rolnick 2018 (there up to constants): each layer's mask is
    Bernoulli(½), independent of the tangent it masks. Uniform weights are not covered.
    """
    return float(np.prod([1 + 5 / n for n in widths]))


def relu_log_norm(widths: Iterable[int]) -> tuple[float, float]:
    """(mean, variance) of ln‖Ju‖² to first order in β = Σ 1/n_l: −5β/2, 5β [D]."""
    beta = sum(1 / n for n in widths)
    return -2.5 * beta, 5 * beta


# --- born dead ---------------------------------------------------------------------------------------


def born_dead_at_one_input(widths: Iterable[int]) -> float:
    """P(a zero-bias ReLU net's output is constant near one input) = 1 − Π(1 − 2^−n_l), exact [D].

    Also an upper bound on being born dead for every input (Lu, Shin, Su & Karniadakis 2019, theorem 3;
    recalled, and confirmed by simulation).
    """
    return float(1 - np.prod([1 - 2.0**-n for n in widths]))


def born_dead_lower(width: int, depth: int) -> float:
    """Lower bound on P(born dead) over all of a one-dimensional input; equal widths, zero biases.

    Lu et al. 2019, theorem 3, recalled; its denominator 1 + (n − 1)2^−n is fixed by exactness at depth 2.
    Exact for width 1 and for depth 2.
    """
    one, both = 1 - 2.0**-width, 1 - 2.0 ** (1 - width) - (width - 1) * 4.0**-width
    mixed = (1 - 2.0 ** (1 - width)) * (1 - 2.0**-width) / (1 + (width - 1) * 2.0**-width)
    return float(1 - one ** (depth - 1) + mixed * (both ** (depth - 1) - one ** (depth - 1)))


def born_dead_two_layers(width: int) -> float:
    """P(born dead) for one-dimensional input and two hidden layers: 3·4^−n − 2·8^−n, exact [D].

    After layer 1 one ray is alive with probability 2^(1−n), else two orthogonal ones, which die with
    2^−n and 4^−n.
    """
    return float(3 * 4.0**-width - 2 * 8.0**-width)


# --- normalisation and residual connections ----------------------------------------------------------


def batch_norm_growth(act: Activation, batch: int | None = None) -> float:
    """λ = E f'²/Var f: what ‖delta‖² grows by per layer downwards under batch normalisation before f.

    At least 1 for every f, and 1 only for a linear one (Gaussian Poincaré inequality); the weights' size
    cancels [D]. ReLU: π/(π − 1) = 1.46694 (Yang et al. 2019; Arpit et al. 2016, section 3.4).

    With a finite batch B > 3: ((B E f'² + (E f'f')_c − E f'²)/(E f² − (E ff)_c) − 1)/(B − 3) at
    c = −1/(B − 1) (Yang et al. 2019, recalled and confirmed by simulation for ReLU and identity). It
    needs f(s z) = s f(z) for s > 0, since a batch of B standardised values is a sphere, not a Gaussian:
    ValueError for other activations, and for B ≤ 3, where the mean is infinite.
    """
    slope = slope_of(act)
    second, steep = float(mean(squared(act.f), 1.0, act.kinks)), float(mean(squared(slope), 1.0, act.kinks))
    if batch is None:
        return steep / (second - float(mean(act.f, 1.0, act.kinks)) ** 2)
    if batch <= 3:
        raise ValueError(f"batch is {batch}; the growth under batch normalisation is finite only above 3")
    if not is_homogeneous(act):
        raise ValueError("the finite-batch growth is known only where f(s z) = s f(z) (ReLU, leaky, linear)")
    c = -1 / (batch - 1)
    alike = pair_mean(act.f, act.f, c, 1.0, act.kinks)
    ratio = ((batch - 1) * steep + pair_mean(slope, slope, c, 1.0, act.kinks)) / (second - alike)
    return (ratio - 1) / (batch - 3)


def is_homogeneous(act: Activation) -> bool:
    """Whether f(s z) = s f(z) for s > 0, seen at a few places."""
    z = np.array([-3.0, -1.0, -0.2, 0.0, 0.2, 1.0, 3.0])
    return bool(np.allclose(act.f(7 * z), 7 * act.f(z), rtol=1e-12, atol=0))


def layer_norm_growth(act: Activation) -> float:
    """E f'²/E f²: the same factor under layer normalisation before f, zero biases, wide layers [D].

    It has the mean in its denominator that batch normalisation takes out: 1 for ReLU, 0.153 for sigmoid.
    """
    return float(mean(squared(slope_of(act)), 1.0, act.kinks) / mean(squared(act.f), 1.0, act.kinks))


def residual_growth(scale: float, branch: float = 1.0) -> float:
    """1 + scale²·branch: growth of ‖x‖² and ‖delta‖² per block x + scale·(branch that keeps means at 0).

    `branch` is the branch's own factor (W₂ f(W₁ x) under He and 1/n: 1). With scale 1/√L the whole
    growth tends to e (Balduzzi et al. 2017) [D]. A branch that ends in ReLU adds a mean and grows faster.
    """
    return 1 + scale**2 * branch


# --- singular values ---------------------------------------------------------------------------------


def jacobian_moments(
    act: Activation, depth: int, q: float, weight: float, orthogonal: bool = False
) -> tuple[float, float]:
    """Mean of the input–output Jacobian's squared singular values, and their variance over mean².

    m₁ = (weight μ₁)^L; σ²/m₁² = L(μ₂/μ₁² − 1 − s₁), μ_k = E f'^2k; s₁ = 0 orthogonal, −1 Gaussian
    (Pennington, Schoenholz & Ganguli 2018, eqs. 16 to 18).
    """
    slope = slope_of(act)
    first = float(mean(squared(slope), q, act.kinks))
    second = float(mean(squared(squared(slope)), q, act.kinks))
    return (weight * first) ** depth, depth * (second / first**2 - (1 if orthogonal else 0))


# --- self-normalisation ------------------------------------------------------------------------------


def selu_constants(mu: float = 0.0, nu: float = 1.0) -> tuple[float, float]:
    """(α, λ) for which scale·ELU keeps mean mu and variance nu (Klambauer et al. 2017, eqs. 14 and notes).

    With P = E Z₊, N = E(e^Z − 1)₋ and so on: λP + λαN = mu and λ²P₂ + (λα)²N₂ = nu + mu².
    """
    kink = (-mu,)

    def over(f: Any) -> float:
        return float(mean(lambda z: f(z + mu), nu, kink))

    positive, positive_2 = over(lambda z: np.maximum(z, 0)), over(lambda z: np.maximum(z, 0) ** 2)
    negative, negative_2 = over(_expm1_below), over(lambda z: _expm1_below(z) ** 2)
    a = positive_2 + (positive / negative) ** 2 * negative_2
    b = -2 * mu * positive / negative**2 * negative_2
    c = (mu / negative) ** 2 * negative_2 - nu - mu**2
    scale = (-b + sqrt(b * b - 4 * a * c)) / (2 * a)
    return (mu - scale * positive) / (negative * scale), scale


def _expm1_below(z: Array) -> Array:
    return np.asarray(np.expm1(np.minimum(z, 0)))


def moment_jacobian(act: Activation, step: float = 1e-5) -> Array:
    """d(mean', var')/d(mean, var) of a layer at (0, 1), weights of sum 0 and sum of squares 1.

    Klambauer et al. 2017, section "stable and attracting fixed point": for SELU [[0, .0888], [0, .7826]],
    a contraction in the forward direction (the backward one grows by χ = 1.0716).
    """

    def moments(variance: float) -> Array:
        first = mean(act.f, variance, act.kinks)
        return np.array([first, mean(squared(act.f), variance, act.kinks) - first**2])

    by_variance = (moments(1 + step) - moments(1 - step)) / (2 * step)
    return np.column_stack([np.zeros(2), by_variance])
