"""Measured numbers beside published ones: intervals, tolerances, bounds and shares, each with its sides."""

import math

import numpy as np
import pytest

from experiments.claims.comparison import (
    Compared,
    between,
    bounded,
    can_tell,
    computed,
    errors,
    mean_beyond,
    mean_near,
    near,
    one_more,
    share_beyond,
    share_near,
)

SIX = list(range(6))


@pytest.mark.parametrize(
    ("values", "expected"), [([1.0, 1.1] * 3, True), ([1.0, 1.4] * 3, None), ([2.0] * 6, False)]
)
def test_near_asks_every_seed(values, expected):
    assert near("x", values, 1.0, 0.2, "source").holds is expected
    assert near("x", [10 * v for v in values], 10.0, 0.2, "source", relative=True).holds is expected
    assert between("x", values, 0.9, 1.2, 1.0, "source").holds is expected


def test_outside_on_both_sides_is_outside():
    assert between("x", [0.0, 2.0] * 3, 0.9, 1.2, 1.0, "source").holds is False


@pytest.mark.parametrize("n", [6, 12, 24])
@pytest.mark.parametrize("comparisons", [1, 5])
def test_the_interval_of_a_mean_is_students(n, comparisons):
    """It holds 97 % of the density (1 + t²/f)^(−(f + 1)/2), which is integrated here by the midpoint rule."""
    f, ends = n - 1, errors(n, comparisons)
    steps = 200_000
    t = (np.arange(steps) + 0.5) * ends / steps
    constant = math.gamma((f + 1) / 2) / math.gamma(f / 2) / math.sqrt(f * math.pi)
    inside = 2 * constant * ((1 + t**2 / f) ** (-(f + 1) / 2)).sum() * ends / steps
    assert 1 - inside == pytest.approx(0.03 / comparisons, rel=1e-6)


def test_of_six_seeds_the_interval_is_three_standard_errors():
    assert errors(6) == pytest.approx(3.0, abs=0.005)


MEAN_2 = [1.5, 2.5, 1.5, 2.5, 1.5, 2.5]  # standard error 0.5477/√6 = 0.2236, interval 2 ± 0.671


@pytest.mark.parametrize(
    ("published", "within", "expected"),
    [(2.0, 0.7, True), (2.0, 0.6, None), (2.0, 0.0, None), (3.0, 0.2, False), (3.0, 0.4, None)],
)
def test_the_stated_tolerance_of_a_mean_is_the_rule(published, within, expected):
    """Scatter makes nothing pass: the interval lies inside (2.671 < 2.7), outside (2.671 < 2.8) or across."""
    found = mean_near("x", MEAN_2, published, within, "source")
    assert found.holds is expected
    assert found.value == 2.0
    assert bool(found.why_open) is (expected is None)
    assert mean_near("x", MEAN_2, published, within / published, "source", relative=True).holds is expected


def test_the_twentieth_layer_that_is_82_per_cent_off_does_not_pass_a_rule_of_20_per_cent():
    seeds = [0.00408, 0.0287, 0.015, 0.010, 0.020, 0.012]  # as wide as L09's, mean 0.015
    assert mean_near("x", seeds, 0.00824, 0.2, "derived", relative=True).holds is None
    sharp = [0.0149, 0.0151] * 3
    assert mean_near("x", sharp, 0.00824, 0.2, "derived", relative=True).holds is False


def test_of_many_comparisons_one_has_to_miss_by_more():
    """2.671 < 2.8 alone; among a hundred the interval is 2 ± 9.1·0.2236 and reaches 3.2."""
    assert mean_near("x", MEAN_2, 3.0, 0.2, "source").holds is False
    assert mean_near("x", MEAN_2, 3.0, 0.2, "source", comparisons=100).holds is None
    assert mean_near("x", MEAN_2, 2.0, 0.7, "source", comparisons=100).holds is True
    assert mean_beyond("x", MEAN_2, "below", 1.2, "source").holds is False
    assert mean_beyond("x", MEAN_2, "below", 1.2, "source", comparisons=100).holds is None
    assert "one of 100 compared" in mean_near("x", MEAN_2, 2.0, 0.7, "source", comparisons=100).within


@pytest.mark.parametrize(("bound", "expected"), [(1.3, True), (1.4, None), (2.6, None), (2.7, False)])
def test_a_mean_lies_beyond_a_number_with_its_interval(bound, expected):
    assert mean_beyond("x", MEAN_2, "above", bound, "source").holds is expected
    mirrored = mean_beyond("x", [-v for v in MEAN_2], "below", -bound, "source")
    assert mirrored.holds is expected
    assert mirrored.is_bound


def test_a_share_is_as_certain_as_its_trials():
    assert share_near("x", [0.0] * 6, 1e-4, 100, "source").holds  # none in 600 is what chance gives
    assert not share_near("x", [0.0] * 6, 0.1, 100, "source").holds
    assert share_near("x", [0.5, 0.52] * 3, 0.5, 1000, "source").holds
    assert not share_near("x", [0.55] * 6, 0.5, 1000, "source").holds
    assert share_near("x", [0.5] * 5, 0.5, 1000, "source").holds is None


def test_a_share_is_compared_where_its_tolerance_admits_neither_0_nor_1():
    """Four errors of a share of 0.03 in 600 trials are 0.028, of 0.025 they are 0.0255."""
    assert can_tell(0.03, 600)
    assert not can_tell(0.025, 600)
    assert not can_tell(0.975, 600)
    assert not can_tell(0.03, 600, theirs=600)


def test_a_bound_on_a_share_bears_what_chance_does():
    """Of 6 × 100 trials at a half one error is 0.0204: four are 0.082."""
    for share, expected in ((0.6, True), (0.45, True), (0.41, False)):
        assert share_beyond("x", [share] * 6, "above", 0.5, 100, "recalled").holds is expected
        assert share_beyond("x", [1 - share] * 6, "below", 0.5, 100, "recalled").holds is expected


def test_one_more_network_lies_in_the_interval_of_prediction():
    """Logs with mean 0 and sd 0.7071: one more is within 3.003·0.7071·√(7/6) = 2.293."""
    ours = np.exp([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0])
    assert one_more("x", ours, np.exp(2.28), "source", scale="log").holds
    assert one_more("x", ours, np.exp(2.31), "source", scale="log").holds is False
    assert one_more("x", ours, np.exp(2.31), "source", scale="log", comparisons=18).holds
    assert one_more("x", [0.0, *ours], 1.0, "source", scale="log").holds is None  # an exact zero has no log


def test_one_more_count_lies_where_roots_of_counts_do():
    """√(count + 3/8) of 1 and 3 is 1.173 and 1.837: mean 1.505, sd 0.364, one more within 1.180 of it.

    That is up to 2.6854² − 3/8 = 6.836, and from 0.
    """
    ours = [1.0, 3.0] * 3
    for count, expected in ((6, True), (7, False), (0, True)):
        assert one_more("x", ours, count, "source", scale="count").holds is expected
    assert "from 0 to 6.84, where one more" in one_more("x", ours, 6, "source", scale="count").within
    assert one_more("x", [0.0] * 6, 0.0, "source", scale="count").holds
    assert one_more("x", [0.0] * 6, 1.0, "source", scale="count").holds is False


def test_bounded_and_computed_have_sides():
    assert bounded("x", [1.0] * 6, "below", 2.0, "threshold").holds
    assert bounded("x", [1.0] * 6, "above", 2.0, "threshold").holds is False
    assert computed("x", 1.0005, 1.0, 1e-3, "source").holds
    assert computed("x", 1.002, 1.0, 1e-3, "source").holds is False
    assert computed("x", np.nan, 1.0, 1e-3, "source").holds is None
    assert computed("x", 1.0, 1.0, 1e-3, "source").n == 1  # no seed has computed it


@pytest.mark.parametrize("compare", [near, mean_near])
def test_too_few_seeds_or_a_missing_value_decide_nothing(compare):
    few = compare("x", [1.0] * 5, 1.0, 0.1, "source")
    assert few.holds is None
    assert few.why_open == "5 seeds of at least 6"
    lost = compare("x", [1.0] * 5 + [np.nan], 1.0, 0.1, "source")
    assert lost.holds is None
    assert lost.why_open == "1 of 6 seeds have no value"
    assert compare("x", [], 1.0, 0.1, "source").holds is None


def test_a_gap_is_relative_but_for_zero():
    assert Compared("x", 1.1, 1, 1.2, 6, 1, True, published=1.0).gap == pytest.approx(0.1)
    assert Compared("x", 0.1, 0, 0.2, 6, 0, True, published=0.0).gap == pytest.approx(0.1)
    bound = bounded("x", [1.0] * 6, "below", 2.0, "threshold")
    assert np.isnan(bound.gap)  # a bound is no number to come out again
