"""Panels laid out on sheets: a finding above, panels that share their scales, how to read them below."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from experiments.plots import style
from experiments.plots.canvas import Canvas
from experiments.plots.labels import HIGH, row_names
from experiments.plots.panels import Content, Panel, scales

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ON_A_SHEET = 12  # panels, where all are asked for
BOLD, PLAIN = 0.62, 0.535  # of the type's size: a character's mean width
EDGE = 0.16  # inches left and right of all text
LINE = 1.3  # of the type's size: from one line of text to the next
MOST_SAID = 3  # lines of small type below a figure; the rest stands in its alt text

Block = tuple[list[str], float, dict[str, Any]]  # lines, their size and how they are set


def sheets_of(content: Content, canvas: Canvas) -> list[Figure]:
    """Draw a picture: one sheet, or as many as all its panels need, whole settings together."""
    shared = scales(content.panels)
    across = content.across if canvas.every else canvas.type.across
    with style.own_look(**canvas.settings()):
        return [_sheet(content, canvas, part, shared, across) for part in _parts(content.panels, across)]


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
    top, bottom = _height(head) + 2 * EDGE, _height(foot) + EDGE * bool(foot) + _line(canvas) * bool(keys)
    total = canvas.inches[1] or high + top + bottom
    figure = Figure(figsize=(wide, total), dpi=canvas.type.dots)
    figure.set_layout_engine(
        "constrained", rect=(0.004, bottom / total, 0.992, 1 - (top + bottom) / total),
        w_pad=0.09, h_pad=0.06, wspace=0.03, hspace=0.03,
    )  # fmt: skip
    _write(figure, head, total - EDGE)
    _write(figure, foot, bottom - _line(canvas) * bool(keys))
    _legend(figure, keys, bottom)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[len(panels) :]:
        axes.remove()
    placed = list(zip(grid, panels, _titles(panels), strict=False))
    for axes, panel, title in placed:
        size = axes.title.get_fontsize()
        axes.set_title("\n".join(wrapped(canvas.say(title), wide / columns - 0.8, size, PLAIN)))
        panel.draw(axes, shared[panel.group])
    _bar(figure, grid[: len(panels)], panels)
    _lay_out(figure)
    for axes, panel, _ in placed:
        _without_overlap(axes)
        if panel.label:
            panel.label(axes)
    _in_own_words(figure, canvas)
    return figure


def _lay_out(figure: Figure) -> None:
    """Find the places of all panels, by which labels find theirs, without drawing what is in them."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")


def _without_overlap(axes: Axes) -> None:
    """Drop numbers under a panel that would touch the one to their right; its last number stays."""
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    ticks = [
        tick
        for tick, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        if label.get_text()
    ]
    boxes = [label.get_window_extent() for label in labels]
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -boxes[i].x0):
        if not kept or boxes[i].x1 + 0.4 * boxes[i].height < boxes[kept[-1]].x0:
            kept.append(i)
    if len(kept) < len(labels):
        kept = kept[::-1]
        axes.set_xticks([ticks[i] for i in kept], [labels[i].get_text() for i in kept])


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
    finding = evenly(wrapped(content.finding, wide - 2 * EDGE, kind.title, BOLD))
    plotted = wrapped(content.subtitle + canvas.say(common), wide - 2 * EDGE, kind.label, PLAIN)
    return [
        (finding, kind.title, {"weight": "bold"}),
        (plotted, kind.label, {"color": canvas.colours.faint}),
    ]


def _foot(content: Content, canvas: Canvas, wide: float) -> list[Block]:
    """How to read it, and the notes for which there is room; a slide and a paper have these elsewhere."""
    if canvas.style != "screen":
        return []
    size, lines = canvas.type.small, list[str]()
    for text in (content.how_to_read, *content.notes):
        joined = wrapped(" ".join([*lines, text]), wide - 2 * EDGE, size, PLAIN)
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


def wrapped(text: str, inches: float, size: float, width: float) -> list[str]:
    """Lines of a text of this size that are no wider; no word or number is broken."""
    characters = max(8, int(inches * 72 / (size * width)))
    return wrap(text, characters, break_long_words=False, break_on_hyphens=False)


def evenly(lines: Sequence[str]) -> list[str]:
    """The same words on as many lines of nearly one length: no last line with a single word."""
    text, most = " ".join(lines), max(map(len, lines), default=0)
    for characters in range(max(1, most // 2), most):
        found = wrap(text, characters, break_long_words=False, break_on_hyphens=False)
        if len(found) <= len(lines) and max(map(len, found)) <= most:
            return found
    return [*lines]


def _legend(figure: Figure, keys: Sequence[Artist], bottom: float) -> None:
    if keys:
        wide, high = figure.get_size_inches()
        figure.legend(
            handles=list(keys), ncols=len(keys), loc="upper left", borderaxespad=0, handlelength=2.6,
            borderpad=0.1, bbox_to_anchor=(EDGE / wide, bottom / high),
        )  # fmt: skip


def _bar(figure: Figure, grid: Sequence[Any], panels: Sequence[Panel]) -> None:
    """One colour bar, right of all panels."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bar = next((panel.bar for panel in panels if panel.bar), None)
    if bar:
        scale = ScalarMappable(Normalize(*bar.ends), bar.colours())
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
