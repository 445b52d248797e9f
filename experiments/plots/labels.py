"""Names beside lines, where the lines lie farthest apart, in place of a legend."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.wording import in_lines
from experiments.plots import style
from experiments.plots.wrapping import width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]

WIDE = 0.57  # of the type's size: a character's width, on the safe side
HIGH = 1.25  # of the type's size: a line of text
LONG = 16  # characters; a longer name is broken where its options begin
WIDEST = 0.6  # of the panel that names beside lines may take
OF_ROWS = 0.46  # the same of the names of rows, where they are wrapped
MOST_FOR_NAMES = 0.7  # of a panel's width: names of rows that take more are wrapped


@dataclass(frozen=True)
class Line:
    """The name of a line or guide, its look, and where it runs."""

    name: str
    look: style.Look | None  # None: a guide, which stands back
    x: Array
    y: Array


def broken(name: str) -> str:
    """Return a long name on two lines; words and numbers stay whole."""
    if len(name) <= LONG:
        return name
    places = [i for i in range(1, len(name)) if name[i] == "(" or name[i - 1] == " "]
    if not places:
        return name
    place = min(places, key=lambda i: abs(i - len(name) / 2))
    return f"{name[:place].rstrip()}\n{name[place:]}"


AROUND_ROWS = 3.6  # lines of text above and below the rows of a panel: its title, its numbers and their name
TIGHT = 1.08  # of the type's size: from one row to the next, at least


def row_names(names: Sequence[str], inches: float, size: float) -> list[str]:
    """Return the names of rows as they are, or in several lines each if they would leave the panel no width.

    A line ends after a comma, or where options begin. inches: of the panel with its names; size: in points.
    """
    room = inches * 72 / (WIDE * size)  # characters
    if max(map(len, names), default=0) <= MOST_FOR_NAMES * room:
        return list(names)
    most = max(8, int(OF_ROWS * room))
    return [in_lines(re.split(r"(?<=, )|(?=\()", name), most) for name in names]


def fitting_rows(axes: Axes, names: Sequence[str], told: Sequence[int] = ()) -> tuple[list[int], list[str]]:
    """Return the places of the rows that a panel has room for, and how each of these rows is named.

    They are evenly spread, the first and the last among them. told: the rows that the title speaks of, which
    are always kept. Long names take two lines where there is room for that, and as many as they need where
    they would leave the panel no width.
    """
    size, grid = style.points("ytick.labelsize"), axes.get_gridspec()
    room = axes.get_position().height * axes.figure.get_figheight() * 72
    most = int((room - AROUND_ROWS * HIGH * style.points("axes.labelsize")) / (TIGHT * size))
    wide = axes.figure.get_figwidth() / (grid.ncols if grid else 1)
    wrapped = row_names(names, wide, size)
    if wrapped != list(names):
        lines = sum(name.count("\n") + 1 for name in wrapped) / len(names)
        kept = _with(told, style.spread(len(names), max(2, int(most / lines))))
        return kept, [wrapped[i] for i in kept]
    kept = _with(told, style.spread(len(names), max(2, most)))
    halved = [broken(names[i]) for i in kept]
    tallest = max((name.count("\n") + 1 for name in halved), default=1)
    return kept, halved if len(kept) * tallest <= most else [names[i] for i in kept]


def _with(told: Sequence[int], kept: Sequence[int]) -> list[int]:
    """Return as many rows as in `kept`, each row of `told` in place of the kept one that is nearest to it."""
    found = list(kept)
    for row in told:
        if row not in found:
            found.remove(
                min((i for i in found if i not in told), key=lambda i: abs(i - row), default=found[0])
            )
            found.append(row)
    return sorted(found)


def label_lines(axes: Axes, lines: Sequence[Line]) -> None:
    """Write each line's name beside its end, left or right, wherever the ends lie farther apart.

    The x axis is made longer to have room for them; where there is none, the lines between go grey, and how
    many is said.
    """
    axes.autoscale_view()  # which matplotlib puts off, and the places below depend on it
    ends = {side: [_end(axes, line, side) for line in lines] for side in (0, -1)}
    drawn = [i for i, end in enumerate(ends[-1]) if end is not None]
    if not drawn:
        return
    data = [i for i in drawn if lines[i].look is not None] or drawn  # a guide is as far away on either side
    side = max((-1, 0), key=lambda side: _apart([ends[side][i][1] for i in data]))
    size = style.points("legend.fontsize")
    box = axes.get_window_extent()
    dots = axes.figure.dpi / 72
    drawn.sort(key=lambda i: ends[side][i][1], reverse=True)
    drawn, greyed = _fitting(drawn, [broken(line.name) for line in lines], size * dots / box.height)
    texts = [broken(lines[i].name) for i in drawn] + ([f"{len(greyed)} more, in grey"] if greyed else [])
    wide = max(width_of(part, size) for text in texts for part in text.split("\n")) * axes.figure.dpi
    room = min(WIDEST, (wide + 1.3 * size * dots) / box.width)
    _make_room(axes, room, side)
    heights = [(text.count("\n") + 1) * HIGH * size * dots / box.height for text in texts]
    wanted = [_end(axes, lines[i], side)[1] for i in drawn]
    places = spaced([*wanted, 0.0][: len(texts)], heights)
    at = 1 - room + 0.95 * size * dots / box.width if side else room - 0.95 * size * dots / box.width
    for i, text, place in zip(drawn, texts, places, strict=False):
        _write(axes, lines[i], text, place, (at, side), size)
    if greyed:
        _note(axes, texts[-1], places[-1], (at, side), size)
        _grey(axes, {lines[i].name for i in greyed})


def _end(axes: Axes, line: Line, side: int) -> tuple[float, float] | None:
    """Where a line begins (0) or ends (-1) in the panel, as fractions; None for a line without a number."""
    known = np.flatnonzero(np.isfinite(line.y) & np.isfinite(line.x))
    if not known.size:
        return None
    place = axes.transData.transform((line.x[known[side]], line.y[known[side]]))
    x, y = axes.transAxes.inverted().transform(place)
    return float(x), float(np.clip(y, 0, 1))


def _apart(heights: Sequence[float]) -> float:
    """How far ends lie apart: the mean gap between neighbours, a gap counted up to a line of text."""
    return float(np.minimum(np.diff(np.sort(heights)), 0.07).sum())


def _fitting(order: list[int], texts: Sequence[str], line: float) -> tuple[list[int], list[int]]:
    """Which names fit into a panel's height, evenly spread in their order, and which do not."""
    total = sum(texts[i].count("\n") + 1 for i in order)
    most = int(1 / (HIGH * line))
    if total <= most:
        return order, []
    count = max(1, int(len(order) * (most - 1) / total))
    kept = [order[i] for i in style.spread(len(order), count)]
    return kept, [i for i in order if i not in kept]


def _make_room(axes: Axes, room: float, side: int) -> None:
    """Lengthen the x axis at one side by a share of the panel's width."""
    transform = axes.xaxis.get_transform()
    low, high = transform.transform(np.array(axes.get_xlim(), float))
    more = (high - low) * room / (1 - room)
    ends = (low, high + more) if side else (low - more, high)
    axes.set_xlim(*transform.inverted().transform(np.array(ends)))


def spaced(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Middles of texts of these heights, as near to `wanted` as they can be and in their order, within 0
    and 1.

    Texts that would lie over one another form a block, in the middle of where they should be.
    """
    order = sorted(range(len(wanted)), key=lambda i: -wanted[i])
    blocks: list[list[Any]] = []  # of each the sum of where its top should be, its texts, and its height
    for i in order:
        blocks.append([wanted[i] + heights[i] / 2, [i], heights[i]])
        while len(blocks) > 1 and _top(blocks[-1]) > _top(blocks[-2]) - blocks[-2][2]:
            total, texts, height = blocks.pop()
            before = blocks[-1]
            before[0] += total + len(texts) * before[2]
            before[1] += texts
            before[2] += height
    found = {}
    for block in blocks:
        top = min(max(_top(block), block[2]), 1.0)
        for i in block[1]:
            found[i] = top - heights[i] / 2
            top -= heights[i]
    return _apart_again([found[i] for i in range(len(wanted))], heights, order)


def _top(block: Sequence[Any]) -> float:
    return float(block[0] / len(block[1]))


def _apart_again(middles: list[float], heights: Sequence[float], order: Sequence[int]) -> list[float]:
    """Push apart what the ends of the axis have pushed together: upwards from the bottom, then downwards."""
    bottom, top = 0.0, 1.0
    for i in reversed(order):
        middles[i] = max(middles[i], bottom + heights[i] / 2)
        bottom = middles[i] + heights[i] / 2
    for i in order:
        middles[i] = min(middles[i], top - heights[i] / 2)
        top = middles[i] - heights[i] / 2
    return middles


def _write(axes: Axes, line: Line, text: str, place: float, at: tuple[float, int], size: float) -> None:
    colour = style.shown(line.look, axes).colour if line.look else style.faint(axes)
    x, side = at
    known = np.flatnonzero(np.isfinite(line.y) & np.isfinite(line.x))[side]
    leader = {
        "arrowstyle": "-",
        "color": colour,
        "linewidth": 0.8,
        "alpha": 0.7,
        "shrinkA": 1,
        "shrinkB": 4,
    }
    axes.annotate(
        text, (line.x[known], line.y[known]), (x, place), xycoords="data", textcoords="axes fraction",
        color=colour, size=size, va="center", ha="left" if side else "right", arrowprops=leader,
        linespacing=1.0, annotation_clip=False, gid="label", zorder=6,
        bbox={"facecolor": axes.get_facecolor(), "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
    )  # fmt: skip


def _note(axes: Axes, text: str, place: float, at: tuple[float, int], size: float) -> None:
    x, side = at
    axes.text(
        x, place, text, transform=axes.transAxes, color=style.faint(axes), size=size, va="center",
        ha="left" if side else "right",
    )  # fmt: skip


def _grey(axes: Axes, names: set[str]) -> None:
    for line in axes.lines:
        if line.get_label() in names:
            line.set(color=style.faint(axes), alpha=0.35, marker="", zorder=1)
