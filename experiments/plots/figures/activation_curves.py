"""The activation functions themselves, beside their slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.plots import style
from experiments.plots.captions import words
from experiments.plots.figure_table import FIGURES, without_records
from experiments.plots.panels import in_rows, panel_sheet
from experiments.storage.records import Records
from mlp.activations import ACTIVATIONS, Activation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The write-up's four pictures: what is drawn, from where to where, and its y limits.
WRITE_UP = {
    "sigmoid": (-10, 10, (-0.5, 1.5)),
    "tanh": (-10, 10, (-1.5, 1.5)),
    "relu": (-3, 3, (-0.5, 3)),
    "leaky_relu(slope=0.1)": (-3, 3, None),
}
ANY = (-4, 4, None)
SLOPE = style.Look(style.INK, dashes=style.DASHES[1])


@FIGURES
@without_records
def activation_functions(
    records: Records | None, *, show: Literal["write_up", "all", "swept"] = "write_up"
) -> Figure:
    """Activation functions and their slopes.

    Solid: a = f(z). Dashed: the slope f'(z), by which the gradient is multiplied in each layer; the largest
    slope is named above each panel. A slope that jumps is drawn with a gap.
    """
    texts: list[str] = list(WRITE_UP)
    if show == "swept" and records is not None and not len(records.runs):
        raise ValueError("show=swept draws the activations of the runs, and there are none: use show=all")
    if show != "write_up":
        known = ACTIVATIONS if show == "all" or records is None else records.runs["activation"]
        texts = style.in_order(known, "activation")
    acts = [ACTIVATIONS.bind(text)() for text in texts]
    titles = [f"{text}: slope ≤ {act.max_slope:.3g}" for text, act in zip(texts, acts, strict=True)]
    wide = 2 if len(texts) <= 4 else 4
    sheet, grid = panel_sheet(
        words(activation_functions), in_rows(titles, wide), columns=wide, title_lines=2,
        legend=[style.key("f(z)", style.Look(style.INK)), style.key("slope f'(z)", SLOPE)],
        space=style.Spacing(*((3.0, 2.25) if wide == 4 else (4.2, 2.6)), across=0.6),
    )  # fmt: skip
    looks = style.looks(texts, "activation")
    for axes, text, act in zip(grid.flat, texts, acts, strict=False):
        _draw_activation(axes, act, *WRITE_UP.get(text, ANY), looks[text].colour)
    return sheet


def _draw_activation(
    axes: Axes, act: Activation, low: float, high: float, limits: tuple[float, float] | None, colour: Any
) -> None:
    z = np.arange(low, high, 0.01)
    a = act.f(z)
    slope = act.df(z, a)
    for kink in act.kinks:
        slope[np.abs(z - kink) < 0.006] = np.nan
    for x, y in (((low, high), (0, 0)), ((0, 0), limits or (a.min(), a.max()))):
        axes.plot(x, y, color=style.FAINT, linewidth=0.8, label="_zero")
    axes.plot(z, a, color=colour, linewidth=2.4, label="f(z)")
    axes.plot(z, slope, color=colour, linewidth=2, linestyle=SLOPE.dashes, label="slope f'(z)")
    axes.set_xlabel("z", size=style.LABEL)
    axes.locator_params(nbins=5)
    if limits:
        axes.set_ylim(*limits)
