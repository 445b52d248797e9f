"""What a network answers in the plane of two features, while it learns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import datasets
from experiments.analysis.ratios import at_end, at_start, first_to_last
from experiments.plots import style, titles
from experiments.plots.figure_table import FIGURES, needs
from experiments.plots.figures.layers import SIGNALS
from experiments.plots.lines import draw_lines
from experiments.plots.panels import Panel
from experiments.plots.picture import Picture
from experiments.plots.views import Column, Fields, View, Where, arrange, groups, name_of, scaled
from experiments.storage.records import Records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

EXAMPLES = 150  # of the training examples are drawn
FAINTEST = 0.12  # how opaque an answer is drawn that is no surer than a guess; a sure one hides the paper


@FIGURES
@needs("delta_norm", "plane")
def boundary(records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = "") -> Picture:
    """The boundary in the plane of two features as it is learnt, with the loss and the gradient.

    The colour is the class that the first seed’s network answers at each point, the stronger the surer; dots
    are training examples. Beside it, of all seeds, the training loss and ‖delta‖ in layer 1 over training.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    scale, found = scaled(view.records.layers, {"delta_norm": SIGNALS["delta_norm"]})
    ((signal, name),) = found.items()
    first = view.records.layers[view.records.layers["layer"] == 1]
    loss = view.medians(view.records.steps, "loss", "step")
    delta = view.medians(first, signal, "step")
    columns = [
        Column("training loss", loss, "loss (nats)", "step"),
        Column(f"{name} in layer 1", delta, "Frobenius norm", "step", scale),
    ]
    reached = titles.cases(view.medians(at_end(view.records.steps, view.records.runs), "accuracy"), view.keys)
    curves = draw_lines(view, columns, boundary, _learnt(view, reached))
    return _with_planes(curves, _planes(view), [case.name for case in reached])


def _learnt(view: View, reached: Sequence[titles.Case]) -> str:
    """How much the best and the worst setting answer rightly, and how much gradient the worst one keeps."""
    if not reached:
        return titles.NOTHING
    worst, best = reached[0], reached[-1]
    text = f"{best.name} gets {titles.portion(best.value)} of the training examples right"
    if best is worst:
        return titles.sentence(text)
    text += f", {worst.name} {titles.share(worst.value)}"
    ratios = titles.cases(view.medians(at_start(first_to_last(view.records)), "ratio"), view.keys)
    left = {case.name: case.value for case in ratios}.get(worst.name, np.nan)
    return titles.sentence(
        f"{text}: {titles.amount(left)} of its gradient reaches layer 1 at first" if 0 <= left < 1 else text
    )


# Planes ---------------------------------------------------------------------------------------------------


def _planes(view: View) -> dict[str, dict[int, Panel]]:
    """For each setting, by its name in a sentence: a panel for every watched step of its first seed."""
    found = {}
    for key, runs in groups(view.records.runs, view.keys):
        run = runs.sort_values(["status", "seed"], ascending=[False, True]).iloc[0]  # ok before diverged
        plane = view.records.plane[view.records.plane["run_id"] == run["run_id"]]
        examples = _examples(run["dataset"])
        found[titles.spoken(view.keys, key)] = {
            int(step): Panel(
                f"seed {run['seed']}, step {step}", partial(_draw, rows=rows, examples=examples),
                name_of(view.keys, key),
            )
            for step, rows in plane.groupby("step")
        }  # fmt: skip
    return found


def _with_planes(curves: Picture, planes: dict[str, dict[int, Panel]], by_accuracy: Sequence[str]) -> Picture:
    """The planes that answer the question before the curves: the ends of the best and the worst setting.

    Of one setting alone, the start and the end.
    """
    known = [name for name in by_accuracy if planes.get(name)]
    chosen = [list(planes[name].values())[-1] for name in dict.fromkeys((*known[-1:], *known[:1]))]
    if len(chosen) == 1:
        chosen.insert(0, next(iter(planes[known[0]].values())))
    others = [panel for name in reversed(known) for panel in planes[name].values() if panel not in chosen]
    panels = (*chosen, *curves.panels, *others)
    few = (*range(len(chosen)), *(len(chosen) + i for i in curves.few))
    across = max((len(steps) for steps in planes.values()), default=2)
    return Picture(curves.words, panels, few[:4], across=min(across, 3), legend=curves.legend)


def _examples(dataset: str) -> datasets.Dataset | None:
    """The data, if they can still be read."""
    try:
        data = datasets.load(dataset)
    except (datasets.DataError, ValueError):
        return None
    return data if datasets.corners(data) else None  # else the name stands for other data by now


def _draw(panel: Axes, scale: Any, *, rows: pd.DataFrame, examples: datasets.Dataset | None) -> None:
    """The answers as colours, the boundary as a line, the examples as dots."""
    rows = rows.sort_values("point")
    x1, x2 = np.unique(rows["x1"]), np.unique(rows["x2"])
    shape = len(x2), len(x1)
    answer, sure = (rows[name].to_numpy(float).reshape(shape) for name in ("answer", "probability"))
    classes = examples.classes if examples else int(np.nanmax(answer, initial=1)) + 1
    panel.grid(False)
    panel.imshow(_shades(answer, sure, classes, panel), origin="lower", aspect="auto",
                 extent=(x1[0], x1[-1], x2[0], x2[-1]), interpolation="nearest")  # fmt: skip
    _draw_border(panel, x1, x2, answer, sure, classes)
    if examples is not None:
        dots = [style.colour_on(_look(c), dark=style.dark(panel)) for c in examples.y[:EXAMPLES]]
        x, y = examples.x[:EXAMPLES].T
        panel.scatter(x, y, s=14, c=dots, edgecolors=style.ink(panel), linewidths=0.5, zorder=3)
    panel.set(xlim=(x1[0], x1[-1]), ylim=(x2[0], x2[-1]), xlabel="feature x₁", ylabel="feature x₂")


def _look(answer: int) -> style.Look:
    return style.Look(*style.IN_TURN[int(answer) % len(style.IN_TURN)])


def _shades(answer: np.ndarray, sure: np.ndarray, classes: int, panel: Axes) -> np.ndarray:
    """The colour of each answer, (n, n, 4), fainter the nearer it is to a guess; nothing of a NaN."""
    from matplotlib.colors import to_rgb

    known = np.where(np.isfinite(answer), answer, 0).astype(int)
    dark = style.dark(panel)
    colours = np.array([to_rgb(style.colour_on(_look(c), dark=dark)) for c in range(known.max() + 1)])
    guess = 1 / classes
    opaque = FAINTEST + (0.75 - FAINTEST) * np.clip((sure - guess) / (1 - guess), 0, 1)
    return np.concatenate([colours[known], np.where(np.isfinite(answer), opaque, 0)[..., None]], axis=-1)


def _draw_border(
    panel: Axes, x1: np.ndarray, x2: np.ndarray, answer: np.ndarray, sure: np.ndarray, classes: int
) -> None:
    """The line between the answers: of two classes where both are equally probable."""
    line = {"colors": [style.ink(panel)], "linewidths": 1.6}
    if classes == 2:
        heights = [(np.where(answer == 1, sure, 1 - sure), 0.5)]
    else:
        heights = [((answer == c).astype(float), 0.5) for c in np.unique(answer[np.isfinite(answer)])[1:]]
    for height, level in heights:
        if np.nanmin(height) < level < np.nanmax(height):
            panel.contour(x1, x2, height, levels=[level], **line)
