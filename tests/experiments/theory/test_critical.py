"""Critical points against published and independently derived numbers, and for every activation."""

from math import exp, inf, isnan, pi, sqrt

import numpy as np
import pytest

from experiments.theory.critical import critical, half_stable, leaky_slope, random_walk_gain
from mlp.activations import ACTIVATIONS, activation

ROWS = [  # activation, weight: q*, chi; mean-field fixed points by composite Gauss-Legendre, done elsewhere
    ("sigmoid", 1.0, 0.264687, 0.055721),
    ("sigmoid", 2.0, 0.555290, 0.100977),
    ("sigmoid", 16.0, 5.8554, 0.39888),  # "four times Glorot for sigmoid"
    ("tanh", 2.0, 0.6180, 1.10553),
    ("selu", 1.0, 1.0, 1.07157),
    ("relu", 2.0, 1.0, 1.0),
]


@pytest.mark.parametrize(("name", "weight", "q", "chi"), ROWS)
def test_fixed_points_and_factors_are_the_tabulated_ones(name, weight, q, chi):
    found = critical(name, weight)
    assert found.q == pytest.approx(q, rel=2e-4)  # the printed digits
    assert found.chi == pytest.approx(chi, rel=2e-5)


def test_the_half_stable_points_of_gelu_and_silu_are_the_published_ones():
    """Roberts, Yaida & Hanin: GELU K* = (3 + √17)/2 exactly."""
    weight, bias, q = half_stable("gelu")
    assert q == pytest.approx((3 + sqrt(17)) / 2, rel=1e-10)
    assert (weight, bias) == pytest.approx((1.98305826, 0.17292238), rel=1e-6)
    assert half_stable("silu") == pytest.approx((1.98800468, 0.55514314, 14.3201723), rel=1e-6)


@pytest.mark.parametrize(
    "name", ["relu", "leaky_relu(slope=0.2)", "identity", "tanh", "hard_tanh", "sigmoid"]
)
def test_what_has_no_such_point_says_none(name):
    assert half_stable(name) is None


def test_the_gain_is_critical_and_sigmoid_needs_a_hundredfold_variance():
    assert critical("sigmoid").critical_weight == pytest.approx(103.0, rel=1e-3)
    assert critical("relu").critical_gain == pytest.approx(sqrt(2), rel=1e-9)
    assert critical("tanh").critical_gain == pytest.approx(1, rel=1e-9)


def test_a_depth_can_be_reached_where_the_scales_allow():
    """ReLU under Xavier halves ‖delta‖² per layer: ξ = 1/ln 2, six times that is 8.7 layers."""
    assert critical("relu", 1.0).reach == pytest.approx(6 / np.log(2), rel=1e-6)
    assert critical("relu", 2.0).reach == inf
    assert critical("sigmoid", 1.0).reach == pytest.approx(6 / -np.log(0.055721), rel=1e-4)
    assert critical("tanh", 1.21).reach < critical("tanh", 1.0).reach == inf


def test_normalisation_makes_the_factors_that_are_known():
    assert critical("relu").batch_norm == pytest.approx(pi / (pi - 1), rel=1e-9)
    assert critical("sigmoid").batch_norm == pytest.approx(1.03359, rel=1e-5)
    assert critical("relu").layer_norm == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize(("depth", "slope"), [(20, 0.1814), (50, 0.4305), (100, 0.5704), (200, 0.6796)])
def test_the_slope_that_keeps_a_depth_is_the_tabulated_one_and_does_what_it_says(depth, slope):
    found = leaky_slope(depth)
    assert found == pytest.approx(slope, abs=5e-5)
    c = 0.0  # the same map by Monte Carlo-free arithmetic: E f(X) f(Y) from Cho and Saul's kernel
    for _ in range(depth):
        kernel = (sqrt(1 - c * c) + c * (pi - np.arccos(c))) / pi
        c = ((1 - found) ** 2 * kernel + 2 * found * c) / (1 + found**2)
    assert c == pytest.approx(0.9, abs=1e-9)


def test_a_shallow_network_needs_no_leak():
    assert leaky_slope(10) == 0
    with pytest.raises(ValueError, match="at least 1"):
        leaky_slope(0)


def test_the_random_walk_gain_of_relu_is_near_the_fitted_one_and_stops_the_drift(rng):
    width, depth, nets = 32, 30, 300
    gain = random_walk_gain("relu", width)
    assert gain == pytest.approx(sqrt(2) * exp(5 / (4 * width)), rel=1e-9)
    assert random_walk_gain("relu", 100) == pytest.approx(sqrt(2) * exp(1.2 / 97.6), rel=3e-4)
    delta = rng.standard_normal((nets, width, 1))
    start = np.linalg.norm(delta, axis=(1, 2))
    for _ in range(depth):  # going back: a mask that is fair and independent, then the weights
        w = rng.standard_normal((nets, width, width)) * gain / sqrt(width)
        delta = w @ (delta * (rng.random((nets, width, 1)) < 0.5))
    drift = np.log(np.linalg.norm(delta, axis=(1, 2)) / start)
    assert abs(drift.mean()) < 4 * drift.std() / sqrt(nets)  # chance: one in 16,000
    assert abs(drift.mean() - depth * np.log(sqrt(2) / gain)) > 4 * drift.std() / sqrt(nets)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_has_its_critical_points(name):
    """χ is 1 where it is said to be; growth under batch normalisation is at least 1 (Gaussian Poincaré)."""
    from experiments.theory.mean_field import chi, variance_map

    found, act = critical(name), activation(name)
    assert found.batch_norm >= 1 - 1e-9
    assert found.reach > 0
    if not isnan(found.critical_weight):
        assert float(chi(act, found.critical_q, found.critical_weight)) == pytest.approx(1, rel=1e-6)
    if found.half_stable:
        weight, bias, q = found.half_stable
        assert float(variance_map(act, q, weight, bias)) == pytest.approx(q, rel=1e-9)
        assert float(chi(act, q, weight)) == pytest.approx(1, rel=1e-9)
