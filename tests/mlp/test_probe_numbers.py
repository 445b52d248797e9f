"""What probes count and measure where it can be worked out by hand: deaths, signs, small numbers, steps."""

from math import exp, log10, sqrt

import numpy as np
import pytest
from small import DTYPES, data, network, traces, watch

from mlp.activations import activation
from mlp.probes import PROBES
from mlp.trace import LayerTrace

# -- what must never be miscounted ------------------------------------------------------------------------


def trace_of(act, z, **arrays) -> LayerTrace:
    """One run's trace for the given pre-activations (B, n), all else ones."""
    act, z = activation(act), np.asarray(z, dtype=arrays.pop("dtype", float))[None]
    ones = {name: np.ones((1, z.shape[-1], z.shape[-1])) for name in ("w", "w0", "scaled_step", "scaled_dw")}
    ones |= {"scaled_x": np.ones_like(z), "scaled_delta": np.ones_like(z)}
    ones |= {f"{name}exponent": np.zeros(1, np.int64) for name in ("", "x_", "z_", "step_")}
    ones |= {"b": np.ones((1, 1, z.shape[-1])), "scaled_db": np.ones((1, 1, z.shape[-1]))}
    ones |= {"scaled_z": z, "scaled_a": act.f(z), "slope": act.df(z, act.f(z))}
    return LayerTrace(layer=1, runs=slice(None), act=act, **(ones | arrays))


def test_a_unit_active_on_one_example_is_not_dead():
    z = -np.ones((1000, 4))
    z[17, 2] = 1e-6
    t = trace_of("relu", z)
    assert PROBES["dead_fraction"](t) == [0.75]
    assert PROBES["inactive_fraction"](t) == [0.75]


@pytest.mark.parametrize(
    "act", ["leaky_relu", "leaky_relu(slope=0.3)", "elu", "selu", "softplus", "sigmoid", "tanh"]
)
def test_a_unit_that_still_passes_gradient_is_inactive_but_never_dead(act):
    t = trace_of(act, np.full((5, 3), -30.0))
    assert PROBES["dead_fraction"](t) == [0]
    assert PROBES["inactive_fraction"](t) == [1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_saturated_sigmoid_is_not_dead(dtype):
    """At z = 40 a is exactly 1, so a(1 − a) would say dead; the slope is e⁻⁴⁰."""
    t = trace_of("sigmoid", np.full((5, 3), 40), dtype=dtype)
    assert (t.a == 1).all()
    assert t.slope == pytest.approx(exp(-40), rel=1e-5)
    assert PROBES["saturated_fraction"](t) == [1]
    assert PROBES["dead_fraction"](t) == [0]


def test_saturation_is_measured_by_the_slope_of_any_activation():
    z = np.array([[0.0, 0.5, 5.0, -5.0]])
    assert PROBES["saturated_fraction"](trace_of("tanh", z)) == [0.5]
    assert PROBES["saturated_fraction"](trace_of("hard_tanh", z)) == [0.5]
    assert PROBES["saturated_fraction"](trace_of("relu", z)) == [0.5]
    assert PROBES["saturated_fraction"](trace_of("identity", z)) == [0]
    assert PROBES.bind("saturated_fraction(below=0.9)")(trace_of("tanh", z)) == [0.75]


@pytest.mark.parametrize("act", ["relu", "leaky_relu", "sigmoid"])
def test_a_constant_bias_below_everything(act):
    """From a whole network: every hidden unit far below zero on every example."""
    net = network(act, depth=1, seeds=[0])
    net.layers[0].b[:] = -50
    probes = ["dead_fraction", "inactive_fraction", "dw_norm"]
    seen = watch(net, data(np.random.default_rng(0)), seeds=[0], steps=0, probes=probes)[0].layers[1]
    assert seen["inactive_fraction"] == 1
    assert seen["dead_fraction"] == (1 if act == "relu" else 0)
    assert (seen["dw_norm"] == 0) == (act == "relu")


def test_sign_agreement_by_hand():
    """One example pushes all weights into a unit by x_i·delta_j, so by the signs of x."""
    x = np.array([[[1.0, 2.0, 3.0], [1.0, -1.0, 5.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 1.0]]])
    delta = np.array([[[1.0, -1.0, 2.0], [0.0, 3.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]]])
    t = trace_of("tanh", np.ones((4, 3)), scaled_x=x, scaled_delta=delta)
    # example 1: agreement 1 into three units; 2: 1/3 into one; 3 pushes nothing; 4: 0 into one
    assert PROBES["sign_agreement"](t) == pytest.approx((3 * 1 + 1 / 3 + 0) / 5)
    assert PROBES["one_sign_fraction"](t) == pytest.approx(3 / 5)


def test_sign_agreement_of_the_mean_by_hand():
    dw = np.array([[[1.0, -1.0, 0.0], [2.0, 3.0, 0.0], [0.0, 5.0, 0.0]]])  # columns are the units
    t = trace_of("tanh", np.ones((4, 3)), scaled_dw=dw)
    assert PROBES["sign_agreement_batch"](t) == pytest.approx((1 + 1 / 3) / 2)
    assert PROBES["one_sign_fraction_batch"](t) == pytest.approx(1 / 2)


def test_after_a_sigmoid_one_example_pushes_all_weights_one_way(rng):
    """All its inputs are positive; standardised inputs of the first layer are not."""
    probes = ["sign_agreement", "one_sign_fraction"]
    seen = watch(network("sigmoid", depth=2, seeds=[0]), data(rng), seeds=[0], steps=0, probes=probes)[
        0
    ].layers
    assert seen[2]["sign_agreement"] == seen[3]["one_sign_fraction"] == 1
    assert seen[1]["sign_agreement"] < 0.9


def test_no_gradient_has_no_sign():
    zeros = np.zeros((1, 4, 3))
    t = trace_of("tanh", np.ones((4, 3)), scaled_delta=zeros, scaled_dw=np.zeros((1, 3, 3)))
    for name in ("sign_agreement", "one_sign_fraction", "sign_agreement_batch", "one_sign_fraction_batch"):
        assert np.isnan(PROBES[name](t)).all(), name


# -- small numbers ----------------------------------------------------------------------------------------


def test_norms_have_their_true_size_where_the_format_has_none():
    t = trace_of(
        "tanh", np.ones((4, 3)), scaled_delta=np.full((1, 4, 3), 2, np.float32), exponent=np.array([300])
    )
    assert PROBES["delta_norm"](t) == pytest.approx(2 * sqrt(12) * 2.0**-300)
    assert PROBES["dw_norm"](t) == pytest.approx(3 * 2.0**-300)
    assert PROBES["delta_log10"](t) == pytest.approx(log10(2 * sqrt(12)) - 300 * log10(2))


def test_a_logarithm_reaches_below_every_number():
    t = trace_of("tanh", np.ones((4, 3)), exponent=np.array([5000]))
    assert PROBES["delta_norm"](t) == [0]
    assert PROBES["delta_log10"](t) == pytest.approx(log10(sqrt(12)) - 5000 * log10(2))


def test_an_exact_zero_is_minus_infinity():
    t = trace_of("tanh", np.ones((4, 3)), scaled_delta=np.zeros((1, 4, 3)), scaled_dw=np.zeros((1, 3, 3)))
    assert PROBES["delta_log10"](t) == PROBES["dw_log10"](t) == [-np.inf]
    assert PROBES["zero_fraction"](t) == [1]


@pytest.mark.parametrize(("dtype", "smallest"), [("float32", 2.0**-126), ("float64", 2.0**-1022)])
def test_subnormal_is_told_from_zero_and_from_small(dtype, smallest):
    """By the run's own format, and by the true size: an exponent of 100 makes 2^-27 a float32's 2^-127."""
    dw = np.array([[[0.0, smallest, smallest / 2], [-smallest / 4, -1.0, 1.0], [0.0, 1.0, 1.0]]]).astype(
        dtype
    )
    t = trace_of("tanh", np.ones((4, 3)), w=np.ones((1, 3, 3), dtype), scaled_dw=dw)
    assert PROBES["zero_fraction"](t) == pytest.approx(2 / 9)
    assert PROBES["subnormal_fraction"](t) == pytest.approx(2 / 9)
    scaled = trace_of(
        "tanh", np.ones((4, 3)), w=np.ones((1, 3, 3), dtype), scaled_dw=dw * dtype_one(dtype, 2.0**100),
        exponent=np.array([100]),
    )  # fmt: skip
    assert PROBES["zero_fraction"](scaled) == pytest.approx(2 / 9)
    assert PROBES["subnormal_fraction"](scaled) == pytest.approx(2 / 9)


def dtype_one(dtype, value):
    return np.dtype(dtype).type(value)


def test_a_gradient_below_float32_is_reported_as_small_and_not_as_zero():
    """Layer 1 of a 60-layer sigmoid net: no false zero, and the share a plain float32 would have lost."""
    net = network("sigmoid", depth=60, width=16, seeds=[0], init="pytorch_default", dtype="float32")
    probes = ["delta_norm", "zero_fraction", "subnormal_fraction"]
    layers = watch(net, data(np.random.default_rng(0)), seeds=[0], steps=0, probes=probes)[0].layers
    assert 0 < layers[1]["delta_norm"] < 1e-45
    assert layers[1]["zero_fraction"] == 0
    assert layers[1]["subnormal_fraction"] == 1
    assert layers[60]["subnormal_fraction"] == 0


# -- time -------------------------------------------------------------------------------------------------


def test_update_ratio_and_displacement_of_plain_descent(rng):
    """With sgd the step is −lr·dw of the batch; here the batch is the probe set."""
    sample = data(rng, n=12)
    probes = ["update_ratio", "displacement"]
    seen = watch(network(seeds=[0]), sample, seeds=[0], steps=2, batch=12, lr=0.1, probes=probes)
    for layer in (1, 2, 3):
        start, later = seen[0].layers[layer], seen[2].layers[layer]
        assert start["displacement"] == 0
        ratio = 0.1 * np.linalg.norm(start["dw"]) / np.linalg.norm(start["w"])
        assert start["update_ratio"] == pytest.approx(ratio, rel=1e-6)  # other order of the examples
        moved = np.linalg.norm(later["w"] - start["w"]) / np.linalg.norm(start["w"])
        assert later["displacement"] == pytest.approx(moved, rel=1e-12)
        assert moved > 0


# What the format alone would say


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_plain_norm_is_that_of_a_backward_pass_without_exponents(dtype):
    """A sigmoid net deep enough for the format, passed back in plain NumPy in the format itself.

    Where it reports a norm the two agree to the format's rounding, or to what is left of it near the smallest
    number; where it reports 0, so does the probe, but for a layer at the edge.
    """
    depth = {"float32": 60, "float64": 300}[dtype]
    net = network("sigmoid", depth=depth, width=8, seeds=[0], bias="zeros", dtype=dtype)
    d = data(np.random.default_rng(0), n=16)
    lost, kept, delta = [], [], None
    for t in traces(net, d):  # from the output layer down
        if t.layer > depth:
            delta = t.delta[0].astype(dtype)
            continue
        a, plain = t.a[0], PROBES["delta_norm_plain"](t)[0]
        delta = (delta @ net.layers[t.layer].w[0].T) * (a * (1 - a))
        norm = float(np.sqrt((delta * delta).sum()))
        (kept if norm else lost).append(plain)
        if norm > 1e3 * np.sqrt(np.finfo(dtype).tiny):
            assert plain == pytest.approx(norm, rel=float(20 * depth * np.finfo(dtype).eps))
        assert np.isfinite(PROBES["delta_log10"](t)[0])
    assert lost
    assert kept
    assert not any(lost[1:])
    assert all(kept[:-1])
