"""The depth that half of the networks reach, by setting, beside theory's depth scale."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from experiments.plots import style, titles
from experiments.plots.captions import notes
from experiments.plots.figure_table import FIGURES, words_of
from experiments.plots.labels import fitting_rows
from experiments.plots.panels import Panel
from experiments.plots.picture import Picture
from experiments.plots.views import Where, arrange, as_panels, name_of, telling
from experiments.storage.records import Records
from experiments.sweeps.search.frontier import TRAINABLE, settings, table
from mlp.registry import Within

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

FOUND = style.Look("#332288", "o", "")
THEORY = style.Look("#CC6677", "D", "")
USUAL = (0.5, "test_accuracy")  # the goal of records that were not searched for
MOST_ROWS = 40
GAP = 1.5  # factor of depth at each end of the axis, where what lies beyond it is drawn


@FIGURES
def frontier(
    records: Records,
    *,
    accuracy: Annotated[float, Within(0, 1, above=True)] | None = None,
    metric: Literal["accuracy", "test_accuracy"] | None = None,
    where: Where = "",
) -> Picture:
    """How deep it goes: the depth that half of the seeds reach, by setting.

    Dot: the depth up to which half of the networks reach the accuracy, by a logistic curve in log depth;
    line: its 95 % interval; an arrow is an open end. Diamond: theory's six depth scales ξ of a wide plain
    net at its start (Schoenholz et al. 2017); it knows nothing of steps and learning rates.
    """
    searched = records.runs.attrs.get("search")
    usual = (searched["accuracy"], searched["on"]) if searched else USUAL
    goal, on = accuracy or usual[0], metric or usual[1]
    view = as_panels(arrange(records, None, None, where, across=["depth"]))
    found = table(view.records, goal, on).head(MOST_ROWS)
    keys = telling(view, settings(view.records))
    names = [name_of(keys, row) for row in found[keys].itertuples(index=False)]
    spoken = [titles.spoken(keys, row) for row in found[keys].itertuples(index=False)]
    counted = found.rename(columns={"seeds": "n"})
    rows, depths = found.to_dict("records"), view.records.runs["depth"].to_numpy(float)
    goal_said = f"Accuracy to reach: {goal:g} of the {'training' if on == 'accuracy' else 'test'} examples."
    draw = partial(_draw_rows, rows=rows, names=names, depths=depths)
    panel = Panel("", draw, rows=1.6 * len(rows), names=names)
    said = notes(view, [counted], interval="")
    words = words_of(frontier, _finding(rows, spoken, goal), [goal_said, *said])
    return Picture(words, (panel,), legend=_keys)


def _finding(rows: list[dict[str, Any]], names: list[str], goal: float) -> str:
    """The settings that go deepest and least deep; an interval without an end goes beyond what was tried."""
    reached = {i: _reached(row) for i, row in enumerate(rows) if _reached(row) is not None}
    if not reached:
        return f"No setting has a depth that half of its networks reach with an accuracy of {goal:g}"
    best, worst = (choose(reached, key=lambda i: reached[i][0]) for choose in (max, min))
    text = f"{names[best]} learns {reached[best][1]}"
    if worst != best:
        text += f", {names[worst]} {reached[worst][1]}"
    return titles.sentence(text)


def _reached(row: dict[str, Any]) -> tuple[float, str] | None:
    """How deep a setting goes, for comparing and in words; None where nothing is known."""
    if np.isfinite(row["frontier"]):
        return row["frontier"], f"down to {row['frontier']:.0f} layers"
    if row["high"] == np.inf and np.isfinite(row["low"]):
        return np.inf, f"beyond {row['low']:.0f} layers"
    if np.isfinite(row["high"]):
        return -1.0, f"not even at {row['high']:.0f} layers"
    return None


def _keys() -> list[Artist]:
    theory = f"theory: {TRAINABLE:g} depth scales"
    return [style.key("reached by half, 95 % interval", FOUND), style.key(theory, THEORY)]


def _depth_axis(panel: Axes, depths: np.ndarray) -> None:
    """A logarithmic axis over the depths tried, with room at both ends for what lies beyond."""
    low, high = max(depths.min(), 1.0), max(depths.max(), 2.0)
    panel.set_xscale("log")
    panel.set_xlim(low / GAP, high * GAP)
    ticks = [m * 10**e for e in range(5) for m in (1, 2, 5) if low <= m * 10**e <= high]
    panel.set_xticks(ticks, [f"{tick}" for tick in ticks])
    panel.minorticks_off()
    panel.set_xlabel("depth  (hidden layers)")


def _draw_rows(
    panel: Axes, scale: Any, *, rows: list[dict[str, Any]], names: list[str], depths: np.ndarray
) -> None:
    """One row per setting, the first at the top."""
    _depth_axis(panel, depths)
    kept, names = fitting_rows(panel, names)
    rows = [rows[i] for i in kept]
    for place, row in enumerate(rows):
        _draw(panel, place, row)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.4, -0.6)
    if not rows:
        style.note(panel, "nothing to show")


def _draw(panel: Axes, place: int, row: dict[str, Any]) -> None:
    """One setting: its interval, its frontier and theory's."""
    least, most = panel.get_xlim()
    measured, expected = (style.shown(look, panel).colour for look in (FOUND, THEORY))
    low, high = (float(np.clip(row[name], least, most)) for name in ("low", "high"))
    panel.plot([low, high], [place, place], color=measured, linewidth=2.4, label="interval")
    for end, mark in ((low, "<"), (high, ">")):
        if end in (least, most):
            panel.plot([end], [place], mark, color=measured, markersize=8, clip_on=False, label="open")
    panel.plot([row["frontier"]], [place], FOUND.marker, color=measured, markersize=8, label="found")
    theory = row["theory"]
    if np.isfinite(theory) and least <= theory <= most:
        panel.plot([theory], [place], THEORY.marker, color=expected, markersize=7, label="theory")
    elif theory == theory:
        end, mark = (most, ">") if theory > most else (least, "<")
        panel.plot([end], [place + 0.22], mark, color=expected, markersize=8, clip_on=False, label="theory")
