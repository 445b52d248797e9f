"""Alarms on healthy networks: what trains well is kept, and shares come with intervals over settings."""

import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.config import Run
from experiments.diagnosis.benchmark import RECORDING
from experiments.diagnosis.false_alarms import SEEDS, _settings, alarm_shares, of_settings, trains_well
from experiments.diagnosis.rule_sets import RULE_SETS
from experiments.diagnosis.signals import signals
from experiments.sweeps.in_memory import train_in_memory

STUDY = Path(__file__).resolve().parents[3] / "results" / "studies" / "alarms"
GOOD = Run(
    activation="relu", init="he_normal", depth=1, width=16, dataset="blobs(n=200)", optimiser="adam",
    lr=0.01, steps=60, batch=32, dtype="float32",
)  # fmt: skip


def test_a_network_that_learns_is_kept_and_one_that_does_not_is_left_out():
    rows = of_settings([(1, GOOD), (2, replace(GOOD, lr=1e-9))])
    assert [row["setting"] for row in rows] == [1] * len(rows)
    assert 0 < len(rows) <= SEEDS
    assert {rules.name for rules in RULE_SETS} <= set(rows[0])


def test_what_diverged_does_not_train_well():
    (found,) = signals(train_in_memory([replace(GOOD, optimiser="sgd", lr=1e9)], RECORDING))
    assert not trains_well(found)


def test_shares_are_counted_and_their_interval_is_over_settings():
    """Two of eight networks alarm, both of one of two settings: a resample has a share of 0, ¼ or ½."""
    told = {rules.name: [""] * 8 for rules in RULE_SETS}
    told["UMLAUT"] = ["dead_units overfitting"] * 2 + [""] * 6
    table = alarm_shares(pd.DataFrame({"setting": [1] * 4 + [2] * 4} | told)).set_index(["rules", "alarm"])
    row = table.loc[("UMLAUT", "any")]
    assert (row["alarmed"], row["share"]) == (2, 0.25)
    assert (row["low"], row["high"]) == pytest.approx((0.0, 0.5))
    assert table.loc[("UMLAUT", "overfitting"), "alarmed"] == 2
    assert not np.any(table.loc["AutoTrainer", "share"])


def test_the_page_says_what_the_table_has():
    table = pd.read_csv(STUDY / "alarms.csv")
    page = (STUDY / "README.md").read_text(encoding="utf-8")
    networks = pd.read_csv(STUDY / "networks.csv", keep_default_na=False)
    assert (len(networks), networks["setting"].nunique()) == (1011, 276)
    assert "1,011 of them, of 276 settings" in page
    for row in table[table["alarm"] == "any"].itertuples():
        share = f"{100 * row.share:.1f}" if row.share < 0.1 else f"{100 * row.share:.0f}"
        assert f"| {row.rules} | {share} %" in page
    diagnosis = (STUDY.parents[1] / "diagnosis" / "README.md").read_text(encoding="utf-8")
    held_out = diagnosis.split("## The held-out half")[1]
    for name in table["rules"].unique():
        found = re.search(rf"\| {name} \| (\d+)% \([^;]*; \d+ of (\d+)\)", held_out)
        (line,) = [line for line in page.splitlines() if line.startswith(f"| {name} |")]
        assert line.endswith(f"| {found[1]} % |")
        assert f"held-out half, {found[2]} ill settings" in page


def test_the_settings_of_the_table_are_drawn_again():
    """Whatever the benchmark draws by now; 395 settings were drawn when the study was made."""
    drawn = dict(islice(_settings(), 395))
    kept = pd.read_csv(STUDY / "networks.csv", keep_default_na=False).drop_duplicates("setting")
    fields = ["activation", "depth", "width", "dataset", "init", "norm", "residual", "optimiser", "lr"]
    again = pd.DataFrame(
        [[getattr(drawn[n], name) for name in fields] for n in kept["setting"]], columns=fields
    )
    pd.testing.assert_frame_equal(again, kept[fields].reset_index(drop=True), check_dtype=False)
