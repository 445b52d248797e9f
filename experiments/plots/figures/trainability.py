"""Accuracy after training over depth and the variance of the weights, with theory's depth scale on it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from experiments.analysis.ratios import at_end
from experiments.plots import axes, style
from experiments.plots.captions import caption
from experiments.plots.figure_table import FIGURES
from experiments.plots.maps import HOLE, MOST_MAPS, WIDE, colour_bar
from experiments.plots.panels import in_rows, panel_sheet
from experiments.plots.views import Fields, Where, arrange, as_panels, facets, name_of, rows_where
from experiments.storage.records import Records
from mlp.activations import activation
from mlp.initialisers import bias_variance, weight_mean, weight_variance
from mlp.registry import Within

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

THEORY, CRITICAL = style.Look("#D55E00"), style.Look("#D55E00", dashes=(0, (1.5, 1.5)))
POINTS = 60  # of theory's line, which bends sharply where it diverges


@FIGURES
def trainability_map(
    records: Records,
    *,
    metric: Literal["accuracy", "test_accuracy"] = "accuracy",
    facet: Fields = None,
    where: Where = "",
    theory: bool = True,
    scales: Annotated[float, Within(0, 1000, above=True)] = 6.0,
) -> Figure:
    """Accuracy after training, over the variance of the weights and depth.

    Each cell is the share of examples classified rightly by networks of that depth whose weights have the
    variance σ_w² / fan-in. Theory's line is at six times (or so many as the legend says) the depth scale ξ_c
    over which the correlation of two inputs settles: deeper, an input leaves no trace, and a plain net should
    not train (Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017). Dotted: χ = 1, where ξ_c diverges; order
    lies left of it, chaos right.
    """  # fmt: skip
    view = as_panels(arrange(_with_weight(records), None, facet, where, across=["depth", "init"]))
    last = at_end(view.records.steps, view.records.runs)
    table = view.medians(last, metric, "weight", "depth")
    kept, left_out = facets(view, MOST_MAPS)
    sheet, grid = panel_sheet(
        caption(trainability_map, view, [table], interval=False, more=left_out),
        in_rows([name_of(view.facet, key) for key in kept], WIDE),
        legend=_legend(scales, theory, holes=bool(table["median"].isna().any())),
        space=style.Spacing(width=3.6, height=2.9, across=0.6, right=1.4),
    )  # fmt: skip
    for i, (panel, key) in enumerate(zip(grid.flat, kept, strict=False)):
        _draw(panel, rows_where(table, view.facet, key))
        if theory and len(table):
            _draw_theory(panel, rows_where(view.records.runs, view.facet, key), scales)
        panel.set_ylabel("" if i % WIDE else "depth  (hidden layers)", size=style.LABEL)
    colour_bar(sheet, grid, metric.replace("_", " "), _colours(), (0, 1))
    return sheet


def _with_weight(records: Records) -> Records:
    """The records with σ_w² of their hidden layers, weight, beside each run; errors: ValueError."""
    runs = records.runs
    for text in runs["init"].unique():
        if weight_mean(text, 64, 64):
            raise ValueError(f"trainability_map: the weights of {text} are not of mean 0")
    settings = zip(runs["init"], runs["width"], runs["activation"], strict=True)
    return replace(records, runs=runs.assign(weight=[round(_weight(*setting), 10) for setting in settings]))


def _weight(init: str, width: int, act: str) -> float:
    return width * weight_variance(init, width, width, activation(act))


def _draw(panel: Axes, rows: pd.DataFrame) -> None:
    """The cells, each reaching half-way to its neighbours."""
    panel.set_xlabel("σ_w²  (variance of a weight · fan-in)", size=style.LABEL)
    if not len(rows):
        style.note(panel, "nothing to show")
        return
    cells = rows.set_index(["depth", "weight"])["median"].unstack()  # noqa: PD010 - a pivot_table drops NaN
    depths, weights = cells.index.to_numpy(float), cells.columns.to_numpy(float)
    panel.grid(False)
    panel.set_facecolor(HOLE)
    panel.pcolormesh(
        _edges(weights), _edges(depths), np.ma.masked_invalid(cells.to_numpy(float)),
        cmap=_colours(), vmin=0, vmax=1, rasterized=True,
    )  # fmt: skip
    axes.number_axis(panel, weights, "σ_w²  (variance of a weight · fan-in)")
    panel.set_yticks(depths[style.spread(len(depths), 7)])
    panel.set_xlim(*_edges(weights)[[0, -1]])
    panel.set_ylim(*_edges(depths)[[0, -1]])


def _edges(values: np.ndarray) -> np.ndarray:
    """Borders of cells around ascending values."""
    if len(values) == 1:
        return values[0] + np.array([-0.5, 0.5])
    inner = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - inner[0]], inner, [2 * values[-1] - inner[-1]]])


def _draw_theory(panel: Axes, runs: pd.DataFrame, scales: float) -> None:
    """So many ξ_c, and where it diverges, for the panel's activation and bias; none with a norm or skip."""
    from experiments.theory.mean_field import critical_point

    run = runs.iloc[0]
    if run["norm"] != "none" or run["residual"]:
        return
    low, high = panel.get_xlim()
    measured = runs["weight"].unique()
    only = len(measured) == 1
    weights = measured if only else np.linspace(max(low, 1e-3), high, POINTS)
    width = int(run["width"])
    bias = bias_variance(run["bias"], width, width, activation(run["activation"]))
    xi = np.array([_correlation_scale(run["activation"], float(weight), bias) for weight in weights])
    depth = np.where(np.isfinite(xi) & (xi > 0), scales * xi, np.nan)
    x, y = ([low, high], np.repeat(depth, 2)) if only else (weights, depth)
    panel.plot(x, y, color="white", linewidth=4.5, label="_halo")
    panel.plot(x, y, color=THEORY.colour, linewidth=2.2, label="ξ_c")
    critical = np.nan if only else critical_point(activation(run["activation"]), bias)[0]
    if low < critical < high:
        panel.axvline(critical, color="white", linewidth=3, label="_halo")
        panel.axvline(critical, color=CRITICAL.colour, linewidth=1.6, ls=CRITICAL.dashes, label="χ = 1")


@lru_cache(maxsize=4096)
def _correlation_scale(act: str, weight: float, bias: float) -> float:
    from experiments.theory.mean_field import depth_scales

    with np.errstate(all="ignore"):
        return depth_scales(activation(act), weight, bias)["xi_c"]


def _colours() -> Any:
    from matplotlib import colormaps

    return colormaps[style.ORDERED].with_extremes(bad=HOLE)


def _legend(scales: float, theory: bool, holes: bool) -> list[Artist]:
    from matplotlib.patches import Patch

    found: list[Artist] = []
    if theory:
        found = [style.key(f"{scales:g} ξ_c, theory", THEORY), style.key("χ = 1, theory", CRITICAL)]
    return [*found, *([Patch(color=HOLE, label="no finite value")] if holes else [])]
