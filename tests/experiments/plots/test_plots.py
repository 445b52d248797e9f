"""What figures show, by their artists and never by pixels; every figure of FIGURES is tested unasked."""

from dataclasses import replace
from functools import cache
from inspect import Parameter, signature

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from synthetic import records

from experiments.analysis import ratios as analysis
from experiments.config.kinds import resolve
from experiments.plots import FIGURES, Picture, lines, style, views
from experiments.plots import axes as style_axes
from experiments.plots.figure_table import sentences
from experiments.plots.figures import trainability
from experiments.storage.records import Records
from mlp.activations import ACTIVATIONS, Activation
from mlp.probes import PROBES, UNIT_PROBES
from mlp.registry import RegistryError

FOUR = ["sigmoid", "tanh", "relu", "leaky_relu(slope=0.1)"]
BOTH = ["sigmoid", "relu"]
EVERY = [*ACTIVATIONS, "leaky_relu(slope=0.3)"]


@cache
def case(name) -> Records:
    """Records that are ordinary or degenerate, by name."""
    made = {
        "ordinary": {"activation": FOUR, "depth": [2, 5, 20], "seed": [0, 1, 2],
                     "dead": [("activation", "relu")]},
        "few": {"activation": BOTH, "depth": [2, 5, 20], "seed": [0, 1]},
        "lost": {"activation": BOTH, "depth": 3, "seed": [0, 1, 2, 3, 4, 5],
                 "diverged": [("activation", "sigmoid")]},
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
def picture(text, name="ordinary") -> Picture:
    return FIGURES.bind(text)(case(name))


@cache
def panels(text, name="ordinary"):
    return axes_of(picture(text, name))


def axes_of(found):
    """{(setting, title): axes} of all panels, drawn without a layout."""
    grid = Figure(figsize=(4 * len(found.panels), 3)).subplots(1, len(found.panels), squeeze=False)[0]
    found.draw(grid, found.panels)
    return {(panel.setting, panel.title): axes for panel, axes in zip(found.panels, grid, strict=True)}


def caption(found):
    """The words that are not in the title."""
    return found.alt.removeprefix(found.finding)


def curves(axes):
    """The lines that show data, by the value they stand for."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def named(axes):
    """The labels beside the lines, on one line each, from the top."""
    found = [text for text in axes.texts if text.get_gid() == "label"]
    return [text.get_text().replace("\n", "") for text in sorted(found, key=lambda t: -t.xyann[1])]


# Every figure

# Measured when it is drawn, and of records with a shock alone: these have tests of their own.
UNTIMED = {"activation_costs", "deaths_and_recoveries"}
OTHERS = [c for c in CASES if c != "ordinary"]
SLOW = {"many activations", "long names", "untrained", "single run", "one layer", "none finished"}


@pytest.mark.parametrize("name", [pytest.param(c, marks=[pytest.mark.slow] * (c in SLOW)) for c in OTHERS])
@pytest.mark.parametrize("figure", [name for name in FIGURES if name not in UNTIMED])
def test_every_figure_of_any_records_is_drawn_and_has_words(figure, name):
    """Without a warning, for these are errors; what there is nothing of is left out or said."""
    found = picture(figure, name)
    for axes in shown(found):
        assert axes.has_data() or axes.texts
    assert found.finding
    assert "nan" not in found.alt


# theory_residual shows nothing without theory, which is not asked here, and seeds_choice no medians of seeds.
UNTOLD = {"theory_residual", "seeds_choice", *UNTIMED}


@pytest.mark.parametrize("figure", [n for n in FIGURES if "where" in FIGURES.options(n) and n not in UNTOLD])
def test_every_figure_of_records_states_seeds_examples_and_lost_runs(figure):
    case("lost").layers.attrs["measured_on"] = "1437 training examples"
    found = picture(figure, "lost")
    words = caption(found)
    subtitle, guide = sentences(FIGURES[figure])
    assert subtitle in (found.subtitle, found.finding)
    assert found.how_to_read == guide
    assert guide in words
    assert "edian of 6 seeds" in words
    assert "Measured on 1437 training examples." in words
    assert "6 of 12 runs diverged, left out from that step on (sigmoid: 6)." in words
    assert "Throughout: depth=3, width=64, dataset=digits, " in words
    assert "optimiser=sgd, lr=0.05, steps=300." in words
    assert "One seed, hence no interval." in caption(picture(figure, "single run"))


def shown(found):
    """The axes of the panels that answer the question."""
    grid = Figure(figsize=(4 * len(found.chosen), 3)).subplots(1, len(found.chosen), squeeze=False)[0]
    return found.draw(grid)


@pytest.mark.parametrize("figure", [name for name in FIGURES if name not in UNTOLD])
def test_every_panel_names_its_axes(figure):
    for axes in shown(picture(figure, "few")):
        assert axes.get_xlabel()
        for label in (axes.get_xlabel(), axes.get_ylabel()):
            assert "1 = nearest the input" in label or not label.startswith("layer")


@pytest.mark.parametrize("figure", [name for name in FIGURES if name not in UNTIMED])
def test_every_figure_has_one_to_four_panels_unless_all_are_asked_for(figure):
    found = picture(figure, "few")
    assert 1 <= len(found.chosen) <= 4
    assert len(found.on(style="slide").chosen) <= 2
    assert found.on(every=True).chosen == list(found.panels)
    assert {panel.title for panel in found.chosen} <= {panel.title for panel in found.panels}


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_resolves_in_a_config_without_being_drawn(figure):
    assert resolve("figure", figure) == figure
    records_first = next(iter(signature(FIGURES[figure]).parameters.values()))
    assert records_first.default is Parameter.empty


NEEDS = [(name, probe) for name, figure in FIGURES.items() for probe in getattr(figure, "needs", ())]


@pytest.mark.parametrize(("figure", "probe"), NEEDS)
def test_every_figure_says_which_probe_it_lacks(figure, probe):
    r = case("ordinary")
    if probe == "plane":
        without = replace(r, plane=r.plane[:0])
    else:
        frame = "layers" if probe in PROBES else "units" if probe in UNIT_PROBES else "bins"
        without = replace(r, **{frame: getattr(r, frame).drop(columns=probe)})
    with pytest.raises(ValueError, match=f"needs {probe}, which was not recorded"):
        FIGURES[figure](without)


@pytest.mark.parametrize("text", ["gradient_by_layer(hue=actvation)", "gradient_by_layer(colour=init)"])
def test_a_misspelt_option_or_field_is_found_before_anything_is_drawn(text):
    with pytest.raises(RegistryError):
        FIGURES.bind(text)


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


def bands(axes):
    """The outline of each measured band by its colour; those of theory are hatched."""
    found = [c for c in axes.collections if isinstance(c, PolyCollection) and not c.get_hatch()]
    return {to_hex(c.get_facecolor()[0]): c.get_paths()[0].vertices for c in found}


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
    axes = axes_of(FIGURES["gradient_by_layer"](r))["", "‖delta‖ at the start"]
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
    axes = axes_of(FIGURES["learning_curves"](r))["", "training loss"]
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
    low, high = axes_of(FIGURES["forward_by_layer"](still))["depth=2", "mean at the start"].get_ylim()
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


def legend(found):
    """What the legend names, on the canvas of the picture."""
    with style.own_look(**found.canvas.settings()):
        return [entry.get_label() for entry in found.legend()]


def test_depths_that_are_asked_for_are_drawn():
    assert len(picture("gradient_over_training(facet=[activation, depth])").panels) == 12
    found = picture("gradient_over_training(where=runs(depth=5))")
    assert next(iter(axes_of(found).values())).images[0].get_array().shape[0] == 6
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


# Fields other than activation and depth


def test_nothing_but_seeds_is_ever_averaged():
    inits, norms = ["he_normal", "orthogonal"], ["none", "layer"]
    r = records(activation=BOTH, init=inits, norm=norms, depth=2, seed=[0, 1])
    found = axes_of(FIGURES["gradient_by_layer"](r))
    assert len(found) == 4 * 4
    settings = list(dict.fromkeys(setting for setting, _ in found))
    assert settings == [f"init={init}, norm={norm}" for init in inits for norm in norms]
    for axes in found.values():
        assert set(curves(axes)) == set(BOTH)


def test_any_field_may_be_the_colour_and_then_the_activation_gets_panels():
    r = records(activation=BOTH, init=["he_normal", "orthogonal"], seed=[0, 1], steps=0)
    found = axes_of(FIGURES["gradient_by_layer"](r, hue="init"))
    assert [setting for setting, _ in found] == ["sigmoid", "sigmoid", "relu", "relu"]
    for axes in found.values():
        assert set(curves(axes)) == set(named(axes)) == {"he_normal", "orthogonal"}


def test_two_fields_may_share_the_colours():
    axes = next(iter(axes_of(FIGURES["gradient_by_layer"](case("nulls"), hue=["clip", "lr"])).values()))
    names = ["clip=none, lr=0.1", "clip=none, lr=1", "clip=1, lr=0.1", "clip=1, lr=1"]
    assert list(curves(axes)) == names
    assert len({(line.get_color(), line.get_marker()) for line in curves(axes).values()}) == 4


def test_what_varies_in_the_activations_place_becomes_the_colour():
    r = records(lr=[0.01, 0.1, 1.0], seed=[0, 1], steps=0)
    axes = axes_of(FIGURES["gradient_by_layer"](r))["", "‖delta‖ at the start"]
    assert list(curves(axes)) == ["lr=0.01", "lr=0.1", "lr=1"]
    light = [np.dot(to_rgb(line.get_color()), [0.2, 0.7, 0.1]) for line in curves(axes).values()]
    assert light == sorted(light)  # an ordered map: the larger the lighter


def test_seeds_may_be_seen_one_by_one():
    found = FIGURES["gradient_by_layer"](records(seed=[0, 1, 2], steps=0), hue="seed")
    assert list(curves(next(iter(axes_of(found).values())))) == ["seed=0", "seed=1", "seed=2"]
    assert "Every seed by itself." in caption(found)


def test_keys_that_go_together_are_remarked_and_not_split():
    pairs = {"sigmoid": "xavier_normal", "relu": "he_normal"}
    r = Records.concat(records(activation=a, init=i, seed=[0, 1], steps=0) for a, i in pairs.items())
    found = FIGURES["gradient_by_layer"](r)
    assert len(found.panels) == 2
    assert "init goes with activation." in caption(found)


def test_where_keeps_the_runs_it_names_and_no_others():
    found = picture("gradient_by_layer(where=runs(depth=[2, 5], activation='leaky_relu(slope=0.1)'))")
    assert len(found.panels) == 8
    assert all(list(curves(axes)) == ["leaky_relu(slope=0.1)"] for axes in axes_of(found).values())
    cut = FIGURES["gradient_by_layer"](case("nulls"), hue="clip", where="runs(clip=null)")
    assert list(curves(next(iter(axes_of(cut).values())))) == ["clip=none"]


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
        assert len(FIGURES["gradient_by_layer"](r, where=where).panels) == 4
    both = "runs(init=[normal(std=0.02), normal(std=1e-2)])"
    assert len(FIGURES["gradient_by_layer"](r, where=both).panels) == 4
    assert FIGURES.canonical(f"gradient_by_layer(where={both})") == (
        "gradient_by_layer(where=runs(init=[normal(std=0.02), normal]))"
    )


def test_one_field_is_not_told_twice():
    with pytest.raises(ValueError, match="depth is told by the colour"):
        FIGURES["gradient_by_layer"](case("ordinary"), hue="depth", facet=["lr", "depth"])


@pytest.mark.parametrize(
    ("text", "field"),
    [(f"{name}(hue={field})", field) for name in FIGURES if "hue" in FIGURES.options(name)
     for field in getattr(FIGURES[name], "along", ())],
)  # fmt: skip
def test_no_colour_can_tell_what_lies_along_an_axis(text, field):
    with pytest.raises(ValueError, match=f"hue={field}: that is along an axis of this figure"):
        FIGURES.bind(text)(case("ordinary"))


def test_a_figure_shows_the_deepest_networks_and_those_between_first():
    r = records(depth=list(range(1, 12)), seed=[0, 1], steps=1)
    found = FIGURES["gradient_by_layer"](r)
    assert len(found.panels) == 11 * 4
    assert list(dict.fromkeys(panel.setting for panel in found.chosen)) == ["depth=11", "depth=6"]
    assert {panel.setting for panel in found.on(style="slide").chosen} == {"depth=11"}


def test_of_settings_without_an_order_those_are_shown_in_which_lines_lie_farthest_apart():
    r = records(
        activation=["sigmoid", "tanh"], init=["he_normal", "orthogonal", "lecun_normal"], depth=5, steps=0
    )
    wide = r.runs.loc[(r.runs["init"] == "orthogonal") & (r.runs["activation"] == "sigmoid"), "run_id"].item()
    r.layers.loc[r.layers["run_id"] == wide, "delta_norm"] *= 1e-20 ** (6 - r.layers["layer"])
    assert FIGURES["gradient_by_layer"](r).chosen[0].setting == "init=orthogonal"


def test_panels_and_labels_do_not_depend_on_the_order_in_which_runs_were_finished(rng):
    r = case("ordinary")
    shuffled = FIGURES["ratio_by_depth"](r.of(rng.permutation(r.runs["run_id"])))
    ordered = picture("ratio_by_depth")
    assert shuffled.words == ordered.words
    for one, other in zip(axes_of(shuffled).values(), panels("ratio_by_depth").values(), strict=True):
        assert list(curves(one)) == list(curves(other))
        assert named(one) == named(other)


# Looks


def test_every_activation_is_told_apart_by_colour_marker_and_dashes():
    found = style.looks(EVERY, "activation")
    assert len({(look.colour, look.marker, str(look.dashes)) for look in found.values()}) == len(EVERY)
    families = {look.colour: look.marker for look in found.values()}
    assert len(set(families.values())) == len(families)  # a marker for each colour: grey prints are read too


def test_an_activation_looks_the_same_in_every_figure():
    few, many = style.looks(BOTH, "activation"), style.looks(EVERY, "activation")
    assert all(few[name] == many[name] for name in BOTH)


def test_an_activation_keeps_its_colour_beside_another_field():
    r = records(activation=BOTH, dataset=["digits", "moons(n=200)"], depth=2, seed=[0, 1], steps=0)
    axes = next(iter(axes_of(FIGURES["gradient_by_layer"](r, hue=["activation", "dataset"])).values()))
    for name, line in curves(axes).items():
        assert to_hex(line.get_color()) == style.FAMILIES[name.split(",")[0]][0].lower()
    assert (
        len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in curves(axes).values()})
        == 4
    )


def test_what_is_no_activation_has_no_activations_colour():
    inits = ["he_normal", "lecun_normal", "orthogonal", "pytorch_default", "rai", "xavier_normal"]
    taken = {row[0] for row in style.FAMILIES.values()}
    assert not {look.colour for look in style.looks(inits).values()} & taken


def test_texts_that_differ_in_a_number_have_ordered_colours():
    shocks = ["constant", *(f"shock(at=20, factor={factor})" for factor in (50, 100, 200, 300))]
    found = style.looks(shocks[::-1])
    assert list(found) == shocks
    assert [look.colour.place for look in found.values()] == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert not any(
        isinstance(look.colour, style.Shade) for look in style.looks(["rai", "normal(std=1)"]).values()
    )


def test_an_activation_that_was_just_added_has_a_look_and_a_picture(monkeypatch):
    cube = Activation(lambda z: z**3, lambda z, a: 3 * z**2, max_slope=48)
    monkeypatch.setitem(ACTIVATIONS, "cube", lambda: cube)
    assert "cube" not in str(style.FAMILIES)
    r = records(activation=["relu", "cube"], steps=0)
    assert list(curves(next(iter(axes_of(FIGURES["gradient_by_layer"](r)).values())))) == ["relu", "cube"]
    found = FIGURES["activation_functions"](None, show="all")
    assert "cube: slope ≤ 48" in [panel.title for panel in found.panels]


# Activation functions


def test_the_write_ups_four_pictures_over_its_ranges():
    found = axes_of(FIGURES["activation_functions"](None))
    ranges = {"sigmoid": (-10, 10), "tanh": (-10, 10), "relu": (-3, 3), "leaky_relu(slope=0.1)": (-3, 3)}
    assert len(found) == 4
    for (_, title), (text, (low, high)) in zip(found, ranges.items(), strict=True):
        act, axes = ACTIVATIONS.bind(text)(), found["", title]
        assert title.startswith(f"{text}: slope ≤ ")
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
    assert sorted(panel.title.split(": slope")[0] for panel in found.panels) == sorted(names)


# Axes


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
    assert axes_of(found)["", "‖delta‖ at the start"].get_ylim()[1] < 1200
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


# Trainability


def test_the_trainability_map_is_the_median_accuracy_over_weight_variance_and_depth(monkeypatch):
    from experiments.theory.mean_field import critical_point, depth_scales

    inits = [f"scaled_normal(gain={gain})" for gain in (1.0, 1.3, 2.0)]
    options = {"init": inits, "depth": [5, 10, 40], "seed": [0, 1, 2], "bias": "normal(std=0.2)"}
    r = records(activation="tanh", **options)
    monkeypatch.setattr(trainability, "POINTS", 5)
    (axes,) = axes_of(FIGURES["trainability_map"](r, scales=4.0)).values()
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
    assert "ξ_c" not in curves(next(iter(axes_of(FIGURES["trainability_map"](r, theory=False)).values())))
    normed = records(activation="tanh", norm="layer", init=inits[:2], depth=[5, 10])
    assert not curves(next(iter(axes_of(FIGURES["trainability_map"](normed)).values())))


def test_weights_that_are_not_of_mean_zero_have_no_place_on_the_map():
    with pytest.raises(ValueError, match="the weights of rai are not of mean 0"):
        FIGURES["trainability_map"](records(init="rai"))
