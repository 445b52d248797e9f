"""The training loop: by hand, in any company to the last bit, and what its snapshots say."""

from math import exp, inf, log

import numpy as np
import pytest
from small import (
    ALL_PROBES,
    BUT_SHARPNESS,
    COLUMNS,
    NORMS,
    QUICK_PROBES,
    data,
    gradients,
    network,
    shaken,
    traces,
    watch,
)

from mlp.losses import LOSSES, accuracy
from mlp.network import create
from mlp.norms import NORMS as NORM_TABLE
from mlp.optimisers import OPTIMISERS
from mlp.probes import PROBES, UNIT_PROBES
from mlp.schedules import SCHEDULES
from mlp.train import Data, batches, train
from mlp.update import UpdateRule

DTYPES = ["float32", "float64"]
TRACES = ["probe_set", "batch"]


# -- by hand ----------------------------------------------------------------------------------------------


def sigma(z):
    return 1 / (1 + exp(-z))


def test_one_update_by_hand():
    """One input, two sigmoid units, two classes, one example x = 2 of class 0, lr = 0.5.

    z = (0.5, −1.0)·2 + (0, 1) = (1, −1)           a = (0.7310585786, 0.2689414214)
    logits = a·((1, 0), (0, 2)) = (0.7310585786, 0.5378828427)
    e^logits = (2.0772784067, 1.7123776490)        p = (0.5481443108, 0.4518556892)
    loss = −ln p₀ = 0.6012166859
    delta₂ = p − (1, 0) = (−0.4518556892, 0.4518556892)
    dw₂ = a ⊗ delta₂ = ((−0.3303329779, 0.3303329779), (−0.1215227113, 0.1215227113))
    dLoss/da = (delta₂₀·1, delta₂₁·2) = (−0.4518556892, 0.9037113784)
    slope = a(1 − a) = (0.1966119332, 0.1966119332)
    delta₁ = (−0.0888402206, 0.1776804412)         dw₁ = 2·delta₁ = (−0.1776804412, 0.3553608824)
    """
    net = create((1, 2, 2), "sigmoid", seeds=[0], init=["normal"])
    net.layers[0].w[0], net.layers[0].b[0] = [[0.5, -1.0]], [[0.0, 1.0]]
    net.layers[1].w[0], net.layers[1].b[0] = [[1.0, 0.0], [0.0, 2.0]], [[0.0, 0.0]]
    x, y = np.array([[2.0]]), np.array([0])
    start, end = watch(net, Data(x, y, x, y), seeds=[0], steps=1, batch=1, lr=0.5)
    first, second = start.layers[1], start.layers[2]
    by_hand = [
        (start.columns["loss"], [0.6012166859]),
        (first["z"], [[[1, -1]]]),
        (first["a"], [[[0.7310585786, 0.2689414214]]]),
        (second["z"], [[[0.7310585786, 0.5378828427]]]),
        (second["delta"], [[[-0.4518556892, 0.4518556892]]]),
        (second["dw"], [[[-0.3303329779, 0.3303329779], [-0.1215227113, 0.1215227113]]]),
        (first["slope"], [[[0.1966119332, 0.1966119332]]]),
        (first["delta"], [[[-0.0888402206, 0.1776804412]]]),
        (first["dw"], [[[-0.1776804412, 0.3553608824]]]),
        (first["step"], [[[0.0888402206, -0.1776804412]]]),
        (net.layers[0].w, [[[0.5888402206, -1.1776804412]]]),
        (net.layers[0].b, [[[0.0444201103, 0.9111597794]]]),
        (net.layers[1].w, [[[1.1651664890, -0.1651664890], [0.0607613557, 1.9392386443]]]),
        (net.layers[1].b, [[[0.2259278446, -0.2259278446]]]),
    ]
    for number, (got, expected) in enumerate(by_hand):
        np.testing.assert_allclose(got, expected, rtol=2e-9, err_msg=str(number))  # ten digits are written
    a = sigma(2 * 0.5888402206 + 0.0444201103), sigma(-2 * 1.1776804412 + 0.9111597794)
    logits = [a[0] * 1.1651664890 + a[1] * 0.0607613557 + 0.2259278446,
              a[1] * 1.9392386443 - a[0] * 0.1651664890 - 0.2259278446]  # fmt: skip
    np.testing.assert_allclose(end.columns["loss"], [log(1 + exp(logits[1] - logits[0]))], rtol=1e-8)


# -- nothing and everything ------------------------------------------------------------------------------


@pytest.mark.parametrize("trace", TRACES)
def test_zero_steps_change_nothing(trace, rng):
    net = network(seeds=[0, 1], norm="batch")
    before = net.params.copy()
    seen = watch(net, data(rng), seeds=[0, 1], steps=0, trace=trace)
    assert [snap.step for snap in seen] == [0]
    assert np.array_equal(net.params, before)
    assert all(np.isnan(layer["step"]).all() for layer in seen[0].layers.values())  # none will come


@pytest.mark.parametrize("trace", TRACES)
def test_no_learning_rate_changes_nothing(trace, rng):
    net = network(seeds=[0])
    before = net.params.copy()
    first, *_, last = watch(net, data(rng), seeds=[0], steps=5, lr=0.0, batch=12, trace=trace)
    assert np.array_equal(net.params, before)
    np.testing.assert_allclose(last.columns["loss"], first.columns["loss"], rtol=1e-14)


@pytest.mark.parametrize("optimiser", sorted(OPTIMISERS))
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_two_steps_change_everything(norm, optimiser, rng):
    """Every parameter of every layer, and the rate is the one asked for."""
    net = shaken(network("tanh", depth=2, seeds=[0, 1], norm=norm, residual=0.5), rng)
    before = net.params.copy()
    seen = watch(net, data(rng), seeds=[0, 1], steps=2, lr=[0.01, 0.02], optimiser=optimiser)
    assert [snap.step for snap in seen] == [0, 1, 2]
    assert (net.params != before).all()
    assert all(snap.columns["lr"].tolist() == [0.01, 0.02] for snap in seen[:-1])
    assert np.isnan(seen[-1].columns["lr"]).all()  # no update follows


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_training_learns(loss, norm, rng):
    """150 updates on a dozen examples: they are learnt by heart."""
    net = network("tanh", depth=2, width=16, seeds=[0], norm=norm)
    start, end = watch(net, data(rng), seeds=[0], steps=150, watch=[0, 150], lr=0.5, batch=12, loss=loss)
    assert end.columns["loss"] < 0.3 * start.columns["loss"]
    assert end.columns["accuracy"] == 1


# -- bit for bit ----------------------------------------------------------------------------------------


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


# -- what a snapshot says ---------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("norm", NORMS)
def test_loss_and_accuracy_are_the_named_sets(norm, loss, rng):
    """Train numbers on the first `probe_set` examples, test numbers on the whole test set."""
    sample, net = data(rng, n=40), network(seeds=[0, 1], norm=norm)
    snaps = train(
        net, sample, seeds=[0, 1], lr=[0.1, 0.1], steps=3, batch=16, watch=[0, 3], probe_set=11, loss=loss
    )
    for snap in snaps:
        layers = list(snap.layers)
        logits = layers[0].z
        value, _ = LOSSES[loss](logits.copy(), sample.y[None, :11])
        np.testing.assert_allclose(snap.loss, value, rtol=1e-13)
        assert snap.accuracy.tolist() == (logits.argmax(axis=-1) == sample.y[:11]).mean(axis=-1).tolist()
        assert layers[-1].x.shape == (2, 11, 4)
        assert np.array_equal(layers[-1].x[1], sample.x[:11])
        if norm != "batch":  # whose moments test_network looks after
            test_logits = net.predict(sample.x_test)
            np.testing.assert_allclose(
                snap.test_loss, LOSSES[loss](test_logits.copy(), sample.y_test[None])[0]
            )
            assert np.array_equal(snap.test_accuracy, accuracy(test_logits, sample.y_test[None]))


def test_batch_normalised_test_numbers_come_from_the_probe_sets_moments(rng):
    """With the probe set for a test set they are the train numbers."""
    sample = data(rng, n=40)
    sample = Data(sample.x, sample.y, sample.x, sample.y)
    for snap in watch(network(seeds=[0, 1], norm="batch"), sample, seeds=[0, 1], steps=3, batch=16):
        np.testing.assert_allclose(snap.columns["test_loss"], snap.columns["loss"], rtol=1e-12)
        assert np.array_equal(snap.columns["test_accuracy"], snap.columns["accuracy"])


def test_a_probe_set_is_the_whole_training_set_where_that_is_smaller(rng):
    seen = watch(network(seeds=[0]), data(rng, n=40), seeds=[0], steps=0, probe_set=2048)
    assert seen[0].layers[1]["x"].shape == (1, 40, 4)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_traces_on_the_batch_are_those_of_the_update(dtype, norm, rng):
    """step = −lr·dw to the last bit, and the weights then move by it."""
    net = network(seeds=[0, 1], dtype=dtype, norm=norm, residual=0.5)
    seen = watch(net, data(rng, n=40), seeds=[0, 1], steps=3, batch=16, lr=[0.1, 0.3], trace="batch")
    rates = np.array([0.1, 0.3], dtype)[:, None, None]
    for before, after in zip(seen[:-1], seen[1:], strict=True):
        for layer in (1, 2, 3):
            t = before.layers[layer]
            assert np.array_equal(t["step"], t["dw"].astype(dtype) * -rates)
            assert np.array_equal(t["w"] + t["step"].astype(dtype), after.layers[layer]["w"])


@pytest.mark.parametrize("norm", NORMS)
def test_the_update_is_made_of_the_batchs_gradient(norm, rng):
    """Every run's batch is the first of its own shuffle; the gradient is that of the examples in it."""
    sample, net = data(rng, n=40), network(seeds=[3, 8], norm=norm)
    index = next(batches(40, 16, [3, 8]))
    before = net.params.copy()
    expected = [
        gradients(net.part(slice(r, r + 1)), sample.x[index[r]], sample.y[index[r]])[0] for r in range(2)
    ]
    seen = watch(net, sample, seeds=[3, 8], steps=1, batch=16, lr=0.1, trace="batch")
    np.testing.assert_allclose(net.params, before - 0.1 * np.array(expected), rtol=1e-11, atol=1e-14)
    assert np.array_equal(seen[0].layers[1]["x"], sample.x[index])


def test_numbers_of_a_batch_are_the_batchs_and_test_numbers_come_at_both_ends(rng):
    seen = watch(network(seeds=[0]), data(rng, n=40), seeds=[0], steps=3, batch=16, trace="batch")
    assert [np.isfinite(snap.columns["test_loss"]).all() for snap in seen] == [True, False, False, True]
    assert [np.isfinite(snap.columns["test_accuracy"]).all() for snap in seen] == [True, False, False, True]
    assert all((snap.columns["accuracy"] * 16 % 1 == 0).all() for snap in seen)


def test_watched_steps_and_no_others_are_shown(rng):
    seen = watch(network(seeds=[0]), data(rng), seeds=[0], steps=9, watch=[0, 3, 4, 9, 12])
    assert [snap.step for snap in seen] == [0, 3, 4, 9]
    assert watch(network(seeds=[0]), data(rng), seeds=[0], steps=9, watch=[]) == []


@pytest.mark.parametrize("norm", NORMS)
def test_a_training_that_starts_later_goes_on_as_if_it_had_never_stopped(norm, rng):
    """Over the end of an epoch: 20 examples in batches of 8 are two updates an epoch."""
    sample = data(rng, n=20)
    options = {"seeds": [3, 4], "lr": [0.3, 0.1], "batch": 8, "schedule": "shock(at=3, factor=5)"}
    whole, parted = (network(seeds=(3, 4), norm=norm) for _ in range(2))
    told = [snap.loss for snap in train(whole, sample, steps=7, watch=range(8), **options)]
    first = [snap.loss for snap in train(parted, sample, steps=3, watch=range(4), **options)]
    rest = [snap.loss for snap in train(parted, sample, steps=7, watch=range(8), start=3, **options)]
    assert np.array_equal([*first, *rest[1:]], told)
    assert np.array_equal(first[3], rest[0])
    assert np.array_equal(parted.params, whole.params)


def test_the_weights_of_a_snapshot_are_those_after_its_steps(rng):
    """Step t means after t updates; w0 are the weights at the start, whatever comes later."""
    sample, start = data(rng), network(seeds=[0]).params.copy()
    seen = watch(network(seeds=[0]), sample, seeds=[0], steps=4)
    for t in (1, 2, 3, 4):
        net = network(seeds=[0])
        watch(net, sample, seeds=[0], steps=t, watch=[])
        assert np.array_equal(seen[t].params, net.params)
        assert np.array_equal(seen[t].layers[1]["w"], net.layers[0].w)
        assert np.array_equal(seen[t].layers[1]["w0"].ravel(), start[0, :20])


def test_a_schedule_multiplies_the_rate(rng):
    seen = watch(network(seeds=[0, 1]), data(rng), seeds=[0, 1], steps=3, lr=[0.1, 0.2],
                 schedule="shock(at=1, factor=50.0)")  # fmt: skip
    assert [snap.columns["lr"].tolist() for snap in seen[:-1]] == [[0.1, 0.2], [5, 10], [0.1, 0.2]]
    steps = [snap.layers[3]["step"] for snap in seen]
    assert np.linalg.norm(steps[1]) > 20 * np.linalg.norm(steps[0])


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_every_schedule_reaches_the_update(schedule, rng):
    seen = watch(network(seeds=[0]), data(rng), seeds=[0], steps=3, lr=0.5, schedule=schedule)
    factor = SCHEDULES.bind(schedule)()
    assert [snap.columns["lr"] for snap in seen[:-1]] == [[0.5 * factor(step, 3)] for step in range(3)]
    assert np.isnan(seen[-1].columns["lr"])
    for name in ("update_ratio", "unit_step_norm"):
        probe = PROBES.get(name) or UNIT_PROBES[name]
        for steps, made in ((3, [True, True, True, False]), (0, [False])):  # no update is made up
            net = network(seeds=[0])
            seen = watch(net, data(rng), seeds=[0], steps=steps, schedule=schedule, probes=[probe.__name__])
            assert [np.isfinite(snap.layers[1][name]).all() for snap in seen] == made


# -- divergence ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trace", TRACES)
def test_a_diverging_run_is_marked_with_its_step_and_goes_on(trace, rng):
    net, options = network("relu", seeds=[0, 1], bias="zeros"), {"loss": "mean_squared_error", "trace": trace}
    seen = watch(net, data(rng), seeds=[0, 1], steps=8, lr=[1e60, 0.01], **options)
    assert [snap.step for snap in seen] == list(range(9))
    marks = np.array([snap.columns["diverged_at"] for snap in seen])
    assert (marks[:, 1] == -1).all()
    assert marks[0, 0] == -1
    first = int(marks[-1, 0])
    assert 0 < first <= 8
    for snap in seen:
        assert snap.columns["diverged_at"][0] == (first if snap.step >= first else -1)
        assert np.isfinite(snap.columns["loss"][1])
    assert not np.isfinite(seen[first].columns["loss"][0])
    assert np.isnan(seen[-1].columns["accuracy"][0])


def test_divergence_between_watched_steps_is_noticed(rng):
    seen = watch(network("relu", seeds=[0]), data(rng), seeds=[0], steps=30, watch=[0, 30], lr=[1e60],
                 loss="mean_squared_error")  # fmt: skip
    assert 0 < seen[-1].columns["diverged_at"][0] < 30


def test_divergence_on_the_probe_set_alone_is_noticed(rng):
    """One example too large for its square, not yet met in a batch."""
    sample = data(rng, n=40)
    unmet = next(i for i in range(40) if i not in next(batches(40, 4, [0])))
    sample.x[unmet] = 1e200
    net = network("identity", seeds=[0], bias="zeros")
    start = watch(net, sample, seeds=[0], steps=1, batch=4, loss="mean_squared_error")[0]
    assert start.columns["loss"] == inf
    assert start.columns["diverged_at"] == [0]


def test_a_run_that_starts_without_numbers_diverged_at_step_0(rng):
    net = network(seeds=[0])
    net.params[:] = np.nan
    assert watch(net, data(rng), seeds=[0], steps=1)[0].columns["diverged_at"] == [0]


# -- batches ------------------------------------------------------------------------------------------------


def test_an_epoch_shows_every_example_once_and_the_next_is_shuffled_anew():
    stream = batches(12, 4, [7])
    epochs = [np.concatenate([next(stream)[0] for _ in range(3)]) for _ in range(3)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_what_is_left_of_an_epoch_sits_it_out():
    stream = batches(10, 4, [7])
    for _ in range(3):
        seen = np.concatenate([next(stream)[0] for _ in range(2)])
        assert len(set(seen)) == 8


def test_batches_are_keyed_by_the_seed_alone():
    together, alone = batches(12, 4, [3, 8, 3]), batches(12, 4, [8])
    for _ in range(7):
        index = next(together)
        assert np.array_equal(index[1:2], next(alone))
        assert np.array_equal(index[0], index[2])
        assert not np.array_equal(index[0], index[1])


def test_equal_seeds_see_equal_batches_whatever_the_network(rng):
    sample = data(rng, n=40)
    inputs = [
        [snap.layers[1]["x"] for snap in watch(net, sample, seeds=[4], batch=16, trace="batch")]
        for net in (network("relu", seeds=[4]), network("sigmoid", depth=4, width=7, seeds=[4], norm="batch"))
    ]
    assert all(np.array_equal(a, b) for a, b in zip(*inputs, strict=True))


def test_data_is_not_touched(rng):
    sample = data(rng)
    before = [part.copy() for part in (sample.x, sample.y, sample.x_test, sample.y_test)]
    watch(network(seeds=[0], norm="batch"), sample, seeds=[0], steps=3)
    for part, copy in zip((sample.x, sample.y, sample.x_test, sample.y_test), before, strict=True):
        assert np.array_equal(part, copy)


def test_a_saturated_batch_is_measured_by_exact_slopes(rng):
    """The fast slope 1 − a² is 0 in float32 from |z| = 9 on; what is measured must not be."""
    net = network("tanh", 3, 8, n_in=9, seeds=[0], dtype="float32", init="normal(std=8)")
    sample = data(rng, n=64, n_in=9)
    for t in traces(net, sample, trace="batch", batch=64):
        if t.layer <= 3:
            z = t.z.astype(np.float64)
            np.testing.assert_allclose(t.slope, 1 / np.cosh(z) ** 2, rtol=2e-4, atol=1e-37)
            assert (np.abs(z) > 9).any()
        assert (t.dw != 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_zero_gradient_under_clipping_is_a_zero_step(dtype):
    """Its norm is 0, and one of the zeros may be negative: neither may make the step NaN."""
    net = network(seeds=[0, 1], dtype=dtype)
    rule = UpdateRule(net, "sgd", clip=1.0, weight_decay=0.0)
    grads = np.zeros_like(net.params)
    grads[0, ::2] = -0.0
    grads[1] = 2.0
    step = rule.step(grads, np.ones((2, 1), dtype), np.empty_like(grads))
    assert (step[0] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(step[1]), 1, rtol=1e-6)
