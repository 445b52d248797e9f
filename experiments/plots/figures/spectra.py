"""What passes through a layer and how much of it is signal: Jacobians, gradient noise, rank, likeness."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.analysis.ratios import at_end, at_start, hidden, probe_column
from experiments.plots import titles
from experiments.plots.axes import plainly
from experiments.plots.figure_table import FIGURES, needs
from experiments.plots.figures.layers import main_curves
from experiments.plots.lines import draw_lines
from experiments.plots.views import Column, Fields, View, Where, arrange, moments
from experiments.storage.records import Records
from mlp.probes import PROBES
from mlp.registry import parse_call

if TYPE_CHECKING:
    import pandas as pd

    from experiments.plots.picture import Picture


def _by_layer(view: View, rows: pd.DataFrame, probe: str) -> pd.DataFrame:
    """Medians by layer of a probe, whatever options it was recorded with."""
    return view.medians(rows, probe_column(rows, probe) or probe, "layer")


def _option(rows: pd.DataFrame, probe: str, name: str) -> Any:
    """An option that a probe was recorded with."""
    given = parse_call(probe_column(rows, probe) or probe)[1]
    return given.get(name, PROBES.options(probe)[name].default)


def _remarked(view: View, remark: str) -> View:
    return replace(view, remarks=(remark, *view.remarks))


@FIGURES
@needs("jacobian_mean", "jacobian_spread", "end_to_end_mean", "end_to_end_spread")
def jacobian_by_layer(
    records: Records,
    *,
    when: Literal["start", "end"] = "start",
    hue: Fields = None,
    facet: Fields = None,
    where: Where = "",
) -> Picture:
    """Jacobians by layer: how far each layer and the whole network are from an isometry.

    Of each hidden layer, and from its input to the logits. The mean singular value is the factor on a
    gradient (dashed: 1, which neither vanishes nor explodes); the spread is the variance of the squared
    singular values over their squared mean, 0 where all directions fare alike.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    layers, runs = hidden(view.records.layers, view.records.runs), view.records.runs
    rows = at_start(layers) if when == "start" else at_end(layers, runs)
    columns = []
    for name, probe in (("layer", "jacobian"), ("to logits", "end_to_end")):
        mean, spread = (_by_layer(view, rows, f"{probe}_{kind}") for kind in ("mean", "spread"))
        columns.append(Column(f"{name}: mean at the {when}", mean, f"factor ({name})", guide=1.0))
        columns.append(Column(f"{name}: spread at the {when}", spread, "spread"))
    examples = _option(layers, "jacobian_mean", "examples")
    view = _remarked(view, f"Each is the mean over the first {examples} examples.")
    finding = _middle(view, columns[0], f"multiplies a gradient by {{}} per layer at the {when}")
    return draw_lines(view, columns, jacobian_by_layer, finding, few=[0, 1])


def _middle(view: View, column: Column, says: str) -> str:
    """The median over layers of a quantity, of the setting that has least of it and of that with most."""
    key, curves = main_curves(view, column)
    curves = curves[np.isfinite(curves["median"])]
    if not len(curves):
        return titles.NOTHING
    by = list(view.hue)
    middle = (
        curves.groupby(by)["median"].median().reset_index()
        if by
        else curves[["median"]].median().to_frame().T
    )
    found = titles.cases(middle.assign(low=middle["median"], high=middle["median"]), by)
    low, high = found[0], found[-1]
    text = f"{low.name} {says.format(plainly(low.value))}"
    text += f", {high.name} by {plainly(high.value)}" if high is not low and " by " in says else ""
    text += f", {high.name} of {plainly(high.value)}" if high is not low and " of " in says else ""
    return titles.under(view.facet, key, text)


@FIGURES
@needs("gradient_snr", "gradient_cosine")
def gradient_noise(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """Gradient noise by layer: how far mini-batches agree, at the start and after training.

    Signal / noise: the squared norm of the mini-batches' mean gradient over their total variance; above 1
    (dashed) a step is mostly signal, below mostly the luck of its batch. Cosine: the mean between the
    gradients of two mini-batches, 1 where all agree and 0 (dashed) where they have nothing in common.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    columns = []
    for when, rows in moments(view).items():
        ratio, cosine = (_by_layer(view, rows, f"gradient_{kind}") for kind in ("snr", "cosine"))
        columns.append(Column(f"signal / noise {when}", ratio, "‖mean‖² / variance", guide=1.0))
        columns.append(Column(f"cosine {when}", cosine, "mean cosine", scale="linear", guides=(0.0,)))
    batch = _option(view.records.layers, "gradient_snr", "batch")
    view = _remarked(view, f"Mini-batches of {batch} examples.")
    finding = _middle(view, columns[0], "has a signal-to-noise ratio of {} in its gradient at the start")
    return draw_lines(view, columns, gradient_noise, finding, few=[0, 2] if len(columns) > 2 else [0, 1])


@FIGURES
@needs("effective_rank")
def effective_rank_by_layer(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """Effective rank of the outputs by layer, at the start and after training.

    How many directions the hidden layer's outputs fill over the examples: exp of the entropy of their
    singular values, each over their sum. At 1 (dashed) every example says the same up to a factor, and
    nothing above can tell classes apart.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    rows = hidden(view.records.layers, view.records.runs)
    columns = [
        Column(f"effective rank {when}", _by_layer(view, each, "effective_rank"), "effective rank", guide=1.0)
        for when, each in moments(view, rows).items()
    ]
    return draw_lines(view, columns, effective_rank_by_layer, _last_rank(view, columns[0]))


def _last_rank(view: View, column: Column) -> str:
    """How many directions the last hidden layer's outputs fill at the start, at the least and at the most."""
    key, curves = main_curves(view, column)
    found = titles.cases(curves[curves["layer"] == curves["layer"].max()], view.hue)
    return titles.apart(
        found, "the outputs of {low.name}’s last hidden layer fill {low.value:.2g} directions at the start",
        "the outputs of {low.name}’s last hidden layer fill {low.value:.2g} directions at the start, "
        "{high.name}’s {high.value:.2g}", setting=(view.facet, key),
    )  # fmt: skip


@FIGURES
@needs("similarity")
def similarity_by_layer(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """How alike different inputs are by layer, at the start and after training.

    The mean cosine between the hidden layer's outputs for two examples. At 1 (dashed) all examples point one
    way, and nothing above can tell them apart; at 0 (dashed) they have nothing in common.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    rows = hidden(view.records.layers, view.records.runs)
    columns = []
    for when, each in moments(view, rows).items():
        curves = _by_layer(view, each, "similarity")
        name = f"cosine of two inputs {when}"
        columns.append(Column(name, curves, "mean cosine", scale="linear", guides=(0.0, 1.0)))
    return draw_lines(view, columns, similarity_by_layer, _last_cosine(view, columns[0]))


def _last_cosine(view: View, column: Column) -> str:
    """The cosine of two inputs in the deepest layer at the start, the smallest and the largest."""
    key, curves = main_curves(view, column)
    by = list(view.hue)
    last = curves.groupby(by, sort=False)["layer"].transform("max") if by else curves["layer"].max()
    found = titles.cases(curves[curves["layer"] == last], view.hue)
    return titles.apart(
        found, "two inputs of {low.name} end with a cosine of {low.value:.3g} in the last hidden layer",
        "two inputs end with a cosine of {low.value:.3g} in {low.name}’s last hidden layer, and of "
        "{high.value:.3g} in {high.name}’s", setting=(view.facet, key),
    )  # fmt: skip
