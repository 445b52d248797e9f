"""What hooks gather for one recorded step, on a layer of plain NumPy."""

import numpy as np
import pytest

from experiments.recording import RecordingError
from experiments.recording.call_log import CallLog

W = np.arange(6.0).reshape(2, 3)


def passed(log, *names, trained=True, w=W, rows=2, value=1.0):
    """One pass of `rows` examples through these modules; the gradients come back in the other order."""
    log.next_pass()
    calls = [
        log.call(name, name, x=np.full((rows, 2), value), z=np.full((rows, 3), value), w=w, b=None)
        for name in names
    ]
    for call in reversed(calls) if trained else ():
        call["delta"] = np.full((rows, 3), -value)


def now(module):
    return {"w": W + 1, "dw": W * 2}


def test_accumulated_batches_are_one_after_another_and_the_step_is_what_was_added():
    log = CallLog()
    for value in (1.0, 2.0):
        passed(log, "first", "last", value=value)
    found = log.take(now)
    assert list(found) == [("first", 1), ("last", 1)]
    one = found["first", 1]
    np.testing.assert_array_equal(one["x"][:, 0], [1, 1, 2, 2])
    np.testing.assert_array_equal(one["delta"][:, 0], [-1, -1, -2, -2])
    np.testing.assert_array_equal(one["step"], np.ones((2, 3)))
    np.testing.assert_array_equal(one["dw"], W * 2)
    assert log.take(now) == {}


def test_a_module_used_twice_has_two_layers_and_a_pass_without_gradients_none():
    log = CallLog()
    passed(log, "shared", "shared")
    passed(log, "shared", "shared", trained=False)
    found = log.take(now)
    assert list(found) == [("shared", 1), ("shared", 2)]
    assert len(found["shared", 1]["z"]) == 2


def test_a_layer_without_a_gradient_has_none_and_not_0():
    log = CallLog()
    log.next_pass()
    log.call("frozen", "frozen", x=W.T, z=W.T, w=W, b=None)
    log.call("last", "last", x=W.T, z=W.T, w=W, b=None)["delta"] = W.T
    found = log.take(lambda module: {"w": W, "dw": None})
    assert found["frozen", 1]["delta"] is None
    assert found["frozen", 1]["dw"] is None
    np.testing.assert_array_equal(found["frozen", 1]["step"], 0 * W)


def test_two_updates_are_not_mixed():
    log = CallLog()
    passed(log, "first")
    passed(log, "first", w=W + 1)
    with pytest.raises(RecordingError, match="weights have changed since the last take"):
        log.take(now)


def test_weights_that_are_no_numbers_have_not_changed():
    log = CallLog()
    passed(log, "first", "last", w=W * np.nan)
    assert list(log.take(now)) == [("first", 1), ("last", 1)]
    passed(log, "first", w=W * np.nan)
    passed(log, "first", w=W)
    with pytest.raises(RecordingError, match="the weights have changed"):
        log.take(now)


def test_what_a_checkpoint_calls_again_is_one_layer_in_its_first_place():
    """It calls b without gradients before c, or with them once more after c, in the same pass."""
    log = CallLog()
    log.next_pass()
    log.call("a", "a", x=W.T, z=W.T, w=W, b=None)["delta"] = W.T
    log.passed("b")
    log.call("c", "c", x=W.T, z=W.T, w=W, b=None)["delta"] = W.T
    log.call("b", "b", x=W.T, z=W.T, w=W, b=None)["delta"] = W.T
    assert list(log.take(now)) == [("a", 1), ("b", 1), ("c", 1)]
    passed(log, "b", "c")
    log.call("b", "b", x=np.ones((2, 2)), z=np.ones((2, 3)), w=W, b=None)
    assert list(log.take(now)) == [("b", 1), ("c", 1)]
    passed(log, "b", "c")
    log.call("b", "b", x=np.zeros((2, 2)), z=np.ones((2, 3)), w=W, b=None)  # of other inputs: another use
    assert list(log.take(now)) == [("b", 1), ("c", 1), ("b", 2)]
