"""What every unit probe and every distribution promises; a new one is tested unasked."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from small import data, network, traces

from mlp.probes import DISTRIBUTIONS, PROBES, UNIT_PROBES
from mlp.train import train

SEEDS = [0, 1, 2]


def measured(function, seeds, sample, dtype):
    """{layer: (units, what the function makes of the trace)}, of these seeds' networks at their start."""
    net = network("relu", depth=2, seeds=seeds, dtype=dtype)
    (snap,) = train(net, sample, seeds=seeds, lr=[0.1] * len(seeds), steps=0, batch=4, watch=[0])
    return {t.layer: (t.z.shape[-1], deepcopy(function(t))) for t in snap.layers}


def beside_and_alone(function, sample, dtype):
    """Of each layer and run: the layer's units, what was measured in the stack, and what of the run alone."""
    together = measured(function, SEEDS, sample, dtype)
    for r, seed in enumerate(SEEDS):
        alone = measured(function, [seed], sample, dtype)
        for layer, (units, found) in together.items():
            yield r, units, found, alone[layer][1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(UNIT_PROBES))
def test_a_unit_probe_gives_one_number_a_unit_and_the_same_alone(name, dtype, rng):
    for r, units, found, alone in beside_and_alone(UNIT_PROBES[name], data(rng), dtype):
        assert found.shape == (len(SEEDS), units)
        assert found.dtype == np.float64
        assert np.array_equal(found[r : r + 1], alone, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_a_distribution_gives_the_sizes_of_each_run_and_the_same_alone(name, dtype, rng):
    for r, _, (values, exponent), alone in beside_and_alone(DISTRIBUTIONS[name], data(rng), dtype):
        assert (len(values), exponent.shape) == (len(SEEDS), (len(SEEDS),))
        assert exponent.dtype == np.int64
        true, own = (np.ldexp(v[0].astype(float), -e[0]) for v, e in [(values[r:], exponent[r:]), alone])
        assert np.array_equal(true, own)


@pytest.mark.parametrize("name", sorted(PROBES))
def test_a_probe_looks_at_the_whole_pass_where_it_says_so_and_nowhere_else(name, rng):
    for t in traces(network("tanh", depth=2, seeds=[0]), data(rng)):
        alone = replace(t, tape=None)
        if PROBES.facts(name).whole_pass:
            with pytest.raises(ValueError, match="looks at the whole pass"):
                PROBES[name](alone)
        else:
            assert np.array_equal(PROBES[name](alone), PROBES[name](t), equal_nan=True)
