"""The report of an experiment: its answer, its diagnosis, and all its parts in one file."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

import experiments
from experiments.claims import decide
from experiments.claims.evidence import Evidence
from experiments.pipeline import plot
from experiments.report.answer import answer
from experiments.report.diagnosed import findings, lines
from experiments.report.experiment_page import _facts
from experiments.storage.records import Records

QUESTION = {
    "question": "Does <it> vanish?",
    "name": "asked",
    "base": {"dataset": "moons(n=200)", "width": 8, "batch": 50, "steps": 20, "lr": 0.1},
    "sweep": {"activation": ["sigmoid", "relu"], "depth": [2, 4], "seed": [0, 1]},
    "watch": 4,
    "figures": ["learning_curves"],
}


def summary(**columns):
    keys = {"activation": ["sigmoid", "relu"], "depth": [10, 10], "n": [6, 6]}
    return pd.DataFrame(keys | columns)


def test_the_answer_names_the_extremes_with_their_ranges():
    table = summary(
        decay_start=[0.236, 0.71], decay_start_low=[0.23, 0.69], decay_start_high=[0.24, 0.72],
        accuracy=[0.1, 0.98], accuracy_low=[0.1, 0.97], accuracy_high=[0.1, 0.99],
    )  # fmt: skip
    assert answer([], "It vanishes", table) == [
        "It vanishes.",
        "At the start, the gradient ‖delta‖ in sigmoid is multiplied by 0.236 (0.23 to 0.24 over 6 seeds) "
        "for each layer nearer the input, the smallest factor of 2 settings; the largest is 0.71 (0.69 to "
        "0.72 over 6 seeds), in relu. After the last update, training accuracy reaches from 0.1 in sigmoid "
        "to 0.98 (0.97 to 0.99 over 6 seeds) in relu.",
    ]


def test_the_answer_begins_with_the_verdict():
    verdict = decide([Evidence.of("a", [0.2] * 6, "below", 1.0)], "share")
    assert answer([verdict], "", None) == ["Supported: share 0.2 (0.2 to 0.2, n = 6), where < 1 is asked."]
    assert answer([verdict, verdict], "", None)[0].startswith(
        "Of 2 claims 2 supported. The first is supported:"
    )
    assert answer([], "", summary(decay_start=[None, None])) == []


def test_a_line_and_a_part_for_each_setting():
    rows = [
        ("sigmoid", 1, "vanishing_gradient", 1, 8, 6, "It vanishes.", "norm=batch"),
        ("sigmoid", 2, "collapsed_signal", 3, 9, 6, "It collapses.", ""),
        ("relu", 1, "healthy", None, None, 6, "Nothing is wrong.", ""),
    ]
    names = ("activation", "rank", "mechanism", "layer_first", "layer_last", "seeds_with", "sentence", "cure")
    table = pd.DataFrame(rows, columns=names).assign(seeds=6)
    assert lines(table) == [
        "sigmoid: vanishing gradient, layers 1 to 8 (6 of 6 seeds); try norm=batch",
        "relu: healthy (6 of 6 seeds)",
    ]
    first, second = findings(table)
    assert (first.healthy, list(first.sentences)) == (False, ["It vanishes.", "It collapses."])
    assert second.healthy


def test_how_a_user_s_data_were_read_is_in_the_report():
    kept = ("the labels are column 'kind', by its name", "classes and their examples: 0 = ant (3)")
    facts = _facts({"data_decisions": {"file(path=a.csv)": kept}}, Records.build())
    assert facts["how the data were read"] == (
        "The labels are column 'kind', by its name. Classes and their examples: 0 = ant (3)."
    )
    both = _facts({"data_decisions": {"one": ["b"], "two": ["c", "d"]}}, Records.build())
    assert both["how the data were read"] == "one: B. two: C. D."
    assert "how the data were read" not in _facts({"data_decisions": {}}, Records.build())


@pytest.mark.usefixtures("report")
def test_every_part_is_in_the_file_and_what_was_tried_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    experiments.run(QUESTION)
    folder = Path(tmp_path / "asked")
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "<h1>Does &lt;it&gt; vanish?</h1>" in text
    for part in ("diagnosis", "explorer", "figures", "summary", "again"):
        assert f'<section id="{part}"' in text
    assert "python scripts/run.py --from results/asked" in text
    data = json.loads(re.search(r'id="explorer-data">(.*?)</script>', text)[1])
    assert [field["values"] for field in data["fields"]] == [["sigmoid", "relu"], ["2", "4"]]
    assert len(text.encode()) < 5_000_000
    settings = pd.read_csv(folder / "diagnosis.csv").drop_duplicates(["activation", "depth"])
    assert len(settings) == 4
    before = (folder / "diagnosis.csv").stat().st_mtime_ns
    assert folder / "report.html" in plot("asked")
    assert (folder / "diagnosis.csv").stat().st_mtime_ns == before  # not made again
    written = (folder / "report.html").stat().st_mtime_ns
    experiments.run(QUESTION)
    assert (folder / "report.html").stat().st_mtime_ns == written
    experiments.run({**QUESTION, "question": "Does it vanish now?"})  # what the page says besides the records
    assert "<h1>Does it vanish now?</h1>" in (folder / "report.html").read_text(encoding="utf-8")
