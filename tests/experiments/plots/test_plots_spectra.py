"""What the figures of Jacobians, noise, rank and distributions show."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from synthetic import records

from experiments.analysis import ratios as analysis
from experiments.plots import FIGURES
from experiments.plots.figures.magnitudes import ZERO, _Scale
from experiments.storage.records import Records

R = records(activation=["sigmoid", "relu"], depth=[3, 20], seed=[0, 1, 2])


def panels(picture):
    grid = Figure().subplots(1, len(picture.panels), squeeze=False)[0]
    return picture.draw(grid, picture.panels)


def line(axes, name):
    return next(line for line in axes.lines if line.get_label() == name)


def by_layer(probe, step):
    rows = analysis.join(analysis.hidden(R.layers, R.runs), R.runs)
    rows = rows[(rows["depth"] == 3) & (rows["activation"] == "relu") & (rows["step"] == step)]
    return rows.groupby("layer")[probe].median().to_numpy()


@pytest.mark.parametrize(("when", "step"), [("start", 0), ("end", 300)])
def test_jacobians_of_the_layers_and_to_the_logits(when, step):
    figure = FIGURES.bind(f"jacobian_by_layer(when={when})")(R)
    row = panels(figure)[:4]
    probes = ["jacobian_mean", "jacobian_spread", "end_to_end_mean", "end_to_end_spread"]
    for axes, panel, probe in zip(row, figure.panels, probes, strict=False):
        assert line(axes, "relu").get_ydata() == pytest.approx(by_layer(probe, step))
        assert panel.title.endswith(f"at the {when}")
        assert any(each.get_label() == "_guide" for each in axes.lines) == ("mean" in probe)


def test_probes_are_found_whatever_their_options():
    named = {name: f"{name}(batch=8)" for name in ("gradient_snr", "gradient_cosine")}
    figure = FIGURES["gradient_noise"](replace(R, layers=R.layers.rename(columns=named)))
    snr, cosine = panels(figure)[:2]
    assert line(snr, "relu").get_ydata()[:3] == pytest.approx(by_layer("gradient_snr", 0))
    assert line(cosine, "relu").get_ydata()[:3] == pytest.approx(by_layer("gradient_cosine", 0))
    assert (snr.get_yscale(), cosine.get_yscale()) == ("log", "linear")
    assert "Mini-batches of 8 examples." in figure.alt


def test_ranks_are_those_of_the_hidden_layers():
    axes = panels(FIGURES.bind("effective_rank_by_layer(where=runs(depth=3))")(R))[0]
    assert line(axes, "relu").get_xdata().tolist() == [1, 2, 3]
    assert line(axes, "relu").get_ydata() == pytest.approx(by_layer("effective_rank", 0))


def test_a_map_holds_the_shares_of_the_first_the_middle_and_the_last_hidden_layer():
    picture = FIGURES["distribution_over_time"](R)
    shown = panels(picture)
    assert [panel.title for panel in picture.panels] == [
        f"|delta|, layer {layer}" for layer in (1, 11, 20)
    ] * 2
    steps = len(R.steps["step"].unique())
    for axes in shown:
        scale, zeros = axes.images
        shares = np.ma.filled(scale.get_array(), 0)
        assert shares.shape[1] == zeros.get_array().shape[1] == steps
        assert (np.asarray(zeros.get_array()) == 0.25).all()
        assert zeros.get_extent()[3] < scale.get_extent()[2]
        low, high = scale.get_extent()[2:]
        assert len(shares) == high - low  # a row each half decade
        assert shares.max() == 0.5
    assert shown[0].get_yticklabels()[0].get_text() == shown[3].get_yticklabels()[0].get_text() == "0"


def test_a_median_is_that_of_seeds_and_a_bin_that_a_seed_lacks_counts_as_0():
    one = records(activation="relu", depth=1, seed=[0, 1, 2], steps=0)
    keys = {"step": 0, "layer": 1, "subnormal": 0}
    ids = one.runs["run_id"].tolist()
    rows = [(ids[0], 0.0, 1.0), (ids[1], 0.0, 0.4), (ids[1], -1.0, 0.6), (ids[2], -1.0, 1.0)]
    bins = pd.DataFrame([keys | {"run_id": run, "bin": at, "delta": share} for run, at, share in rows])
    (axes,) = panels(FIGURES["distribution_over_time"](replace(one, bins=bins)))
    values = np.ma.filled(axes.images[0].get_array(), 0)
    assert values.ravel().tolist() == [0.6, 0.0, 0.4]


def test_subnormals_have_a_row_of_their_own_besides_their_half_decade():
    one = records(activation="relu", depth=1, seed=0, steps=0, dtype="float32")
    keys = {"run_id": one.runs["run_id"].item(), "step": 0, "layer": 1}
    rows = [(0.0, 0, 0.5), (-40.0, 1, 0.3), (-38.0, 1, 0.1), (-38.0, 0, 0.1)]
    bins = pd.DataFrame([keys | dict(zip(("bin", "subnormal", "delta"), row, strict=True)) for row in rows])
    (axes,) = panels(FIGURES["distribution_over_time"](replace(one, bins=bins)))
    scale, low = axes.images
    assert low.get_array().item() == pytest.approx(0.4)
    assert np.ma.filled(scale.get_array(), 0).ravel()[[0, 4, -1]] == pytest.approx([0.3, 0.2, 0.5])
    assert axes.get_yticklabels()[0].get_text() == "subn."


def test_nothing_but_zeros_is_drawn():
    scale = _Scale.of(pd.DataFrame({"row": [ZERO, 3], "median": [1.0, 0.0]}))
    assert (scale.low, scale.high, list(scale.under)) == (0, 0, [ZERO])
    assert scale.bottom < scale.under[ZERO] < -0.5


def test_the_sharpness_stands_beside_the_largest_that_is_stable():
    """2/0.5 and 2/0.1 of gradient descent; Adam has no limit, and its panel no dashed line."""
    fixed = {"activation": "tanh", "depth": 2, "lr": [0.1, 0.5], "seed": [0, 1, 2]}
    descent, adam = (records(**fixed, optimiser=optimiser) for optimiser in ("sgd", "adam"))
    both = Records.concat([descent, adam])
    both.layers["sharpness"] = 3.0
    figure = FIGURES.bind("sharpness_over_training(hue=lr)")(both)
    drawn = {
        (panel.title, panel.setting.split("=")[-1]): sorted({float(y) for each in axes.lines
                                                             if each.get_label().startswith("lr")
                                                             for y in each.get_ydata()})
        for panel, axes in zip(figure.panels, panels(figure), strict=True)
    }  # fmt: skip
    share, plain = "sharpness / the largest stable", "sharpness"
    assert drawn == {(share, "sgd"): [0.15, 0.75], (plain, "sgd"): [3.0], (plain, "adam"): [3.0]}
    assert "ends at 0.15 of the largest stable with lr=0.1" in figure.words.finding
    assert "0.75" in figure.words.finding
