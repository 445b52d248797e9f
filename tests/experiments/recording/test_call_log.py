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
