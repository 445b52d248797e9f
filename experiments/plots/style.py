"""How figures look: colours, type, the sheet that panels lie on, lines and bands, and saving.

Nothing here knows what is drawn. No pyplot and no global state: every size is set on the artist it is for,
so that figures come out alike in a script, a notebook and a worker.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from math import ceil
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.storage import files

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

# Type sizes in points: the smallest is still read from the back of a room when a figure fills the screen.
TITLE, PANEL_TITLE, LABEL, TICK, CAPTION = 16, 12.5, 12, 11, 11
NARROWEST = 8.0  # inches; a single panel is drawn that wide, and its caption has room
PANEL_WIDTH, ROW_WIDTH = 30, 24  # characters of a panel's title and of a row's name that fit beside it
INK, FAINT, GRID = "#222222", "#666666", "#E4E4E4"

# Looks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """How one line is drawn; colour, marker and dashes all tell it apart, so that grey prints do too."""

    colour: Any
    marker: str = ""
    dashes: Any = "-"


# Okabe & Ito's colours, told apart by colour-blind readers. A family of activations has one colour and one
# marker in every figure; its members differ by their dashes.
FAMILIES = {
    "identity": ("#000000", "|", ("identity",)),
    "sigmoid": ("#0072B2", "o", ("sigmoid", "hard_sigmoid")),
    "tanh": ("#E69F00", "s", ("tanh", "lecun_tanh", "hard_tanh", "softsign", "arctan")),
    "relu": ("#D55E00", "^", ("relu",)),
    "leaky": ("#009E73", "D", ("leaky_relu",)),
    "elu": ("#CC79A7", "v", ("elu", "selu", "softplus")),
    "gated": ("#56B4E9", "P", ("gelu", "silu", "mish")),
}
OTHER = ("#7F7F7F", "X")  # an activation that is in no family
IN_TURN = (*(row[:2] for row in list(FAMILIES.values())[1:]), ("#000000", "X"), ("#7F7F7F", "*"))
DASHES = ("-", (0, (5, 2)), (0, (1, 1.3)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (9, 3)))
ORDERED = "viridis"  # for numbers: even steps look even, in grey too
SHARES = "magma_r"  # for fractions: 0 is pale, so that the first dead unit is seen
NUMBER = re.compile(r"(\d+\.?\d*)")  # in a text, so that factor=50 comes before factor=200
PREDICTED = {"color": INK, "linestyle": (0, (4, 2.5)), "linewidth": 1.2}  # whatever it is of
PALEST = 0.9  # of the ordered map; beyond it a line is lost on white


def in_order(values: Iterable[Any], field: str = "") -> list[Any]:
    """Distinct values in the order of every figure: none, numbers by size, activations by family, texts."""
    members = [name for *_, names in FAMILIES.values() for name in names]

    def rank(value: Any) -> tuple[Any, ...]:
        if value == "none":
            return (-1,)
        if not isinstance(value, str):
            return (0, float(value))
        name = value.split("(")[0]
        place = members.index(name) if field == "activation" and name in members else len(members)
        return (1, place, [float(part) if i % 2 else part for i, part in enumerate(NUMBER.split(value))])

    return sorted(dict.fromkeys(values), key=rank)


def looks(values: Sequence[Any], field: str = "") -> dict[Any, Look]:
    """A Look for each value: by family for activations, along a colour map for numbers, else in turn."""
    values = in_order(values, field)
    if field == "activation":
        return _activation_looks(values)
    if all(isinstance(value, int | float | np.number) for value in values):
        from matplotlib import colormaps

        shades = np.linspace(0, PALEST, len(values)) if len(values) != 1 else [0.3]
        marks = "osD^vPX"
        return {
            value: Look(tuple(colormaps[ORDERED](shade)), marks[i % len(marks)])
            for i, (value, shade) in enumerate(zip(values, shades, strict=True))
        }
    return {
        value: Look(*IN_TURN[i % len(IN_TURN)], DASHES[i // len(IN_TURN) % len(DASHES)])
        for i, value in enumerate(values)
    }


def _activation_looks(values: Sequence[str]) -> dict[str, Look]:
    """By family; options of one activation, leaky_relu(slope=0.1) and (slope=0.3), take further dashes."""
    found, taken = {}, set()
    for value in values:
        name = value.split("(")[0]
        family = next((row for row in FAMILIES.values() if name in row[2]), (*OTHER, (name,)))
        place = family[2].index(name)
        while (family[0], place) in taken:
            place += len(family[2])
        taken.add((family[0], place))
        found[value] = Look(*family[:2], DASHES[place % len(DASHES)])
    return found


def show(value: Any) -> str:
    """A field's value as it is written in a config: 0.1 and not 0.1000, 50 and not 50.0."""
    return value if isinstance(value, str) else f"{value:g}"


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the numbers 0 … count − 1, evenly spaced, the first and last among them."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))}) if count else []


# The sheet ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spacing:
    """Inches: a panel's width and height, and what lies between and around panels."""

    width: float = 3.0
    height: float = 2.25
    across: float = 0.3
    down: float = 0.85
    left: float = 1.0
    right: float = 0.25
    titles: int = 1  # lines of a panel's title


def sheet(
    rows: int,
    columns: int,
    *,
    title: str,
    caption: str,
    legend: Sequence[Artist] = (),
    legend_title: str = "",
    space: Spacing = Spacing(),
) -> tuple[Figure, npt.NDArray[Any]]:
    """A figure of rows × columns panels with its title and caption above and its legend below them.

    Places are computed in inches from the type sizes and not by a layout engine: nothing can overlap or
    collapse however many panels there are, and drawing takes half the time.
    """
    from matplotlib.figure import Figure

    around = space.left + space.right + (columns - 1) * space.across
    total = max(columns * space.width + around, NARROWEST)
    lines, heads = wrap(caption, int(12.2 * (total - 0.3))), wrap(title, int(7.8 * (total - 0.3)))
    fitting = _legend_columns(legend, total - 0.3)
    keys = ceil(len(legend) / fitting)
    down = space.down + 0.21 * (space.titles - 1)
    top = 0.28 * len(heads) + 0.205 * len(lines) + 0.62 + down - space.down
    bottom = 0.66 + (0.26 * keys + 0.12 + 0.26 * bool(legend_title) if keys else 0)
    height = top + rows * space.height + (rows - 1) * down + bottom
    figure = Figure(figsize=(total, height))
    places = {
        "left": space.left / total, "right": 1 - space.right / total,
        "top": 1 - top / height, "bottom": bottom / height,
        "wspace": space.across * columns / (total - around), "hspace": down / space.height,
    }  # fmt: skip
    grid = figure.subplots(rows, columns, squeeze=False, gridspec_kw=places)
    _write_head(figure, heads, lines)
    _write_legend(figure, legend, legend_title, fitting)
    for axes in grid.flat:
        _plain(axes)
    return figure, grid


def _write_head(figure: Figure, heads: Sequence[str], lines: Sequence[str]) -> None:
    wide, high = figure.get_size_inches()
    below = 1 - (0.2 + 0.28 * len(heads)) / high
    figure.text(0.15 / wide, 1 - 0.1 / high, "\n".join(heads), size=TITLE, weight="bold", va="top", color=INK)
    figure.text(0.15 / wide, below, "\n".join(lines), size=CAPTION, va="top", color=FAINT, linespacing=1.25)


def _write_legend(figure: Figure, legend: Sequence[Artist], title: str, columns: int) -> None:
    if legend:
        figure.legend(
            handles=list(legend), title=title or None, ncols=min(columns, len(legend)), fontsize=LABEL,
            title_fontsize=LABEL, loc="lower center", bbox_to_anchor=(0.5, 0.06 / figure.get_figheight()),
            frameon=False, handlelength=3.2, columnspacing=1.4, borderaxespad=0,
        )  # fmt: skip


def _legend_columns(legend: Sequence[Artist], total: float) -> int:
    """How many columns fit into `total` inches: each takes its line, its longest text and a gap."""
    wide = [0.95 + 0.09 * len(str(entry.get_label())) for entry in legend]
    for columns in range(len(wide), 1, -1):
        if sum(part.max() for part in np.array_split(wide, columns)) <= total:
            return columns
    return 1


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=TICK, length=3, color=FAINT, labelcolor=INK)
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)


def lines_of(names: Iterable[str], width: int) -> int:
    """How many lines the longest of some names takes."""
    return max(len(wrap(name, width)) for name in names)


def name_panel(axes: Axes, title: str) -> None:
    """Write a panel's title, in lines that are no wider than it."""
    axes.set_title("\n".join(wrap(title, PANEL_WIDTH)), size=PANEL_TITLE, loc="left", color=INK)


def name_row(axes: Axes, name: str) -> None:
    """Name a row of panels at the left edge of the sheet, beside its first."""
    box = axes.get_position()
    axes.figure.text(
        0.12 / axes.figure.get_figwidth(), (box.y0 + box.y1) / 2, "\n".join(wrap(name, ROW_WIDTH)),
        rotation="vertical", ha="left",
        va="center", multialignment="center", size=PANEL_TITLE, weight="bold", color=INK,
    )  # fmt: skip


def note(axes: Axes, text: str) -> None:
    """Say in the middle of a panel why there is nothing in it."""
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", size=LABEL, color=FAINT,
        bbox={"facecolor": "white", "edgecolor": "none"},
    )  # fmt: skip


# Marks ----------------------------------------------------------------------------------------------------


def band(axes: Axes, x: Array, median: Array, low: Array, high: Array, look: Look, label: str) -> None:
    """A median as a line and its interval as a band of the same colour (a bar where there is one x only)."""
    axes.plot(x, median, markevery=max(1, len(x) // 8), label=label, **_line(look))
    if len(x) == 1:
        axes.vlines(x, low, high, color=look.colour, linewidth=3, alpha=0.35)
    else:
        axes.fill_between(x, low, high, color=look.colour, alpha=0.16, linewidth=0)


def key(label: str, look: Look) -> Artist:
    """A legend's entry for what `band` draws."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **_line(look))


def _line(look: Look) -> dict[str, Any]:
    thick = {"markeredgewidth": 1.8 if look.marker == "|" else 0.8, "markersize": 5.5, "linewidth": 1.8}
    return {"color": look.colour, "marker": look.marker or None, "linestyle": look.dashes, **thick}


def prediction(axes: Axes, x: Array, median: Array, low: Array, high: Array, look: Look) -> None:
    """What theory expects: a thin dashed line over a hatched band in the colour of what it predicts.

    The line itself is dark and on top, or it would be lost in a measured one that it agrees with.
    """
    marker = "_" if len(x) == 1 else None  # a line through one point is not seen
    axes.plot(x, median, label="_predicted", zorder=4, marker=marker, **PREDICTED)
    axes.fill_between(
        x, low, high, facecolor="none", edgecolor=look.colour, alpha=0.3, linewidth=0, hatch="////"
    )


def prediction_key(label: str) -> Artist:
    """A legend's entry for what `prediction` draws."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **PREDICTED)


# Saving ---------------------------------------------------------------------------------------------------


@contextmanager
def own_look(**settings: Any) -> Iterator[None]:
    """Draw and save with matplotlib's own defaults and these settings, whatever the user's are.

    The backend, which shows the user's figures and draws none of these, is left as it is.
    """
    matplotlib = _matplotlib()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


def _matplotlib() -> Any:
    """Import matplotlib, which refuses to be where MPLBACKEND names a backend that is not installed."""
    if "matplotlib" in sys.modules or "MPLBACKEND" not in os.environ:
        return import_module("matplotlib")
    backend = os.environ.pop("MPLBACKEND")
    try:
        found = import_module("matplotlib")
    finally:
        os.environ["MPLBACKEND"] = backend
    with suppress(ValueError):
        found.rcParams["backend"] = backend  # as matplotlib does, for the user's own figures
    return found


def images(figure: Figure, name: str) -> dict[str, bytes]:
    """The figure as files, by file name: `name`.png and `name`.svg.

    Equal figures give equal bytes: no date, no version, and SVG ids drawn from the name.
    """
    found = {}
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        data = BytesIO()
        with own_look(**{"svg.hashsalt": name, "svg.fonttype": "path"}):
            figure.savefig(data, format=kind, dpi=150, metadata=metadata)
        found[f"{name}.{kind}"] = data.getvalue()
    return found


def save(figure: Figure, folder: str | Path, name: str) -> list[Path]:
    """Write `images` into `folder`, each whole or not at all; their paths. Errors: StoreError."""
    paths = {Path(folder) / file: data for file, data in images(figure, name).items()}
    for path, data in paths.items():
        files.write(path, data, path.parent)
    return list(paths)
