"""Every probe against its definition in plain loops, and what must never be miscounted."""

from itertools import product
from math import exp, log10, sqrt

import numpy as np
import pytest
from hostile import is_refused
from small import ALL_PROBES, data, network, shaken, traces, watch

from mlp.activations import activation
from mlp.probes import DEFAULT_PROBES, PROBES, UNIT_PROBES
from mlp.registry import RegistryError, fitted
from mlp.trace import LayerTrace

DTYPES = ["float32", "float64"]


# -- the definitions: (one run's arrays as lists, from the trace) -> a number ------------------------------


def entries(table):
    return np.asarray(table, np.float64).ravel().tolist()


def norm(table):
    return sqrt(sum(each * each for each in entries(table)))


def rms(table):
    return norm(table) / sqrt(len(entries(table)))


def mean(table):
    return sum(entries(table)) / len(entries(table))


def variance(table):
    middle = mean(table)
    return mean([(each - middle) ** 2 for each in entries(table)])


def share(flags):
    flags = list(flags)
    return sum(map(bool, flags)) / len(flags)


def agreement(gradients):
    """|Σ sign|/(number that are not zero); None where there is none."""
    signs = [np.sign(each) for each in gradients if each != 0]
    return abs(sum(signs)) / len(signs) if signs else None


def pushes_by_example(t):
    """Of every example and unit the agreement of the gradients x_i·delta_j of the weights into it."""
    each = [agreement([x * d for x in xs]) for xs, ds in zip(t.x, t.delta, strict=True) for d in ds]
    return [a for a in each if a is not None]


def pushes_of_the_mean(t):
    return [a for a in (agreement(column) for column in t.dw.T) if a is not None]


def average(values):
    return sum(values) / len(values) if values else np.nan


PLAIN = {
    "delta_norm": lambda t: norm(t.delta),
    "dw_norm": lambda t: norm(t.dw),
    "db_norm": lambda t: norm(t.db),
    "w_norm": lambda t: norm(t.w),
    "delta_log10": lambda t: log10(norm(t.delta)),
    "dw_log10": lambda t: log10(norm(t.dw)),
    "delta_rms": lambda t: rms(t.delta),
    "dw_rms": lambda t: rms(t.dw),
    "db_rms": lambda t: rms(t.db),
    "z_mean": lambda t: mean(t.z),
    "z_var": lambda t: variance(t.z),
    "z_rms": lambda t: rms(t.z),
    "a_mean": lambda t: mean(t.a),
    "a_var": lambda t: variance(t.a),
    "a_rms": lambda t: rms(t.a),
    "dead_fraction": lambda t: share(all(s == 0 for s in column) for column in t.slope.T),
    "inactive_fraction": lambda t: share(all(z <= 0 for z in column) for column in t.z.T),
    "saturated_fraction": lambda t: share(abs(s) < 0.1 * t.max_slope for s in entries(t.slope)),
    "saturated_fraction(below=0.5)": lambda t: share(abs(s) < 0.5 * t.max_slope for s in entries(t.slope)),
    "slope_rms": lambda t: rms(t.slope),
    "update_ratio": lambda t: norm(t.step) / norm(t.w),
    "displacement": lambda t: norm(t.w - t.w0) / norm(t.w0),
    "sign_agreement": lambda t: average(pushes_by_example(t)),
    "sign_agreement_batch": lambda t: average(pushes_of_the_mean(t)),
    "one_sign_fraction": lambda t: average([a == 1 for a in pushes_by_example(t)]),
    "one_sign_fraction_batch": lambda t: average([a == 1 for a in pushes_of_the_mean(t)]),
    "zero_fraction": lambda t: share(each == 0 for each in entries(t.dw)),
    "subnormal_fraction": lambda t: share(0 < abs(each) < t.tiny for each in entries(t.dw)),
}


# The same of one unit: (a run's trace, its column) -> a number.
OF_A_UNIT = {
    "unit_dead": lambda t, j: all(s == 0 for s in t.slope[:, j]),
    "unit_inactive": lambda t, j: all(z <= 0 for z in t.z[:, j]),
    "unit_z_mean": lambda t, j: mean(t.z[:, j]),
    "unit_bias": lambda t, j: float(t.b[0, j]),
    "unit_w_norm": lambda t, j: norm(t.w[:, j]),
    "unit_step_norm": lambda t, j: norm(t.step[:, j]),
    "unit_gradient_norm": lambda t, j: norm([*t.dw[:, j], *t.db[:, j]]),
}


class OneRun:
    """A trace of run r alone, in float64."""

    def __init__(self, t: LayerTrace, r: int) -> None:
        for name in ("x", "z", "a", "slope", "delta", "dw", "db", "w", "b", "w0", "step"):
            setattr(self, name, getattr(t, name)[r].astype(np.float64))
        self.max_slope, self.tiny = t.act.max_slope, np.finfo(t.w.dtype).tiny


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("act", ["relu", "leaky_relu", "tanh"])
def test_every_unit_probe_is_its_definition(act, dtype, rng):
    """At the third step of a training, of every unit of every layer, some of them dead."""
    net = network(act, depth=3, seeds=[0, 1, 2], bias="normal(std=0.8)", dtype=dtype)
    dead = 0
    for t in traces(net, data(rng), step=2, steps=3, lr=0.5):
        runs = [OneRun(t, r) for r in range(3)]
        for text, plain in OF_A_UNIT.items():
            found = UNIT_PROBES.bind(text)(t)
            expected = [[plain(one, j) for j in range(t.z.shape[-1])] for one in runs]
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)  # as above
            assert found.dtype == np.float64
        dead += UNIT_PROBES.bind("unit_dead")(t).sum()
    assert set(OF_A_UNIT) <= set(UNIT_PROBES)
    assert (dead > 0) == (act == "relu")


def test_a_unit_s_gradient_is_neither_lost_nor_made(rng):
    """Exactly 0 for a unit that no gradient reaches, and for no other, however small it is."""
    net = network("relu", depth=70, width=3, seeds=[0, 1], init="normal(std=0.001)", n_in=3)
    first = [t for t in traces(net, data(rng, n_in=3), step=0, steps=0) if t.layer <= 2]
    for t in first:
        found = UNIT_PROBES.bind("unit_gradient_norm")(t)
        arrived = (t.scaled_delta != 0).any(axis=-2)
        assert ((found > 0) == arrived).all()


@pytest.mark.parametrize("trace", ["probe_set", "batch"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("act", ["relu", "sigmoid", "tanh", "leaky_relu", "hard_tanh", "selu"])
def test_every_probe_is_its_definition(act, dtype, trace, rng):
    """At the third step of a training, at every layer, of three runs."""
    net = shaken(
        network(act, depth=3, seeds=[0, 1, 2], bias="normal(std=0.8)", dtype=dtype, norm="layer"), rng
    )
    for t in traces(net, data(rng), step=2, steps=3, lr=0.5, trace=trace):
        runs = [OneRun(t, r) for r in range(3)]
        for text, plain in PLAIN.items():
            # float32's activations are exact here; what is computed from them is in float64
            expected = [plain(one) for one in runs]
            found = PROBES.bind(text)(t)
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12, err_msg=text)


def test_every_probe_has_a_definition_here_or_is_new():
    assert {text.split("(")[0] for text in PLAIN} <= set(PROBES)
    assert set(DEFAULT_PROBES) <= set(PROBES)


# -- what holds for every probe, also one that is new -----------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(PROBES))
def test_a_probe_gives_one_number_a_run_and_the_same_alone(name, dtype, rng):
    sample = data(rng)

    def measured(seeds):
        net = network("relu", depth=2, seeds=seeds, dtype=dtype, norm="batch")
        return watch(net, sample, seeds=seeds, watch=[1, 2], probes=[name], arrays=())

    for together, alone in zip(measured([0, 1, 2]), measured([1]), strict=True):
        for layer in (1, 2, 3):
            values = together.layers[layer][name]
            assert values.shape == (3,)
            assert values.dtype == np.float64
            assert np.array_equal(values[1:2], alone.layers[layer][name], equal_nan=True)


def test_the_order_of_probes_changes_nothing(rng):
    """They share what they measure; who asks first must not matter: each alone, and all in either order."""
    sample, names = data(rng), sorted(PROBES)

    def measured(probes):
        net = network("relu", seeds=[0])
        return watch(net, sample, seeds=[0], steps=1, probes=probes, arrays=())[1].layers

    orders = measured(names), measured(names[::-1])
    for name in names:
        alone = measured([name])
        for found, layer in product(orders, (1, 2, 3)):
            assert np.array_equal(found[layer][name], alone[layer][name], equal_nan=True), name


@pytest.mark.parametrize(
    ("trouble", "depth", "dtype"),
    [
        *((trouble, 2, "float64") for trouble in ("huge", "infinite", "dead", "no weights", "no input")),
        ("far below", 30, "float32"),
        pytest.param("far below", 210, "float64", marks=pytest.mark.slow),  # as far below this format
    ],
)
def test_no_probe_complains_or_disturbs_a_neighbour(trouble, depth, dtype, rng):
    """pytest turns a warning into an error; run 1 is in trouble, run 0 is not."""
    sample = data(rng)
    act = "sigmoid" if trouble == "far below" else "relu"
    options = {"depth": depth, "dtype": dtype, "width": 3, "init": "pytorch_default", "bias": "zeros"}
    if trouble == "far below":
        options["init"] = "normal(std=0.05)"  # 46 decades in 28 layers

    def measured(seeds):
        net = network(act, seeds=seeds, **options)
        if len(seeds) > 1:
            worry(net, trouble)
        return watch(net, sample, seeds=seeds, steps=1, probes=ALL_PROBES, arrays=())

    for alone, together in zip(measured([0]), measured([0, 1]), strict=True):
        for layer, arrays in alone.layers.items():
            for name in ALL_PROBES:
                pair = arrays[name][0], together.layers[layer][name][0]
                assert np.array_equal(*pair, equal_nan=True), name


def worry(net, trouble):
    """Put run 1 into trouble."""
    if trouble == "huge":
        net.params[1] = 1e200
    if trouble == "infinite":
        net.layers[0].b[1, 0, :2] = np.inf, -np.inf
    if trouble == "dead":
        net.layers[0].b[1] = -1e3
    if trouble == "no weights":
        net.params[1] = 0
    if trouble == "no input":
        net.layers[0].w[1] = 0


def is_allowed(value, annotation) -> bool:
    """Whether an option of this type may have this value."""
    return not is_refused(lambda: fitted(value, annotation), RegistryError)


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name in sorted(PROBES) for option in PROBES.options(name)]
)
def test_every_option_changes_the_number(name, option, rng):
    default = PROBES.options(name)[option].default
    others = [not default] if isinstance(default, bool) else [default * 5, default / 5, default / 50]
    others += [0.95] if 0 < default < 0.04 else []  # a share, which five units may not reach otherwise
    allowed = [other for other in others if is_allowed(other, PROBES.options(name)[option].annotation)]
    changed = [f"{name}({option}={str(other).lower()})" for other in allowed]
    sample = data(rng, n=400)  # several mini-batches of any size that is asked for
    seen = watch(network("tanh", seeds=[0]), sample, seeds=[0], probes=[name, *changed])[0]
    assert any(seen.layers[layer][name] != seen.layers[layer][text] for layer in (1, 2) for text in changed)


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
