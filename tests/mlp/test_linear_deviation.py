"""How far a network is from one linear map, against the product of its matrices written out."""

import numpy as np
import pytest
from small import data, network, shaken, traces

from mlp.probes import PROBES


def by_hand(net, x, layer, run):
    """max |z − (x·w₁·w₂… + b)| / max |z| of one layer and run: one sample after the other, in long double."""
    exact = np.longdouble
    w = np.eye(x.shape[1], dtype=exact)
    b = np.zeros((1, x.shape[1]), exact)
    a = x.astype(exact)
    for index in range(layer):
        p = net.layers[index]
        w, b = w @ p.w[run].astype(exact), b @ p.w[run].astype(exact) + p.b[run].astype(exact)
        z = a @ p.w[run].astype(exact) + p.b[run].astype(exact)
        a = net.act.f(z.astype(np.float64)).astype(exact)
    return float(np.abs(z - (x.astype(exact) @ w + b)).max() / np.abs(z).max())


@pytest.mark.parametrize("act", ["tanh", "relu", "leaky_relu(slope=0.9)"])
def test_it_is_that_of_the_product_of_the_matrices(act, rng):
    sample = data(rng)
    net = shaken(network(act, depth=3, seeds=[0, 1]), rng)
    for t in traces(net, sample):
        found = PROBES["linear_deviation"](t)
        expected = [by_hand(net, sample.x, t.layer, run) for run in range(2)]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)
        assert (found > 1e-3).all() == (t.layer > 1)  # nothing has bent the first layer's z


@pytest.mark.parametrize(("dtype", "rounding"), [("float64", 1e-14), ("float32", 1e-5)])
def test_without_activations_it_is_rounding(dtype, rounding, rng):
    """Sums of at most five products, four times over; float64 maps are compared with float32 passes."""
    sample = data(rng)
    net = shaken(network("identity", depth=3, seeds=[0, 1], dtype=dtype), rng)
    for t in traces(net, sample):
        assert (PROBES["linear_deviation"](t) < rounding).all()


@pytest.mark.parametrize("options", [{"norm": "layer"}, {"norm": "batch"}, {"residual": 1.0}])
def test_of_other_networks_it_is_not_defined(options, rng):
    for t in traces(network("identity", seeds=[0, 1], **options), data(rng)):
        assert np.isnan(PROBES["linear_deviation"](t)).all()


def test_a_run_that_is_not_finite_has_none_and_spoils_no_other(rng):
    sample = data(rng)
    net = network("identity", seeds=[0, 1])
    net.layers[0].w[0] = np.inf
    for t in traces(net, sample):
        found = PROBES["linear_deviation"](t)
        assert np.isnan(found[0])
        assert found[1] < 1e-14
