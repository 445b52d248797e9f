"""A trace is read-only, at its true size, and measures a norm without a false zero."""

import numpy as np
import pytest
from small import TRACED, data, network, shaken, traces

from mlp import observers
from mlp.probes import PROBES, UNIT_PROBES
from mlp.trace import LayerTrace, Rows, frobenius
from mlp.train import train

DTYPES = [np.float32, np.float64]
ARRAYS = [*TRACED, "scaled_delta", "scaled_dw", "scaled_db", "exponent"]


# -- the norm -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 5), (3, 4, 5), (1, 1, 1), (2, 300, 100)], ids=str)
def test_frobenius_is_the_root_of_the_sum_of_squares(shape, dtype, rng):
    x = rng.normal(size=shape).astype(dtype)
    expected = [np.sqrt(sum(float(each) ** 2 for each in row.ravel())) for row in x]
    norm = frobenius(x)
    assert norm.dtype == np.float64
    rtol = 1e-13 if dtype == np.float64 else 5e-7  # squares of float32 are summed in float32 by chunks
    np.testing.assert_allclose(norm, expected, rtol=rtol)


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-200, 1e-160, 1e-30, 1.0, 1e150, 1e200, 1e306])
def test_frobenius_has_no_false_zero_and_no_overflow(size):
    """Squares leave float64 at 1e-162 and 1e154; the plain norm is then 0 or inf."""
    norm = frobenius(np.full((1, 4, 4), size))[0]
    assert norm == pytest.approx(4 * size, rel=1e-15)


def test_frobenius_of_float32_below_where_its_squares_are_zero():
    tiny = np.full((1, 25), 1e-30, np.float32)
    assert np.linalg.norm(tiny) == 0  # what others report
    assert frobenius(tiny)[0] == pytest.approx(5e-30, rel=1e-6)


def test_frobenius_of_runs_of_any_size_beside_each_other():
    x = np.zeros((5, 2, 2))
    x[1], x[2], x[3, 0, 0], x[4, 1, 1] = 1e-200, 1.0, np.inf, np.nan
    np.testing.assert_allclose(frobenius(x), [0, 2e-200, 2, np.inf, np.nan], rtol=1e-15)


# -- the record -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("trace", ["probe_set", "batch"])
def test_every_array_is_read_only(trace, rng):
    net = shaken(network(depth=2, seeds=[0, 1], norm="batch", residual=0.5), rng)
    for t in traces(net, data(rng), trace=trace):
        for name in ARRAYS:
            array = getattr(t, name)
            assert not array.flags.writeable, name
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


@pytest.mark.parametrize("trace", ["probe_set", "batch"])
def test_layers_are_counted_from_the_input_and_come_from_the_output(trace, rng):
    """Layer 1 is nearest the input; shapes are the docstring's."""
    net = network(depth=2, width=5, seeds=[0, 1])
    seen = list(traces(net, data(rng, n=12), trace=trace, batch=12))
    assert [t.layer for t in seen] == [3, 2, 1]
    assert [t.x.shape for t in seen] == [(2, 12, 5), (2, 12, 5), (2, 12, 4)]
    for t in seen:
        for name in ("z", "a", "slope", "delta"):
            assert getattr(t, name).shape == (2, 12, 3 if t.layer == 3 else 5)
        assert t.w.shape == t.dw.shape == t.w0.shape == t.step.shape == (2, t.x.shape[-1], t.z.shape[-1])
        assert t.b.shape == t.db.shape == (2, 1, t.z.shape[-1])


@pytest.mark.parametrize("trace", ["probe_set", "batch"])
@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("residual", [0.0, 0.7])
def test_arrays_are_what_the_docstring_says(norm, residual, trace, rng):
    """Each from the others by its definition; what normalisation does to z is left to the tape's tests."""
    net = shaken(network("tanh", depth=3, seeds=[0, 1], norm=norm, residual=residual), rng)
    before = {}
    for t in traces(net, data(rng), trace=trace, batch=12):
        hidden = t.layer <= 3
        np.testing.assert_allclose(t.a, np.tanh(t.z) if hidden else t.z, rtol=1e-14)
        np.testing.assert_allclose(
            t.slope, 1 / np.cosh(t.z) ** 2 if hidden else np.ones_like(t.z), rtol=1e-13
        )
        assert np.array_equal(t.w, net.layers[t.layer - 1].w)
        assert np.array_equal(t.b, net.layers[t.layer - 1].b)
        assert np.array_equal(t.w0, t.w)
        if norm == "none" or not hidden:
            np.testing.assert_allclose(t.z, t.x @ t.w + t.b, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(t.dw, t.x.mT @ t.delta, rtol=1e-12, atol=1e-16)
            np.testing.assert_allclose(t.db, t.delta.sum(axis=1, keepdims=True), rtol=1e-12, atol=1e-16)
        before[t.layer] = {name: getattr(t, name).copy() for name in ("x", "a")}
    for layer in (1, 2, 3):
        skip = before[layer]["x"] if residual and layer > 1 else 0
        out = skip + (residual if residual and layer > 1 else 1) * before[layer]["a"]
        np.testing.assert_allclose(before[layer + 1]["x"], out, rtol=1e-13, atol=1e-15)


def record(**arrays) -> LayerTrace:
    """A trace of one run, two examples, 2 inputs and 2 units, all ones but for what is given."""
    ones = {name: np.ones((1, 2, 2)) for name in ("x", "z", "a", "passed", "w", "w0", "step")}
    ones |= {"scaled_delta": np.ones((1, 2, 2)), "scaled_dw": np.ones((1, 2, 2))}
    ones |= {"scaled_db": np.ones((1, 1, 2)), "b": np.ones((1, 1, 2)), "exponent": np.zeros(1, np.int64)}
    return LayerTrace(layer=1, runs=slice(None), act=network().act, **(ones | arrays))


def test_gradients_have_their_true_size_in_float64():
    """2^-200 is no float32; the trace keeps it apart as an exponent."""
    t = record(scaled_delta=np.full((1, 2, 2), 3, np.float32), exponent=np.array([200]))
    assert t.delta.dtype == np.float64
    assert (t.delta == 3 * 2.0**-200).all()
    assert (t.dw == 2.0**-200).all()
    assert (t.db == 2.0**-200).all()
    assert t.norm("scaled_delta") == 6
    assert t.norm("delta") == 6 * 2.0**-200


def test_without_an_exponent_gradients_are_as_they_are():
    """And in float64 all the same, so that a neighbour's exponent does not choose a run's format."""
    t = record(scaled_dw=np.full((1, 2, 2), 3, np.float32))
    assert t.dw.dtype == np.float64
    assert (t.dw == 3).all()
    assert np.shares_memory(t.db, t.scaled_db)  # nothing to change, nothing copied


def test_dead_is_no_slope_on_any_example():
    slope = np.array([[[0.0, 0.0, -0.5, 1e-300], [0.0, 1.0, 0.5, 0.0]]])
    assert record(passed=slope).dead.tolist() == [[True, False, False, False]]


@pytest.mark.parametrize("shift", [0.0, 1e8])
def test_moments_are_those_of_all_entries(shift, rng):
    """A variance by E z² − (E z)² would have no digit left beside a mean of 1e8."""
    z = rng.normal(size=(3, 20, 5)) + shift
    mean, variance = record(z=z).moments("z")
    np.testing.assert_allclose(mean, [block.mean() for block in z], rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(variance, [block.var() for block in z], rtol=1e-12)


def test_a_measurement_is_taken_once():
    t, calls = record(), []
    assert [t.once("key", lambda: calls.append(1) or 7) for _ in range(3)] == [7, 7, 7]
    assert calls == [1]
    assert t.norm("w") is t.norm("w")


# -- several layers in one ------------------------------------------------------------------------------


def by_layer_and_run(traces, runs) -> dict:
    """{(layer, run): {name of an array or a probe: that row of it}}."""
    found = {}
    for t in traces:
        everything = {name: getattr(t, name) for name in ARRAYS}
        everything |= {name: PROBES[name](t) for name in PROBES if not hasattr(PROBES[name], "alone")}
        everything |= {name: UNIT_PROBES[name](t) for name in UNIT_PROBES}
        places = np.broadcast_arrays(t.layer, np.arange(runs)[t.runs])
        for row, place in enumerate(zip(*places, strict=True)):
            found[place] = {name: np.array(each[row]) for name, each in everything.items()}
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("act", "depth", "fewer"),
    [("relu", 5, 3), ("sigmoid", 2, 3), ("tanh", 20, 5), ("elu", 5, 6), ("tanh", 1, 2)],
)
def test_rows_are_the_layers_to_the_last_bit(act, depth, fewer, dtype, rng, monkeypatch):
    """An array of a layer fills an eighth of the cache: 20 layers go into 5 traces. elu has no `InPlace`."""
    sample = data(rng, n=70, n_in=9)
    monkeypatch.setattr(observers, "BLOCK", 8 * 2 * 33 * 10 * np.dtype(dtype).itemsize)
    net = network(act, depth, 10, n_in=9, seeds=[0, 1], dtype=np.dtype(dtype).name, init="normal(std=0.05)")
    options = {"seeds": [0, 1], "lr": [0.1, 0.3], "steps": 3, "batch": 33, "watch": range(4), "clip": 0.5}
    for snap in train(net, sample, trace="batch", optimiser="momentum", **options):
        with np.errstate(all="ignore"):  # as the runner does: a probe of a layer without gradient is NaN
            layers = by_layer_and_run(snap.layers, runs=2)
            several = list(snap.rows)
            rows = by_layer_and_run(several, runs=2)
        assert len(several) == fewer
        assert rows.keys() == layers.keys()
        for place, expected in layers.items():
            for name, value in expected.items():
                assert np.array_equal(rows[place][name], value, equal_nan=True), (place, name)


def test_rows_have_what_a_trace_has_and_nothing_more(rng):
    options = {"seeds": [0], "lr": [0.1], "steps": 0, "batch": 12, "watch": [0], "trace": "batch"}
    (snap,) = train(network(depth=3), data(rng), **options)
    rows = next(t for t in snap.rows if isinstance(t, Rows))
    for name in ARRAYS:
        assert not getattr(rows, name).flags.writeable, name
    assert rows.w is rows.w  # put together once
    with pytest.raises(AttributeError, match="no_such_array"):
        _ = rows.no_such_array


# -- taken on the way back ------------------------------------------------------------------------------


def measured(snap, rows) -> dict:
    with np.errstate(all="ignore"):
        return by_layer_and_run(snap.rows if rows else snap.layers, runs=2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("act", ["relu", "sigmoid", "elu"])
@pytest.mark.parametrize("rows", [False, True])
def test_what_is_taken_on_the_way_back_is_what_is_found_afterwards(rows, act, dtype, rng):
    """From the second measured step on, summaries are taken early; a first measurement cannot be."""
    sample = data(rng, n=70, n_in=9)
    options = {"seeds": [0, 1], "lr": [0.1, 0.3], "steps": 3, "batch": 33, "watch": range(4)}

    def last(measure_at):
        net = network(act, 4, 10, n_in=9, seeds=[0, 1], dtype=np.dtype(dtype).name)
        for snap in train(net, sample, trace="batch", **options):
            found = measured(snap, rows) if snap.step in measure_at else None
        return found, net.params.copy()

    late, params = last({3})
    early, the_same = last({0, 1, 2, 3})
    assert np.array_equal(params, the_same)  # that the steps were looked at changes no step
    assert late.keys() == early.keys()
    for place, expected in late.items():
        for name, value in expected.items():
            assert np.array_equal(early[place][name], value, equal_nan=True), (place, name)


def test_a_summary_is_of_its_own_step(rng):
    """Nothing stale: the share of small slopes moves as the weights do, at every step."""
    options = {"seeds": [0, 1], "lr": [5.0, 5.0], "steps": 6, "batch": 40, "watch": range(7)}
    net, fine = network("sigmoid", 2, 16, n_in=9, seeds=[0, 1], init="normal(std=2)"), 0.001
    exactly = PROBES.bind(f"saturated_fraction(below={fine})")  # by the slope that is exact in the tails
    for snap in train(net, data(rng, n=70, n_in=9), trace="batch", **options):
        for t in snap.layers:
            assert np.array_equal(t.norm("scaled_dw"), frobenius(t.scaled_dw))
            for found, slope, below in [
                (PROBES["saturated_fraction"](t), t.passed, 0.1), (exactly(t), t.slope, fine)
            ]:  # fmt: skip
                expected = [(block < below * t.act.max_slope).mean() for block in slope]
                np.testing.assert_allclose(found, expected, rtol=1e-15)
            assert len(t.taken) == (3 if snap.step else 0)
