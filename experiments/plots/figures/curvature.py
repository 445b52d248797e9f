"""How sharply the loss curves over training, beside the sharpness at which steps begin to grow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.plots import titles
from experiments.plots.figure_table import FIGURES, needs
from experiments.plots.figures.layers import main_curves
from experiments.plots.lines import draw_lines
from experiments.plots.views import Column, Fields, View, Where, arrange
from experiments.storage.records import Records
from experiments.theory.stability import stability_limit

if TYPE_CHECKING:
    import pandas as pd

    from experiments.plots.picture import Picture


@FIGURES
@needs("sharpness")
def sharpness_over_training(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """Sharpness over training, and how near it comes to the largest that is stable.

    Sharpness: the largest eigenvalue of the loss's Hessian. Largest stable: that at which the optimiser's
    steps still die away on a quadratic, 2/η for gradient descent at rate η, (2 + 2β)/η with momentum. A line
    that rises to 1 (dashed) and stays there trains at the edge of stability; one that stays below takes
    smaller steps than it could.
    """
    view = arrange(records, hue, facet, where, default=["optimiser"])
    rows = view.records.layers
    rows = rows[rows["layer"] == 1].dropna(subset=["sharpness"])
    plain = Column("sharpness", view.medians(rows, "sharpness", "step"), "largest eigenvalue", "step")
    near = _of_the_limit(view, rows)
    if not len(near):  # of Adam and others no limit is known
        return draw_lines(view, [plain], sharpness_over_training)
    share = Column(
        "sharpness / the largest stable", view.medians(near, "share", "step"), "share", "step", guide=1.0
    )
    return draw_lines(view, [share, plain], sharpness_over_training, _at_the_end(view, share))


def _of_the_limit(view: View, rows: pd.DataFrame) -> pd.DataFrame:
    """Return run_id, step and `share`: the sharpness over the largest stable, where that is known."""
    runs = view.records.runs
    known = [stability_limit(run.optimiser, run.lr) for run in runs.itertuples()]
    limit = rows["run_id"].map(dict(zip(runs["run_id"], known, strict=True))).astype(float)
    return rows[["run_id", "step"]].assign(share=rows["sharpness"] / limit).dropna()


def _at_the_end(view: View, share: Column) -> str:
    """Where the sharpness ends as a share of its limit, in the setting with the least and with the most."""
    last = share.curves[share.curves["step"] == share.curves["step"].max()]
    key, curves = main_curves(view, replace(share, curves=last))
    return titles.apart(
        titles.cases(curves, view.hue),
        "the sharpness ends at {low.value:.2g} of the largest stable with {low.name}",
        "the sharpness ends at {low.value:.2g} of the largest stable with {low.name}, "
        "at {high.value:.2g} with {high.name}",
        setting=(view.facet, key),
    )
