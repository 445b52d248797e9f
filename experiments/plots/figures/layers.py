"""What every layer does: signals, gradients, and dead and saturated units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.analysis.ratios import at_end, at_start, first_to_last, hidden, probe_column
from experiments.plots import titles
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
