"""Medians over seeds -> panels that are maps of layer × step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import log10_of
from experiments.plots import axes, style
from experiments.plots.canvas import THEMES
from experiments.plots.captions import notes
from experiments.plots.figure_table import words_of
from experiments.plots.panel_tables import columns_shown, power, tell
from experiments.plots.panels import Bar, Panel
from experiments.plots.picture import Picture
from experiments.plots.views import Column, View, name_of, settings_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

WIDE = 3  # maps in a row, where all are drawn


def draw_maps(
    view: View,
    columns: Sequence[Column],
    figure: Callable[..., Any],
    finding: str,
    few: Sequence[tuple[tuple[Any, ...], int]] = (),
) -> Picture:
    """Maps of layer × step, the colour a median: each quantity of each setting.

    few: the settings and quantities that answer the question, by default the first quantity where it differs
    most. Maps that are one colour throughout say nothing and are drawn last.
    """
    keys = settings_of(view)
    cells = [(key, i) for key in keys for i in range(len(columns))]
    drawn = [columns[i].only(view.facet, key) for key, i in cells]
    colours = Shades.over(columns)
    bar = Bar(colours.name(columns[0].label), colours.map, (colours.low, colours.high))
    panels = [
        Panel(
            column.title, partial(colours.draw, curves=column.curves, what=column.label),
            name_of(view.facet, key), bar=bar,
        )
        for (key, _), column in zip(cells, drawn, strict=True)
    ]  # fmt: skip
    there = [i for i, column in enumerate(drawn) if len(column.curves)] or [0]
    chosen = [cells.index(cell) for cell in few] or [*there]
    apart = {i: drawn[i].spread() for i in chosen}
    order = sorted(chosen, key=lambda i: -apart[i]) if not few else chosen
    said = notes(view, [column.curves for column in columns], interval="")
    lost = len(panels) - len(there)
    said += [f"Left out, for there is nothing to show: {lost} maps."] * bool(lost)
    return Picture(
        words_of(figure, finding, said),
        tuple(panels[i] for i in there),
        tuple(there.index(i) for i in order if i in there)[:4],
        across=len(columns) if len(columns) > 1 else WIDE, legend=colours.legend,
    )  # fmt: skip


@dataclass(frozen=True)
class Shades:
    """One colour scale for all maps of a figure; exact zeros and missing values have colours of their own."""

    low: float
    high: float
    zero: float | None  # what an exact zero is in the curves (−inf: they are log10); None: a linear scale
    zeros: bool  # whether there are any
    holes: bool

    @classmethod
    def over(cls, columns: Sequence[Column]) -> Shades:
        """The scale that holds all medians; a scale of shares ends at the largest, but not below a tenth."""
        values = np.concatenate([column.curves["median"].to_numpy(float) for column in columns])
        zero = columns[0].zero
        holes = bool((~np.isfinite(values) & (values != zero)).any())
        if zero is None:
            most = np.nanmax(values) if np.isfinite(values).any() else 1.0
            return cls(0, 1 if most > 0.5 else max(0.1, float(most)), None, False, holes)
        exponents = _exponents(values, zero)
        exponents = exponents[np.isfinite(exponents)]
        low, high = (exponents.min(), exponents.max()) if exponents.size else (-1.0, 0.0)
        return cls(low, max(high, low + 0.1), zero, bool((values == zero).any()), holes)

    def draw(self, panel: Axes, scale: Any = None, *, curves: pd.DataFrame, what: str) -> None:
        """One map; the steps are evenly spaced as watched, layer 1 is at the bottom."""
        if not len(curves):
            style.note(panel, "nothing to show")
            return
        table = curves.set_index(["layer", "step"])["median"].unstack()  # noqa: PD010 - a pivot_table drops NaN
        panel.grid(False)
        panel.imshow(
            self.shades(table.to_numpy(float)), origin="lower", aspect="auto", interpolation="nearest",
            cmap=self.map(style.dark(panel)), vmin=self.low, vmax=self.high,
            extent=(-0.5, table.shape[1] - 0.5, table.index[0] - 0.5, table.index[-1] + 0.5),
        )  # fmt: skip
        panel.set_yticks(axes.layer_ticks(int(table.index[-1])))
        places = style.spread(table.shape[1], 6)
        panel.set_xticks(places, [f"{table.columns[i]}" for i in places])
        panel.set_xlabel("step  (as watched)")
        panel.set_ylabel("layer  (1 = nearest the input)")
        self.tell(panel, table, what)

    def tell(self, panel: Axes, table: pd.DataFrame, what: str) -> None:
        """Say the medians of a map: a row per layer, from the input on, and a column per step."""
        kept = columns_shown(table.shape[1])
        told = power if self.zero == -np.inf else float
        rows = [[str(layer), *(told(row.iloc[i]) for i in kept)] for layer, row in table.iterrows()]
        tell(panel, what, ["layer by step", *(str(table.columns[i]) for i in kept)], rows)

    def shades(self, values: np.ndarray) -> np.ma.MaskedArray:
        """Values as colours are looked up: log₁₀, with 0 under the scale and what is not finite masked."""
        if self.zero is None:
            return np.ma.masked_invalid(values)
        shades = np.where(values == self.zero, self.low - 1, _exponents(values, self.zero))
        return np.ma.masked_invalid(shades)

    def map(self, dark: bool) -> Any:
        """The colour map with its two colours for what is not on the scale."""
        from matplotlib import colormaps

        theme = THEMES["dark" if dark else "light"]
        colours = style.shares(dark) if self.zero is None else colormaps[style.ORDERED]
        return colours.with_extremes(under=theme.zero, bad=theme.hole)

    def name(self, label: str) -> str:
        """What the colour bar says."""
        return label if self.zero is None else f"log₁₀ {label}"

    def legend(self) -> list[Artist]:
        """Keys for the colours that are not on the scale, where they occur, in the theme that is set."""
        from matplotlib import rcParams
        from matplotlib.patches import Patch

        theme = next(theme for theme in THEMES.values() if theme.ink == rcParams["text.color"])
        found = [(self.zeros, theme.zero, "exactly 0"), (self.holes, theme.hole, "no finite value")]
        return [Patch(color=colour, label=label) for there, colour, label in found if there]


def _exponents(values: np.ndarray, zero: float) -> np.ndarray:
    """log10 of values, which they are already where an exact zero is −inf."""
    return values if zero else log10_of(values)
