"""The lab's session against the engine's own runs, and the lessons: what is seen is what their notes say."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.config import Recording, Run
from experiments.report.lab import address
from experiments.report.lab.session import PROBE_SET, RECENT, Session
from experiments.report.lab.widgets import LEAKY, sentence
from experiments.sweeps.runner import run_stack

SMALL = Run(activation="relu", depth=3, width=16, dataset="moons(n=300)", init="he_normal", lr=0.1)
MEASURES = ("delta_log10", "dead_fraction")


def stored(run, steps, **changed):
    """The frames of the same run by the way that `run.py` takes."""
    recording = Recording(MEASURES, watch=tuple(steps), probe_set=PROBE_SET)
    return run_stack([replace(run, steps=max(steps), **changed)], recording)


def as_lab(frames, step):
    """Loss, accuracy, delta by layer and dead by hidden layer, from stored frames."""
    row = frames.steps[frames.steps["step"] == step].iloc[0]
    layers = frames.layers[frames.layers["step"] == step].sort_values("layer")
    return row["loss"], row["accuracy"], layers["delta_log10"].tolist(), layers["dead_fraction"].tolist()[:-1]


def told(moment):
    frame = moment.frame
    return frame.loss, frame.accuracy, frame.delta.tolist(), frame.dead.tolist()


# The session ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_session_with_an_oversized_step_is_the_run_of_that_schedule_bit_for_bit(norm):
    """Paused, stepped at two strides, gone back and forth: nothing of it may change a number."""
    run = replace(SMALL, norm=norm)
    session = Session([run, replace(run, activation="tanh")])
    session.advance(5)
    session.oversized(30.0)
    session.back()
    session.back()
    for steps in (2, 2, 1):
        session.advance(steps)
    session.oversized(30.0)
    session.advance(4)
    assert session.now[0].frame.step == 10
    expected = as_lab(stored(run, [0, 10], schedule="shock(at=5, factor=30)"), 10)
    assert told(session.now[0]) == expected
    other = as_lab(stored(run, [0, 10], schedule="shock(at=5, factor=30)", activation="tanh"), 10)
    assert told(session.now[1]) == other
    assert as_lab(stored(run, [0, 10]), 10) != expected


def test_back_undoes_whatever_was_done_last():
    session = Session([SMALL, SMALL])
    for _ in range(3):
        session.advance(2)
    before = [told(moment) for moment in session.now]
    session.switch(1, LEAKY)
    assert session.now[1].frame.step == 6
    assert session.now[1].activation == LEAKY
    assert [told(moment) for moment in session.now] != before
    assert session.back()
    assert [told(moment) for moment in session.now] == before
    assert session.now[1].activation == "relu"
    assert not session.now[1].events
    while session.back():
        pass
    assert session.now[0].frame.step == 0
    assert told(session.now[0]) == as_lab(stored(SMALL, [0, 1]), 0)


def test_back_undoes_a_change_to_an_activation_with_one_number_fewer():
    session = Session([replace(SMALL, activation="prelu")] * 2)
    session.advance(3)
    before = [told(moment) for moment in session.now]
    session.switch(1, LEAKY)
    session.advance(2)
    assert session.back()
    assert session.back()
    assert [told(moment) for moment in session.now] == before


def test_leaky_units_are_never_dead_and_the_other_network_stays_as_it_is():
    run = replace(SMALL, bias="normal(std=3)")  # many units are born dead
    session = Session([run, run])
    session.switch(1, LEAKY)
    first, second = session.now
    assert first.frame.dead.max() > 0.1
    assert not second.frame.dead.any()
    assert np.array_equal(first.params, second.params)
    assert second.events == ((0, f"{LEAKY} from here on"),)


def test_the_plane_is_the_second_class_s_probability():
    session = Session([SMALL])
    session.advance(300)
    plane, data = session.now[0].frame.plane, session.trainees[0].data
    left, right, low, high = session.trainees[0].plane
    side = len(plane) - 1
    column = np.rint((data.x[:, 0] - left) / (right - left) * side).astype(int)
    row = np.rint((data.x[:, 1] - low) / (high - low) * side).astype(int)
    assert plane.shape == (side + 1, side + 1)
    assert np.mean((plane[row, column] > 0.5) == data.y) > 0.9  # learnt, and not transposed
    assert Session([replace(SMALL, dataset="digits")]).now[0].frame.plane is None


def test_a_diverged_network_goes_on_as_nan_and_the_other_does_not_notice():
    session = Session([replace(SMALL, lr=1e9), SMALL])
    for _ in range(5):
        session.advance(1)
    assert np.isnan(session.now[0].frame.loss)
    assert "diverged" in sentence(session.now[0])
    assert told(session.now[1]) == as_lab(stored(SMALL, [0, 5]), 5)


def test_what_can_be_gone_back_to_is_bounded_and_keeps_both_ends(monkeypatch):
    monkeypatch.setattr("experiments.report.lab.session.KEPT", 60)
    session = Session([replace(SMALL, width=4, depth=1)])
    for _ in range(100):
        session.advance(1)
    steps = [moments[0].frame.step for moments in session.history]
    assert len(steps) <= 60
    assert steps[0] == 0
    assert steps == sorted(set(steps))
    assert steps[-RECENT:] == list(range(101 - RECENT, 101))


# The lessons say what is seen -----------------------------------------------------------------------------


def test_the_lesson_on_depth_shows_what_its_note_says():
    session = Session(address.read([("preset", "vanishing")]).runs)
    start = session.now[1].frame.delta
    assert 1e-6 < 10 ** (start[0] - start[-2]) < 4e-6  # "two millionths"
    session.advance(200)
    shallow, deep = (moment.frame for moment in session.now)
    assert shallow.accuracy > 0.9
    assert deep.accuracy < 0.15
    assert not deep.dead.any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("remedy", "helps"),
    [
        ({"init": "he_normal"}, False),
        ({"norm": "batch"}, True),
        ({"residual": 1.0}, True),
        ({"activation": "relu", "lr": 0.1}, True),
    ],
)
def test_the_answers_that_the_note_on_depth_promises(remedy, helps):
    deep = address.read([("preset", "vanishing")]).runs[1]
    session = Session([replace(deep, **remedy)])
    session.advance(200)
    assert (session.now[0].frame.accuracy > 0.8) is helps


@pytest.mark.slow
@pytest.mark.parametrize("at", [10, 30, 45])
def test_the_lesson_on_dying_bears_a_teacher_who_is_early_or_late(at):
    asked = address.read([("preset", "dying")])
    session = Session(asked.runs)
    session.advance(at)
    session.oversized(asked.factor)
    session.switch(1, LEAKY)
    session.advance(300)
    assert min(moment.frame.accuracy for moment in session.now) > 0.9


@pytest.mark.slow
def test_the_lesson_on_dying_shows_what_its_note_says():
    asked = address.read([("preset", "dying")])
    session = Session(asked.runs)
    session.advance(20)
    assert told(session.now[0]) == told(session.now[1])
    session.oversized(asked.factor)
    assert session.now[0].frame.dead[1:] == pytest.approx([0.38, 0.38], abs=0.05)  # "more than a third"
    session.switch(1, LEAKY)
    session.advance(400)
    relu, leaky = (moment.frame for moment in session.now)
    assert relu.dead.min() > 0.1
    assert not leaky.dead.any()
    assert min(relu.accuracy, leaky.accuracy) > 0.9


@pytest.mark.slow
def test_the_lesson_on_initialisation_shows_what_its_note_says():
    asked = address.read([("preset", "initialisation")])
    session = Session(asked.runs)
    session.advance(100)
    small, he = (moment.frame for moment in session.now)
    assert small.accuracy < 0.15
    assert he.accuracy > 0.9
    normed = Session([replace(asked.runs[0], norm="batch")])
    normed.advance(100)
    assert normed.now[0].frame.accuracy > 0.9  # "norm batch makes the size of the weights irrelevant"
