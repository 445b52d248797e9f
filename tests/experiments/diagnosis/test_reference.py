"""What is normal: drawn ranges hold what other networks show; healthy is where networks train."""

from math import exp

import numpy as np
import pandas as pd
import pytest

from experiments.config import Run
from experiments.diagnosis.reference import FIRST_SEED, healthy_ratio, reference
from experiments.theory.of_records import predicted

RELU = Run(activation="relu", init="he_normal", depth=6, width=32, dataset="circles(n=200)")
SIGMOID = Run(activation="sigmoid", depth=6, width=32, dataset="circles(n=200)")


@pytest.fixture(scope="module")
def relu():
    return reference(RELU, networks=100)


def test_other_networks_lie_in_the_range_as_often_as_it_says(relu):
    """95 % of 40 further networks are expected within; 85 % is three standard deviations of 40 draws away."""
    other = reference(Run(**{**RELU.__dict__, "width": 32}), networks=140).drawn
    other = other[other["seed"] >= FIRST_SEED + 100]
    table = relu.table().set_index(["layer", "measure"])
    for layer in (1, 6):
        low, high = table.loc[(layer, "delta_norm"), ["low", "high"]]
        drawn = other.loc[other["layer"] == layer, "delta_norm"]
        assert 0.85 <= ((drawn >= low) & (drawn <= high)).mean() <= 1
        assert (
            (drawn >= low) & (drawn <= (low + high) / 4)
        ).mean() < 0.85  # a narrower range does not hold them


def test_the_median_is_theorys(relu):
    theory = predicted("relu", 6, 32, RELU.dataset, "he_normal", "zeros", "none", 0.0, RELU.loss)
    table = relu.table().set_index(["layer", "measure"])
    for layer in range(1, 7):
        measured = table.loc[(layer, "delta_norm"), "median"]
        assert measured == pytest.approx(
            theory.centre("delta_norm")[layer - 1], rel=0.25
        )  # 100 nets of width 32


def test_a_percentile_is_where_a_value_lies(relu):
    drawn = np.sort(relu.drawn.loc[relu.drawn["layer"] == 3, "delta_norm"])
    assert relu.percentile("delta_norm", 3, drawn[0] / 2) == 0
    assert relu.percentile("delta_norm", 3, drawn[-1] * 2) == 1
    assert relu.percentile("delta_norm", 3, drawn[49]) == pytest.approx(0.495)


def test_healthy_and_ill_settings_are_called_so(relu):
    assert "That is healthy" in relu.verdict
    assert "the gradient vanishes" in reference(SIGMOID, networks=20).verdict
    large = Run(**{**RELU.__dict__, "init": "scaled_normal(gain=8)"})
    assert "the gradient explodes" in reference(large, networks=20).verdict
    assert "fewer than two" in reference(Run(**{**RELU.__dict__, "depth": 1}), networks=2).verdict


def test_the_healthy_range_is_three_e_folds_and_twice_the_spread_over_networks():
    """C of ReLU is 5 and a line's 2 (`closed_forms.spread`)."""
    low, high = healthy_ratio("relu", 21, 100)
    assert high == pytest.approx(exp(3 + (5 * 20 / 100) ** 0.5))
    assert low == pytest.approx(1 / high)
    assert healthy_ratio("identity", 1, 10)[1] == pytest.approx(exp(3))


def test_records_are_told_how_usual_they_are():
    """Networks of the setting are usual in 95 % of their values; weights ten times as large are not."""
    from experiments.config import Recording
    from experiments.diagnosis.reference import MEASURES, against_reference, reference_advice
    from experiments.sweeps.in_memory import train_in_memory

    runs = [Run(**RELU.__dict__ | {"seed": k, "steps": 1, "depth": 2, "width": 16}) for k in range(3)]
    odd = [Run(**run.__dict__ | {"init": "scaled_normal(gain=14)"}) for run in runs]
    recording = Recording(probes=MEASURES, watch=(0, 1))
    found = against_reference(train_in_memory(runs, recording), networks=40)
    assert len(found) == 2 * len(MEASURES)  # layers and measures, the first update's among them
    assert found["usual"].mean() > 0.8  # a median of three is nearer to the middle than one value
    assert found["healthy"].all()
    assert "16 values before training are usual" in reference_advice(found)[0]
    other = train_in_memory(odd, recording)
    other.runs["init"] = "he_normal"  # as if it had said so
    strange = against_reference(other, networks=40)
    assert strange.loc[strange["measure"] == "z_rms", "percentile"].eq(1).all()
    assert "The farthest out is" in reference_advice(strange)[0]
    some_clipped = pd.concat([found.assign(clip=each) for each in (np.nan, 1.0)])[["clip", *found]]
    assert len(reference_advice(some_clipped)) == 2 * len(
        reference_advice(found)
    )  # no clip is a setting, too


def test_further_networks_are_counted_in_the_range_of_others():
    from experiments.diagnosis.reference import held

    table = held(Run(**RELU.__dict__ | {"depth": 2, "width": 16}), 60, 60)
    assert (table["n"] == 60).all()
    assert 0.85 < table["inside"].sum() / table["n"].sum() < 1  # 95 % is expected of the mean over draws


def test_the_range_of_few_networks_holds_as_many_further_ones_as_it_says():
    """For any distribution: of 39 draws the smallest and the largest, ranks 1 = 0.025 · 40 and 39."""
    from experiments.diagnosis.reference import _range

    drawn = pd.Series(np.random.default_rng(0).permutation(39) + 1.0)
    assert _range(drawn).tolist() == [1, 20, 39]
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(400):
        low, _, high = _range(pd.Series(rng.random(100)))
        inside.append(high - low)  # the share of further uniform numbers between them
    assert np.mean(inside) == pytest.approx(0.95, abs=5 * np.std(inside) / 20)


def test_nothing_is_trained_where_no_update_is_asked_for_and_the_values_are_the_same():
    from experiments.diagnosis.reference import AT_START

    run = Run(**RELU.__dict__ | {"depth": 2, "width": 8})
    with_update, without = reference(run, 5), reference(run, 5, measures=AT_START)
    assert "update_ratio" not in without.drawn
    pd.testing.assert_frame_equal(with_update.drawn[without.drawn.columns], without.drawn)


def test_values_are_compared_with_networks_measured_on_as_many_examples():
    """‖delta‖ of a mean over B examples falls as 1/√B: of 25 instead of 160 it is 2.5 times as large."""
    from experiments.config import Recording
    from experiments.diagnosis.reference import AT_START, against_reference
    from experiments.sweeps.in_memory import train_in_memory

    runs = [Run(**RELU.__dict__ | {"seed": k, "steps": 0, "depth": 2, "width": 16}) for k in range(3)]
    recording = Recording(probes=(*AT_START, "delta_rms"), watch=(0,), probe_set=25)
    found = against_reference(train_in_memory(runs, recording), 60, measures=AT_START)
    assert found["usual"].mean() > 0.9
    assert (found.query("measure == 'delta_norm'")["percentile"] < 0.97).all()


def test_networks_of_another_program_have_no_reference():
    from experiments.config import ConfigError, Recording
    from experiments.diagnosis.reference import against_reference
    from experiments.sweeps.in_memory import train_in_memory

    records = train_in_memory([Run(**RELU.__dict__ | {"steps": 0})], Recording(probes=("z_rms",), watch=(0,)))
    records.runs["init"] = "recorded"
    with pytest.raises(ConfigError, match="cannot be drawn again"):
        against_reference(records, 5)
