"""A run is the same in any company, watched or not, to the last bit."""

from math import inf

import numpy as np
import pytest
from small import (
    ALL_PROBES,
    BUT_SHARPNESS,
    COLUMNS,
    DTYPES,
    NORMS,
    QUICK_PROBES,
    TRACES,
    data,
    network,
    watch,
)

from mlp.losses import LOSSES
from mlp.norms import NORMS as NORM_TABLE
from mlp.optimisers import OPTIMISERS
from mlp.train import batches


def same_bits(one, other, r, rows):
    """Whether run r of a stack has, at every watched step, the numbers of row `rows` of another stack."""
    assert [a.step for a in one] == [b.step for b in other]
    for a, b in zip(one, other, strict=True):
        for name in COLUMNS:
            assert a.columns[name][r].tobytes() == b.columns[name][rows].tobytes(), (a.step, name)
        for layer in a.layers:
            for name in a.layers[layer]:
                x, y = a.layers[layer][name][r], b.layers[layer][name][rows]
                assert x.tobytes() == y.tobytes(), (a.step, layer, name)
        assert a.params[r].tobytes() == b.params[rows].tobytes(), a.step


RUNS = [
    (0, 0.1, "he_normal"),
    (1, 0.3, "xavier_uniform"),
    (0, 0.7, "orthogonal"),
    (5, 0.1, "normal(std=0.1)"),
]
ALONE = 2  # the run that is watched in company
LATER = (1, 2)  # watched steps: another bit at the start would be seen there, too


def trained(which, sample, *, shape, options, break_run=None):
    """Snapshots of two steps, the second of which has a memory; of the named RUNS."""
    seeds, rates, inits = zip(*(RUNS[i] for i in which), strict=True)
    net = network(seeds=list(seeds), init=list(inits), n_in=sample.x.shape[1], **shape)
    if break_run is not None:
        break_run(net)
    return watch(net, sample, seeds=seeds, lr=list(rates), steps=2, **{"probes": BUT_SHARPNESS} | options)


def check_in_company(sample, *, shape, options):
    """In the middle of an odd stack and at three places of an even one, beside others and beside itself."""
    alone = trained([ALONE], sample, shape=shape, options=options)
    for which in ([3, 2, 0], [2, 0, 2, 3, 2, 1]):
        stack = trained(which, sample, shape=shape, options=options)
        for rows in (i for i, run in enumerate(which) if run == ALONE):
            same_bits(alone, stack, 0, rows)


# Of a hundred units Jacobians and their singular values take a second: these are left to the slow tests.
WIDTHS = [(1, QUICK_PROBES), (10, BUT_SHARPNESS), (100, QUICK_PROBES)]
WIDTHS += [pytest.param(width, ALL_PROBES, marks=pytest.mark.slow) for width in (10, 64, 100)]


@pytest.mark.parametrize(("width", "probes"), WIDTHS, ids=["1", "10", "100 quickly", "10 whole", "64", "100"])
@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("norm", sorted(NORM_TABLE))
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_run_is_the_same_bits_alone_and_in_any_stack(dtype, norm, trace, width, probes, rng):
    """Every column, every array of every layer, every probe, every parameter."""
    sample = data(rng, n=70, n_in=9)
    shape = {"depth": 2, "width": width, "dtype": dtype, "norm": norm, "residual": 0.5}
    options = {"batch": 33, "trace": trace, "optimiser": "momentum", "probes": probes, "watch": LATER}
    check_in_company(sample, shape=shape, options=options)


@pytest.mark.parametrize(("dtype", "trace"), [("float32", "batch"), ("float64", "probe_set")])
def test_the_costliest_probe_is_the_same_bits_alone_and_in_any_stack(dtype, trace, rng):
    options = {"batch": 33, "trace": trace, "probes": ["sharpness"], "watch": LATER}
    check_in_company(data(rng, n=70), shape={"dtype": dtype, "norm": "batch"}, options=options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimiser", sorted(OPTIMISERS))
def test_with_every_optimiser(optimiser, dtype, rng):
    options = {"batch": 16, "optimiser": optimiser, "clip": 0.5, "weight_decay": 0.01, "schedule": "cosine"}
    options["probes"] = []  # which see the arrays that are compared, whatever optimiser made them
    check_in_company(data(rng, n=40), shape={"width": 10, "dtype": dtype}, options=options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("act", ["relu", "sigmoid", "gelu", "mish"])
def test_with_every_loss_and_kind_of_activation(act, loss, dtype, rng):
    shape = {"act": act, "width": 10, "dtype": dtype}
    probes = BUT_SHARPNESS if (dtype, loss) == ("float64", "softmax_cross_entropy") else QUICK_PROBES
    options = {"batch": 16, "loss": loss, "probes": probes, "watch": LATER}
    check_in_company(data(rng, n=40), shape=shape, options=options)


@pytest.mark.parametrize(
    ("depth", "dtype"), [(0, "float32"), (0, "float64"), (40, "float32"), (9, "float64")]
)
def test_at_every_depth(depth, dtype, rng):
    """At 40 layers of sigmoids a float32 gradient is rescaled on its way; in float64 that takes hundreds."""
    shape = {"act": "sigmoid", "depth": depth, "width": 10, "dtype": dtype}
    probes = QUICK_PROBES if depth else BUT_SHARPNESS
    check_in_company(
        data(rng, n=40), shape=shape, options={"batch": 16, "probes": probes, "watch": LATER[:1]}
    )


@pytest.mark.parametrize("batch", [1, 2, 40])
@pytest.mark.parametrize("dtype", DTYPES)
def test_at_every_batch_size(batch, dtype, rng):
    shape = {"width": 10, "dtype": dtype}
    options = {"batch": batch, "probe_set": batch, "probes": QUICK_PROBES}
    check_in_company(data(rng, n=40), shape=shape, options=options)


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_a_probe_set_is_larger_than_a_cache(dtype, rng):
    """Runs are then traced in groups, and the groups differ with the stack."""
    shape = {"width": 100, "dtype": dtype, "norm": "batch"}
    options = {"batch": 33, "probes": QUICK_PROBES, "watch": LATER[:1]}
    check_in_company(data(rng, n=700, n_in=9), shape=shape, options=options)


def overshoots(net):
    net.params[0] *= 1e30


def is_infinite(net):
    net.layers[0].w[0, 0, 0] = inf


def is_nan(net):
    net.layers[-1].b[0] = np.nan


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("trouble", [overshoots, is_infinite, is_nan])
def test_a_neighbour_that_diverges_changes_not_one_bit(trouble, norm, trace, dtype, rng):
    sample, options = data(rng, n=40), {"batch": 16, "trace": trace, "clip": 1.0, "optimiser": "adam"}
    options |= {"probes": BUT_SHARPNESS if dtype == "float64" else QUICK_PROBES, "watch": [0, 1]}
    shape = {"width": 10, "dtype": dtype, "norm": norm, "residual": 0.5}
    alone = trained([ALONE], sample, shape=shape, options=options)
    stack = trained([1, ALONE], sample, shape=shape, options=options, break_run=trouble)
    same_bits(alone, stack, 0, 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_neighbours_rate_of_1e30_changes_not_one_bit(dtype, rng):
    sample = data(rng, n=40)
    options = {"steps": 6, "batch": 16, "probes": BUT_SHARPNESS}
    alone = watch(network(seeds=[1], dtype=dtype), sample, seeds=[1], lr=[0.1], **options)
    stack = watch(network(seeds=[0, 1], dtype=dtype), sample, seeds=[0, 1], lr=[1e30, 0.1], **options)
    same_bits(alone, stack, 0, 1)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="a batch of 5 is asked for and there are 4 examples"):
        next(batches(4, 5, [0]))


@pytest.mark.parametrize("trace", TRACES)
def test_twice_the_same_is_the_same_bits(trace, rng):
    sample, options = data(rng, n=40), {"batch": 16, "trace": trace}
    same_bits(*(trained([0], sample, shape={"norm": "batch"}, options=options) for _ in range(2)), 0, 0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_watching_changes_no_training(norm, dtype, rng):
    """On a probe set: which steps are watched, and on how many examples, leaves no bit in the weights."""
    sample, params = data(rng, n=40), []
    for steps, probe_set in (([], 40), (range(6), 40), ([2, 5], 7)):
        net = network("sigmoid", seeds=[0], dtype=dtype, norm=norm)
        watch(net, sample, seeds=[0], steps=5, watch=steps, probe_set=probe_set, batch=16)
        params.append(net.params)
    assert np.array_equal(params[0], params[1])
    assert np.array_equal(params[0], params[2])


@pytest.mark.parametrize("norm", NORMS)
def test_watching_the_batch_changes_training_by_roundings_alone(norm, rng):
    """Its pass takes the exact slope, where a step that is not watched takes the slope of a alone."""
    sample, params = data(rng, n=40), []
    for steps in ([], range(6)):
        net = network("sigmoid", seeds=[0], norm=norm)
        watch(net, sample, seeds=[0], steps=5, watch=steps, batch=16, trace="batch")
        params.append(net.params)
    np.testing.assert_allclose(*params, rtol=1e-11, atol=1e-13)
