"""Cures are tried on the seeds of the ill runs; what helps and what does not is named with its gain."""

import pytest

from experiments import config
from experiments.diagnosis import diagnose
from experiments.diagnosis.confirmation import confirm, reached_by
from experiments.sweeps.in_memory import train_in_memory
from experiments.sweeps.plan import grid

SMALL = {"dataset": "circles(n=300)", "width": 16, "steps": 200, "batch": 32, "dtype": "float32"}


def confirmed(**base):
    experiment = config.from_mapping({
        "question": "?",
        "base": SMALL | base,
        "sweep": {"seed": [0, 1]},
    })  # fmt: skip
    records = train_in_memory(list(grid(experiment)), experiment.recording)
    return *confirm(diagnose(records), records.runs, jobs=1), records


def test_the_first_cure_that_helps_is_named_with_its_paired_gain():
    table, tried, records = confirmed(activation="relu", init="he_normal", clip=1e-6, lr=0.3)
    first = table.iloc[0]
    assert (first["mechanism"], first["cure"], first["confirmed"]) == ("clipped_too_hard", "clip=null", "yes")
    assert first["cure_gain_low"] <= first["cure_gain"] <= first["cure_gain_high"]
    before = [row["accuracy"] for row in records.steps[records.steps["step"] == 200].to_dict("records")]
    base = SMALL | {"activation": "relu", "init": "he_normal", "lr": 0.3}
    cured = config.from_mapping({"question": "?", "base": base, "sweep": {"seed": [0, 1]}})
    after = list(reached_by(list(grid(cured)), "accuracy", jobs=1).values())
    gains = sorted(a - b for a, b in zip(after, before, strict=True))
    assert [first["cure_gain_low"], first["cure_gain_high"]] == pytest.approx(gains)
    assert "Tried: with clip=null the accuracy" in first["sentence"]
    assert list(tried["helps"]) == [True]


def test_where_nothing_helps_that_is_said_with_the_best_that_was_tried():
    """One unit in each of twenty layers: no norm, skip or rate lets them learn on every seed."""
    table, tried, _ = confirmed(activation="sigmoid", depth=20, width=1, steps=20)
    first = table.iloc[0]
    assert first["confirmed"] == "no"
    assert not tried["helps"].any()
    assert "None of the cures tried helps enough on every seed" in first["sentence"]
    assert first["cure"] in set(tried["cure"])


def test_a_healthy_setting_has_nothing_to_try():
    table, tried, _ = confirmed(activation="relu", init="he_normal", lr=0.3, depth=2, width=32, steps=400)
    assert list(table["mechanism"]) == ["healthy"]
    assert tried.empty
