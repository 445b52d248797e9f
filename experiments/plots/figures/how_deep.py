"""The depth that half of the networks reach, by setting, beside theory's depth scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from experiments.plots import style
from experiments.plots.captions import caption
from experiments.plots.figure_table import FIGURES
from experiments.plots.panels import panel_sheet
from experiments.plots.views import Where, arrange, as_panels, name_of
from experiments.search.frontier import TRAINABLE, settings, table
from experiments.storage.records import Records
from mlp.registry import Within

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOUND = style.Look("#0072B2", "o", "")
THEORY = style.Look("#D55E00", "D", "")
USUAL = (0.5, "test_accuracy")  # the goal of records that were not searched for
ROW, MOST_ROWS = 0.36, 40  # inches
GAP = 1.5  # factor of depth at each end of the axis, where what lies beyond it is drawn


@FIGURES
def frontier(
    records: Records,
    *,
    accuracy: Annotated[float, Within(0, 1, above=True)] | None = None,
    metric: Literal["accuracy", "test_accuracy"] | None = None,
    where: Where = "",
) -> Figure:
    """How deep it goes: the depth that half of the seeds reach.

    Each network either reaches the accuracy after its last step or does not; one that diverges has not. Dot:
    where a logistic curve in log depth passes one half. Line: its 95 % interval by profile likelihood; an
    arrow is an open end. Diamond: theory's six depth scales (ξ_c, or ξ_∇ where there is no ξ_c) of a wide
    plain net at its start (Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017), an arrow where they lie beyond
    the axis; none where theory does not apply. It knows nothing of steps and learning rates.
    """  # fmt: skip
    searched = records.runs.attrs.get("search")
    usual = (searched["accuracy"], searched["on"]) if searched else USUAL
    goal, on = accuracy or usual[0], metric or usual[1]
    view = as_panels(arrange(records, None, None, where, across=["depth"]))
    found = table(view.records, goal, on).head(MOST_ROWS)
    keys = settings(view.records)
    goal_said = f" Accuracy to reach: {goal:g} of the {'training' if on == 'accuracy' else 'test'} examples."
    names = [name_of(keys, row) for row in found[keys].itertuples(index=False)]
    counted = found.rename(columns={"seeds": "n"})
    sheet, grid = panel_sheet(
        caption(frontier, view, [counted], interval=False, more=goal_said), [["depth reached"]],
        legend=[style.key("reached by half, 95 % interval", FOUND),
                style.key(f"theory: {TRAINABLE:g} depth scales", THEORY)],
        space=style.Spacing(width=6.5, height=max(1.4, ROW * (len(found) + 1)),
                            left=0.5 + 0.095 * max(map(len, names), default=0)),
    )  # fmt: skip
    panel = grid[0, 0]
    _depth_axis(panel, view.records.runs["depth"].to_numpy(float))
    _draw_rows(panel, found.to_dict("records"), names)
    return sheet


def _depth_axis(panel: Axes, depths: np.ndarray) -> None:
    """A logarithmic axis over the depths tried, with room at both ends for what lies beyond."""
    low, high = max(depths.min(), 1.0), max(depths.max(), 2.0)
    panel.set_xscale("log")
    panel.set_xlim(low / GAP, high * GAP)
    ticks = [m * 10**e for e in range(5) for m in (1, 2, 5) if low <= m * 10**e <= high]
    panel.set_xticks(ticks, [f"{tick}" for tick in ticks])
    panel.minorticks_off()
    panel.set_xlabel("depth  (hidden layers)", size=style.LABEL)


def _draw_rows(panel: Axes, rows: list[dict[str, Any]], names: list[str]) -> None:
    """One row a setting, the first at the top."""
    for place, row in enumerate(rows):
        _draw(panel, place, row)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.4, -0.6)
    if not rows:
        style.note(panel, "nothing to show")


def _draw(panel: Axes, place: int, row: dict[str, Any]) -> None:
    """One setting: its interval, its frontier and theory's."""
    least, most = panel.get_xlim()
    low, high = (float(np.clip(row[name], least, most)) for name in ("low", "high"))
    panel.plot([low, high], [place, place], color=FOUND.colour, linewidth=2.4, label="interval")
    for end, mark in ((low, "<"), (high, ">")):
        if end in (least, most):
            panel.plot([end], [place], mark, color=FOUND.colour, markersize=8, clip_on=False, label="open")
    panel.plot([row["frontier"]], [place], FOUND.marker, color=FOUND.colour, markersize=8, label="found")
    theory = row["theory"]
    if np.isfinite(theory) and least <= theory <= most:
        panel.plot([theory], [place], THEORY.marker, color=THEORY.colour, markersize=7, label="theory")
    elif theory == theory:
        end, mark = (most, ">") if theory > most else (least, "<")
        panel.plot(
            [end], [place + 0.22], mark, color=THEORY.colour, markersize=8, clip_on=False, label="theory"
        )
