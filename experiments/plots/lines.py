"""Medians over seeds -> a sheet of panels of lines with bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.plots import axes, style
from experiments.plots.captions import caption
from experiments.plots.panels import panel_sheet
from experiments.plots.views import Column, View, groups, name_of
from experiments.plots.views import facets as facets_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 32  # more than a screen that is scrolled once; what is left out is said
WIDE, MOST_ACROSS = 4, 5  # panels of 3 inches on a sheet that is still read when it is projected

Looks = dict[tuple[Any, ...], style.Look]  # by the values of the hue fields


@dataclass(frozen=True)
class Cell:
    """What a panel shows. Those of one row, one `setting` and one label share their y axis."""

    title: str
    column: Column
    setting: int = 0

    @property
    def scale_of(self) -> tuple[int, str]:
        """The same for cells that are drawn on one scale."""
        return self.setting, self.column.label


def draw_lines(
    view: View,
    columns: Sequence[Column],
    figure: Callable[..., Any],
    facets: Literal["across", "down"] = "across",
) -> Figure:
    """A panel for each quantity and combination of the facets, a line and its band for each hue."""
    rows, names, left_out = _lay_out(view, columns, facets)
    looks = _looks(view)
    fits = [_fits(row) for row in rows]
    more = _said_of_zeros(columns) + _said_of_cuts(fits, columns[0].scale) + left_out
    sheet, grid = panel_sheet(
        caption(figure, view, [column.curves for column in columns], more=more),
        [[cell.title for cell in row] for row in rows], row_names=names,
        legend=[*(style.key(name_of_hue(hue), look) for hue, look in looks.items()), *_theory(columns)],
        legend_title=", ".join(view.hue),
        space=style.Spacing(across=0.85 if any(len(found) > 1 for found in fits) else 0.3, left=1.05),
    )  # fmt: skip
    for panels, row, found in zip(grid, rows, fits, strict=True):
        _draw_row(panels, row, found, view, looks)
    return sheet


def _lay_out(
    view: View, columns: Sequence[Column], facets: Literal["across", "down"]
) -> tuple[list[list[Cell]], list[str], str]:
    """Rows of cells, their names, and what to say is left out.

    A row is a quantity over all settings, if these are few; else a setting with all quantities, or as many
    settings as fit.
    """
    kept, left_out = facets_of(view, MOST_PANELS // len(columns))
    settings = [name_of(view.facet, key) for key in kept]
    only = [[column.only(view.facet, key) for column in columns] for key in kept]
    if facets == "across" and 1 < len(kept) <= MOST_ACROSS:
        by_quantity = zip(*only, strict=True)
        rows = [[Cell(name, own) for name, own in zip(settings, row, strict=True)] for row in by_quantity]
        return rows, [column.title for column in columns], left_out
    fit = max(1, WIDE // len(columns))
    if len(kept) == 1 or fit == 1:
        return [[Cell(column.title, column) for column in own] for own in only], settings, left_out
    cells = [
        [Cell(f"{name}: {column.title}", column, i) for column in own]
        for i, (name, own) in enumerate(zip(settings, only, strict=True))
    ]
    rows = [list(chain(*cells[i : i + fit])) for i in range(0, len(cells), fit)]
    return rows, [""] * len(rows), left_out


def _theory(columns: Sequence[Column]) -> list[Artist]:
    """The legend's entry for what is predicted, if anything is, and for its band, if it has one."""
    drawn = [column for column in columns if column.predicted is not None]
    wide = any((c.predicted["low"] < c.predicted["high"]).any() for c in drawn if c.predicted is not None)
    sd = " (±1 sd of one network)" if wide and drawn[0].reference == Column.reference else ""
    return [style.prediction_key(drawn[0].reference + sd)] if drawn else []


@dataclass(frozen=True)
class Fit:
    """What one y axis, of the panels at `places` in their row, has to hold, and what it cuts off."""

    places: list[int]
    values: np.ndarray
    cut: np.ndarray


Fits = dict[tuple[int, str], Fit]  # by `Cell.scale_of`


def _fits(row: Sequence[Cell]) -> Fits:
    """The axes of a row. All medians and predictions lie on them; a seed that is far off does not."""
    found = {}
    for scale in dict.fromkeys(cell.scale_of for cell in row):
        places = [i for i, cell in enumerate(row) if cell.scale_of == scale]
        columns = [row[i].column for i in places]
        predicted = [c.predicted[["median", "low", "high"]] for c in columns if c.predicted is not None]
        medians = _flat([c.curves[["median"]] for c in columns] + predicted)
        bands = _flat([c.curves[["low", "high"]] for c in columns])
        low, high = axes.reach(medians, columns[0].scale)
        cut = np.isfinite(bands) & (bands != columns[0].zero) & ((bands < low) | (bands > high))
        guides = columns[0].guides if columns[0].zero is None else ()
        found[scale] = Fit(places, np.concatenate([medians, bands[~cut], guides]), bands[cut])
    return found


def _flat(frames: Sequence[pd.DataFrame]) -> np.ndarray:
    return np.concatenate([frame.to_numpy(float).ravel() for frame in frames])


def _draw_row(panels: Sequence[Axes], row: Sequence[Cell], fits: Fits, view: View, looks: Looks) -> None:
    for fit in fits.values():
        first = row[fit.places[0]].column
        ground = _share_y([panels[i] for i in fit.places], fit.values, first)
        for i in fit.places:
            _draw_panel(panels[i], row[i].column, view, looks, ground)
            panels[i].tick_params(labelleft=i == fit.places[0])
        panels[fit.places[0]].set_ylabel(first.label, size=style.LABEL)


def _share_y(panels: Sequence[Axes], values: np.ndarray, column: Column) -> float | None:
    """One y axis for some panels; returns the height at which an exact 0 is drawn, if it has one."""
    if column.zero is not None:
        return axes.log_axis(panels, values, column.guide, exponents=column.scale == "log10")
    (axes.share_axis if column.scale == "share" else axes.linear_axis)(panels, values)
    return None


def _draw_panel(panel: Axes, column: Column, view: View, looks: Looks, ground: float | None) -> None:
    for level in _levels(column):
        panel.axhline(level, color=style.FAINT, linewidth=1.2, dashes=(6, 3), label="_guide", zorder=1)
    for hue, rows in groups(column.curves, view.hue):
        style.band(panel, *_line(rows, column, ground, panel.get_ylim()), looks[hue], name_of_hue(hue))
    for hue, rows in groups(column.predicted, view.hue) if column.predicted is not None else ():
        style.prediction(panel, *_line(rows, column, ground, panel.get_ylim()), looks[hue])
    if not (np.isfinite(column.curves["median"]) | (column.curves["median"] == column.zero)).any():
        style.note(panel, "no finite value" if len(column.curves) else "nothing to show")
    _draw_x(panel, column, view)


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
    """x, median, low and high in order of x; on a log axis exact zeros lie on the ground."""
    rows = rows.sort_values(column.x)
    values = [rows[name].to_numpy(float) for name in ("median", "low", "high")]
    if ground is not None:
        values = [np.where(v == column.zero, ground, v) for v in values]
    values = [np.where(np.isfinite(v), v, np.nan) for v in values]
    return rows[column.x].to_numpy(float), *(np.clip(v, *ends) for v in values)


def _draw_x(panel: Axes, column: Column, view: View) -> None:
    if column.x == "depth":
        return axes.number_axis(panel, view.records.runs["depth"].unique(), "depth  (hidden layers)")
    if column.x in ("batch", "lr"):
        return axes.grid_axis(panel, view.records.runs[column.x].unique(), column.x)
    last = int(column.curves[column.x].max()) if len(column.curves) else 1
    return (axes.layer_axis if column.x == "layer" else axes.step_axis)(panel, last)


def name_of_hue(hue: Sequence[Any]) -> str:
    """A legend entry; the legend's title names the field."""
    return ", ".join(style.show(value) for value in hue)


def _looks(view: View) -> Looks:
    hues = [key for key, _ in groups(view.records.runs, view.hue)]
    if len(view.hue) == 1:
        by_value = style.looks([hue[0] for hue in hues], view.hue[0])
        return {hue: by_value[hue[0]] for hue in hues}
    names = {hue: name_of_hue(hue) for hue in hues}
    by_name = style.looks(list(names.values()))
    return {hue: by_name[name] for hue, name in names.items()}


def _said_of_zeros(columns: Sequence[Column]) -> str:
    zero = any((c.curves[["median", "low", "high"]] == c.zero).any(axis=None) for c in columns)
    return " Exact zeros lie on the line marked 0." if zero else ""


def _said_of_cuts(fits: Sequence[Fits], scale: str) -> str:
    cut = np.concatenate([fit.cut for found in fits for fit in found.values()])
    if not cut.size:
        return ""
    say = axes.plainly if scale != "log10" else lambda end: axes.power(round(end))
    ends = " and ".join(dict.fromkeys(say(end) for end in (cut.min(), cut.max())))
    return f" Bands that leave the axis are cut off there; they reach as far as {ends}."
