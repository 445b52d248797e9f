"""What a number format makes up is not measured: zeros, deaths, squares that it cannot hold.

The truth is worked out apart from the engine: by hand, in Python's decimals, or by the same network in
float64 with weights so scaled that nothing there can underflow.
"""

from decimal import Decimal, getcontext
from math import log, log10

import numpy as np
import pytest
from small import BUT_SHARPNESS, DTYPES, data, measured, network, watch

from mlp import forward_exponents, true_zeros
from mlp.activation_type import reach
from mlp.activations import Activation, activation
from mlp.losses import LOSSES, evaluate
from mlp.numbers import moments, rms

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
