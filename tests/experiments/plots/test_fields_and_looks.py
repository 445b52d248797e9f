"""Which field is a colour and which a panel, how lines look, and the figures with axes of their own."""

import numpy as np
import pytest
from figure_cases import BOTH, EVERY, FOUR, axes_at, axes_of, caption, case, curves, named, panels, picture
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from synthetic import records

from experiments.analysis import ratios as analysis
from experiments.plots import FIGURES, style
from experiments.plots import axes as style_axes
from experiments.plots.figures import trainability
from experiments.storage.records import Records
from mlp.activations import ACTIVATIONS, Activation

# Fields other than activation and depth


def test_nothing_but_seeds_is_ever_averaged():
    inits, norms = ["he_normal", "orthogonal"], ["none", "layer"]
    r = records(activation=BOTH, init=inits, norm=norms, depth=2, seed=[0, 1], steps=0)
    found = axes_of(FIGURES["gradient_by_layer"](r))
    assert len(found) == 4 * 2
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
    axes = axes_at(FIGURES["gradient_by_layer"](case("nulls"), hue=["clip", "lr"]))
    names = ["clip=none, lr=0.1", "clip=none, lr=1", "clip=1, lr=0.1", "clip=1, lr=1"]
    assert list(curves(axes)) == names
    assert len({(line.get_color(), line.get_marker()) for line in curves(axes).values()}) == 4


def test_what_varies_in_the_activations_place_becomes_the_colour():
    r = records(lr=[0.01, 0.1, 1.0], seed=[0, 1], steps=0)
    axes = axes_at(FIGURES["gradient_by_layer"](r), "", "‖delta‖ at the start")
    assert list(curves(axes)) == ["lr=0.01", "lr=0.1", "lr=1"]
    light = [np.dot(to_rgb(line.get_color()), [0.2, 0.7, 0.1]) for line in curves(axes).values()]
    assert light == sorted(light)  # an ordered map: the larger the lighter


def test_seeds_may_be_seen_one_by_one():
    found = FIGURES["gradient_by_layer"](records(seed=[0, 1, 2], steps=0), hue="seed")
    assert list(curves(axes_at(found))) == ["seed=0", "seed=1", "seed=2"]
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
    assert list(curves(axes_at(cut))) == ["clip=none"]


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
    axes = axes_at(FIGURES["gradient_by_layer"](r, hue=["activation", "dataset"]))
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
    assert list(curves(axes_at(FIGURES["gradient_by_layer"](r)))) == ["relu", "cube"]
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
    ground = style_axes.log_axis(axes, values)
    low, high = axes.get_ylim()
    assert low < 2.0 * span <= 2.0 < high
    assert (low < ground < 2.0 * span) if zero else ground is None
    assert 1 <= len(axes.get_yticks()) <= 8
    assert all(low < tick < high for tick in axes.get_yticks())
    assert ("0" in [label.get_text() for label in axes.get_yticklabels()]) == bool(zero)


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
    assert "ξ_c" not in curves(axes_at(FIGURES["trainability_map"](r, theory=False)))
    normed = records(activation="tanh", norm="layer", init=inits[:2], depth=[5, 10])
    assert not curves(axes_at(FIGURES["trainability_map"](normed)))


def test_weights_that_are_not_of_mean_zero_have_no_place_on_the_map():
    with pytest.raises(ValueError, match="the weights of rai are not of mean 0"):
        FIGURES["trainability_map"](records(init="rai"))
