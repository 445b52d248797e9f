"""Accuracy after training over depth and the variance of the weights, with theory's depth scale on it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from experiments.analysis.ratios import at_end
from experiments.analysis.score import score_of
from experiments.plots import axes, style, titles
from experiments.plots.canvas import THEMES
from experiments.plots.captions import notes
from experiments.plots.figure_table import FIGURES, along, words_of
from experiments.plots.maps import WIDE
from experiments.plots.panel_tables import columns_shown, tell
from experiments.plots.panels import Bar, Panel
from experiments.plots.picture import Picture
from experiments.plots.views import Fields, View, Where, arrange, as_panels, name_of, rows_where, settings_of
from experiments.storage.records import Records
from mlp.activations import activation
from mlp.initialisers import bias_mean, bias_variance, weight_mean, weight_variance
from mlp.registry import Within

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

THEORY, CRITICAL = style.Look("#CC6677"), style.Look("#CC6677", dashes=(0, (1.5, 1.5)))
POINTS = 60  # of theory's line, which bends sharply where it diverges


@FIGURES
@along("depth", "init")
def trainability_map(
    records: Records,
    *,
    metric: Literal["accuracy", "test_accuracy"] = "accuracy",
    facet: Fields = None,
    where: Where = "",
    theory: bool = True,
    scales: Annotated[float, Within(0, 1000, above=True)] = 6.0,
) -> Picture:
    """Accuracy after training, over the variance of the weights and depth.

    Each cell is the median of networks of that depth whose weights have the variance σ_w² / fan-in. Line:
    six (or so many as the legend says) of theory's depth scales ξ_c; deeper, an input leaves no trace, and
    a plain net should not train (Schoenholz et al. 2017). Dotted: χ = 1, order left of it and chaos right.
    """
    view = as_panels(arrange(_with_weight(records), None, facet, where, across=["depth", "init"]))
    last = at_end(view.records.steps, view.records.runs)
    score = score_of(records)
    column = score.of(metric)
    table = view.medians(last, column, "weight", "depth")
    keys = settings_of(view)
    bar = Bar(score.words(column), _colours, (0, 1))
    panels = [
        Panel(
            "",
            partial(_draw_cells, rows=rows_where(table, view.facet, key), scales=scales if theory else None,
                        runs=rows_where(view.records.runs, view.facet, key), what=bar.label),
            name_of(view.facet, key), bar=bar,
        )
        for key in keys
    ]  # fmt: skip
    words = words_of(trainability_map, _deepest(view, table), notes(view, [table], interval=""))
    places = range(len(panels))
    holes = bool(table["median"].isna().any())
    return Picture(
        words, tuple(panels), tuple(places)[:2], across=WIDE, legend=partial(_legend, scales, theory, holes)
    )


TRAINED = 0.5  # the accuracy from which a network is said to have learnt


def _deepest(view: View, table: pd.DataFrame) -> str:
    """The largest depth at which something learnt, and with which variance of the weights it learnt most."""
    learnt = table[table["median"] >= TRAINED]
    if not len(learnt):
        return f"No depth and no variance of the weights reaches an accuracy of {TRAINED:g}"
    row = learnt.sort_values(["depth", "median"]).iloc[-1]
    whole = f" (the deepest tried: {table['depth'].max():.0f})"
    name = titles.spoken(view.facet, [row[field] for field in view.facet])
    return titles.sentence(
        f"{name} learns down to {row['depth']:.0f} layers{whole}, with weights of "
        f"variance {row['weight']:.3g} / fan-in"
    )


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


def _draw_cells(
    panel: Axes, scale: Any, *, rows: pd.DataFrame, runs: pd.DataFrame, scales: float | None, what: str
) -> None:
    """The cells, each reaching half-way to its neighbours, with theory's lines over them."""
    if not len(rows):
        style.note(panel, "nothing to show")
        return
    cells = rows.set_index(["depth", "weight"])["median"].unstack()  # noqa: PD010 - a pivot_table drops NaN
    depths, weights = cells.index.to_numpy(float), cells.columns.to_numpy(float)
    dark = style.dark(panel)
    panel.grid(False)
    panel.set_facecolor(THEMES["dark" if dark else "light"].hole)
    panel.pcolormesh(
        _edges(weights), _edges(depths), np.ma.masked_invalid(cells.to_numpy(float)),
        cmap=_colours(dark), vmin=0, vmax=1, rasterized=True,
    )  # fmt: skip
    axes.number_axis(panel, weights, "σ_w²  (variance of a weight · fan-in)")
    panel.set_yticks(depths[style.spread(len(depths), 7)])
    panel.set_xlim(*_edges(weights)[[0, -1]])
    panel.set_ylim(*_edges(depths)[[0, -1]])
    panel.set_ylabel("depth  (hidden layers)")
    shown = columns_shown(len(weights))
    told = [[f"{depth:g}", *(row.iloc[i] for i in shown)] for depth, row in cells.iterrows()]
    tell(panel, what, ["depth by σ_w²", *(f"{weights[i]:.3g}" for i in shown)], told)
    if scales is not None:
        _draw_theory(panel, runs, scales)


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
    width = int(run["width"])
    if run["norm"] != "none" or run["residual"] or bias_mean(run["bias"], width, width):
        return
    low, high = panel.get_xlim()
    measured = runs["weight"].unique()
    only = len(measured) == 1
    weights = measured if only else np.linspace(max(low, 1e-3), high, POINTS)
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


def _colours(dark: bool) -> Any:
    from matplotlib import colormaps

    return colormaps[style.ORDERED].with_extremes(bad=THEMES["dark" if dark else "light"].hole)


def _legend(scales: float, theory: bool, holes: bool) -> list[Artist]:
    from matplotlib import rcParams
    from matplotlib.patches import Patch

    found: list[Artist] = []
    if theory:
        found = [style.key(f"{scales:g} ξ_c, theory", THEORY), style.key("χ = 1, theory", CRITICAL)]
    hole = next(theme.hole for theme in THEMES.values() if theme.ink == rcParams["text.color"])
    return [*found, *([Patch(color=hole, label="no finite value")] if holes else [])]
