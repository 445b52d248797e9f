"""The gradient's budget as stacked bars, a panel a setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.budget import PROBES, TERMS, budget
from experiments.analysis.ratios import at_start
from experiments.plots import axes, style
from experiments.plots.captions import caption
from experiments.plots.figure_table import FIGURES, needs
from experiments.plots.panels import in_rows, panel_sheet
from experiments.plots.views import Column, Fields, Where, arrange, as_panels, deepest, facets, name_of
from experiments.storage.records import Records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"slope": "#D55E00", "weights": "#0072B2", "rest": "#B8B8B8"}
MEANINGS = {"slope": "slope: rms of f'(z)", "weights": "weights: ‖w above‖/√n", "rest": "rest: alignment"}
QUARTER = float(np.log(0.25))
WHOLE = style.Look(style.INK, "o")
FACTORS = (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.25, 0.5, 1, 2, 4, 10, 30, 100, 1e3)
MOST, WIDE = 12, 3


@FIGURES
@needs(*PROBES)
def gradient_budget(records: Records, *, facet: Fields = None, where: Where = "") -> Figure:
    """Gradient budget: what each hidden layer does to ‖delta‖, at the start.

    The factor on ‖delta‖ from the layer above to this one (black), split exactly: what the slopes leave of it
    (orange), what the weights above make of it (blue), and the rest (grey), by which the two are not
    independent. Bars below 1 shrink it, bars above 1 make it grow. Dashed: the ¼ of sigmoid's largest slope.
    No bar ends there unless by chance, for slope and weights count together. Hidden layers only.
    """
    view = deepest(as_panels(arrange(records, None, facet, where)), facet, where)
    account = at_start(budget(view.records))
    curves = {term: Column(term, view.medians(account, term, "layer"), term) for term in ("total", *TERMS)}
    kept, left_out = facets(view, MOST)
    head = caption(gradient_budget, view, [curves["total"].curves], interval=False, more=left_out)
    titles = in_rows([name_of(view.facet, key) for key in kept], WIDE)
    sheet, grid = panel_sheet(head, titles, legend=_legend())
    panels = list(grid.flat)[: len(kept)]
    for panel, key in zip(panels, kept, strict=True):
        _draw(panel, {term: column.only(view.facet, key).curves for term, column in curves.items()})
    _factors(panels, curves, grid.shape[1])
    return sheet


def _draw(panel: Axes, curves: dict[str, pd.DataFrame]) -> None:
    """Stacked bars of the terms' medians, those below 1 downwards; the whole as a line."""
    total = curves["total"].sort_values("layer")
    if not len(total):
        return style.note(panel, "one layer has no budget")
    layer = total["layer"].to_numpy()
    up, down = np.zeros(len(layer)), np.zeros(len(layer))
    for term in TERMS:
        height = np.nan_to_num(
            curves[term].sort_values("layer")["median"].to_numpy(float), neginf=0, posinf=0
        )
        foot = np.where(height > 0, up, down)
        panel.bar(layer, height, 0.8, bottom=foot, color=COLOURS[term], label=term)
        up, down = up + height.clip(min=0), down + height.clip(max=0)
    value = total["median"].to_numpy(float)
    panel.plot(
        layer, np.where(np.isfinite(value), value, np.nan), color=style.INK, marker="o", linewidth=1.2,
        markersize=4, label="whole", markevery=max(1, len(layer) // 12),
    )  # fmt: skip
    panel.axhline(0, color=style.INK, linewidth=0.8, label="_one")
    panel.axhline(QUARTER, color=style.FAINT, linewidth=1.4, dashes=(6, 3), label="_quarter")
    axes.layer_axis(panel, int(layer.max()))
    panel.set_xlim(0.4, layer.max() + 0.6)
    return None


def _factors(panels: Sequence[Axes], curves: dict[str, Column], wide: int) -> None:
    """One y axis for all: logs, marked as the factors that they are."""
    terms = [curves[term].curves.set_index(["layer"])["median"].to_numpy(float) for term in TERMS]
    stacked = np.nan_to_num(np.stack(terms), neginf=0, posinf=0)
    low = min(stacked.clip(max=0).sum(axis=0).min(initial=0.0), QUARTER) - 0.25
    high = stacked.clip(min=0).sum(axis=0).max(initial=0.0) + 0.25
    ticks = [factor for factor in FACTORS if low <= np.log(factor) <= high]
    for i, panel in enumerate(panels):
        panel.set_ylim(low, high)
        panel.set_yticks(np.log(ticks), [f"×{factor:g}" for factor in ticks])
        panel.tick_params(labelleft=i % wide == 0)
        if i % wide == 0:
            panel.set_ylabel("factor on ‖delta‖", size=style.LABEL)


def _legend() -> list[Artist]:
    from matplotlib.patches import Patch

    patches = [Patch(color=COLOURS[term], label=MEANINGS[term]) for term in TERMS]
    return [*patches, style.key("the whole", WHOLE), style.key("¼", style.Look(style.FAINT, "", (0, (6, 3))))]
