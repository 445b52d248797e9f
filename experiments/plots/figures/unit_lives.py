"""The life table of units: how many are dead, died, came back and survived, by layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.analysis import lives as life
from experiments.plots import axes, style, titles
from experiments.plots.captions import notes
from experiments.plots.figure_table import FIGURES, needs, words_of
from experiments.plots.labels import Line, label_lines
from experiments.plots.panels import Panel
from experiments.plots.picture import Picture
from experiments.plots.views import (
    Column,
    Fields,
    View,
    Where,
    arrange,
    as_panels,
    groups,
    name_of,
    settings_of,
)
from experiments.storage.records import Records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

BACK = (0, (4, 1.5))  # dashes of what came back
WORDS = {"dead": ("dies", "deaths"), "inactive": ("falls inactive", "spells")}
MOST = 4  # settings whose deaths and revivals stand side by side


@FIGURES
@needs("unit_dead")
def unit_life(
    records: Records, *, state: Literal["dead", "inactive"] = "dead", facet: Fields = None, where: Where = ""
) -> Picture:
    """Lives of units: dead, died and revived, and survival, by hidden layer.

    Dead: slope 0 on every example (with state=inactive: never positive). Deaths (solid) and revivals
    (dashed) are counted from the oversized step on, over the number of units. A solid line that stays flat
    beside a dashed one at 0 is a death for good.
    """
    view = as_panels(arrange(records, None, facet, where))
    since = _since(view.records)
    columns = _columns(view, f"unit_{state}", since)
    keys = settings_of(view)
    looks = style.looks(sorted(columns[0][0].curves["layer"].unique()), "layer")
    panels = [
        Panel(
            drawn[0].title.replace("dead", state),
            partial(_draw, drawn=[column.only(view.facet, key) for column in drawn], looks=looks),
            name_of(view.facet, key), drawn[0].label + drawn[0].title, drawn, _ends,
            rows=len(looks), label=partial(_label, looks=looks),
        )
        for key in keys
        for drawn in columns
    ]  # fmt: skip
    said = notes(view, [columns[0][0].curves])
    finding, worst = _toll(view, keys, columns[1], state)
    several = 1 < len(keys) <= MOST  # settings that can be compared: their deaths and revivals side by side
    order = [worst, *(place for place in range(len(keys)) if place != worst)]
    few = tuple(3 * place + 1 for place in order) if several else (3 * worst + 1, 3 * worst)
    return Picture(words_of(unit_life, finding, said), tuple(panels), few, across=3, legend=_legend)


def _toll(
    view: View, keys: Sequence[tuple[Any, ...]], counted: Sequence[Column], state: str
) -> tuple[str, int]:
    """Of the setting in which most units die: how many did and how many came back, and which it is.

    Where the settings are few, beside it the one in which fewest die.
    """
    sums = []
    for key in keys:
        deaths, back = (column.only(view.facet, key).curves for column in counted)
        last = deaths["step"].max() if len(deaths) else 0
        sums.append([float(part.loc[part["step"] == last, "median"].mean()) for part in (deaths, back)])
    known = [i for i, (deaths, _) in enumerate(sums) if deaths == deaths]
    if not known:
        return titles.NOTHING, 0
    worst = max(known, key=lambda i: sums[i][0])
    best = min(known, key=lambda i: sums[i][0]) if len(keys) <= MOST else worst
    if worst == best:
        return titles.under(view.facet, keys[worst], _fate(*sums[worst], state)), worst
    most, least = (titles.spoken(view.facet, keys[i]) for i in (worst, best))
    return titles.sentence(_fates(most, sums[worst], least, sums[best], state)), worst


def _fate(deaths: float, back: float, state: str) -> str:
    """How often a unit dies and what part of the deaths are undone, or the same of its inactivity."""
    verb, event = WORDS[state]
    if deaths == 0:
        return f"no unit {verb}"
    undone = titles.portion(min(back / deaths, 1.0))
    return f"a unit {verb} {deaths:.2g} times on average, and {undone} of the {event} are undone"


def _fates(most: str, first: Sequence[float], least: str, last: Sequence[float], state: str) -> str:
    """The same of the setting in which most units die and of the one in which fewest do."""
    verb, event = WORDS[state]
    if last[0] == 0:
        return f"with {most}, {_fate(first[0], first[1], state)}; with {least}, no unit {verb}"
    undone = " and ".join(titles.portion(min(back / deaths, 1.0)) for deaths, back in (first, last))
    times = f"{first[0]:.2g} times on average with {most}, {last[0]:.2g} times with {least}"
    return f"a unit {verb} {times}; {undone} of the {event} are undone"


def _ends(drawn: Sequence[Sequence[Column]]) -> Any:
    """What the y axis of these panels has to hold, and of what kind it is."""
    first = drawn[0][0]
    frames = [
        c.curves[["median", "low", "high"]].to_numpy(float).ravel() for columns in drawn for c in columns
    ]
    return first, np.concatenate(frames)


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


def _draw(panel: Axes, ends: Any, *, drawn: Sequence[Column], looks: dict[Any, style.Look]) -> None:
    first, values = ends
    if not any(len(column.curves) for column in drawn):
        style.note(panel, "nothing to show")
        return
    for column, dashes in zip(drawn, ("-", BACK), strict=False):
        for (layer,), rows in groups(column.curves, ["layer"]):
            rows = rows.sort_values("step")
            look = style.Look(looks[layer].colour, looks[layer].marker, dashes)
            found = (rows[name].to_numpy(float) for name in ("median", "low", "high"))
            style.band(panel, rows["step"].to_numpy(float), *found, look, f"{column.title}, layer {layer}")
    last = max((column.curves["step"].max() for column in drawn if len(column.curves)), default=1)
    if first.scale == "share":
        axes.share_axis(panel)
    else:
        axes.linear_axis(panel, values)
    axes.step_axis(panel, int(last))
    panel.set_xlabel("updates since the oversized step")
    panel.set_ylabel(first.label)


def _legend() -> list[Artist]:
    return [style.key("died", style.Look("#000000")), style.key("revived", style.Look("#000000", "", BACK))]


def _label(panel: Axes, *, looks: dict[Any, style.Look]) -> None:
    """Name the solid lines by their layers."""
    lines = []
    for line in panel.lines:
        _, _, layer = str(line.get_label()).partition(", layer ")
        if layer and line.get_linestyle() == "-":
            look = next(look for value, look in looks.items() if f"{value}" == layer)
            x, y = (np.asarray(part, float) for part in line.get_data())
            lines.append(Line(f"layer {layer}", look, x, y))
    label_lines(panel, lines)
