"""Titles: each says what the records show, and the other thing where it does not hold."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import grid, made
from synthetic import records

from experiments.plots import FIGURES, titles
from experiments.plots.figures import unit_lives

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
