"""What every layer does and how it learns: signals, gradients, dead units and updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from experiments.analysis.ratios import first_to_last, hidden, probe_column
from experiments.plots.figure_table import FIGURES, needs
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
    moments,
    out_of_range,
    scaled,
)
from experiments.storage.records import Records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

NORM = "Frobenius norm"
SIGNALS = {"delta_norm": "‖delta‖", "dw_norm": "‖dw‖"}
HEALTHY_UPDATE = 1e-3  # of the weights' size, a rule of thumb: Karpathy 2022


@FIGURES
@needs("delta_norm", "dw_norm")
def gradient_by_layer(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = "", theory: bool = True
) -> Figure:
    """Gradient by layer, at the start and after training.

    delta is dLoss/dz, the signal passed back; dw is dLoss/dw, what the weights are moved by. A line that
    falls towards layer 1 is a gradient that vanishes on its way to the input; one that rises there explodes.
    The last layer is the output.
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
    return draw_lines(said(view, columns) if theory else view, columns, gradient_by_layer, facets="down")


@FIGURES
@needs("delta_norm")
def gradient_over_training(
    records: Records,
    *,
    signal: Literal["delta_norm", "dw_norm"] = "delta_norm",
    facet: Fields = None,
    where: Where = "",
) -> Figure:
    """Gradient in every layer over training.

    Each map is one setting, its colour the size of the gradient on a logarithmic scale, the same for all
    maps. Dark at the bottom (the layers nearest the input) and light at the top is a vanishing gradient; a
    column is one moment, from the initialisation at the left to the end of training at the right.
    """  # fmt: skip
    view = deepest(as_panels(arrange(records, None, facet, where)), facet, where)
    layers = view.records.layers
    scale, found = scaled(layers, {signal: SIGNALS[signal]})
    ((column, name),) = found.items()
    curves = view.medians(layers, column, "layer", "step")
    return draw_maps(view, [Column("", curves, name, scale=scale)], gradient_over_training)


@FIGURES
@needs("delta_norm", "dw_norm")
def ratio_by_depth(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Figure:
    """First-to-last gradient ratio against depth.

    The norm in the first hidden layer over that in the last. At 1 (dashed) all layers hear equally of the
    error; a straight fall on this scale is a loss by the same factor in every layer.
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
    return draw_lines(view, columns, ratio_by_depth, facets="down")


@FIGURES
@needs("dead_fraction", "saturated_fraction")
def dead_and_saturated(records: Records, *, facet: Fields = None, where: Where = "") -> Figure:
    """Dead and saturated units by layer over training.

    Dead: the share of units whose slope is 0 on every example, so that nothing moves them. Saturated: the
    share of slopes, over units and examples, that are under a fraction of the largest that the activation
    has: 0.1, or what the panel says. Hidden layers only.
    """
    view = deepest(as_panels(arrange(records, None, facet, where)), facet, where)
    rows = hidden(view.records.layers, view.records.runs)
    columns = []
    for name in ("dead", "saturated"):
        probe = probe_column(rows, f"{name}_fraction") or f"{name}_fraction"
        curves = view.medians(rows, probe, "layer", "step")
        columns.append(Column(probe.replace("_fraction", ""), curves, "share", scale="share"))
    return draw_maps(view, columns, dead_and_saturated)


@FIGURES
@needs("a_mean", "a_var")
def forward_by_layer(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = "", theory: bool = True
) -> Figure:
    """Forward signal by layer, at the start and after training.

    Mean and variance, over units and examples, of the hidden layers' outputs a = f(z). A mean away from 0
    pushes all weights of a unit of the next layer the same way; a variance that falls from layer to layer
    loses the input, one that rises saturates or overflows.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    return _forward("a", hidden(view.records.layers, view.records.runs), view, forward_by_layer, theory)


@FIGURES
@needs("z_mean", "z_var")
def preactivation_by_layer(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = "", theory: bool = True
) -> Figure:
    """Signal before the activation by layer, at the start and after training.

    Mean and variance, over units and examples, of z = x @ w + b; the last layer's are the logits. They say
    where on its curve an activation works: a variance that rises saturates it, one that falls leaves it
    nearly linear.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    return _forward("z", view.records.layers, view, preactivation_by_layer, theory)


def _forward(
    signal: str, layers: pd.DataFrame, view: View, figure: Callable[..., Figure], theory: bool
) -> Figure:
    columns = []
    for kind, probe, scale in (("mean", f"{signal}_mean", "linear"), ("variance", f"{signal}_var", "log")):
        for when, rows in moments(view, layers).items():
            curves = view.medians(rows, probe, "layer")
            predicted = expected(view, rows, probe) if theory else None
            label = f"{kind} of {signal}"
            columns.append(Column(f"{kind} {when}", curves, label, scale=scale, predicted=predicted))
    return draw_lines(said(view, columns) if theory else view, columns, figure)


@FIGURES
def learning_curves(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Figure:
    """Loss and accuracy over training.

    The loss in nats and the shares of training and test examples that are classified rightly, after so many
    updates. The scale of the steps is logarithmic, for most happens early.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    steps = view.records.steps
    columns = [
        Column("training loss", view.medians(steps, "loss", "step"), "loss (nats)", "step"),
        Column("training accuracy", view.medians(steps, "accuracy", "step"), "accuracy", "step", "share"),
        Column("test accuracy", view.medians(steps, "test_accuracy", "step"), "accuracy", "step", "share"),
    ]
    return draw_lines(view, columns, learning_curves)


@FIGURES
@needs("update_ratio")
def update_ratio(records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = "") -> Figure:
    """Size of an update relative to the weights.

    ‖step‖/‖w‖ of the first and the last hidden layer over training, and of all layers at the last update that
    was measured. Around 10⁻³ (dashed) a layer learns steadily; far below it stays where it was drawn.
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
        Column(name, view.medians(rows, "update_ratio", x), "‖step‖ / ‖w‖", x, guide=HEALTHY_UPDATE)
        for name, rows, x in parts
    ]
    return draw_lines(view, columns, update_ratio)
