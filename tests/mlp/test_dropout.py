"""Dropout, a learning rate by layer, and an output activation: each held against its law."""

import numpy as np
import pytest
from small import data, gradients, network, watch

from mlp.activations import activation
from mlp.dropout import Dropout
from mlp.losses import LOSSES
from mlp.tape import Tape
from mlp.train import train

LABELS = np.array([[0, 2, 1, 2], [1, 1, 0, 2]])


# -- dropout -----------------------------------------------------------------------------------------------


def masked_loss(net, x, y, masks):
    """(R,) loss of a forward pass in plain NumPy with these masks."""
    h = np.repeat(x[None], net.runs, axis=0)
    for index, layer in enumerate(net.layers):
        z = h @ layer.w + layer.b
        if index == net.depth:
            return LOSSES["softmax_cross_entropy"](z, y[None])[0]
        a = net.act.f(z) * masks[index]
        h = h + net.residual * a if net.is_skip(index) else a
    raise AssertionError("a network has an output layer")


@pytest.mark.parametrize("residual", [0.0, 0.7])
@pytest.mark.parametrize("act", ["tanh", "sigmoid", "gelu"])  # with and without a fast form
def test_its_gradient_is_that_of_the_network_with_those_units_left_out(act, residual, rng):
    net, sample = network(act, 3, 5, seeds=[0, 1], residual=residual), data(rng)
    tape = Tape(net, len(sample.x), exact=False)
    tape.masks = Dropout(net, len(sample.x), [0, 1], 0.4).masks(7)
    _, d_logits = LOSSES["softmax_cross_entropy"](tape.forward(sample.x[None]), sample.y[None])
    grads = np.empty_like(net.params)
    tape.gradients(d_logits, net.views(grads))
    tape.backwards.unscale(grads)
    direction, h = rng.normal(size=net.params.shape), 1e-6
    ends = [
        masked_loss(net.with_params(net.params + sign * h * direction), sample.x, sample.y, tape.masks)
        for sign in (1, -1)
    ]
    # h² and 1e-16/h are 1e-12 and 1e-10
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * h), (grads * direction).sum(axis=1), rtol=1e-6)


def test_the_share_is_left_out_and_the_mean_stays():
    net = network(depth=2, width=50, seeds=[0])
    one, two = Dropout(net, 400, [0], 0.3).masks(0)
    assert set(np.unique(one)) == {0.0, 1 / 0.7}
    se = np.sqrt(0.3 * 0.7 / one.size)
    for mask in (one, two):
        assert (mask == 0).mean() == pytest.approx(0.3, abs=4 * se)
        assert mask.mean() == pytest.approx(1, abs=4 * se / 0.7)
    assert (one != two).any()


def test_masks_depend_on_the_run_and_the_step_alone():
    net = network(seeds=[3, 4, 5])
    stacked = Dropout(net, 6, [3, 4, 5], 0.5)
    alone = Dropout(net.part(slice(1, 2)), 6, [4], 0.5)
    for ours, theirs in zip(stacked.masks(2), alone.masks(2), strict=True):
        assert np.array_equal(ours[1:2], theirs)
    assert (stacked.masks(2)[0] != stacked.masks(3)[0]).any()


@pytest.mark.parametrize(
    "options", [{"dropout": 0.3}, {"layer_lr": 3.0}, {"dropout": 0.3, "layer_lr": 0.5}], ids=str
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_is_the_same_bits_alone_and_in_a_stack(dtype, options, rng):
    sample = data(rng)
    together = watch(network(seeds=[0, 1, 2], dtype=dtype), sample, seeds=[0, 1, 2], steps=3, **options)
    alone = watch(network(seeds=[1], dtype=dtype), sample, seeds=[1], steps=3, **options)
    assert np.array_equal(together[-1].params[1:2], alone[-1].params)


def test_what_is_measured_has_all_its_units(rng):
    """The first snapshot, taken before any update, is that of a training without dropout."""
    sample = data(rng)
    probes = ["delta_norm", "dw_norm", "z_var"]
    plain, dropped = (
        watch(network(), sample, seeds=[0], steps=2, probes=probes, dropout=share) for share in (0.0, 0.5)
    )
    assert plain[0].columns["loss"] == dropped[0].columns["loss"]
    assert all(plain[0].layers[1][name] == dropped[0].layers[1][name] for name in probes)
    assert (plain[0].layers[1]["step"] != dropped[0].layers[1]["step"]).any()


def test_a_trace_of_a_batch_with_units_left_out_is_refused(rng):
    with pytest.raises(ValueError, match="a network with units left out"):
        next(
            train(
                network(),
                data(rng),
                seeds=[0],
                lr=[0.1],
                steps=1,
                batch=4,
                watch=[0],
                dropout=0.1,
                trace="batch",
            )
        )


# -- a learning rate by layer ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimiser", "decay"), [("sgd", 0.0), ("momentum", 0.1), ("adam", 0.0), ("adamw", 0.1)]
)
def test_a_layer_s_step_is_that_of_training_alone_at_its_own_rate(optimiser, decay, rng):
    """The first step of every optimiser is proportional to its rate; layer l of 3 has lr·2^(3 − l)."""
    sample, common = data(rng), {"optimiser": optimiser, "weight_decay": decay, "steps": 1, "seeds": [0]}
    found = watch(network(), sample, lr=0.1, layer_lr=2.0, **common)[0]
    for layer in (1, 2, 3):
        alone = watch(network(), sample, lr=0.1 * 2 ** (3 - layer), **common)[0]
        np.testing.assert_allclose(found.layers[layer]["step"], alone.layers[layer]["step"], rtol=1e-12)


def test_biases_and_gains_learn_at_their_layer_s_rate(rng):
    sample = data(rng)
    first, last = (
        watch(network(norm="layer"), sample, lr=0.1, layer_lr=rate, steps=1, seeds=[0]) for rate in (1.0, 4.0)
    )
    net = network(norm="layer")
    moved = [each[1].params - each[0].params for each in (first, last)]
    for index, layer in enumerate(net.layers):
        np.testing.assert_allclose(
            moved[1][:, layer.block], 4.0 ** (2 - index) * moved[0][:, layer.block], rtol=1e-9, atol=1e-15
        )


# -- an output activation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["sigmoid", "tanh", "softplus"])
def test_a_loss_with_an_output_activation_is_the_loss_of_its_outputs(output, rng):
    z, h, f = rng.normal(size=(2, 4, 3)), 1e-6, activation(output)
    loss = LOSSES.bind(f"mean_squared_error(output={output})")
    value, gradient = loss(z.copy(), LABELS)
    assert value == pytest.approx(((f.f(z) - np.eye(3)[LABELS]) ** 2).mean(axis=(1, 2)), rel=1e-12)
    direction = rng.normal(size=z.shape)
    ahead, back = (loss(z + sign * h * direction, LABELS)[0] for sign in (1, -1))
    np.testing.assert_allclose((ahead - back) / (2 * h), (gradient * direction).sum(axis=(1, 2)), rtol=1e-7)


def test_a_saturated_output_starves_its_own_layer():
    """Nielsen 2015, chapter 3: a wrong sigmoid at z = 10 learns by σ' = 4.5e-5."""
    z, y = np.full((1, 1, 2), 10.0), np.array([[0]])
    squared = LOSSES.bind("mean_squared_error(output=sigmoid)")(z, y)[1][0, 0, 1]
    crossed = LOSSES["sigmoid_cross_entropy"](z, y)[1][0, 0, 1]
    assert squared == pytest.approx(4.5395e-5 * crossed, rel=1e-3)


def test_numbers_are_predicted_by_a_squared_error_alone(rng):
    """z (R, B, 1) against y (R, B): 2(z − y)/B, and no answer is right or wrong."""
    net, x, y = network(classes=1, seeds=[0, 1]), rng.normal(size=(9, 4)), rng.normal(size=9)
    z = net.predict(x)
    value, gradient = LOSSES["mean_squared_error"](z, y[None])
    assert value == pytest.approx(((z[..., 0] - y) ** 2).mean(axis=1), rel=1e-12)
    np.testing.assert_allclose(gradient[..., 0], 2 * (z[..., 0] - y) / 9, rtol=1e-12)
    exact, lean = (gradients(net, x, y, "mean_squared_error", lean=lean) for lean in (False, True))
    np.testing.assert_allclose(exact, lean, rtol=1e-9, atol=1e-14)
