"""The figure of what activations cost, by themselves and in a training step."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.analysis import cost as timing
from experiments.plots import style, titles
from experiments.plots.axes import log_axis, plainly
from experiments.plots.figure_table import FIGURES, without_records, words_of
from experiments.plots.panel_tables import tell
from experiments.plots.panels import Panel
from experiments.plots.picture import Picture
from experiments.storage.records import Records

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


@FIGURES
@without_records
def activation_costs(
    records: Records | None, *, show: Literal["harness", "write_up_code"] = "harness"
) -> Picture:
    """What the write-up's activations cost, timed when this was drawn, on one thread.

    Bar: median of several processes, line: their range, which covers it with probability 0.97. One element:
    forward and backward, as the training loop does both. Part of a step: what of a whole training step is the
    activation's. The write-up's own code, on a logarithmic scale: there a ReLU is a Python loop.
    """
    costs = _costs()
    colours = style.looks(timing.TIMED, "activation")
    panels = [
        Panel(name, partial(_draw_bars, bars=bars, colours=colours, labels=(x, y), logarithmic=place == 2))
        for place, (name, x, y, bars) in enumerate(costs)
    ]
    own = show == "write_up_code"  # first, then one element, and without the training step
    finding = _loop(costs[2][3], costs[0][3]) if own else _dearest(costs[0][3])
    few = (2, 0) if own else (0, 1, 2)
    words = words_of(activation_costs, finding)
    return Picture(words, tuple(panels), few, across=3, legend=partial(_keys, colours))


def _dearest(bars: dict[str, dict[str, timing.Times]]) -> str:
    """The dearest activation beside ReLU, in the first group of bars."""
    group, times = next(iter(bars.items()))
    middle = {text: float(np.median(np.median(each, axis=-1))) for text, each in times.items()}
    dear, cheap = max(middle, key=middle.__getitem__), min(middle, key=middle.__getitem__)
    where = " ".join(group.split())
    text = f"{titles.spoken(['activation'], [dear])} costs {plainly(middle[dear])} ns per element ({where}), "
    text += f"{middle[dear] / middle[cheap]:.2g} times as much as {titles.spoken(['activation'], [cheap])}"
    return titles.sentence(text)


def _loop(printed: dict[str, dict[str, timing.Times]], element: dict[str, dict[str, timing.Times]]) -> str:
    """ReLU's time beside sigmoid's, in the write-up's own code and as one operation on an array."""

    def times(bars: dict[str, dict[str, timing.Times]]) -> str:
        first = next(iter(bars.values()))
        relu, sigmoid = (float(np.median(np.median(first[name], axis=-1))) for name in ("relu", "sigmoid"))
        return f"{relu / sigmoid:.2g} times as long as sigmoid"

    ours = f"as one operation on an array {times(element)}"
    return f"In the write-up’s own code ReLU takes {times(printed)}, {ours}"


def _keys(colours: dict[str, style.Look]) -> list[Artist]:
    from matplotlib.patches import Patch

    return [Patch(color=style.as_set(look.colour), label=text) for text, look in colours.items()]


def _costs() -> list[tuple[str, str, str, dict[str, dict[str, timing.Times]]]]:
    """Of each panel its name, its axes and its groups of bars."""
    found = timing.costs(timing.TIMED)
    elements = {
        f"{dtype.replace('float', 'f')}\n{place.removesuffix(' cache')}": times
        for (dtype, place), times in found.element.items()
    }
    steps = {
        f"{width}": {text: times.share(text) for text in timing.TIMED} for width, times in found.step.items()
    }
    printed = {"": found.printed}
    return [
        ("one element", "number format, in or out of the cache", "ns", elements),
        ("part of a training step", "width", "share", steps),
        ("the write-up's own code", "function and derivative", "ns per element", printed),
    ]


def _draw_bars(
    panel: Axes, scale: Any, *, bars: dict[str, dict[str, timing.Times]], colours: dict[str, style.Look],
    labels: tuple[str, str], logarithmic: bool,
) -> None:  # fmt: skip
    """A group of bars for each entry, one bar an activation."""
    wide = 0.8 / len(colours)
    rows: list[list[Any]] = [[" ".join(group.split())] for group in bars]
    for group, times in enumerate(bars.values()):
        for place, (text, look) in enumerate(colours.items()):
            each = np.median(times[text], axis=-1)  # of every process
            x = group + (place - (len(colours) - 1) / 2) * wide
            rows[group].append(np.median(each))
            panel.bar(x, rows[group][-1], wide * 0.92, color=style.shown(look, panel).colour, label=text)
            panel.vlines(x, each.min(), each.max(), color=style.ink(panel), linewidth=1.4)
    panel.set_xticks(range(len(bars)), list(bars))
    panel.grid(axis="x", visible=False)
    panel.set_xlabel(labels[0])
    panel.set_ylabel(labels[1])
    tell(panel, labels[1], [labels[0], *colours], rows)
    if logarithmic:
        log_axis(panel, np.array([times[text] for times in bars.values() for text in colours]))
