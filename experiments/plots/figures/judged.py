"""Figures of what claims compare: settings at their own best, learning rates, batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_end, goes_with, varying
from experiments.analysis.score import Score, score_of
from experiments.analysis.selection import at_last_step, own_best, steps_to
from experiments.config.run_filter import listed
from experiments.plots import style, titles, value_names
from experiments.plots.axes import plainly
from experiments.plots.captions import notes
from experiments.plots.figure_table import FIGURES, along, needs, words_of
from experiments.plots.figures.layers import main_curves
from experiments.plots.figures.over_training import accuracy_options
from experiments.plots.labels import fitting_rows
from experiments.plots.lines import draw_lines
from experiments.plots.panel_tables import tell
from experiments.plots.panels import Panel
from experiments.plots.picture import Picture
from experiments.plots.views import (
    Column,
    Fields,
    View,
    Where,
    arrange,
    groups,
    moments,
    name_of,
    require,
)
from experiments.storage.records import Records
from mlp.registry import Positive

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CHOSEN = "Each at its own best learning rate by {}, which one half of the seeds chooses for the other."
DOT = "#332288"

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
    """The view of every setting at its own best; a rate that was chosen makes no panels unless asked for."""
    kept, remarks = at_own_best(records, column, larger=larger)
    asked = "lr" in (*listed(options.get("hue")), *listed(options.get("facet")))
    if remarks and not asked:
        options["across"] = [*options.get("across", ()), "lr"]
    view = arrange(kept, **options)
    return replace(view, remarks=(*view.remarks, *remarks))


@FIGURES
@along("depth")
def accuracy_by_depth(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """Accuracy after training against depth.

    The share of test and of training examples that are classified rightly after the last update, for networks
    of each depth; depth 0 is a linear classifier. Dashed: what one answer to all would get right.
    """
    score = score_of(records)
    view = _view(records, score.test, larger=True, hue=hue, facet=facet, where=where, across=["depth"])
    ends = at_end(view.records.steps, view.records.runs)
    share = accuracy_options(view.records)
    columns = [
        Column(
            score.words(column),
            view.medians(ends, column, "depth"),
            score.name,
            "depth",
            score.scale,
            **share,
        )
        for column in (score.test, score.train)
    ]
    return draw_lines(view, columns, accuracy_by_depth, _deepest_best(view, columns[0]))


def _deepest_best(view: View, column: Column) -> str:
    """The best and the worst accuracy in the deepest networks."""
    key, curves = main_curves(view, column)
    depth = curves["depth"].max()
    found = titles.cases(curves[curves["depth"] == depth], view.hue)
    if not found:
        return titles.NOTHING
    worst, best = found[0], found[-1]
    text = f"{best.name} reaches {titles.share(best.value)} {column.title}"
    if best is not worst:
        text += f", {worst.name} {titles.share(worst.value)}"
    return titles.under(["depth", *view.facet], [depth, *key], text)


@FIGURES
@needs("displacement")
def displacement_by_layer(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """How far the weights have come from where they were drawn.

    ‖w − w₀‖/‖w₀‖ of every layer after the last update. Under 0.01 (dashed) a layer is as good as where it was
    drawn, whatever the others have learnt.
    """
    view = _view(records, "loss", larger=False, hue=hue, facet=facet, where=where, default=["depth"])
    when, rows = list(moments(view).items())[-1]
    curves = view.medians(rows, "displacement", "layer")
    column = Column(when, curves, "‖w − w₀‖ / ‖w₀‖", guide=0.01, says={0.01: "as good as unmoved"})
    return draw_lines(view, [column], displacement_by_layer, _come_far(view, column))


def _come_far(view: View, column: Column) -> str:
    """How far layer 1 has come, of the setting in which it has come least and most."""
    key, curves = main_curves(view, column)
    found = titles.cases(curves[curves["layer"] == 1], view.hue)
    if not found:
        return titles.NOTHING
    low, high = found[0], found[-1]
    text = f"with {low.name}, layer 1 has moved by {titles.amount(low.value)} times the size of its weights"
    if high is not low:
        text += f"; with {high.name} by {titles.amount(high.value)} times"
    return titles.under(view.facet, key, text)


@FIGURES
def accuracy_by_setting(records: Records, *, where: Where = "") -> Picture:
    """Test accuracy of every setting.

    A dot for each seed and a bar at their median, of the share of test examples that are classified rightly
    after the last update; beside the name the learning rate.
    """
    score = score_of(records)
    kept, remarks = at_own_best(arrange(records, where=where).records, score.test, larger=True)
    view = replace(arrange(kept), remarks=remarks)
    keys = [field for field in varying(kept.runs) if field != "lr"]
    view = replace(view, hue=tuple(keys), facet=())
    values = at_last_step(kept, score.test)
    curves = view.medians(at_end(kept.steps, kept.runs), score.test)
    rows = list(groups(values, keys))
    names = [_setting(keys, key, found) for key, found in rows]
    values = [found["value"].to_numpy(float) for _, found in rows]
    chance = accuracy_options(kept).get("guides", ())
    panel = Panel(
        "", partial(_draw_dots, values=values, names=names, told=_ends(values), chance=chance, score=score),
        rows=1.35 * len(rows) + 1, names=names,
    )  # fmt: skip
    said = notes(view, [curves], "Bar: median of {}; dots: their range")
    found = _range_of(values, [key for key, _ in rows], keys, score)
    return Picture(words_of(accuracy_by_setting, found, said), (panel,))


def _range_of(
    values: Sequence[np.ndarray], settings: Sequence[tuple[Any, ...]], keys: Sequence[str], score: Score
) -> str:
    """The settings of the best and the worst median, by what sets these two apart."""
    if not (ends := _ends(values)):
        return titles.NOTHING
    best, worst = ends
    reached = {place: float(np.median(values[place][np.isfinite(values[place])])) for place in ends}
    apart = [
        i for i, key in enumerate(keys) if key == "activation" or settings[best][i] != settings[worst][i]
    ]
    names = [_spoken(keys, settings[place], apart) for place in (best, worst)]
    text = f"{names[0]} reaches a {score.words(score.test)} of {titles.share(reached[best])}"
    return titles.sentence(text if best == worst else f"{text}, {names[1]} {titles.share(reached[worst])}")


def _ends(values: Sequence[np.ndarray]) -> tuple[int, ...]:
    """The places of the best and of the worst median; nothing where there is no number."""
    finite = [found[np.isfinite(found)] for found in values]
    middle = {place: float(np.median(found)) for place, found in enumerate(finite) if len(found)}
    return tuple(choose(middle, key=middle.__getitem__) for choose in (max, min)) if middle else ()


def _spoken(keys: Sequence[str], setting: tuple[Any, ...], apart: Sequence[int]) -> str:
    """A setting by these of its fields; that one is none or 0 goes without saying where others say enough."""
    told = [i for i in apart if setting[i] not in ("none", 0)] or apart
    return titles.spoken([keys[i] for i in told], [setting[i] for i in told])


def _setting(keys: list[str], key: tuple[Any, ...], rows: pd.DataFrame) -> str:
    """What sets it apart; that a field is none or 0 goes without saying."""
    told = [i for i, value in enumerate(key) if value not in ("none", 0)]
    parts = [name_of([keys[i] for i in told], [key[i] for i in told])]
    rates = " or ".join(map(value_names.show, sorted(rows["lr"].unique())))
    return ", ".join(filter(None, [*parts, f"lr={rates}"]))


def _draw_dots(
    panel: Axes, scale: Any, *, values: Sequence[np.ndarray], names: Sequence[str], told: Sequence[int],
    chance: Sequence[float], score: Score,
) -> None:  # fmt: skip
    """One row per setting, the first at the top; those that the title speaks of (told) are not left out."""
    dots = style.shown(style.Look(DOT), panel).colour
    ends = [
        np.nanquantile(found, (0.5, 0, 1)) if np.isfinite(found).any() else [np.nan] * 3 for found in values
    ]
    rows = [[name, *each] for name, each in zip(names, ends, strict=True)]
    tell(panel, score.words(score.test), ["setting", "median", "lowest", "highest"], rows)
    kept, names = fitting_rows(panel, names, told)
    values = [values[i] for i in kept]
    for level in chance:
        panel.axvline(level, color=style.faint(panel), linewidth=1.2, dashes=(6, 3), label="_guide", zorder=1)
        panel.annotate(
            f"{score.chance}, {level:.2g}", (level, 1), (3, -2), xycoords=("data", "axes fraction"),
            textcoords="offset points", color=style.faint(panel), va="top",
        )  # fmt: skip
    for row, found in enumerate(values):
        finite = found[np.isfinite(found)]
        if not len(finite):
            panel.text(0.5, row, "no finite value", color=style.faint(panel), ha="center", va="center")
            continue
        panel.plot(finite, np.full(len(finite), row), "o", color=dots, alpha=0.5)
        panel.plot([np.median(finite)] * 2, [row - 0.35, row + 0.35], color=style.ink(panel))
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.4, -0.9)
    if score.scale == "share":
        panel.set_xlim(-0.03, 1.03)
    panel.set_xlabel(score.words(score.test))


# Along a grid ---------------------------------------------------------------------------------------------


@FIGURES
@needs("one_sign_fraction_batch", "sign_agreement_batch")
@along("batch")
def signs_by_batch(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
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
    return draw_lines(view, columns, signs_by_batch, _one_sign(view, columns[0]))


def _one_sign(view: View, column: Column) -> str:
    """The share of units pushed one way only, at the smallest batch and at the largest, where it is most."""
    curves = column.curves
    ends = sorted(curves["batch"].unique())
    told = []
    for batch in dict.fromkeys((ends[0], ends[-1])) if ends else ():
        found = titles.cases(curves[curves["batch"] == batch], view.keys)
        if found:
            whose = titles.owned(found[-1].name, "units")
            told.append(f"in {titles.portion(found[-1].value)} of {whose} at a batch of {batch:g}")
    return f"All incoming weights get one sign {', and '.join(told)}" if told else titles.NOTHING


@FIGURES
@along("lr")
def steps_by_rate(
    records: Records, *, target: Positive = 0.2, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """Steps to a training loss, for every learning rate.

    How many updates until the training loss is at most the target. Where lines run together both settings
    learn alike; the line that ends or turns first is the one that stands no larger rate. A rate at which most
    seeds do not arrive is not drawn.
    """
    view = arrange(records, hue, facet, where, across=["lr"])
    found = steps_to(view.records, target)[["run_id", "value"]].rename(columns={"value": "steps_to"})
    curves = view.medians(found.replace(np.inf, np.nan), "steps_to", "lr")
    curves.loc[curves["missing"] > curves["n"], ["median", "low", "high"]] = np.nan
    column = Column(f"to a loss of {target:g}", curves, "steps", "lr")
    return draw_lines(view, [column], steps_by_rate, _fastest(view, curves, target))


def _fastest(view: View, curves: pd.DataFrame, target: float) -> str:
    """The fewest steps of each setting, at its own best rate: the fastest and the slowest setting."""
    known = curves.dropna(subset=["median"]).sort_values("median")
    found = titles.cases(known.drop_duplicates(view.keys or ["n"]), view.keys)
    if not found:
        return f"No setting reaches a training loss of {target:g} in most of its seeds"
    fast, slow = found[0], found[-1]
    text = f"{fast.name} needs {plainly(fast.value)} steps to a loss of {target:g} at its best rate"
    times = f": {slow.value / fast.value:.2g} times as many" if fast.value else ""
    more = f", {slow.name} {plainly(slow.value)}{times}"
    return titles.sentence(text if fast is slow else text + more)
