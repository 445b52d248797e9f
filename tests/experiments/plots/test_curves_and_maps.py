"""What curves and maps show: medians and ranges, exact zeros, what is left out or cut off and said to be."""

from dataclasses import replace

import numpy as np
import pytest
from figure_cases import (
    BOTH,
    FOUR,
    axes_at,
    axes_of,
    bands,
    caption,
    case,
    curves,
    legend,
    named,
    panels,
    picture,
)
from matplotlib.colors import to_hex
from synthetic import records

from experiments.analysis import ratios as analysis
from experiments.plots import FIGURES, lines, style, views

# Curves


def test_gradient_by_layer_shows_the_medians_and_ranges_of_both_signals_at_both_ends():
    r, found = case("ordinary"), panels("gradient_by_layer")
    joined = analysis.join(r.layers, r.runs).query("activation == 'tanh'")
    shown = {
        "‖delta‖ at the start": (0, "delta_norm"),
        "‖dw‖ at the start": (0, "dw_norm"),
        "‖delta‖ after 300 steps": (300, "delta_norm"),
        "‖dw‖ after 300 steps": (300, "dw_norm"),
    }
    assert list(found) == [(f"depth={depth}", title) for depth in (2, 5, 20) for title in shown]
    assert len({axes.get_ylim() for axes in found.values()}) == 1
    for depth in (2, 5, 20):
        for title, (step, signal) in shown.items():
            axes = found[f"depth={depth}", title]
            assert axes.get_yscale() == "log"
            assert set(curves(axes)) == set(FOUR)
            rows = joined[(joined["depth"] == depth) & (joined["step"] == step)]
            by_layer = rows.groupby("layer")[signal]
            line = curves(axes)["tanh"]
            assert line.get_xdata().tolist() == list(range(1, depth + 2))
            assert line.get_ydata() == pytest.approx(by_layer.median().to_numpy())
            band = bands(axes)[to_hex(line.get_color())]
            assert band[:, 1].min() == pytest.approx(by_layer.min().min())
            assert band[:, 1].max() == pytest.approx(by_layer.max().max())


def test_an_untrained_network_has_no_end():
    titles = [title for _, title in panels("gradient_by_layer", "untrained")]
    assert titles == ["‖delta‖ at the start", "‖dw‖ at the start"]


def test_exact_zeros_lie_on_a_marked_floor_below_every_number():
    axes = panels("gradient_by_layer")["depth=20", "‖delta‖ after 300 steps"]
    dead = curves(axes)["relu"].get_ydata()
    ground = axes.get_yticks()[0]
    assert axes.get_yticklabels()[0].get_text() == "0"
    assert (dead[:10] == ground).all()
    others = np.concatenate([line.get_ydata() for line in curves(axes).values()])
    assert others[others > ground].min() > 1.5 * ground
    assert axes.get_ylim()[0] < ground
    assert "Exact zeros lie on the line marked 0." in caption(picture("gradient_by_layer"))


def test_a_seed_at_zero_is_a_tick_on_the_floor_and_no_block_of_colour():
    r = records(activation="relu", depth=4, seed=[0, 1, 2], steps=0)
    one = r.layers["run_id"] == r.runs["run_id"].iloc[0]
    r.layers.loc[one, ["delta_norm"]] = 0.0
    axes = axes_at(FIGURES["gradient_by_layer"](r), "", "‖delta‖ at the start")
    ground = axes.get_yticks()[0]
    (ticks,) = [line for line in axes.lines if line.get_label() == "_zeros"]
    assert ticks.get_xdata().tolist() == [1, 2, 3, 4, 5]
    assert set(ticks.get_ydata()) == {ground}
    (band,) = bands(axes).values()
    assert band[:, 1].min() > 1.5 * ground


def test_there_is_no_floor_without_zeros():
    axes = panels("gradient_by_layer", "single run")["", "‖delta‖ at the start"]
    assert "0" not in [label.get_text() for label in axes.get_yticklabels()]
    assert "Exact zeros" not in caption(picture("gradient_by_layer", "single run"))


@pytest.mark.parametrize("name", ["all diverged", "none finished"])
def test_a_panel_without_a_finite_value_is_left_out_and_that_is_said(name):
    found = picture("gradient_by_layer", name)
    assert all("start" in panel.title for panel in found.panels) or name == "none finished"
    assert "Left out, for there is no finite value: ‖delta‖" in caption(found)


def test_one_seed_that_explodes_is_cut_off_and_that_is_said():
    r = records(activation=BOTH, depth=3, seed=[0, 1, 2], steps=0)
    wild = r.runs.loc[(r.runs["seed"] == 1) & (r.runs["activation"] == "relu"), "run_id"].item()
    r.layers.loc[r.layers["run_id"] == wild, "delta_norm"] = 3e150
    found = FIGURES["gradient_by_layer"](r)
    drawn = axes_of(found)
    axes = drawn["", "‖delta‖ at the start"]
    low, high = axes.get_ylim()
    assert high < 1e4
    assert bands(axes)[style.FAMILIES["relu"][0].lower()][:, 1].max() == high
    assert "Bands that leave the axis are cut off there; they reach as far as 3·10¹⁵⁰." in caption(found)
    medians = np.concatenate([line.get_ydata() for axes in drawn.values() for line in curves(axes).values()])
    assert ((low < medians) & (medians < high)).all()
    assert "cut off" not in caption(picture("gradient_by_layer"))


def test_the_ratio_is_drawn_at_each_depth_with_a_guide_at_one():
    axes = panels("ratio_by_depth")["", "‖delta‖ at the start"]
    found = analysis.first_to_last(case("ordinary")).query("step == 0 and activation == 'sigmoid'")
    line = curves(axes)["sigmoid"]
    assert line.get_xdata().tolist() == [2, 5, 20]
    assert line.get_ydata() == pytest.approx(found.groupby("depth")["ratio"].median().to_numpy())
    assert [line.get_ydata()[0] for line in axes.lines if line.get_label() == "_guide"] == [1]


def test_learning_curves_are_the_medians_of_the_steps_with_chance_marked():
    found, r = panels("learning_curves"), case("ordinary")
    joined = analysis.join(r.steps, r.runs).query("depth == 5 and activation == 'tanh'")
    titles = {
        "training loss": "loss_at_step",
        "training accuracy": "accuracy",
        "test accuracy": "test_accuracy",
    }
    for title, column in titles.items():
        axes = found["depth=5", title]
        line = curves(axes)["tanh"]
        by_step = joined.groupby("step")[column].median()
        assert line.get_xdata().tolist() == by_step.index.tolist()
        assert line.get_ydata() == pytest.approx(by_step.to_numpy())
        if title == "training loss":
            assert axes.get_yscale() == "log"
        else:
            assert axes.get_ylim() == (-0.03, 1.03)
            (chance,) = [line.get_ydata()[0] for line in axes.lines if line.get_label() == "_guide"]
            assert chance == pytest.approx(0.1, abs=0.005)  # ten digits, about equally many of each
            assert "chance, 0.1" in named(axes)


def test_the_oversized_step_is_marked_where_it_shows_first():
    r = records(schedule=["constant", "shock(at=20, factor=50)"], depth=2, seed=[0, 1])
    axes = axes_at(FIGURES["learning_curves"](r), "", "training loss")
    assert [line.get_xdata()[0] for line in axes.lines if line.get_label() == "_mark"] == [21]
    assert not [line for line in panels("learning_curves")["depth=5", "training loss"].lines
                if line.get_label() == "_mark"]  # fmt: skip


def test_forward_by_layer_has_a_linear_mean_and_a_logarithmic_variance():
    found = panels("preactivation_by_layer")
    for (_, title), axes in found.items():
        kind = title.split()[0]
        assert axes.get_yscale() == {"mean": "linear", "variance": "log"}[kind]
        assert axes.get_ylabel() == f"{kind} of z"
    r = case("ordinary")
    rows = analysis.join(r.layers, r.runs).query("depth == 2 and activation == 'relu' and step == 300")
    line = curves(found["depth=2", "variance after 300 steps"])["relu"]
    assert line.get_ydata() == pytest.approx(rows.groupby("layer")["z_var"].median().to_numpy())


def test_the_scatter_of_a_mean_that_does_not_differ_is_not_drawn_at_full_height():
    r = case("ordinary")
    still = replace(r, layers=r.layers.assign(a_mean=0.001 * r.layers["a_var"]))
    low, high = axes_at(FIGURES["forward_by_layer"](still), "depth=2", "mean at the start").get_ylim()
    assert high - low > 0.2


def test_update_ratio_follows_the_first_and_the_last_hidden_layer_beside_a_guide():
    found, r = panels("update_ratio"), case("ordinary")
    joined = analysis.join(r.layers, r.runs).query("depth == 5 and activation == 'tanh'")
    for title, layer in (("layer 1", 1), ("last hidden layer", 5)):
        by_step = joined[joined["layer"] == layer].groupby("step")["update_ratio"].median()
        assert curves(found["depth=5", title])["tanh"].get_ydata() == pytest.approx(by_step.to_numpy())
    for axes in found.values():
        assert [line.get_ydata()[0] for line in axes.lines if line.get_label() == "_guide"] == [1e-3]


def test_a_prediction_is_drawn_dashed_over_its_own_band_and_stretches_the_axis():
    view = views.arrange(case("single run"))
    measured = view.medians(analysis.at_start(view.records.layers), "delta_norm", "layer")
    factors = {"median": 1e-4, "low": 1e-5, "high": 1}
    scaled = {name: measured["median"] * factor for name, factor in factors.items()}
    column = views.Column("delta", measured, "norm", predicted=measured.assign(**scaled))
    (axes,) = axes_of(lines.draw_lines(view, [column], FIGURES["gradient_by_layer"])).values()
    line = next(line for line in axes.lines if line.get_label() == "_predicted")
    assert line.get_ydata() == pytest.approx(1e-4 * measured["median"].to_numpy())
    assert line.get_linestyle() == "--"
    assert line.get_zorder() > max(other.get_zorder() for other in curves(axes).values())
    assert axes.get_ylim()[0] < scaled["low"].min()


# Maps


def test_the_heat_map_is_log10_of_the_median_with_layer_1_at_the_bottom():
    found = panels("gradient_over_training")
    assert [setting for setting, _ in found] == FOUR
    r = case("ordinary")
    deep = analysis.join(r.layers, r.runs).query("depth == 20")
    for activation in FOUR:
        (image,) = found[activation, ""].images
        rows = deep[deep["activation"] == activation]
        table = rows.pivot_table(index="layer", columns="step", values="delta_norm", aggfunc="median")
        alive = table.to_numpy() > 0
        values = np.asarray(image.get_array())
        assert values[alive] == pytest.approx(np.log10(table.to_numpy()[alive]))
        assert (values[~alive] < image.norm.vmin).all()  # in the colour for exact zeros
        assert image.origin == "lower"
        assert image.get_extent()[2:] == [0.5, 21.5]
        assert image.get_clim() == found["sigmoid", ""].images[0].get_clim()
    assert "Only the deepest networks." in caption(picture("gradient_over_training"))
    assert "depth=20" in caption(picture("gradient_over_training"))
    assert legend(picture("gradient_over_training")) == ["exactly 0"]


def test_depths_that_are_asked_for_are_drawn():
    assert len(picture("gradient_over_training(facet=[activation, depth])").panels) == 12
    found = picture("gradient_over_training(where=runs(depth=5))")
    assert axes_at(found).images[0].get_array().shape[0] == 6
    assert "Only runs(depth=5)." in caption(found)


def test_what_diverged_is_a_hole_in_the_map():
    axes = next(iter(panels("gradient_over_training", "all diverged").values()))
    masked = np.ma.getmaskarray(axes.images[0].get_array())
    assert masked.any(axis=0).tolist() == [step >= 5 for step in (0, 1, 2, 5, 10, 20, 50, 100, 200, 300)]
    assert legend(picture("gradient_over_training", "all diverged")) == ["no finite value"]


def test_dead_and_saturated_are_shares_of_the_hidden_layers_only():
    found = panels("dead_and_saturated")
    assert list(found) == [(activation, what) for activation in FOUR for what in ("dead", "saturated")]
    assert len({axes.images[0].get_clim() for axes in found.values()}) == 1
    for axes in found.values():
        assert axes.images[0].get_array().shape[0] == 20
    dead = np.asarray(found["relu", "dead"].images[0].get_array())
    assert dead[0, -1] == pytest.approx(0.3)
    assert (dead[:, 0] == 0).all()


def test_the_maps_of_a_default_figure_are_those_with_something_to_see():
    chosen = picture("dead_and_saturated").chosen
    assert [panel.title for panel in chosen] == ["dead", "saturated"]
    assert chosen[0].setting == "relu"  # no other has a dead unit


def test_a_threshold_other_than_the_usual_is_named():
    r = case("untrained")
    named = r.layers.rename(columns={"saturated_fraction": "saturated_fraction(below=0.05)"})
    found = FIGURES["dead_and_saturated"](replace(r, layers=named))
    assert found.panels[-1].title == "saturated(below=0.05)"


# Beyond every number


def beyond():
    """Records of which no float64 holds the norms in the lower half; layer 1 of ReLU gets exactly nothing."""
    r = records(activation=BOTH, depth=8, seed=[0, 1, 2], steps=20)
    for name in ("delta", "dw"):
        r.layers[f"{name}_log10"] = -100.0 * (9 - r.layers["layer"]) - 0.3
        relu = r.layers["run_id"].isin(r.runs.loc[r.runs["activation"] == "relu", "run_id"])
        r.layers.loc[relu & (r.layers["layer"] == 1), f"{name}_log10"] = -np.inf
        r.layers[f"{name}_norm"] = 10.0 ** r.layers[f"{name}_log10"]
    return r


def test_norms_smaller_than_any_number_are_drawn_where_they_are():
    for axes in axes_of(FIGURES["gradient_by_layer"](beyond())).values():
        low, _ = axes.get_ylim()
        sigmoid, relu = (curves(axes)[name].get_ydata() for name in ("sigmoid", "relu"))
        assert sigmoid == pytest.approx([-100.0 * (9 - layer) - 0.3 for layer in range(1, 10)])
        assert relu[1:] == pytest.approx(sigmoid[1:])
        assert low < relu[0] < sigmoid[0] - 10  # the only true zero lies on the floor
        assert axes.get_yticklabels()[0].get_text() == "0"


def test_one_seed_beyond_every_number_is_cut_off_and_that_is_said():
    r = beyond()
    wild = r.runs.loc[(r.runs["seed"] == 1) & (r.runs["activation"] == "sigmoid"), "run_id"].item()
    r.layers.loc[r.layers["run_id"] == wild, "delta_log10"] = 4000.0
    found = FIGURES["gradient_by_layer"](r)
    assert axes_at(found, "", "‖delta‖ at the start").get_ylim()[1] < 1200
    assert "they reach as far as 10⁴⁰⁰⁰." in caption(found)


def test_a_plain_norm_leaves_the_true_one_where_the_format_loses_it():
    r = records(activation="sigmoid", dtype=["float32", "float64"], depth=3, seed=[0, 1, 2], steps=0)
    true = -30.0 * (4 - r.layers["layer"])  # 10⁻⁹⁰ … 1
    narrow = r.layers["run_id"].isin(r.runs.loc[r.runs["dtype"] == "float32", "run_id"])
    plain = np.where(narrow & (true < -25), 0.0, 10.0**true)
    columns = {f"{name}_log10": true for name in ("delta", "dw")}
    columns |= {f"{name}_norm_plain": plain for name in ("delta", "dw")}
    found = FIGURES["underflow"](replace(r, layers=r.layers.assign(**columns)))
    assert legend(found) == ["true norm, exponent carried"]
    assert found.finding == "float32 reports 0 in 3 of 4 layers, truly 10⁻³⁰ or less"
    for axes in axes_of(found).values():
        narrow, wide = (curves(axes)[name].get_ydata() for name in ("float32", "float64"))
        assert wide == pytest.approx([-90, -60, -30, 0])
        assert narrow[3] == 0
        assert (narrow[:3] == axes.get_yticks()[0]).all()
        assert axes.get_yticklabels()[0].get_text() == "0"
        for line in (line for line in axes.lines if line.get_label() == "_predicted"):
            assert line.get_ydata() == pytest.approx([-90, -60, -30, 0])
        guides = [line.get_ydata()[0] for line in axes.lines if line.get_label() == "_guide"]
        assert guides == pytest.approx([np.log10(np.finfo(np.float32).tiny)])  # float64's lies below all
