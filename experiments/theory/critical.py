"""Critical points of any activation: where a deep network neither loses nor blows up its gradient.

Nothing is trained and nothing is drawn: everything follows from quadrature over f and f'. Variances are
those of `mean_field`: w ~ N(0, weight/n_in), b ~ N(0, bias); factors such as χ are for *squared* norms.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, nan, pi, sqrt
from typing import Any

import numpy as np

from experiments.theory.closed_forms import batch_norm_growth, is_homogeneous, layer_norm_growth, spread
from experiments.theory.gaussian import Array
from experiments.theory.mean_field import (
    LARGEST,
    chi,
    critical_line,
    critical_point,
    depth_scales,
    fixed_point,
    root,
    variance_slope,
)
from mlp.activations import activation as activation_of

TRAINABLE = 6.0  # depth over ξ that still trains: "about 5 to 6" (Schoenholz et al. 2017, section 5)
SMALLEST_HALF_STABLE = 1e-3  # below, a root is the trivial one at q = 0
LEAST_BIAS = 1e-6  # of q: with less bias the activation is linear there, to rounding
OUTPUT_CORRELATION = 0.9  # of two orthogonal inputs after the last layer: the default of Zhang et al. 2022


@dataclass(frozen=True)
class Critical:
    """What theory says of one activation at one weight and bias variance, without any training.

    weight and bias are the variances asked about (weight times n_in); q is the fixed point of the mean square
    of z that a unit input leads to (0 or inf if there is none), chi the factor on ‖delta‖² per layer there.
    xi_c and xi_grad are the depths over which the correlation of two inputs and ‖delta‖² change by e. reach
    is the deepest network that trains (six times the smaller of the two; inf at criticality), and for what of
    it the reason. critical_weight and critical_q have chi = 1 at zero bias, critical_gain = √critical_weight
    is the factor on LeCun's standard deviation 1/√n_in. half_stable is the (weight, bias, q) at which the
    variance is stable as well, where there is such a point (Roberts, Yaida & Hanin 2022, section 5.3).
    batch_norm and layer_norm are the factors on ‖delta‖² per layer under normalisation before f. spread is
    n·Var of one layer's factor on ‖delta‖² at width n.
    """

    activation: str
    weight: float
    bias: float
    q: float
    chi: float
    xi_c: float
    xi_grad: float
    reach: float
    critical_weight: float
    critical_q: float
    half_stable: tuple[float, float, float] | None
    batch_norm: float
    layer_norm: float
    spread: float

    @property
    def critical_gain(self) -> float:
        """The standard deviation of the weights, times √n_in, at which chi = 1 with zero biases."""
        return sqrt(self.critical_weight)


def critical(activation: str, weight: float = 1.0, bias: float = 0.0, first: float = 1.0) -> Critical:
    """Return the critical quantities of an activation (a call-text) at these variances.

    `first` is the mean square of z in the first layer, from which the fixed point is reached.
    Errors: RegistryError for an unknown activation.
    """
    act = activation_of(activation)
    q = fixed_point(act, weight, bias, first)
    scales = depth_scales(act, weight, bias)
    factor = float(chi(act, q, weight))
    at, q_there = critical_point(act)
    return Critical(
        activation=activation,
        weight=weight,
        bias=bias,
        q=q,
        chi=factor,
        xi_c=scales["xi_c"],
        xi_grad=scales["xi_grad"],
        reach=TRAINABLE * min(_size(scales["xi_c"]), _size(scales["xi_grad"])),
        critical_weight=at,
        critical_q=q_there,
        half_stable=half_stable(activation),
        batch_norm=batch_norm_growth(act),
        layer_norm=layer_norm_growth(act),
        spread=float(spread(act, min(max(q, 1e-12), LARGEST))),
    )


def _size(scale: float) -> float:
    """A depth scale's size; growth limits the depth as decay does, and NaN (no scale) does not."""
    return inf if np.isnan(scale) else abs(scale)


def half_stable(activation: str) -> tuple[float, float, float] | None:
    """Return (weight, bias, q) with χ = 1 and d q'/d q = 1 at the fixed point q > 0, or None.

    Of GELU and SiLU, whose derivative at 0 is not where they are critical (Roberts, Yaida & Hanin 2022,
    section 5.3.4): GELU (1.98305826, 0.17292238, 3.5615528). An activation that scales with its input has a
    whole line of such points and gives None, as does one whose only such point is q = 0.
    """
    act = activation_of(activation)
    if is_homogeneous(act):
        return None

    def excess(log_q: Any) -> Array:
        q = np.exp(log_q)
        return variance_slope(act, q, 1.0) * critical_line(act, q)[0] - 1

    grid = np.linspace(log(SMALLEST_HALF_STABLE), log(1e4), 141)  # twenty a decade
    values = excess(grid)
    for at in np.flatnonzero(np.sign(values[:-1]) != np.sign(values[1:])):
        q = exp(root(lambda x: float(excess(x)), grid[at], grid[at + 1]))
        weight, bias = (float(v) for v in critical_line(act, q))
        if bias > LEAST_BIAS * q:
            return weight, bias, q
    return None


def leaky_slope(depth: int, correlation: float = OUTPUT_CORRELATION) -> float:
    """Return the slope of leaky ReLU for which two orthogonal inputs have this correlation at layer `depth`.

    C(c) = c + (1 − α)²/(π(1 + α²))·(√(1 − c²) − c·arccos c) at the critical gain √(2/(1 + α²)), iterated
    from c = 0; the tailored activation of Zhang, Botev & Martens 2022. 0 where ReLU itself stays below:
    up to about ten layers. Errors: ValueError outside 0 < correlation < 1 and depth ≥ 1.
    """
    if depth < 1 or not 0 < correlation < 1:
        raise ValueError("depth is at least 1 and the correlation between 0 and 1")

    def excess(slope: float) -> float:
        factor, c = (1 - slope) ** 2 / (pi * (1 + slope**2)), 0.0
        for _ in range(depth):
            c += factor * (sqrt(max(1 - c * c, 0.0)) - c * np.arccos(min(c, 1.0)))
        return c - correlation

    return 0.0 if excess(0.0) <= 0 else root(excess, 0.0, 1.0)


def random_walk_gain(activation: str, width: int) -> float:
    """Return the gain on 1/√n_in for which ln‖delta‖ does not drift at this finite width.

    At the critical gain the mean of ln‖delta‖ falls by spread/(4·width) per layer, since a logarithm of a
    product of random factors lies below the logarithm of their means; the gain makes up for it. ReLU:
    √2·exp(5/(4n)), against √2·exp(1.2/(n − 2.4)) as fitted by Sussillo & Abbott 2014. NaN where the
    activation has no critical point.
    """
    act = activation_of(activation)
    weight, q = critical_point(act)
    if np.isnan(weight):
        return nan
    return sqrt(weight) * exp(float(spread(act, q or 1.0)) / (4 * width))
