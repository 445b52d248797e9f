"""What advice costs: made-up records with known differences, and the shipped table beside its page."""

from pathlib import Path

import pandas as pd
import pytest
from made_up import grid, made

from experiments.analysis.followed_advice import advice_costs, verdict

STUDY = Path(__file__).resolve().parents[3] / "results" / "studies" / "advice"
REACHED = {"sigmoid": 0.5, "tanh": 0.9, "relu": 0.905, "leaky_relu(slope=0.1)": 0.7}


def records():
    """Rate 0.1 is the better by 0.3 everywhere; nearly all of it is reached at step 10."""

    def steps(run, step):
        end = REACHED[run.activation] - 0.3 * (run.lr < 0.1) + 0.001 * run.seed
        return {"test_accuracy": {0: 0.0, 10: end - 0.01, 100: end}[step]}

    runs = grid(activation=list(REACHED), lr=[0.01, 0.1], depth=2, steps=100, seed=list(range(6)))
    return made(runs, steps, watched=[10])


def test_the_cost_is_the_paired_difference_at_each_sides_own_best_rate():
    table = advice_costs(records()).set_index(["take", "instead"])
    row = table.loc[("tanh", "sigmoid")]
    assert row["difference"] == pytest.approx(0.4)
    assert (row["verdict"], row["seeds"], bool(row["on_edge"])) == ("gains", 6, True)
    assert table.loc[("relu", "tanh"), "verdict"] == "does not matter"
    assert table.loc[("leaky_relu(slope=0.1)", "relu"), "verdict"] == "loses"
    assert (row["updates_take"], row["updates_instead"]) == (10, 10)  # 0.4825 is passed at the first look


def test_a_time_is_asked_only_where_the_worse_side_has_learnt_something():
    """From 0.45, sigmoid gains 0.05: nothing that both can do. tanh and ReLU gain more and have a time."""

    def steps(run, step):
        end = REACHED[run.activation] + 0.001 * run.seed
        return {"test_accuracy": {0: 0.45, 10: (0.45 + end) / 2, 100: end}[step]}

    runs = grid(activation=list(REACHED), lr=[0.01, 0.1], depth=2, steps=100, seed=list(range(6)))
    table = advice_costs(made(runs, steps, watched=[10])).set_index(["take", "instead"])
    times = ["updates_take", "updates_instead"]
    assert table.loc[("tanh", "sigmoid"), times].isna().all()
    assert table.loc[("relu", "tanh"), times].tolist() == [100, 100]


def test_a_diverged_run_leaves_its_cell_open_and_is_not_counted():
    def steps(run, step):
        return {"test_accuracy": REACHED[run.activation] * (step > 0) - 0.3 * (run.lr < 0.1)}

    runs = grid(activation=list(REACHED), lr=[0.01, 0.1], depth=2, steps=100, seed=list(range(6)))
    lost = {run for run in runs if run.activation == "relu" and run.lr == 0.1 and run.seed == 1}
    row = advice_costs(made(runs, steps, lost=lost)).set_index(["take", "instead"]).loc[("relu", "tanh")]
    assert (row["seeds"], row["verdict"]) == (5, "open")
    assert (row["updates_take"], row["updates_instead"]) == (100, 100)  # half of the runs are enough


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.02, 0.3, "gains"), (-0.3, -0.02, "loses"), (-0.02, 0.02, "does not matter"), (-0.1, 0.3, "open"),
     (0.0, 0.5, "open"), (float("nan"), float("nan"), "open")],
)  # fmt: skip
def test_a_range_decides(low, high, word):
    assert verdict(low, high) == word


def test_the_page_counts_what_the_table_has():
    table = pd.read_csv(STUDY / "advice.csv")
    page = (STUDY / "README.md").read_text(encoding="utf-8")
    names = {"relu": "ReLU", "leaky_relu(slope=0.1)": "leaky ReLU"}
    for (advice, take, instead), rows in table.groupby(["advice", "take", "instead"]):
        counts = [(rows["verdict"] == word).sum() for word in ("gains", "loses", "does not matter", "open")]
        said = (advice.replace("ReLU", "ReLU"), names.get(take, take), names.get(instead, instead))
        assert "| " + " | ".join([*said, *map(str, counts)]) + " |" in page
        one, other = rows["updates_take"], rows["updates_instead"]
        times = [int(each.sum()) for each in (one < other, one == other, one > other, one.isna())]
        assert "| " + " | ".join([*said[1:], *map(str, times)]) + " |" in page
    assert (
        f"In {table['on_edge'].sum()} of the {len(table)} comparisons one of the chosen rates still ends"
        in page
    )
