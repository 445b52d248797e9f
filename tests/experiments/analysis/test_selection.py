"""Choosing on one half of the seeds and judging on the other, against six rows done by hand."""

import numpy as np
import pandas as pd
import pytest
from made_up import grid, made

from experiments.analysis.selection import at_last_step, halves, own_best, steps_to


def scores(table, **fixed):
    """Rows of {lr: values by seed}."""
    rows = [
        {"lr": lr, "seed": seed, "value": value, **fixed}
        for lr, values in table.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def chosen(found):
    """{seed: (lr, value)}."""
    return {row.seed: (row.lr, row.value) for row in found.itertuples()}


@pytest.mark.parametrize(
    ("seeds", "parts"),
    [([3, 1, 2, 0], ([0, 1], [2, 3])), ([5, 1, 9], ([1], [5, 9])), ([7, 7], ([], [7])), ([], ([], []))],
)
def test_halves_are_cut_in_the_middle_whatever_the_order(seeds, parts):
    assert halves(seeds) == parts


def test_each_half_is_judged_at_what_the_other_chooses():
    table = {0.1: [1, 1, 9, 9], 0.2: [5, 5, 2, 2]}  # seeds 0, 1 are best at 0.2, seeds 2, 3 at 0.1
    assert chosen(own_best(scores(table), [])) == {0: (0.1, 1), 1: (0.1, 1), 2: (0.2, 2), 3: (0.2, 2)}


def test_no_seed_takes_part_in_its_own_choice():
    lucky = {0.1: [3, 3, 3, 3], 0.2: [99, 0, 0, 0]}  # one seed's luck would choose 0.2 by a mean
    found = chosen(own_best(scores(lucky), []))
    assert found[0] == found[1] == (0.1, 3)
    assert {lr for lr, _ in found.values()} <= {0.1, 0.2}


def test_the_smallest_is_best_where_asked():
    table = {0.1: [1, 1, 1, 1], 0.2: [5, 5, 5, 5]}
    assert {lr for lr, _ in chosen(own_best(scores(table), [], larger=False)).values()} == {0.1}
    assert {lr for lr, _ in chosen(own_best(scores(table), [])).values()} == {0.2}


def test_settings_choose_apart():
    a = scores({0.1: [1, 1], 0.2: [0, 0]}, activation="a")
    b = scores({0.1: [0, 0], 0.2: [1, 1]}, activation="b")
    found = own_best(pd.concat([a, b]), ["activation"])
    assert found.groupby("activation")["lr"].unique().map(list).to_dict() == {"a": [0.1], "b": [0.2]}


@pytest.mark.parametrize("larger", [True, False])
def test_a_run_that_diverged_is_worse_than_any_number(larger):
    table = {0.1: [3, 3, 3, 3], 0.2: [np.nan] * 4}
    assert {lr for lr, _ in chosen(own_best(scores(table), [], larger=larger)).values()} == {0.1}


def test_of_two_as_good_the_smaller_rate_is_taken():
    assert {lr for lr, _ in chosen(own_best(scores({0.2: [1, 1], 0.1: [1, 1]}), [])).values()} == {0.1}


@pytest.mark.parametrize(("best", "edge"), [(0.1, True), (0.2, False), (0.3, True)])
def test_a_best_at_an_end_of_its_grid_is_marked(best, edge):
    table = {lr: [float(lr == best)] * 2 for lr in (0.1, 0.2, 0.3)}
    assert own_best(scores(table), [])["on_edge"].tolist() == [edge, edge]


def test_a_grid_of_one_has_no_edge_and_all_seeds_are_kept():
    found = own_best(scores({0.1: [1, 2, 3]}), [])
    assert sorted(found["seed"]) == [0, 1, 2]
    assert not found["on_edge"].any()


def test_a_single_seed_is_judged_by_its_own_choice():
    assert chosen(own_best(scores({0.1: [1], 0.2: [2]}), [])) == {0: (0.2, 2)}


def test_no_rows_give_no_rows():
    assert len(own_best(scores({0.1: [1]})[:0], [])) == 0


def test_nothing_but_seeds_is_mixed():
    twice = pd.concat([scores({0.1: [1, 1]}, depth=1), scores({0.1: [1, 1]}, depth=2)])
    with pytest.raises(ValueError, match="choosing lr for each setting would mix other fields"):
        own_best(twice, [])
    assert len(own_best(twice, ["depth"])) == 4


def test_the_last_step_of_every_run_and_nan_for_one_that_did_not_get_there():
    runs = grid(steps=[5, 10], seed=[0, 1])
    records = made(runs, lambda run, step: {"loss": float(step + run.seed)}, lost={runs[3]})
    found = at_last_step(records, "loss")
    assert found["value"].tolist()[:3] == [5, 6, 10]
    assert np.isnan(found["value"][3])
    assert found["steps"].tolist() == [5, 5, 10, 10]


def test_steps_to_a_target_are_those_of_the_first_time():
    losses = {0: 3.0, 1: 1.0, 2: 2.0, 3: 0.5}
    runs = grid(steps=3, seed=[0, 1])
    records = made(runs, lambda run, step: {"loss": losses[step] + run.seed}, watched=range(4))
    assert steps_to(records, 1.0)["value"].tolist() == [1, np.inf]
    assert steps_to(records, 1.5)["value"].tolist() == [1, 3]
