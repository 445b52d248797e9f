"""How gradients and outputs lie over the orders of magnitude while a network trains: a sheet of heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.ratios import join, median_range
from experiments.plots import axes, style
from experiments.plots.captions import caption
from experiments.plots.figure_table import FIGURES, needs
from experiments.plots.maps import colour_bar
from experiments.plots.panels import panel_sheet
from experiments.plots.views import (
    Fields,
    View,
    Where,
    arrange,
    as_panels,
    deepest,
    facets,
    name_of,
    rows_where,
)
from experiments.storage.records import Records
from mlp.probes.distributions import PER_DECADE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 6
LAYERS = 3  # the first, the middle and the last hidden layer
ZERO, SUBNORMAL = -1_000_000, -1_000_001  # stand for the rows that are not half decades
UNDER = {ZERO: "0", SUBNORMAL: "subn."}


@FIGURES
@needs("delta")
def distribution_over_time(records: Records, *, facet: Fields = None, where: Where = "") -> Figure:
    """Orders of magnitude over training: where each layer's numbers lie.

    Each column of a map is a watched step, each row half a decade of the true size, and the colour is the
    share of the layer's numbers that lie there (white: none). Under the scale, where there are any: the share
    that is exactly 0, and (subn.) the share that is not 0 but below the smallest normal number of the run's
    format, which a training that does not track exponents would lose. Layer 1 is nearest the input.
    """
    view = deepest(as_panels(arrange(records, None, facet, where)), facet, where)
    shares = {name: _shares(view, name) for name in view.records.distributions}
    scales = {name: _Scale.of(frame) for name, frame in shares.items()}
    kept, left_out = facets(view, max(1, MOST_ROWS // len(shares)))
    rows = [(key, name) for key in kept for name in shares]
    parts = [rows_where(shares[name], view.facet, key) for key, name in rows]
    layers = [_chosen(part) for part in parts]
    sheet, grid = panel_sheet(
        caption(distribution_over_time, view, list(shares.values()), interval=False, more=left_out),
        [[f"layer {layer}" for layer in row] or [""] for row in layers], columns=LAYERS, title_lines=1,
        row_names=[", ".join(filter(None, (name_of(view.facet, key), f"|{name}|"))) for key, name in rows],
        space=style.Spacing(right=1.4, left=1.15),
    )  # fmt: skip
    most = max(frame["median"].max() for frame in shares.values())
    for panels, (_, name), part, row in zip(grid, rows, parts, layers, strict=True):
        _draw_row(panels, part, row, scales[name], most)
    colour_bar(sheet, grid, "share of the layer's numbers", style.SHARES, (0.0, most))
    return sheet


def _shares(view: View, name: str) -> pd.DataFrame:
    """Median share over seeds by setting, layer, step and row: a half decade's number, ZERO or SUBNORMAL."""
    import pandas as pd

    bins = view.records.bins
    bins = bins.assign(value=bins[name], row=(PER_DECADE * bins["bin"]).clip(lower=ZERO))
    low = bins[bins["subnormal"] == 1].assign(row=SUBNORMAL)  # once more: they are in their half decade too
    places = ["run_id", "step", "layer"]
    table = pd.concat([bins, low]).pivot_table(
        index=places, columns="row", values="value", aggfunc="sum", fill_value=0.0
    )
    rows = table.reset_index().melt(id_vars=places, var_name="row").astype({"row": np.int64})
    joined = join(rows, view.records.runs, list(dict.fromkeys([*view.keys, "seed"])))
    return median_range(joined, "value", [*view.keys, "layer", "step", "row"])


@dataclass(frozen=True)
class _Scale:
    """Which half decades a quantity's maps show, and which rows under them, at what height."""

    low: int
    high: int
    under: dict[int, float]  # ZERO, SUBNORMAL: the middle of its row
    thick: float  # of those rows

    @classmethod
    def of(cls, shares: pd.DataFrame) -> _Scale:
        """What there is room for: all rows in which there is a share."""
        there = set(shares.loc[shares["median"] > 0, "row"])
        decades = there - {ZERO, SUBNORMAL} or {0}
        low, high = min(decades), max(decades)
        thick = max(1.0, 0.07 * (high - low))
        named = [row for row in (ZERO, SUBNORMAL) if row in there]
        under = {row: low - 0.5 - (1.2 + 1.2 * i) * thick for i, row in enumerate(named)}
        return cls(low, high, under, thick)

    @property
    def bottom(self) -> float:
        """Where the axis ends."""
        return min([self.low - 0.5, *(y - 0.6 * self.thick for y in self.under.values())])

    def ticks(self) -> tuple[list[float], list[str]]:
        """Powers of ten at the lower edges of their rows, and the names of the rows under the scale."""
        first, last = -(-self.low // PER_DECADE), (self.high + 1) // PER_DECADE
        stride = -(-(last - first + 1) // 6) or 1
        powers = range(-(-first // stride) * stride, last + 1, stride)
        names = [UNDER[row] for row in self.under]
        edges = [PER_DECADE * k - 0.5 for k in powers]
        return [*self.under.values(), *edges], [*names, *map(axes.power, powers)]


def _chosen(rows: pd.DataFrame) -> list[int]:
    """The layers that are shown: hidden ones, evenly spaced."""
    layers = sorted(rows["layer"].unique())
    layers = layers[:-1] or layers  # the output layer is not shown
    return [layers[i] for i in style.spread(len(layers), LAYERS)]


def _draw_row(
    panels: np.ndarray, rows: pd.DataFrame, layers: Sequence[int], scale: _Scale, most: float
) -> None:
    """Maps of these layers, on one scale."""
    for panel, layer in zip(panels, layers, strict=False):
        _draw(panel, rows[rows["layer"] == layer], scale, most)
        panel.tick_params(labelleft=panel is panels[0])
    panels[0].set_ylabel("size", size=style.LABEL)
    if not layers:
        style.note(panels[0], "nothing to show")


def _draw(panel: Axes, rows: pd.DataFrame, scale: _Scale, most: float) -> None:
    table = rows.pivot_table(index="row", columns="step", values="median", aggfunc="first")
    panel.grid(False)

    def draw(wanted: Sequence[int], low: float, high: float) -> None:
        values = table.reindex(wanted).to_numpy(float)
        panel.imshow(
            np.ma.masked_where(~(values > 0), values), origin="lower", aspect="auto", interpolation="nearest",
            cmap=style.SHARES, vmin=0, vmax=most, extent=(-0.5, table.shape[1] - 0.5, low, high),
        )  # fmt: skip

    draw(range(scale.low, scale.high + 1), scale.low - 0.5, scale.high + 0.5)
    for row, middle in scale.under.items():
        draw([row], middle - 0.5 * scale.thick, middle + 0.5 * scale.thick)
        top = middle + 0.6 * scale.thick
        panel.axhline(top, color=style.FAINT, linewidth=1, dashes=(2, 2), label="_floor")
    panel.set_ylim(scale.bottom, scale.high + 0.5)
    panel.set_yticks(*scale.ticks())
    places = style.spread(table.shape[1], 5)
    panel.set_xticks(places, [f"{table.columns[i]}" for i in places])
    panel.set_xlabel("step  (as watched)", size=style.LABEL)
