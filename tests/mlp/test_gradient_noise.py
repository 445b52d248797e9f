"""Gradient noise against the gradients that the network itself gives on each mini-batch."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from small import data, gradients, network, shaken, traces, watch

from mlp.probes import PROBES
from mlp.probes.optional import _before_norm, _gradients

SNR, COSINE = "gradient_snr(batch=4)", "gradient_cosine(batch=4)"


def naive(grads):
    """Signal to noise and mean pairwise cosine of a list of gradients, as they are defined."""
    mean = sum(grads) / len(grads)
    scatter = sum(((g - mean) ** 2).sum() for g in grads) / (len(grads) - 1)
    pairs = [(a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b) for a, b in combinations(grads, 2)]
    return (mean**2).sum() / scatter, sum(pairs) / len(pairs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("residual", [0.0, 0.7])
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_it_is_that_of_the_mini_batches_own_gradients(norm, residual, dtype, rng):
    """Two of 14 examples are left over; float32 sums to about 1e-6 of the gradient, 1e-4 of the noise."""
    sample = data(rng, n=14)
    net = shaken(
        network("tanh", depth=3, seeds=[0, 1], norm=norm, residual=residual, dtype=dtype),
        np.random.default_rng(1),
    )
    x = sample.x.astype(dtype)
    each = [net.views(gradients(net, x[i : i + 4], sample.y[i : i + 4])) for i in (0, 4, 8)]
    seen = watch(net, sample, seeds=[0, 1], steps=0, probes=[SNR, COSINE])[0]
    for layer, arrays in seen.layers.items():
        for r in range(2):
            expected = naive([views[layer - 1].w[r].astype(float) for views in each])
            found = arrays[SNR][r], arrays[COSINE][r]
            assert found == pytest.approx(expected, rel=1e-9 if dtype == "float64" else 1e-3)


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_the_mini_batches_gradients_add_up_to_that_of_all(norm, rng):
    net = shaken(network("relu", depth=2, seeds=[0, 1], norm=norm), rng)
    for t in traces(net, data(rng)):
        found = [_gradients(x, d, 4).sum(axis=0) for x, d in zip(t.x, _before_norm(t), strict=True)]
        np.testing.assert_allclose(found, t.scaled_dw.reshape(2, -1), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_a_run_s_noise_is_the_same_alone(norm, rng):
    sample, probes = data(rng), [SNR, COSINE]
    together = watch(network("tanh", seeds=[0, 1, 2], norm=norm), sample, seeds=[0, 1, 2], probes=probes)
    alone = watch(network("tanh", seeds=[1], norm=norm), sample, seeds=[1], probes=probes)
    for one, all_ in zip(alone, together, strict=True):
        for layer in (1, 2, 3):
            for name in probes:
                assert np.array_equal(all_.layers[layer][name][1:2], one.layers[layer][name])
                assert np.isfinite(one.layers[layer][name]).all()


def test_pure_noise_and_pure_signal(rng):
    t = next(traces(network("identity", depth=1, width=4, seeds=[0]), data(rng)))
    t = replace(t, scaled_x=rng.normal(size=(1, 4000, 3)), scaled_delta=rng.normal(size=(1, 4000, 3)))
    m = 1000
    # nine numbers' mean squares over their variances: F-like, with relative scatter √(2/9)
    assert PROBES["gradient_snr"](t, batch=4) == pytest.approx(1 / m, rel=4 * np.sqrt(2 / 9))
    # a mean of m(m−1)/2 cosines in nine dimensions, each of variance 1/9
    assert PROBES["gradient_cosine"](t, batch=4) == pytest.approx(0, abs=4 * np.sqrt(2 / 9) / m)
    t = replace(t, scaled_x=np.ones((1, 4000, 3)), scaled_delta=np.ones((1, 4000, 3)))
    assert PROBES["gradient_cosine"](t, batch=4) == pytest.approx(1, rel=1e-12)
    assert PROBES["gradient_snr"](t, batch=4) == np.inf


def test_one_mini_batch_has_no_noise_to_tell_and_no_gradient_no_direction(rng):
    t = next(traces(network("identity", depth=1, width=4, seeds=[0]), data(rng)))
    assert np.isnan(PROBES["gradient_snr"](t, batch=7)).all()
    t = replace(t, scaled_delta=np.zeros_like(t.scaled_delta))
    assert np.isnan(PROBES["gradient_snr"](t, batch=4)).all()
    assert np.isnan(PROBES["gradient_cosine"](t, batch=4)).all()
