"""What every layer does and how it learns: signals, gradients, dead units and updates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.analysis.chance import chance_level
from experiments.analysis.lives import shock_step
from experiments.analysis.ratios import at_end, at_start, first_to_last, hidden, probe_column
from experiments.analysis.score import score_of
from experiments.plots import titles
from experiments.plots.axes import plainly
from experiments.plots.figure_table import FIGURES, along, needs
from experiments.plots.lines import draw_lines
from experiments.plots.maps import draw_maps
from experiments.plots.overlay import expected, said
from experiments.plots.views import (
    Column,
    Fields,
    View,
    Where,
    arrange,
    as_panels,
    deepest,
    groups,
    moments,
    out_of_range,
    rows_where,
    scaled,
    settings_of,
    telling,
)
from experiments.storage.records import Records

if TYPE_CHECKING:
    import pandas as pd

    from experiments.plots.picture import Picture

NORM = "Frobenius norm"
SIGNALS = {"delta_norm": "‖delta‖", "dw_norm": "‖dw‖"}
NEAR = 0.03  # of chance, in accuracy: nothing has been learnt
HEALTHY_UPDATE = 1e-3  # of the weights' size, a rule of thumb: Karpathy 2022


def main_setting(view: View, column: Column) -> tuple[Any, ...]:
    """The setting that a figure's finding speaks of: the one that its first panel shows."""
    return view.foremost(settings_of(view), column, 1)[0]


def main_curves(view: View, column: Column) -> tuple[tuple[Any, ...], pd.DataFrame]:
    """The setting that a title speaks of, and the column's medians there."""
    key = main_setting(view, column)
    return key, rows_where(column.curves, view.facet, key)


@FIGURES
@needs("delta_norm", "dw_norm")
def gradient_by_layer(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = "", theory: bool = True
) -> Picture:
    """Gradient by layer, at the start and after training.

    delta is dLoss/dz, the signal passed back; dw is dLoss/dw, what moves the weights. A line that falls
    towards layer 1 is a gradient that vanishes on its way to the input; one that rises there explodes.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    scale, signals = scaled(view.records.layers, SIGNALS)
    columns = [
        Column(
            f"{name} {when}", view.medians(rows, signal, "layer"), NORM, scale=scale,
            predicted=expected(view, rows, signal) if theory else None,
        )
        for when, rows in moments(view).items()
        for signal, name in signals.items()
    ]  # fmt: skip
    finding = titles.gradient(view, main_setting(view, columns[0]))
    few = [0, 2] if len(columns) > 2 else [0, 1]
    return draw_lines(said(view, columns) if theory else view, columns, gradient_by_layer, finding, few=few)


@FIGURES
@needs("delta_norm")
def gradient_over_training(
    records: Records,
    *,
    signal: Literal["delta_norm", "dw_norm"] = "delta_norm",
    facet: Fields = None,
    where: Where = "",
) -> Picture:
    """Gradient in every layer over training, a map for each setting.

    The colour is the size of the gradient, on one logarithmic scale. Dark at the bottom, nearest the input,
    and light at the top is a vanishing gradient; a map that does not change from left to right has not
    recovered.
    """
    view = deepest(as_panels(arrange(records, None, facet, where)), facet, where)
    layers = view.records.layers
    scale, found = scaled(layers, {signal: SIGNALS[signal]})
    ((column, name),) = found.items()
    curves = view.medians(layers, column, "layer", "step")
    finding = _recovery(view, signal)
    return draw_maps(view, [Column("", curves, name, scale=scale)], gradient_over_training, finding)


def _recovery(view: View, signal: str) -> str:
    """Whether training brings back the gradient of the setting that has least of it at the start."""
    table = first_to_last(view.records, signal)[["run_id", "step", "ratio_log10"]]
    start = titles.cases(view.medians(at_start(table), "ratio_log10"), view.facet)
    if not start:
        return titles.NOTHING
    worst = start[0]
    last = {
        c.name: c
        for c in titles.cases(view.medians(at_end(table, view.records.runs), "ratio_log10"), view.facet)
    }
    if worst.value > -1:
        return (
            "No gradient vanishes at the start: "
            f"{titles.amount(10.0**worst.value, worst.value)} of it or more reaches layer "
            "1"
        )
    before = _ratio(worst.value)
    if worst.name not in last or not (view.records.runs["steps"] > 0).any():
        return titles.sentence(f"{worst.name} lets {before} of its gradient through to layer 1")
    after, whose = last[worst.name], titles.owned(worst.name, "gradient")
    if after.value > worst.value + 1:
        return f"Training brings {whose} back: from {before} of it in layer 1 to {_ratio(after.value)}"
    if after.value < worst.value - 1:
        return f"Training takes more of {whose} away: from {before} of it in layer 1 to {_ratio(after.value)}"
    return (
        f"Training does not bring {whose} back: {before} of it in layer 1 at "
        f"the start, {_ratio(after.value)} at the end"
    )


def _ratio(log: float) -> str:
    return "nothing" if log == -np.inf else titles.amount(10.0 ** max(log, -300), log)


@FIGURES
@needs("delta_norm", "dw_norm")
@along("depth")
def ratio_by_depth(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """First-to-last gradient ratio against depth: the norm in the first hidden layer over that in the last.

    At 1 (dashed) all layers hear equally of the error; a straight fall on this scale is a loss by the same
    factor in every layer.
    """
    view = arrange(records, hue, facet, where, across=["depth"])
    ratios = {name: first_to_last(view.records, signal) for signal, name in SIGNALS.items()}
    scale, value, guide = "log", "ratio", 1.0
    if any(out_of_range(rows["ratio_log10"].to_numpy()) for rows in ratios.values()):
        scale, value, guide = "log10", "ratio_log10", 0.0
    columns = []
    for name, rows in ratios.items():
        for when, part in moments(view, rows[["run_id", "step", value]]).items():
            curves = view.medians(part, value, "depth")
            label = "first / last hidden layer"
            columns.append(Column(f"{name} {when}", curves, label, "depth", scale, guide))
    finding = _deep_ratio(view, main_setting(view, columns[0]), ratios["‖delta‖"])
    return draw_lines(view, columns, ratio_by_depth, finding, few=[0, 1])


def _deep_ratio(view: View, key: Sequence[Any], ratios: pd.DataFrame) -> str:
    """What is left of the gradient in the deepest networks of a setting, of the least and of the most."""
    runs = rows_where(view.records.runs, view.facet, key)
    deep = runs.loc[runs["depth"] == runs["depth"].max(), "run_id"]
    rows = at_start(ratios[ratios["run_id"].isin(deep)])[["run_id", "step", "ratio_log10"]]
    found = titles.cases(view.medians(rows, "ratio_log10"), view.keys)
    if not found:
        return titles.NOTHING
    least, most, depth = found[0], found[-1], int(runs["depth"].max())
    if least.value > -1 and most.value < 1:
        return f"At depth {depth}, no gradient vanishes: {_ratio(least.value)} of it or more reaches layer 1"
    if least.value > -1:
        return (
            f"At depth {depth}, {titles.owned(most.name, 'gradient')} grows to {_ratio(most.value)} times "
            "on its way to layer 1"
        )
    whose = titles.owned(least.name, "gradient")
    text = f"At depth {depth}, {_ratio(least.value)} of {whose} reaches layer 1"
    if most is least:
        return text
    if most.value > 0:
        return f"{text}; {titles.owned(most.name)} grows to {_ratio(most.value)} times"
    return f"{text}, and {_ratio(most.value)} of {titles.owned(most.name)}"


@FIGURES
@needs("dead_fraction", "saturated_fraction")
def dead_and_saturated(records: Records, *, facet: Fields = None, where: Where = "") -> Picture:
    """Dead and saturated units by layer, over training where it was watched more than once.

    Dead: the share of units whose slope is 0 on every example, so that nothing moves them. Saturated: the
    share of slopes that are under a fraction of the largest that the activation has: 0.1, or what the panel
    says. Hidden layers only.
    """
    view = arrange(records, None, facet, where)
    steps = view.records.layers["step"]
    once = len(steps) > 0 and bool((steps == steps.iloc[0]).all())
    view = deepest(view if once else as_panels(view), facet, where)
    rows = hidden(view.records.layers, view.records.runs)
    columns = []
    for name in ("dead", "saturated"):
        probe = probe_column(rows, f"{name}_fraction") or f"{name}_fraction"
        curves = view.medians(rows, probe, "layer", *([] if once else ["step"]))
        columns.append(Column(probe.replace("_fraction", ""), curves, "share", scale="share"))
    if once:
        finding = _worst_shares(as_panels(view), columns)
        return draw_lines(view, columns, dead_and_saturated, finding, few=[0, 1])
    few = [cell for i in (0, 1) if (cell := _most(view, columns[i], i))]
    return draw_maps(view, columns, dead_and_saturated, _worst_shares(view, columns), few)


def _most(view: View, column: Column, place: int) -> tuple[tuple[Any, ...], int] | None:
    """The setting of the largest share, and which column it is of; None where no share is above 0."""
    curves = column.curves
    if not (curves["median"] > 0).any():
        return None
    row = curves.loc[curves["median"].idxmax()]
    return tuple(row[name] for name in view.facet), place


def _worst_shares(view: View, columns: Sequence[Column]) -> str:
    """The largest shares of dead and of saturated units, where and whose; nobody is named twice."""
    parts, named = [], ""
    told = telling(view)
    for column, what in zip(columns, ("dead", "saturated"), strict=True):
        curves = column.curves
        known = curves[curves["median"].notna()]
        if not len(known):
            continue
        row = known.loc[known["median"].idxmax()]
        name = titles.spoken(told, [row[field] for field in told])
        if row["median"] <= 0:
            parts.append("no unit dies" if what == "dead" else "none saturates")
        elif what == "dead":
            most = ("up to " if row["median"] < 1 else "") + titles.portion(row["median"])
            whose, named = titles.owned(name, "units"), name
            parts.append(f"{most} of {whose} are dead, in layer {row['layer']:.0f}")
        else:
            whose = "the slopes" if name == named else titles.owned(name, "slopes")
            most = titles.portion(row["median"])
            parts.append(f"{most} of {whose} are saturated, in layer {row['layer']:.0f}")
    return titles.sentence("; ".join(parts)) if parts else titles.NOTHING


@FIGURES
@needs("a_mean", "a_var")
def forward_by_layer(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = "", theory: bool = True
) -> Picture:
    """Forward signal by layer: mean and variance of a = f(z), at the start and after training.

    Over units and examples of the hidden layers. A mean away from 0 pushes all weights of a unit of the next
    layer the same way; a variance that falls from layer to layer loses the input, one that rises saturates or
    overflows.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    return _forward("a", hidden(view.records.layers, view.records.runs), view, forward_by_layer, theory)


@FIGURES
@needs("z_mean", "z_var")
def preactivation_by_layer(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = "", theory: bool = True
) -> Picture:
    """Signal before the activation by layer: mean and variance of z = x @ w + b, at the start and after
    training.

    Over units and examples; the last layer's are the logits. They say where on its curve an activation
    works: a variance that rises saturates it, one that falls leaves it nearly linear.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    return _forward("z", view.records.layers, view, preactivation_by_layer, theory)


def _forward(
    signal: str, layers: pd.DataFrame, view: View, figure: Callable[..., Picture], theory: bool
) -> Picture:
    columns = []
    for kind, probe, scale in (("variance", f"{signal}_var", "log"), ("mean", f"{signal}_mean", "linear")):
        for when, rows in moments(view, layers).items():
            curves = view.medians(rows, probe, "layer")
            predicted = expected(view, rows, probe) if theory else None
            label = f"{kind} of {signal}"
            columns.append(
                Column(f"{kind} {when}", curves, label, scale=scale, predicted=predicted, least=0.2)
            )
    finding = _kept(view, columns[0], signal)
    few = [0, len(columns) // 2]
    return draw_lines(said(view, columns) if theory else view, columns, figure, finding, few=few)


def _kept(view: View, column: Column, signal: str) -> str:
    """By what factor the variance changes from the first to the last layer at the start: farthest from 1."""
    key, curves = main_curves(view, column)
    changes = {}
    for hue, rows in groups(curves, view.hue):
        rows = rows.sort_values("layer")
        values = rows["median"].to_numpy(float)
        if len(values) > 1 and np.isfinite(values[[0, -1]]).all() and values[0] > 0:
            changes[titles.spoken(view.hue, hue)] = (values[0], values[-1], int(rows["layer"].iloc[-1]))
    if not changes:
        return titles.NOTHING
    logs = {name: np.log(last / first) if last > 0 else -np.inf for name, (first, last, _) in changes.items()}
    name = max(logs, key=lambda name: abs(logs[name]))
    first, last, layer = changes[name]
    if abs(logs[name]) < np.log(2):
        return (
            f"The variance of {signal} stays within a factor of "
            f"{np.exp(abs(logs[name])):.2g} over {layer} layers in all settings"
        )
    verb = "falls" if last < first else "rises"
    return (
        f"The variance of {titles.owned(name, signal, plain=True)} {verb} from {titles.amount(first)} in "
        f"layer 1 to {titles.amount(last)} in layer {layer}"
    )


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
