"""The explorer's data hold the records' numbers, in their places, and are thinned where they are too many."""

import base64
import json

import numpy as np
import pytest
from synthetic import records

from experiments.report.explorer import explorer_data

ROOM = 10**7


def unpacked(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


@pytest.fixture(scope="module")
def found():
    return records(
        activation=["sigmoid", "relu"],
        depth=[2, 4],
        seed=[0, 1, 2, 3],
        steps=20,
        dead=[("activation", "relu")],
    )


def test_every_number_is_that_of_its_run_step_and_layer(found):
    data = explorer_data(found, ROOM)
    json.dumps(data, allow_nan=False)
    logs, shares = unpacked(data["layers"]["delta"]), unpacked(data["layers"]["dead"])
    rows = found.layers.set_index(["run_id", "step", "layer"])
    at = 0
    for name, run in zip(found.runs["run_id"], data["runs"], strict=True):
        for step in data["steps"]:
            for layer in range(1, run["depth"] + 2):
                row = rows.loc[(name, step, layer)]
                np.testing.assert_allclose(logs[at], row["delta_log10"], rtol=1e-6)  # float32 has 7 digits
                np.testing.assert_allclose(shares[at], row["dead_fraction"], rtol=1e-6)
                at += 1
    assert at == len(logs) == len(shares)
    assert np.isneginf(logs).any()  # an exact zero is stored as one
    losses = unpacked(data["over_steps"]["loss"]).reshape(len(data["runs"]), -1)
    np.testing.assert_allclose(10 ** losses.ravel(), found.steps["loss"], rtol=1e-6)


def test_a_setting_is_told_by_the_fields_that_vary(found):
    data = explorer_data(found, ROOM)
    assert [(f["name"], f["number"], f["values"]) for f in data["fields"]] == [
        ("activation", False, ["sigmoid", "relu"]),
        ("depth", True, ["2", "4"]),
    ]
    assert data["fields"][0]["colours"] == [["#0072B2", "#4DA6E0"], ["#D55E00", "#FF8A47"]]
    assert data["settings"] == [[0, 0], [0, 1], [1, 0], [1, 1]]
    depths = {tuple(data["settings"][run["setting"]])[1]: run["depth"] for run in data["runs"]}
    assert depths == {0: 2, 1: 4}
    assert data["hue"] == "activation"


def test_what_was_not_measured_is_not_a_number():
    data = explorer_data(records(activation=["relu"], steps=[5, 20], seed=0, diverged=[("steps", 20)]), ROOM)
    losses = unpacked(data["over_steps"]["loss"]).reshape(2, len(data["steps"]))
    ended, diverged = data["steps"].index(5), data["steps"].index(10)
    assert np.isfinite(losses[0, : ended + 1]).all()
    assert np.isnan(losses[0, ended + 1 :]).all()  # the run was over
    assert np.isnan(losses[1, diverged:]).all()


def test_steps_are_left_out_first_then_seeds_then_settings_and_that_is_said(found):
    def kept(room):
        data = explorer_data(found, room)
        return len(data["steps"]), len({run["seed"] for run in data["runs"]}), len(data["settings"]), data

    steps, *_ = kept(ROOM)
    size = sum(len(text) for part in ("layers", "over_steps") for text in kept(ROOM)[3][part].values())
    assert kept(ROOM)[3]["note"] == ""
    fewer, seeds, settings, data = kept(size - 1)
    assert (4 <= fewer < steps, seeds, settings) == (True, 4, 4)
    assert f"{fewer} of {steps} watched steps; the records hold all" in data["note"]
    assert (data["steps"][0], data["steps"][-1]) == (0, 20)
    assert kept(size * 4 // steps - 1)[:3] == (4, 3, 4)
    fewer, seeds, settings, data = kept(size / steps)
    assert (fewer, seeds) == (4, 3)
    assert settings < 4
    assert f"{settings} of 4 settings" in data["note"]


def test_theory_is_there_for_the_start_where_it_applies(found):
    of_setting = explorer_data(found, ROOM)["theory"]
    assert [sorted(each) for each in of_setting] == [["delta", "dw", "variance"]] * 4
    assert [len(each["delta"][0]) for each in of_setting] == [3, 5, 3, 5]  # hidden layers and the output
    centre, low, high = (np.array(line, float) for line in of_setting[0]["delta"])
    assert (low <= centre).all()
    assert (centre <= high).all()


def test_nothing_is_shown_of_runs_that_all_crashed():
    made = records(activation=["relu"], seed=[0])
    gone = made.runs.assign(status="crashed")
    assert explorer_data(type(made)(gone, made.steps.iloc[:0], made.layers.iloc[:0]), ROOM) is None
