"""A trace is read-only and at its true size."""

import numpy as np
import pytest
from small import TRACED, data, network, shaken, traces

from mlp.trace import LayerTrace

ARRAYS = [*TRACED, "scaled_delta", "scaled_dw", "scaled_db", "exponent"]


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
    ones = {name: np.ones((1, 2, 2)) for name in ("slope", "w", "w0")}
    ones |= {f"scaled_{name}": np.ones((1, 2, 2)) for name in ("x", "z", "a", "delta", "dw", "step")}
    ones |= {"scaled_db": np.ones((1, 1, 2)), "b": np.ones((1, 1, 2))}
    ones |= {f"{name}exponent": np.zeros(1, np.int64) for name in ("", "x_", "z_", "step_")}
    return LayerTrace(layer=1, runs=slice(None), act=network().act, **(ones | arrays))


def test_gradients_have_their_true_size_in_float64():
    """2^-200 is no float32; the trace keeps it apart as an exponent."""
    t = record(scaled_delta=np.full((1, 2, 2), 3, np.float32), exponent=np.array([200]))
    assert t.delta.dtype == np.float64
    assert (t.delta == 3 * 2.0**-200).all()
    assert (t.dw == 2.0**-200).all()
    assert (t.db == 2.0**-200).all()
    assert t.norm("scaled_delta") == 6
    assert t.size("delta") == 6 * 2.0**-200


def test_without_an_exponent_gradients_are_as_they_are():
    """And in float64 all the same, so that a neighbour's exponent does not choose a run's format."""
    t = record(scaled_dw=np.full((1, 2, 2), 3, np.float32))
    assert t.dw.dtype == np.float64
    assert (t.dw == 3).all()
    assert np.shares_memory(t.db, t.scaled_db)  # nothing to change, nothing copied


def test_dead_is_no_slope_on_any_example():
    slope = np.array([[[0.0, 0.0, -0.5, 1e-300], [0.0, 1.0, 0.5, 0.0]]])
    assert record(slope=slope).dead.tolist() == [[True, False, False, False]]


@pytest.mark.parametrize("shift", [0.0, 1e8])
def test_moments_are_those_of_all_entries(shift, rng):
    """A variance by E z² − (E z)² would have no digit left beside a mean of 1e8."""
    z = rng.normal(size=(3, 20, 5)) + shift
    mean, variance, _ = record(scaled_z=z).moments("z")
    np.testing.assert_allclose(mean, [block.mean() for block in z], rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(variance, [block.var() for block in z], rtol=1e-12)


def test_a_measurement_is_taken_once():
    t, calls = record(), []
    assert [t.once("key", lambda: calls.append(1) or 7) for _ in range(3)] == [7, 7, 7]
    assert calls == [1]
    assert t.norm("w") is t.norm("w")
