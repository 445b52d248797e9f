"""Figures of what claims compare: settings at their own best, learning rates, batches, costs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis import cost as timing
from experiments.analysis.ratios import at_end, goes_with, varying
from experiments.analysis.selection import at_last_step, own_best, steps_to
from experiments.plots import style
from experiments.plots.captions import caption, words
from experiments.plots.figure_table import FIGURES, needs, without_records
from experiments.plots.lines import draw_lines
from experiments.plots.panels import panel_sheet
from experiments.plots.views import Column, Fields, View, Where, arrange, groups, moments, name_of, require
from experiments.storage.records import Records
from mlp.registry import Positive

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOT = "#0072B2"
CHOSEN = "Each at its own best learning rate by {}, which one half of the seeds chooses for the other."

# At their own best ----------------------------------------------------------------------------------------


def at_own_best(records: Records, column: str, *, larger: bool) -> tuple[Records, tuple[str, ...]]:
    """Every setting's runs at its own best, and a remark that says so; all runs where there is no choice.

    A setting is a combination of whatever varies but the learning rate and the seed.
    """
    runs = records.runs
    by = [field for field in varying(runs) if field != "lr"]
    if goes_with(runs, "lr", by):
        return records, ()
    best = own_best(at_last_step(records, column), by, larger=larger)
    return records.of(best["run_id"]), (CHOSEN.format(column.replace("_", " ")),)


def _view(records: Records, column: str, *, larger: bool, **options: Any) -> View:
    kept, remarks = at_own_best(records, column, larger=larger)
    view = arrange(kept, **options)
    return replace(view, remarks=(*view.remarks, *remarks))


@FIGURES
def accuracy_by_depth(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Figure:
    """Accuracy after training against depth.

    The share of training and of test examples that are classified rightly after the last update, for networks
    of each depth; depth 0 is a linear classifier.
    """
    view = _view(records, "test_accuracy", larger=True, hue=hue, facet=facet, where=where, across=["depth"])
    ends = at_end(view.records.steps, view.records.runs)
    columns = [
        Column(f"{part} accuracy", view.medians(ends, column, "depth"), "accuracy", "depth", "share")
        for part, column in (("training", "accuracy"), ("test", "test_accuracy"))
    ]
    return draw_lines(view, columns, accuracy_by_depth)


@FIGURES
@needs("displacement")
def displacement_by_layer(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Figure:
    """How far the weights have come from where they were drawn.

    ‖w − w₀‖/‖w₀‖ of every layer after the last update. Under 0.01 (dashed) a layer is as good as where it was
    drawn, whatever the others have learnt.
    """
    view = _view(records, "loss", larger=False, hue=hue, facet=facet, where=where, default=["depth"])
    when, rows = list(moments(view).items())[-1]
    curves = view.medians(rows, "displacement", "layer")
    column = Column(when, curves, "‖w − w₀‖ / ‖w₀‖", guide=0.01)
    return draw_lines(view, [column], displacement_by_layer)


@FIGURES
def accuracy_by_setting(records: Records, *, where: Where = "") -> Figure:
    """Test accuracy of every setting.

    A dot for each seed and a bar at their median, of the share of test examples that are classified rightly
    after the last update; beside the name the learning rate.
    """
    kept, remarks = at_own_best(arrange(records, where=where).records, "test_accuracy", larger=True)
    view = replace(arrange(kept), remarks=remarks)
    keys = [field for field in varying(kept.runs) if field != "lr"]
    view = replace(view, hue=tuple(keys), facet=())
    values = at_last_step(kept, "test_accuracy")
    curves = view.medians(at_end(kept.steps, kept.runs), "test_accuracy")
    rows = list(groups(values, keys))
    names = [_setting(keys, key, found) for key, found in rows]
    title, said = caption(accuracy_by_setting, view, [curves])
    said = said.replace("Line: median", "Bar: median").replace("; band: their range", "; dots: their range")
    sheet, grid = panel_sheet(
        (title, said), [["after training"]],
        space=style.Spacing(width=5.5, height=0.3 * len(rows) + 0.3, left=0.6 + 0.088 * max(map(len, names))),
    )  # fmt: skip
    _draw_dots(grid[0, 0], [found["value"].to_numpy(float) for _, found in rows], names)
    return sheet


def _setting(keys: list[str], key: tuple[Any, ...], rows: pd.DataFrame) -> str:
    """What sets it apart; that a field is none or 0 goes without saying."""
    told = [i for i, value in enumerate(key) if value not in ("none", 0)]
    parts = [name_of([keys[i] for i in told], [key[i] for i in told])]
    rates = " or ".join(map(style.show, sorted(rows["lr"].unique())))
    return ", ".join(filter(None, [*parts, f"lr={rates}"]))


def _draw_dots(panel: Axes, values: list[np.ndarray], names: list[str]) -> None:
    """One row a setting, the first at the top."""
    for row, found in enumerate(values):
        finite = found[np.isfinite(found)]
        if not len(finite):
            words = {"size": style.TICK, "color": style.FAINT, "ha": "center", "va": "center"}
            panel.text(0.5, row, "no finite value", **words)
            continue
        panel.plot(finite, np.full(len(finite), row), "o", color=DOT, alpha=0.5, markersize=6)
        panel.plot([np.median(finite)] * 2, [row - 0.35, row + 0.35], color=style.INK, linewidth=2)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.set_xlim(-0.03, 1.03)
    panel.set_xlabel("test accuracy", size=style.LABEL)


# Along a grid ---------------------------------------------------------------------------------------------


@FIGURES
@needs("one_sign_fraction_batch", "sign_agreement_batch")
def signs_by_batch(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Figure:
    """Signs of the gradients into a unit against the size of the batch.

    Of units fed by hidden ones, after the last update: the share whose incoming weights all have gradients of
    one sign, in the layer where it is smallest; and their sign agreement |n₊ − n₋|/n, 1 for all of one sign
    and near 0 for an even split, in the mean over layers.
    """
    view = arrange(records, hue, facet, where, across=["batch"])
    for probe in ("one_sign_fraction_batch", "sign_agreement_batch"):
        require(view.records.layers, probe)
    rows = at_end(view.records.layers, view.records.runs)
    fed = rows[rows["layer"] > 1].groupby("run_id", as_index=False)
    found = fed.agg({"one_sign_fraction_batch": "min", "sign_agreement_batch": "mean"})
    names = {"one_sign_fraction_batch": "all of one sign", "sign_agreement_batch": "sign agreement"}
    columns = [
        Column(name, view.medians(found, probe, "batch"), "share", "batch", "share")
        for probe, name in names.items()
    ]
    return draw_lines(view, columns, signs_by_batch)


@FIGURES
def steps_by_rate(
    records: Records, *, target: Positive = 0.2, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Figure:
    """Steps to a training loss, for every learning rate.

    How many updates until the training loss is at most the target. Where lines run together both settings
    learn alike; the line that ends or turns first is the one that stands no larger rate. A rate at which most
    seeds do not arrive is not drawn.
    """
    view = arrange(records, hue, facet, where, across=["lr"])
    found = steps_to(view.records, target)[["run_id", "value"]].rename(columns={"value": "steps_to"})
    curves = view.medians(found.replace(np.inf, np.nan), "steps_to", "lr")
    curves.loc[curves["missing"] > curves["n"], ["median", "low", "high"]] = np.nan
    return draw_lines(view, [Column(f"to a loss of {target:g}", curves, "steps", "lr")], steps_by_rate)


# Costs ----------------------------------------------------------------------------------------------------


@FIGURES
@without_records
def activation_costs(records: Records | None) -> Figure:
    """What the write-up's activations cost.

    Timed when this was drawn, on the machine that drew it, one thread; bar: median of several processes,
    line: their range, which covers it with probability 0.97. Left: forward and backward through one element,
    as the training loop does both. Middle: the part of a whole training step that is the activation's. Right,
    on a logarithmic scale: the write-up's own code, in which a ReLU is a Python loop over the elements.
    """
    costs = _costs()
    colours = {text: look.colour for text, look in style.looks(timing.TIMED, "activation").items()}
    sheet, grid = panel_sheet(
        words(activation_costs), [[name for name, *_ in costs]],
        legend=[style.key(text, style.Look(colour)) for text, colour in colours.items()],
        space=style.Spacing(width=3.6, height=2.8, across=0.85),
    )  # fmt: skip
    for panel, (_, x, y, bars) in zip(grid[0], costs, strict=True):
        _draw_bars(panel, bars, colours)
        panel.set_xlabel(x, size=style.LABEL)
        panel.set_ylabel(y, size=style.LABEL)
    grid[0, 2].set_yscale("log")
    return sheet


def _costs() -> list[tuple[str, str, str, dict[str, dict[str, timing.Times]]]]:
    """Of each panel its name, its axes and its groups of bars."""
    found = timing.costs(timing.TIMED)
    elements = {
        f"{dtype.replace('float', 'f')}\n{place.removesuffix(' cache')}": times
        for (dtype, place), times in found.element.items()
    }
    steps = {
        f"{width}": {text: times.share(text) for text in timing.TIMED} for width, times in found.step.items()
    }
    printed = {"": found.printed}
    return [
        ("one element", "number format, in or out of the cache", "ns", elements),
        ("part of a training step", "width", "share", steps),
        ("the write-up's own code", "function and derivative", "ns per element", printed),
    ]


def _draw_bars(panel: Axes, bars: dict[str, dict[str, timing.Times]], colours: dict[str, Any]) -> None:
    """A group of bars for each entry, one bar an activation."""
    wide = 0.8 / len(colours)
    for group, times in enumerate(bars.values()):
        for place, (text, colour) in enumerate(colours.items()):
            each = np.median(times[text], axis=-1)  # of every process
            x = group + (place - (len(colours) - 1) / 2) * wide
            panel.bar(x, np.median(each), wide * 0.92, color=colour, label=text)
            panel.vlines(x, each.min(), each.max(), color=style.INK, linewidth=1.4)
    panel.set_xticks(range(len(bars)), list(bars))
    panel.grid(axis="x", visible=False)
