"""The training loop: by hand, what its snapshots say, divergence and batches."""

from math import exp, inf, log

import numpy as np
import pytest
from small import (
    DTYPES,
    NORMS,
    TRACES,
    data,
    gradients,
    network,
    shaken,
    traces,
    watch,
)

from mlp.losses import LOSSES, accuracy
from mlp.network import create
from mlp.optimisers import OPTIMISERS
from mlp.probes import PROBES, UNIT_PROBES
from mlp.schedules import SCHEDULES
from mlp.train import Data, batches, train
from mlp.update import UpdateRule

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
    """Every parameter, by one of them at least: a step of fixed size may be taken back."""
    net = shaken(network("tanh", depth=2, seeds=[0, 1], norm=norm, residual=0.5), rng)
    before = net.params.copy()
    seen = watch(net, data(rng), seeds=[0, 1], steps=2, lr=[0.01, 0.02], optimiser=optimiser)
    assert [snap.step for snap in seen] == [0, 1, 2]
    assert ((seen[1].params != before) | (net.params != before)).all()
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
