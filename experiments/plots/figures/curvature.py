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

REFERENCE = "the largest that is stable: 2/η for gradient descent"


@FIGURES
@needs("sharpness")
def sharpness_over_training(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """Sharpness of the loss over training: the largest eigenvalue of its Hessian.

    Dashed: the largest sharpness at which the optimiser's steps die away on a quadratic, 2/η for gradient
    descent at rate η, (2 + 2β)/η with momentum. A line that rises to it and stays there trains at the edge of
    stability; one that stays below takes smaller steps than it could.
    """
    view = arrange(records, hue, facet, where, default=["optimiser"])
    rows = view.records.layers
    rows = rows[rows["layer"] == 1].dropna(subset=["sharpness"])
    limits = _limits(view, rows)
    column = Column(
        "sharpness", view.medians(rows, "sharpness", "step"), "largest eigenvalue of the Hessian", "step",
        predicted=view.medians(limits, "limit", "step") if len(limits) else None, reference=REFERENCE,
    )  # fmt: skip
    return draw_lines(view, [column], sharpness_over_training, _at_the_end(view, column))


def _limits(view: View, rows: pd.DataFrame) -> pd.DataFrame:
    """Return run_id, step and `limit`: the largest stable sharpness; without runs of which none is known."""
    runs = view.records.runs
    known = [stability_limit(run.optimiser, run.lr) for run in runs.itertuples()]
    limit = dict(zip(runs["run_id"], known, strict=True))
    return rows[["run_id", "step"]].assign(limit=rows["run_id"].map(limit)).dropna()


def _at_the_end(view: View, column: Column) -> str:
    """Where the sharpness ends as a share of its limit, in the setting with the least and with the most."""
    if column.predicted is None or not len(column.curves):
        return titles.NOTHING
    last = column.curves[column.curves["step"] == column.curves["step"].max()]
    keys = [*view.keys, "step"]
    limits = column.predicted[[*keys, "median"]].rename(columns={"median": "limit"})
    both = last.merge(limits, on=keys, validate="one_to_one")
    shares = both.assign(**{name: both[name] / both["limit"] for name in ("median", "low", "high")})
    key, curves = main_curves(view, replace(column, curves=shares, predicted=None))
    return titles.apart(
        titles.cases(curves, view.hue),
        "the sharpness of {low.name} ends at {low.value:.3g} of the largest stable",
        "the sharpness of {low.name} ends at {low.value:.3g} of the largest stable, of {high.name} at "
        "{high.value:.3g}", setting=(view.facet, key),
    )  # fmt: skip
