"""Records that are ordinary or degenerate, pictures of them, each drawn once, and what is on their axes."""

from dataclasses import replace
from functools import cache

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from synthetic import records

from experiments.plots import FIGURES, Picture, style
from experiments.storage.records import Records
from mlp.activations import ACTIVATIONS

FOUR = ["sigmoid", "tanh", "relu", "leaky_relu(slope=0.1)"]
BOTH = ["sigmoid", "relu"]
EVERY = [*ACTIVATIONS, "leaky_relu(slope=0.3)"]


@cache
def case(name) -> Records:
    """Records that are ordinary or degenerate, by name."""
    made = {
        "ordinary": {"activation": FOUR, "depth": [2, 5, 20], "seed": [0, 1, 2],
                     "dead": [("activation", "relu")]},
        "lost": {"activation": BOTH, "depth": [2, 5, 20], "seed": [0, 1, 2, 3, 4, 5],
                 "diverged": [("activation", "sigmoid")]},
        "untrained": {"activation": BOTH, "depth": [3], "seed": [0, 1], "steps": 0},
        "single run": {"activation": "tanh", "depth": 3},
        "one layer": {"activation": BOTH, "depth": 1, "seed": [0, 1]},
        "no layer": {"activation": BOTH, "depth": 0, "seed": [0, 1]},
        "all diverged": {"activation": BOTH, "depth": 3, "seed": [0, 1], "diverged": [("depth", 3)]},
        "many activations": {"activation": EVERY, "depth": 4, "seed": [0, 1]},
        "long names": {"activation": BOTH, "init": ["normal(std=0.01)", "he_normal"], "depth": 3,
                       "optimiser": ["momentum(beta=0.95)", "adam"], "steps": 0},
        "nulls": {"clip": [None, 1.0], "lr": [0.1, 1.0], "seed": [0, 1]},
    }  # fmt: skip
    if name == "all zero":
        r = records(activation=BOTH, depth=3, seed=[0, 1])
        r.layers.loc[:, r.layers.columns[3:]] = 0.0
        r.layers.loc[:, ["delta_log10", "dw_log10"]] = -np.inf
        r.steps.loc[:, r.steps.columns[2:]] = 0.0
        return r
    if name == "none finished":
        r = records(activation=BOTH, depth=3, seed=[0, 1])
        r.layers.loc[:, r.layers.columns[3:]] = np.nan
        return replace(r, runs=r.runs.assign(status="crashed"), steps=r.steps[:0], layers=r.layers[:0])
    return records(**made[name])


CASES = ["ordinary", "untrained", "single run", "one layer", "no layer", "all diverged", "many activations",
         "long names", "all zero", "none finished"]  # fmt: skip


@cache
def picture(text, name="ordinary") -> Picture:
    return FIGURES.bind(text)(case(name))


@cache
def panels(text, name="ordinary"):
    return axes_of(picture(text, name))


def axes_of(found):
    """{(setting, title): axes} of all panels, drawn without a layout."""
    grid = Figure(figsize=(4 * len(found.panels), 3)).subplots(1, len(found.panels), squeeze=False)[0]
    found.draw(grid, found.panels)
    return {(panel.setting, panel.title): axes for panel, axes in zip(found.panels, grid, strict=True)}


def axes_at(found, setting=None, title=None):
    """The axes of one panel, by default the first, on the scales of all: no other is drawn."""
    key = found.panels[0].setting if setting is None else setting, title or found.panels[0].title
    (panel,) = (each for each in found.panels if (each.setting, each.title) == key)
    (axes,) = found.draw(
        Figure(figsize=(4, 3)).subplots(), [panel, *(p for p in found.panels if p is not panel)]
    )
    return axes


def caption(found):
    """The words that are not in the title."""
    return found.alt.removeprefix(found.finding)


def curves(axes):
    """The lines that show data, by the value they stand for."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def named(axes):
    """The labels beside the lines, on one line each, from the top."""
    found = [text for text in axes.texts if text.get_gid() == "label"]
    return [text.get_text().replace("\n", "") for text in sorted(found, key=lambda t: -t.xyann[1])]


def bands(axes):
    """The outline of each measured band by its colour; those of theory are hatched."""
    found = [c for c in axes.collections if isinstance(c, PolyCollection) and not c.get_hatch()]
    return {to_hex(c.get_facecolor()[0]): c.get_paths()[0].vertices for c in found}


def legend(found):
    """What the legend names, on the canvas of the picture."""
    with style.own_look(**found.canvas.settings()):
        return [entry.get_label() for entry in found.legend()]
