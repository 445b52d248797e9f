"""Titles: each says what the records show, and the other thing where it does not hold."""

from dataclasses import replace
from textwrap import wrap

import numpy as np
import pytest
from made_up import grid, made
from synthetic import records

from experiments.plots import FIGURES, style, titles
from experiments.plots.axes import plainly
from experiments.plots.figures import unit_lives
from experiments.plots.views import View, telling
from experiments.plots.wrapping import evenly

SEEDS = [0, 1, 2]


def layers(factors, steps=0, learnt=None, depth=20, end=None):
    """Records in which ‖delta‖ falls by a factor a layer, another after training, and an accuracy is
    reached.
    """

    def each(run, step, layer):
        factor = factors[run.activation] if not step or end is None else end[run.activation]
        size = 0.1 * factor ** (run.depth - layer)
        with np.errstate(divide="ignore"):
            return {
                "delta_norm": size,
                "dw_norm": size,
                "delta_log10": np.log10(size),
                "dw_log10": np.log10(size),
            }

    def at(run, step):
        return (
            {"accuracy": learnt[run.activation] if step else 0.1, "test_accuracy": np.nan} if learnt else {}
        )

    runs = grid(activation=list(factors), depth=depth, seed=SEEDS, steps=steps)
    return made(runs, at, layers=each)


def finding(name, r, **options):
    return FIGURES[name](r, **options).finding


GRADIENT = [
    (
        {"sigmoid": 0.25, "tanh": 0.95},
        ("Sigmoid passes back 0.25 per layer; after 20 layers 10⁻¹¹ is left; tanh keeps 0.377"),
    ),
    ({"sigmoid": 0.25}, "Sigmoid passes back 0.25 per layer; after 20 layers 10⁻¹¹ is left"),
    (
        {"sigmoid": 1.0, "tanh": 0.95},
        "No gradient vanishes: each of 20 layers passes back 0.95 to 1 times its size",
    ),
    ({"tanh": 2.0}, "Tanh passes back 2 per layer; over 20 layers the gradient grows to 10⁶ times"),
    (
        {"leaky_relu(slope=0.1)": 0.5},
        "leaky_relu(slope=0.1) passes back 0.5 per layer; after 20 layers 10⁻⁶ is left",
    ),
]


@pytest.mark.parametrize(("factors", "said"), GRADIENT)
def test_the_gradient_vanishes_or_explodes_or_does_neither(factors, said):
    assert finding("gradient_by_layer", layers(factors), theory=False) == said


def test_a_factor_near_one_over_many_layers_is_no_standstill():
    factors = [titles.Case("tanh", 1.03, 1.03, 1.03)]
    said = "Tanh passes back 1.03 per layer; over 400 layers the gradient grows to 10⁵ times"
    assert titles.passed_back(factors, {"tanh": (1.03**399, 399 * np.log10(1.03))}, 400) == said
    few = titles.passed_back(factors, {"tanh": (1.03**39, 39 * np.log10(1.03))}, 40)
    assert few == "No gradient vanishes: each of 40 layers passes back 1.03 times its size"


def test_an_exact_zero_is_said_to_be_one():
    r = layers({"relu": 1.0})
    low = r.layers["layer"] == 1
    r.layers.loc[low, ["delta_norm", "delta_log10"]] = [0.0, -np.inf]
    said = "ReLU passes nothing back: in layer 1 of 20 the gradient is exactly 0"
    assert finding("gradient_by_layer", r, theory=False) == said


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (
            0.25,
            0.25,
            (
                "Training does not bring sigmoid’s gradient back: 10⁻¹¹ of it in layer 1 at "
                "the start, 10⁻¹¹ at the end"
            ),
        ),
        (0.25, 0.9, "Training brings sigmoid’s gradient back: from 10⁻¹¹ of it in layer 1 to 0.135"),
        (0.25, 0.1, "Training takes more of sigmoid’s gradient away: from 10⁻¹¹ of it in layer 1 to 10⁻¹⁹"),
        (0.99, 0.1, "No gradient vanishes at the start: 0.826 of it or more reaches layer 1"),
    ],
)
def test_training_brings_it_back_or_does_not(start, end, said):
    r = layers({"sigmoid": start}, steps=300, end={"sigmoid": end})
    assert finding("gradient_over_training", r) == said


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        (
            {"sigmoid": 0.25, "tanh": 0.95},
            "At depth 20, 10⁻¹¹ of sigmoid’s gradient reaches layer 1, and 0.377 of tanh’s",
        ),
        ({"tanh": 0.95}, "At depth 20, no gradient vanishes: 0.377 of it or more reaches layer 1"),
        ({"tanh": 2.0}, "At depth 20, tanh’s gradient grows to 10⁶ times on its way to layer 1"),
    ],
)
def test_the_ratio_in_the_deepest_networks(factors, said):
    assert finding("ratio_by_depth", layers(factors)) == said


@pytest.mark.parametrize(
    ("learnt", "said"),
    [
        (
            {"sigmoid": 0.1, "tanh": 0.96},
            "Tanh reaches 0.96 training accuracy; sigmoid stays at chance, 0.10",
        ),
        ({"sigmoid": 0.8, "tanh": 0.96}, "Tanh reaches 0.96 training accuracy, sigmoid 0.80"),
        ({"sigmoid": 0.1, "tanh": 0.11}, "Nothing is learnt: the best training accuracy is 0.11, at chance"),
    ],
)
def test_what_is_learnt_is_told_from_chance(learnt, said):
    r = layers(dict.fromkeys(learnt, 0.9), steps=300, learnt=learnt)
    assert finding("learning_curves", r) == said


@pytest.mark.parametrize(
    ("learnt", "said"),
    [
        (
            {"sigmoid": 0.1, "tanh": 0.96},
            (
                "Sigmoid passes back 0.25 per layer; after 20 layers 10⁻¹¹ is left, and "
                "nothing is learnt; tanh reaches 0.96"
            ),
        ),
        (
            {"sigmoid": 0.95, "tanh": 0.96},
            ("Sigmoid passes back 0.25 per layer; tanh learns to an accuracy of 0.96, sigmoid to 0.95"),
        ),
        (
            {"sigmoid": 0.95, "tanh": 0.1},
            ("Sigmoid passes back 0.25 per layer; sigmoid learns to an accuracy of 0.95, tanh to 0.10"),
        ),
    ],
)
def test_that_a_deep_sigmoid_fails_is_said_only_where_it_does(learnt, said):
    r = layers({"sigmoid": 0.25, "tanh": 0.95}, steps=300, learnt=learnt)
    assert finding("gradient_and_accuracy", r) == said


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        (
            (0.05, 0.98),
            (
                "Initialisation decides: ReLU passes back 0.05 per layer with xavier_normal, "
                "0.98 with he_normal"
            ),
        ),
        ((0.97, 0.98), "Initialisation does not decide: ReLU passes back 0.98 to 0.97 per layer"),
    ],
)
def test_initialisation_decides_or_does_not(factors, said):
    by_init = dict(zip(("xavier_normal", "he_normal"), factors, strict=True))

    def each(run, step, layer):
        return {"delta_norm": by_init[run.init] ** (run.depth - layer), "z_var": 1.0}

    r = made(grid(init=list(by_init), depth=[5, 20], seed=SEEDS, steps=0), layers=each)
    found = FIGURES["factors_by_setting"](r)
    assert found.finding == said
    assert "Depth 20, the deepest." in found.alt


def shocked(dead_after, back):
    """ReLUs of which a share is dead after update 5, and of these a share is alive again at the end."""
    r = records(
        activation="relu",
        depth=2,
        width=10,
        seed=SEEDS,
        steps=20,
        schedule=["constant", "shock(at=5, factor=50)"],
    )
    units = r.layers.loc[r.layers["layer"] <= 2, ["run_id", "step", "layer"]]
    units = units.loc[units.index.repeat(10)].reset_index(drop=True)
    units["unit"] = np.arange(len(units)) % 10
    units = units[units["step"] != 2].assign(step=units["step"].replace({10: 6}))
    hit = units["run_id"].isin(r.runs.loc[r.runs["schedule"] != "constant", "run_id"])
    killed = hit & (units["unit"] < 10 * dead_after) & (units["step"] > 5)
    alive_again = (units["step"] == 20) & (units["unit"] < 10 * dead_after * back) & (units["layer"] == 2)
    units["unit_dead"] = (killed & ~alive_again).astype(float)
    return replace(r, units=units)


@pytest.mark.parametrize(
    ("dead", "back", "said"),
    [
        (
            0.4,
            0.5,
            (
                "A step 50 times as large as usual kills 0.40 of ReLU’s units; 0.50 of these "
                "come back in layer 2, none in layer 1"
            ),
        ),
        (0.4, 0.0, "A step 50 times as large as usual kills 0.40 of ReLU’s units; none of them comes back"),
        (0.0, 0.0, "A step 50 times as large as usual kills none of ReLU’s units"),
    ],
)
def test_deaths_and_recoveries_are_those_of_the_units_that_the_step_killed(dead, back, said):
    found = FIGURES["deaths_and_recoveries"](shocked(dead, back))
    assert found.finding == said
    assert len(found.chosen) == (2 if dead else 1)


# Words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"), [(0.236, "0.236"), (1.2e-12, "10⁻¹²"), (0.0, "nothing"), (0.05, "0.05"), (3e5, "10⁵")]
)
def test_amounts_are_short_and_zero_is_nothing(value, said):
    assert titles.amount(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (1.0, "1.00"), (0.999, "over 0.99"), (0.001, "under 0.01"), (0.123, "0.12"), (0.05, "0.05")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(value, said):
    assert titles.share(value) == said


@pytest.mark.parametrize(
    ("names", "values", "said"),
    [
        (["activation"], ["relu"], "ReLU"),
        (["depth", "activation"], [5, "tanh"], "tanh at depth 5"),
        (["activation", "init"], ["relu", "he_normal"], "ReLU with he_normal"),
        (["norm"], ["none"], "norm=none"),
        (["bias", "init"], ["zeros", "zeros"], "bias=zeros, init=zeros"),
        ([], [], "the network"),
    ],
)
def test_settings_are_spoken_as_a_sentence_names_them(names, values, said):
    assert titles.spoken(names, values) == said


def test_without_a_number_nothing_is_claimed():
    r = records(activation=["sigmoid", "relu"], depth=3, seed=SEEDS)
    r.layers.loc[:, r.layers.columns[3:]] = np.nan
    r.steps.loc[:, r.steps.columns[2:]] = np.nan
    for name in (
        "gradient_by_layer",
        "gradient_over_training",
        "ratio_by_depth",
        "learning_curves",
        "update_ratio",
    ):
        assert finding(name, r) == titles.NOTHING


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        (
            {"tanh": 30, "relu": 3},
            "Tanh learns beyond {} layers, ReLU down to 3 layers",
        ),
        ({"relu": 3}, "ReLU learns down to 3 layers"),
        ({"relu": 0}, "ReLU learns not even at {} layers"),
    ],
)
def test_a_depth_beyond_those_that_were_tried_is_no_number(reached, said):
    runs = grid(activation=list(reached), depth=[1, 2, 5, 20], seed=SEEDS, steps=5)
    r = made(runs, lambda run, step: {"test_accuracy": 0.9 if run.depth <= reached[run.activation] else 0.1})
    found = finding("frontier", r)
    before, _, after = said.partition("{}")
    assert found.startswith(before)
    assert found.endswith(after)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0066, "0.0066"), (0.0147, "0.0147"), (2.4e-5, "2·10⁻⁵"), (3e-7, "10⁻⁷"), (2e31, "10³¹")],
)
def test_an_amount_has_digits_where_two_of_one_sentence_may_be_alike(value, said):
    assert titles.amount(value) == said


@pytest.mark.parametrize(
    ("name", "thing", "said"),
    [
        ("tanh", "gradient", "tanh’s gradient"),
        ("tanh", "", "tanh’s"),
        ("ReLU at depth 5", "gradient", "the gradient of ReLU at depth 5"),
        ("selu(alpha=2)", "", "that of selu(alpha=2)"),
    ],
)
def test_only_a_plain_name_has_a_genitive(name, thing, said):
    assert titles.owned(name, thing) == said


@pytest.mark.parametrize(("value", "said"), [(0, "none"), (1, "all"), (0.52, "0.52"), (0.999, "over 0.99")])
def test_a_portion_of_units_is_said_as_one_counts(value, said):
    assert titles.portion(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(1234.0, "1234"), (999.7, "1000"), (2.22449, "2.22"), (0.00099, "10⁻³")]
)
def test_a_number_that_is_said_plainly_has_no_e(value, said):
    assert plainly(value) == said


def test_shares_seen_at_one_step_are_lines_by_layer_and_over_training_maps():
    def dead(run, step, layer):
        return {"dead_fraction": float(layer > run.width), "saturated_fraction": 0.5}

    for steps, lines in ((0, 2), (5, 0)):
        r = made(grid(activation="relu", width=[1, 2], depth=3, seed=SEEDS, steps=steps), layers=dead)
        picture = FIGURES["dead_and_saturated"](r)
        assert picture.finding.startswith("All of the units of ")
        (panel, *_) = picture.sheets[0].axes
        named = [line for line in panel.lines if not line.get_label().startswith("_")]
        assert len(named) == lines


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (
            ["digits(test=0.8)", "digits(shift=1, test=0.8, scale=overall)"],
            ["digits", "digits(shift=1, scale=overall)"],
        ),
        (["digits(test=0.8)", "digits(scale=overall)"], ["digits(test=0.8)", "digits(scale=overall)"]),
        (["digits(test=0.8, shift=2)", "digits(test=0.8, shift=1)"], ["shift=2", "shift=1"]),
        (["digits(test=0.8)", "moons"], ["digits(test=0.8)", "moons"]),
        (["orthogonal(gain=1.5)", "he_normal", "orthogonal"], ["gain=1.5", "he_normal", "gain=1"]),
    ],
)
def test_options_that_all_texts_of_a_name_share_are_not_in_every_name(values, named):
    field = "init" if "he_normal" in values else "dataset"
    assert [*style.short(values, field).values()] == named


@pytest.mark.parametrize("most", range(14, 60, 5))
def test_a_title_has_lines_of_nearly_one_length_and_no_more_of_them(most):
    text = "Up to 0.52 of the units of init=pytorch_default are dead, in layer 10"
    first = wrap(text, most, break_long_words=False, break_on_hyphens=False)
    lines = evenly(first)
    assert " ".join(lines) == text
    assert len(lines) <= len(first)
    assert max(map(len, lines)) <= max(map(len, first))
    longest = max(map(len, text.split()))
    assert len(lines) == 1 or min(map(len, lines)) >= max(map(len, lines)) - longest - 1


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (
            (0.42, 0.252), (0.39, 0.195),
            "a unit dies 0.42 times on average with ReLU, 0.39 times with ELU; "
            "0.60 and 0.50 of the deaths are undone",
        ),
        (
            (0.5, 0.0), (0.0, 0.0),
            "with ReLU, a unit dies 0.5 times on average, and none of the deaths are undone; "
            "with ELU, no unit dies",
        ),
    ],
)  # fmt: skip
def test_lives_of_two_settings_are_one_sentence(first, last, said):
    assert unit_lives._fates("ReLU", first, "ELU", last, "dead") == said


def test_a_field_that_goes_with_another_does_not_name_a_setting_twice():
    runs = [
        *grid(init="he_normal", bias="zeros", seed=SEEDS),
        *grid(init="orthogonal", bias="pytorch_default", seed=SEEDS),
    ]
    view = View(made(runs), ("bias",), ("bias", "init"))
    assert telling(view) == ["init"]
    assert telling(View(records(init=["he_normal", "orthogonal"], depth=[2, 3]), (), ("depth", "init"))) == [
        "depth",
        "init",
    ]


def test_a_title_of_one_letter_or_none_is_itself():
    assert evenly(["A"]) == ["A"]
    assert evenly([]) == []
