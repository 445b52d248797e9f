"""Checks, which read no records: a config that asks for nothing else trains nothing, and any other trains."""

from pathlib import Path

import pytest
from made_up import made

import experiments
from experiments import config
from experiments.claims import CLAIMS
from experiments.cli.status import status_of
from experiments.config.matching import only_checks
from experiments.config.reading import to_mapping
from experiments.config.vocabulary import Run
from experiments.diagnosis import diagnose
from experiments.plots import FIGURES
from experiments.report.card import cards
from experiments.report.diagnosed import diagnosis
from experiments.report.page import Page, render
from experiments.storage.drawn import Gallery
from experiments.storage.records import Records
from experiments.storage.store import Store
from experiments.sweeps.plan import grid

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").rglob("*.yaml"))
CHECK = {"question": "Is it so?", "name": "check", "claims": ["W03_slope"]}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_makes_no_runs_where_all_it_judges_are_checks(path):
    try:
        experiment = config.load(path)
    except config.ConfigError as error:
        if "VG_DATA" not in str(error):
            raise
        pytest.skip("asks for images, which are not here: set VG_DATA")
    checks = [claim for claim in experiment.claims if hasattr(CLAIMS[claim.partition("(")[0]], "is_check")]
    assert (not grid(experiment)) == bool(checks)


OTHERS = {
    "a field": {"base": {"depth": 3}},
    "a sweep": {"sweep": {"seed": [0, 1]}},
    "rows": {"zip": {"seed": [0, 1]}},
    "a claim that reads records": {"claims": ["W03_slope", "L10_selu"]},
    "a figure that reads records": {"figures": ["learning_curves"]},
    "no claim": {"claims": []},
    "a search": {"search": "depth(accuracy=0.5, shallowest=2, deepest=4)"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_whatever_needs_a_network_has_runs(other):
    assert only_checks(config.from_mapping(CHECK))
    assert not only_checks(config.from_mapping(CHECK | other))


def test_what_is_asked_for_survives_the_manifest():
    experiment = config.from_mapping(CHECK | {"figures": ["activation_functions"]})
    assert only_checks(config.from_mapping(to_mapping(experiment)))


def test_a_check_is_judged_and_stored_without_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    records = experiments.run(CHECK, quiet=False)
    said = capsys.readouterr().out
    assert "nothing to train: every claim is a check" in said
    assert "supported     W03_slope" in said
    assert len(records.runs) == len(experiments.load("check").runs) == 0
    assert sorted(path.name for path in tmp_path.glob("check/*.csv")) == ["claims.csv"]
    assert "summary.csv" not in Store("check").manifest()["written"]


def test_a_check_leaves_no_summary_of_an_earlier_question(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    small = {"dataset": "moons(n=40)", "width": 4, "steps": 1, "batch": 4}
    experiments.run(CHECK | {"base": small, "figures": []}, quiet=True)
    assert (tmp_path / "check" / "summary.csv").exists()
    experiments.run(CHECK, quiet=True)
    assert not (tmp_path / "check" / "summary.csv").exists()


def test_there_is_nothing_to_diagnose_in_a_check(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    experiments.run(CHECK, quiet=True)
    assert status_of(lambda: len(diagnose(experiments.load("check")))) == 2
    assert capsys.readouterr().err.startswith("a diagnosis is of networks, and this experiment has none")
    records = experiments.load("check")
    assert diagnosis(records, Gallery(Store("check"), records), "check") == (None, "")  # none in the report
    crashed = Records.crashed([Run()], ["one"], "Traceback …")
    _, reason = diagnosis(crashed, Gallery(Store("check"), records), "check")
    assert reason == "There is no diagnosis: every run crashed."
    unmeasured = made([Run()], layers=lambda *_: {"delta_norm": 1.0})
    assert status_of(lambda: len(diagnose(unmeasured))) == 2
    assert capsys.readouterr().err.startswith("a diagnosis needs the probes delta_log10, dw_norm, ")


def test_the_report_says_of_a_check_that_it_is_one():
    pages = {}
    for name in ("W03_slope", "W06_one_sign"):
        experiment = config.from_mapping({"question": "Is it so?", "figures": []})
        verdict = experiments.claims.Verdict("supported", claim=name)
        pages[name] = render(Page("Title", cards=cards(experiment, [verdict])))
    assert "A check: it looks at functions" in pages["W03_slope"]
    assert "A check" not in pages["W06_one_sign"]


def test_the_activations_are_drawn_without_records():
    """As are the costs: test_plots_judged draws them from made-up times."""
    assert {name for name in FIGURES if hasattr(FIGURES[name], "without_records")} == {
        "activation_functions", "activation_costs"
    }  # fmt: skip
    assert FIGURES["activation_functions"](None).axes


def test_the_activations_of_no_runs_are_refused():
    with pytest.raises(ValueError, match="show=swept draws the activations of the runs, and there are none"):
        FIGURES["activation_functions"](Records.build(), show="swept")
