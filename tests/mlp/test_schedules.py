"""Schedules: the exact multiple of the learning rate at every step."""

from math import cos, pi

import pytest

from mlp.schedules import SCHEDULES


def factors(text, steps, upto=None):
    schedule = SCHEDULES.bind(text)()
    return [schedule(step, steps) for step in range(upto or steps + 1)]


def test_constant_is_one():
    assert factors("constant", 5) == [1.0] * 6


def test_step_falls_by_its_factor_every_so_many():
    assert factors("step(every=2, factor=0.5)", 6) == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]
    default = SCHEDULES.bind("step")()
    assert (default(99, 300), default(100, 300), default(200, 300)) == (1, 0.1, pytest.approx(0.01))


def test_cosine_rises_then_falls():
    assert factors("cosine(warmup=4)", 8) == pytest.approx(
        [1 / 4, 2 / 4, 3 / 4, 1, 1, (1 + cos(pi / 4)) / 2, 0.5, (1 - cos(pi / 4)) / 2, 0], abs=1e-15
    )


def test_cosine_without_warmup_starts_at_one_and_ends_on_its_floor():
    assert factors("cosine(floor=0.2)", 2) == pytest.approx([1, 0.6, 0.2])
    assert factors("cosine(floor=0.2)", 2, upto=5)[3:] == pytest.approx([0.2, 0.2])  # and stays there


def test_cosine_without_steps_is_defined():
    assert factors("cosine", 0) == [1.0]
    assert factors("cosine(warmup=2)", 1) == [0.5, 1.0]


def test_shock_lasts_as_long_as_it_says():
    assert factors("shock(at=2, factor=50.0, length=2)", 5) == [1, 1, 50, 50, 1, 1]
    assert factors("shock(at=0)", 2) == [100, 1, 1]


@pytest.mark.parametrize("text", sorted(SCHEDULES))
def test_every_schedule_is_a_finite_number_that_repeats_itself(text):
    """A function of the step alone, so that a run resumed or watched otherwise takes the same steps."""
    for steps in (0, 1, 7, 250):
        values = factors(text, steps)
        assert all(isinstance(value, float) and 0 <= value < 1e6 for value in values)
        assert factors(text, steps)[::-1] == values[::-1]


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name in sorted(SCHEDULES) for option in SCHEDULES.options(name)]
)
def test_every_option_changes_the_factors(name, option):
    default = SCHEDULES.options(name)[option].default
    changed = 3 if isinstance(default, int) else 0.35
    assert factors(name, 300) != factors(f"{name}({option}={changed})", 300)
