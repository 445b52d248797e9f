"""The skeleton of every figure: a sheet of titled panels, in rows that may have names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from experiments.plots import style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

LINE_OF_A_ROW_NAME = 0.23  # inches
USUAL = style.Spacing()


def panel_sheet(
    head: tuple[str, str],
    titles: Sequence[Sequence[str]],
    *,
    row_names: Sequence[str] = (),
    legend: Sequence[Artist] = (),
    legend_title: str = "",
    space: style.Spacing = USUAL,
    columns: int = 1,
    title_lines: int | None = None,
) -> tuple[Figure, np.ndarray]:
    """A figure and its grid of empty panels, one for each title, row by row; places left over are hidden.

    head: the figure's title and caption. row_names: written at the left edge beside each row; their room is
    added to that of `space`. columns: how many there are at least. title_lines: how many lines the panels'
    titles have room for (by default as many as the longest takes).
    """
    lines = style.lines_of(chain(*titles), style.PANEL_WIDTH) if title_lines is None else title_lines
    left = LINE_OF_A_ROW_NAME * style.lines_of(row_names, style.ROW_WIDTH) if row_names else 0.0
    sheet, grid = style.sheet(
        len(titles), max(columns, *map(len, titles)), title=head[0], caption=head[1], legend=legend,
        legend_title=legend_title, space=replace(space, left=space.left + left, titles=lines),
    )  # fmt: skip
    for panels, row in zip(grid, titles, strict=True):
        for panel, title in zip(panels, row, strict=False):
            style.name_panel(panel, title)
        for panel in panels[len(row) :]:
            panel.set_visible(False)
    for panels, name in zip(grid, row_names, strict=False):
        style.name_row(panels[0], name)
    return sheet, grid


def in_rows(names: Sequence[str], wide: int) -> list[list[str]]:
    """Names cut into rows of at most so many."""
    return [list(names[i : i + wide]) for i in range(0, len(names), wide)]
