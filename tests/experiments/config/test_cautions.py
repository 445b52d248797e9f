"""What is allowed and may be a slip: said once a setting, of the runs that there are, and kept."""

import json
import re

import pytest
from written import written

import experiments
from experiments import run
from experiments.cli.notebook import CautionWarning
from experiments.config import ConfigError, cautions, from_mapping, load
from experiments.config.cautions import MOST, RULES

TINY = {"dataset": "moons(n=60)", "depth": 2, "width": 4, "steps": 6, "batch": 8}


def said(**more):
    """The cautions of tiny runs with these fields: a list is swept over."""
    base = {k: v for k, v in (TINY | more).items() if not isinstance(v, list)}
    sweep = {key: value for key, value in more.items() if isinstance(value, list)}
    return cautions(from_mapping({"question": "q", "base": base, "sweep": sweep}))


def test_an_ordinary_experiment_has_none():
    assert said(lr=0.1, seed=1, optimiser="adam", schedule="cosine(warmup=2)", clip=1.0) == []


def test_a_setting_is_named_once_however_many_runs_have_it():
    assert said(seed=list(range(50)), lr=[0.0, 0.1]) == ["lr: 0 means that no weight is ever changed"]


def test_of_a_grid_only_the_combinations_that_are_slips_are_named():
    base = {key: value for key, value in TINY.items() if key != "depth"}
    mapping = {"question": "q", "base": base, "sweep": {"depth": [0, 1, 5], "residual": [0.0, 1.0]}}
    assert cautions(from_mapping(mapping)) == [
        f"residual: 1 has no effect at depth {depth}; skips begin at hidden layer 2" for depth in (0, 1)
    ]


def test_dead_biases_are_named_where_they_kill_no_unit():
    assert said(bias="dead(share=0.25)", activation=["relu", "tanh", "leaky_relu"]) == [
        f"bias: dead(share=0.25) kills no unit of {name}, whose slope is not 0 on the far left"
        for name in ("tanh", "leaky_relu")
    ]
    assert said(bias="dead", norm="batch") == [
        "bias: dead kills no unit under norm=batch, which takes the biases away again"
    ]


def test_a_search_finds_its_depths_so_nothing_is_said_of_them():
    base = {key: value for key, value in TINY.items() if key != "depth"}
    mapping = {"question": "q", "base": base | {"residual": 1.0}, "search": "depth(deepest=9)"}
    assert cautions(from_mapping(mapping)) == []


def test_many_are_cut():
    found = said(schedule=[f"shock(at={at})" for at in range(10, 10 + 2 * MOST)])
    assert len(found) == MOST + 1
    assert found[-1] == f"… and {MOST} more of this kind"


def test_every_rule_says_something_somewhere():
    """The settings of tests/experiments/test_nonsense.py that are warned of; here, that none is forgotten."""
    slips = {
        "_schedule": {"schedule": "step"},
        "_residual": {"residual": 1.0, "depth": 1},
        "_without_hidden_layers": {"dropout": 0.5, "depth": 0},
        "_first_rate": {"layer_lr": 1e9},
        "_norm_without_layers": {"norm": "batch", "depth": 0},
        "_norm_of_one": {"norm": "batch", "batch": 1},
        "_no_step": {"lr": 0.0},
        "_decay": {"weight_decay": 1e12},
        "_equal_weights": {"init": "normal(std=0)"},
        "_huge_rate": {"lr": 1e9},
        "_dead_biases": {"bias": "dead", "activation": "tanh"},
    }
    assert {rule.__name__ for rule in RULES} == set(slips)
    assert all(said(**setting) for setting in slips.values())


def test_they_are_shown_before_training_and_kept_with_the_results(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    mapping = {"question": "q", "base": TINY | {"schedule": "shock(at=900)"}, "figures": []}
    run(mapping, quiet=False)
    line = "schedule: shock(at=900) has no effect in 6 updates"
    assert f"warning: {line}" in " ".join(capfd.readouterr().out.split())
    (manifest,) = tmp_path.glob("*/manifest.json")
    assert json.loads(manifest.read_text())["warnings"] == [line]
    with pytest.warns(CautionWarning, match=re.escape(line)):  # as in a notebook
        run(mapping)


def test_a_caution_that_is_an_error_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    with pytest.raises(CautionWarning, match="no weight is ever changed"):  # as in all tests
        run({"question": "q", "base": TINY | {"lr": 0.0}, "figures": []}, name="kept")
    assert len(experiments.load("kept").runs) == 1


# -- files of the user's -----------------------------------------------------------------------------------


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Two files with equal contents and a third, in the working folder; the first column counts the rows."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{i},{i * 7 % 10},{i % 3}\n" for i in range(60)]
    for name, kept in (("a", rows), ("b", rows), ("c", rows[:50])):
        (tmp_path / f"{name}.csv").write_text(",x,y\n" + "".join(kept))


def test_a_file_that_may_not_be_meant_so_is_named(tables):
    (line,) = cautions(from_mapping({"question": "q", "base": {"dataset": "file(path=a.csv)", "batch": 8}}))
    assert line.startswith(
        "dataset: file(path='a.csv'): column 0 (the first is 0) is left out: it counts the rows"
    )


def test_two_files_with_equal_contents_are_one(tables):
    listed = {"question": "q", "base": {"batch": 8}, "sweep": {"dataset": ["file(path=a.csv)"]}}
    for more in (["file(path=c.csv)"], ["file(path=b.csv, shift=1)"], ["digits"]):
        datasets = [*listed["sweep"]["dataset"], *more]
        assert from_mapping(listed | {"sweep": {"dataset": datasets}}).size() == 2
    with pytest.raises(ConfigError) as error:
        from_mapping(listed | {"sweep": {"dataset": ["file(path=a.csv)", "file(path=b.csv)"]}})
    assert error.value.messages == [
        "sweep.dataset[1]: \"file(path='b.csv')\" has the same contents as sweep.dataset[0]: "
        "it is listed twice"
    ]


# -- figures of a file under an override -------------------------------------------------------------------

DEEP = """question: q
sweep: {depth: [2, 20]}
figures: [learning_curves, gradient_by_layer(where=runs(depth=20))]
"""


def test_an_override_that_takes_a_figures_runs_away_leaves_the_figure_out_and_says_so(tmp_path):
    path = written(tmp_path, DEEP)
    assert len(load(path).figures) == 2
    found = load(path, ["depth=[2, 5]"])
    assert found.figures == ("learning_curves",)
    assert cautions(found) == [
        "gradient_by_layer(where=runs(depth=20)) is not drawn: where: no run has depth 20. Runs have 2, 5"
    ]
    with pytest.raises(ConfigError, match="no run has depth 7"):
        load(path, ["depth=[2, 5]", "figures=['gradient_by_layer(where=runs(depth=7))']"])


@pytest.mark.parametrize("override", ["name=other", "claims=[]", "watch=4", "question=why"])
def test_what_changes_no_run_excuses_no_figure(tmp_path, override):
    path = written(tmp_path, DEEP.replace("depth=20", "depth=99"))
    with pytest.raises(ConfigError, match="no run has depth 99"):
        load(path, [override])
    assert len(load(path, ["sweep.depth=[2, 5]"]).cautions) == 1
