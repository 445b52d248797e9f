"""Parameters as views of one block, how a network starts, and what it predicts."""

from math import sqrt

import naive
import numpy as np
import pytest
from small import NORMS, data, network, shaken

from mlp.network import EXAMPLES_AT_ONCE, create, parameter_count
from mlp.registry import RegistryError
from mlp.tape import Tape

DTYPES = ["float32", "float64"]
BORN_DEAD = [("he_normal", 2, 0.885), ("he_normal", 5, 0.132), ("rai", 2, 0.231), ("rai", 5, 0.0046)]
SHAPES = [(4, 3), (4, 5, 3), (4, 5, 5, 3), (2, 1, 1, 1)]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_every_parameter_belongs_to_one_place_of_one_layer(sizes, norm):
    net = create(sizes, "tanh", seeds=[0, 1], init=["normal", "normal"], norm=norm)
    assert net.params.shape == (2, parameter_count(sizes, normed=norm != "none"))
    flat = np.zeros_like(net.params)
    for layer in net.views(flat):
        for part in (layer.w, layer.b, layer.gain, layer.shift):
            if part is not None:
                part += 1
        assert flat[:, layer.block].all()
    assert (flat == 1).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_shapes_are_what_the_docstring_says(sizes, norm):
    net = create(sizes, "tanh", seeds=[0, 1], init=["normal", "normal"], norm=norm)
    assert (net.runs, net.depth, len(net.layers)) == (2, len(sizes) - 2, len(sizes) - 1)
    for index, layer in enumerate(net.layers):
        assert layer.w.shape == (2, sizes[index], sizes[index + 1])
        assert layer.b.shape == (2, 1, sizes[index + 1])
        assert (layer.gain is not None) == (norm != "none" and index < net.depth)
        if layer.gain is not None:
            assert (layer.gain == 1).all()
            assert (layer.shift == 0).all()


def test_parameter_count_by_hand():
    assert parameter_count((4, 5, 3)) == 4 * 5 + 5 + 5 * 3 + 3
    assert parameter_count((4, 5, 3), normed=True) == 4 * 5 + 5 + 5 + 5 + 5 * 3 + 3


def test_layers_are_views_of_the_parameters():
    net = network(seeds=[0, 1])
    net.layers[1].w[1, 2, 3] = 42.0
    assert (net.params == 42).sum() == 1
    part = net.part(slice(1, 2))
    assert part.layers[1].w[0, 2, 3] == 42
    part.params[:] = 7.0
    assert (net.params[1] == 7).all()
    assert (net.params[0] != 7).all()


def test_a_skip_joins_hidden_layers_from_the_second_on():
    """The first layer changes the width; the output layer is what the loss sees."""
    assert [network(depth=3, residual=0.5).is_skip(index) for index in range(4)] == [False, True, True, False]
    assert not any(network(depth=3).is_skip(index) for index in range(4))
    assert [network(depth=1, residual=1.0).is_skip(index) for index in range(2)] == [False, False]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_number_format_is_the_networks(dtype, rng):
    net = network(dtype=dtype, norm="batch", residual=0.3)
    x = rng.normal(size=(6, 4)).astype(dtype)
    taped = Tape(net, 6, exact=True)
    assert {net.params.dtype, net.layers[0].w.dtype, taped.forward(x[None]).dtype} == {np.dtype(dtype)}
    assert net.predict(x, taped.moments).dtype == dtype


@pytest.mark.parametrize("residual", [0.0, 0.7])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_predictions_are_the_plain_loops(depth, residual, rng):
    net, x = network("tanh", depth=depth, seeds=[3, 4], residual=residual), rng.normal(size=(6, 4))
    logits = net.predict(x)
    assert logits.shape == (2, 6, 3)
    for r in range(2):
        layers = [naive.Layer(p.w[r].tolist(), p.b[r, 0].tolist(), [], []) for p in net.layers]
        slow = naive.Net(layers, *naive.ACTIVATIONS["tanh"], residual=residual)
        np.testing.assert_allclose(logits[r], naive.forward(slow, x.tolist())[-1].z, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("residual", [0.0, 0.7])
@pytest.mark.parametrize("norm", NORMS)
def test_predictions_on_the_probe_set_are_the_tapes(norm, residual, dtype, rng):
    """By the batch's own moments, predicting is the same thing as passing forward."""
    net = shaken(network(depth=3, seeds=[0, 1], norm=norm, residual=residual, dtype=dtype), rng)
    x = data(rng, n=50).x.astype(dtype)
    taped = Tape(net, 50, exact=True)
    logits = taped.forward(x[None])
    few = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(net.predict(x, taped.moments), logits, rtol=few, atol=few)


def test_batch_normalised_predictions_of_one_example_do_not_depend_on_the_others(rng):
    net = shaken(network(depth=2, seeds=[0], norm="batch"), rng)
    x = rng.normal(size=(50, 4))
    taped = Tape(net, 50, exact=True)
    taped.forward(x[None])
    few = net.predict(x[:3], taped.moments)
    np.testing.assert_allclose(few, net.predict(x, taped.moments)[:, :3], rtol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_a_large_set_is_predicted_in_parts_and_in_order(norm, rng):
    net = shaken(network(depth=2, seeds=[0, 1], norm=norm), rng)
    x = rng.normal(size=(2 * EXAMPLES_AT_ONCE + 7, 4))
    taped = Tape(net, len(x), exact=True)
    logits = taped.forward(x[None])
    np.testing.assert_allclose(net.predict(x, taped.moments), logits, rtol=1e-10, atol=1e-12)


def test_predicting_changes_nothing(rng):
    net, x = shaken(network(seeds=[0], norm="layer"), rng), rng.normal(size=(6, 4))
    before = net.params.copy(), x.copy()
    first = net.predict(x)
    assert np.array_equal(net.predict(x), first)
    assert np.array_equal(net.params, before[0])
    assert np.array_equal(x, before[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_run_predicts_the_same_alone_and_beside_one_without_numbers(dtype, rng):
    x = rng.normal(size=(6, 4)).astype(dtype)
    net = network(depth=3, seeds=[0, 1, 2], dtype=dtype)
    alone = net.part(slice(1, 2)).predict(x)
    net.params[0], net.params[2] = np.inf, np.nan
    assert np.array_equal(net.predict(x)[1:2], alone)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"act": "tahn"}, "unknown activation 'tahn'. Did you mean 'tanh'?"),
        ({"init": "xavier"}, "unknown initialiser 'xavier'. Did you mean 'xavier_normal'?"),
        ({"bias": "zero"}, "unknown bias initialiser 'zero'. Did you mean 'zeros'?"),
        ({"norm": "bacth"}, "unknown normalisation 'bacth'. Did you mean 'batch'?"),
    ],
)
def test_a_misspelt_name_is_told_so(options, message):
    with pytest.raises(RegistryError) as error:
        network(**options)
    assert str(error.value).startswith(message)


@pytest.mark.slow
@pytest.mark.parametrize(("init", "width", "share"), BORN_DEAD)
def test_as_many_networks_are_born_dead_as_published(init, width, share):
    """No unit of some layer is positive anywhere on [−√3, √3]: ReLU, 9 hidden layers, 4,000 networks.

    Lu, Shin, Su & Karniadakis 2019; the shares are of 8,000 networks of another program.
    """
    nets, x = 4000, np.linspace(-sqrt(3), sqrt(3), 65)[:, None]
    net = create((1, *[width] * 9, 1), "relu", seeds=range(nets), init=[init] * nets)
    h, alive = x[None], np.ones(nets, bool)
    for layer in net.layers[:-1]:
        h = np.maximum(h @ layer.w + layer.b, 0)
        alive &= (h > 0).any(axis=(1, 2))
    error = sqrt(share * (1 - share) * (1 / nets + 1 / 8000))
    assert 1 - alive.mean() == pytest.approx(share, abs=4 * error)
