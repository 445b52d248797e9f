"""Gaussian quadrature and mean-field maps, against constants, closed forms and random networks.

Constants are those of the papers or of an independent computation, checked to half a unit of their last
printed digit unless a reason is given.
"""

import numpy as np
import pytest
import random_nets
from scipy.special import ndtr

from experiments.theory import gaussian, mean_field
from experiments.theory.closed_forms import kappa_0, kappa_1
from mlp.activations import ACTIVATIONS, Activation, activation
from mlp.quadrature import gaussian_mean

EVERY = sorted(ACTIVATIONS)


def bent() -> Activation:
    """An activation that no table of ours lists: kinks away from 0, no symmetry, φ(0) ≠ 0."""
    return Activation(
        f=lambda z: np.maximum(z, 0.7) + 0.3 * np.minimum(z, -0.4) + 0.2 * np.cos(z),
        df=lambda z, a: (z > 0.7) + 0.3 * (z < -0.4) - 0.2 * np.sin(z),
        max_slope=1.2,
        kinks=(0.7, -0.4),
    )


ALL = [*(pytest.param(activation(name), id=name) for name in EVERY), pytest.param(bent(), id="bent")]


# -- one Gaussian variable ------------------------------------------------------------------------------


def test_a_quadrature_node_on_the_kink_gives_0876():
    """The trap: 101 Gauss-Hermite nodes, one of them on ReLU's kink, where f' is 0 and should count half."""
    relu = activation("relu")
    z, weight = np.polynomial.hermite_e.hermegauss(101)
    naive = 2 * weight @ relu.df(z, relu.f(z)) ** 2 / weight.sum()
    assert naive == pytest.approx(0.876, abs=5e-4)
    assert mean_field.chi(relu, 1.0, 2.0) == pytest.approx(1, abs=1e-13)


def test_a_kink_away_from_zero_is_split_too():
    expected = np.exp(-0.245) / np.sqrt(2 * np.pi) - 0.7 * ndtr(-0.7)  # E max(Z − 0.7, 0)
    found = gaussian.mean(lambda z: np.maximum(z - 0.7, 0), 1.0, (0.7,))
    assert found == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("act", ALL)
def test_agrees_with_the_quadrature_behind_gain_auto(act):
    for q in (0.3, 1.0, 4.0):
        ours = gaussian.mean(gaussian.squared(act.f), q, act.kinks)
        assert ours == pytest.approx(gaussian_mean(gaussian.squared(act.f), q, act.kinks), rel=1e-9)


def test_is_vectorised_over_the_variance():
    act, q = bent(), np.array([[0.0, 0.2], [1.0, 30.0]])
    found = gaussian.mean(act.f, q, act.kinks)
    each = [float(gaussian.mean(act.f, v, act.kinks)) for v in q.ravel()]
    np.testing.assert_allclose(found.ravel(), each, rtol=1e-14)
    assert found[0, 0] == pytest.approx(0.7 - 0.3 * 0.4 + 0.2, rel=1e-12)


@pytest.mark.parametrize("act", ALL)
def test_the_slope_of_a_mean_needs_no_derivative(act):
    step = 1e-4  # the central difference errs by step²
    for q in (0.5, 2.0):
        sides = gaussian.mean(gaussian.squared(act.f), np.array([q + step, q - step]), act.kinks)
        slope = gaussian.mean_slope(gaussian.squared(act.f), q, act.kinks)
        assert slope == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-6)


def test_steep_functions_stay_exact():
    """tanh(10⁴ z)² is 1 but for a strip of 10⁻⁴: 1 − √(2/π)·10⁻⁴ + O(10⁻¹²)."""
    found = gaussian.mean(lambda z: np.tanh(z) ** 2, 1e8)
    assert 1 - found == pytest.approx(np.sqrt(2 / np.pi) * 1e-4, rel=1e-6)


# -- two variables --------------------------------------------------------------------------------------

CORRELATIONS = (-1.0, -0.6, 0.0, 0.3, 0.9, 0.99, 0.9999, 1.0)


@pytest.mark.parametrize("c", CORRELATIONS)
def test_pair_means_of_relu_are_the_arc_cosine_kernels(c):
    relu = activation("relu")
    slope = gaussian.slope_of(relu)
    assert gaussian.pair_mean(relu.f, relu.f, c, 3.0, relu.kinks) == pytest.approx(
        1.5 * kappa_1(c), abs=1e-12
    )
    assert gaussian.pair_mean(slope, slope, c, 3.0, relu.kinks) == pytest.approx(kappa_0(c) / 2, abs=1e-12)


def test_pair_means_of_a_new_activation_agree_with_sampling(rng):
    act, q, c, n = bent(), 1.7, 0.6, 400_000
    x, y = np.sqrt(q) * rng.standard_normal((2, n))
    y = c * x + np.sqrt(1 - c * c) * y
    slope = gaussian.slope_of(act)
    for f in (act.f, slope):
        drawn = f(x) * f(y)
        error = 4 * drawn.std() / np.sqrt(n)
        assert gaussian.pair_mean(f, f, c, q, act.kinks) == pytest.approx(drawn.mean(), abs=error)


@pytest.mark.parametrize("act", ALL)
def test_the_series_for_many_inputs_agrees_with_quadrature(act):
    """Off the diagonal to 5e-3 (slopes that jump or have a cusp, at the worst c); on it exactly."""
    q = np.array([0.4, 1.5, 1.5])
    correlation = np.array([[1, 0.3, 0.95], [0.3, 1, 0.99], [0.95, 0.99, 1]])
    basis = gaussian.Basis.of(q, correlation, act.kinks)
    a = act.f(basis.points)
    for f, values, tolerance in ((act.f, a, 4e-4), (gaussian.slope_of(act), act.df(basis.points, a), 5e-3)):
        found = basis.pairs(basis.expand(values), basis.expand(values))
        exact = gaussian.pair_mean(f, f, 0.99, 1.5, act.kinks)
        assert found[1, 2] == pytest.approx(exact, rel=tolerance)
        np.testing.assert_allclose(
            np.diag(found), gaussian.mean(gaussian.squared(f), q, act.kinks), rtol=1e-9
        )


# -- one layer ------------------------------------------------------------------------------------------

MOMENTS = {  # E f, E f², E f'² at q = 1
    "identity": (0, 1, 1), "sigmoid": (0.5, 0.29338, 0.04484), "tanh": (0, 0.39429, 0.46440),
    "relu": (0.39894, 0.5, 0.5), "elu": (0.16052, 0.64495, 0.66810), "selu": (0, 1, 1.07157),
    "gelu": (0.28209, 0.42522, 0.45585), "silu": (0.20662, 0.35578, 0.37948),
}  # fmt: skip


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_at_unit_variance(name):
    act = activation(name)
    found = (gaussian.mean(act.f, 1.0, act.kinks), *_maps(act, 1.0))
    np.testing.assert_allclose(found, MOMENTS[name], atol=6e-6)


def _maps(act, q):
    return mean_field.variance_map(act, q, 1.0), mean_field.chi(act, q, 1.0)


@pytest.mark.parametrize("act", ALL)
def test_one_wide_layer_does_what_the_maps_say(act, rng):
    """Within 5 standard errors of 400,000 units."""
    q, n = 1.3, 400_000
    z = np.sqrt(q) * rng.standard_normal(n)
    a = act.f(z)
    for drawn, expected in zip((a * a, act.df(z, a) ** 2), _maps(act, q), strict=True):
        assert drawn.mean() == pytest.approx(float(expected), abs=5 * drawn.std() / np.sqrt(n) + 1e-12)


@pytest.mark.parametrize("act", ALL)
def test_the_saturated_share_is_that_of_a_sample(act, rng):
    z = 1.5 * rng.standard_normal(200_000)
    drawn = np.abs(act.df(z, act.f(z))) < 0.1 * act.max_slope
    error = 5 * np.sqrt(drawn.mean() * (1 - drawn.mean()) / z.size) + 1e-9
    assert mean_field.flat_fraction(act, 1.5**2) == pytest.approx(drawn.mean(), abs=error)


def test_the_saturated_share_of_tanh_is_exact_and_vectorised():
    q = np.array([0.5, 1.0, 9.0])
    edge = np.arctanh(np.sqrt(0.9))
    np.testing.assert_allclose(mean_field.flat_fraction(activation("tanh"), q), 2 * ndtr(-edge / np.sqrt(q)))
    assert mean_field.flat_fraction(activation("relu"), 2.0) == pytest.approx(0.5, abs=1e-12)
    assert mean_field.flat_fraction(activation("identity"), 2.0) == 0


# -- fixed points ---------------------------------------------------------------------------------------

FIXED = [  # activation, weight, q*, √χ (Poole et al. 2016's maps; "inf" and 0 are limits)
    ("sigmoid", 1, 0.264687, 0.236052), ("sigmoid", 2, 0.555290, 0.317769),
    ("sigmoid", 1 / 3, None, 0.14145), ("tanh", 1 / 3, 0, 0.5774), ("tanh", 1, 0, 1),
    ("tanh", 2, 0.6180, 1.0514),
    ("relu", 1 / 3, 0, 0.4082), ("relu", 1, 0, 0.70711), ("relu", 2, 1, 1),
    ("leaky_relu(slope=0.25)", 1, 0, 0.72887), ("elu", 1, 0, 1), ("elu", 2, np.inf, 1),
    ("selu", 1 / 3, 0, 0.8362), ("selu", 1, 1, 1.0352), ("selu", 2, np.inf, 1.0507),
    ("gelu", 1 / 3, 0, 0.2887), ("gelu", 1, 0, 0.5), ("gelu", 2, 0, 0.7071), ("silu", 2, 0, 0.7071),
    ("mish", 2, 0, 0.8485),
]  # fmt: skip


@pytest.mark.parametrize(("name", "weight", "q", "root"), FIXED)
def test_fixed_points_and_the_decay_per_layer(name, weight, q, root):
    act = activation(name)
    found = mean_field.fixed_point(act, weight)
    if q is not None:
        assert found == pytest.approx(q, rel=1e-4, abs=1e-9)
    assert np.sqrt(mean_field.chi(act, found, weight)) == pytest.approx(root, abs=6e-5)


def test_sigmoid_under_xavier_to_every_published_digit():
    sigmoid = activation("sigmoid")
    q = mean_field.fixed_point(sigmoid, 1.0)
    assert q == pytest.approx(0.264687, abs=5e-7)
    assert mean_field.chi(sigmoid, q, 1.0) == pytest.approx(0.055721, abs=5e-7)
    assert mean_field.variance_map(sigmoid, q, 1.0) == pytest.approx(q, rel=1e-12)


def test_fixed_points_say_whether_they_attract():
    tanh = activation("tanh")
    [(q, attracts)] = mean_field.fixed_points(tanh, 2.0)
    assert attracts
    assert mean_field.variance_slope(tanh, q, 2.0) < 1
    assert mean_field.fixed_points(activation("relu"), 2.0) == []
    cubic = Activation(f=lambda z: z**3, df=lambda z, a: 3 * z**2)  # E f² = 15 q³
    [(q, attracts)] = mean_field.fixed_points(cubic, 1.0)
    assert (q, attracts) == (pytest.approx(15**-0.5, rel=1e-9), False)
    assert mean_field.fixed_point(cubic, 1.0, start=0.2) == 0
    assert mean_field.fixed_point(cubic, 1.0, start=0.3) == np.inf


POOLE = [
    (1.3, 0.6070, 0.9398, 1, 16.1),
    (2.5, 4.0791, 1.5852, 0.1221, 5.11),
    (4, 12.604, 2.3673, 0.0297, 3.64),
]


@pytest.mark.parametrize(("sigma", "q", "chi", "c", "xi"), POOLE)
def test_the_points_of_poole_2016(sigma, q, chi, c, xi):
    """Bias sd 0.3; constants by independent quadrature, the last ξ_c by the trapezium rule in 2-D."""
    tanh, weight, bias = activation("tanh"), sigma**2, 0.09
    found = mean_field.fixed_point(tanh, weight, bias)
    assert found == pytest.approx(q, rel=1e-4)
    assert mean_field.chi(tanh, found, weight) == pytest.approx(chi, abs=6e-5)
    assert mean_field.correlation_fixed_point(tanh, weight, bias) == pytest.approx(c, abs=6e-5)
    assert mean_field.depth_scales(tanh, weight, bias)["xi_c"] == pytest.approx(xi, rel=4e-3)


XI_C = {1.0: 3.6270, 1.3061: 7.976, 1.4898: 15.106, 1.9796: 27.045, 2.2245: 15.653, 2.8367: 9.689, 4.0: 6.980}


@pytest.mark.parametrize("weight", XI_C)
def test_the_depth_scales_that_liu_and_theodorou_2019_published(weight):
    """Tanh, bias variance 0.05, to 1e-3: the published grid of σ_w² is itself rounded to four decimals."""
    scales = mean_field.depth_scales(activation("tanh"), weight, 0.05)
    assert scales["xi_c"] == pytest.approx(XI_C[weight], rel=1e-3)
    assert (scales["xi_grad"] < 0) == (weight > 1.761)
    if weight < 1.761:
        assert scales["xi_grad"] == scales["xi_c"]


def test_depth_scales_where_there_is_no_layer_to_stand_at():
    assert np.isnan(mean_field.depth_scales(activation("gelu"), 1.0)["xi_c"])
    assert mean_field.depth_scales(activation("gelu"), 1.0)["xi_grad"] == pytest.approx(-1 / np.log(0.25))
    assert mean_field.depth_scales(activation("relu"), 2.0) == {"xi_c": np.inf, "xi_grad": np.inf}


def test_correlations_of_a_random_net_follow_the_map(rng):
    """One net of width 1500; the correlation of two layers of it is known to about 1/√1500 = 0.026."""
    tanh, weight, bias = activation("tanh"), 6.25, 0.09
    q = mean_field.fixed_point(tanh, weight, bias)
    expected = [0.9]
    for _ in range(6):
        expected.append(mean_field.correlation_map(tanh, expected[-1], q, weight, bias))
    found = random_nets.two_inputs(tanh, 6, 1500, weight, bias, q, 0.9, rng)
    np.testing.assert_allclose(found, expected, atol=0.06)


def test_relu_correlations_approach_one_as_hayou_2019_says():
    c, layers = 0.0, 2000
    for _ in range(layers):
        c = float(kappa_1(c))
    assert 1 - c == pytest.approx(9 * np.pi**2 / (2 * layers**2), rel=0.03)  # next order: 1/l
    assert mean_field.correlation_map(activation("relu"), 0.4, 1.0, 2.0) == pytest.approx(
        kappa_1(0.4), abs=1e-12
    )


# -- criticality ----------------------------------------------------------------------------------------


def test_critical_lines_of_tanh():
    """Pennington, Schoenholz & Ganguli 2017 quote (1.05, 2.01e-5) and (2, 0.104)."""
    tanh = activation("tanh")
    weight, bias = mean_field.critical_line(tanh, np.array([0.0259, 0.8214, 1.0]))
    np.testing.assert_allclose(weight, [1.0500, 2.0000, 2.1533], atol=6e-5)
    np.testing.assert_allclose(bias, [2.006e-5, 0.10379, 0.15097], rtol=1e-4)
    for b, expected in ((0.05, 1.76096), (0.1, 1.98607)):
        assert mean_field.critical_point(tanh, b)[0] == pytest.approx(expected, abs=1e-5)
    assert mean_field.critical_point(tanh) == (pytest.approx(1), 0)


def test_critical_points_of_other_activations():
    assert mean_field.critical_point(activation("relu")) == (pytest.approx(2), 0)
    weight, q = mean_field.critical_point(activation("sigmoid"))
    assert weight == pytest.approx(103.0, abs=0.05)
    assert q == pytest.approx(45.6, abs=0.05)
    assert np.isnan(mean_field.critical_point(activation("relu"), 0.1)).all()
    for name, weight in (("tanh", 2.1533), ("selu", 0.9332), ("gelu", 2.1937)):
        assert mean_field.critical_line(activation(name), 1.0)[0] == pytest.approx(weight, abs=6e-5)


@pytest.mark.parametrize("name", ["tanh", "elu", "gelu", "hard_tanh", "arctan"])
def test_at_a_critical_point_chi_is_one(name):
    act = activation(name)
    weight, q = mean_field.critical_point(act, 0.05)
    assert mean_field.chi(act, q, weight) == pytest.approx(1, abs=1e-9)
    assert mean_field.variance_map(act, q, weight, 0.05) == pytest.approx(q, rel=1e-9)


# -- many layers ----------------------------------------------------------------------------------------

RATIOS = [  # ‖delta_1‖/‖delta_L‖ at depth 10 and 20, inputs of mean square 1
    ("sigmoid", 1, 2.03e-6, 1.09e-12), ("sigmoid", 2, 2.79e-5, 2.93e-10), ("tanh", 1, 0.2812, 0.1946),
    ("tanh", 2, 1.032, 1.701), ("relu", 1, 0.0442, 0.00138), ("relu", 2, 1, 1), ("elu", 1, 0.2883, 0.1496),
    ("selu", 1, 1.365, 1.928), ("silu", 2, 0.1856, 0.00605),
]  # fmt: skip


@pytest.mark.parametrize(("name", "weight", "ten", "twenty"), RATIOS)
def test_delta_ratios(name, weight, ten, twenty):
    act = activation(name)
    found = [mean_field.delta_ratio(act, depth, weight, first=weight) for depth in (10, 20)]
    np.testing.assert_allclose(found, [ten, twenty], rtol=3e-3)  # half a unit of three digits


def _check_ratio(act, weight, depth, width, nets, rng):
    squares, norms = random_nets.one_input(act, depth, width, weight, rng, nets)
    logs = np.log(norms[:, 0] / norms[:, -1])
    expected = np.log(mean_field.delta_ratio(act, depth, weight, first=weight))
    # The mean log lies below the theory of infinite width by about C·L/(4n), C ≤ 6, on top of sampling.
    error = 4 * logs.std() / np.sqrt(nets) + 6 * depth / (4 * width)
    assert logs.mean() == pytest.approx(expected, abs=error)
    qs = mean_field.variances(act, depth, weight, first=weight)
    spread = 5 * squares.std(axis=0) / np.sqrt(nets) + 0.02 * qs
    assert (np.abs(squares.mean(axis=0) - qs) < spread).all()


@pytest.mark.parametrize("act", ALL)
def test_a_random_net_vanishes_as_predicted(act, rng):
    """Any activation, at the weight variance that leaves its forward signal about 1."""
    weight = min(1 / float(mean_field.variance_map(act, 1.0, 1.0)), 4.0)
    _check_ratio(act, weight, depth=4, width=200, nets=12, rng=rng)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "weight"), [row[:2] for row in RATIOS])
def test_deep_random_nets_vanish_as_predicted(name, weight, rng):
    _check_ratio(activation(name), weight, depth=10, width=400, nets=24, rng=rng)


def test_xavier_tanh_is_a_power_law():
    """q → 1/(2l) and ‖delta_1‖/‖delta_L‖ → 0.840/√L; recalled from Roberts & Yaida 2021, checked here."""
    tanh, depths = activation("tanh"), np.array([10, 20, 50, 100, 500])
    ratios = [mean_field.delta_ratio(tanh, depth, 1.0) for depth in depths]
    np.testing.assert_allclose(ratios, [0.2812, 0.1946, 0.1210, 0.0849, 0.0377], atol=6e-5)
    slope = np.polyfit(np.log(depths[:4]), np.log(ratios[:4]), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.05)
    last = mean_field.variances(tanh, 2000, 1.0)[-1]
    assert last * 2 * 2000 == pytest.approx(1, abs=0.01)
    ratio = mean_field.delta_ratio(tanh, 2000, 1.0) * np.sqrt(2000)
    assert ratio == pytest.approx(0.840, abs=2e-3)
