"""Where a gradient has become small, and where the number format has lost it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.ratios import log10_of
from experiments.plots import titles
from experiments.plots.axes import power
from experiments.plots.figure_table import FIGURES, needs
from experiments.plots.figures.layers import NORM, SIGNALS, main_setting
from experiments.plots.lines import draw_lines
from experiments.plots.views import Column, Fields, View, Where, arrange, groups, moments, rows_where
from experiments.storage.records import Records

if TYPE_CHECKING:
    import pandas as pd

    from experiments.plots.picture import Picture

NAMED = ("smallest float32", "smallest float64")
SMALLEST = tuple(float(np.log10(np.finfo(name).tiny)) for name in ("float32", "float64"))


@FIGURES
@needs("delta_log10", "dw_log10", "delta_norm_plain", "dw_norm_plain")
def underflow(records: Records, *, hue: Fields = "dtype", facet: Fields = None, where: Where = "") -> Picture:
    """Underflow told apart from vanishing: the norm of a plain backward pass, and the true one.

    Solid: what a plain backward pass reports in a network's own number format. Thin and dashed: the true
    norm, of a pass that carries an exponent. Where they part, the format has taken over and a 0 says
    nothing. Grey: the smallest normal numbers; a norm is lost at their square roots, since its squares are.
    """
    view = arrange(records, hue, facet, where, default=["activation", "depth"])
    columns = [
        Column(
            f"{name} {when}", view.medians(_logs(rows, signal), "plain", "layer"), NORM, scale="log10",
            predicted=view.medians(rows, signal.replace("norm", "log10"), "layer"), guides=SMALLEST,
            reference="true norm, exponent carried", says=dict(zip(SMALLEST, NAMED, strict=True)),
        )
        for when, rows in moments(view).items()
        for signal, name in SIGNALS.items()
    ]  # fmt: skip
    few = [i for i, column in enumerate(columns) if column.title.startswith("‖delta‖")]
    return draw_lines(view, columns, underflow, _lost(view, columns[0]), few=few[:1])


def _lost(view: View, column: Column) -> str:
    """In how many layers a plain pass reports 0, in the deepest networks, and how large the norm truly is."""
    key = main_setting(view, column)
    shown = column.only(view.facet, key)
    true = shown.predicted
    told = []
    for hue, rows in groups(shown.curves, view.hue):
        zeros = rows[np.isneginf(rows["median"])]
        if len(zeros) and true is not None:
            of = rows_where(true, view.hue, hue)
            most = of.loc[of["layer"].isin(zeros["layer"]), "median"].max()
            name = titles.spoken(view.hue, hue).removeprefix("dtype=")
            size = f"truly {power(round(most))} or less" if np.isfinite(most) else "as it truly is"
            told.append(f"{name} reports 0 in {len(zeros)} of {len(rows)} layers, {size}")
    said = "; ".join(told) if told else "no norm is lost: every plain one is above 0"
    return titles.under(view.facet, key, said)


def _logs(rows: pd.DataFrame, signal: str) -> pd.DataFrame:
    """Rows with log10 of a signal's plain norm in `plain`, −inf where it is 0."""
    return rows.assign(plain=log10_of(rows[f"{signal}_plain"].to_numpy(float)))
