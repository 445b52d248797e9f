"""The figures: each a function of the records, chosen by name in a config. records -> Figure.

To add one, write a function here under ``@FIGURES``: the first paragraph of its docstring is the title, the
second the reading guide in the caption; keyword-only parameters are the options that a config may set, as in
``gradient_by_layer(hue=init, where=runs(depth=[10, 50]))``. All figures of records have the options

* hue: the field, or list of fields, that the colour tells (the activation);
* facet: the field, or list of fields, that get panels of their own; what else varies is added to them;
* where: the runs that are shown.

Those by layer have theory: whether its prediction for the initialisation is drawn over the start.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.analysis.ratios import first_to_last, hidden, probe_column
from experiments.plots import style
from experiments.plots.captions import words
from experiments.plots.lines import draw_lines
from experiments.plots.maps import draw_maps
from experiments.plots.overlay import expected, said
from experiments.plots.views import (
    Column,
    Fields,
    View,
    arrange,
    as_panels,
    deepest,
    moments,
    out_of_range,
    require,
    scaled,
)
from experiments.storage.records import Records
from mlp.activations import ACTIVATIONS
from mlp.registry import Registry

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = Registry("figure")

NORM = "Frobenius norm"
SIGNALS = {"delta_norm": "‖delta‖", "dw_norm": "‖dw‖"}
HEALTHY_UPDATE = 1e-3  # of the weights' size, a rule of thumb: Karpathy 2022


def needs(*probes: str) -> Callable[[Callable[..., Figure]], Callable[..., Figure]]:
    """Declare the probes without which a figure cannot be drawn, as its attribute `needs`.

    A config that asks for the figure and not for a probe is refused before anything trains; records that
    lack one are a ValueError that names it.
    """

    def declared(figure: Callable[..., Figure]) -> Callable[..., Figure]:
        @wraps(figure)
        def checked(records: Records, **options: Any) -> Figure:
            for probe in probes:
                others = (*records.unit_probes, *records.distributions)
                if probe_column(records.layers, probe) is None and probe not in others:
                    require(records.layers, probe)
            return figure(records, **options)

        checked.needs = probes
        return checked

    return declared


@FIGURES
@needs("delta_norm", "dw_norm")
def gradient_by_layer(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: str = "", theory: bool = True
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
    where: str = "",
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
def ratio_by_depth(records: Records, *, hue: Fields = None, facet: Fields = None, where: str = "") -> Figure:
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
def dead_and_saturated(records: Records, *, facet: Fields = None, where: str = "") -> Figure:
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
    records: Records, *, hue: Fields = None, facet: Fields = None, where: str = "", theory: bool = True
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
    records: Records, *, hue: Fields = None, facet: Fields = None, where: str = "", theory: bool = True
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
def learning_curves(records: Records, *, hue: Fields = None, facet: Fields = None, where: str = "") -> Figure:
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
def update_ratio(records: Records, *, hue: Fields = None, facet: Fields = None, where: str = "") -> Figure:
    """Size of an update relative to the weights.

    ‖step‖/‖w‖ of the first and the last hidden layer over training, and of all layers at the end. Around 10⁻³
    (dashed) a layer learns steadily; far below it stays where it was drawn.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    layers, runs = view.records.layers, view.records.runs
    inside = hidden(layers, runs)
    last = inside[inside["layer"] == inside.groupby("run_id")["layer"].transform("max")]
    parts = [("layer 1", inside[inside["layer"] == 1], "step"), ("last hidden layer", last, "step")]
    parts.append((*list(moments(view).items())[-1], "layer"))
    columns = [
        Column(name, view.medians(rows, "update_ratio", x), "‖step‖ / ‖w‖", x, guide=HEALTHY_UPDATE)
        for name, rows, x in parts
    ]
    return draw_lines(view, columns, update_ratio)


# Activations ----------------------------------------------------------------------------------------------

# The write-up's four pictures: what is drawn, from where to where, and its y limits.
WRITE_UP = {
    "sigmoid": (-10, 10, (-0.5, 1.5)),
    "tanh": (-10, 10, (-1.5, 1.5)),
    "relu": (-3, 3, (-0.5, 3)),
    "leaky_relu(slope=0.1)": (-3, 3, None),
}
ANY = (-4, 4, None)
SLOPE = style.Look(style.INK, dashes=style.DASHES[1])


@FIGURES
def activation_functions(
    records: Records | None, *, show: Literal["write_up", "all", "swept"] = "write_up"
) -> Figure:
    """Activation functions and their slopes.

    Solid: a = f(z). Dashed: the slope f'(z), by which the gradient is multiplied in each layer; the largest
    slope is named above each panel. A slope that jumps is drawn with a gap.
    """
    texts: list[str] = list(WRITE_UP)
    if show != "write_up":
        known = ACTIVATIONS if show == "all" or records is None else records.runs["activation"]
        texts = style.in_order(known, "activation")
    wide = 2 if len(texts) <= 4 else 4
    title, guide = words(activation_functions)
    sheet, grid = style.sheet(
        -(-len(texts) // wide), wide, title=title, caption=guide,
        legend=[style.key("f(z)", style.Look(style.INK)), style.key("slope f'(z)", SLOPE)],
        space=style.Spacing(*((3.0, 2.25) if wide == 4 else (4.2, 2.6)), across=0.6, titles=2),
    )  # fmt: skip
    for axes, text, look in zip(grid.flat, texts, style.looks(texts, "activation").values(), strict=False):
        _draw_activation(axes, text, look.colour)
    for axes in grid.flat[len(texts) :]:
        axes.set_visible(False)
    return sheet


def _draw_activation(axes: Axes, text: str, colour: Any) -> None:
    act = ACTIVATIONS.bind(text)()
    low, high, limits = WRITE_UP.get(text, ANY)
    z = np.arange(low, high, 0.01)
    a = act.f(z)
    slope = act.df(z, a)
    for kink in act.kinks:
        slope[np.abs(z - kink) < 0.006] = np.nan
    for x, y in (((low, high), (0, 0)), ((0, 0), limits or (a.min(), a.max()))):
        axes.plot(x, y, color=style.FAINT, linewidth=0.8, label="_zero")
    axes.plot(z, a, color=colour, linewidth=2.4, label="f(z)")
    axes.plot(z, slope, color=colour, linewidth=2, linestyle=SLOPE.dashes, label="slope f'(z)")
    style.name_panel(axes, f"{text}: slope ≤ {act.max_slope:.3g}")
    axes.set_xlabel("z", size=style.LABEL)
    axes.locator_params(nbins=5)
    if limits:
        axes.set_ylim(*limits)
