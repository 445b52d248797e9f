"""Medians over seeds -> a sheet of maps of layer × step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.plots import axes, style
from experiments.plots.captions import caption
from experiments.plots.panels import in_rows, panel_sheet
from experiments.plots.views import Column, View, facets, name_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_MAPS = 36  # all activations twice; beyond, what is left out is said
WIDE = 4  # maps in a row
ZERO, HOLE = "#000000", "#D9D9D9"  # colours of an exact zero on a logarithmic scale, and of no number


def draw_maps(view: View, columns: Sequence[Column], figure: Callable[..., Any]) -> Figure:
    """Maps of layer × step, the colour a median: each quantity over all facets, in rows of up to four."""
    maps, wide, left_out = _in_rows(view, columns)
    colours = _Colours.over([column for _, column in maps])
    head = caption(figure, view, [column.curves for column in columns], interval=False, more=left_out)
    sheet, grid = panel_sheet(
        head, in_rows([name for name, _ in maps], wide), legend=colours.legend(),
        space=style.Spacing(across=0.55, right=1.4),
    )  # fmt: skip
    for i, (panel, (_, column)) in enumerate(zip(grid.flat, maps, strict=False)):
        colours.draw(panel, column.curves)
        panel.set_ylabel("" if i % wide else "layer  (1 = nearest the input)", size=style.LABEL)
    colours.bar(sheet, grid, columns[0].label)
    return sheet


def _in_rows(view: View, columns: Sequence[Column]) -> tuple[list[tuple[str, Column]], int, str]:
    """Named maps in the order in which they fill rows, how many a row has, and what to say is left out."""
    kept, left_out = facets(view, MOST_MAPS // len(columns))
    if len(kept) <= WIDE:  # a row for each quantity, else the quantities of a setting beside one another
        cells = [(key, column) for column in columns for key in kept]
    else:
        cells = [(key, column) for key in kept for column in columns]
    names = [": ".join(filter(None, (name_of(view.facet, key), column.title))) for key, column in cells]
    maps = [column.only(view.facet, key) for key, column in cells]
    return list(zip(names, maps, strict=True)), min(WIDE, len(kept)), left_out


@dataclass(frozen=True)
class _Colours:
    """One colour scale for all maps of a figure; exact zeros and missing values have colours of their own."""

    low: float
    high: float
    zero: float | None  # what an exact zero is in the curves (−inf: they are log10); None: a linear scale
    zeros: bool  # whether there are any
    holes: bool

    @classmethod
    def over(cls, columns: Sequence[Column]) -> _Colours:
        values = np.concatenate([column.curves["median"].to_numpy(float) for column in columns])
        zero = columns[0].zero
        holes = bool((~np.isfinite(values) & (values != zero)).any())
        if zero is None:
            return cls(0, 1, None, False, holes)
        exponents = _exponents(values, zero)
        exponents = exponents[np.isfinite(exponents)]
        low, high = (exponents.min(), exponents.max()) if exponents.size else (-1.0, 0.0)
        return cls(low, max(high, low + 0.1), zero, bool((values == zero).any()), holes)

    def draw(self, panel: Axes, curves: pd.DataFrame) -> None:
        """One map; the steps are evenly spaced as watched, layer 1 is at the bottom."""
        if not len(curves):
            panel.set_xticks([])
            panel.set_yticks([])
            style.note(panel, "nothing to show")
            return
        table = curves.set_index(["layer", "step"])["median"].unstack()  # noqa: PD010 - a pivot_table drops NaN
        panel.grid(False)
        panel.imshow(
            self.shades(table.to_numpy(float)), origin="lower", aspect="auto", interpolation="nearest",
            cmap=self.map(), vmin=self.low, vmax=self.high,
            extent=(-0.5, table.shape[1] - 0.5, table.index[0] - 0.5, table.index[-1] + 0.5),
        )  # fmt: skip
        panel.set_yticks(axes.layer_ticks(int(table.index[-1])))
        places = style.spread(table.shape[1], 6)
        panel.set_xticks(places, [f"{table.columns[i]}" for i in places])
        panel.set_xlabel("step  (as watched)", size=style.LABEL)

    def shades(self, values: np.ndarray) -> np.ma.MaskedArray:
        """Values as colours are looked up: log₁₀, with 0 under the scale and what is not finite masked."""
        if self.zero is None:
            return np.ma.masked_invalid(values)
        shades = np.where(values == self.zero, self.low - 1, _exponents(values, self.zero))
        return np.ma.masked_invalid(shades)

    def map(self) -> Any:
        """The colour map with its two colours for what is not on the scale."""
        from matplotlib import colormaps

        colours = colormaps[style.SHARES if self.zero is None else style.ORDERED]
        return colours.with_extremes(under=ZERO, bad=HOLE)

    def bar(self, sheet: Figure, grid: np.ndarray, label: str) -> None:
        """The colour bar, right of all panels."""
        name = label if self.zero is None else f"log₁₀ {label}"
        colour_bar(sheet, grid, name, self.map(), (self.low, self.high))

    def legend(self) -> list[Artist]:
        """Keys for the colours that are not on the scale, where they occur."""
        from matplotlib.patches import Patch

        found = [(self.zeros, ZERO, "exactly 0"), (self.holes, HOLE, "no finite value")]
        return [Patch(color=colour, label=label) for there, colour, label in found if there]


def colour_bar(sheet: Figure, grid: np.ndarray, label: str, colours: Any, ends: tuple[float, float]) -> None:
    """One colour bar, right of all panels."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    wide, high = sheet.get_size_inches()
    top, bottom = grid[0, 0].get_position().y1, grid[-1, 0].get_position().y0
    tall = min(top - bottom, 5.0 / high)
    place = sheet.add_axes((1 - 1.15 / wide, top - tall, 0.18 / wide, tall), label="colour bar")
    bar = sheet.colorbar(ScalarMappable(Normalize(*ends), colours), cax=place)
    bar.set_label(label, size=style.LABEL)
    bar.ax.tick_params(labelsize=style.TICK)


def _exponents(values: np.ndarray, zero: float) -> np.ndarray:
    """log10 of values, which they are already where an exact zero is −inf."""
    if zero:
        return values
    return np.log10(values, where=values > 0, out=np.where(values == 0, -np.inf, np.nan))
