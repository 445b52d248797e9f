"""How data look: the colours of activations and numbers, lines with bands, and matplotlib kept apart.

Nothing here knows what is drawn. No pyplot and no global state: sizes and all colours but those of data come
from matplotlib's settings, which `own_look` sets for the canvas of a picture.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.plots.value_names import NUMBER, in_steps, spelled_out

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

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
    "leaky": ("#009E73", "D", ("leaky_relu", "prelu")),
    "elu": ("#CC79A7", "v", ("elu", "selu", "softplus")),
    "gated": ("#56B4E9", "P", ("gelu", "silu", "mish")),
}
OTHER = ("#7F7F7F", "X")  # an activation that is in no family
# What is no activation has colours of its own (Paul Tol's "muted"), so that none seems to be one.
TURN = ("#332288", "#CC6677", "#44AA99", "#882255", "#DDAA33", "#117733", "#AA4499", "#999933", "#88CCEE")
MARKS = "osD^vPX*h"
IN_TURN = tuple(zip(TURN, MARKS, strict=True))
DASHES = ("-", (0, (5, 2)), (0, (1, 1.3)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (9, 3)))
ON_DARK = {  # the same colours where the paper is dark, as light as they need to be there
    "#000000": "#FFFFFF", "#0072B2": "#4DA6E0", "#E69F00": "#F2B53A", "#D55E00": "#FF8A47",
    "#009E73": "#2CC79A", "#CC79A7": "#E39AC2", "#56B4E9": "#A5DCFA", "#7F7F7F": "#ABABAB",
    "#332288": "#9C8CF0", "#CC6677": "#EC93A1", "#882255": "#D76BA0", "#DDAA33": "#EEC25A",
    "#117733": "#4DBD74", "#44AA99": "#63CDBB", "#AA4499": "#DB83CC", "#999933": "#C9C95C",
    "#88CCEE": "#B4E2F8",
}  # fmt: skip
ORDERED = "viridis"  # for numbers: even steps look even, in grey too
PREDICTED = (0, (4, 2.5))  # dashes of what theory expects, whatever it is of
MOMENT, LEVEL = (0, (2, 2)), (0, (6, 3))  # dashes of a moment and of a level
ENDS = {
    "light": (0.0, 0.8),
    "dark": (0.4, 1.0),
}  # of the ordered map: beyond them a line is lost on the paper


def in_order(values: Iterable[Any], field: str = "") -> list[Any]:
    """Distinct values in the order of every figure: none, numbers by size, activations by family, texts.

    Texts that differ in a number go by its size, also where it is a default that is left out.
    """
    members = [name for *_, names in FAMILIES.values() for name in names]

    def rank(value: Any) -> tuple[Any, ...]:
        if value == "none":
            return (-1,)
        if not isinstance(value, str):
            return (0, float(value))
        name = value.split("(")[0]
        place = members.index(name) if field == "activation" and name in members else len(members)
        parts = NUMBER.split(spelled_out(value, field))
        return (1, place, [float(part) if i % 2 else part for i, part in enumerate(parts)])

    return sorted(dict.fromkeys(values), key=rank)


def looks(values: Sequence[Any], field: str = "") -> dict[Any, Look]:
    """Return a Look for each value.

    Activations look as their family does. Numbers lie along a colour map, and so do texts that differ in one
    number, as the sizes of a shock do. All other values take the colours and markers in turn.
    """
    values = in_order(values, field)
    if field == "activation":
        return _activation_looks(values)
    if all(isinstance(value, int | float | np.number) for value in values) or in_steps(values, field):
        shades = np.linspace(0, 1, len(values)) if len(values) != 1 else [0.35]
        return {
            value: Look(Shade(float(shade)), MARKS[i % len(MARKS)])
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


@dataclass(frozen=True)
class Shade:
    """A place on the ordered colour map: 0 the darkest that is used, 1 the lightest."""

    place: float


def dark(drawn: Axes | Figure) -> bool:
    """Whether axes or a figure have a dark background."""
    return _is_dark(drawn.get_facecolor())


def _is_dark(colour: Any) -> bool:
    from matplotlib.colors import to_rgb

    return bool(np.dot(to_rgb(colour), [0.2, 0.7, 0.1]) < 0.5)


def as_set(colour: str) -> str:
    """A colour of ours as it is on the background that matplotlib is set to, for the entries of a legend."""
    from matplotlib import rcParams

    return ON_DARK.get(colour, colour) if _is_dark(rcParams["axes.facecolor"]) else colour


def shares(dark: bool) -> Any:
    """The colour map for fractions: 0 is near the paper's colour, so that the first dead unit is seen."""
    from matplotlib import colormaps

    return colormaps["magma" if dark else "magma_r"]


def shown(look: Look, axes: Axes) -> Look:
    """Return a look in the colour that it has on these axes, whose background may be dark."""
    return replace(look, colour=colour_on(look, dark=dark(axes)))


def colour_on(look: Look, *, dark: bool) -> str:
    """Return the colour of a look on a light or dark background, as ``#rrggbb``."""
    if isinstance(look.colour, Shade):
        from matplotlib.colors import to_hex

        low, high = ENDS["dark" if dark else "light"]
        return to_hex(_ordered()(low + look.colour.place * (high - low)))
    return ON_DARK.get(look.colour, look.colour) if dark else look.colour


@cache
def _ordered() -> Any:
    """The ordered colour map; matplotlib hands out a copy each time, whose colours it works out anew."""
    from matplotlib import colormaps

    return colormaps[ORDERED]


def ink(axes: Axes) -> Any:
    """The colour of text on these axes."""
    return axes.xaxis.label.get_color()


def faint(axes: Axes) -> Any:
    """The colour of what stands back on these axes: guides, floors, notes."""
    return axes.spines["left"].get_edgecolor()


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the numbers 0 … count − 1, evenly spaced, the first and last among them."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))}) if count else []


def note(axes: Axes, text: str) -> None:
    """Say in the middle of a panel why there is nothing in it."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=faint(axes))


# Marks ----------------------------------------------------------------------------------------------------


def band(axes: Axes, x: Array, median: Array, low: Array, high: Array, look: Look, label: str) -> None:
    """A median as a line and its interval as a band of the same colour (a bar where there is one x only)."""
    look = shown(look, axes)
    axes.plot(x, median, markevery=max(1, len(x) // 8), label=label, **line_of(look))
    if len(x) == 1:
        axes.vlines(x, low, high, color=look.colour, linewidth=1.6 * _width(), alpha=0.35)
    else:
        axes.fill_between(x, low, high, color=look.colour, alpha=0.16, linewidth=0)


def line_of(look: Look) -> dict[str, Any]:
    """The settings of a line of this look."""
    edge = {"markeredgewidth": 0.9 * _width()} if look.marker == "|" else {"markeredgewidth": 0.4 * _width()}
    return {"color": look.colour, "marker": look.marker or None, "linestyle": look.dashes, **edge}


def points(setting: str) -> float:
    """A size of type that matplotlib is set to, in points."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=rcParams[setting]).get_size_in_points())


def _width() -> float:
    """The width of a data line in points, as set."""
    from matplotlib import rcParams

    return float(rcParams["lines.linewidth"])


def guide(axes: Axes, level: float) -> None:
    """A level to compare with, as a dashed line."""
    axes.axhline(
        level, color=faint(axes), linewidth=0.6 * _width(), linestyle=LEVEL, label="_guide", zorder=1
    )


def mark(axes: Axes, place: float) -> None:
    """A moment, as an upright line, which `mark_key` names."""
    axes.axvline(
        place, color=faint(axes), linewidth=0.8 * _width(), linestyle=MOMENT, label="_mark", zorder=1
    )


def prediction(axes: Axes, x: Array, median: Array, low: Array, high: Array, look: Look) -> None:
    """What theory expects: a thin dashed line over a hatched band in the colour of what it predicts.

    The line itself is dark and on top, or it would be lost in a measured one that it agrees with.
    """
    marker = "_" if len(x) == 1 else None  # a line through one point is not seen
    line = {"linestyle": PREDICTED, "linewidth": 0.6 * _width(), "color": ink(axes)}
    axes.plot(x, median, label="_predicted", zorder=4, marker=marker, **line)
    colour = shown(look, axes).colour
    axes.fill_between(x, low, high, facecolor="none", edgecolor=colour, alpha=0.3, linewidth=0, hatch="////")


def key(label: str, look: Look) -> Artist:
    """A legend's entry for a line or mark of this look."""
    from matplotlib.lines import Line2D

    dashes = look.dashes or ""
    return Line2D(
        [], [], label=label, color=as_set(look.colour), marker=look.marker or None, linestyle=dashes
    )


def prediction_key(label: str) -> Artist:
    """A legend's entry for what `prediction` draws."""
    return _key_of_line(label, PREDICTED, 0.6, "text.color")


def mark_key(label: str) -> Artist:
    """A legend's entry for what `mark` draws."""
    return _key_of_line(label, MOMENT, 0.8, "axes.edgecolor")


def guide_key(label: str) -> Artist:
    """A legend's entry for what `guide` draws."""
    return _key_of_line(label, LEVEL, 0.6, "axes.edgecolor")


def _key_of_line(label: str, dashes: Any, width: float, colour: str) -> Artist:
    from matplotlib import rcParams
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, linestyle=dashes, linewidth=width * _width(), color=rcParams[colour])


# matplotlib -----------------------------------------------------------------------------------------------


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
