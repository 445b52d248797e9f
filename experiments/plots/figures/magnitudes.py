"""How gradients and outputs lie over the orders of magnitude while a network trains: a sheet of heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import join, median_range
from experiments.plots import axes, style, titles
from experiments.plots.captions import notes
from experiments.plots.figure_table import FIGURES, needs, words_of
from experiments.plots.panel_tables import columns_shown, power, tell
from experiments.plots.panels import Bar, Panel
from experiments.plots.picture import Picture
from experiments.plots.views import (
    Fields,
    View,
    Where,
    arrange,
    as_panels,
    deepest,
    name_of,
    rows_where,
    settings_of,
)
from experiments.storage.records import Records
from mlp.probes.distributions import PER_DECADE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LAYERS = 3  # the first, the middle and the last hidden layer
ZERO, SUBNORMAL = -1_000_000, -1_000_001  # stand for the rows that are not half decades
UNDER = {ZERO: "0", SUBNORMAL: "subn."}


@FIGURES
@needs("delta")
def distribution_over_time(records: Records, *, facet: Fields = None, where: Where = "") -> Picture:
    """Orders of magnitude over training: where each layer's numbers lie.

    Each column of a map is a watched step, each row half a decade of the true size, and the colour is the
    share of the layer's numbers that lie there. Under the scale: the share that is exactly 0, and (subn.)
    that which a training that does not track exponents would lose to the number format.
    """
    view = deepest(as_panels(arrange(records, None, facet, where)), facet, where)
    shares = {name: _shares(view, name) for name in view.records.distributions}
    scales = {name: _Scale.of(frame) for name, frame in shares.items()}
    most = max(frame["median"].max() for frame in shares.values())
    bar = Bar("share of the layer's numbers", style.shares, (0.0, most))
    panels = [
        Panel(
            f"|{name}|, layer {layer}",
            partial(_draw, rows=part[part["layer"] == layer], sizes=scales[name], most=most, name=name),
            name_of(view.facet, key), bar=bar,
        )
        for key in settings_of(view)
        for name in shares
        for part in [rows_where(shares[name], view.facet, key)]
        for layer in _chosen(part)
    ]  # fmt: skip
    panels = panels or [Panel("", _empty)]
    few = [i for i, panel in enumerate(panels) if panel.setting == panels[0].setting]
    finding, said = (
        _apart(view, shares, settings_of(view)[0]),
        notes(view, list(shares.values()), interval=""),
    )
    few = few if len(few) < 3 else few[:1] + few[2:3]
    words = words_of(distribution_over_time, finding, said)
    return Picture(words, tuple(panels), tuple(few), across=LAYERS)


def _empty(panel: Axes, scale: Any) -> None:
    style.note(panel, "nothing to show")


def _apart(view: View, shares: dict[str, pd.DataFrame], key: Sequence[Any]) -> str:
    """Where most numbers of a setting lie at the start, in the first and the last hidden layer."""
    name, frame = next(iter(shares.items()))
    rows = rows_where(frame, view.facet, key)
    layers = _chosen(rows)
    start = rows[(rows["step"] == 0) & (rows["row"] > ZERO)]
    told = []
    for layer in dict.fromkeys(layers[:1] + layers[-1:]):
        part = start[(start["layer"] == layer) & (start["median"] > 0)]
        if len(part):
            decade = part.loc[part["median"].idxmax(), "row"] / PER_DECADE
            told.append(f"around {axes.power(round(decade))} in layer {layer}")
    if not told:
        return titles.NOTHING
    text = f"at the start |{name}| lies {' and '.join(told)}"
    return titles.under(view.facet, key, text)


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


def _size(row: int) -> str:
    """A row by the lower end of its half decade, or what it holds instead."""
    return {ZERO: "0", SUBNORMAL: "subnormal"}.get(row, f"from {power(row / PER_DECADE)}")


def _draw(panel: Axes, scale: Any, *, rows: pd.DataFrame, sizes: _Scale, most: float, name: str) -> None:
    table = rows.pivot_table(index="row", columns="step", values="median", aggfunc="first")
    panel.grid(False)

    def draw(wanted: Sequence[int], low: float, high: float) -> None:
        values = table.reindex(wanted).to_numpy(float)
        panel.imshow(
            np.ma.masked_where(~(values > 0), values), origin="lower", aspect="auto", interpolation="nearest",
            cmap=style.shares(style.dark(panel)), vmin=0, vmax=most,
            extent=(-0.5, table.shape[1] - 0.5, low, high),
        )  # fmt: skip

    draw(range(sizes.low, sizes.high + 1), sizes.low - 0.5, sizes.high + 0.5)
    for row, middle in sizes.under.items():
        draw([row], middle - 0.5 * sizes.thick, middle + 0.5 * sizes.thick)
        top = middle + 0.6 * sizes.thick
        panel.axhline(top, color=style.faint(panel), linewidth=1, dashes=(2, 2), label="_floor")
    panel.set_ylim(sizes.bottom, sizes.high + 0.5)
    panel.set_yticks(*sizes.ticks())
    places = style.spread(table.shape[1], 5)
    panel.set_xticks(places, [f"{table.columns[i]}" for i in places])
    panel.set_xlabel("step  (as watched)")
    panel.set_ylabel(f"size of {name}")
    kept = columns_shown(table.shape[1])
    known = [*sizes.under, *range(sizes.low, sizes.high + 1)]
    told = [
        [_size(row), *(float(np.nan_to_num(value)) for value in table.loc[row].iloc[kept])]
        for row in known if row in table.index
    ]  # fmt: skip
    tell(panel, f"share of |{name}|", ["size by step", *(str(table.columns[i]) for i in kept)], told)
