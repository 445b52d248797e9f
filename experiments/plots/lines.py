"""Medians over seeds -> a sheet of panels of lines with bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.plots import axes, style
from experiments.plots.captions import caption
from experiments.plots.views import Column, View, groups, name_of
from experiments.plots.views import facets as facets_of

if TYPE_CHECKING:
    import pandas as pd
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
    view: View, columns: Sequence[Column], figure: Callable[..., Any],
    facets: Literal["across", "down"] = "across",
) -> Figure:
    """A panel for each quantity and combination of the facets, a line and its band for each hue."""
    rows, names, left_out = _lay_out(view, columns, facets)
    looks = _looks(view)
    title, words = caption(figure, view, [column.curves for column in columns])
    shared = all(len({cell.scale_of for cell in row}) == 1 for row in rows)
    sheet, grid = style.sheet(
        len(rows), len(rows[0]), title=title, caption=words + _said_of_zeros(columns) + left_out,
        legend=[style.key(name_of_hue(hue), look) for hue, look in looks.items()],
        legend_title=", ".join(view.hue),
        space=style.Spacing(
            across=0.3 if shared else 0.85,
            left=1.05 + 0.23 * style.lines_of(names, style.ROW_WIDTH),
            titles=style.lines_of((cell.title for row in rows for cell in row), style.PANEL_WIDTH),
        ),
    )  # fmt: skip
    for panels, row, name in zip(grid, rows, names, strict=True):
        _draw_row(panels, row, view, looks)
        style.name_row(panels[0], name)
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


def _draw_row(panels: Sequence[Axes], row: Sequence[Cell], view: View, looks: Looks) -> None:
    for scale in dict.fromkeys(cell.scale_of for cell in row):
        places = [i for i, cell in enumerate(row) if cell.scale_of == scale]
        ground = _share_y([panels[i] for i in places], [row[i].column for i in places])
        for i in places:
            _draw_panel(panels[i], row[i].column, view, looks, ground)
            style.name_panel(panels[i], row[i].title)
            panels[i].tick_params(labelleft=i == places[0])
        panels[places[0]].set_ylabel(row[places[0]].column.label, size=style.LABEL)
    for panel in panels[len(row) :]:
        panel.set_visible(False)


def _share_y(panels: Sequence[Axes], columns: Sequence[Column]) -> float | None:
    """One y axis for panels of one label; returns the height at which an exact 0 is drawn, if it has one."""
    frames = [frame for c in columns for frame in (c.curves, c.predicted) if frame is not None]
    values = np.concatenate([frame[["median", "low", "high"]].to_numpy(float).ravel() for frame in frames])
    scale = columns[0].scale
    if scale == "log":
        return axes.log_axis(panels, values, columns[0].guide)
    (axes.share_axis if scale == "share" else axes.linear_axis)(panels, values)
    return None


def _draw_panel(panel: Axes, column: Column, view: View, looks: Looks, ground: float | None) -> None:
    if column.guide is not None:
        panel.axhline(column.guide, color=style.FAINT, linewidth=1.2, dashes=(6, 3), label="_guide", zorder=1)
    for hue, rows in groups(column.curves, view.hue):
        style.band(panel, *_line(rows, column.x, ground), looks[hue], name_of_hue(hue))
    for hue, rows in groups(column.predicted, view.hue) if column.predicted is not None else ():
        style.prediction(panel, *_line(rows, column.x, ground), looks[hue])
    if not np.isfinite(column.curves["median"]).any():
        style.note(panel, "no finite value" if len(column.curves) else "nothing to show")
    _draw_x(panel, column, view)


def _line(rows: pd.DataFrame, x: str, ground: float | None) -> tuple[np.ndarray, ...]:
    """x, median, low and high in order of x; on a log axis exact zeros lie on the ground."""
    rows = rows.sort_values(x)
    values = [rows[name].to_numpy(float) for name in ("median", "low", "high")]
    values = [np.where(np.isfinite(v), v, np.nan) for v in values]
    if ground is not None:
        values = [np.where(v == 0, ground, v) for v in values]
    return rows[x].to_numpy(float), *values


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
    zero = any((c.curves[["median", "low", "high"]] == 0).any(axis=None) for c in columns if c.scale == "log")
    return " Exact zeros lie on the line marked 0." if zero else ""
