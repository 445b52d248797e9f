"""Panels laid out on sheets: a finding above, panels that share their scales, how to read them below."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

from experiments.plots import style
from experiments.plots.canvas import Canvas
from experiments.plots.labels import HIGH, row_names
from experiments.plots.panels import Content, Panel, scales
from experiments.plots.wrapping import evenly, halved, width_of, wrapped

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ON_A_SHEET = 12  # panels, where all are asked for
EDGE = 0.16  # inches left and right of all text
LINE = 1.3  # of the type's size: from one line of text to the next
NARROWEST = 0.6  # of a panel's usual width: how narrow it may become where all are drawn
SMALLER = (1, 0.92, 0.85, 0.8)  # of a title's size, one after the other, until it has few enough lines
KEY = 5.4  # of the type's size: what the sample of a legend's key and the gaps beside it take
MOST_SAID = 3  # lines of small type below a figure; the rest stands in its alt text

Block = tuple[list[str], float, dict[str, Any]]  # lines, their size and how they are set


def sheets_of(content: Content, canvas: Canvas) -> list[Figure]:
    """Draw a picture: one sheet, or as many as all its panels need, whole settings together."""
    shared = scales(content.panels)
    across = _across(content, canvas)
    with style.own_look(**canvas.settings()):
        return [_sheet(content, canvas, part, shared, across) for part in _parts(content.panels, across)]


def _across(content: Content, canvas: Canvas) -> int:
    """How many panels stand beside one another: of all panels no more than a fixed width has room for."""
    least, wide = canvas.type.across, canvas.inches[0]
    if not canvas.every:
        return least
    room = content.across if wide is None else int(wide / (NARROWEST * canvas.type.panel[0]))
    return min(content.across, max(least, room))


def _parts(panels: Sequence[Panel], across: int) -> list[Sequence[Panel]]:
    """Panels cut into sheets between rows of `across`."""
    size = max(1, MOST_ON_A_SHEET // across) * across
    return [panels[i : i + size] for i in range(0, len(panels), size)] or [[]]


def _sheet(
    content: Content, canvas: Canvas, panels: Sequence[Panel], shared: dict[Any, Any], across: int
) -> Figure:
    from matplotlib.figure import Figure

    columns = max(1, min(across, len(panels)))
    rows = max(1, ceil(len(panels) / columns))
    wide, high = _inches(canvas, panels, columns, rows)
    head, foot, keys = (
        _head(content, canvas, panels, wide),
        _foot(content, canvas, wide),
        list(content.legend()),
    )
    keyed = _line(canvas) * _rows_of_keys(keys, canvas, wide)
    top, bottom = _height(head) + 2 * EDGE, _height(foot) + EDGE * bool(foot) + keyed
    total = canvas.inches[1] or high + top + bottom
    figure = Figure(figsize=(wide, total), dpi=canvas.type.dots)
    figure.set_layout_engine(
        "constrained", rect=(0.004, bottom / total, 0.992, 1 - (top + bottom) / total),
        w_pad=0.09, h_pad=0.06, wspace=0.03, hspace=0.03,
    )  # fmt: skip
    _write(figure, head, total - EDGE)
    _write(figure, foot, bottom - keyed)
    _legend(figure, keys, bottom, _rows_of_keys(keys, canvas, wide))
    about = {"bottom": bottom / total, "top": 1 - top / total}  # by which panels know how high they will be
    grid = list(figure.subplots(rows, columns, squeeze=False, gridspec_kw=about).flat)
    for axes in grid[len(panels) :]:
        axes.remove()
    placed = list(zip(grid, panels, _titles(panels), strict=False))
    for axes, panel, title in placed:
        size = axes.title.get_fontsize()
        axes.set_title("\n".join(wrapped(canvas.say(title), wide / columns - 0.067 * size, size)))
        panel.draw(axes, shared[panel.group])
    _bar(figure, grid[: len(panels)], panels)
    _lay_out(figure)
    for axes, panel, _ in placed:
        if panel.label:
            panel.label(axes)
        _without_overlap(axes)
    _in_own_words(figure, canvas)
    return figure


def _lay_out(figure: Figure) -> None:
    """Find the places of all panels, by which labels find theirs, without drawing what is in them."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        for _ in range(3):  # after each of which another axis may be too short for its name
            shortened = [_shorten(axes) for axes in figure.axes]
            if not any(shortened):
                break
            engine.execute(figure)
    figure.set_layout_engine("none")


def _shorten(axes: Axes) -> bool:
    """Whether the name of an axis was longer than the axis: it is now in two lines or without brackets."""
    if axes.get_label() == "colour bar":
        return False  # beside which there is room above and below
    room, before = axes.get_window_extent(), (axes.get_xlabel(), axes.get_ylabel())
    for axis, side in ((axes.xaxis, "width"), (axes.yaxis, "height")):
        label = axis.label
        text = label.get_text().replace("\n", " ")
        for shorter in (halved(text), text.partition("  (")[0], halved(text.partition("  (")[0])):
            if getattr(label.get_window_extent(), side) <= getattr(room, side):
                break
            label.set_text(shorter)
    return (axes.get_xlabel(), axes.get_ylabel()) != before


def _without_overlap(axes: Axes) -> None:
    """Drop numbers at an axis that would touch another; its last and its first number stay."""
    for axis, side, room in ((axes.xaxis, 0, 0.4), (axes.yaxis, 1, 0.0)):
        drawn = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
        named = [(tick, label) for tick, label in drawn if label.get_text()]
        boxes = [label.get_window_extent() for _, label in named]
        ends = [(box.min[side], box.max[side] + room * box.height) for box in boxes]
        order = sorted(range(len(ends)), key=lambda i, ends=ends: -ends[i][0])  # type: ignore[misc]
        kept: list[int] = []
        for i in dict.fromkeys([*order[:1], *order[-1:], *order]):
            if all(ends[i][1] < ends[k][0] or ends[k][1] < ends[i][0] for k in kept):
                kept.append(i)
        words = any(label.get_text().islower() for _, label in named)  # rows are not numbers: all are named
        if len(kept) < len(named) and not words:
            kept.sort()
            axis.set_ticks([named[i][0] for i in kept], [named[i][1].get_text() for i in kept])


def _inches(canvas: Canvas, panels: Sequence[Panel], columns: int, rows: int) -> tuple[float, float]:
    """The width of a sheet, and the height that its panels need."""
    wide, high = canvas.type.panel
    alone = 1.5 if columns == 1 and canvas.style == "screen" else 1.0
    across = canvas.inches[0] or columns * wide * alone + 0.2
    lines = [_lines_of_rows(panel, across / columns, canvas.type.small) for panel in panels]
    tall = max([high, *(0.9 + count * HIGH * canvas.type.label / 72 for count in lines)])
    return across, rows * tall


def _lines_of_rows(panel: Panel, inches: float, size: float) -> float:
    """The lines of text that a panel needs the height of, its rows' names wrapped to this width."""
    names = row_names(panel.names, inches, size)
    return panel.rows * sum(name.count("\n") + 1 for name in names) / len(names) if names else panel.rows


def _line(canvas: Canvas) -> float:
    """Inches from one line of small type to the next, with room for the sample of a key."""
    return 1.6 * canvas.type.small / 72


def _head(content: Content, canvas: Canvas, panels: Sequence[Panel], wide: float) -> list[Block]:
    """The finding, and what is plotted with what holds in all panels."""
    kind = canvas.type
    settings = {panel.setting for panel in panels if panel.title}
    common = f"; {settings.pop()}" if len(settings) == 1 and "" not in settings else ""
    finding, size = _finding(content.finding, canvas, wide - 2 * EDGE)
    plotted = wrapped(content.subtitle + canvas.say(common), wide - 2 * EDGE, kind.label)
    if kind.height is not None and len(plotted) > 1:  # of a fixed height: what stands before the details
        short = re.split(r"[:,]", content.subtitle)[0]
        plotted = wrapped(short + canvas.say(common), wide - 2 * EDGE, kind.label)
    return [
        (finding, size, {"weight": "bold"}),
        (plotted, kind.label, {"color": canvas.colours.faint}),
    ]


def _finding(text: str, canvas: Canvas, inches: float) -> tuple[list[str], float]:
    """The lines of a title and their size, which is smaller where they would be too many."""
    for part in SMALLER:
        size = part * canvas.type.title
        lines = evenly(wrapped(text, inches, size, bold=True))
        if len(lines) <= canvas.type.lines:
            break
    return lines, size


def _foot(content: Content, canvas: Canvas, wide: float) -> list[Block]:
    """How to read it, and the notes for which there is room; a slide and a paper have these elsewhere."""
    if canvas.style != "screen":
        return []
    size, lines = canvas.type.small, list[str]()
    for text in (content.how_to_read, *content.notes):
        joined = wrapped(" ".join([*lines, text]), wide - 2 * EDGE, size)
        lines = joined if len(joined) <= MOST_SAID else lines
    return [(lines, size, {"color": canvas.colours.faint})] if lines else []


def _height(blocks: Sequence[Block]) -> float:
    return sum(len(lines) * LINE * size / 72 for lines, size, _ in blocks)


def _write(figure: Figure, blocks: Sequence[Block], top: float) -> None:
    """Write blocks of lines from so many inches above the bottom downwards."""
    wide, high = figure.get_size_inches()
    for lines, size, how in blocks:
        figure.text(
            EDGE / wide, top / high, "\n".join(lines), size=size, va="top", linespacing=LINE * 0.86, **how
        )
        top -= len(lines) * LINE * size / 72


def _titles(panels: Sequence[Panel]) -> list[str]:
    """What differs between panels: the setting, the quantity, or both."""
    differ = len({panel.setting for panel in panels}) > 1
    same = len({panel.title for panel in panels}) == 1
    if not differ:
        return [panel.title or panel.setting for panel in panels]
    return [
        panel.setting if same or not panel.title else ": ".join(filter(None, (panel.setting, panel.title)))
        for panel in panels
    ]


def _rows_of_keys(keys: Sequence[Artist], canvas: Canvas, wide: float) -> int:
    """How many rows of a legend keys need beside one another."""
    size = canvas.type.small
    widest = max((width_of(canvas.say(str(key.get_label())), size) for key in keys), default=0.0)
    return ceil(len(keys) / max(1, int((wide - 2 * EDGE) / (widest + KEY * size / 72))))


def _legend(figure: Figure, keys: Sequence[Artist], bottom: float, rows: int) -> None:
    if keys:
        wide, high = figure.get_size_inches()
        figure.legend(
            handles=list(keys), ncols=ceil(len(keys) / rows), loc="upper left", borderaxespad=0,
            handlelength=2.6, borderpad=0.1, bbox_to_anchor=(EDGE / wide, bottom / high),
        )  # fmt: skip


def _bar(figure: Figure, grid: Sequence[Any], panels: Sequence[Panel]) -> None:
    """One colour bar, right of all panels."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bar = next((panel.bar for panel in panels if panel.bar), None)
    if bar:
        scale = ScalarMappable(Normalize(*bar.ends), bar.colours(style.dark(figure)))
        drawn = figure.colorbar(scale, ax=list(grid), aspect=24, shrink=0.9, pad=0.02)
        drawn.ax.set_label("colour bar")
        drawn.set_label(bar.label)


def _in_own_words(figure: Figure, canvas: Canvas) -> None:
    """Put the reader's own words in place of the figure's, in all texts but the ticks'."""
    from matplotlib.text import Text

    if canvas.words:
        ticks = {
            id(label) for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())
        }
        for text in figure.findobj(Text):
            if id(text) not in ticks and text not in figure.texts:
                text.set_text(canvas.say(text.get_text()))
