"""Each analysis against the same thing in plain pandas or NumPy, and against what is known beforehand."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from synthetic import FACTOR, SCATTER, records

from experiments.analysis import ratios as analysis
from experiments.storage.records import Records

FOUR = ["sigmoid", "tanh", "relu", "leaky_relu(slope=0.1)"]


def one_run(norms, depth=None, **columns):
    """The records of one run at step 0 with these delta norms, layer 1 first, the output layer last."""
    depth = len(norms) - 1 if depth is None else depth
    base = records(activation="tanh", depth=depth, steps=0)
    layers = base.layers.drop(columns=["delta_log10", "dw_log10"])
    return Records(base.runs, base.steps, layers.assign(delta_norm=norms, **columns))


# Fields and rows


def test_a_join_keeps_every_row_and_its_order_and_adds_the_fields_of_its_run():
    r = records(activation=["relu", "tanh"], depth=[2, 3], seed=[0, 1])
    joined = analysis.join(r.layers, r.runs)
    assert joined[r.layers.columns].equals(r.layers)
    by_id = r.runs.set_index("run_id")
    for field in ("activation", "depth", "lr", "seed"):
        assert joined[field].tolist() == [by_id.loc[run, field] for run in r.layers["run_id"]]


def test_a_measurement_that_bears_a_fields_name_is_told_from_it():
    r = records(lr=0.5, steps=2)
    steps = r.steps.assign(lr=0.25)
    joined = analysis.join(steps, r.runs)
    assert (joined["lr_at_step"] == 0.25).all()
    assert (joined["lr"] == 0.5).all()
    assert joined["loss"].unique().tolist() == ["softmax_cross_entropy"]
    assert joined["loss_at_step"].equals(steps["loss"])


def test_a_run_that_is_there_twice_is_an_error_and_not_twice_the_rows():
    r = records(steps=0)
    with pytest.raises(ValueError, match="is there twice"):
        analysis.join(r.layers, pd.concat([r.runs, r.runs]))


def test_varying_fields_are_found_in_order_without_the_seed_and_with_null_as_a_value():
    r = records(init=["he_normal", "xavier_normal"], clip=[None, 1.0], depth=[1, 2], seed=[0, 1])
    assert analysis.varying(r.runs) == ["depth", "init", "clip"]


def test_what_goes_together_is_told_from_what_is_crossed():
    runs = pd.DataFrame({"width": [8, 8, 16, 16], "lr": [0.1, 0.1, 0.2, 0.2], "depth": [1, 2, 1, 2]})
    assert analysis.goes_with(runs, "lr", ["width"])
    assert not analysis.goes_with(runs, "depth", ["width"])
    assert analysis.goes_with(runs, "depth", ["width", "depth"])
    assert not analysis.goes_with(runs, "depth", [])


def test_start_end_and_hidden_are_each_runs_own():
    r = records(steps=[0, 10, 300], depth=[0, 3])
    start, end = analysis.at_start(r.layers), analysis.at_end(r.layers, r.runs)
    own = r.runs.set_index("run_id")
    assert (start["step"] == 0).all()
    assert set(start["run_id"]) == set(end["run_id"]) == set(own.index)
    assert all(row.step == own.loc[row.run_id, "steps"] for row in end.itertuples())
    inside = analysis.hidden(r.layers, r.runs)
    assert set(inside["run_id"]) == set(own.index[own["depth"] == 3])
    assert inside["layer"].max() == 3


def test_a_run_without_rows_at_its_end_has_no_end():
    r = records(steps=300)
    cut = r.layers[r.layers["step"] < 300]
    assert analysis.at_end(cut, r.runs).empty


# First to last


def test_first_to_last_is_the_quotient_of_two_rows():
    r = records(activation=FOUR, depth=[2, 5], seed=[0, 1])
    found = analysis.first_to_last(r, "dw_norm").set_index(["run_id", "step"])
    for run, step in product(r.runs.itertuples(), [0, 20, 300]):
        rows = r.layers[(r.layers["run_id"] == run.run_id) & (r.layers["step"] == step)].set_index("layer")
        first, last = rows.loc[1, "dw_norm"], rows.loc[run.depth, "dw_norm"]
        got = found.loc[(run.run_id, step)]
        assert (got["first"], got["last"], got["ratio"]) == (first, last, first / last)
        assert (got["activation"], got["depth"], got["seed"]) == (run.activation, run.depth, run.seed)


@pytest.mark.parametrize("factor", [0.25, 0.9, 1.0, 3.0])
def test_a_gradient_that_shrinks_towards_the_input_is_below_one_and_the_reverse_above(factor):
    norms = 2.5 * factor ** np.arange(6, -1.0, -1)
    for values, expected in ((norms, factor), (norms[::-1], 1 / factor)):
        r = one_run(values)
        ratio = analysis.first_to_last(r)["ratio"].item()
        decay = analysis.decay(r)["factor"].item()
        assert ratio == pytest.approx(expected**5, rel=1e-12)  # six hidden layers: five factors
        assert decay == pytest.approx(expected, rel=1e-12)


def test_the_output_layer_is_not_among_the_layers_compared():
    assert analysis.first_to_last(one_run([1.0, 2.0, 1e9]))["ratio"].item() == 0.5
    assert analysis.decay(one_run([1.0, 2.0, 4.0, 1e9]))["factor"].item() == pytest.approx(0.5)


def test_one_hidden_layer_has_ratio_one_and_no_decay_and_none_has_no_row():
    assert analysis.first_to_last(one_run([3.0, 1.0]))["ratio"].item() == 1
    assert np.isnan(analysis.decay(one_run([3.0, 1.0]))["factor"].item())
    assert analysis.first_to_last(one_run([3.0])).empty
    assert analysis.decay(one_run([3.0])).empty


def test_zero_over_something_is_zero_and_over_nothing_undefined():
    assert analysis.first_to_last(one_run([0.0, 1.0, 1.0]))["ratio"].item() == 0
    assert np.isnan(analysis.first_to_last(one_run([0.0, 0.0, 1.0]))["ratio"].item())


# Decay


def test_decay_is_numpys_least_squares_of_the_log_norms(rng):
    r = records(activation=FOUR, depth=[2, 7], seed=[0, 1])
    r.layers["delta_log10"] = rng.normal(scale=2, size=len(r.layers))
    r.layers["delta_norm"] = 10 ** r.layers["delta_log10"]
    found = analysis.decay(r).set_index(["run_id", "step"])["factor"]
    for run in r.runs.itertuples():
        rows = r.layers[(r.layers["run_id"] == run.run_id) & (r.layers["layer"] <= run.depth)]
        for step, at in rows.groupby("step"):
            slope = np.polyfit(at["layer"], np.log(at["delta_norm"]), 1)[0]
            assert found[(run.run_id, step)] == pytest.approx(np.exp(-slope), rel=1e-9)  # rounding of polyfit


def test_zeros_are_counted_and_the_other_layers_fitted():
    got = analysis.decay(one_run([0.0, 0.0, 1.0, 2.0, 4.0, 9.0])).iloc[0]
    assert (got["zeros"], got["layers"]) == (2, 3)
    assert got["factor"] == pytest.approx(0.5)


@pytest.mark.parametrize("norms", [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 5.0, 1.0]])
def test_fewer_than_two_layers_that_are_not_zero_define_no_decay(norms):
    got = analysis.decay(one_run(norms)).iloc[0]
    assert np.isnan(got["factor"])
    assert got["zeros"] == norms.count(0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_norm_that_is_not_finite_leaves_the_whole_fit_undefined(bad):
    got = analysis.decay(one_run([1.0, 2.0, bad, 8.0, 16.0])).iloc[0]
    assert np.isnan(got["factor"])
    assert got["zeros"] == 0


def test_the_recorded_logarithm_is_used_where_the_norm_underflows():
    logs = np.array([-700.0, -500.0, -300.0, -100.0, 0.0])
    r = one_run(np.where(logs > -320, 10.0**logs, 0.0), delta_log10=logs)
    assert analysis.decay(r)["factor"].item() == pytest.approx(1e-200)
    assert analysis.decay(r)["zeros"].item() == 0
    r = one_run([0.0, 0.0, 1e-3, 1.0], delta_log10=[-400.0, -np.inf, -3.0, 0.0])
    assert analysis.decay(r)["zeros"].item() == 1  # of the two zeros only one is exact
    r = one_run([0.0, 5e-324, 1.0], delta_log10=[-330.0, -323.0, 0.0])
    assert analysis.first_to_last(r)["ratio"].item() == pytest.approx(1e-7)


def test_the_decay_of_known_records_is_found_within_its_scatter():
    r = records(activation=FOUR, depth=20, seed=[0, 1, 2, 3, 4, 5], steps=0)
    found = analysis.median_range(analysis.decay(r), "factor", ["activation"]).set_index("activation")
    error = SCATTER / np.sqrt(20**3 / 12)  # of a slope on 20 layers
    for text in FOUR:
        known = FACTOR[text.split("(")[0]]
        assert found.loc[text, "median"] == pytest.approx(known, rel=4 * error)
        assert found.loc[text, "low"] <= known <= found.loc[text, "high"]


# Over seeds


def test_median_and_range_are_numpys_and_what_is_missing_is_counted():
    frame = pd.DataFrame(
        {"depth": [1, 1, 1, 2, 2, 2], "seed": [0, 1, 2] * 2, "value": [3.0, np.nan, 1.0, 5.0, 4.0, 9.0]}
    )
    expected = pd.DataFrame(
        {"depth": [1, 2], "median": [2.0, 5.0], "low": [1.0, 4.0], "high": [3.0, 9.0], "n": [2, 3],
         "missing": [1, 0], "coverage": [0.5, 0.75]}
    )  # fmt: skip
    pd.testing.assert_frame_equal(analysis.median_range(frame, "value", ["depth"]), expected)


def test_a_group_of_nothing_but_nan_stays_a_row():
    frame = pd.DataFrame({"depth": [1, 1], "seed": [0, 1], "value": [np.nan, np.nan]})
    row = analysis.median_range(frame, "value", ["depth"]).iloc[0]
    assert np.isnan(row["median"])
    assert (row["n"], row["missing"], row["coverage"]) == (0, 2, 0)


def test_null_in_a_field_is_a_group_and_no_field_is_one_group():
    frame = pd.DataFrame({"clip": [np.nan, np.nan, 1.0], "seed": [0, 1, 0], "value": [1.0, 3.0, 7.0]})
    assert analysis.median_range(frame, "value", ["clip"])["median"].tolist() == [7.0, 2.0]
    whole = analysis.median_range(frame[:2], "value", [])
    assert whole[["median", "n"]].to_numpy().tolist() == [[2.0, 2]]


def test_only_seeds_are_averaged():
    r = records(activation=["relu", "tanh"], init=["he_normal", "xavier_normal"], seed=[0, 1], steps=0)
    ratios = analysis.first_to_last(r)
    with pytest.raises(ValueError, match="grouping by activation would average over more than seeds"):
        analysis.median_range(ratios, "ratio", ["activation"])
    assert len(analysis.median_range(ratios, "ratio", ["activation", "init"])) == 4


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_coverage_is_the_share_of_sign_patterns_that_are_not_all_equal(n):
    patterns = list(product([False, True], repeat=n))  # each seed above the median or not, all equally likely
    assert analysis.coverage(n) == sum(len(set(p)) == 2 for p in patterns) / len(patterns)


def test_paired_differences_are_by_seed_and_only_where_both_sides_are():
    frame = pd.DataFrame({"norm": ["a", "a", "b", "b"], "seed": [0, 1, 1, 2], "value": [1.0, 2.0, 5.0, 6.0]})
    found = analysis.paired(frame, "value", "norm", "a", "b")
    assert found.to_dict("records") == [{"seed": 1, "a": 2.0, "b": 5.0, "difference": 3.0}]


def test_pairs_that_are_ambiguous_are_refused_until_told_apart():
    r = records(activation=["sigmoid", "tanh"], depth=[2, 3], seed=[0, 1], steps=0)
    ratios = analysis.first_to_last(r)
    with pytest.raises(ValueError, match="pairing by seed is ambiguous"):
        analysis.paired(ratios, "ratio", "activation", "sigmoid", "tanh")
    pairs = analysis.paired(ratios, "ratio", "activation", "sigmoid", "tanh", on=["depth", "seed"])
    wide = ratios.pivot_table(index=["depth", "seed"], columns="activation", values="ratio")
    assert pairs["difference"].tolist() == (wide["tanh"] - wide["sigmoid"]).tolist()


def test_a_pair_may_be_with_and_without():
    r = records(clip=[None, 1.0], seed=[0, 1], steps=0)
    pairs = analysis.paired(analysis.first_to_last(r), "ratio", "clip", None, 1.0)
    assert pairs["seed"].tolist() == [0, 1]


# The summary


def test_the_summary_is_what_plain_pandas_says():
    r = records(activation=["sigmoid", "relu"], depth=[1, 3], seed=[0, 1, 2])
    table = analysis.summary(r).set_index(["activation", "depth"])
    for (activation, depth), runs in r.runs.groupby(["activation", "depth"]):
        row = table.loc[(activation, depth)]
        layers = r.layers[r.layers["run_id"].isin(runs["run_id"])]
        end = layers[layers["step"] == 300]
        wide = end.pivot_table(index="run_id", columns="layer", values="delta_norm")
        ratio = wide[1] / wide[depth]
        units = end[end["layer"] <= depth].groupby("run_id")[["dead_fraction", "saturated_fraction"]].mean()
        last = r.steps[r.steps["run_id"].isin(runs["run_id"]) & (r.steps["step"] == 300)]
        for name, values in {
            "delta_ratio_end": ratio,
            "dead": units["dead_fraction"],
            "saturated": units["saturated_fraction"],
            "accuracy": last["accuracy"],
            "test_accuracy": last["test_accuracy"],
        }.items():
            found = row[[name, f"{name}_low", f"{name}_high"]].tolist()
            assert found == pytest.approx([values.median(), values.min(), values.max()]), name
        assert (row["n"], row["diverged"], row["crashed"], row["left_out"], row["zeros"]) == (3, 0, 0, 0, 0)


def test_the_summary_has_one_row_for_each_setting_that_varies_and_the_same_columns_always():
    r = records(activation=["relu", "tanh"], clip=[None, 1.0], init=["he_normal", "orthogonal"], seed=[0, 1])
    table = analysis.summary(r)
    quantities = [f"{name}{end}" for name in analysis.SUMMARY for end in ("", "_low", "_high")]
    counts = ["n", "diverged", "crashed", "left_out", "zeros"]
    assert table.columns.tolist() == ["activation", "depth", "init", "clip", *counts, *quantities]
    assert len(table) == 8
    assert table["clip"].isna().sum() == 4
    assert table["delta_ratio_start"].notna().all()


def test_probes_that_were_not_recorded_are_empty_columns():
    r = records(activation=["relu", "tanh"], seed=[0, 1])
    bare = Records(r.runs, r.steps, r.layers[["run_id", "step", "layer", "w_norm"]])
    table = analysis.summary(bare)
    assert table["accuracy"].notna().all()
    assert table[["delta_ratio_start", "decay_end", "dead", "saturated_low"]].isna().all(axis=None)
    assert (table["zeros"] == 0).all()


def test_a_probe_with_options_is_found_by_its_name():
    r = records(activation="relu", seed=[0, 1])
    text = "saturated_fraction(below=0.05)"
    named = Records(r.runs, r.steps, r.layers.rename(columns={"saturated_fraction": text}))
    assert analysis.probe_column(named.layers, "saturated_fraction") == text
    assert analysis.summary(named)["saturated"].equals(analysis.summary(r)["saturated"])


def test_diverged_and_crashed_runs_are_counted_and_leave_the_others_alone():
    r = records(activation=["relu", "tanh"], seed=[0, 1, 2], diverged=[("seed", 2)])
    crashed = r.runs["run_id"].iloc[0]
    runs = r.runs.assign(status=r.runs["status"].where(r.runs["run_id"] != crashed, "crashed"))
    r = Records(runs, r.steps[r.steps["run_id"] != crashed], r.layers[r.layers["run_id"] != crashed])
    table = analysis.summary(r).set_index("activation")
    assert table[["n", "diverged", "crashed"]].loc["relu"].tolist() == [3, 1, 1]
    assert table[["n", "diverged", "crashed"]].loc["tanh"].tolist() == [3, 1, 0]
    last = r.steps[r.steps["step"] == 300].merge(runs[["run_id", "activation"]])
    by = last.groupby("activation")["accuracy"]
    assert table["accuracy"].to_dict() == by.median().to_dict()
    assert by.count().to_dict() == {"relu": 1, "tanh": 2}


def test_what_diverged_at_the_start_that_it_ends_at_is_in_no_median():
    """Three runs without a step: one diverged at once, one has a layer without a share of dead units."""
    r = records(activation="relu", steps=0, seed=[0, 1, 2])
    diverged, lacking, sound = r.runs["run_id"]
    runs = r.runs.assign(status=r.runs["status"].where(r.runs["run_id"] != diverged, "diverged"))
    layers = r.layers.copy()
    layers.loc[layers["run_id"] == diverged, "dead_fraction"] = 0.5
    layers.loc[(layers["run_id"] == lacking) & (layers["layer"] == 1), "dead_fraction"] = np.nan
    layers.loc[layers["run_id"] == sound, "dead_fraction"] = 0.25
    row = analysis.summary(Records(runs, r.steps, layers)).iloc[0]
    assert (row["n"], row["diverged"], row["left_out"]) == (3, 1, 2)
    assert row[["dead", "dead_low", "dead_high"]].tolist() == [0.25] * 3
    ends = r.steps[r.steps["run_id"].isin([lacking, sound])]["accuracy"]
    assert row["accuracy_high"] == ends.max()


def test_the_rows_of_the_summary_are_in_the_order_of_the_runs():
    r = records(activation=["tanh", "relu", "sigmoid"], depth=[10, 2, 5], seed=[0, 1])
    table = analysis.summary(r)
    assert table["activation"].tolist() == ["tanh"] * 3 + ["relu"] * 3 + ["sigmoid"] * 3
    assert table["depth"].tolist() == [10, 2, 5] * 3


def test_zeros_at_the_end_are_counted_over_runs_and_hidden_layers():
    r = records(activation=["relu", "tanh"], depth=4, seed=[0, 1, 2], dead=[("activation", "relu")])
    table = analysis.summary(r).set_index("activation")
    assert table["zeros"].to_dict() == {"relu": 3 * 2, "tanh": 0}  # the lower two of four layers
    assert table.loc["relu", "delta_ratio_end"] == 0


ALL_DIVERGED = {"diverged": [("seed", 0), ("seed", 1)]}


@pytest.mark.parametrize(
    "degenerate", [{"steps": 0}, {"depth": 0}, {"depth": 1}, ALL_DIVERGED, {"dead": [("depth", 2)]}], ids=str
)
def test_the_summary_of_degenerate_records_has_its_rows(degenerate):
    r = records(**{"activation": ["relu", "tanh"], "depth": 2, "seed": [0, 1]} | degenerate)
    assert analysis.summary(r)["n"].tolist() == [2, 2]


def test_a_run_without_a_number_is_left_out_of_the_medians_and_counted():
    """One seed of three has NaN in one layer: its share is no share, and the median is that of two."""
    r = records(activation=["relu", "tanh"], seed=[0, 1, 2])
    layers = r.layers.copy()
    odd = r.runs.query("activation == 'relu' and seed == 1")["run_id"].item()
    layers.loc[(layers["run_id"] == odd) & (layers["layer"] == 1), ["dead_fraction", "delta_norm"]] = np.nan
    table = analysis.summary(Records(r.runs, r.steps, layers)).set_index("activation")
    whole = analysis.summary(r).set_index("activation")
    assert table["left_out"].to_dict() == {"relu": 1, "tanh": 0}
    others = r.runs.query("activation == 'relu' and seed != 1")["run_id"]
    end = layers[layers["run_id"].isin(others) & (layers["step"] == 300) & (layers["layer"] < 3)]
    assert table.loc["relu", "dead"] == pytest.approx(end.groupby("run_id")["dead_fraction"].mean().median())
    assert table.loc["tanh", "dead"] == whole.loc["tanh", "dead"]


def test_a_norm_too_small_for_any_number_is_not_counted_as_a_zero():
    r = one_run([0.0, 0.0, 1.0], delta_log10=[-np.inf, -400.0, 0.0])
    assert analysis.summary(r)["zeros"].item() == 1
    ratio = analysis.first_to_last(one_run([0.0, 1.0, 1.0], delta_log10=[-400.0, 0.0, 0.0]))
    assert ratio["ratio_log10"].item() == -400


def test_the_interval_of_a_share_is_the_tabulated_one():
    """Clopper-Pearson 95 %: 0 of 10 is 0 to 0.3085, 3 of 10 is 0.0667 to 0.6525."""
    assert analysis.share_interval(0, 10) == pytest.approx((0, 0.3085), abs=1e-4)
    assert analysis.share_interval(3, 10) == pytest.approx((0.0667, 0.6525), abs=1e-4)
