"""Figures of what claims compare: what they choose, and that they show the numbers they say they show."""

import numpy as np
import pytest
from made_up import grid, made
from matplotlib.figure import Figure

from experiments.analysis import cost as timing
from experiments.plots import FIGURES
from experiments.plots.figures.judged import at_own_best

SEEDS = [0, 1, 2, 3]


def lines(picture):
    """{panel's title: {label: line}} of what shows data, of every panel."""
    grid = Figure().subplots(1, len(picture.panels), squeeze=False)[0]
    return {
        panel.title: {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
        for panel, axes in zip(picture.panels, picture.draw(grid, picture.panels), strict=True)
    }


def caption(picture):
    return picture.alt


def learnt(accuracy, **fields):
    return made(grid(**fields), lambda run, step: {"test_accuracy": accuracy(run), "accuracy": 1.0})


def test_every_setting_is_shown_at_its_own_best():
    best = {"tanh": 0.1, "sigmoid": 1.0}
    records = learnt(
        lambda run: 0.9 if run.lr == best[run.activation] else 0.2,
        activation=["tanh", "sigmoid"], lr=[0.1, 1.0], seed=SEEDS,
    )  # fmt: skip
    kept, (remark,) = at_own_best(records, "test_accuracy", larger=True)
    assert set(zip(kept.runs["activation"], kept.runs["lr"], strict=True)) == set(best.items())
    assert len(kept.runs) == 8
    assert "by test accuracy" in remark


def test_without_a_grid_of_rates_nothing_is_left_out():
    records = learnt(lambda run: 0.5, activation=["tanh", "relu"], seed=SEEDS)
    kept, remarks = at_own_best(records, "test_accuracy", larger=True)
    assert kept is records
    assert remarks == ()


def test_accuracy_by_depth_is_that_of_the_best_rate():
    records = learnt(
        lambda run: 0.2 if run.lr == 0.1 else 0.5 + 0.1 * run.depth, depth=[1, 3], lr=[0.1, 1.0], seed=SEEDS
    )
    figure = FIGURES["accuracy_by_depth"](records)
    (line,) = lines(figure)["test accuracy"].values()
    assert line.get_xdata().tolist() == [1, 3]
    assert line.get_ydata() == pytest.approx([0.6, 0.8])
    assert "which one half of the seeds chooses for the other" in caption(figure)


def test_settings_with_different_best_rates_are_in_one_panel_unless_the_rate_is_asked_for():
    best = {"tanh": 0.1, "sigmoid": 1.0}
    records = learnt(
        lambda run: 0.9 if run.lr == best[run.activation] else 0.2,
        activation=["tanh", "sigmoid"], depth=[1, 3], lr=[0.1, 1.0], seed=SEEDS,
    )  # fmt: skip
    assert len(lines(FIGURES["accuracy_by_depth"](records))["test accuracy"]) == 2
    assert len(FIGURES["accuracy_by_depth"](records).panels) == 2
    assert len(FIGURES["accuracy_by_depth"](records, facet="lr").panels) == 4


def test_accuracy_by_setting_has_a_dot_a_seed_and_a_bar_at_the_median():
    accuracy = {"none": 0.1, "batch": 0.9}
    fields = {"norm": ["none", "batch"], "residual": [0.0, 1.0], "seed": SEEDS}
    records = learnt(lambda run: accuracy[run.norm] + 0.01 * run.seed, **fields)
    (panel,) = FIGURES["accuracy_by_setting"](records).draw(Figure(figsize=(5, 5)).subplots())
    names = [" ".join(label.get_text().split()) for label in panel.get_yticklabels()]
    remedies = ("", "residual=1, ", "norm=batch, ", "norm=batch, residual=1, ")
    assert names == [f"{remedy}lr=0.05" for remedy in remedies]
    row = names.index("norm=batch, lr=0.05")
    drawn = [line for line in panel.lines if line.get_label() != "_guide"]
    dots, bar = drawn[2 * row : 2 * row + 2]
    assert sorted(dots.get_xdata()) == pytest.approx([0.9, 0.91, 0.92, 0.93])
    assert set(dots.get_ydata()) == {row}
    assert bar.get_xdata() == pytest.approx([0.915, 0.915])


def test_the_best_and_the_worst_setting_are_named_by_what_sets_them_apart():
    accuracy = {("tanh", 1, "none"): 0.9, ("sigmoid", 8, "none"): 0.1}
    records = learnt(
        lambda run: accuracy.get((run.activation, run.depth, run.norm), 0.5),
        activation=["sigmoid", "tanh"], depth=[1, 8], norm=["none", "batch"], seed=SEEDS,
    )  # fmt: skip
    finding = FIGURES["accuracy_by_setting"](records).finding
    assert finding == "Tanh at depth 1 reaches a test accuracy of 0.90, sigmoid at depth 8 0.10"


def test_signs_are_shown_for_every_batch_in_the_layer_where_they_are_fewest():
    def layers(run, step, layer):
        return {"one_sign_fraction_batch": layer / run.batch, "sign_agreement_batch": 0.1 * layer}

    records = made(grid(batch=[4, 8], depth=2, seed=SEEDS), layers=layers)
    shown = lines(FIGURES["signs_by_batch"](records))
    (share,) = shown["all of one sign"].values()
    assert share.get_xdata().tolist() == [4, 8]
    assert share.get_ydata() == pytest.approx([2 / 4, 2 / 8])  # of layers 2 and 3; layer 1 is fed by the data
    (agreement,) = shown["sign agreement"].values()
    assert agreement.get_ydata() == pytest.approx([0.25, 0.25])


def test_steps_by_rate_are_medians_and_a_rate_that_most_do_not_arrive_at_is_a_gap():
    def loss(run, step):
        arrive = {0.1: 4 + run.seed % 2, 1.0: 2 if run.seed == 0 else 99}[run.lr]
        return {"loss": 0.1 if step >= arrive else 2.0}

    records = made(grid(lr=[0.1, 1.0], seed=SEEDS, steps=6), loss, watched=range(7))
    figure = FIGURES.bind("steps_by_rate(target=0.2)")(records)
    (line,) = lines(figure)["to a loss of 0.2"].values()
    assert line.get_xdata().tolist() == [0.1, 1.0]
    assert line.get_ydata()[0] == 4.5
    assert np.isnan(line.get_ydata()[1])
    assert line.axes.get_xscale() == "log"


def test_displacement_is_that_after_training_and_one_in_a_hundred_is_marked():
    def layers(run, step, layer):
        return {"displacement": 0.1 * layer * (step > 0)}

    records = made(grid(depth=2, seed=SEEDS), layers=layers)
    figure = FIGURES["displacement_by_layer"](records)
    (line,) = lines(figure)["after 300 steps"].values()
    assert line.get_ydata() == pytest.approx([0.1, 0.2, 0.3])
    assert [guide.get_ydata()[0] for guide in line.axes.lines if guide.get_label() == "_guide"] == [0.01]


def test_costs_are_the_medians_of_what_was_timed(monkeypatch):
    shape = timing.PROCESSES, timing.ROUNDS
    times = {text: np.full(shape, i + 1.0) for i, text in enumerate(timing.TIMED)}
    steps = timing.StepTimes({text: 10 * t for text, t in times.items()}, times)
    found = timing.Costs({("float32", "in cache"): times}, dict.fromkeys(timing.WIDTHS, steps), times)
    monkeypatch.setattr(timing, "costs", lambda texts: found)
    picture = FIGURES["activation_costs"](None)
    element, step, printed = picture.draw(Figure().subplots(1, 3))
    assert (
        picture.finding == "leaky_relu(slope=0.1) costs 4 ns per element (f32 in), 4 times as much as sigmoid"
    )
    assert [bar.get_height() for bar in element.patches] == [1, 2, 3, 4]
    assert [label.get_text() for label in element.get_xticklabels()] == ["f32\nin"]
    assert {round(bar.get_height(), 6) for bar in step.patches} == {0.1}
    assert [label.get_text() for label in step.get_xticklabels()] == [f"{width}" for width in timing.WIDTHS]
    assert printed.get_yscale() == "log"
    shown = FIGURES.bind("activation_costs(show=write_up_code)")(None)
    assert [panel.title for panel in shown.chosen] == ["the write-up's own code", "one element"]
    assert shown.finding == (
        "In the write-up’s own code ReLU takes 3 times as long as sigmoid, "
        "as one operation on an array 3 times as long as sigmoid"
    )
