"""The benchmark: operators that break, measured truth, scores with intervals, halves that share nothing."""

import numpy as np
import pandas as pd
import pytest

from experiments.config import Run
from experiments.diagnosis.benchmark import benchmark, cases, draw, operators, scores
from experiments.diagnosis.mechanisms import MECHANISMS
from experiments.diagnosis.operators import OPERATORS
from experiments.diagnosis.rule_sets import RULE_SETS

BASE = Run(activation="relu", init="he_normal", depth=5, width=16, dataset="digits", norm="batch", steps=400)


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_breaks_something_and_says_what_that_may_be_called(name):
    operator = OPERATORS[name]
    plain = Run(activation="relu", init="he_normal", depth=5, dataset="digits", steps=400)
    changed = operator.change(plain) or operator.change(BASE)
    assert changed is not None
    assert changed not in (plain, BASE)
    assert operator.truths <= set(MECHANISMS)
    assert operator.change.__doc__


def test_the_halves_share_neither_operators_nor_seeds():
    assert set(operators("development")).isdisjoint(operators("held-out"))
    assert {*operators("development"), *operators("held-out")} == set(OPERATORS)
    (first, *_), (second, *_) = cases([BASE], "development"), cases([BASE], "held-out")
    assert {run.seed for run in first.seeds("development")}.isdisjoint(
        run.seed for run in second.seeds("held-out")
    )


def test_what_is_drawn_repeats_itself():
    assert draw(np.random.default_rng(3)) == draw(np.random.default_rng(3))


def test_scores_are_counted_from_the_table():
    """Four ill of which three are noticed and two named rightly; five healthy of which one alarms."""
    quiet = {rules.name: "healthy" for rules in RULE_SETS}
    rows = [
        {"operator": "clipped", "ill": True, "first": "clipped_too_hard"},
        {"operator": "clipped", "ill": True, "first": "clipped_too_hard"},
        {"operator": "clipped", "ill": True, "first": "dead_units"},
        {"operator": "clipped", "ill": True, "first": "healthy"},
        *({"operator": "", "ill": False, "first": "healthy"} for _ in range(4)),
        {"operator": "decayed", "ill": False, "first": "decay_too_strong"},
    ]
    table = scores(pd.DataFrame([quiet | row for row in rows])).set_index(["by", "score"])
    assert table.loc[("ours", "detection"), "hits"] == 3
    assert table.loc[("ours", "false alarms"), ["hits", "n"]].tolist() == [1, 5]
    assert table.loc[("ours", "type@1"), "share"] == 0.5
    assert table.loc[("UMLAUT", "detection"), "share"] == 0


@pytest.mark.slow
def test_a_small_benchmark_runs_and_finds_more_than_it_misses():
    table = benchmark(2, "development", jobs=1)
    assert table["ill"].any()
    assert not table["ill"].all()
    found = scores(table).set_index(["by", "score"])["share"]
    assert found["ours", "type@1"] > 0.5
