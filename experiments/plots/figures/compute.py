"""The gradient's budget as stacked bars, a panel per setting."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.budget import PROBES, TERMS, budget
from experiments.analysis.ratios import at_start
from experiments.plots import axes, style, titles
from experiments.plots.captions import notes
from experiments.plots.figure_table import FIGURES, needs, words_of
from experiments.plots.panel_tables import tell
from experiments.plots.panels import Panel
from experiments.plots.picture import Picture
from experiments.plots.views import (
    Column,
    Fields,
    View,
    Where,
    arrange,
    as_panels,
    deepest,
    groups,
    name_of,
    settings_of,
)
from experiments.storage.records import Records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

COLOURS = {"slope": "#CC6677", "weights": "#44AA99", "rest": "#B8B8B8"}  # no activation's
MEANINGS = {"slope": "slope: rms of f'(z)", "weights": "weights: ‖w above‖/√n", "rest": "rest: alignment"}
QUARTER = float(np.log(0.25))
FACTORS = (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.25, 0.5, 1, 2, 4, 10, 30, 100, 1e3)
WIDE = 3


@FIGURES
@needs(*PROBES)
def gradient_budget(records: Records, *, facet: Fields = None, where: Where = "") -> Picture:
    """Gradient budget: what each hidden layer does to ‖delta‖ at the start, and what does it.

    The factor from the layer above to this one (dots), split exactly: what the slopes leave of it, what the
    weights above make of it, and the rest, by which the two are not independent. Bars below 1 shrink it, bars
    above 1 make it grow.
    """
    view = deepest(as_panels(arrange(records, None, facet, where)), facet, where)
    account = at_start(budget(view.records))
    curves = {term: Column(term, view.medians(account, term, "layer"), term) for term in ("total", *TERMS)}
    keys = settings_of(view)
    parts = [{term: column.only(view.facet, key).curves for term, column in curves.items()} for key in keys]
    there = [i for i, part in enumerate(parts) if len(part["total"])]
    panels = [
        Panel(
            "", partial(_draw, curves=parts[i], quarter=_is_sigmoid(view, keys[i])),
            name_of(view.facet, keys[i]), "factor", parts[i], _ends,
        )
        for i in there
    ]  # fmt: skip
    panels = panels or [
        Panel("", partial(_draw, curves=parts[0], quarter=False), "", "factor", parts[0], _ends)
    ]
    rank = {i: abs(float(parts[there[i]]["total"]["median"].mean())) for i in range(len(there))}
    lost = [f"Left out, for one layer has no budget: {len(keys) - len(there)}."] * (len(there) < len(keys))
    said = notes(view, [curves["total"].curves], interval="")
    return Picture(
        words_of(gradient_budget, _finding(view, curves), [*said, *lost]), tuple(panels),
        tuple(sorted(rank, key=lambda i: -rank[i])[:2]), across=WIDE,
        legend=partial(_legend, any(_is_sigmoid(view, keys[i]) for i in there)),
    )  # fmt: skip


def _is_sigmoid(view: View, key: Sequence[Any]) -> bool:
    """Whether a panel is of sigmoid, whose largest slope the ¼ is."""
    acts = (
        [key[view.facet.index("activation")]]
        if "activation" in view.facet
        else view.records.runs["activation"]
    )
    return set(acts) == {"sigmoid"}


def _finding(view: View, curves: dict[str, Column]) -> str:
    """Of the setting that loses (or gains) most per layer: the factor, and what slopes and weights make of
    it.
    """
    middle = {}
    for key, rows in groups(curves["total"].curves, view.facet):
        finite = rows["median"][np.isfinite(rows["median"])]
        if len(finite):
            middle[key] = float(finite.median())
    if not middle:
        return titles.NOTHING
    key = max(middle, key=lambda key: abs(middle[key]))
    parts = {term: curves[term].only(view.facet, key).curves["median"] for term in TERMS}
    slope, weights = (float(np.exp(parts[term].median())) for term in ("slope", "weights"))
    name = titles.spoken(view.facet, key)
    return titles.sentence(
        f"{name} multiplies the gradient by {axes.plainly(float(np.exp(middle[key])))} per layer: "
        f"slopes by {axes.plainly(slope)}, weights by {axes.plainly(weights)}"
    )


def _draw(panel: Axes, ends: tuple[float, float], *, curves: dict[str, pd.DataFrame], quarter: bool) -> None:
    """Stacked bars of the terms' medians, those below 1 downwards; the whole as a line."""
    total = curves["total"].sort_values("layer")
    if not len(total):
        style.note(panel, "one layer has no budget")
        return
    layer = total["layer"].to_numpy()
    up, down = np.zeros(len(layer)), np.zeros(len(layer))
    for term in TERMS:
        height = np.nan_to_num(
            curves[term].sort_values("layer")["median"].to_numpy(float), neginf=0, posinf=0
        )
        foot = np.where(height > 0, up, down)
        panel.bar(layer, height, 0.8, bottom=foot, color=_colour(term, panel), label=term)
        up, down = up + height.clip(min=0), down + height.clip(max=0)
    value = total["median"].to_numpy(float)
    panel.plot(
        layer, np.where(np.isfinite(value), value, np.nan), color=style.ink(panel), marker="o", linewidth=1.2,
        markersize=4, label="whole", markevery=max(1, len(layer) // 12),
    )  # fmt: skip
    panel.axhline(0, color=style.ink(panel), linewidth=0.8, label="_one")
    if quarter:
        style.guide(panel, QUARTER)
    axes.layer_axis(panel, int(layer.max()))
    panel.set_xlim(0.4, layer.max() + 0.6)
    ticks = [factor for factor in FACTORS if ends[0] <= np.log(factor) <= ends[1]]
    panel.set_ylim(*ends)
    panel.set_yticks(np.log(ticks), [f"×{factor:g}" for factor in ticks])
    panel.set_ylabel("factor on ‖delta‖")
    parts = [curves[term].set_index("layer")["median"].astype(float) for term in ("total", *TERMS)]
    rows = [[str(at), *(float(np.exp(part.get(at, np.nan))) for part in parts)] for at in layer]
    tell(panel, "factor on ‖delta‖", ["layer (1 = nearest the input)", "whole", *TERMS], rows)


def _colour(term: str, panel: Axes) -> Any:
    return style.shown(style.Look(COLOURS[term]), panel).colour


def _ends(parts: Sequence[dict[str, pd.DataFrame]]) -> tuple[float, float]:
    """One y axis for all: logs, marked as the factors that they are."""
    low, high = QUARTER, 0.0
    for part in parts:
        stacked = np.stack([part[term].sort_values("layer")["median"].to_numpy(float) for term in TERMS])
        stacked = np.nan_to_num(stacked, neginf=0, posinf=0)
        low = min(low, stacked.clip(max=0).sum(axis=0).min(initial=0.0))
        high = max(high, stacked.clip(min=0).sum(axis=0).max(initial=0.0))
    return low - 0.25, high + 0.25


def _legend(quarter: bool) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    patches = [Patch(color=style.as_set(COLOURS[term]), label=MEANINGS[term]) for term in TERMS]
    whole = Line2D([], [], color=style.as_set("#000000"), marker="o", markersize=4, label="the whole")
    return [*patches, whole, *([style.guide_key("¼, sigmoid’s largest slope")] * quarter)]
