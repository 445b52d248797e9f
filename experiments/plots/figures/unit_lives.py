"""The life table of units: how many are dead, died, came back and survived, by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.analysis import lives as life
from experiments.plots import axes, style
from experiments.plots.captions import caption
from experiments.plots.figure_table import FIGURES, needs
from experiments.plots.panels import panel_sheet
from experiments.plots.views import Column, Fields, View, Where, arrange, as_panels, facets, groups, name_of
from experiments.storage.records import Records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 8
BACK = (0, (4, 1.5))  # dashes of what came back


@FIGURES
@needs("unit_dead")
def unit_life(
    records: Records, *, state: Literal["dead", "inactive"] = "dead", facet: Fields = None, where: Where = ""
) -> Figure:
    """Lives of units: dead, died and revived, and survival, by hidden layer.

    Left: the share of a layer's units that are dead (slope 0 on every example; with state=inactive: never
    positive). Middle: deaths (solid) and revivals (dashed) so far, over the number of units. Right: of the
    units alive just before the shock, the share that has not died since (Kaplan & Meier). Step 0 is just
    before the shock, where there is one. A solid line that stays flat beside a dashed one at 0 is a death for
    good.
    """
    view = as_panels(arrange(records, None, facet, where))
    since = _since(view.records)
    columns = _columns(view, f"unit_{state}", since)
    kept, left_out = facets(view, MOST_ROWS)
    if "schedule" in view.facet:  # by the size of the shock, which a text's order is not
        kept.sort(key=lambda key: life.shock_factor(key[view.facet.index("schedule")]))
    layers = style.looks(sorted(columns[0][0].curves["layer"].unique()), "layer")
    sheet, grid = panel_sheet(
        caption(unit_life, view, [columns[0][0].curves], more=left_out),
        [[drawn[0].title.replace("dead", state) for drawn in columns]] * len(kept),
        row_names=[name_of(view.facet, key) for key in kept], legend_title="layer",
        legend=[style.key(style.show(layer), look) for layer, look in layers.items()],
        space=style.Spacing(across=0.75, left=1.05),
    )  # fmt: skip
    for row, key in zip(grid, kept, strict=True):
        for panel, drawn in zip(row, columns, strict=True):
            _draw(panel, [column.only(view.facet, key) for column in drawn], layers)
    for i, drawn in enumerate(columns):
        _scale([row[i] for row in grid], drawn)
    return sheet


def _since(records: Records) -> int:
    """The step before the shock; the first where there is none."""
    try:
        return life.shock_step(records)
    except ValueError:
        return 0


def _columns(view: View, state: str, since: int) -> list[list[Column]]:
    """The three panels of a row, each the medians it draws: the second of a panel is dashed."""
    table = life.life_table(view.records, state)
    table = table[table["step"] >= since].sort_values("step")
    by_layer = table.groupby(["run_id", "layer"], sort=False)
    table["share"] = table["dead"] / table["units"]
    for name in ("deaths", "revivals"):
        first = table["dead"] * (table["step"] == since) if name == "deaths" else 0
        counted = table[name].where(table["step"] > since, 0) + first
        table[name] = counted.groupby([table["run_id"], table["layer"]]).cumsum() / by_layer[
            "units"
        ].transform("first")
    alive = life.survival(view.records, since, state)

    def medians(frame: pd.DataFrame, value: str) -> pd.DataFrame:
        curves = view.medians(frame, value, "layer", "step")
        return curves.assign(step=curves["step"] - since)

    return [
        [Column("dead", medians(table, "share"), "share of units", "step", "share")],
        [
            Column("died, revived", medians(table, "deaths"), "events / units", "step", "linear"),
            Column("revived", medians(table, "revivals"), "events / units", "step", "linear"),
        ],
        [Column("not died since", medians(alive, "alive"), "share of units", "step", "share")],
    ]


def _draw(panel: Axes, drawn: Sequence[Column], looks: dict[Any, style.Look]) -> None:
    for column, dashes in zip(drawn, ("-", BACK), strict=False):
        for (layer,), rows in groups(column.curves, ["layer"]):
            rows = rows.sort_values("step")
            look = style.Look(looks[layer].colour, looks[layer].marker, dashes)
            values = (rows[name].to_numpy(float) for name in ("median", "low", "high"))
            style.band(panel, rows["step"].to_numpy(float), *values, look, f"{column.title}, layer {layer}")
    last = max((column.curves["step"].max() for column in drawn if len(column.curves)), default=1)
    axes.step_axis(panel, int(last))
    panel.set_xlabel("updates since the shock", size=style.LABEL)


def _scale(panels: Sequence[Axes], drawn: Sequence[Column]) -> None:
    values = np.concatenate([c.curves[["median", "low", "high"]].to_numpy(float).ravel() for c in drawn])
    (axes.share_axis if drawn[0].scale == "share" else axes.linear_axis)(panels, values)
    for panel in panels:
        panel.set_ylabel(drawn[0].label, size=style.LABEL)
