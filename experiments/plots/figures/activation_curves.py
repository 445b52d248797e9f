"""The activation functions themselves, beside their slopes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.plots import style, titles
from experiments.plots.axes import plainly
from experiments.plots.figure_table import FIGURES, without_records, words_of
from experiments.plots.panels import Panel
from experiments.plots.picture import Picture
from experiments.storage.records import Records
from mlp.activations import ACTIVATIONS, Activation

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

# The write-up's four pictures: what is drawn, from where to where, and its y limits.
WRITE_UP = {
    "sigmoid": (-10, 10, (-0.5, 1.5)),
    "tanh": (-10, 10, (-1.5, 1.5)),
    "relu": (-3, 3, (-0.5, 3)),
    "leaky_relu(slope=0.1)": (-3, 3, None),
}
ANY = (-4, 4, None)
SLOPE = style.DASHES[1]
WIDE = 4  # panels in a row, where all are drawn


@FIGURES
@without_records
def activation_functions(
    records: Records | None, *, show: Literal["write_up", "all", "swept"] = "write_up"
) -> Picture:
    """Activation functions and their slopes.

    Solid: a = f(z). Dashed: the slope f'(z), by which the gradient is multiplied in each layer. A slope that
    jumps is drawn with a gap.
    """
    texts: list[str] = list(WRITE_UP)
    if show == "swept" and records is not None and not len(records.runs):
        raise ValueError("show=swept draws the activations of the runs, and there are none: use show=all")
    if show != "write_up":
        known = ACTIVATIONS if show == "all" or records is None else records.runs["activation"]
        texts = style.in_order(known, "activation")
    acts = {text: ACTIVATIONS.bind(text)() for text in texts}
    looks = style.looks(texts, "activation")
    panels = [
        Panel(
            f"{text}: slope ≤ {act.max_slope:.3g}",
            partial(_draw_activation, act=act, span=WRITE_UP.get(text, ANY), look=looks[text]),
        )
        for text, act in acts.items()
    ]
    steepest = sorted(texts, key=lambda text: acts[text].max_slope)
    few = [texts.index(text) for text in _contrast(steepest, acts)]
    words = words_of(activation_functions, _finding(acts))
    return Picture(words, tuple(panels), tuple(few), across=min(WIDE, len(panels)), legend=_keys)


def _contrast(texts: list[str], acts: dict[str, Activation]) -> list[str]:
    """Four at most: the flattest, the first of the steepest, and others spread evenly between them."""
    flat, steep = texts[0], max(texts, key=lambda text: acts[text].max_slope)
    between = [texts[i] for i in style.spread(len(texts), 4) if texts[i] not in (flat, steep)]
    return list(dict.fromkeys([flat, steep, *between]))[:4]


def _finding(acts: dict[str, Activation]) -> str:
    """The smallest of the largest slopes, beside the largest."""
    flat = min(acts, key=lambda text: acts[text].max_slope)
    steep = max(acts, key=lambda text: acts[text].max_slope)
    name = titles.spoken(["activation"], [flat])
    most = plainly(acts[flat].max_slope)
    text = f"{name}’s slope, a factor of the gradient in each layer, is at most {most}"
    if acts[steep].max_slope > acts[flat].max_slope:
        other = titles.spoken(["activation"], [steep])
        text += f", {other}’s at most {plainly(acts[steep].max_slope)}"
    return titles.sentence(text)


def _keys() -> list[Artist]:
    return [
        style.key("f(z)", style.Look("#000000")),
        style.key("slope f'(z)", style.Look("#000000", "", SLOPE)),
    ]


def _draw_activation(
    panel: Axes, scale: Any, *, act: Activation, span: tuple[float, float, tuple[float, float] | None],
    look: style.Look,
) -> None:  # fmt: skip
    low, high, limits = span
    z = np.arange(low, high, 0.01)
    a = act.f(z)
    slope = act.df(z, a)
    for kink in act.kinks:
        slope[np.abs(z - kink) < 0.006] = np.nan
    for x, y in (((low, high), (0, 0)), ((0, 0), limits or (a.min(), a.max()))):
        panel.plot(x, y, color=style.faint(panel), linewidth=0.8, label="_zero")
    colour = style.shown(look, panel).colour
    panel.plot(z, a, color=colour, label="f(z)")
    panel.plot(z, slope, color=colour, linestyle=SLOPE, label="slope f'(z)")
    panel.set_xlabel("z")
    panel.locator_params(nbins=5)
    if limits:
        panel.set_ylim(*limits)
