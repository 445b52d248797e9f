"""Jacobians against differences of the network's predictions, and where they are known beforehand."""

from dataclasses import replace

import numpy as np
import pytest
from random_nets import jacobian_singular_values
from small import data, network, off_kinks, shaken, traces, watch

from mlp.activations import ACTIVATIONS
from mlp.norms import NORMS
from mlp.probes import PROBES
from mlp.probes.jacobian import end_to_end, forward, hidden_jacobian, layer_jacobian, singular_values

ACTS = [*sorted(ACTIVATIONS), "leaky_relu(slope=0.3)"]
RESIDUALS = [0.0, 0.7]
H = 1e-4


def build(act, norm, residual, x, **options):
    def made(seed):
        net = network(act, depth=3, seeds=[seed, seed + 1], norm=norm, residual=residual, **options)
        return shaken(net, np.random.default_rng(seed))

    return off_kinks(made, x)


def differences(net, x, moments):
    """(R, B, C, n_in) by fourth-order differences: 1e-16/h of rounding and h⁴ of a fifth derivative."""
    found = []
    for direction in np.eye(x.shape[1]):
        near, far = (
            net.predict(x + d * direction, moments) - net.predict(x - d * direction, moments)
            for d in (H, 2 * H)
        )
        found.append((8 * near - far) / (12 * H))
    return np.stack(found, axis=-1)


def whole(tape, examples, layers):
    """The product of the layers' Jacobians, the first's on the right."""
    product = np.eye(tape.net.sizes[0])
    for index in range(layers):
        product = layer_jacobian(tape, index, examples) @ product
    return product


@pytest.mark.parametrize("residual", RESIDUALS)
@pytest.mark.parametrize("norm", sorted(NORMS))
@pytest.mark.parametrize("act", ACTS)
def test_the_layers_jacobians_make_the_differences_of_the_logits(act, norm, residual, rng):
    x = data(rng, n=6).x
    net = build(act, norm, residual, x)
    tape = forward(net, x)
    expected = differences(net, x, tape.moments)
    np.testing.assert_allclose(whole(tape, 6, 4), expected, rtol=1e-7, atol=1e-8 * abs(expected).max())
    values, exponent = end_to_end(tape, 0, 6)
    sizes = singular_values(expected)
    np.testing.assert_allclose(np.ldexp(values, -exponent[..., None]), sizes, atol=1e-7 * sizes.max())
    np.testing.assert_allclose(hidden_jacobian(net, x), whole(tape, 6, 3), rtol=1e-10, atol=1e-13)


def test_of_the_batch_s_own_moments_none_moves(rng):
    """An example's Jacobian in batch normalisation is that of its prediction, whatever is beside it."""
    x = data(rng, n=6).x
    net = build("tanh", "batch", 0.0, x)
    tape = forward(net, x)
    np.testing.assert_array_equal(layer_jacobian(tape, 0, 6)[:, :2], layer_jacobian(tape, 0, 2))
    assert layer_jacobian(tape, 0, 100).shape == (2, 6, 5, 4)  # as many examples as there are


def test_an_orthogonal_linear_network_is_an_isometry(rng):
    net = network("identity", depth=5, width=4, classes=4, seeds=[0, 1], init="orthogonal")
    probes = [name for name in PROBES if name.startswith(("jacobian", "end_to_end"))]
    seen = watch(net, data(rng, classes=4), seeds=[0, 1], steps=0, probes=probes)[0]
    for layer in seen.layers.values():
        for name in probes:
            expected = 0.0 if "spread" in name or "log10" in name else 1.0
            np.testing.assert_allclose(layer[name], expected, atol=1e-13)  # a few roundings of 1


@pytest.mark.parametrize("orthogonal", [True, False])
def test_the_spread_is_that_of_random_nets_and_of_theory(orthogonal, rng):
    """A linear net of L Gaussian layers has spread L(1 + O(L/n)) (Pennington et al. 2018), orthogonal 0."""
    init = "orthogonal" if orthogonal else "lecun_normal"
    net = network("identity", depth=3, width=100, n_in=100, seeds=[0, 1], init=init, bias="zeros")
    squares = singular_values(hidden_jacobian(net, rng.normal(size=(2, 100)))) ** 2
    spread = (squares.var(axis=-1) / squares.mean(axis=-1) ** 2).mean()
    other = jacobian_singular_values(net.act, 3, 100, 1.0, 1.0, rng, orthogonal_weights=orthogonal)
    assert spread == pytest.approx(other.var() / other.mean() ** 2, rel=0.25, abs=1e-12)
    assert spread == pytest.approx(0 if orthogonal else 3, rel=0.2, abs=1e-12)  # n = 100: 5 % a seed


def test_a_deep_network_underflows_nowhere(rng):
    """600 sigmoid layers with a factor of 1/4 at most: below any float64; each layer adds its own."""
    net = network("sigmoid", depth=600, width=3, seeds=[0], bias="zeros", dtype="float32")
    names = ["end_to_end_log10", "end_to_end_mean", "end_to_end_spread", "delta_log10"]
    seen = watch(net, data(rng), seeds=[0], steps=0, probes=names)[0].layers
    logs = np.array([seen[layer]["end_to_end_log10"][0] for layer in range(1, 602)])
    assert logs[0] < -400
    assert (np.diff(logs) > 0).all()
    assert seen[1]["end_to_end_mean"] == 0  # no float64 holds it
    assert np.isfinite(seen[1]["end_to_end_spread"])
    deltas = np.array([seen[layer]["delta_log10"][0] for layer in range(1, 602)])
    # ‖delta‖ falls as the Jacobian does; what differs is the one layer at either end
    assert deltas[500] - deltas[0] == pytest.approx(logs[500] - logs[0], abs=2)


def test_singular_values_tell_what_is_not_finite_from_what_is(rng):
    j = rng.normal(size=(3, 4, 2))
    j[1, 0, 0] = np.inf
    found = singular_values(j)
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[[0, 2]], np.linalg.svd(j[[0, 2]], compute_uv=False))


def test_a_dead_layer_has_no_gain_and_no_spread(rng):
    net = network("relu", depth=2, seeds=[0])
    net.layers[0].b[:] = -50
    names = ["jacobian_mean", "jacobian_spread", "end_to_end_log10", "end_to_end_largest", "effective_rank"]
    first = watch(net, data(rng), seeds=[0], steps=0, probes=names)[0].layers[1]
    assert first["jacobian_mean"] == first["end_to_end_largest"] == first["effective_rank"] == 0
    assert first["end_to_end_log10"] == -np.inf
    assert np.isnan(first["jacobian_spread"])


@pytest.mark.parametrize("trace", ["probe_set", "batch"])
def test_probes_measure_the_network_as_it_is_at_their_step(trace, rng):
    """Also on the training batch, whose traces are handed out anew at every step."""
    sample = data(rng)
    names = ["jacobian_largest", "end_to_end_smallest"]
    net = network("tanh", depth=2, seeds=[0])
    options = {"seeds": [0], "probes": names, "trace": trace, "lr": 0.5, "batch": 12}
    for seen in watch(net, sample, steps=2, **options):
        now = network("tanh", depth=2, seeds=[0])
        now.params[:] = seen.params
        tape = forward(now, seen.layers[1]["x"][0])
        largest = singular_values(layer_jacobian(tape, 0, 4))[..., 0].mean()
        assert seen.layers[1]["jacobian_largest"][0] == pytest.approx(largest, rel=1e-12)
        smallest = singular_values(whole(tape, 4, 3))[..., -1].mean()
        assert seen.layers[1]["end_to_end_smallest"][0] == pytest.approx(smallest, rel=1e-9)


# -- effective rank ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_outputs_that_fill_k_directions_evenly_have_effective_rank_k(rank, rng):
    t = next(traces(network("identity", depth=1, width=4, seeds=[0]), data(rng)))
    q = np.linalg.qr(rng.normal(size=(12, rank)))[0]
    t = replace(t, scaled_a=(q @ np.linalg.qr(rng.normal(size=(4, rank)))[0].T)[None])
    assert PROBES["effective_rank"](t) == pytest.approx(rank, rel=1e-12)


def test_effective_rank_by_hand_and_less_the_mean(rng):
    t = next(traces(network("identity", depth=1, width=4, seeds=[0]), data(rng)))
    t = replace(t, scaled_a=np.diag([3.0, 1.0])[None])  # p = ¾, ¼
    expected = np.exp(0.75 * np.log(4 / 3) + 0.25 * np.log(4))
    assert PROBES["effective_rank"](t) == pytest.approx(expected, rel=1e-14)
    t = replace(t, scaled_a=np.ones((1, 5, 3)) + np.outer([1, -1, 0, 0, 0], [1, 0, 0]))
    assert PROBES["effective_rank"](t, centred=True) == pytest.approx(1, rel=1e-12)
    assert PROBES["effective_rank"](t) > 1.3
