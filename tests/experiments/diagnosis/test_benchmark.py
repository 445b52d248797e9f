"""The benchmark: operators that break, measured truth, scores with intervals, halves that share nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from experiments.config import Run
from experiments.diagnosis.benchmark import (
    HALVES,
    PURPOSES,
    SEEDS,
    benchmark,
    cases,
    draw,
    lesions,
    operators,
    seeds,
)  # fmt: skip
from experiments.diagnosis.lesions import LESIONS
from experiments.diagnosis.mechanisms import MECHANISMS
from experiments.diagnosis.operators import OPERATORS
from experiments.diagnosis.rule_sets import RULE_SETS
from experiments.diagnosis.scores import beaten, roc, scores
from experiments.plots.roc import roc_figure
from experiments.report.benchmark_page import benchmark_page

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


def test_the_halves_share_neither_operators_nor_lesions_nor_seeds():
    for parts, table in ((operators, OPERATORS), (lesions, LESIONS)):
        assert set(parts("development")).isdisjoint(parts("held-out"))
        assert {*parts("development"), *parts("held-out")} == set(table)
    used = [run.seed for half in HALVES for purpose in PURPOSES for run in seeds(BASE, half, purpose)]
    assert len(set(used)) == len(used) == 2 * 3 * SEEDS


def test_a_lesion_is_put_where_nothing_makes_up_for_it():
    plain = replace(BASE, norm="none")
    hit = [case.lesion.layer for case in cases(plain, "development") if case.lesion]
    assert hit == [2, 5, 0] * len(lesions("development"))
    for other in (BASE, replace(plain, residual=1.0), replace(plain, depth=2)):
        assert not [case for case in cases(other, "development") if case.lesion]


def test_what_is_drawn_repeats_itself():
    assert draw(np.random.default_rng(3)) == draw(np.random.default_rng(3))


def made():
    """Five ill, four noticed and three named rightly; five healthy, of which one alarms; one between."""
    quiet = {rules.name: "healthy" for rules in RULE_SETS} | {f"{r.name} dial": 2e8 for r in RULE_SETS}
    quiet |= {"layer_found": "", "fresh_helps": "", "healthy": False, "ill": False}
    ill, healthy, debugger = {"ill": True}, {"healthy": True}, "SageMaker Debugger dial"
    rows = [
        ill | {"operator": "clipped", "first": "clipped_too_hard", "shortfall": 9, "fresh_helps": "yes"},
        ill | {"operator": "clipped", "first": "clipped_too_hard", "shortfall": 8, "fresh_helps": "no"},
        ill
        | {"operator": "layer_shrunk", "first": "vanishing_gradient", "shortfall": 5, "layer_found": "no"},
        ill | {"operator": "clipped", "first": "dead_units", "shortfall": 3, debugger: 0.0},
        ill | {"operator": "clipped", "first": "healthy", "shortfall": 0.5, "UMLAUT": "overfitting"},
        *(healthy | {"operator": "", "first": "healthy", "shortfall": 0} for _ in range(4)),
        healthy | {"operator": "decayed", "first": "undecided", "shortfall": 4, debugger: 1},
        {"operator": "decayed", "first": "undecided", "shortfall": 2, "UMLAUT": "overfitting"},
    ]
    table = pd.DataFrame([quiet | row for row in rows])
    table["right"] = [True, True, True, False, False, *[True] * 4, False, False]
    return table


def test_scores_are_counted_from_the_table():
    table = scores(made()).set_index(["by", "score"])
    for score, hits, n in (
        ("detection", 4, 5), ("false alarms", 1, 5), ("type@1", 3, 5), ("layer within one", 0, 1),
        ("confirmed cures help", 1, 2),
    ):  # fmt: skip
        assert table.loc[("ours", score), ["hits", "n"]].tolist() == [hits, n]
    assert table.loc[("UMLAUT", "detection"), "share"] == 0.2
    assert table.loc[("UMLAUT", "false alarms"), "share"] == 0


def test_our_dial_and_theirs_give_a_curve():
    curve = roc(made())
    ours = curve[curve["by"] == "ours"].set_index("dial")
    assert ours.loc[1.0, ["false_alarms", "detection", "type_at_1"]].tolist() == pytest.approx(
        [0.2, 0.8, 0.6]
    )
    assert ours.loc[4.0, ["false_alarms", "detection"]].tolist() == pytest.approx([0, 0.6])  # above 4
    theirs = curve[curve["by"] == "SageMaker Debugger"].set_index("dial")
    assert theirs.loc[0.1, ["false_alarms", "detection"]].tolist() == pytest.approx([0, 0.2])
    assert theirs.loc[1.0, ["false_alarms", "detection"]].tolist() == pytest.approx([0.2, 0.2])


def test_a_rule_set_is_beaten_at_its_own_false_alarms():
    table = made()
    rows = beaten(table).set_index("by")
    assert rows.loc["UMLAUT", ["ours_false_alarms", "ours_detection", "ours_type_at_1"]].tolist() == [
        0,
        0.6,
        0.6,
    ]
    assert rows.loc["UMLAUT", "beaten"]
    table["UMLAUT"] = np.where(table["ill"], "clipped_too_hard", "healthy")
    assert not beaten(table).set_index("by").loc["UMLAUT", "beaten"]


def test_the_page_and_the_figure_show_what_was_counted():
    tables = {"development": made().assign(base=0), "held-out": made().assign(base=0)}
    page = benchmark_page(tables)
    assert page.count("80% (28% to 99%; 4 of 5)") == 2  # Clopper-Pearson of 4 in 5, from a printed table
    assert "| clipped | The gradient clipped to a norm of a millionth. | 4 | 4 | 2 |" in page
    assert "type@1 at least 85%: not reached; false alarms at most 3%: not reached" in page  # 60 %, 20 %
    good = made()
    good.loc[good["healthy"], "first"] = "healthy"
    assert "false alarms at most 3%: reached, as far as so few" in benchmark_page(
        {"held-out": good.assign(base=0)}
    )
    panels = roc_figure(tables).axes
    assert [panel.get_title() for panel in panels] == ["The development half", "The held-out half"]
    curve = panels[0].lines[0]  # ours, over its dial
    assert (0.2, 0.8) in [(round(x, 6), round(y, 6)) for x, y in zip(*curve.get_data(), strict=True)]


def test_the_command_writes_the_half_asked_for_beside_the_other(tmp_path, monkeypatch):
    import experiments.diagnosis.benchmark as module
    from experiments.cli.entry import main

    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    asked = []
    monkeypatch.setattr(
        module,
        "benchmark",
        lambda bases, half, **others: asked.append((bases, half)) or made().assign(base=0, layer=""),
    )
    assert main("diagnose", ["--benchmark", "5", "--half", "development"]) == 0
    assert asked == [(5, "development")]
    folder = tmp_path / "diagnosis"
    files = {"README.md", "development.csv", "roc_development.csv", "roc.svg"}
    assert {path.name for path in folder.iterdir()} == files
    assert main("diagnose", ["--benchmark", "5", "--half", "held-out"]) == 0
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert page.index("## The development half") < page.index("## The held-out half")
    assert len(pd.read_csv(folder / "held_out.csv")) == len(made())


@pytest.mark.slow
def test_a_small_benchmark_runs_and_finds_more_than_it_misses():
    table = benchmark(2, "development", jobs=1)
    assert table["base"].nunique() == 2
    assert table["ill"].any()
    assert table["healthy"].any()
    found = scores(table).set_index(["by", "score"])["share"]
    assert found["ours", "type@1"] > 0.5
    page = benchmark_page({"development": table})
    assert "## The development half" in page
    assert roc_figure({"development": table}).axes[0].get_title() == "The development half"


def test_the_page_says_how_many_further_networks_the_reference_ranges_hold():
    setting = {"activation": "relu", "depth": 2, "width": 8, "dataset": "moons", "norm": "none"}
    row = setting | {"measure": "z_rms", "n": 100}
    rows = [row | {"layer": layer, "inside": inside} for layer, inside in ((1, 95), (2, 97))]
    page = benchmark_page({}, pd.DataFrame(rows))
    assert "Of 100 further networks of 1 healthy settings, untrained, 96.0% of the values" in page
    assert "Aim, 93 % to 97 %: reached" in page
    assert "--check-normal 100`" in page
