"""Which value to clip at and how many seeds to run, from numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from synthetic import records

from experiments.analysis.advice import (
    clip_advice,
    clip_values,
    gradient_norms,
    needed_for,
    paired_differences,
    seeds_advice,
    seeds_needed,
)  # fmt: skip


def test_the_gradient_norm_is_the_root_of_the_sum_over_layers():
    r = records(activation="relu", depth=2, seed=[0])
    r.layers["dw_norm"], r.layers["db_norm"] = 3.0, 4.0
    norms = gradient_norms(r)
    assert norms["gradient"].to_numpy() == pytest.approx(np.full(len(norms), 5 * np.sqrt(3)))  # three layers


def test_clip_values_are_percentiles_and_say_what_they_do():
    """Norms 1 … 20 at 20 watched steps: at the 90th percentile, 18.1, two steps are clipped, by 18.1/19.5."""
    r = records(activation="relu", depth=1, seed=[0])
    steps = np.sort(r.layers["step"].unique())
    rank = r.layers["step"].map({step: k + 1 for k, step in enumerate(steps)})
    r.layers["dw_norm"], r.layers["db_norm"] = rank.where(r.layers["layer"] == 1, 0.0), 0.0
    table = clip_values(r).set_index("percentile")
    values = np.arange(1, len(steps) + 1)
    at = np.percentile(values, 90)
    assert table.loc[90, "clip"] == pytest.approx(at)
    assert table.loc[90, "clipped"] == pytest.approx((values > at).mean())
    assert table.loc[90, "lr_factor"] == pytest.approx(np.median(at / values[values > at]))
    assert table.loc[100, ["clipped", "lr_factor"]].tolist() == [0, 1]


def test_a_run_that_diverged_says_nothing_of_clipping():
    r = records(activation=["relu", "tanh"], depth=1, seed=[0], diverged=[("activation", "tanh")])
    assert set(clip_values(r)["activation"]) == {"relu"}


def test_the_number_of_seeds_follows_from_the_paired_spread():
    """Differences 0.01, 0.02, 0.03: sd 0.01; (2.8016·0.01/0.005)² = 31.4, so 32 seeds see 0.005."""
    r = records(activation=["relu", "tanh"], depth=1, seed=[0, 1, 2])
    gain = {0: 0.01, 1: 0.02, 2: 0.03}
    runs = r.runs.set_index("run_id")
    r.steps["test_accuracy"] = [
        0.5
        + 0.1 * runs.loc[i, "seed"]
        + (gain[runs.loc[i, "seed"]] if runs.loc[i, "activation"] == "tanh" else 0)
        for i in r.steps["run_id"]
    ]
    (row,) = seeds_needed(r).to_dict("records")
    assert (row["a"], row["b"], row["seeds"]) == ("activation relu", "activation tanh", 3)
    assert row["difference"] == pytest.approx(0.02)
    assert row["sd"] == pytest.approx(0.01)
    assert [row["to see 0.005"], row["to see 0.01"], row["to see 0.05"]] == [32, 8, 2]


def test_two_seeds_are_too_few_to_say():
    assert seeds_needed(records(activation=["relu", "tanh"], depth=1, seed=[0, 1])).empty


def test_advice_is_a_sentence_with_the_numbers_of_its_table():
    clip = pd.DataFrame({
        "depth": 3, "percentile": [50, 90, 95, 99, 100], "clip": [1.0, 2.0, 3.0, 4.0, 5.0],
        "clipped": [0.5, 0.1, 0.05, 0.01, 0.0], "lr_factor": 0.9,
    })  # fmt: skip
    assert clip_advice(clip) == [
        "depth 3: clip=3 shortens 5% of the watched steps. Half of the gradient norms lie below 1, the "
        "largest is 5. With clip=0.1 the typical step would be ten times as short, which amounts to a tenth "
        "of the learning rate."
    ]
    assert "No run finished" in clip_advice(clip.iloc[:0])[0]
    seeds = pd.DataFrame({
        "a": ["depth 2"], "b": ["depth 3"], "seeds": 5, "difference": [0.02], "sd": [0.01],
        "to see 0.005": [32], "to see 0.01": [8], "to see 0.02": [2], "to see 0.05": [2],
    })  # fmt: skip
    (said,) = seeds_advice(seeds)
    assert "the test accuracy differs by +0.02 (mean over 5 seeds; the standard deviation" in said
    assert said.endswith("To see a difference of 0.01, 8 seeds are needed; of 0.05, 2.")
    assert "at least three seeds" in seeds_advice(seeds.iloc[:0])[0]


def test_the_interval_of_a_number_of_seeds_is_that_of_the_variance():
    """Differences of sd 0.01 from three seeds: χ² with 2 degrees of freedom is −2 ln p, 7.378 and 0.0506."""
    gaps = np.array([0.01, 0.02, 0.03])
    middle, low, high = needed_for(gaps, 0.005)
    assert middle == 32  # 31.4
    assert (low, high) == (9, 1241)  # 31.395 · 2/7.3778 = 8.51; 31.395 · 2/0.050636 = 1240.03
    assert needed_for(gaps, 1.0) == (2, 2, 2)


def test_settings_are_compared_with_the_best_seed_by_seed():
    rows = [("a", 0, 0.5), ("a", 1, 0.6), ("a", 2, 0.7), ("b", 0, 0.8), ("b", 1, 0.7), ("b", 2, 0.9)]
    rows += [("c", 0, 1.0), ("c", 1, 0.1)]  # too few seeds
    found = paired_differences(pd.DataFrame(rows, columns=["name", "seed", "value"]), ["name"], "value")
    assert list(found) == [("a",)]
    assert found["a",] == pytest.approx([-0.3, -0.1, -0.2])
