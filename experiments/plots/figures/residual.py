"""How far measured norms lie from theory, in standard deviations of one network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.ratios import at_start
from experiments.plots import titles
from experiments.plots.figure_table import FIGURES, needs
from experiments.plots.figures.layers import SIGNALS
from experiments.plots.lines import draw_lines
from experiments.plots.overlay import said
from experiments.plots.views import Column, Fields, Where, arrange
from experiments.storage.records import Records
from experiments.theory.of_records import predictions

if TYPE_CHECKING:
    import pandas as pd

    from experiments.plots.picture import Picture

MEASURED = {**SIGNALS, "z_rms": "rms of z"}
WITHIN = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
MOST_BANDS = 5  # that can be told apart where they lie on one another
LEAST_SD = 1e-6  # of a log: normalised by construction, so that rounding would count as many sds


@FIGURES
@needs(*MEASURED)
def theory_residual(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """Measured minus predicted, by layer, at the start.

    The log of a norm less that which theory expects, over the standard deviation that it expects of one
    network. Dashed: 0, ±1, ±2 and ±3. A single network should lie within ±2 in 95 of 100 cases, a median of
    many seeds near 0; what does not is theory's error or the program's. Layers of one network stray together.
    A gap: a sum that cancels too far for theory to tell, or nothing that could stray.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    start = at_start(view.records.layers)
    columns = [
        Column(
            name, view.medians(away(view.records, start, probe), "away", "layer"),
            "sds from theory", scale="linear", guides=WITHIN,
        )
        for probe, name in MEASURED.items()
    ]  # fmt: skip
    view = said(view, columns)
    if view.records.runs[list(view.hue)].drop_duplicates().shape[0] <= MOST_BANDS:
        return draw_lines(view, columns, theory_residual, _within(columns))
    remark = f"Lines: medians of {view.records.runs['seed'].nunique()} seeds; so many bands would hide them."
    bare = [
        replace(c, curves=c.curves.assign(low=c.curves["median"], high=c.curves["median"])) for c in columns
    ]
    view = replace(view, remarks=(remark, *view.remarks))
    return draw_lines(view, bare, theory_residual, _within(columns), over_seeds=False)


def _within(columns: list[Column]) -> str:
    """How many layers' medians lie within two standard deviations, over all that theory predicts."""
    away_from = np.concatenate([column.curves["median"].dropna().to_numpy(float) for column in columns])
    if not len(away_from):
        return "Theory predicts none of these settings"
    inside, far = float((np.abs(away_from) <= 2).mean()), float(np.abs(away_from).max())
    return (
        f"{titles.share(inside)} of {len(away_from)} medians lie within 2 sds of "
        f"theory, the farthest at {far:.2g}"
    )


def away(records: Records, start: pd.DataFrame, probe: str) -> pd.DataFrame:
    """run_id, layer, away: (ln measured − ln predicted) / sd of rows of step 0; NaN where there is none."""
    found = predictions(records)
    values = _log(start, probe)
    strays = np.full(len(start), np.nan)
    for name, at in start.groupby("run_id", sort=False).indices.items():
        prediction = found[name]
        if prediction.applies:
            layer = start["layer"].to_numpy()[at] - 1
            sd = prediction.sds[probe][layer]
            centre = prediction.logs[probe][layer]
            known = (sd > LEAST_SD) & np.isfinite(centre)
            strays[at[known]] = ((values[at] - centre) / np.where(known, sd, 1))[known]
    return start[["run_id", "layer"]].assign(away=strays)


def _log(rows: pd.DataFrame, probe: str) -> np.ndarray:
    """ln of a measured norm: from the recorded log10 where there is one, which no norm is too small for."""
    norm = rows[probe].to_numpy(float)
    log = np.log(norm, where=norm > 0, out=np.where(norm == 0, -np.inf, np.nan))
    recorded = rows.get(probe.removesuffix("_norm") + "_log10")
    if recorded is not None:
        log = np.where(recorded.isna(), log, recorded * np.log(10))
    return log
