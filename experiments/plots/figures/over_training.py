"""What is learnt over training: loss and accuracy, and how far an update moves the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.chance import chance_level
from experiments.analysis.lives import shock_step
from experiments.analysis.ratios import hidden
from experiments.analysis.score import score_of
from experiments.plots import titles
from experiments.plots.axes import plainly
from experiments.plots.figure_table import FIGURES, needs
from experiments.plots.figures.layers import main_curves
from experiments.plots.lines import draw_lines
from experiments.plots.views import Column, Fields, View, Where, arrange
from experiments.storage.records import Records

if TYPE_CHECKING:
    from experiments.plots.picture import Picture

NEAR = 0.03  # of chance, in accuracy: nothing has been learnt
HEALTHY_UPDATE = 1e-3  # of the weights' size, a rule of thumb: Karpathy 2022


@FIGURES
def learning_curves(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """Loss and accuracy over training.

    The loss in nats and the shares of training and test examples that are classified rightly, after so many
    updates. Dashed: the share that one answer to all would get right. Steps are on a logarithmic scale, for
    most happens early. Where a number is learnt: the squared error, and R², 0 for predicting the mean.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    steps = view.records.steps
    score, share = score_of(view.records), accuracy_options(view.records)
    columns = [
        Column("training loss", view.medians(steps, "loss", "step"), score.loss, "step"),
        *(
            Column(
                score.words(column), view.medians(steps, column, "step"), score.name, "step", score.scale,
                **share,
            )
            for column in (score.train, score.test)
        ),
    ]  # fmt: skip
    few = [2, 0] if columns[2].curves["median"].notna().any() else [1, 0]
    return draw_lines(
        view, columns, learning_curves, learnt(view, columns[few[0]]), few=few, marks=shock_mark(view.records)
    )


def accuracy_options(records: Records) -> dict[str, Any]:
    """The options of a Column of accuracies: a guide at chance, if that is known."""
    level, chance = chance_level(records.runs), score_of(records).chance
    return {} if level is None else {"guides": (level,), "says": {level: f"{chance}, {level:.2g}"}}


def shock_mark(records: Records) -> list[tuple[float, str]]:
    """Where on an axis of steps the oversized step is, if there is one."""
    try:
        return [(shock_step(records) + 1, "the oversized step")]
    except ValueError:
        return []


def learnt(view: View, column: Column) -> str:
    """The best and the worst accuracy after the last step, and whether that is chance."""
    key, curves = main_curves(view, column)
    last = curves[curves["step"] == curves["step"].max()] if len(curves) else curves
    found = titles.cases(last, view.hue)
    if not found:
        return titles.NOTHING
    level = column.guides[0] if column.guides else -np.inf
    worst, best = found[0], found[-1]
    if best.value <= level + NEAR:
        text = f"nothing is learnt: the best {column.title} is {titles.share(best.value)}, at chance"
        return titles.under(view.facet, key, text)
    text = f"{best.name} reaches {titles.share(best.value)} {column.title}"
    if worst is not best and worst.value <= level + NEAR:
        text += f"; {worst.name} stays at chance, {titles.share(worst.value)}"
    elif worst is not best:
        text += f", {worst.name} {titles.share(worst.value)}"
    return titles.under(view.facet, key, text)


@FIGURES
@needs("update_ratio")
def update_ratio(records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = "") -> Picture:
    """Size of an update relative to the weights, ‖step‖/‖w‖.

    In the first and the last hidden layer over training, and in all layers at the last update that was
    measured. Around 10⁻³ (dashed) a layer learns steadily; far below it stays where it was drawn.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    layers, runs = view.records.layers, view.records.runs
    inside = hidden(layers, runs)
    last = inside[inside["layer"] == inside.groupby("run_id")["layer"].transform("max")]
    parts = [("layer 1", inside[inside["layer"] == 1], "step"), ("last hidden layer", last, "step")]
    made = layers.dropna(subset=["update_ratio"])  # no update follows the last step
    latest = made[made["step"] == made.groupby("run_id")["step"].transform("max")]
    parts.append(("last update measured", latest, "layer"))
    columns = [
        Column(
            name, view.medians(rows, "update_ratio", x), "‖step‖ / ‖w‖", x, guide=HEALTHY_UPDATE,
            says={HEALTHY_UPDATE: "learns steadily"},
        )
        for name, rows, x in parts
    ]  # fmt: skip
    marks = shock_mark(view.records)
    return draw_lines(view, columns, update_ratio, _moved(view, columns[2]), few=[2, 0], marks=marks)


def _moved(view: View, column: Column) -> str:
    """The smallest update of layer 1, beside the rule of thumb."""
    key, curves = main_curves(view, column)
    found = titles.cases(curves[curves["layer"] == 1], view.hue)
    if not found:
        return titles.NOTHING
    least, most = found[0], found[-1]
    if least.value >= HEALTHY_UPDATE / 10:
        text = f"layer 1 learns in every setting: an update is {plainly(least.value)} of its weights or more"
        return titles.under(view.facet, key, text)
    whose = titles.owned(least.name, "layer 1", plain=True)
    text = f"an update moves {whose} by {titles.amount(least.value)} of its weights"
    text += f", {titles.owned(most.name)} by {titles.amount(most.value)}" if most is not least else ""
    return titles.under(view.facet, key, text)
