"""Shares by order of magnitude against counting one by one, of true sizes, in either format."""

from math import floor, log10

import numpy as np
import pytest
from small import data, network, traces

from mlp.probes.distributions import DISTRIBUTIONS, histogram, histograms

TINY = {name: float(np.finfo(name).tiny) for name in ("float32", "float64")}


def counted(values, smallest):
    """{(bin, subnormal): share} of true values, one by one."""
    found = {}
    for value in np.abs(np.ravel(values)):
        key = (-np.inf, 0)
        if value:
            key = (floor(2 * log10(value)) / 2, int(value < smallest))
        found[key] = found.get(key, 0) + 1 / np.size(values)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("act", "init"), [("relu", "he_normal"), ("sigmoid", "normal(std=0.1)")])
def test_every_distribution_counts_the_true_sizes(act, init, dtype, rng):
    """40 layers of sigmoid reach far below what float32 holds, and no share is lost."""
    net = network(act, depth=40, seeds=[0, 1], dtype=dtype, init=init)
    below = 0
    for t in traces(net, data(rng)):
        plain = {"delta": t.delta, "dw": t.dw, "z": t.z.astype(float), "a": t.a.astype(float)}
        table = histograms(t, {name: DISTRIBUTIONS[name] for name in plain})
        for r in range(2):
            rows = table["row"] == r
            keys = list(zip(table["bin"][rows], table["subnormal"][rows], strict=True))
            assert len(set(keys)) == len(keys)
            for name, values in plain.items():
                shares = dict(zip(keys, table[name][rows], strict=True))
                shares = {key: share for key, share in shares.items() if share}
                assert shares == pytest.approx(counted(values[r], TINY[dtype]), rel=1e-9)
        below += table["subnormal"].sum()
    assert (below > 0) == (act == "sigmoid" and dtype == "float32")


def test_edges_zeros_and_what_is_not_finite():
    values = np.array([1.0, -1.0, 3.1, 3.2, 0.1, 0.0, -0.0, np.inf, -np.inf, 1e-310])
    assert histogram(values, 0, TINY["float64"]) == {
        (0.0, 0): 0.3, (0.5, 0): 0.1, (-1.0, 0): 0.1, (-np.inf, 0): 0.2, (-310.0, 1): 0.1
    }  # fmt: skip
    assert histogram(np.array([1.0, np.nan]), 0, TINY["float64"]) is None


@pytest.mark.parametrize("exponent", [-4000, 0, 130, 5000])
def test_a_size_beyond_every_number_has_its_bin(exponent):
    """0.75·2^-5000 is 10^-1505.27."""
    (found,) = histogram(np.array([0.75], np.float32), exponent, TINY["float32"])
    assert found == (floor(2 * (log10(0.75) - exponent * log10(2))) / 2, int(exponent > 126))
