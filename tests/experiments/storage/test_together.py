"""Several experiments as one, tables of a summary, and the stored files read by other libraries."""

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import run
from experiments.pipeline import load, plot_together, summarised, summary_as
from experiments.report.printed_tables import as_latex, as_markdown
from experiments.storage.files import StoreError

PAGE = Path(__file__).resolve().parents[3] / "results" / "README.md"
BASE = {
    "question": "?",
    "figures": [],
    "base": {"dataset": "blobs(n=60)", "batch": 16, "steps": 2, "width": 4},
    "watch": 2,
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A results folder with two experiments that share the runs of depth 2."""
    root = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VG_RESULTS", str(root / "results"))
        for name, depths in (("deep_sigmoid", [1, 2]), ("other", [2, 3])):
            run(BASE | {"name": name, "sweep": {"depth": depths, "seed": [0, 1, 2]}})
        run(BASE | {"name": "elsewhere", "probe_set": 10, "sweep": {"depth": [2], "seed": [0]}})
    return root


@pytest.fixture(autouse=True)
def _in_results(stored, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(stored / "results"))
    monkeypatch.chdir(stored)


def test_a_run_that_two_experiments_have_is_there_once_and_names_both():
    both = load(["deep_sigmoid", "other"]).check()
    assert both.runs.groupby("depth")["experiment"].unique().map(list).to_dict() == {
        1: ["deep_sigmoid"], 2: ["deep_sigmoid, other"], 3: ["other"],
    }  # fmt: skip
    assert both.runs["run_id"].is_unique
    assert len(both.runs) == 9
    apart = [load(name) for name in ("deep_sigmoid", "other")]
    for name in ("steps", "layers"):
        wanted = pd.concat([getattr(each, name) for each in apart]).drop_duplicates(ignore_index=True)
        pd.testing.assert_frame_equal(getattr(both, name), wanted)
    assert summarised(both)["depth"].tolist() == [1, 2, 3]
    assert load(["other"]).runs["run_id"].tolist() == load("other").runs["run_id"].tolist()
    assert "experiment" not in load("other").runs


def test_an_experiment_that_is_not_stored_is_named():
    with pytest.raises(StoreError, match="othr: nothing is stored here.*Did you mean 'other'"):
        load(["deep_sigmoid", "othr"])


def test_they_are_drawn_together_unless_one_setting_was_measured_in_two_ways(stored, monkeypatch):
    seen = []

    def drawn(text, records, stem, *_):
        seen.append(len(records.runs))
        return {f"figures/{stem}.svg": b"<svg/>"}

    monkeypatch.setattr("experiments.plots.album.drawn", drawn)
    (path,) = plot_together(["deep_sigmoid", "other"], ["gradient_by_layer"])
    assert path.parent.parent == stored / "results" / "deep_sigmoid_and_other"
    assert seen == [9]
    told = "of deep_sigmoid and run .* of elsewhere have the same settings, and were measured at other steps"
    with pytest.raises(ValueError, match=told):
        plot_together(["deep_sigmoid", "elsewhere"], ["gradient_by_layer"])


# Tables ---------------------------------------------------------------------------------------------------

TABLE = pd.DataFrame(
    {
        "init": ["normal(std=0.01)", "a|b_c"], "n": [3, 3], "ratio": [0.23456, np.nan],
        "ratio_low": [0.2, np.nan], "ratio_high": [0.25, np.nan], "empty": [np.nan, np.nan],
        "tiny": [1e-9, -2.5],
    }
)  # fmt: skip


def test_a_table_in_markdown():
    assert as_markdown(TABLE).splitlines() == [
        "| init | n | ratio | tiny |",
        "|---|---|---|---|",
        "| normal(std=0.01) | 3 | 0.235 (0.2 to 0.25) | 1.00e-9 |",
        "| a\\|b_c | 3 | – | -2.5 |",
    ]


def test_a_whole_median_keeps_its_range_and_no_value_of_any_type_is_in_the_way():
    """All six seeds but one learn everything: the median accuracy is 1, and its range is not."""
    table = pd.DataFrame({
        "accuracy": [1.0, 0.0], "accuracy_low": [0.9, 0.0], "accuracy_high": [1.0, 0.0],
        "diverged_at": pd.array([None, 40], dtype="Int64"), "inf": [np.inf, -np.inf], "dead": [True, False],
        "when": [pd.Timestamp("2026-01-01"), pd.NaT],
    })  # fmt: skip
    assert as_markdown(table).splitlines()[2:] == [
        "| 1 (0.9 to 1) | – | inf | True | 2026-01-01 00:00:00 |",
        "| 0 | 40 | -inf | False | – |",
    ]


def test_a_table_in_latex():
    lines = as_latex(TABLE).splitlines()
    assert lines[1:2] + lines[-2:] == [r"\toprule", r"\bottomrule", r"\end{tabular}"]
    assert r"normal(std=0.01) & 3 & 0.235 (0.2 to 0.25) & 1.00e-9 \\" in lines
    assert r"a|b\_c & 3 & – & -2.5 \\" in lines


@pytest.mark.parametrize(("form", "ending"), [("markdown", "md"), ("latex", "tex")])
def test_the_summary_of_one_or_of_several_is_written(form, ending, stored):
    one, both = summary_as(["other"], form), summary_as(["deep_sigmoid", "other"], form)
    assert one == stored / "results" / "other" / f"summary.{ending}"
    assert both == stored / "results" / "deep_sigmoid_and_other" / f"summary.{ending}"
    assert "accuracy" in one.read_text(encoding="utf-8")
    assert (
        len(both.read_text(encoding="utf-8").splitlines())
        == len(one.read_text(encoding="utf-8").splitlines()) + 1
    )


# The page's programs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["pandas", "polars", "duckdb"])
def test_the_page_s_program_for_a_library_gives_the_medians(library):
    if find_spec(library) is None:
        pytest.skip(f"the program for {library} is not run: pip install -e '.[frames]'")
    programs = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    (program,) = (text for text in programs if f"import {library}" in text)
    names: dict = {}
    exec(compile(program, f"README.md, {library}", "exec"), names)
    table = names["table"]
    table = table if library != "polars" else pd.DataFrame(table.to_dict(as_series=False))
    records = load("deep_sigmoid")
    wanted = records.layers[records.layers["step"] == 0].merge(records.runs[["run_id", "depth"]], on="run_id")
    wanted = wanted.groupby(["depth", "layer"])["delta_norm"].median().to_numpy()
    assert list(table) == ["activation", "depth", "layer", "delta_norm"]
    np.testing.assert_allclose(table["delta_norm"], wanted, rtol=1e-15)
