"""What figures show, by their artists and never by pixels; every figure of FIGURES is tested unasked."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from inspect import Parameter, signature
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from synthetic import records

from experiments.analysis import ratios as analysis
from experiments.config.kinds import resolve
from experiments.plots import FIGURES, images, lines, save, style, views
from experiments.plots import axes as style_axes
from experiments.plots.figures import trainability
from experiments.storage.records import Records
from mlp.activations import ACTIVATIONS, Activation
from mlp.probes import PROBES, UNIT_PROBES
from mlp.registry import RegistryError

ROOT = Path(__file__).resolve().parents[3]
FOUR = ["sigmoid", "tanh", "relu", "leaky_relu(slope=0.1)"]
BOTH = ["sigmoid", "relu"]
EVERY = [*ACTIVATIONS, "leaky_relu(slope=0.3)"]


@cache
def case(name) -> Records:
    """Records that are ordinary or degenerate, by name."""
    made = {
        "ordinary": {"activation": FOUR, "depth": [2, 5, 20], "seed": [0, 1, 2],
                     "dead": [("activation", "relu")]},
        "untrained": {"activation": BOTH, "depth": [3], "seed": [0, 1], "steps": 0},
        "single run": {"activation": "tanh", "depth": 3},
        "one layer": {"activation": BOTH, "depth": 1, "seed": [0, 1]},
        "no layer": {"activation": BOTH, "depth": 0, "seed": [0, 1]},
        "all diverged": {"activation": BOTH, "depth": 3, "seed": [0, 1], "diverged": [("depth", 3)]},
        "many activations": {"activation": EVERY, "depth": 4, "seed": [0, 1]},
        "long names": {"activation": BOTH, "init": ["normal(std=0.01)", "he_normal"], "depth": 3,
                       "optimiser": ["momentum(beta=0.95)", "adam"], "steps": 0},
        "nulls": {"clip": [None, 1.0], "lr": [0.1, 1.0], "seed": [0, 1]},
    }  # fmt: skip
    if name == "all zero":
        r = records(activation=BOTH, depth=3, seed=[0, 1])
        r.layers.loc[:, r.layers.columns[3:]] = 0.0
        r.layers.loc[:, ["delta_log10", "dw_log10"]] = -np.inf
        r.steps.loc[:, r.steps.columns[2:]] = 0.0
        return r
    if name == "none finished":
        r = records(activation=BOTH, depth=3, seed=[0, 1])
        r.layers.loc[:, r.layers.columns[3:]] = np.nan
        return replace(r, runs=r.runs.assign(status="crashed"), steps=r.steps[:0], layers=r.layers[:0])
    return records(**made[name])


CASES = ["ordinary", "untrained", "single run", "one layer", "no layer", "all diverged", "many activations",
         "long names", "all zero", "none finished"]  # fmt: skip


@cache
def drawn(text, name="ordinary") -> Figure:
    return FIGURES.bind(text)(case(name))


def panels(figure):
    return [axes for axes in figure.axes if axes.get_visible() and axes.get_label() != "colour bar"]


def caption(figure):
    """The words above the panels, on one line."""
    return " ".join(figure.texts[1].get_text().split())


def curves(axes):
    """The lines that show data, by the value they stand for."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def shown(figure):
    """The entries of the legend, but for that of theory."""
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    return [name for name in names if not name.startswith("theory, at initialisation")]


def heading(axes):
    return axes.get_title("left").replace("\n", " ")


# Every figure


# Sheets of many panels, and kinds of few rows that "no layer", "all zero" and "all diverged" go beyond.
SLOW = {"many activations", "long names", "untrained", "single run", "one layer", "none finished"}


@pytest.mark.parametrize("name", [pytest.param(c, marks=[pytest.mark.slow] * (c in SLOW)) for c in CASES])
@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_of_any_records_is_whole(figure, name):
    """Drawn without a warning (these are errors), nothing cut off, nothing over anything else."""
    found = drawn(figure, name)
    found.draw_without_rendering()
    seen = [axes for axes in found.axes if axes.get_visible()]
    boxes = [(heading(axes) or axes.get_label(), axes.get_tightbbox()) for axes in seen]
    boxes += [(text.get_text(), text.get_window_extent()) for text in found.texts if text.get_text()]
    boxes += [("legend", legend.get_window_extent()) for legend in found.legends]
    for (one, a), (two, b) in combinations(boxes, 2):
        common = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(common) <= 1, f"{one!r} lies over {two!r}"
    for what, box in boxes:
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= found.bbox.width and box.y1 <= found.bbox.height
        assert inside, f"{what!r} is cut off"


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_says_what_it_is_and_names_its_axes(figure):
    found = drawn(figure)
    title, guide, *_ = FIGURES[figure].__doc__.split("\n\n")
    assert found.texts[0].get_text() == title.rstrip(".")
    assert " ".join(guide.split()) in caption(found)
    for axes in panels(found):
        assert axes.get_xlabel()
        assert heading(axes)
        for label in (axes.get_xlabel(), axes.get_ylabel()):
            assert "1 = nearest the input" in label or not label.startswith("layer")


@pytest.mark.parametrize("figure", [name for name in FIGURES if "where" in FIGURES.options(name)])
def test_every_figure_of_records_states_seeds_examples_and_lost_runs(figure):
    r = records(activation=BOTH, depth=3, seed=[0, 1, 2, 3, 4, 5], diverged=[("activation", "sigmoid")])
    r.layers.attrs["measured_on"] = "1437 training examples"
    words = caption(FIGURES[figure](r))
    assert "edian of 6 seeds" in words
    assert "Measured on 1437 training examples." in words
    assert "6 of 12 runs diverged, left out from that step on (sigmoid: 6)." in words
    assert "depth=3, width=64, dataset=digits, init=xavier_normal, optimiser=sgd, lr=0.05, steps=300" in words
    assert "One seed, hence no interval." in caption(drawn(figure, "single run"))


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_resolves_in_a_config_without_being_drawn(figure):
    assert resolve("figure", figure) == figure
    records_first = next(iter(signature(FIGURES[figure]).parameters.values()))
    assert records_first.default is Parameter.empty


NEEDS = [(name, probe) for name, figure in FIGURES.items() for probe in getattr(figure, "needs", ())]


@pytest.mark.parametrize(("figure", "probe"), NEEDS)
def test_every_figure_says_which_probe_it_lacks(figure, probe):
    r = case("ordinary")
    frame = "layers" if probe in PROBES else "units" if probe in UNIT_PROBES else "bins"
    without = replace(r, **{frame: getattr(r, frame).drop(columns=probe)})
    with pytest.raises(ValueError, match=f"needs {probe}, which was not recorded"):
        FIGURES[figure](without)


@pytest.mark.parametrize("text", ["gradient_by_layer(hue=actvation)", "gradient_by_layer(colour=init)"])
def test_a_misspelt_option_or_field_is_found_before_anything_is_drawn(text):
    with pytest.raises(RegistryError):
        FIGURES.bind(text)


# Curves


def test_gradient_by_layer_shows_the_medians_and_ranges_of_both_signals_at_both_heading():
    r, grid = case("ordinary"), np.reshape(panels(drawn("gradient_by_layer")), (3, 4))
    joined = analysis.join(r.layers, r.runs).query("activation == 'tanh'")
    for row, depth in zip(grid, [2, 5, 20], strict=True):
        assert [heading(axes) for axes in row] == [
            "‖delta‖ at the start", "‖dw‖ at the start", "‖delta‖ after 300 steps", "‖dw‖ after 300 steps",
        ]  # fmt: skip
        for axes, (step, signal) in zip(
            row, [(0, "delta_norm"), (0, "dw_norm"), (300, "delta_norm"), (300, "dw_norm")], strict=True
        ):
            assert axes.get_yscale() == "log"
            assert axes.get_ylim() == row[0].get_ylim()
            assert set(curves(axes)) == set(FOUR)
            rows = joined[(joined["depth"] == depth) & (joined["step"] == step)]
            by_layer = rows.groupby("layer")[signal]
            line = curves(axes)["tanh"]
            assert line.get_xdata().tolist() == list(range(1, depth + 2))
            assert line.get_ydata() == pytest.approx(by_layer.median().to_numpy())
            band = bands(axes)[to_hex(line.get_color())]
            assert band[:, 1].min() == pytest.approx(by_layer.min().min())
            assert band[:, 1].max() == pytest.approx(by_layer.max().max())


def bands(axes):
    """The outline of each measured band by its colour; those of theory are hatched."""
    found = [c for c in axes.collections if isinstance(c, PolyCollection) and not c.get_hatch()]
    return {to_hex(c.get_facecolor()[0]): c.get_paths()[0].vertices for c in found}


def test_an_untrained_network_has_no_end():
    assert [heading(axes) for axes in panels(drawn("gradient_by_layer", "untrained"))] == [
        "‖delta‖ at the start", "‖dw‖ at the start",
    ]  # fmt: skip


def test_exact_zeros_lie_on_a_marked_floor_below_every_number():
    row = panels(drawn("gradient_by_layer"))[8:]  # depth 20
    axes = row[2]  # ‖delta‖ after training
    dead = curves(axes)["relu"].get_ydata()
    ground = axes.get_yticks()[0]
    assert row[0].get_yticklabels()[0].get_text() == "0"
    assert (dead[:10] == ground).all()
    others = np.concatenate([line.get_ydata() for line in curves(axes).values()])
    assert others[others > ground].min() > 1.5 * ground
    assert axes.get_ylim()[0] < ground
    assert "Exact zeros lie on the line marked 0." in caption(drawn("gradient_by_layer"))


def test_there_is_no_floor_without_zeros():
    axes = panels(drawn("gradient_by_layer", "single run"))[0]
    assert "0" not in [label.get_text() for label in axes.get_yticklabels()]
    assert "Exact zeros" not in caption(drawn("gradient_by_layer", "single run"))


@pytest.mark.parametrize("name", ["all diverged", "none finished"])
def test_a_panel_without_a_finite_value_says_so(name):
    for axes in panels(drawn("gradient_by_layer", name))[2:]:
        assert [text.get_text() for text in axes.texts] in (["no finite value"], ["nothing to show"])


def test_one_seed_that_explodes_is_cut_off_and_that_is_said():
    r = records(activation=BOTH, depth=3, seed=[0, 1, 2], steps=0)
    wild = r.runs.loc[(r.runs["seed"] == 1) & (r.runs["activation"] == "relu"), "run_id"].item()
    r.layers.loc[r.layers["run_id"] == wild, "delta_norm"] = 3e150
    found = FIGURES["gradient_by_layer"](r)
    low, high = panels(found)[0].get_ylim()
    assert high < 1e4
    assert bands(panels(found)[0])[style.FAMILIES["relu"][0].lower()][:, 1].max() == high
    assert "Bands that leave the axis are cut off there; they reach as far as 3·10¹⁵⁰." in caption(found)
    medians = np.concatenate([line.get_ydata() for axes in panels(found) for line in curves(axes).values()])
    assert ((low < medians) & (medians < high)).all()
    assert "cut off" not in caption(drawn("gradient_by_layer"))


def test_the_ratio_is_drawn_at_each_depth_with_a_guide_at_one():
    axes = panels(drawn("ratio_by_depth"))[0]
    found = analysis.first_to_last(case("ordinary")).query("step == 0 and activation == 'sigmoid'")
    line = curves(axes)["sigmoid"]
    assert line.get_xdata().tolist() == [2, 5, 20]
    assert line.get_ydata() == pytest.approx(found.groupby("depth")["ratio"].median().to_numpy())
    assert [line.get_ydata()[0] for line in axes.lines if line.get_label() == "_guide"] == [1]


def test_learning_curves_are_the_medians_of_the_steps():
    grid = np.reshape(panels(drawn("learning_curves")), (3, 3))
    r = case("ordinary")
    joined = analysis.join(r.steps, r.runs).query("depth == 5 and activation == 'tanh'")
    for row, column in zip(grid, ["loss_at_step", "accuracy", "test_accuracy"], strict=True):
        line = curves(row[1])["tanh"]
        by_step = joined.groupby("step")[column].median()
        assert line.get_xdata().tolist() == by_step.index.tolist()
        assert line.get_ydata() == pytest.approx(by_step.to_numpy())
    assert grid[0, 0].get_yscale() == "log"
    assert all(axes.get_ylim() == (-0.03, 1.03) for axes in grid[1:].flat)


def test_forward_by_layer_has_a_linear_mean_and_a_logarithmic_variance():
    grid = np.reshape(panels(drawn("preactivation_by_layer")), (4, 3))
    assert [row[0].get_yscale() for row in grid] == ["linear", "linear", "log", "log"]
    assert [row[0].get_ylabel() for row in grid] == ["mean of z"] * 2 + ["variance of z"] * 2
    r = case("ordinary")
    rows = analysis.join(r.layers, r.runs).query("depth == 2 and activation == 'relu' and step == 300")
    line = curves(grid[3, 0])["relu"]
    assert line.get_ydata() == pytest.approx(rows.groupby("layer")["z_var"].median().to_numpy())


def test_update_ratio_follows_the_first_and_the_last_hidden_layer_beside_a_guide():
    grid = np.reshape(panels(drawn("update_ratio")), (3, 3))
    r = case("ordinary")
    joined = analysis.join(r.layers, r.runs).query("depth == 5 and activation == 'tanh'")
    for row, layer in zip(grid[:2], [1, 5], strict=True):
        by_step = joined[joined["layer"] == layer].groupby("step")["update_ratio"].median()
        assert curves(row[1])["tanh"].get_ydata() == pytest.approx(by_step.to_numpy())
    for axes in grid.flat:
        assert [line.get_ydata()[0] for line in axes.lines if line.get_label() == "_guide"] == [1e-3]


def test_a_prediction_is_drawn_dashed_over_its_own_band_and_stretches_the_axis():
    view = views.arrange(case("single run"))
    measured = view.medians(analysis.at_start(view.records.layers), "delta_norm", "layer")
    factors = {"median": 1e-4, "low": 1e-5, "high": 1}
    scaled = {name: measured["median"] * factor for name, factor in factors.items()}
    column = views.Column("delta", measured, "norm", predicted=measured.assign(**scaled))
    (axes,) = panels(lines.draw_lines(view, [column], FIGURES["gradient_by_layer"]))
    line = next(line for line in axes.lines if line.get_label() == "_predicted")
    assert line.get_ydata() == pytest.approx(1e-4 * measured["median"].to_numpy())
    assert line.get_linestyle() == "--"
    assert line.get_zorder() > max(other.get_zorder() for other in curves(axes).values())
    assert axes.get_ylim()[0] < scaled["low"].min()


# Maps


def test_the_heat_map_is_log10_of_the_median_with_layer_1_at_the_bottom():
    found = drawn("gradient_over_training")
    assert [heading(axes) for axes in panels(found)] == FOUR
    r = case("ordinary")
    deep = analysis.join(r.layers, r.runs).query("depth == 20")
    for axes, activation in zip(panels(found), FOUR, strict=True):
        (image,) = axes.images
        rows = deep[deep["activation"] == activation]
        table = rows.pivot_table(index="layer", columns="step", values="delta_norm", aggfunc="median")
        alive = table.to_numpy() > 0
        values = np.asarray(image.get_array())
        assert values[alive] == pytest.approx(np.log10(table.to_numpy()[alive]))
        assert (values[~alive] < image.norm.vmin).all()  # in the colour for exact zeros
        assert image.origin == "lower"
        assert image.get_extent()[2:] == [0.5, 21.5]
        assert image.get_clim() == panels(found)[0].images[0].get_clim()
    assert "Only the deepest networks." in caption(found)
    assert "depth=20" in caption(found)
    assert shown(found) == ["exactly 0"]


def test_depths_that_are_asked_for_are_drawn():
    assert len(panels(drawn("gradient_over_training(facet=[activation, depth])"))) == 12
    found = drawn("gradient_over_training(where=runs(depth=5))")
    assert panels(found)[0].images[0].get_array().shape[0] == 6
    assert "Only runs(depth=5)." in caption(found)


def test_what_diverged_is_a_hole_in_the_map():
    found = drawn("gradient_over_training", "all diverged")
    masked = np.ma.getmaskarray(panels(found)[0].images[0].get_array())
    assert masked.any(axis=0).tolist() == [step >= 5 for step in (0, 1, 2, 5, 10, 20, 50, 100, 200, 300)]
    assert shown(found) == ["no finite value"]


def test_dead_and_saturated_are_shares_of_the_hidden_layers_only():
    found = drawn("dead_and_saturated")
    assert [heading(axes) for axes in panels(found)] == [
        f"{activation}: {what}" for what in ("dead", "saturated") for activation in FOUR
    ]
    for axes in panels(found):
        assert axes.images[0].get_clim() == (0, 1)
        assert axes.images[0].get_array().shape[0] == 20
    dead = np.asarray(panels(found)[2].images[0].get_array())
    assert dead[0, -1] == pytest.approx(0.3)
    assert (dead[:, 0] == 0).all()


def test_a_threshold_other_than_the_usual_is_named():
    r = case("untrained")
    named = r.layers.rename(columns={"saturated_fraction": "saturated_fraction(below=0.05)"})
    found = FIGURES["dead_and_saturated"](replace(r, layers=named))
    assert heading(panels(found)[-1]) == "relu: saturated(below=0.05)"


# Fields other than activation and depth


def test_nothing_but_seeds_is_ever_averaged():
    inits, norms = ["he_normal", "orthogonal"], ["none", "layer"]
    r = records(activation=BOTH, init=inits, norm=norms, depth=2, seed=[0, 1])
    found = FIGURES["gradient_by_layer"](r)
    assert len(panels(found)) == 4 * 4
    named = [text.get_text().replace("\n", " ") for text in found.texts[2:]]
    assert named == [f"init={init}, norm={norm}" for init in inits for norm in norms]
    for axes in panels(found):
        assert set(curves(axes)) == set(BOTH)


def test_any_field_may_be_the_colour_and_then_the_activation_gets_panels():
    r = records(activation=BOTH, init=["he_normal", "orthogonal"], seed=[0, 1], steps=0)
    found = FIGURES["gradient_by_layer"](r, hue="init")
    assert shown(found) == ["he_normal", "orthogonal"]
    assert found.legends[0].get_title().get_text() == "init"
    assert [heading(axes).split(":")[0] for axes in panels(found)] == ["sigmoid", "sigmoid", "relu", "relu"]


def test_two_fields_may_share_the_colours():
    found = FIGURES["gradient_by_layer"](case("nulls"), hue=["clip", "lr"])
    assert shown(found) == ["none, 0.1", "none, 1", "1, 0.1", "1, 1"]
    looks = {(line.get_color(), line.get_marker()) for line in curves(panels(found)[0]).values()}
    assert len(looks) == 4


def test_what_varies_in_the_activations_place_becomes_the_colour():
    r = records(lr=[0.01, 0.1, 1.0], seed=[0, 1], steps=0)
    found = FIGURES["gradient_by_layer"](r)
    assert shown(found) == ["0.01", "0.1", "1"]
    light = [np.dot(line.get_color()[:3], [0.2, 0.7, 0.1]) for line in curves(panels(found)[0]).values()]
    assert light == sorted(light)  # an ordered map: the larger the lighter


def test_seeds_may_be_seen_one_by_one():
    found = FIGURES["gradient_by_layer"](records(seed=[0, 1, 2], steps=0), hue="seed")
    assert shown(found) == ["0", "1", "2"]
    assert "Every seed by itself." in caption(found)


def test_keys_that_go_together_are_remarked_and_not_split():
    pairs = {"sigmoid": "xavier_normal", "relu": "he_normal"}
    r = Records.concat(records(activation=a, init=i, seed=[0, 1], steps=0) for a, i in pairs.items())
    found = FIGURES["gradient_by_layer"](r)
    assert len(panels(found)) == 2
    assert "init goes with activation." in caption(found)


def test_where_keeps_the_runs_it_names_and_no_others():
    found = drawn("gradient_by_layer(where=runs(depth=[2, 5], activation='leaky_relu(slope=0.1)'))")
    assert len(panels(found)) == 8
    assert shown(found) == ["leaky_relu(slope=0.1)"]
    assert shown(FIGURES["gradient_by_layer"](case("nulls"), hue="clip", where="runs(clip=null)")) == ["none"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("runs(depht=2)", "a run has no field 'depht'. Did you mean 'depth'?"),
        ("runs(depth=[2, 7])", "no run has depth 7. Runs have 2, 5, 20"),
        ("runs(activation=rleu)", "unknown activation 'rleu'. Did you mean 'relu'?"),
        ("runs(activation=selu)", "no run has activation selu. Did you mean 'relu'?"),
        ("depth(2)", "options are given by name"),
        ("rows(depth=2)", "not of the form runs(field=value, …)"),
    ],
)
def test_a_where_that_names_nothing_says_so(where, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?")):
        FIGURES["gradient_by_layer"](case("ordinary"), where=where)


def test_where_compares_one_spelling_with_one_spelling():
    r = records(init=["normal", "normal(std=0.02)"], schedule="shock(at=20)", seed=[0, 1], steps=1)
    for where in ("runs(init=[normal( std = .01 )])", "runs(schedule=shock(at=20, factor=100), init=normal)"):
        assert len(panels(FIGURES["gradient_by_layer"](r, where=where))) == 4
    both = "runs(init=[normal(std=0.02), normal(std=1e-2)])"
    assert len(panels(FIGURES["gradient_by_layer"](r, where=both))) == 4
    assert FIGURES.canonical(f"gradient_by_layer(where={both})") == (
        "gradient_by_layer(where=runs(init=[normal(std=0.02), normal]))"
    )


def test_one_field_is_not_told_twice():
    with pytest.raises(ValueError, match="depth is told by the colour"):
        FIGURES["gradient_by_layer"](case("ordinary"), hue="depth", facet=["lr", "depth"])


def test_too_many_panels_are_thinned_and_that_is_said():
    r = records(depth=list(range(1, 12)), seed=[0, 1], steps=1)
    found = FIGURES["gradient_by_layer"](r)
    assert len(panels(found)) == lines.MOST_PANELS
    named = [text.get_text() for text in found.texts[2:]]
    assert (named[0], named[-1]) == ("depth=1", "depth=11")
    said = "Only 8 of 11 panels are drawn, those of depth 1, 2, 4, 5, 7, 8, 10, 11; where= chooses others."
    assert said in caption(found)


@pytest.mark.parametrize(
    ("counts", "most"), [((4, 3, 4), 32), ((4, 3, 4), 40), ((3, 12), 6), ((9, 9), 2), ((2, 5), 1)]
)
def test_what_is_left_out_are_whole_settings(counts, most):
    """Each value that is drawn is drawn with all values of the other fields."""
    names = ("activation", "init", "lr")[: len(counts)]
    every = {"activation": EVERY[: counts[0]], "init": [f"normal(std={i})" for i in range(1, 1 + counts[1])],
             "lr": [10.0**-i for i in range(counts[-1])]}  # fmt: skip
    r = records(**{name: every[name] for name in names}, depth=1, steps=0)
    view = replace(views.arrange(r), hue=(), facet=names)
    keys, said = views.facets(view, most)
    assert len(keys) <= most
    assert f"Only {len(keys)} of {np.prod(counts)} panels" in said
    values = [list(dict.fromkeys(key[i] for key in keys)) for i in range(len(names))]
    assert set(keys) == set(product(*values))
    for i, name in enumerate(names):
        there = style.in_order(every[name], name)
        if len(values[i]) > 1:
            assert (values[i][0], values[i][-1]) == (there[0], there[-1])
        assert len(values[i]) == counts[i] or name in said


def test_panels_of_fields_that_go_together_are_thinned_too():
    pairs = {i: 0.1 / i for i in range(1, 41)}
    r = Records.concat(records(depth=d, lr=lr, activation="relu", steps=0) for d, lr in pairs.items())
    keys, _ = views.facets(replace(views.arrange(r), hue=(), facet=("depth", "lr")), 7)
    assert len(keys) == 7
    assert all(pairs[depth] == lr for depth, lr in keys)


def test_panels_and_legends_do_not_depend_on_the_order_in_which_runs_were_finished(rng):
    r = case("ordinary")
    shuffled = r.of(rng.permutation(r.runs["run_id"]))
    found = FIGURES["gradient_by_layer"](shuffled)
    ordered = drawn("gradient_by_layer")
    assert shown(found) == shown(ordered) == FOUR
    assert [text.get_text() for text in found.texts] == [text.get_text() for text in ordered.texts]


# Looks


def test_every_activation_is_told_apart_by_colour_marker_and_dashes():
    found = style.looks(EVERY, "activation")
    assert len({(look.colour, look.marker, str(look.dashes)) for look in found.values()}) == len(EVERY)
    families = {look.colour: look.marker for look in found.values()}
    assert len(set(families.values())) == len(families)  # a marker for each colour: grey prints are read too


def test_an_activation_looks_the_same_in_every_figure():
    few, many = style.looks(BOTH, "activation"), style.looks(EVERY, "activation")
    assert all(few[name] == many[name] for name in BOTH)


def test_the_legend_of_all_activations_lists_each_once():
    found = drawn("gradient_by_layer", "many activations")
    assert sorted(shown(found)) == sorted(EVERY)


def test_an_activation_that_was_just_added_has_a_look_and_a_picture(monkeypatch):
    cube = Activation(lambda z: z**3, lambda z, a: 3 * z**2, max_slope=48)
    monkeypatch.setitem(ACTIVATIONS, "cube", lambda: cube)
    assert "cube" not in str(style.FAMILIES)
    r = records(activation=["relu", "cube"], steps=0)
    assert shown(FIGURES["gradient_by_layer"](r)) == ["relu", "cube"]
    found = FIGURES["activation_functions"](None, show="all")
    assert "cube: slope ≤ 48" in [heading(axes) for axes in panels(found)]


# Activation functions


def test_the_write_ups_four_pictures_over_its_ranges():
    found = FIGURES["activation_functions"](None)
    ranges = {"sigmoid": (-10, 10), "tanh": (-10, 10), "relu": (-3, 3), "leaky_relu(slope=0.1)": (-3, 3)}
    assert len(panels(found)) == 4
    for axes, (text, (low, high)) in zip(panels(found), ranges.items(), strict=True):
        act = ACTIVATIONS.bind(text)()
        assert heading(axes).startswith(f"{text}: slope ≤ ")
        value, slope = (curves(axes)[name] for name in ("f(z)", "slope f'(z)"))
        z = value.get_xdata()
        assert z[0] == low
        assert high - 0.02 < z[-1] < high
        assert value.get_ydata() == pytest.approx(act.f(z))
        drawn_slope = slope.get_ydata()
        known = np.isfinite(drawn_slope)
        assert drawn_slope[known] == pytest.approx(act.df(z, act.f(z))[known])
        assert [round(gap, 2) for gap in z[~known]] == list(act.kinks)


@pytest.mark.parametrize(("which", "names"), [("all", list(ACTIVATIONS)), ("swept", FOUR)])
def test_all_activations_or_those_of_the_records_are_drawn(which, names):
    found = FIGURES["activation_functions"](case("ordinary"), show=which)
    assert sorted(heading(axes).split(": slope")[0] for axes in panels(found)) == sorted(names)


# Axes and files


@pytest.mark.parametrize("last", [1, 2, 6, 7, 11, 21, 51, 101, 1001])
def test_layer_ticks_are_few_and_hold_the_first_and_the_last(last):
    ticks = style_axes.layer_ticks(last)
    assert (ticks[0], ticks[-1]) == (1, last)
    assert len(ticks) <= 9
    assert ticks == sorted(set(ticks))


@pytest.mark.parametrize("span", [1e-300, 1e-30, 1e-3, 0.5, 1.0])
@pytest.mark.parametrize("zero", [[], [0.0]])
def test_a_log_axis_has_room_for_every_value_and_a_few_ticks(span, zero):
    (axes,) = Figure().subplots(1, 1, squeeze=False)[0]
    values = np.array([2.0, 2.0 * span, *zero])
    ground = style_axes.log_axis([axes], values)
    low, high = axes.get_ylim()
    assert low < 2.0 * span <= 2.0 < high
    assert (low < ground < 2.0 * span) if zero else ground is None
    assert 1 <= len(axes.get_yticks()) <= 8
    assert all(low < tick < high for tick in axes.get_yticks())
    assert ("0" in [label.get_text() for label in axes.get_yticklabels()]) == bool(zero)


def test_saving_writes_a_png_and_an_svg_without_dates(tmp_path):
    paths = save(drawn("ratio_by_depth", "untrained"), tmp_path / "figures", "ratio")
    assert [path.name for path in paths] == ["ratio.png", "ratio.svg"]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["ratio.png", "ratio.svg"]
    assert paths[0].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    svg = paths[1].read_text()
    assert "<dc:date>" not in svg
    assert "Matplotlib" not in svg.split("<defs>")[0]


ELSEWHERE = """
import json, sys
from hashlib import sha256
from experiments.plots import FIGURES, images
from synthetic import records
r = records(activation=["sigmoid", "relu"], depth=[3], seed=[0, 1], steps=0)
files = images(FIGURES["ratio_by_depth"](r), "ratio") | images(FIGURES["gradient_over_training"](r), "map")
digests = {name: sha256(data).hexdigest() for name, data in files.items()}
print(json.dumps([digests, "matplotlib.pyplot" in sys.modules]))
"""


def test_another_process_draws_the_same_bytes_and_never_loads_pyplot():
    here = images(drawn("ratio_by_depth", "untrained"), "ratio")
    here |= images(drawn("gradient_over_training", "untrained"), "map")
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, "-c", ELSEWHERE]
    there = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=path)
    digests, pyplot = json.loads(there.stdout)
    assert digests == {name: hashlib.sha256(data).hexdigest() for name, data in here.items()}
    assert not pyplot


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
    found = FIGURES["gradient_by_layer"](beyond())
    for axes in panels(found):
        low, high = axes.get_ylim()
        sigmoid, relu = (curves(axes)[name].get_ydata() for name in ("sigmoid", "relu"))
        assert sigmoid == pytest.approx([-100.0 * (9 - layer) - 0.3 for layer in range(1, 10)])
        assert relu[1:] == pytest.approx(sigmoid[1:])
        assert low < relu[0] < sigmoid[0] - 10  # the only true zero lies on the floor
        assert high > 0 - 0.3
        labels = [label.get_text() for label in panels(found)[0].get_yticklabels()]
        assert labels == ["0", "10⁻⁸⁰⁰", "10⁻⁶⁰⁰", "10⁻⁴⁰⁰", "10⁻²⁰⁰", "10⁰"]
        assert all(low < tick < high for tick in axes.get_yticks())
    assert "Exact zeros lie on the line marked 0." in caption(found)


def test_a_ratio_smaller_than_any_number_is_drawn_where_it_is():
    found = FIGURES["ratio_by_depth"](beyond())
    for axes in panels(found):
        assert curves(axes)["sigmoid"].get_ydata() == pytest.approx([-700.0])
        assert [line.get_ydata()[0] for line in axes.lines if line.get_label() == "_guide"] == [0]
        assert axes.get_ylim()[0] < curves(axes)["relu"].get_ydata()[0] < -700


def test_a_map_of_norms_smaller_than_any_number_is_of_their_logs():
    found = FIGURES["gradient_over_training"](beyond())
    sigmoid, relu = (np.asarray(axes.images[0].get_array()) for axes in panels(found))
    assert sigmoid[:, 0] == pytest.approx([-100.0 * (9 - layer) - 0.3 for layer in range(1, 10)])
    assert (relu[0] < panels(found)[1].images[0].norm.vmin).all()  # in the colour for exact zeros
    assert shown(found) == ["exactly 0"]


def test_a_seed_that_explodes_beyond_every_number_is_cut_off_and_that_is_said():
    r = beyond()
    wild = r.runs.loc[(r.runs["seed"] == 1) & (r.runs["activation"] == "sigmoid"), "run_id"].item()
    r.layers.loc[r.layers["run_id"] == wild, "delta_log10"] = 4000.0
    found = FIGURES["gradient_by_layer"](r)
    assert panels(found)[0].get_ylim()[1] < 1200
    assert "they reach as far as 10⁴⁰⁰⁰." in caption(found)


def test_a_plain_norm_leaves_the_true_one_where_the_format_loses_it():
    r = records(activation="sigmoid", dtype=["float32", "float64"], depth=3, seed=[0, 1, 2], steps=0)
    true = -30.0 * (4 - r.layers["layer"])  # 10⁻⁹⁰ … 1
    narrow = r.layers["run_id"].isin(r.runs.loc[r.runs["dtype"] == "float32", "run_id"])
    plain = np.where(narrow & (true < -25), 0.0, 10.0**true)
    columns = {f"{name}_log10": true for name in ("delta", "dw")}
    columns |= {f"{name}_norm_plain": plain for name in ("delta", "dw")}
    found = FIGURES["underflow"](replace(r, layers=r.layers.assign(**columns)))
    assert shown(found) == ["float32", "float64", "true norm, exponent carried"]
    for axes in panels(found):
        narrow, wide = (curves(axes)[name].get_ydata() for name in ("float32", "float64"))
        assert wide == pytest.approx([-90, -60, -30, 0])
        assert narrow[3] == 0
        assert (narrow[:3] == axes.get_yticks()[0]).all()
        assert panels(found)[0].get_yticklabels()[0].get_text() == "0"
        for line in (line for line in axes.lines if line.get_label() == "_predicted"):
            assert line.get_ydata() == pytest.approx([-90, -60, -30, 0])
        guides = [line.get_ydata()[0] for line in axes.lines if line.get_label() == "_guide"]
        assert guides == pytest.approx([np.log10(np.finfo(np.float32).tiny)])  # float64's lies below all


# Trainability


def test_the_trainability_map_is_the_median_accuracy_over_weight_variance_and_depth(monkeypatch):
    from experiments.theory.mean_field import critical_point, depth_scales

    inits = [f"scaled_normal(gain={gain})" for gain in (1.0, 1.3, 2.0)]
    options = {"init": inits, "depth": [5, 10, 40], "seed": [0, 1, 2], "bias": "normal(std=0.2)"}
    r = records(activation="tanh", **options)
    monkeypatch.setattr(trainability, "POINTS", 5)
    (axes,) = panels(FIGURES["trainability_map"](r, scales=4.0))
    (mesh,) = axes.collections
    last = analysis.join(analysis.at_end(r.steps, r.runs), r.runs)
    table = last.pivot_table(index="depth", columns="init", values="accuracy", aggfunc="median")[inits]
    np.testing.assert_allclose(mesh.get_array(), table)
    assert sorted(axes.get_xticks()) == pytest.approx([1.0, 1.69, 4.0])
    act = ACTIVATIONS["tanh"]()
    line = curves(axes)["ξ_c"]
    for at in (0, 4):
        xi = depth_scales(act, line.get_xdata()[at], 0.04)["xi_c"]
        assert line.get_ydata()[at] == pytest.approx(4 * xi)
    assert curves(axes)["χ = 1"].get_xdata()[0] == pytest.approx(critical_point(act, 0.04)[0])
    assert "ξ_c" not in curves(panels(FIGURES["trainability_map"](r, theory=False))[0])
    normed = records(activation="tanh", norm="layer", init=inits[:2], depth=[5, 10])
    assert not curves(panels(FIGURES["trainability_map"](normed))[0])


def test_weights_that_are_not_of_mean_zero_have_no_place_on_the_map():
    with pytest.raises(ValueError, match="the weights of rai are not of mean 0"):
        FIGURES["trainability_map"](records(init="rai"))
