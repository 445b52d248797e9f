"""Theory beside what was measured: over the figures, in the residual figure and in the summary."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from synthetic import records

from experiments import datasets
from experiments.analysis import ratios as analysis
from experiments.config import Recording, Run
from experiments.pipeline import summarised
from experiments.plots import FIGURES, overlay
from experiments.plots.figures import residual
from experiments.storage.records import Records
from experiments.sweeps.runner import run_stack
from experiments.theory import Inputs, predict
from experiments.theory.of_records import inputs_of, predicted, predictions
from mlp.activations import ACTIVATIONS, Activation

THREE = ["sigmoid", "tanh", "relu"]
PROBES = ("delta_norm", "dw_norm", "delta_log10", "delta_rms", "z_rms", "z_mean", "z_var", "a_mean", "a_var")
EXAMPLES = 400
ENTRY = "theory, at initialisation (±1 sd of one network)"


def untrained(activation, depth=6, seeds=6, probe_set=EXAMPLES, **fields):
    """Records of real networks at step 0."""
    runs = [Run(activation=activation, depth=depth, seed=seed, steps=0, **fields) for seed in range(seeds)]
    return run_stack(runs, Recording(PROBES, probe_set=probe_set))


@pytest.fixture(scope="module")
def measured():
    return Records.concat([untrained(name) for name in THREE])


@pytest.fixture(scope="module")
def figure_of_measured(measured):
    """What makes each figure of these records once."""
    return cache(lambda text: FIGURES.bind(text)(measured))


@pytest.fixture(scope="module")
def digits():
    data = datasets.load("digits")
    return Inputs.measured(data.x[:EXAMPLES], data.y[:EXAMPLES], data.classes)


@pytest.fixture
def bent():
    """An activation that no table of ours lists."""

    @ACTIVATIONS
    def bent(slope: float = 0.3) -> Activation:
        """z above 0, slope·z + ½·slope·sin z below."""
        return Activation(
            f=lambda z: np.where(z > 0, z, slope * (z + 0.5 * np.sin(z))),
            df=lambda z, a: np.where(z > 0, 1.0, slope * (1 + 0.5 * np.cos(z))),
            kinks=(0.0,),
        )

    yield "bent(slope=0.4)"
    del ACTIVATIONS["bent"]


def panels(picture):
    grid = Figure().subplots(1, len(picture.panels), squeeze=False)[0]
    drawn = picture.draw(grid, picture.panels)
    return {panel.title: axes for panel, axes in zip(picture.panels, drawn, strict=True)}


def lines(axes):
    return [line for line in axes.lines if line.get_label() == "_predicted"]


def entries(picture):
    return [entry.get_label() for entry in picture.legend()]


def caption(picture):
    return picture.alt


# The prediction of records


def test_runs_are_predicted_for_the_examples_that_they_were_measured_on():
    data = datasets.load("digits")
    r = untrained("tanh", depth=2, seeds=2, probe_set=300)
    ours = Inputs.measured(data.x[:300], data.y[:300], data.classes)
    for found in predictions(r).values():
        assert found.logs["delta_norm"] == pytest.approx(predict("tanh", 2, 64, ours).logs["delta_norm"])


def test_where_the_records_do_not_tell_the_examples_the_default_is_taken():
    told = untrained("tanh", depth=2, seeds=1, probe_set=2048)
    bare = replace(told, layers=told.layers.drop(columns="delta_rms"))
    ((name, found),) = predictions(bare).items()  # the digits' 1437 are fewer than the default
    assert found is not predictions(told)[name]
    assert found.logs["delta_norm"] == pytest.approx(predictions(told)[name].logs["delta_norm"])
    assert inputs_of("digits", 12345) is not inputs_of("digits")  # of no number of examples with ten classes
    assert inputs_of("digits", 12345).total == inputs_of("digits").total


def test_a_setting_is_predicted_once():
    r = records(activation=["relu", "tanh"], lr=[0.1, 1.0], seed=[0, 1, 2], depth=3)
    found = predictions(r)
    assert len(found) == 12
    assert len({id(prediction) for prediction in found.values()}) == 2


def test_what_cannot_be_predicted_has_a_reason_and_no_error(monkeypatch):
    def missing(text):
        raise datasets.DataError("gone: nothing is there\nfetch it")

    start = (2, 64, "nowhere", "xavier_normal", "zeros", "none", 0.0, "softmax_cross_entropy")
    monkeypatch.setattr(datasets, "load", missing)
    assert predicted("relu", *start).reason == "the data cannot be read (gone: nothing is there)"
    monkeypatch.undo()
    unknown = predicted("rely", 2, 64, "digits", *start[3:])
    assert "unknown activation 'rely'" in unknown.reason


# Over the figures


def test_the_start_panels_of_the_gradient_carry_line_and_band(measured, figure_of_measured):
    figure = figure_of_measured("gradient_by_layer")
    assert entries(figure) == [ENTRY]
    prediction = predictions(measured)[measured.runs["run_id"].iloc[0]]
    drawn = panels(figure)
    for title, probe in (("‖delta‖ at the start", "delta_norm"), ("‖dw‖ at the start", "dw_norm")):
        axes = drawn[title]
        assert len(lines(axes)) == 3
        assert lines(axes)[0].get_ydata() == pytest.approx(prediction.centre(probe))
        hatched = [band for band in axes.collections if band.get_hatch()]
        assert len(hatched) == 3
        low, high = prediction.band(probe, 1.0)
        corners = hatched[0].get_paths()[0].vertices[:, 1]
        assert (corners.min(), corners.max()) == pytest.approx((low.min(), high.max()))


def test_after_training_nothing_is_predicted_and_the_caption_says_so():
    r = records(activation=["relu", "tanh"], depth=3, seed=[0, 1])
    figure = FIGURES["gradient_by_layer"](r)
    drawn = {title: len(lines(axes)) for title, axes in panels(figure).items()}
    assert drawn == {
        "‖delta‖ at the start": 2, "‖dw‖ at the start": 2,
        "‖delta‖ after 300 steps": 0, "‖dw‖ after 300 steps": 0,
    }  # fmt: skip
    assert "Theory: at the start only" in caption(figure)


@pytest.mark.parametrize("name", ["gradient_by_layer", "forward_by_layer", "preactivation_by_layer"])
def test_theory_can_be_switched_off(figure_of_measured, name):
    assert any(lines(axes) for axes in panels(figure_of_measured(name)).values())
    figure = figure_of_measured(f"{name}(theory=false)")
    assert not any(lines(axes) for axes in panels(figure).values())
    assert entries(figure) == []
    assert "heory" not in caption(figure)


def test_the_forward_signal_is_predicted_in_the_hidden_layers_without_a_band(measured, figure_of_measured):
    figure = figure_of_measured("forward_by_layer")
    assert entries(figure) == ["theory, at initialisation"]
    prediction = predictions(measured)[measured.runs["run_id"].iloc[0]]
    drawn = panels(figure)
    for title, probe in (("mean at the start", "a_mean"), ("variance at the start", "a_var")):
        line = lines(drawn[title])[0]
        assert line.get_xdata().tolist() == [1, 2, 3, 4, 5, 6]
        assert line.get_ydata() == pytest.approx(prediction.centre(probe)[:-1])


def test_where_theory_does_not_apply_the_caption_says_why():
    r = records(activation=["relu", "tanh"], depth=[3, 16], width=3, seed=[0, 1])
    figure = FIGURES["gradient_by_layer"](r)
    reason = next(p.reason for p in predictions(r).values() if p.reason)
    assert reason.startswith("width 3 is too small for depth 16")
    assert "No theory for relu, depth=16" in caption(figure)
    assert reason in caption(figure)
    for title, axes in panels(figure).items():
        assert lines(axes) == [] or "start" in title


def test_a_norm_without_a_band_is_drawn_and_the_caption_says_why():
    figure = FIGURES["gradient_by_layer"](untrained("tanh", depth=3, seeds=2, norm="batch"))
    (line,) = lines(panels(figure)["‖dw‖ at the start"])
    assert np.isfinite(line.get_ydata()).all()
    assert "Theory of ‖dw‖ for tanh: no band in any layer: how far networks stray" in caption(figure)


def test_a_norm_without_a_line_is_not_drawn():
    r = untrained("tanh", depth=3, seeds=2, norm="batch", dataset="moons(n=200)")
    figure = FIGURES["gradient_by_layer"](r)
    assert not any(lines(axes) for axes in panels(figure).values())
    assert entries(figure) == []
    assert "Theory of ‖delta‖ for tanh: no line in any layer: few directions" in caption(figure)


def test_what_differs_after_the_start_only_has_one_line():
    figure = FIGURES["gradient_by_layer"](records(lr=[0.01, 0.1, 1.0], depth=3, seed=[0, 1]))
    assert len(lines(panels(figure)["‖delta‖ at the start"])) == 1


def test_reasons_are_listed_up_to_a_few():
    names = [f"depth={depth}" for depth in range(5)]
    assert overlay._listed(names) == "depth=0; depth=1; depth=2 and 2 more"


def test_an_activation_registered_now_is_predicted(bent):
    r = untrained(bent, seeds=8, probe_set=500)
    figure = FIGURES["gradient_by_layer"](r)
    (line,) = lines(panels(figure)["‖delta‖ at the start"])
    start = r.layers.groupby("layer")["delta_norm"].median().to_numpy()
    sd = predictions(r)[r.runs["run_id"].iloc[0]].sds["delta_norm"]
    # a median of eight strays by 1.25/√8 sd = 0.44; four of these, and theory's own few per cent
    assert (np.abs(np.log(start / line.get_ydata())) < 1.8 * sd + 0.06).all()


# The residual


def test_the_residual_counts_sds_from_the_prediction(measured):
    start = analysis.at_start(measured.layers)
    found, predicted_of = residual.away(measured, start, "delta_norm"), predictions(measured)
    for name, rows in start.groupby("run_id"):
        away = found.loc[rows.index, "away"].to_numpy()
        expected = [
            float(predicted_of[name].away("delta_norm", layer, norm))
            for layer, norm in zip(rows["layer"], rows["delta_norm"], strict=True)
        ]
        assert away == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_residual_figure_marks_three_sds_and_shows_the_medians(measured):
    figure = FIGURES["theory_residual"](measured)
    assert list(panels(figure)) == ["‖delta‖", "‖dw‖", "rms of z"]
    runs = measured.runs.set_index("run_id")
    found = residual.away(measured, analysis.at_start(measured.layers), "dw_norm")
    relu = found[found["run_id"].map(runs["activation"]) == "relu"].groupby("layer")["away"].median()
    axes = panels(figure)["‖dw‖"]
    shown = {line.get_label(): line.get_ydata() for line in axes.lines if line.get_label() != "_guide"}
    assert shown["relu"] == pytest.approx(relu.to_numpy(), nan_ok=True)
    guides = sorted(line.get_ydata()[0] for line in axes.lines if line.get_label() == "_guide")
    assert guides == [-3, -2, -1, 0, 1, 2, 3]
    assert axes.get_ylim()[0] < -3
    assert axes.get_ylim()[1] > 3


def test_an_underflown_norm_is_compared_by_its_recorded_log(measured):
    far = measured.layers.assign(delta_norm=0.0, delta_log10=-400.0)
    found = residual.away(measured, far, "delta_norm")["away"]
    assert np.isfinite(found).all()
    assert (found < -1000).all()


# The summary


def test_the_summary_has_the_decay_that_predict_gives(measured, digits):
    table = summarised(measured)
    at = table.columns.get_loc("decay_theory")
    assert table.columns[at - 1] == "decay_start_high"
    for row in table.itertuples():
        assert row.decay_theory == pytest.approx(predict(row.activation, row.depth, 64, digits).decay())
    others = table.drop(columns="decay_theory")
    pd.testing.assert_frame_equal(others, analysis.summary(measured))


def test_the_summary_has_no_decay_where_theory_does_not_apply():
    r = records(activation="relu", depth=[1, 3, 30], width=4, clip=[None, 1.0], seed=[0, 1])
    table = summarised(r)
    assert table.groupby("depth")["decay_theory"].count().to_dict() == {1: 0, 3: 2, 30: 0}


@pytest.mark.parametrize("name", THREE)
def test_the_measured_decay_lies_within_three_sds_of_theory(measured, name):
    table = summarised(measured).set_index("activation").loc[name]
    ids = measured.runs.loc[measured.runs["activation"] == name, "run_id"]
    sd = predictions(measured)[ids.iloc[0]].decay_sd()
    assert 0 < sd < 0.1  # a band that tells ReLU's 0.71 from tanh's 0.9
    for end in ("", "_low", "_high"):
        assert abs(np.log(table[f"decay_start{end}"] / table["decay_theory"])) < 3 * sd
