"""What a number format makes up is not measured: zeros, deaths, shares of NaN, steps that were never made.

The truth is worked out apart from the engine: by hand, in Python's decimals, or by the same network in
float64 with weights so scaled that nothing there can underflow.
"""

from decimal import Decimal, getcontext
from itertools import product
from math import log, log10

import numpy as np
import pytest
from small import ALL_PROBES, BUT_SHARPNESS, data, network, traces, watch

from mlp import forward_exponents, true_zeros
from mlp.activation_type import is_linear_at_zero, reach
from mlp.activations import ACTIVATIONS, Activation, activation
from mlp.losses import LOSSES, evaluate
from mlp.network import Network
from mlp.numbers import moments, rms
from mlp.probes import DISTRIBUTIONS
from mlp.probes.distributions import histograms
from mlp.tape import Tape

DTYPES = ["float32", "float64"]
getcontext().prec = 60
getcontext().Emin = -(10**9)


# -- losses of sure predictions ----------------------------------------------------------------------------


def log1p(x):
    """log(1 + x), by its series where 60 digits of 1 + x do not show x."""
    return x - x * x / 2 + x**3 / 3 if x < Decimal("1e-20") else (1 + x).ln()


def by_decimals(name, z, y):
    """The loss of one example and its gradient, to 60 digits, from the textbook's formula."""
    if name == "softmax_cross_entropy":
        e = [Decimal(each - z[y]).exp() for each in z]
        others = sum(e) - 1 if z[y] < max(z) else sum(e[:y] + e[y + 1 :])
        gradient = [each / (1 + others) for each in e]
        gradient[y] = -others / (1 + others)
        return log1p(others), gradient
    e = [Decimal(-each if c == y else each).exp() for c, each in enumerate(z)]  # of being wrong
    wrong = [each / (1 + each) for each in e]
    return sum(log1p(each) for each in e), [-w if c == y else w for c, w in enumerate(wrong)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "gap", [-30.0, -1.0, 0.0, 1.0, 5.0, 17.0, 18.0, 40.0, 64.5, 90.0, 110.0, 700.0, 800.0, 5000.0]
)
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "sigmoid_cross_entropy"])
def test_a_sure_prediction_has_its_loss_and_gradient_to_the_last_digits(name, gap, dtype):
    """Gap: how far the own class's logit lies above the others. e^-110 is no float32, e^-800 no float64."""
    z = np.array([gap, 0.0, -0.5]) if name.startswith("softmax") else np.array([gap, -gap, -gap - 0.5])
    value, delta, exponent = evaluate(LOSSES.bind(name), z.astype(dtype)[None, None], np.array([[0]]))
    true_value, true_delta = by_decimals(name, z.tolist(), 0)
    eps = float(np.finfo(dtype).eps) * max(
        8, 2 * abs(gap)
    )  # a logarithm of size |gap| has that error in its exponential
    if true_value > Decimal("1e-300"):
        assert value[0] == pytest.approx(float(true_value), rel=eps, abs=0)
    for got, true in zip(delta[0, 0].tolist(), true_delta, strict=True):
        scaled = true * Decimal(2) ** int(exponent[0])
        assert got == pytest.approx(float(scaled), rel=eps, abs=0)
        assert got != 0


def test_the_defect_as_it_was_found():
    """blobs of two classes, one layer, lr 100: the loss is log1p of the others' sum, 1.71e-28 at this gap."""
    z = np.array([[[64.0, 64.0 + log(1.71e-28)]]])
    value, delta, _ = evaluate(LOSSES.bind("softmax_cross_entropy"), z, np.array([[0]]))
    assert value == pytest.approx(1.71e-28, rel=1e-12, abs=0)
    assert delta[0, 0, 0] == -delta[0, 0, 1] == pytest.approx(-1.71e-28, rel=1e-12, abs=0)


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "sigmoid_cross_entropy"])
def test_a_sure_run_s_exponent_is_its_own(name, rng):
    """Beside a run that errs, and alone, bit for bit."""
    z = rng.normal(size=(2, 5, 3))
    z[0, np.arange(5), [0, 1, 2, 0, 1]] += 900
    z[0] -= 450
    y, loss = np.array([[0, 1, 2, 0, 1]]), LOSSES.bind(name)
    together = evaluate(loss, z.copy(), y)
    for r in range(2):
        for one, all_ in zip(evaluate(loss, z[r : r + 1].copy(), y), together, strict=True):
            assert np.array_equal(one[0], all_[r])
    assert together[2][0] > 400
    assert together[2][1] == 0


@pytest.mark.parametrize("trace", ["probe_set", "batch"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sure_network_has_gradients_in_every_layer(dtype, trace):
    """Identity layers and logits 1,000 apart: dLoss/dz of the output is e^-1000 up to a factor of B·C."""
    sample = data(np.random.default_rng(0), n=3, classes=3, n_in=3)
    sample.x[:] = 1000 * np.eye(3)[sample.y]
    net = network("identity", depth=1, width=3, n_in=3, seeds=[0], bias="zeros", dtype=dtype)
    for layer in net.layers:
        layer.w[0] = np.eye(3)
    found = watch(net, sample, seeds=[0], batch=3, steps=0, trace=trace, probes=BUT_SHARPNESS)[0]
    for layer in (1, 2):
        size = found.layers[layer]["delta_log10"][0] - log10(
            6**0.5 / 3
        )  # six entries of e^-1000/3, three of twice
        assert size == pytest.approx(
            -1000 / log(10) + log10(3**0.5), abs=1e-4 if dtype == "float32" else 1e-10
        )
        assert found.layers[layer]["zero_fraction"] == 0


# -- underflow on the way forwards -------------------------------------------------------------------------


def measured(net, sample, probes, **options):
    return watch(net, sample, seeds=[0], steps=0, batch=4, probes=probes, arrays=(), **options)[0].layers


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
        seen = watch(net, sample, seeds=[0, 1], steps=1, batch=16, optimiser=optimiser,
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


# -- slopes that the format has lost -----------------------------------------------------------------------

# Whether a slope fades to the left and to the right, by its formula.
FADES = {"relu": (False, None), "hard_tanh": (False, False), "hard_sigmoid": (False, False),
         "sigmoid": (True, True), "tanh": (True, True), "gelu": (True, None), "silu(beta=1000)": (True, None),
         "elu": (True, None), "softplus": (True, None), "lecun_tanh": (True, True)}  # fmt: skip


@pytest.mark.parametrize(("name", "sides"), FADES.items())
def test_a_slope_that_fades_is_told_from_one_that_ends(name, sides):
    for found, expected in zip(activation(name).fades, sides, strict=True):
        assert expected is None or found == expected


def test_new_activations_need_say_nothing():
    """A smooth step that ends, one whose slope ends in a jump that no kink declares, and a Gaussian's."""
    ends = Activation(f=lambda z: z - z**3 / 3, df=lambda z, a: np.maximum(1 - z * z, 0.0) ** 2)
    jumps = Activation(f=lambda z: np.clip(z, 0, 6), df=lambda z, a: ((z > 0) & (z <= 6)).astype(z.dtype))
    bell = Activation(f=lambda z: z, df=lambda z, a: np.exp(-z * z))
    assert ends.fades == jumps.fades == (False, False)
    assert bell.fades == (True, True)
    assert reach(jumps, np.dtype(float)) == (np.inf, np.inf)
    assert 8 <= reach(bell, np.dtype(np.float32))[0] < 11


@pytest.mark.parametrize("trace", ["probe_set", "batch"])
@pytest.mark.parametrize("act", ["sigmoid", "tanh", "gelu", "silu", "softplus", "elu"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_unit_dies_of_its_number_format(act, dtype, trace, rng):
    """Pre-activations in the thousands, where e^-|z| is no number: a slope there, and a unit, is not dead."""
    net = network(act, 3, 8, seeds=[0], init="normal(std=500)", bias="zeros", dtype=dtype)
    names = ["dead_fraction", "zero_fraction", "unit_dead", "delta_log10"]
    found = measured(net, data(rng, n=16), names, trace=trace)
    for layer in (1, 2, 3):
        assert found[layer]["dead_fraction"] == 0
        assert found[layer]["zero_fraction"] == 0
        assert (found[layer]["unit_dead"] == 0).all()
        assert not np.isneginf(found[layer]["delta_log10"]).any()


def test_a_saturated_float32_network_has_float64s_gradients(rng):
    """Gain 300: of most z float32 has no slope, and the norms are float64's all the same."""
    sample = data(rng, n=32, n_in=16)
    names = [
        "delta_log10",
        "dw_log10",
        "dead_fraction",
        "zero_fraction",
        "sign_agreement",
        "one_sign_fraction",
    ]
    narrow, wide = (
        measured(network("sigmoid", 3, 16, n_in=16, seeds=[0], init="normal(std=75)", dtype=d), sample, names)
        for d in DTYPES
    )
    for layer in (1, 2, 3, 4):
        for name in ("dead_fraction", "zero_fraction"):
            assert narrow[layer][name] == wide[layer][name] == 0
        for name in names:  # z of 300 has an error of 1e-5 in float32, and so has e^-z
            np.testing.assert_allclose(narrow[layer][name], wide[layer][name], rtol=0.02, atol=0.02)


def test_true_zeros_among_lost_slopes_are_still_zeros():
    """hard_tanh's dead units stay dead; a ReLU layer above faint ones would be no other case."""
    z = np.array([[[-5.0, 5.0, 0.5], [-9.0, -5.0, 7.0]]])
    act = activation("hard_tanh")
    assert (act.df(z, act.f(z)) != 0).tolist() == [[[False, False, True], [False, False, False]]]
    net = network("hard_tanh", 1, 3, n_in=4, seeds=[0], dtype="float32")
    net.layers[0].b[:] = [50.0, -50.0, 0.0]
    found = measured(net, data(np.random.default_rng(0)), ["dead_fraction", "zero_fraction"])
    assert found[1]["dead_fraction"] == pytest.approx(2 / 3)
    assert found[1]["zero_fraction"] == pytest.approx(2 / 3)


def test_a_deep_layer_below_a_wall_of_lost_slopes_is_not_known(rng):
    """Every slope of layer 2 is below e^-745: what comes through is not 0, and no number either."""
    net = network("sigmoid", 2, 4, seeds=[0], init="normal(std=1)")
    net.layers[1].b[:] = -2000
    found = measured(net, data(rng), ["delta_log10", "dead_fraction", "zero_fraction"])
    for layer in (1, 2):
        assert np.isnan(found[layer]["delta_log10"]).all()
        assert found[layer]["dead_fraction"] == found[layer]["zero_fraction"] == 0


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
@pytest.mark.parametrize("residual", [0.0, 0.7])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_saturated_run_is_the_same_bits_alone_and_beside_others(dtype, residual, norm, rng):
    sample, init = data(rng, n=16), ["normal(std=300)", "xavier_normal", "normal(std=0.0001)"]
    options = {"depth": 2, "width": 6, "dtype": dtype, "norm": norm, "residual": residual, "bias": "zeros"}

    def measured(seeds):
        net = network("gelu", seeds=seeds, init=[init[r] for r in seeds], **options)
        return watch(net, sample, seeds=seeds, watch=[0, 1], probes=BUT_SHARPNESS)

    together = measured([0, 1, 2])
    for r in range(3):
        alone = measured([r])
        for one, all_ in zip(alone, together, strict=True):
            for layer, arrays in one.layers.items():
                for name, values in arrays.items():
                    found, expected = one_nan(values[0]), one_nan(all_.layers[layer][name][r])
                    assert found.tobytes() == expected.tobytes(), (layer, name)


def one_nan(values):
    """The same values, every NaN the same one: IEEE 754 leaves the sign of a NaN open."""
    return np.where(np.isnan(values), np.nan, values) if values.dtype.kind == "f" else values


# -- NaN is no share, no count and no death ----------------------------------------------------------------

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


# -- squares -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-160, 1e-100, 1.0, 1e100, 1e155, 1e200, 1e300])
def test_root_mean_squares_are_right_over_all_of_float64(size, rng):
    """Of ±size and 3·size by turns: mean 1·size, root mean square √5·size, standard deviation 2·size."""
    x = np.tile([3.0, -1.0], 500)[None, :, None] * size
    for found in (rms(x)[0], moments(x)[2][0]):
        assert found == pytest.approx(5**0.5 * size, rel=1e-13, abs=0)
    mean, variance, _ = moments(x)
    assert mean[0] == pytest.approx(size, rel=1e-13, abs=0)
    if 1e-150 < size < 1e153:  # else there is no such number
        assert variance[0] == pytest.approx(4 * size**2, rel=1e-13, abs=0)
    near_edge = np.tile([3.0, -1.0], 500)[None] * 2.0**509
    assert moments(near_edge)[1][0] == 2.0**1020  # 1,000 of them, summed first, are no number


@pytest.mark.parametrize("size", [1e-44, 1e-38, 1e-30, 1e-20, 1.0, 1e20, 1e38])
def test_root_mean_squares_are_right_over_all_of_float32(size):
    x = np.full((1, 64, 8), size, np.float32)
    x[:, ::2] *= -1
    true = abs(float(x[0, 0, 0]))
    for found in (rms(x)[0], moments(x)[2][0]):
        assert found == pytest.approx(true, rel=1e-6, abs=0)
    assert moments(x)[1][0] == pytest.approx(true**2, rel=1e-6, abs=0)


@pytest.mark.parametrize("name", ["z_rms", "a_rms", "z_var", "a_var"])
@pytest.mark.parametrize("size", [1e-140, 1e140])
def test_probes_of_tiny_and_huge_layers(name, size, rng):
    sample, net = data(rng, n=30), network("identity", 1, 5, seeds=[0], bias="zeros")
    plain = measured(net, sample, [name])[1][name][0]
    net.layers[0].w[:] *= size
    power = 2 if name.endswith("var") else 1
    assert measured(net, sample, [name])[1][name][0] == pytest.approx(plain * size**power, rel=1e-12, abs=0)


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


# -- worlds in which the checks fail -----------------------------------------------------------------------


def test_without_following_the_zeros_come_back(monkeypatch, rng):
    """What these tests find is what the engine does, not what the network is."""
    monkeypatch.setattr(forward_exponents, "is_linear_at_zero", lambda act, dtype: False)
    monkeypatch.setattr(forward_exponents.ForwardExponents, "_mark", lambda *args: None)
    net = network("relu", 60, 8, seeds=[0], init="normal(std=0.01)", bias="zeros", dtype="float32")
    found = measured(net, data(rng), ["dead_fraction", "delta_norm"])
    assert found[60]["dead_fraction"] == 1
    monkeypatch.setattr(true_zeros, "reach", lambda act, dtype: (np.inf, np.inf))
    net = network("sigmoid", 3, 8, seeds=[0], init="normal(std=500)", dtype="float32")
    assert measured(net, data(rng), ["dead_fraction"])[1]["dead_fraction"] > 0
