"""How alike the examples are in a layer, and how many of its units are quiet."""

import numpy as np
import pytest
from small import data, network, traces

from mlp.probes import PROBES
from mlp.train import Data


def kappa(c):
    """Correlation after a ReLU layer of an infinitely wide net (Cho & Saul 2009, degree 1)."""
    return (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi


def test_two_orthogonal_examples_become_alike_as_theory_says():
    """After 10 layers 0.87154; 16 nets of width 300, within three standard errors and a width correction."""
    expected = [0.0]
    while len(expected) <= 10:
        expected.append(kappa(expected[-1]))
    assert expected[10] == pytest.approx(0.87154, abs=1e-5)
    both, labels = np.tile(np.eye(2), (2, 1)), np.array([0, 1, 0, 1])  # the batch of a trace is 4
    pair = Data(both, labels, both, labels)
    net = network("relu", 10, 300, n_in=2, seeds=range(16), init="he_normal", bias="zeros")
    for t in traces(net, pair):
        if t.layer > 10:
            continue
        found = (6 * PROBES["similarity"](t) - 2) / 4  # of six pairs two are of equal examples
        assert abs(found.mean() - expected[t.layer]) < 3 * found.std() / 4 + 0.01


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
def test_similarity_is_the_mean_over_pairs(rng, scale):
    sample = data(rng)
    net = network("relu", seeds=[0, 1])
    net.layers[0].w[:] *= scale
    net.layers[0].b[:] *= scale
    for t in traces(net, sample):
        for run, a in enumerate(t.scaled_a):
            a = a / np.abs(a).max()
            u = [row / np.linalg.norm(row) for row in a if row.any()]
            pairs = [u[i] @ u[j] for i in range(len(u)) for j in range(i)]
            assert PROBES["similarity"](t)[run] == pytest.approx(np.mean(pairs), abs=1e-12)


def test_dormant_units_are_counted_one_by_one(rng):
    sample = data(rng)
    net = network("relu", width=8, seeds=[0, 1])
    net.layers[0].w[0, :, 3] = 0
    net.layers[0].b[0, :, 3] = 1e-9  # not dead: its slope is 1, and it says next to nothing
    net.layers[1].w[1] = 0
    net.layers[1].b[1] = -1
    for t in traces(net, sample):
        found = PROBES["dormant_fraction"](t)
        for run, a in enumerate(t.a):
            score = [abs(a[:, unit]).mean() for unit in range(a.shape[1])]
            assert found[run] == np.mean([s <= 0.025 * np.mean(score) for s in score])
        if t.layer == 1:
            assert found[0] >= 1 / 8
        if t.layer == 2:
            assert found[1] == 1
