"""The numbers behind a drawn figure: a table for each panel, for those who cannot see the picture."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from experiments.analysis.wording import number, ten_to
from experiments.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

BARS = ("<colorbar>", "colour bar")  # axes that are no panels
ZERO = -np.inf  # stands for an exact zero on any axis
MOST_ROWS = 26  # of a table; more are thinned evenly, and the table says so

Table = dict[str, Any]  # title: str, head: a list of names, rows: lists of texts
_TOLD: WeakKeyDictionary[Axes, Table] = WeakKeyDictionary()


def tell(panel: Axes, what: str, head: Sequence[str], rows: Iterable[Sequence[str | float]]) -> None:
    """Say which numbers a panel shows, where its lines do not tell: of a map, bars, or settings in rows.

    what: the quantity, after the panel's title. Cells that are numbers are told in three digits.
    """
    texts = [[cell if isinstance(cell, str) else number(float(cell)) for cell in row] for row in rows]
    _TOLD[panel] = _thinned(what, list(head), texts)


def panel_tables(figure: Figure) -> list[Table]:
    """Return a table for each panel: title, head, rows of texts.

    It holds what `tell` has said of the panel, else what its named lines or its map show. A table of lines
    has a row for each place along x. What is drawn on the floor for exact zeros is told as 0.
    """
    panels = [axes for axes in figure.axes if axes.get_visible() and axes.get_label() not in BARS]
    found = [_told(axes) or _of_lines(axes) or _of_map(axes) for axes in panels]
    return [table for table in found if table]


def _told(axes: Axes) -> Table | None:
    """What the panel's drawing has said of it, under its title."""
    if (table := _TOLD.get(axes)) is None:
        return None
    return table | {"title": ": ".join(filter(None, (_own_title(axes), table["title"])))}


def _of_lines(axes: Axes) -> Table | None:
    floor = next((line.get_ydata()[0] for line in axes.lines if line.get_label() == "_floor"), None)
    values = {name: _points(line, floor) for name, line in _named_lines(axes).items()}
    if not values:
        return None
    told = power if _shows_powers(axes) else number
    words = _words_at_ticks(axes)
    rows = [
        [words.get(x, number(x)), *(_cell(each.get(x, np.nan), told) for each in values.values())]
        for x in sorted({x for each in values.values() for x in each if not np.isnan(x)})
    ]
    return _thinned(_title(axes), [" ".join(axes.get_xlabel().split()) or "x", *values], rows)


def _named_lines(axes: Axes) -> dict[str, Line2D]:
    """The lines of data that were given a name, and those of theory, which are drawn in the same order.

    Names that begin with an underscore are of lines that help the eye, or are matplotlib's own.
    """
    lines = [(str(line.get_label()), line) for line in axes.lines]
    found = {name: line for name, line in lines if name and not name.startswith("_")}
    theory = [line for name, line in lines if name == "_predicted"]
    of = list(found) if len(found) == len(theory) else [str(i + 1) for i in range(len(theory))]
    return found | {f"theory, {name}": line for name, line in zip(of, theory, strict=True)}


def _points(line: Line2D, floor: float | None) -> dict[float, float]:
    """A line's y by x; what lies on the floor is ZERO."""
    x, y = (np.ma.filled(np.ma.asarray(part, float), np.nan) for part in line.get_data())
    return dict(zip(x.tolist(), np.where(y == floor, ZERO, y).tolist(), strict=True))


def _cell(value: float, told: Callable[[float], str]) -> str:
    return "0" if value == ZERO else told(value)


def _shows_powers(axes: Axes) -> bool:
    """Whether a linear axis has exponents of ten, which its ticks are written as."""
    ticks = [text.get_text() for text in axes.get_yticklabels()]
    return axes.get_yscale() == "linear" and any(re.fullmatch("10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", text) for text in ticks)


def power(exponent: float) -> str:
    """Return the number of which the log10 is given, also where no float holds it; of −inf it is 0."""
    if exponent == ZERO:
        return "0"
    return "–" if np.isnan(exponent) else number(10**exponent) if abs(exponent) < 300 else ten_to(exponent)


def _words_at_ticks(axes: Axes) -> dict[float, str]:
    """The words at the ticks of an x axis that has words."""
    labels = {
        float(t): text.get_text() for t, text in zip(axes.get_xticks(), axes.get_xticklabels(), strict=False)
    }
    return {x: text for x, text in labels.items() if text and not any(c.isdigit() for c in text)}


def _of_map(axes: Axes) -> Table | None:
    """The cells of the first map, row by row from the top of the panel."""
    maps = [
        each for each in axes.collections if hasattr(each, "get_coordinates") and each.get_array() is not None
    ]
    if not maps:
        return None
    cells = np.ma.filled(np.ma.asarray(maps[0].get_array(), float), np.nan)
    if cells.ndim != 2:
        return None
    edges = maps[0].get_coordinates()
    across = [number(float(x)) for x in (edges[0, :-1, 0] + edges[0, 1:, 0]) / 2]
    down = [number(float(y)) for y in (edges[:-1, 0, 1] + edges[1:, 0, 1]) / 2]
    kept = columns_shown(len(across))
    rows = [[name, *(number(float(row[i])) for i in kept)] for name, row in zip(down, cells, strict=True)]
    corner = " ".join(f"{axes.get_ylabel() or 'y'} by {axes.get_xlabel() or 'x'}".split())
    return _thinned(_title(axes), [corner, *(across[i] for i in kept)], rows)


def _own_title(axes: Axes) -> str:
    titles = (axes.get_title(loc) for loc in ("left", "center", "right"))
    return " ".join(next(filter(None, titles), "").split())


def _title(axes: Axes) -> str:
    return ": ".join(filter(None, (_own_title(axes), axes.get_ylabel())))


def columns_shown(count: int) -> list[int]:
    """Return the places of the columns of a wide table that are shown: at most 13, evenly spread."""
    return style.spread(count, MOST_ROWS // 2)


def _thinned(title: str, head: list[str], rows: list[list[str]]) -> Table:
    kept = style.spread(len(rows), MOST_ROWS)
    if len(kept) < len(rows):
        title += f" ({len(kept)} of {len(rows)} rows)"
    return {"title": title, "head": head, "rows": [rows[i] for i in kept]}
