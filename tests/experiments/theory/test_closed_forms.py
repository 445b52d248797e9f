"""Theory with a formula of its own, against constants, limits and random networks."""

import numpy as np
import pytest
import random_nets
from scipy.special import erf

from experiments.theory import closed_forms, mean_field
from mlp.activations import ACTIVATIONS, SELU_ALPHA, SELU_SCALE, Activation, activation

EVERY = sorted(ACTIVATIONS)


def erf_activation() -> Activation:
    """erf(√π/2·z), slope 1 at 0: not in our table, but in Pennington et al. 2018 with a closed form."""
    return Activation(
        f=lambda z: erf(np.sqrt(np.pi) / 2 * z), df=lambda z, a: np.exp(-np.pi / 4 * z * z), low=-1, high=1
    )


# -- spread at finite width -----------------------------------------------------------------------------

SPREADS = [("relu", 1, 5, 1e-9), ("identity", 1, 2, 1e-9), ("sigmoid", 0.264687, 2.06, 5e-3),
           ("selu", 1, 2.95, 5e-3), ("elu", 1, 3.0, 0.05), ("gelu", 1, 5.3, 0.05), ("silu", 1, 5.0, 0.05),
           ("tanh", 0.1, 2.1, 0.05), ("tanh", 0.6, 3.1, 0.05)]  # fmt: skip


@pytest.mark.parametrize(("name", "q", "expected", "error"), SPREADS)
def test_spread_constants(name, q, expected, error):
    assert closed_forms.spread(activation(name), q) == pytest.approx(expected, abs=error)


def test_the_log_norm_of_relu_nets_spreads_as_predicted(rng):
    """150 nets, width 64, depth 10; an earlier run had sd 0.459, mean −0.153 over ten layers."""
    nets, depth = 150, 10
    _, norms = random_nets.one_input(activation("relu"), depth, 64, 2.0, rng, nets)
    logs = np.log(norms[:, 0] / norms[:, -1])
    shift, sd = closed_forms.log_norm_band(5.0, depth - 1, 64)
    assert logs.mean() == pytest.approx(shift, abs=3 * sd / np.sqrt(nets))
    # an sd from n values errs by 1/√(2n) of itself; the next order in L/n adds about 6 %
    assert logs.std(ddof=1) == pytest.approx(sd, rel=3 / np.sqrt(2 * nets) + 0.06)


def _relu_jacobian_squares(width, depth, nets, rng):
    tangent = rng.standard_normal((nets, 1, width))
    x = rng.standard_normal((nets, 1, width))
    start = np.square(tangent).sum(axis=(1, 2))
    for _ in range(depth):
        w = random_nets.weights(rng, nets, width, width, 2.0)
        x = x @ w
        tangent = (tangent @ w) * (x > 0)
        x = np.maximum(x, 0)
    return np.square(tangent).sum(axis=(1, 2)) / start


def test_hanin_moments_are_exact_at_any_width(rng):
    """E‖Ju‖⁴/(E‖Ju‖²)² = Π(1 + 5/n) = 2.25 for two layers of 10; four batches give the standard error."""
    squares = _relu_jacobian_squares(10, 2, 40_000, rng).reshape(8, -1)
    ratios = (squares**2).mean(axis=1) / squares.mean(axis=1) ** 2
    error = 4 * ratios.std(ddof=1) / np.sqrt(8)
    assert closed_forms.relu_moment_ratio([10, 10]) == 2.25
    assert ratios.mean() == pytest.approx(2.25, abs=error)
    assert error < 0.2


def test_equal_beta_gives_equal_spread(rng):
    """Σ1/n decides: width 50 with 5 layers and width 80 with 8 (β = 0.1), within 4 standard errors."""
    mean, variance = closed_forms.relu_log_norm([50] * 5)
    assert (mean, variance) == pytest.approx(closed_forms.relu_log_norm([80] * 8))
    for width, depth, nets in ((50, 5, 1500), (80, 8, 500)):
        logs = np.log(_relu_jacobian_squares(width, depth, nets, rng))
        # the next order makes n·Var 5.3 and 5.2
        assert logs.var() == pytest.approx(1.04 * variance, rel=4 * np.sqrt(2 / nets))
        assert logs.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / nets) + 0.02)


# -- born dead ------------------------------------------------------------------------------------------

SIMULATED = {
    2: 0.880,
    3: 0.579,
    4: 0.295,
    5: 0.130,
    8: 0.0083,
}  # 30,000 to 200,000 nets of nine hidden layers


@pytest.mark.parametrize("width", SIMULATED)
def test_born_dead_bounds_enclose_simulations(width, rng):
    nets = 6000
    low = closed_forms.born_dead_lower(width, 9)
    high = closed_forms.born_dead_at_one_input([width] * 9)
    found = random_nets.born_dead(width, 9, nets, rng)
    error = 4 * np.sqrt(SIMULATED[width] * (1 - SIMULATED[width]) / nets)
    assert found == pytest.approx(SIMULATED[width], abs=error)
    assert low - error <= found <= high + error
    assert low <= SIMULATED[width] <= high


def test_born_dead_where_it_is_exact(rng):
    for depth in (1, 2, 5, 10):
        assert closed_forms.born_dead_lower(1, depth) == pytest.approx(1 - 2.0 ** (1 - depth))
    for width in (1, 2, 3, 8):
        exact = closed_forms.born_dead_two_layers(width)
        assert closed_forms.born_dead_lower(width, 2) == pytest.approx(exact, abs=1e-15)
    found = random_nets.born_dead(2, 2, 20_000, rng)
    assert found == pytest.approx(closed_forms.born_dead_two_layers(2), abs=4 * np.sqrt(0.16 * 0.84 / 20_000))
    assert random_nets.born_dead(2, 9, 2000, rng, leak=0.01) == 0


def test_born_dead_at_one_input_is_exact(rng):
    alive = rng.standard_normal((20_000, 4))
    for _ in range(5):
        alive = np.maximum(np.einsum("ri,rij->rj", alive, rng.standard_normal((20_000, 4, 4))), 0)
    expected = closed_forms.born_dead_at_one_input([4] * 5)
    assert (alive == 0).all(axis=1).mean() == pytest.approx(expected, abs=4 * np.sqrt(0.2 / 20_000))


# -- normalisation and residual connections -------------------------------------------------------------

GROWTH = {"sigmoid": 1.03359, "tanh": 1.17781, "relu": 1.46694, "leaky_relu": 1.45337, "elu": 1.07901,
          "leaky_relu(slope=0.1)": 1.34278, "leaky_relu(slope=0.25)": 1.20267, "selu": 1.07157,
          "gelu": 1.31884, "silu": 1.21208, "identity": 1.0}  # fmt: skip


@pytest.mark.parametrize("name", GROWTH)
def test_batch_norm_growth_constants(name):
    assert closed_forms.batch_norm_growth(activation(name)) == pytest.approx(GROWTH[name], abs=6e-6)


def test_batch_norm_growth_of_relu_in_closed_form():
    assert closed_forms.batch_norm_growth(activation("relu")) == pytest.approx(np.pi / (np.pi - 1), rel=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_batch_norm_never_shrinks_the_gradient(name):
    """The Gaussian Poincaré inequality, with equality for a linear f alone."""
    growth = closed_forms.batch_norm_growth(activation(name))
    assert growth == pytest.approx(1, abs=1e-12) if name == "identity" else growth > 1.001


def test_finite_batches():
    relu, identity = activation("relu"), activation("identity")
    for batch, expected in ((8, 1.788), (32, 1.522), (512, 1.470)):
        assert closed_forms.batch_norm_growth(relu, batch) == pytest.approx(expected, abs=5e-4)
        exact = (batch - 2) / (batch - 3)
        assert closed_forms.batch_norm_growth(identity, batch) == pytest.approx(exact, rel=1e-12)
    assert closed_forms.batch_norm_growth(relu, 10**6) == pytest.approx(np.pi / (np.pi - 1), rel=1e-5)


def test_finite_batches_are_refused_where_no_formula_is_known():
    with pytest.raises(ValueError, match="only where f\\(s z\\) = s f\\(z\\)"):
        closed_forms.batch_norm_growth(activation("tanh"), 32)
    with pytest.raises(ValueError, match="finite only above 3"):
        closed_forms.batch_norm_growth(activation("relu"), 3)


@pytest.mark.parametrize(("name", "batch"), [("relu", 16), ("identity", 16), ("tanh", 128), ("sigmoid", 128)])
def test_random_batch_norm_nets_grow_as_predicted(name, batch, rng):
    """3 %: half of it the spread of one net of width 256 and 5 layers, half 1/batch where f is no ray."""
    act = activation(name)
    expected = closed_forms.batch_norm_growth(act, batch if closed_forms.is_homogeneous(act) else None)
    found = [random_nets.batch_norm_growth(act, 256, batch, 6, rng) for _ in range(3)]
    assert np.mean(found) == pytest.approx(expected, rel=0.03)


def test_layer_norm_growth():
    assert closed_forms.layer_norm_growth(activation("relu")) == pytest.approx(1)
    assert closed_forms.layer_norm_growth(activation("sigmoid")) == pytest.approx(0.04484 / 0.29338, rel=1e-4)


@pytest.mark.parametrize("scale", [1.0, 0.5, 20**-0.5])
def test_residual_growth(scale, rng):
    """x + scale·W₂ relu(W₁ x), He and 1/n: ‖x‖² over eight blocks of width 400, two nets: 2 % a block."""
    growth = []
    for _ in range(2):
        x = rng.standard_normal((8, 400))
        start = np.square(x).sum()
        for _ in range(8):
            first, second = rng.standard_normal((2, 400, 400)) * np.sqrt([2 / 400, 1 / 400])[:, None, None]
            x = x + scale * np.maximum(x @ first, 0) @ second
        growth.append((np.square(x).sum() / start) ** (1 / 8))
    assert np.mean(growth) == pytest.approx(closed_forms.residual_growth(scale), rel=0.02)


# -- singular values ------------------------------------------------------------------------------------


def test_jacobian_variances_in_closed_form():
    """Pennington, Schoenholz & Ganguli 2018, table 1; for an activation that is not in our table as well."""
    for q, depth in ((0.2, 5), (1.0, 20)):
        forms = {
            "identity": 1.0, "relu": 2.0, "hard_tanh": 1 / erf(1 / np.sqrt(2 * q)),
            "erf": (1 + np.pi * q) / np.sqrt(1 + 2 * np.pi * q),
        }  # fmt: skip
        for name, ratio in forms.items():
            act = erf_activation() if name == "erf" else activation(name)
            for orthogonal, s1 in ((True, 0), (False, -1)):
                _, variance = closed_forms.jacobian_moments(act, depth, q, 1.0, orthogonal)
                assert variance == pytest.approx(depth * (ratio - 1 - s1), rel=1e-9, abs=1e-12)


def test_jacobian_mean_is_one_at_criticality():
    mean, variance = closed_forms.jacobian_moments(activation("tanh"), 5, 0.0259, 1.0500, orthogonal=True)
    assert mean == pytest.approx(1, abs=5e-4)
    assert variance == pytest.approx(0.0213, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "q", "orthogonal", "width", "error"),
    [
        ("tanh", 0.0259, True, 96, 0.15),
        ("hard_tanh", 0.2, True, 96, 0.25),
        ("identity", 1.0, False, 200, 0.15),
    ],
)
def test_random_jacobians_spread_as_predicted(name, q, orthogonal, width, error, rng):
    """Five layers, the mean of six nets; the error is the spread between nets of this width."""
    act = activation(name)
    weight, depth = 1.0, 5
    if orthogonal:
        weight = float(mean_field.critical_line(act, q)[0])
    found = []
    for _ in range(6):
        squares = random_nets.jacobian_singular_values(
            act, depth, width, weight, q, rng, orthogonal_weights=orthogonal
        )
        found.append(squares.var() / squares.mean() ** 2)
    expected = closed_forms.jacobian_moments(act, depth, q, weight, orthogonal)[1]
    assert np.mean(found) == pytest.approx(expected, rel=error)


# -- self-normalisation ---------------------------------------------------------------------------------


def test_selu_constants():
    """Klambauer et al. 2017: α = 1.6732632423543778, λ = 1.0507009873554805, by quadrature to 1e-12."""
    alpha, scale = closed_forms.selu_constants()
    assert alpha == pytest.approx(1.6732632423543778, abs=1e-12)
    assert scale == pytest.approx(1.0507009873554805, abs=1e-12)
    assert (alpha, scale) == pytest.approx((SELU_ALPHA, SELU_SCALE), abs=1e-12)
    assert closed_forms.selu_constants(-0.1, 2.0) == pytest.approx((1.9769021954, 1.0738512396), abs=1e-10)


def test_selu_keeps_moments_and_contracts():
    """The paper's Jacobian at (0, 1): [[0, .088834], [0, .782648]] (recalled)."""
    jacobian = closed_forms.moment_jacobian(activation("selu"))
    np.testing.assert_allclose(jacobian, [[0, 0.088834], [0, 0.782648]], atol=2e-6)


def test_selu_over_a_hundred_layers(rng):
    """|mean| < 0.1 and |variance − 1| < 0.1 at layer 100; width 400, and 20 inputs share the weights."""
    act, x = activation("selu"), rng.standard_normal((20, 400))
    for _ in range(100):
        x = act.f(x @ rng.standard_normal((400, 400)) / np.sqrt(400))
    assert abs(x.mean()) < 0.1
    assert x.var() == pytest.approx(1, abs=0.1)
