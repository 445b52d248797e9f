"""Units of which nothing is known: NaN is no death, no life and no revival."""

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from experiments.analysis import lives as life
from experiments.config import Run
from experiments.storage.records import Records

NAN = np.nan
PROBES = ("unit_dead", "unit_bias", "unit_w_norm", "unit_z_mean", "unit_step_norm")


def records(*states):
    """One run with a hidden layer of one unit for each tuple of states, at the steps 0, 1, 2, …"""
    steps = len(states[0])
    run = Run(activation="relu", depth=1, steps=steps - 1)
    done = {"run_id": "r", **asdict(run), "status": "ok", "diverged_at": None, "seconds": 0.0, "error": ""}
    scores = pd.DataFrame({"run_id": "r", "step": range(steps), "lr": 0.1} | dict.fromkeys(
        ("loss", "accuracy", "test_loss", "test_accuracy"), 1.0))  # fmt: skip
    keys = {"run_id": "r", "layer": 1} | dict.fromkeys(PROBES, 0.5)
    units = pd.DataFrame(
        [keys | {"step": step, "unit": unit, "unit_dead": dead}
         for unit, each in enumerate(states) for step, dead in enumerate(each)]
    )  # fmt: skip
    units = units[["run_id", "step", "layer", "unit", *PROBES]]
    return Records.build(runs=pd.DataFrame([done]), steps=scores, units=units)


def test_the_life_table_counts_only_what_is_known():
    """Of three units one dies at 1; at 2 one is unknown, at 3 all are."""
    table = life.life_table(records((0, 1, 1, NAN), (0, 0, NAN, NAN), (0, 0, 0, NAN))).set_index("step")
    assert table.index.tolist() == [0, 1, 2]
    assert table["units"].tolist() == [3, 3, 2]
    assert table["dead"].tolist() == [0, 1, 1]
    assert table["deaths"].tolist() == [0, 1, 0]
    assert table["revivals"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("state", ["unit_dead", "unit_inactive"])
def test_a_gap_is_neither_a_death_nor_a_revival(state):
    known = records((1, NAN, 1), (0, NAN, 0), (0, NAN, 1), (1, NAN, 0))
    known = replace(known, units=known.units.rename(columns={"unit_dead": state}))
    last = life.lives(known, state).query("step == 2").set_index("unit")
    assert last["died"].tolist() == [False, False, True, False]
    assert last["revived"].tolist() == [False, False, False, True]


def test_survival_ends_where_knowledge_does():
    """Kaplan & Meier by hand: one of two dies at 1; the other is censored, and the estimate stays at ½."""
    table = life.survival(records((0, 1, 1), (0, 0, NAN)), since=0)
    assert table.set_index("step")["alive"].to_dict() == {0: 1.0, 1: 0.5}


def test_a_unit_that_is_unknown_after_the_shock_neither_died_nor_lived():
    changes = life.died_and_lived(records((0, 1), (0, 0), (0, NAN), (1, 1)), at=0)
    assert changes.set_index("unit")["died"].to_dict() == {0: True, 1: False}
