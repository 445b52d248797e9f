"""How deep can it go: the bisection, the interval, and both through the whole program."""

import json
from math import ceil, inf, isnan, log2, nan, sqrt

import numpy as np
import pandas as pd
import pytest
from made_up import grid, made
from scipy.optimize import minimize

import experiments
from experiments import pipeline
from experiments.cli.commands import command
from experiments.config import ConfigError, from_mapping
from experiments.plots import FIGURES
from experiments.storage.identity import run_id
from experiments.storage.records import Records
from experiments.sweeps import runner
from experiments.sweeps.plan import ExecutionOptions
from experiments.sweeps.search.bisection import SEARCHES
from experiments.sweeps.search.frontier import SURE, frontier, scales_of, successes, table
from experiments.theory.mean_field import depth_scales
from mlp.activations import activation

SEARCH = SEARCHES["depth"](shallowest=2, deepest=200, resolution=1.2)


def search(reaches, how=SEARCH):
    """The depths tried, in order, with their shares, of a setting that reaches a depth or does not."""
    tried = {}
    while (depth := how.next_depth(tried)) is not None:
        tried[depth] = reaches(depth)
    return tried


# -- the bisection ----------------------------------------------------------------------------------------


def test_the_ladder_goes_from_end_to_end_in_even_steps():
    ladder = SEARCH.ladder
    assert (ladder[0], ladder[-1]) == (2, 200)
    assert list(ladder) == sorted(set(ladder))
    for one, next_ in zip(ladder, ladder[1:], strict=False):
        assert next_ == one + 1 or next_ / one < 1.2 + 1 / one  # a whole number apart, or rounded to one
    assert SEARCHES["depth"](shallowest=3, deepest=4).ladder == (3, 4)


@pytest.mark.parametrize("edge", range(len(SEARCH.ladder) + 1))
def test_every_frontier_is_found_with_the_fewest_depths(edge):
    """Of n + 1 places between and beyond n depths, one yes or no can rule out half: log2(n + 1) at least."""
    ladder = SEARCH.ladder
    tried = search(lambda depth: float(ladder.index(depth) < edge))
    assert len(tried) <= ceil(log2(len(ladder) + 1)) == SEARCH.rounds
    beside = {ladder[place] for place in (edge - 1, edge) if 0 <= place < len(ladder)}
    assert beside <= set(tried)


def test_half_is_enough_and_what_is_not_known_ends_the_search():
    assert max(search(lambda depth: 0.5)) == 200
    assert min(search(lambda depth: 0.49)) == 2
    assert len(search(lambda depth: nan)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("depth(accuracy=1.5)",
         "search 'depth': option accuracy is 1.5, which is not a number above 0 and up to 1. "
         "Did you mean 0.015?"),
        ("depth(shallowest=9, deepest=9)",
         "depth: shallowest is 9 and deepest 9; it has to be deeper"),
        ("depth(resolution=1)",
         "search 'depth': option resolution is 1, which is not a number from 1.001 to 10"),
        ("depth(on=loss)",
         "search 'depth': option on is 'loss', which is not one of test_accuracy, accuracy"),
        ("width", "unknown search 'width'. Did you mean 'depth'? Known: depth, none"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_told_so_before_anything_trains(text, message):
    with pytest.raises(ConfigError) as error:
        from_mapping({"question": "?", "search": text})
    assert error.value.messages == [f"search: {message}"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"sweep": {"depth": [1, 2]}}, "sweep.depth: searched for (see search), so it is not set here"),
        ({"base": {"depth": 3}}, "base.depth: searched for (see search), so it is not set here"),
        ({"zip": {"seed": [0, 1], "lr": [0.1, 0.2]}}, "zip.seed: a search tries every setting with every"),
    ],
)  # fmt: skip
def test_what_a_search_sets_is_not_set_elsewhere(section, message):
    with pytest.raises(ConfigError) as error:
        from_mapping({"question": "?", "search": "depth", **section})
    (found,) = error.value.messages
    assert found.startswith(message)


# -- the interval -----------------------------------------------------------------------------------------


def counts(shares, seeds=6):
    return {depth: (round(share * seeds), seeds) for depth, share in shares.items()}


@pytest.mark.parametrize("edge", [3.0, 17.0, 120.0])
def test_a_clean_cut_lies_in_its_gap_and_the_interval_is_the_gap(edge):
    tried = search(lambda depth: float(depth <= edge))
    low = max(depth for depth, share in tried.items() if share)
    high = min(depth for depth, share in tried.items() if not share)
    found = frontier(counts(tried))
    # the places that are looked at lie 0.9 % apart
    assert (found.depth, found.low, found.high) == pytest.approx((sqrt(low * high), low, high), rel=0.01)
    assert found.remark == ""
    few = frontier(counts(tried, seeds=2))  # 2 of 2 against 0 of 2 is less than 95 %
    assert few.low < 0.99 * low
    assert few.high > 1.01 * high


def test_what_never_and_what_always_succeeds_has_an_open_end_and_no_depth():
    never, always = (frontier(counts(search(lambda depth, share=share: share))) for share in (0.0, 1.0))
    assert isnan(never.depth)
    assert (never.low, never.remark) == (0, "fewer than half succeed at 2, the shallowest tried")
    assert never.high == pytest.approx(2, rel=0.02)
    assert isnan(always.depth)
    assert (always.high, always.remark) == (inf, "half or more succeed at 200, the deepest tried")
    assert always.low == pytest.approx(200, rel=0.02)


def test_where_successes_and_failures_overlap_it_is_the_logistic_fit():
    """Against SciPy's minimiser of the same likelihood, and the drop of it at both ends."""
    tried = {5: (6.0, 6), 10: (5.0, 6), 15: (4.0, 6), 20: (2.0, 6), 30: (1.0, 6), 60: (0.0, 6)}
    x, wins, runs = np.log(list(tried)), *np.array(list(tried.values())).T

    def loss(slope, place):
        logit = np.exp(slope) * (place - x)
        return (wins * np.logaddexp(0, -logit) + (runs - wins) * np.logaddexp(0, logit)).sum()

    best = minimize(lambda p: loss(*p), [1.0, 2.5])
    found = frontier(tried)
    assert found.depth == pytest.approx(np.exp(best.x[1]), rel=0.01)
    for end in (found.low, found.high):
        drop = minimize(lambda p, end=end: loss(p[0], np.log(end)), [1.0]).fun - best.fun
        assert drop == pytest.approx(SURE, rel=0.05)
    assert found.low < found.depth < found.high


@pytest.mark.slow
def test_the_interval_covers_the_truth(rng):
    """Logistic networks that go 20 deep: of 200 searches 95 % should, and at least 90 % must, enclose it."""

    def outcome(depth):
        return (rng.random(6) < 1 / (1 + (depth / 20) ** 6)).mean()

    found = [frontier(counts(search(outcome))) for _ in range(200)]
    assert np.mean([each.low <= 20 <= each.high for each in found]) > 0.9


# -- records ----------------------------------------------------------------------------------------------

REACHED = {"sigmoid": 2, "tanh": 5, "relu": 10**6, "identity": 0}  # the deepest net that learns


def learns(run):
    return 0.8 if run.depth <= REACHED[run.activation] else 0.1


def test_a_run_that_diverged_has_failed_and_one_that_crashed_says_nothing():
    r = made(grid(depth=2, seed=[0, 1, 2], steps=5), lambda run, step: {"test_accuracy": 0.9},
             lost=lambda run: run.seed == 1)  # fmt: skip
    crashed = r.runs.assign(status=r.runs["status"].where(r.runs["seed"] != 2, "crashed"))
    found = successes(Records(crashed, r.steps, r.layers), 0.5, "test_accuracy")["success"]
    assert found.tolist()[:2] == [1, 0]
    assert isnan(found.tolist()[2])


def test_theory_stands_beside_where_it_applies():
    run = {"activation": "tanh", "width": 64, "init": "scaled_normal(gain=2)", "bias": "zeros"}
    run |= {"norm": "none", "residual": 0.0}
    expected = depth_scales(activation("tanh"), 4.0)
    assert scales_of(run) == pytest.approx(expected)
    for other in ({"norm": "batch"}, {"residual": 1.0}, {"init": "rai"}):
        assert all(isnan(scale) for scale in scales_of(run | other).values())


# -- the whole program -----------------------------------------------------------------------------------

CONFIG = {
    "question": "How deep?",
    "base": {"dataset": "moons(n=200)", "width": 4, "steps": 3, "batch": 16},
    "search": "depth(accuracy=0.5, shallowest=1, deepest=8, resolution=1.1)",
    "sweep": {"activation": list(REACHED), "seed": [0, 1, 2]},
    "probes": ["delta_norm"],
    "watch": 2,
    "figures": [],
}


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Results go to a folder of their own; networks learn as they are told. The stacks asked for."""
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    done = []

    def run_stack(runs, recording, prints=None, **how):
        done.append(runs)
        learnt = made(runs, lambda run, _: {"test_accuracy": learns(run)}, lambda *_: {"delta_norm": 1.0})
        names = dict(zip(learnt.runs["run_id"], (run_id(run, recording) for run in runs), strict=True))
        frames = (learnt.runs, learnt.steps, learnt.layers)
        return Records(*(f.assign(run_id=f["run_id"].map(names).astype("str")) for f in frames))

    monkeypatch.setattr(runner, "run_stack", run_stack)
    return done


def test_a_search_finds_each_settings_frontier_and_a_second_one_trains_nothing(trained, tmp_path):
    records = experiments.run(from_mapping(CONFIG, "deep"))
    ladder = SEARCHES.bind(CONFIG["search"])().ladder
    found = pd.read_csv(tmp_path / "deep" / "frontier.csv").set_index("activation")
    for act in ("sigmoid", "tanh"):
        below = max(depth for depth in ladder if depth <= REACHED[act])
        above = min(depth for depth in ladder if depth > REACHED[act])
        row = found.loc[act]
        assert (row["low"], row["high"]) == pytest.approx((below, above), rel=0.01)
        assert row["frontier"] == pytest.approx(sqrt(below * above), rel=0.01)
        assert row["grid_runs"] == 3 * len(ladder)
        assert row["runs"] <= 3 * ceil(log2(len(ladder) + 1)) <= row["grid_runs"] / 2
    assert found.loc["relu", "remark"] == "half or more succeed at 8, the deepest tried"
    assert found.loc["identity", "remark"] == "fewer than half succeed at 1, the shallowest tried"
    assert found["runs"].sum() == len(records.runs) == sum(map(len, trained))
    again = experiments.run(from_mapping(CONFIG, "deep"))
    assert sum(map(len, trained)) == len(records.runs)
    assert again.runs.equals(records.runs)
    assert pipeline.load("deep").runs.equals(records.runs)
    records.runs.to_parquet(tmp_path / "elsewhere.parquet")  # what was searched for goes with them
    assert pd.read_parquet(tmp_path / "elsewhere.parquet").attrs["search"]["deepest"] == 8
    assert [path.name for path in pipeline.plot("deep", ["frontier"])][:1] == ["frontier.svg"]


def test_an_interrupted_search_goes_on_where_it_was(trained, monkeypatch, tmp_path):
    asked = {**CONFIG, "sweep": {**CONFIG["sweep"], "activation": ["sigmoid", "tanh"]}}
    whole = experiments.run(from_mapping(asked, "whole")).runs
    stacks = len(trained)
    trained.clear()
    monkeypatch.setenv("VG_RESULTS", str(tmp_path / "elsewhere"))  # or these runs would be taken over
    told = runner.run_stack

    def stops(runs, recording, prints=None, **how):
        if len(trained) == stacks - 2:  # in a later round
            raise KeyboardInterrupt
        return told(runs, recording)

    monkeypatch.setattr(runner, "run_stack", stops)
    with pytest.raises(KeyboardInterrupt):
        experiments.run(from_mapping(asked, "deep"))
    monkeypatch.setattr(runner, "run_stack", told)
    again = experiments.run(from_mapping(asked, "deep")).runs
    assert again["run_id"].tolist() == whole["run_id"].tolist()
    assert sum(map(len, trained)) == len(whole)  # nothing twice


def test_the_plan_is_the_first_round(trained):
    sweep = pipeline.plan_only(from_mapping(CONFIG, "deep"))
    assert {run.depth for run in sweep.runs.values()} == {SEARCHES.bind(CONFIG["search"])().next_depth({})}
    assert sweep.missing == 4 * 3
    assert not trained


def test_a_plan_on_the_terminal_says_that_there_are_rounds(trained, tmp_path, capfd):
    path = tmp_path / "deep.yaml"
    path.write_text(json.dumps(CONFIG))  # which is YAML too
    assert command(str(path), [], ExecutionOptions(), plan=True) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[1].startswith("12 runs, none stored: ")
    assert lines[2] == "that is the first of at most 4 rounds of a search"


def marks_of(axes, name):
    return [line for line in axes.lines if line.get_label() == name]


def test_the_figure_marks_frontier_interval_and_theory():
    runs = grid(activation=list(REACHED), depth=[1, 2, 4, 8, 20], seed=[0, 1, 2], steps=5)
    records = made(runs, lambda run, step: {"test_accuracy": learns(run)})
    figure = FIGURES["frontier"](records)
    (axes,) = figure.axes
    found = table(records, 0.5, "test_accuracy")
    assert [label.get_text() for label in axes.get_yticklabels()] == found["activation"].tolist()
    marks = [line.get_xdata()[0] for line in marks_of(axes, "found")]
    np.testing.assert_array_equal(marks, found["frontier"])
    theory = {mark.get_ydata()[0]: mark.get_xdata()[0] for mark in marks_of(axes, "theory")}
    place = found["activation"].tolist().index("sigmoid")
    assert theory[place] == pytest.approx(found.loc[place, "theory"])
    assert "Accuracy to reach: 0.5 of the test examples." in figure.alt
    stricter = FIGURES["frontier"](records, accuracy=0.9)
    assert all(isnan(line.get_xdata()[0]) for line in marks_of(stricter.axes[0], "found"))


def test_an_ordinary_sweep_over_depths_has_frontiers_too():
    runs = grid(activation=["sigmoid", "tanh"], depth=[2, 5, 10, 50], seed=[0, 1, 2], steps=5)
    found = table(made(runs, lambda run, step: {"accuracy": learns(run)}), 0.5, "accuracy")
    assert found["frontier"].tolist() == pytest.approx([sqrt(10), sqrt(50)], rel=0.01)
