"""NaN is no share, no count and no death."""

from itertools import product

import numpy as np
import pytest
from small import ALL_PROBES, DTYPES, data, measured, network, traces, watch

from mlp.probes import DISTRIBUTIONS
from mlp.probes.distributions import histograms

OF_WEIGHTS = {  # where z is none
    "slope_below", "w_norm", "w_max_abs", "w_var", "displacement", "unit_bias", "unit_w_norm",
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("act", ["relu", "sigmoid", "hard_tanh", "gelu"])
def test_no_probe_makes_a_number_of_nan(act, dtype, rng):
    """The data's NaN reaches every z, a and delta of run 1; a run beside it keeps its numbers."""
    net, sample = network(act, 2, 4, seeds=[0, 1], dtype=dtype), data(rng)
    clean = measured(net.part(slice(0, 1)), sample, ALL_PROBES)
    net.layers[0].b[1] = np.nan
    found = watch(net, sample, seeds=[0, 1], steps=0, batch=4, probes=ALL_PROBES)[0].layers
    for name, layer in product(ALL_PROBES, (2, 3)):
        assert np.array_equal(found[layer][name][0], clean[layer][name][0], equal_nan=True), name
        if layer == 3 and ("jacobian" in name or "end_to_end" in name):
            continue  # the output's is its weights
        known = np.isfinite(found[layer][name][1])
        assert known.all() if name in OF_WEIGHTS else not known.any(), (name, found[layer][name])


def test_only_the_units_with_nan_are_unknown(rng):
    """One unit of layer 1 is NaN: its neighbours' lives are known, the layer's share is not."""
    net = network("relu", 2, 4, seeds=[0], bias="zeros")
    net.layers[0].b[0, 0, 2] = np.nan
    found = measured(net, data(rng), ["unit_dead", "unit_inactive", "unit_z_mean", "dead_fraction"])[1]
    for name in ("unit_dead", "unit_inactive", "unit_z_mean"):
        assert np.isnan(found[name][0]).tolist() == [False, False, True, False]
    assert np.isnan(found["dead_fraction"]).all()


def test_the_defect_of_a_learning_rate_of_1e12(rng):
    """z overflows and cancels: what was dead 0.69 to 1.0 is not known."""
    net = network("relu", 4, 16, seeds=[0], init="normal(std=1000)", bias="zeros", dtype="float32")
    end = watch(net, data(rng), seeds=[0], steps=1, lr=1e12, probes=["dead_fraction", "zero_fraction"])[-1]
    for layer, arrays in end.layers.items():
        if np.isnan(arrays["z"]).any():
            assert np.isnan(arrays["dead_fraction"]).all(), layer
    assert np.isnan(end.layers[4]["z"]).any()
    assert np.isnan(end.columns["accuracy"]).all()


def test_a_histogram_of_nan_has_no_rows(rng):
    net = network("relu", 2, 4, seeds=[0, 1])
    net.layers[0].b[1] = np.nan
    for t in traces(net, data(rng)):
        table = histograms(t, DISTRIBUTIONS)
        shares = np.array([table[name] for name in DISTRIBUTIONS])
        assert np.isnan(shares[:, table["row"] == 1]).all()
        assert np.isfinite(shares[:, table["row"] == 0]).all()
        if t.layer > 1:
            assert 1 not in table["row"]
