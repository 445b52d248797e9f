"""Where a gradient has become small, and where the number format has lost it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.plots.figure_table import FIGURES, needs
from experiments.plots.figures.layers import NORM, SIGNALS
from experiments.plots.lines import draw_lines
from experiments.plots.views import Column, Fields, Where, arrange, moments
from experiments.storage.records import Records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SMALLEST = tuple(float(np.log10(np.finfo(name).tiny)) for name in ("float32", "float64"))


@FIGURES
@needs("delta_log10", "dw_log10", "delta_norm_plain", "dw_norm_plain")
def underflow(records: Records, *, hue: Fields = "dtype", facet: Fields = None, where: Where = "") -> Figure:
    """Underflow told apart from vanishing.

    Solid: the norm that a plain backward pass reports in a network's own number format. Thin and dashed: the
    true one, of a pass that carries an exponent. Where they agree a gradient has vanished and the number says
    how far; where the solid line leaves the other, the format has taken over and a 0 says nothing. A norm is
    lost at the square root of the smallest numbers (grey: the smallest normal float32 and float64), since
    its squares are.
    """
    view = arrange(records, hue, facet, where, default=["activation", "depth"])
    columns = [
        Column(
            f"{name} {when}", view.medians(_logs(rows, signal), "plain", "layer"), NORM, scale="log10",
            predicted=view.medians(rows, signal.replace("norm", "log10"), "layer"), guides=SMALLEST,
            reference="true norm, exponent carried",
        )
        for when, rows in moments(view).items()
        for signal, name in SIGNALS.items()
    ]  # fmt: skip
    return draw_lines(view, columns, underflow, facets="down")


def _logs(rows: pd.DataFrame, signal: str) -> pd.DataFrame:
    """Rows with log10 of a signal's plain norm in `plain`, −inf where it is 0."""
    norm = rows[f"{signal}_plain"].to_numpy(float)
    return rows.assign(plain=np.log10(norm, where=norm > 0, out=np.where(norm == 0, -np.inf, np.nan)))
