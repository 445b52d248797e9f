"""The sharpness against Hessians that are known otherwise, and how far the signals have moved."""

import numpy as np
import pytest
from small import data, gradients, network, shaken, traces, watch

from mlp.probes import PROBES
from mlp.probes.whole_network import largest_eigenvalue
from mlp.train import Data, train


def at_start(net, sample, name="sharpness", **options):
    """{layer: (R,)} at step 0."""
    return {t.layer: PROBES[name](t) for t in traces(net, sample, steps=0, **options)}


def dense_hessian(net, sample, loss="softmax_cross_entropy", step=1e-5):
    """(P, P) of run 0, column by column from central differences of the exact pass's gradients."""
    columns, at = [], net.params.astype(np.float64)
    for p in range(at.shape[1]):
        pair = []
        for sign in (1, -1):
            moved = net.with_params(at.copy())
            moved.params[0, p] += sign * step
            pair.append(gradients(moved, sample.x, sample.y, loss)[0])
        columns.append((pair[0] - pair[1]) / (2 * step))
    hessian = np.array(columns)
    return (hessian + hessian.T) / 2


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize(
    ("act", "norm", "residual"), [("tanh", "none", 0), ("softplus", "batch", 0), ("sigmoid", "layer", 1)]
)
def test_it_is_the_largest_eigenvalue_of_the_dense_hessian(act, norm, residual, loss, rng):
    net = shaken(network(act, 2, 4, seeds=[3], init="he_normal", norm=norm, residual=residual), rng)
    sample = data(rng)
    expected = np.linalg.eigvalsh(dense_hessian(net, sample, loss))[-1]
    found = at_start(net, sample, loss=loss)
    # Lanczos stops at a residual of 1e-4, whose square is the error; the differences are good to 1e-9
    assert {layer: values.tolist() for layer, values in found.items()} == {
        layer: [pytest.approx(expected, rel=1e-6)] for layer in (1, 2, 3)
    }


def test_of_a_linear_model_it_is_that_of_the_inputs():
    """z = x·w + b with squared error over C classes: H = 2/(B·C)·XᵀX of each, X with a column of 1."""
    rng = np.random.default_rng(5)
    sample = data(rng, n=40, n_in=6)
    with_one = np.hstack([sample.x, np.ones((40, 1))])
    expected = 2 / (40 * 3) * np.linalg.norm(with_one, 2) ** 2
    net = network(depth=0, seeds=[0, 1], n_in=6)
    assert at_start(net, sample, loss="mean_squared_error")[1] == pytest.approx([expected] * 2, rel=1e-7)


@pytest.mark.parametrize(("factor", "grows"), [(0.95, False), (1.05, True)])
def test_gradient_descent_is_stable_up_to_two_over_it_and_not_beyond(factor, grows, rng):
    """On a quadratic loss, whose Hessian does not change."""
    sample, options = data(rng, n=30), {"loss": "mean_squared_error", "batch": 30}
    found = at_start(network(depth=0), sample, **options)[1][0]
    rate = [2 / found * factor]
    seen = train(network(depth=0), sample, seeds=[0], lr=rate, steps=200, watch=[100, 200], **options)
    loss = [snapshot.loss[0] for snapshot in seen]
    assert (loss[1] > loss[0]) == grows


def test_the_most_positive_eigenvalue_is_meant():
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.normal(size=(50, 50)))
    for values in (np.linspace(-9, 2, 50), np.linspace(-3, -1, 50), np.zeros(50), np.r_[np.zeros(49), 1e-9]):
        matrix = q * values @ q.T
        found = largest_eigenvalue(lambda v, m=matrix: m @ v, 50)
        assert found == pytest.approx(values.max(), rel=1e-6, abs=1e-14)  # of the zeros, rounding


def test_it_is_measured_on_the_traced_examples(rng):
    """The probe set's own Hessian, not that of all the training examples."""
    sample = data(rng, n=24)
    half = Data(sample.x[:12], sample.y[:12], sample.x_test, sample.y_test)
    some = at_start(network(), sample, probe_set=12)[1]
    assert some == at_start(network(), half)[1]
    assert some != at_start(network(), sample)[1]


def test_a_run_that_diverged_has_none(rng):
    net = network(seeds=[0, 1])
    net.params[1] = np.nan
    found = at_start(net, data(rng))[1]
    assert np.isfinite(found[0])
    assert np.isnan(found[1])


def test_measuring_it_changes_nothing(rng):
    sample = data(rng)
    plain = watch(network("relu"), sample, seeds=[0], steps=3)
    measured = watch(network("relu"), sample, seeds=[0], steps=3, probes=["sharpness", "z_change"])
    assert np.array_equal(plain[-1].params, measured[-1].params)


# -- z_change ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("trace", ["probe_set", "batch"])
def test_z_change_compares_with_the_start_on_the_same_examples(trace, norm, rng):
    sample, build = data(rng), {"act": "tanh", "seeds": [0, 1], "norm": norm}
    later = list(traces_kept(network(**build), sample, step=3, steps=3, lr=0.5, batch=12, trace=trace))
    for layer, x, z, found in later:
        same = Data(x[0], sample.y, sample.x_test, sample.y_test)
        first = {t.layer: t.z for t in traces(network(**build), same, steps=0, batch=12)}[layer]
        expected = [np.linalg.norm(z[r] - first[r]) / np.linalg.norm(first[r]) for r in range(1)]
        assert found[:1] == pytest.approx(expected, rel=1e-12)
        assert expected[0] > 1e-3


def traces_kept(net, sample, **options):
    """(layer, the network's inputs, z, z_change) of every layer at one step."""
    for t in traces(net, sample, **options):
        yield t.layer, np.array(t.tape.x[0]), np.array(t.z), PROBES["z_change"](t)
