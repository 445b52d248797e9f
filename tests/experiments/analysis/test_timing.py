"""What timing does with times: who takes turns, what is set aside, and what a step is made of."""

from itertools import combinations

import numpy as np
import pytest

from experiments.analysis import cost as timing
from experiments.analysis.cost import interleaved
from mlp.activations import activation


def test_the_candidates_take_turns_in_every_round_and_their_shortest_try_counts():
    called = []

    def job(name, seconds):
        times = iter(seconds)

        def run():
            called.append(name)
            return next(times)

        return run

    slow, fast = job("slow", [9, 9, 5, 6]), job("fast", [9e-4, 4e-4] + [3e-4, 2e-4] * 2)
    found = interleaved({"slow": slow, "fast": fast}, rounds=2)
    assert called[4:] == ["slow", "fast", "fast", "slow", "fast", "fast"]  # two tries fit into a millisecond
    assert found["slow"].tolist() == [5, 6]
    assert found["fast"].tolist() == [2e-4, 2e-4]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(timing, "PLACES", {"in cache": (1, 4, 8)})


def test_every_activation_is_timed_in_both_formats(small):
    found = timing.element_times(("sigmoid", "relu", "gelu"), 3)
    assert set(found) == {("float32", "in cache"), ("float64", "in cache")}
    for times in found.values():
        assert set(times) == {"sigmoid", "relu", "gelu"}
        assert all(len(t) == 3 and (t > 0).all() for t in times.values())


def test_the_share_of_a_step_is_between_nothing_and_all_of_it(small):
    found = timing.step_times(("sigmoid", "relu"), (4, 64), "float64", 3)
    assert set(found) == {4, 64}
    for times in found.values():
        for text in ("sigmoid", "relu"):
            assert ((times.share(text) > 0) & (times.share(text) < 1)).all()


def test_the_ratio_of_two_steps_is_theirs_had_only_the_activation_changed():
    step, within = {"a": np.array([10.0]), "b": np.array([8.0])}, {"a": np.array([3.0]), "b": np.array([1.0])}
    assert timing.StepTimes(step, within).ratio("a", "b").tolist() == [1 + 2 / 8]
    assert timing.StepTimes(step, within).ratio("b", "b").tolist() == [1]


def test_the_step_that_is_timed_is_one_of_the_training_loop():
    step = timing._Step("tanh", 8, "float64")
    before = step.net.params.copy()
    assert step() > 0
    moved = step.net.params.copy()
    assert not np.array_equal(moved, before)
    step()
    np.testing.assert_array_equal(step.net.params, moved)  # every time the same update, the first


def test_the_write_ups_own_functions_are_timed_with_their_derivatives(small):
    found = timing.tutorial_times(3)
    assert list(found) == list(timing.TIMED)
    assert all((times > 0).all() for times in found.values())


@pytest.mark.parametrize(("one", "other"), list(combinations(("sigmoid", "relu", "gelu"), 2)))
def test_a_pass_does_what_the_training_loop_does(one, other, rng):
    for text in (one, other):
        z, delta = rng.normal(size=(2, 1, 3, 4))
        act, g = activation(text), delta.copy()
        timing.forward_and_back(act, z, g, np.empty_like(z), np.empty_like(z))
        np.testing.assert_allclose(g, delta * act.df(z, act.f(z)), rtol=1e-12, atol=1e-15)


def test_every_process_gives_its_own_rounds_in_the_same_order(small, monkeypatch):
    """What the processes find is stacked, process by process; here they run in this one."""
    monkeypatch.setattr(timing, "WIDTHS", (4,))
    found = [timing.measured(("relu", "tanh")) for _ in range(2)]
    one = iter(found)
    monkeypatch.setattr(timing, "_in_a_process", lambda texts: next(one))
    both = timing.costs.__wrapped__(("relu", "tanh"), 2)
    for key, times in both.element.items():
        for text, t in times.items():
            np.testing.assert_array_equal(t, [each.element[key][text] for each in found])
    for text in ("relu", "tanh"):
        share = [each.step[4].share(text) for each in found]
        np.testing.assert_array_equal(both.step[4].share(text), share)
    assert both.printed["sigmoid"].shape == (2, timing.ROUNDS)


def test_a_fresh_process_measures_and_one_that_fails_says_why(monkeypatch):
    only_the_printed = timing.IN_A_PROCESS.replace("measured(tuple(sys.argv[1:]))", "sys.argv[1:]")
    monkeypatch.setattr(timing, "IN_A_PROCESS", only_the_printed)
    assert timing._in_a_process(("relu", "tanh")) == ["relu", "tanh"]
    monkeypatch.setattr(timing, "IN_A_PROCESS", "raise ValueError('unknown activation')")
    with pytest.raises(ValueError, match="was to time mine failed: ValueError: unknown activation"):
        timing._in_a_process(("mine",))
