"""Dead units that are imposed are dead, cost what they cost, and are asked for where there can be some."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from experiments.config import ConfigError, Recording, Run
from experiments.diagnosis.dose import dose_response, too_many
from experiments.sweeps.in_memory import train_in_memory

RUN = Run(
    activation="relu",
    init="he_normal",
    depth=3,
    width=8,
    dataset="circles(n=200)",
    lr=0.1,
    steps=60,
    batch=32,
)


def test_units_that_are_killed_are_dead_from_the_first_to_the_last_step():
    recording = Recording(probes=("dead_fraction",), watch=4)
    layers = train_in_memory([replace(RUN, bias="dead(share=0.75)")], recording).layers
    hidden = layers[layers["layer"] <= 3]
    assert hidden["dead_fraction"].min() >= 6 / 8
    plain = train_in_memory([RUN], recording).layers
    assert plain[plain["layer"] == 1]["dead_fraction"].max() < 6 / 8


def test_a_dose_of_none_costs_nothing_and_one_of_nearly_all_costs_something():
    runs = [Run(**vars(RUN) | {"seed": k, "depth": depth}) for depth in (1, 3) for k in (0, 1)]
    table = dose_response(runs, (0, 0.5, 1.0), jobs=1)
    assert list(table.columns) == [
        "depth", "dead", "share", "seeds", "accuracy", "low", "high", "cost",
        "cost_low", "cost_high", "narrower", "beyond", "beyond_low", "beyond_high",
    ]  # fmt: skip
    assert list(table["dead"]) == [0, 4, 7] * 2  # one unit at least is left alive
    none = table[table["dead"] == 0]
    assert (none["cost"] == 0).all()
    assert (none["accuracy"] == none["narrower"]).all()
    assert not none[["beyond", "beyond_low", "beyond_high"]].to_numpy().any()
    # of two seeds a median is the mean, so that the paired difference is that of the medians
    gaps = table["narrower"] - table["accuracy"]
    np.testing.assert_allclose(table["beyond"], gaps, rtol=0, atol=1e-12)
    assert (table["beyond_low"] < table["beyond_high"])[table["dead"] == 7].any()
    assert (table["low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["high"]).all()
    assert (table.loc[table["dead"] == 7, "cost"] > 0).all()


def test_the_sentence_names_the_last_harmless_and_the_first_costly_dose():
    table = pd.DataFrame({
        "depth": [2, 2, 2, 9, 9], "dead": [0, 4, 6, 0, 4], "share": [0, 0.5, 0.75, 0, 0.5],
        "accuracy": [0.98, 0.97, 0.9, 1.0, 0.99], "cost": [0, 0.01, 0.08, 0, 0.01],
        "narrower": [0.98, 0.98, 0.96, 1.0, 1.0],
    })  # fmt: skip
    bears, harmless = too_many(table)
    assert bears == (
        "depth 2: 75% of dead units per layer cost 0.08 of accuracy, 50% cost 0.01. With 75% dead, 0.90 is "
        "left; a network of the living units alone reaches 0.96."
    )
    assert harmless == "depth 9: even 50% of dead units per layer cost at most 0.02 of accuracy."


@pytest.mark.parametrize("change", [{"norm": "batch"}, {"activation": "tanh"}, {"bias": "pytorch_default"}])
def test_what_has_no_dead_units_is_refused_by_name(change):
    with pytest.raises(ConfigError, match=f"{next(iter(change))}={change[next(iter(change))]}"):
        dose_response([Run(**vars(RUN) | change)])
