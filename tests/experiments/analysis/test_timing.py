"""What timing does with times: who takes turns, what is set aside, and what a step is made of."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from experiments.analysis import cost as timing
from experiments.analysis.cost import interleaved, middle
from mlp.activations import activation


@pytest.mark.parametrize(("n", "kept"), [(1, 1), (2, 2), (5, 5), (6, 6), (8, 8), (9, 9), (10, 8), (21, 11)])
def test_as_many_are_set_aside_as_leave_the_median_covered(n, kept):
    values = np.random.default_rng(n).permutation(n).astype(float)
    found = middle(values)
    aside = (n - kept) // 2
    assert found.tolist() == list(range(aside, n - aside))
    missed = 2 * sum(comb(n, i) for i in range(aside + 1)) / 2**n
    assert 1 - missed >= timing.SURE or aside == 0
    more = 2 * sum(comb(n, i) for i in range(aside + 2)) / 2**n
    assert 1 - more < timing.SURE


def test_the_middle_covers_the_median_as_often_as_said(rng):
    draws = rng.exponential(size=(4000, 10))
    covered = [found.min() <= np.log(2) <= found.max() for found in map(middle, draws)]
    assert abs(np.mean(covered) - (1 - 2 * 11 / 2**10)) < 0.01  # its standard error is 0.002


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
    for function in (timing.element_times, timing.step_times, timing.tutorial_times):
        function.cache_clear()
    yield
    for function in (timing.element_times, timing.step_times, timing.tutorial_times):
        function.cache_clear()


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
