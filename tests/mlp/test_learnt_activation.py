"""An activation that learns a number: its gradient, where it begins, what it learns, and what it refuses."""

import numpy as np
import pytest
from small import data, network, shaken, watch

from mlp.activation_type import Activation, Learnt
from mlp.activations import activation
from mlp.losses import LOSSES, evaluate
from mlp.network import Network
from mlp.probes import PROBES
from mlp.tape import Tape
from mlp.train import Data, train

NORMS = ("none", "batch", "layer")


def loss_at(net, params, x, y):
    tape = Tape(net.with_params(params), x.shape[1], exact=False)
    return evaluate(LOSSES.bind("softmax_cross_entropy"), tape.forward(x), y)[0]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("norm", "residual"), [("none", 0.0), ("batch", 0.0), ("layer", 0.5), ("none", 1.0)])
def test_its_gradient_is_that_of_a_finite_difference(norm, residual, exact, rng):
    net = shaken(network("prelu", depth=3, seeds=(0, 1), norm=norm, residual=residual), rng)
    sample = data(rng)
    x, y = sample.x[None], sample.y[None]
    tape, grads = Tape(net, len(sample.x), exact=exact), np.zeros_like(net.params)
    _, d_logits, exponent = evaluate(LOSSES.bind("softmax_cross_entropy"), tape.forward(x), y)
    tape.gradients(d_logits, net.views(grads), exponent)
    tape.backwards.unscale(grads)
    for index, layer in enumerate(net.layers[:-1]):
        ends = []
        for step in (1e-6, -1e-6):
            moved = net.params.copy()
            net.views(moved)[index].learnt[:] = layer.learnt + step
            ends.append(loss_at(net, moved, x, y))
        wanted = (ends[0] - ends[1]) / 2e-6
        found = net.views(grads)[index].learnt[:, 0, 0]
        assert np.abs(found).min() > 1e-4  # else the next line says little
        np.testing.assert_allclose(found, wanted, rtol=1e-5)  # the step's square, and rounding over the step


def test_it_begins_as_a_leaky_relu_and_learns(rng):
    sample = data(rng)
    asked = {"seeds": (0,), "steps": 1, "lr": [0.1], "batch": 6}
    first = watch(network("prelu(slope=0.1)", depth=3), sample, **asked)
    other = watch(network("leaky_relu(slope=0.1)", depth=3), sample, **asked)
    assert first[0].columns["loss"] == other[0].columns["loss"]
    assert first[1].columns["loss"] != other[1].columns["loss"]


def test_one_unit_learns_the_absolute_value():
    """w·f(v·x) = |x| for p = −1 and v·w = 1, and for no other slope."""
    x = np.linspace(-1, 1, 40)[:, None]
    y = np.abs(x[:, 0])
    net = network("prelu", depth=1, width=1, n_in=1, classes=1, init="constant(value=0.7)", bias="zeros")
    *_, last = train(net, Data(x, y, x, y), seeds=[0], lr=[0.3], steps=600, batch=40, watch=[600],
                     loss="mean_squared_error")  # fmt: skip
    assert last.loss[0] < 1e-6
    assert net.layers[0].learnt[0, 0, 0] == pytest.approx(-1, abs=0.01)
    slopes = {trace.layer: PROBES["slope_below"](trace)[0] for trace in last.layers}
    assert slopes == {1: net.layers[0].learnt[0, 0, 0], 2: 1.0}


@pytest.mark.parametrize("norm", NORMS)
def test_a_stack_is_its_runs_alone_bit_for_bit(norm, rng):
    sample = data(rng)
    asked = {"norm": norm, "depth": 3, "residual": 0.5}

    def ends(seeds):
        net = network("prelu", seeds=seeds, **asked)
        rates = [0.1 + seed / 10 for seed in seeds]
        for _ in train(net, sample, seeds=seeds, lr=rates, steps=5, batch=6, watch=[5], weight_decay=0.1):
            pass
        return net.params

    np.testing.assert_array_equal(ends([0, 1, 2]), np.concatenate([ends([seed]) for seed in (0, 1, 2)]))


def test_weight_decay_leaves_it_alone(rng):
    net = network("prelu", depth=2)
    for _ in train(net, data(rng), seeds=[0], lr=[1e-3], steps=40, batch=6, watch=[40], optimiser="adamw",
                   weight_decay=500.0):  # fmt: skip
        pass
    assert np.abs(net.layers[0].w).max() < 1e-2
    assert net.layers[0].learnt[0, 0, 0] > 0.2


def test_a_slope_that_fades_may_not_be_learnt():
    """Where it does is worked out once, and would be wrong for every other number."""
    rule, tanh = Learnt(1.0, lambda z, p: p * z, lambda z, a, p: p, lambda z, p: z), activation("tanh")
    with pytest.raises(ValueError, match="fades"):
        Activation(tanh.f, tanh.df, learnt=rule)
    assert Activation(lambda z: +z, lambda z, a: np.ones_like(z), learnt=rule).learnt is rule


@pytest.mark.parametrize("norm", NORMS)
def test_another_activation_keeps_the_weights(norm, rng):
    net = shaken(network("prelu", depth=3, seeds=(0, 1), norm=norm), rng)
    leaky = net.with_activation("leaky_relu")
    again = leaky.with_activation("prelu")
    assert isinstance(leaky, Network)
    assert leaky.params.shape[1] == net.params.shape[1] - 3
    for old, middle, new in zip(net.layers, leaky.layers, again.layers, strict=True):
        for name in ("w", "b", "gain", "shift"):
            np.testing.assert_array_equal(getattr(old, name), getattr(middle, name))
            np.testing.assert_array_equal(getattr(old, name), getattr(new, name))
    assert {float(layer.learnt.max()) for layer in again.layers[:-1]} == {0.25}
