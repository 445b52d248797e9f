"""Pictures of three lessons: why deep sigmoid fails, which units recover, what the initialisation decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis import lives as life
from experiments.analysis.ratios import at_start, decay, hidden
from experiments.analysis.score import score_of
from experiments.plots import axes, style, titles, value_names
from experiments.plots.axes import plainly
from experiments.plots.captions import notes
from experiments.plots.figure_table import FIGURES, needs, words_of
from experiments.plots.figures.layers import SIGNALS
from experiments.plots.figures.over_training import NEAR, accuracy_options, shock_mark
from experiments.plots.labels import fitting_rows
from experiments.plots.lines import draw_lines
from experiments.plots.panel_tables import tell
from experiments.plots.panels import Panel
from experiments.plots.picture import Picture, beside
from experiments.plots.views import (
    Column,
    Field,
    Fields,
    View,
    Where,
    arrange,
    groups,
    rows_where,
    scaled,
    settings_of,
)
from experiments.storage.records import Records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@FIGURES
@needs("delta_norm")
def gradient_and_accuracy(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """The gradient before training, and what is learnt then.

    First panel: ‖delta‖, the signal passed back, by layer at the start; a line that falls towards layer 1
    vanishes on its way to the input. Second panel: what the same networks classify rightly while they are
    trained; dashed: what one answer to all would get right.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    scale, found = scaled(view.records.layers, {"delta_norm": SIGNALS["delta_norm"]})
    ((signal, name),) = found.items()
    start = at_start(view.records.layers)
    gradient = Column(
        f"{name} at the start", view.medians(start, signal, "layer"), "Frobenius norm", scale=scale
    )
    share = accuracy_options(view.records)
    accuracy = _accuracy(view, share)
    chosen = _deepest_that_learns(view, accuracy)
    words = _fails(view, chosen, accuracy, share)
    marks = shock_mark(view.records)
    return draw_lines(
        view, [gradient, accuracy], gradient_and_accuracy, words, marks=marks, settings=[chosen]
    )


def _accuracy(view: View, share: dict[str, Any]) -> Column:
    """Test accuracy over the steps, or that in training where there is no test part."""
    steps, score = view.records.steps, score_of(view.records)
    name = score.known(steps)
    curves = view.medians(steps, name, "step")
    return Column(score.words(name), curves, score.name, "step", score.scale, **share)


def _last(curves: pd.DataFrame) -> pd.DataFrame:
    return curves[curves["step"] == curves["step"].max()] if len(curves) else curves


def _deepest_that_learns(view: View, accuracy: Column) -> tuple[Any, ...]:
    """The setting in which what is learnt differs most between the lines."""
    apart = {}
    for key in settings_of(view):
        found = titles.cases(_last(rows_where(accuracy.curves, view.facet, key)), view.hue)
        apart[key] = found[-1].value - found[0].value if found else -1.0
    return max(reversed(list(apart)), key=lambda key: round(apart[key], 2))


def _fails(view: View, key: Sequence[Any], accuracy: Column, share: dict[str, Any]) -> str:
    """What becomes of the gradient, and whether the setting that loses most of it learns."""
    gradient = titles.gradient(view, key)
    found = titles.cases(_last(rows_where(accuracy.curves, view.facet, key)), view.hue)
    if not found:
        return gradient
    text = gradient.split(";")[0]
    worst, best = found[0], found[-1]
    level = share["guides"][0] if share else -np.inf
    if worst.name.lower() in gradient.split(" passes")[0].lower() and worst.value <= level + NEAR:
        left = gradient.split(";")[1].strip() if ";" in gradient else ""
        end = f"{left}, and nothing is learnt" if left else "nothing is learnt"
        other = f"; {best.name} reaches {titles.share(best.value)}" if best is not worst else ""
        return f"{text}; {end}{other}"
    text = f"{text}; {best.name} learns to an {accuracy.label} of {titles.share(best.value)}"
    return text if best is worst else f"{text}, {worst.name} to {titles.share(worst.value)}"


# Deaths and recoveries ------------------------------------------------------------------------------------


@FIGURES
@needs("dead_fraction", "unit_dead")
def deaths_and_recoveries(records: Records, *, where: Where = "") -> Picture:
    """Units that an oversized step kills, and which of them come back.

    First panel: the share of hidden units that are dead (slope 0 on every example) over training, by the size
    of the step. Second panel: of the units that the largest step killed, the share that is still dead later,
    by layer: where it falls units come back, where it stays at 1 none does.
    """
    view = arrange(records, "schedule", None, where)
    at = life.shock_step(view.records)
    inside = hidden(view.records.layers, view.records.runs)
    share = inside.groupby(["run_id", "step"], as_index=False)["dead_fraction"].mean()
    curves = view.medians(share, "dead_fraction", "step")
    key = _deadliest(view, curves)
    dead = Column("dead", curves, "share of hidden units", "step", "share")
    toll = draw_lines(view, [dead], deaths_and_recoveries, settings=[key], marks=shock_mark(view.records))
    picked, factor = _largest(view, key)
    table = life.still_dead(picked, at)
    fate = arrange(picked, "seed")
    fate = View(fate.records, ("layer",), ())
    later = fate.medians(table, "dead", "layer", "step")
    later = later.assign(step=later["step"] - at)
    column = Column("of those killed, still dead", later, "share of the killed", "step", "share",
                    x_label="updates since the oversized step")  # fmt: skip
    finding = _toll(view, key, later, table, factor)
    words = words_of(deaths_and_recoveries, finding, notes(view, [curves]))
    if not len(later):
        return Picture(words, toll.panels, toll.few)
    return beside(words, toll, draw_lines(fate, [column], deaths_and_recoveries))


def _deadliest(view: View, curves: pd.DataFrame) -> tuple[Any, ...]:
    """The setting of the panels in which most units are dead at any step."""
    most = {key: rows_where(curves, view.facet, key)["median"].max() for key in settings_of(view)}
    return max(most, key=lambda key: (most[key] == most[key], most[key]))


def _largest(view: View, key: Sequence[Any]) -> tuple[Records, float]:
    """The records of the largest step in one setting, and its factor."""
    runs = rows_where(view.records.runs, view.facet, key)
    factors = runs["schedule"].map(life.shock_factor)
    return view.records.of(runs.loc[factors == factors.max(), "run_id"]), float(factors.max())


def _toll(view: View, key: Sequence[Any], later: pd.DataFrame, table: pd.DataFrame, factor: float) -> str:
    """How many units the largest step kills, and what share of them is back at the end, by layer."""
    acts = view.records.runs["activation"].unique()
    name = titles.spoken(["activation"], acts) if len(acts) == 1 else titles.spoken(view.facet, key)
    if not len(later):
        return titles.sentence(f"a step {factor:g} times as large as usual kills none of {name}’s units")
    first = table[table["step"] == table["step"].min()].groupby("run_id")["killed"].sum()
    runs = view.records.runs.set_index("run_id").loc[first.index]
    killed = float((first / (runs["depth"] * runs["width"])).median())
    last = later[later["step"] == later["step"].max()].sort_values("layer")
    back = {int(layer): 1 - value for layer, value in zip(last["layer"], last["median"], strict=True)}
    text = f"A step {factor:g} times as large as usual kills {titles.share(killed)} of {name}’s units; "
    most, least = max(back, key=back.__getitem__), min(back, key=back.__getitem__)
    if back[most] == 0:
        return text + "none of them comes back"
    text += f"{titles.share(back[most])} of these come back in layer {most}"
    return text if most == least else text + f", {_none(back[least])} in layer {least}"


def _none(value: float) -> str:
    return "none" if value == 0 else titles.share(value)


# Initialisation -------------------------------------------------------------------------------------------


NAMED = {"init": "initialisation"}


@FIGURES
@needs("delta_norm", "z_var")
def factors_by_setting(records: Records, *, rows: Field = "init", where: Where = "") -> Picture:
    """Factor of one layer on gradient and signal at the start, by initialisation.

    Dot: the factor per layer, by which ‖delta‖ changes on its way back (first panel) and the spread of z on
    its way forward (second panel), in the deepest networks; line: the range over seeds. At 1 (dashed) neither
    vanishes nor explodes; what lies off it is multiplied once per layer.
    """
    runs = arrange(records, None, rows, where).records.runs
    depth = int(runs["depth"].max())
    view = arrange(records.of(runs.loc[runs["depth"] == depth, "run_id"]), None, rows)
    view = replace(view, facet=tuple(dict.fromkeys((rows, *view.facet))))
    back = _in_rows(view, at_start(decay(view.records))[["run_id", "step", "factor"]])
    forth = _in_rows(view, _spread(view.records))
    panels = [
        Panel(
            title, partial(_draw_dots, view=view, curves=curves, first=curves is back), "", "factor", curves,
            _reach,
            rows=1.35 * back["row"].nunique(), names=list(back["row"].unique()),
            beside=back["row"].str.len().max(),
        )
        for title, curves in (("gradient, backward", back), ("signal, forward", forth))
    ]  # fmt: skip
    said = notes(view, [back], "Dot: median of {}; line: their range")
    words = words_of(factors_by_setting, _decides(view, back, rows), [f"Depth {depth}, the deepest.", *said])
    words = replace(words, subtitle=words.subtitle.replace("initialisation", NAMED.get(rows, rows)))
    return Picture(words, tuple(panels), (0, 1), legend=partial(_activation_keys, view))


def _in_rows(view: View, frame: pd.DataFrame) -> pd.DataFrame:
    """Medians of the factors, with the name of their row, in the order of the rows."""
    from pandas import concat

    curves = view.medians(frame, "factor")
    parts = [
        rows.assign(row=", ".join(_told(value, name) for name, value in zip(view.facet, key, strict=True)))
        for key, rows in groups(curves, view.facet)
    ]
    return concat(parts) if parts else curves.assign(row="")


def _spread(records: Records) -> pd.DataFrame:
    """Per run the factor on the sd of z from one hidden layer to the next, over all of them."""
    rows = at_start(hidden(records.layers, records.runs))
    first = rows[rows["layer"] == 1].set_index("run_id")["z_var"]
    last = rows.loc[rows.groupby("run_id")["layer"].idxmax()].set_index("run_id")
    layers = (last["layer"] - 1).clip(lower=1)
    with np.errstate(all="ignore"):
        factor = (last["z_var"] / first) ** (0.5 / layers)
    return factor.rename("factor").reset_index()


def _reach(frames: Sequence[pd.DataFrame]) -> tuple[float, float]:
    """The x axis of all panels: every median, and 1."""
    values = np.concatenate([frame[["median", "low", "high"]].to_numpy(float).ravel() for frame in frames])
    values = np.append(values[np.isfinite(values) & (values > 0)], 1.0)
    return float(values.min() / 1.25), float(values.max() * 1.25)


def _draw_dots(
    panel: Axes, ends: tuple[float, float], *, view: View, curves: pd.DataFrame, first: bool
) -> None:
    """One row for each value of the field, the first at the top, one dot in it for each line."""
    if not len(curves):
        style.note(panel, "nothing to show")
        return
    every = list(dict.fromkeys(curves["row"]))
    kept, names = fitting_rows(panel, every)
    values = [every[i] for i in kept]
    told, curves = curves, curves[curves["row"].isin(values)]
    hues = [key for key, _ in groups(curves, view.hue)]
    looks = style.looks([hue[0] for hue in hues], view.hue[0]) if view.hue else {}
    panel.set_xscale("log")
    panel.set_xlim(*ends)
    exponents, labels = axes.log_ticks(*np.log10(ends))
    panel.set_xticks([10.0**exponent for exponent in exponents], labels)
    panel.minorticks_off()
    panel.axvline(1, color=style.faint(panel), linewidth=1.4, dashes=(6, 3), label="_guide", zorder=1)
    for number, hue in enumerate(hues):
        look = style.shown(looks[hue[0]], panel) if looks else style.Look(style.ink(panel), "o")
        part = rows_where(curves, view.hue, hue)
        y = np.array([values.index(row) for row in part["row"]]) + 0.2 * (number - (len(hues) - 1) / 2)
        panel.hlines(y, part["low"], part["high"], color=look.colour)
        panel.plot(
            part["median"], y, look.marker or "o", color=look.colour, label=str(hue[0] if hue else "median")
        )
    panel.set_yticks(range(len(values)), names if first else [""] * len(names))
    panel.set_ylim(len(values) - 0.4, -0.6)
    panel.set_xlabel("factor per layer")
    found = {hue: dict(zip(part["row"], part["median"], strict=True)) for hue, part in groups(told, view.hue)}
    cells = [[row, *(found[hue].get(row, np.nan) for hue in hues)] for row in every]
    tell(panel, "factor per layer", ["setting", *(str(hue[0]) if hue else "median" for hue in hues)], cells)


def _told(value: Any, field: str) -> str:
    """A value with the options that are at their default where they are numbers: normal(std=0.01)."""
    full = value_names.spelled_out(value, field) if isinstance(value, str) else value_names.show(value)
    neutral = full.endswith("=1)") or not any(character.isdigit() for character in full)
    text = value_names.show(value) if neutral else full
    return text if isinstance(value, str) and value != "none" else f"{field}={text}"


def _activation_keys(view: View) -> list[Any]:
    hues = [hue[0] for hue, _ in groups(view.records.runs, view.hue)] if view.hue else []
    looks = style.looks(hues, view.hue[0]) if hues else {}
    return [
        style.key(str(name), style.Look(look.colour, look.marker or "o", "")) for name, look in looks.items()
    ]


def _decides(view: View, back: pd.DataFrame, rows: str) -> str:
    """Of the line for which the choice matters most: the worst and the best choice, and their factors."""
    apart = {}
    for hue, part in groups(back, view.hue):
        found = [titles.Case(row.row, row.median, row.low, row.high) for row in part.itertuples()]
        found = [case for case in found if case.value > 0]
        if found:
            off = sorted(found, key=lambda case: abs(np.log(case.value)))
            apart[hue] = off[-1], off[0]
    if not apart:
        return titles.NOTHING
    saved = {hue: pair for hue, pair in apart.items() if abs(pair[1].value - 1) <= titles.EVEN} or apart
    hue = max(saved, key=lambda hue: abs(np.log(saved[hue][0].value)) - abs(np.log(saved[hue][1].value)))
    worst, best = saved[hue]
    name, what = titles.spoken(view.hue, hue), "Initialisation" if rows == "init" else rows
    if abs(worst.value - best.value) <= titles.EVEN:
        return (
            f"{what} does not decide: {name} passes back {plainly(best.value)} to "
            f"{plainly(worst.value)} per layer"
        )
    return (
        f"{what} decides: {name} passes back {plainly(worst.value)} per layer with {worst.name}, "
        f"{plainly(best.value)} with {best.name}"
    )
