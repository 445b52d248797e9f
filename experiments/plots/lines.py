"""Medians over seeds -> panels of lines with bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.plots import axes, style, value_names
from experiments.plots.captions import notes
from experiments.plots.figure_table import words_of
from experiments.plots.labels import Line, broken, label_lines
from experiments.plots.panels import Panel
from experiments.plots.picture import Picture
from experiments.plots.views import BARE, Column, View, groups, name_of, settings_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST_FEW = 4  # panels of a default figure

Looks = dict[tuple[Any, ...], style.Look]  # by the values of the hue fields


def draw_lines(
    view: View,
    columns: Sequence[Column],
    figure: Callable[..., Any],
    finding: str = "",
    *,
    few: Sequence[int] = (),
    marks: Sequence[tuple[float, str]] = (),
    settings: Sequence[tuple[Any, ...]] = (),
    over_seeds: bool = True,
) -> Picture:
    """A panel for each quantity and combination of the facets, a line and its band for each hue.

    finding: the title; by default what is plotted. few: which of the columns answer the question (by
    default all). marks: moments on an axis of steps, with their names, which the legend tells. settings: the
    foremost, if not chosen here. over_seeds: whether the lines are medians of seeds, which is then said.
    Panels in which there is nothing to show are left out, and that is said.
    """
    keys, looks = settings_of(view), _looks(view, columns)
    cells = [(key, column.only(view.facet, key)) for key in keys for column in columns]
    panels = [_panel(view, key, column, looks, marks) for key, column in cells]
    there = [i for i, (_, column) in enumerate(cells) if _known(column)]
    order = _answering(view, keys, columns, [*few] or [*range(len(columns))], settings)
    kept = [i for i in order if i in there] or there or [0]
    medians = [column.curves for column in columns] if over_seeds else []
    said = [*notes(view, medians), *_left_out(panels, there)]
    said += view.left_out_of_names() + _said_of_zeros(columns) + _said_of_cuts(panels, columns[0].scale)
    shown = there or [0]
    return Picture(
        words_of(figure, view.shortened(finding), said),
        tuple(panels[i] for i in shown), tuple(shown.index(i) for i in kept[:MOST_FEW]),
        across=_across(len(columns)), legend=partial(_keys, columns, marks),
    )  # fmt: skip


def _across(columns: int) -> int:
    """How many panels stand side by side where all are drawn: a setting's, or as many settings as fit."""
    return columns if columns > 1 else 3


def _answering(
    view: View, keys: Sequence[tuple[Any, ...]], columns: Sequence[Column], few: Sequence[int],
    settings: Sequence[tuple[Any, ...]],
) -> list[int]:  # fmt: skip
    """Places of the panels that answer the question: the settings that show most, the chosen quantities."""
    fitting = max(1, MOST_FEW // len(few))
    chosen = settings or view.foremost(keys, columns[few[0]], fitting)
    return [keys.index(key) * len(columns) + i for key in chosen for i in few]


def _known(column: Column) -> bool:
    """Whether there is anything to draw."""
    medians = column.curves["median"]
    return bool((np.isfinite(medians) | (medians == column.zero)).any())


def _left_out(panels: Sequence[Panel], there: Sequence[int]) -> list[str]:
    lost = [panel for i, panel in enumerate(panels) if i not in there]
    if not lost:
        return []
    names = "; ".join(", ".join(filter(None, (panel.setting, panel.title))) for panel in lost[:3])
    return [f"Left out, for there is no finite value: {names}{' and others' if len(lost) > 3 else ''}."]


def _panel(
    view: View, key: tuple[Any, ...], column: Column, looks: Looks, marks: Sequence[tuple[float, str]]
) -> Panel:
    names = {name for hue, _ in groups(column.curves, view.hue) if (name := name_of_hue(view, hue))}
    parts = [part for name in (*names, *column.says.values()) for part in broken(name).split("\n")]
    return Panel(
        column.title, partial(_draw_panel, column=column, view=view, looks=looks, marks=marks),
        name_of(view.facet, key), column.label, column, _fit,
        rows=1.15 * sum(broken(name).count("\n") + 1 for name in names) + 1.1 * len(column.says),
        beside=max(map(len, parts), default=0), label=partial(_label, column=column, view=view, looks=looks),
    )  # fmt: skip


# Scales ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """What one y axis has to hold, and what it cuts off."""

    values: np.ndarray
    cut: np.ndarray


def _fit(columns: Sequence[Column]) -> Fit:
    """One axis for these columns. All medians and predictions lie on it; a seed that is far off does not."""
    predicted = [c.predicted[["median", "low", "high"]] for c in columns if c.predicted is not None]
    medians = _flat([c.curves[["median"]] for c in columns] + predicted)
    bands = _flat([c.curves[["low", "high"]] for c in columns])
    low, high = axes.reach(medians, columns[0].scale)
    cut = np.isfinite(bands) & (bands != columns[0].zero) & ((bands < low) | (bands > high))
    guides = columns[0].guides if columns[0].zero is None else ()
    return Fit(np.concatenate([medians, bands[~cut], guides]), bands[cut])


def _flat(frames: Sequence[pd.DataFrame]) -> np.ndarray:
    return np.concatenate([frame.to_numpy(float).ravel() for frame in frames])


def _set_y(panel: Axes, fit: Fit, column: Column) -> float | None:
    """The y axis of a panel; returns the height at which an exact 0 is drawn, if it has one."""
    panel.set_ylabel(column.label)
    if column.zero is not None:
        return axes.log_axis(panel, fit.values, column.guide, exponents=column.scale == "log10")
    if column.scale == "share":
        axes.share_axis(panel)
    else:
        axes.linear_axis(panel, fit.values, column.least)
    return None


# Drawing --------------------------------------------------------------------------------------------------


def _draw_panel(
    panel: Axes, fit: Fit, *, column: Column, view: View, looks: Looks, marks: Sequence[tuple[float, str]]
) -> None:
    if not _known(column):
        style.note(panel, "no finite value" if len(column.curves) else "nothing to show")
        return
    ground = _set_y(panel, fit, column)
    for level in _levels(column):
        style.guide(panel, level)
    for place, _ in marks if column.x == "step" else ():
        style.mark(panel, place)
    for hue, rows in groups(column.curves, view.hue):
        name = name_of_hue(view, hue) or "median"
        x, *values = _line(rows, column, ground, panel.get_ylim())
        style.band(panel, x, *values, looks[hue], name)
        if ground is not None:
            _mark_zeros(panel, rows, column, ground, looks[hue])
    for hue, rows in groups(column.predicted, view.hue) if column.predicted is not None else ():
        style.prediction(panel, *_line(rows, column, ground, panel.get_ylim()), looks[hue])
    _draw_x(panel, column, view)
    if column.x_label:
        panel.set_xlabel(column.x_label)


def _mark_zeros(panel: Axes, rows: pd.DataFrame, column: Column, ground: float, look: style.Look) -> None:
    """A tick on the floor wherever some seeds are exactly 0 and their median is not."""
    some = rows[(rows["low"] == column.zero) & (rows["median"] != column.zero)]
    if len(some):
        colour = style.shown(look, panel).colour
        panel.plot(some[column.x], [ground] * len(some), "|", color=colour, label="_zeros", alpha=0.8)


def _label(panel: Axes, *, column: Column, view: View, looks: Looks) -> None:
    """Name the lines where they end, and the guides."""
    by_name = {name_of_hue(view, hue) or "": look for hue, look in looks.items()}
    drawn = {str(line.get_label()): line for line in panel.lines if line.get_label() in by_name}
    found = [
        Line(name, by_name[name], *(np.asarray(part, float) for part in line.get_data()))
        for name, line in drawn.items()
    ]
    if not _known(column):
        return
    x = column.curves[column.x].to_numpy(float)
    ends = np.array([x.min(), x.max()])
    named = {level: column.says[level] for level in _levels(column) if level in column.says}
    label_lines(panel, found + [Line(name, None, ends, np.full(2, level)) for level, name in named.items()])


def _levels(column: Column) -> list[float]:
    """Where guides are drawn; on a logarithmic axis those below all numbers would lie among the zeros."""
    if column.zero is None or not column.guides:
        return [*([] if column.guide is None else [column.guide]), *column.guides]
    frames = [column.curves, *([] if column.predicted is None else [column.predicted])]
    seen = _flat([frame[["median"]] for frame in frames])
    lowest = seen[np.isfinite(seen) & (seen != column.zero)].min(initial=np.inf)
    return [level for level in column.guides if level > lowest]


def _line(
    rows: pd.DataFrame, column: Column, ground: float | None, ends: tuple[float, float]
) -> tuple[np.ndarray, ...]:
    """x, median, low and high in order of x.

    On a log axis exact zeros lie on the ground. A band that reaches zero while its median does not ends at
    the smallest number of the axis, or it would be a block of colour down to the floor.
    """
    rows = rows.sort_values(column.x)
    median, low, high = (rows[name].to_numpy(float) for name in ("median", "low", "high"))
    if ground is not None:
        low = np.where((low == column.zero) & (median != column.zero), median, low)
        high = np.where((median == column.zero) & (high != column.zero), ground, high)
        median, low, high = (np.where(v == column.zero, ground, v) for v in (median, low, high))
    values = [np.where(np.isfinite(v), v, np.nan) for v in (median, low, high)]
    return rows[column.x].to_numpy(float), *(np.clip(v, *ends) for v in values)


def _draw_x(panel: Axes, column: Column, view: View) -> None:
    if column.x == "depth":
        return axes.number_axis(panel, view.records.runs["depth"].unique(), "depth  (hidden layers)")
    if column.x in ("batch", "lr"):
        return axes.grid_axis(panel, view.records.runs[column.x].unique(), column.x)
    if column.x in ("dead", "at"):
        draw = axes.number_axis if column.x == "dead" else axes.size_axis
        return draw(panel, column.curves[column.x].unique(), column.x_label)
    last = int(column.curves[column.x].max()) if len(column.curves) else 1
    return (axes.layer_axis if column.x == "layer" else axes.step_axis)(panel, last)


def name_of_hue(view: View, hue: Sequence[Any]) -> str:
    """The name of a line: values that say what they are stand alone, of others the field is named."""
    parts = []
    for field, value in zip(view.hue, hue, strict=True):
        named = isinstance(value, str) and value != "none" and field in BARE
        parts.append(view.short(field)[value] if named else f"{field}={value_names.show(value)}")
    return ", ".join(parts)


def _looks(view: View, columns: Sequence[Column]) -> Looks:
    """A look for each line: the colour is the activation's wherever it is one of the fields, or the only
    one.
    """
    of_runs = set(view.hue) <= set(view.records.runs)  # else of something in a network, such as the layer
    hues = [key for key, _ in groups(view.records.runs if of_runs else columns[0].curves, view.hue)]
    if not view.hue:
        return {(): style.Look("#0072B2", "o")}
    by_field = [style.looks([hue[i] for hue in hues], field) for i, field in enumerate(view.hue)]
    if len(view.hue) == 1:
        return {hue: by_field[0][hue[0]] for hue in hues}
    if "activation" in view.hue:
        return _by_activation(view, hues, by_field[view.hue.index("activation")])
    turns = style.looks([name_of_hue(view, hue) for hue in hues])
    return {hue: turns[name_of_hue(view, hue)] for hue in hues}


def _by_activation(view: View, hues: Sequence[tuple[Any, ...]], own: dict[Any, style.Look]) -> Looks:
    """The activation's colour; what else differs is told by dashes and markers."""
    place = view.hue.index("activation")
    rest = list(dict.fromkeys(hue[:place] + hue[place + 1 :] for hue in hues))
    found = {}
    for hue in hues:
        turn = rest.index(hue[:place] + hue[place + 1 :])
        found[hue] = style.Look(
            own[hue[place]].colour,
            style.MARKS[turn % len(style.MARKS)],
            style.DASHES[turn % len(style.DASHES)],
        )
    return found


# Words ----------------------------------------------------------------------------------------------------


def _keys(columns: Sequence[Column], marks: Sequence[tuple[float, str]]) -> list[Artist]:
    """The legend's entries: for the moments that are marked, for what is predicted and for its band."""
    drawn = [column for column in columns if column.predicted is not None]
    wide = any((c.predicted["low"] < c.predicted["high"]).any() for c in drawn if c.predicted is not None)
    sd = " (±1 sd of one network)" if wide and drawn[0].reference == Column.reference else ""
    marked = [style.mark_key(text) for _, text in marks if any(c.x == "step" for c in columns)]
    return [*marked, *([style.prediction_key(drawn[0].reference + sd)] if drawn else [])]


def _said_of_zeros(columns: Sequence[Column]) -> list[str]:
    zero = any((c.curves[["median", "low", "high"]] == c.zero).any(axis=None) for c in columns)
    return ["Exact zeros lie on the line marked 0."] if zero else []


def _said_of_cuts(panels: Sequence[Panel], scale: str) -> list[str]:
    labels = dict.fromkeys(panel.group for panel in panels)
    fits = [_fit([panel.data for panel in panels if panel.group == label]) for label in labels]
    cut = np.concatenate(list(chain([fit.cut for fit in fits])))
    if not cut.size:
        return []
    say = axes.plainly if scale != "log10" else lambda end: axes.power(round(end))
    ends = " and ".join(dict.fromkeys(say(end) for end in (cut.min(), cut.max())))
    return [f"Bands that leave the axis are cut off there; they reach as far as {ends}."]
