"""Signals and steps that leave their number format are followed beyond it.

The truth is the same network in float64, or with weights so scaled that nothing there can underflow.
"""

from math import log10

import numpy as np
import pytest
from small import DTYPES, data, measured, network, traces, watch

from mlp.activation_type import is_linear_at_zero
from mlp.activations import ACTIVATIONS, Activation, activation
from mlp.network import Network
from mlp.numbers import rms
from mlp.tape import Tape

# -- underflow on the way forwards -------------------------------------------------------------------------

WATCHED = ["delta_log10", "dw_log10", "dead_fraction", "zero_fraction", "inactive_fraction", "a_rms", "z_rms"]


@pytest.mark.parametrize("trace", ["probe_set", "batch"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("act", ["relu", "leaky_relu", "identity"])
def test_a_signal_that_leaves_the_format_is_followed(act, dtype, trace):
    """Homogeneous layers: with weights of he_normal the same network, each layer a known factor larger."""
    depth, width, bits = {"float32": 20, "float64": 70}[dtype], 8, 20
    sample = data(np.random.default_rng(1), n=16, n_in=width)
    small = network(act, depth, width, n_in=width, seeds=[0], init="he_normal", bias="zeros", dtype=dtype)
    plain = Network(small.sizes, small.act, small.params.astype(np.float64))
    for layer in small.layers[:-1]:
        layer.w[:] *= 2.0**-bits  # exact, so that the weights are the same
    found = measured(small, sample, WATCHED, trace=trace)
    taped = Tape(plain, 16 if trace == "probe_set" else 4, exact=True)
    x = next(t for t in traces(small, sample, steps=0, trace=trace) if t.layer == 1).x
    y = sample.y[None] if trace == "probe_set" else None
    taped.forward(x.astype(np.float64))
    for layer in (1, depth // 2, depth):
        a, z = taped.saved[layer - 1].a, taped.saved[layer - 1].z
        shrunk = -bits * layer * log10(2)
        close = {"rel": 1e-4 if dtype == "float32" else 1e-10}
        if abs(shrunk) < 300:
            assert found[layer]["a_rms"][0] == pytest.approx(rms(a)[0] * 10.0**shrunk, abs=0, **close)
            assert found[layer]["z_rms"][0] == pytest.approx(rms(z)[0] * 10.0**shrunk, abs=0, **close)
        dead = (act == "relu") * (z <= 0).all(axis=1).mean()
        assert found[layer]["dead_fraction"] == dead
        assert found[layer]["inactive_fraction"] == (z <= 0).all(axis=1).mean()
    if y is None:
        return
    # with tiny logits p is 1/3 in every class: the larger network is given that gradient on top
    d_logits = (np.full((1, 16, 3), 1 / 3) - np.eye(3)[y]) / 16
    grads = plain.views(np.zeros_like(plain.params))
    for index in taped.backward(d_logits, grads):
        log_delta = log10(np.linalg.norm(taped.delta[index])) - taped.exponent[index][0] * log10(2)
        log_dw = log10(np.linalg.norm(grads[index].w)) - taped.exponent[index][0] * log10(2)
        above = bits * max(0, depth - index - 1) * log10(2)
        below = bits * index * log10(2)
        close = 1e-4 if dtype == "float32" else 1e-10
        assert found[index + 1]["delta_log10"][0] == pytest.approx(log_delta - above, abs=close)
        assert found[index + 1]["dw_log10"][0] == pytest.approx(log_dw - above - below, abs=close)


LINES = ["tanh", "gelu", "silu", "selu", "elu", "mish", "softsign", "hard_tanh", "lecun_tanh", "arctan"]


@pytest.mark.parametrize("act", [*LINES, "sigmoid(shift=-0.5)"])
def test_every_activation_that_is_a_line_near_zero_is_followed_in_float32(act):
    """Where float32 ends at 1e-45, float64 does not: what one follows the other holds."""
    sample = data(np.random.default_rng(1), n=16, n_in=6)
    narrow, wide = (
        measured(network(act, 26, 6, n_in=6, seeds=[0], init="normal(std=0.005)", bias="zeros", dtype=dtype),
                 sample, WATCHED) for dtype in DTYPES
    )  # fmt: skip
    assert wide[26]["a_rms"] < 1e-46
    for layer in wide:
        for name in WATCHED:
            np.testing.assert_allclose(narrow[layer][name], wide[layer][name], rtol=2e-4, err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e-30, 1e-36])
def test_weights_near_the_end_of_the_format_lose_nothing(size, dtype, rng):
    """Two layers of weights 1e-36 make 1e-72, of which a product in float32 has nothing left."""
    sample = data(rng, n=8)
    net = network("identity", 3, 5, seeds=[0], bias="zeros", dtype=dtype)
    w = [layer.w.astype(np.float64) for layer in net.layers]
    for layer in net.layers:
        layer.w[:] *= size
    found = measured(net, sample, ["z_rms"])
    z = sample.x[None]
    for number in (1, 2, 3, 4):
        z = z @ w[number - 1]
        assert found[number]["z_rms"][0] == pytest.approx(rms(z)[0] * size**number, rel=1e-5, abs=0)


def test_a_bias_ends_the_following(rng):
    """A signal of 1e-50 and a bias of 0.5: z is 0.5; without the bias the signal is followed on."""
    net = network("relu", 30, 5, seeds=[0, 1], init="normal(std=0.01)", bias="zeros", dtype="float32")
    net.layers[28].b[0], sample = 0.5, data(rng)
    found = watch(net, sample, seeds=[0, 1], steps=0, probes=["z_rms"])[0].layers
    assert found[28]["z_rms"].max() < 1e-45
    assert found[29]["z_rms"][0] == pytest.approx(0.5)
    assert found[29]["z_rms"][1] < 1e-45
    alone = watch(net.part(slice(1, 2)), sample, seeds=[1], steps=0, probes=["z_rms"])[0].layers
    assert alone[29]["z_rms"][0] == found[29]["z_rms"][1]


def test_what_cannot_be_followed_is_nan_and_neither_dead_nor_zero(rng):
    """z² is no line at 0: a square underflows in eight layers, and its slopes there are not known."""
    square = Activation(f=lambda z: z * z, df=lambda z, a: 2 * z, max_slope=np.inf)
    plain = network("relu", 12, 5, seeds=[0], bias="zeros")
    net = Network(plain.sizes, square, plain.params * 0.3)
    found = measured(net, data(rng), [*WATCHED, "saturated_fraction"])
    assert not is_linear_at_zero(square, np.dtype(float))
    for name in ("delta_log10", "dead_fraction", "zero_fraction", "saturated_fraction"):
        assert np.isnan(found[12][name]).all(), name
    assert np.isnan(found[1]["delta_log10"])
    assert found[1]["dead_fraction"] == 0  # its own slopes are known


FADED = {"init": "normal(std=0.003)", "bias": "zeros"}  # 28 layers of six units make 1e-60 of a signal


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "nesterov", "rmsprop", "adam"])
@pytest.mark.parametrize("act", ["relu", "tanh", "leaky_relu"])
def test_the_step_of_a_signal_that_leaves_the_format_is_followed(act, optimiser, rng):
    """On the whole set as its batch SGD's step is lr·‖dw‖; the others' are float64's, which holds them."""
    sample, found = data(rng, n=16, n_in=6), {}
    for dtype in DTYPES:
        net = network(act, 28, 6, n_in=6, seeds=[0, 1], dtype=dtype, **FADED)
        net.params[1] *= 40  # beside a run whose signal stays
        seen = watch(net, sample, seeds=[0, 1], steps=1, watch=[0], batch=16, optimiser=optimiser, arrays=(),
                     probes=["update_ratio", "dw_norm", "w_norm", "a_rms"])[0]  # fmt: skip
        found[dtype] = {name: np.array([seen.layers[layer][name] for layer in range(1, 30)])
                        for name in ("update_ratio", "dw_norm", "w_norm", "a_rms")}  # fmt: skip
    narrow, wide = found["float32"], found["float64"]
    assert wide["a_rms"][27, 0] < 1e-46
    assert (wide["dw_norm"] > 0).all()
    np.testing.assert_allclose(narrow["update_ratio"], wide["update_ratio"], rtol=1e-3)
    if optimiser == "sgd":
        ratio = 0.1 * narrow["dw_norm"] / narrow["w_norm"]
        np.testing.assert_allclose(narrow["update_ratio"], ratio, rtol=1e-5)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
def test_a_step_that_is_followed_is_a_run_s_own(optimiser, rng):
    """Alone, beside a run that does not fade and beside one that does: bit for bit."""
    sample = data(rng, n=16, n_in=6)
    net = network("relu", 28, 6, n_in=6, seeds=[0, 1, 2], dtype="float32", **FADED)
    net.params[1] *= 40
    options = {"steps": 4, "watch": [1, 4], "optimiser": optimiser, "probes": ["update_ratio"]}
    alone = watch(net.part(slice(1)).with_params(net.params[:1].copy()), sample, seeds=[0], **options)
    beside = watch(net, sample, seeds=[0, 1, 2], **options)
    for one, other in zip(alone, beside, strict=True):
        for layer in range(1, 30):
            np.testing.assert_array_equal(
                one.layers[layer]["update_ratio"][0], other.layers[layer]["update_ratio"][0]
            )


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_step_that_is_followed_changes_no_update(optimiser, rng):
    """Watched at every step or at the ends only: the same weights, bit for bit."""
    sample, ends = data(rng, n=16, n_in=6), []
    for watched in ([0, 1, 2, 3, 4], [4]):
        net = network("relu", 28, 6, n_in=6, seeds=[0], dtype="float32", **FADED)
        ends.append(watch(net, sample, seeds=[0], steps=4, watch=watched, optimiser=optimiser)[-1].params)
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize("act", ["relu", "tanh"])
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_a_signal_that_is_lost_before_a_normalisation_is_nan(norm, act, rng):
    """Weights of 1e-30: eps keeps layer 1 at 1e-28, and x·w of layer 2 is 1e-58, which float32 makes 0."""
    sample = data(rng, n=12)
    options = {"seeds": [0], "init": "normal(std=1e-30)", "bias": "zeros", "norm": norm}
    narrow, wide = (
        measured(network(act, 4, 5, dtype=dtype, **options), sample, [*WATCHED, "saturated_fraction"])
        for dtype in DTYPES
    )
    assert wide[2]["z_rms"] > 0
    assert wide[2]["dead_fraction"] == narrow[1]["dead_fraction"] == 0
    for layer in (2, 3, 4):
        for name in ("dead_fraction", "zero_fraction", "saturated_fraction", "delta_log10"):
            assert np.isnan(narrow[layer][name]).all(), (layer, name)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_a_normalised_z_that_is_truly_0_is_not_taken_for_underflow(norm, rng):
    """A layer of width 1, or a batch of one, is 0 after the mean is taken off."""
    net = network("relu", 2, 1, seeds=[0], norm=norm, dtype="float32")
    found = watch(net, data(rng, n=12), seeds=[0], steps=0, batch=1, probe_set=1, probes=["dead_fraction"])
    assert np.isfinite(found[0].layers[1]["dead_fraction"]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_an_activation_is_followed_exactly_where_it_is_a_line_through_0(name, dtype):
    """By its own values at 2^-60 and 2^-61, which no test of linearity looks at."""
    act, z = activation(name), np.array([-1.7, 1.7], dtype) * np.dtype(dtype).type(2.0**-60)
    is_line = bool((act.f(z) != 0).any() and np.allclose(act.f(2 * z), 2 * act.f(z), rtol=1e-5, atol=0))
    assert is_linear_at_zero(act, np.dtype(dtype)) == (is_line and act.f(np.zeros(1))[0] == 0)


# -- steps that are too small to be added ------------------------------------------------------------------


@pytest.mark.parametrize("trace", ["probe_set", "batch"])
@pytest.mark.parametrize(("dtype", "depth"), [("float32", 30), ("float64", 170)])
def test_the_step_is_measured_where_it_moves_no_weight(dtype, depth, trace, rng):
    """sgd on the whole set: lr·‖dw‖/‖w‖ in every layer, far under what the format could add."""
    sample = data(rng, n=12)
    names = ["update_ratio", "dw_norm", "w_norm", "unit_step_norm", "unit_gradient_norm"]
    options = {"seeds": [0], "init": "normal(std=0.1)", "bias": "zeros", "dtype": dtype}
    net = network("sigmoid", depth, 6, **options)
    found = watch(net, sample, seeds=[0], steps=1, batch=12, lr=0.3, trace=trace, probes=names,
                  arrays=())[0].layers  # fmt: skip
    assert found[1]["dw_norm"] < {"float32": 1e-32, "float64": 1e-200}[dtype]
    for layer in range(1, depth + 2):
        of_layer = {name: found[layer][name][0] for name in names}
        true = 0.3 * of_layer["dw_norm"] / of_layer["w_norm"]
        assert of_layer["update_ratio"] == pytest.approx(
            true, rel=1e-4 if dtype == "float32" else 1e-11, abs=0
        )
        assert (of_layer["unit_step_norm"] > 0).all()
        assert (of_layer["unit_step_norm"] < 0.3001 * of_layer["unit_gradient_norm"]).all()
    assert np.array_equal(net.layers[0].w, network("sigmoid", depth, 6, **options).layers[0].w)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "nesterov", "adam", "rmsprop"])
def test_float32s_steps_are_float64s(optimiser, rng):
    """Every optimiser, clipped, at the third step: in float64 the same gradients reach the update."""
    sample, found = data(rng, n=12), []
    for dtype in DTYPES:
        net = network("sigmoid", 30, 6, seeds=[0], init="pytorch_default", bias="zeros", dtype=dtype)
        found.append(watch(net, sample, seeds=[0], steps=3, batch=12, lr=1e-9, clip=0.01, optimiser=optimiser,
                           probes=["update_ratio"], arrays=())[2].layers)  # fmt: skip
    narrow, wide = ([each[layer]["update_ratio"][0] for layer in range(1, 32)] for each in found)
    assert wide[0] < 1e-22
    np.testing.assert_allclose(narrow, wide, rtol=1e-3)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
def test_a_faint_run_s_steps_do_not_depend_on_its_neighbours(optimiser, rng):
    """Run 1 becomes faint later than run 0, whose first small gradient must not start its memory."""
    sample, init = data(rng, n=12), ["normal(std=0.01)", "normal(std=0.6)"]
    options = {"steps": 3, "batch": 12, "optimiser": optimiser, "arrays": ["step"]}
    shape = {"depth": 30, "width": 6, "dtype": "float32", "bias": "zeros"}
    together = watch(network("sigmoid", seeds=[0, 1], init=init, **shape), sample, seeds=[0, 1], **options)
    for r in range(2):
        alone = watch(network("sigmoid", seeds=[r], init=init[r], **shape), sample, seeds=[r], **options)
        for one, all_ in zip(alone, together, strict=True):
            for layer in one.layers:
                pair = one.layers[layer]["step"][0], all_.layers[layer]["step"][r]
                assert pair[0].tobytes() == pair[1].tobytes(), (one.step, layer)
