"""Where networks stand before training, among networks drawn for the same setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from experiments.analysis.ratios import at_start, hidden
from experiments.diagnosis.reference import AT_START, NETWORKS, against_reference
from experiments.plots import titles
from experiments.plots.figure_table import FIGURES, needs
from experiments.plots.figures.layers import NORM
from experiments.plots.lines import draw_lines
from experiments.plots.views import Column, Fields, View, Where, arrange
from experiments.storage.records import Records
from mlp.registry import Within

if TYPE_CHECKING:
    import pandas as pd

    from experiments.plots.picture import Picture

MEASURED = {  # title, label, scale of the axis; the first two answer the question
    "delta_norm": ("‖delta‖", NORM, "log"), "z_rms": ("z", "root mean square", "log"),
    "dw_norm": ("‖dw‖", NORM, "log"), "a_rms": ("a", "root mean square", "log"),
    "slope_rms": ("slope", "root mean square", "log"), "dead_fraction": ("dead", "share of units", "share"),
    "saturated_fraction": ("saturated", "share of slopes", "share"),
}  # fmt: skip


@FIGURES
@needs("delta_norm")
def reference_ranges(
    records: Records,
    *,
    networks: Annotated[int, Within(20, 10_000)] = NETWORKS,
    hue: Fields = None,
    facet: Fields = None,
    where: Where = "",
) -> Picture:
    """What was measured before training, by layer, over what is normal for such networks.

    Hatched: the range of 95 in 100 networks drawn anew for the same setting. A line inside it is usual, which
    is not yet healthy: whether networks of this depth train from there is said in the title, and with the
    percentile of each value in the table beside the picture.
    """
    view = arrange(records, hue, facet, where, default=["depth"])
    found = against_reference(view.records, networks, measures=AT_START, by=view.keys)
    start = at_start(hidden(view.records.layers, view.records.runs))
    columns = [
        Column(
            f"{title} at the start", view.medians(start, name, "layer"), label, scale=scale,
            predicted=_band(view, found, name), reference=f"95 % of {networks} networks drawn alike",
        )
        for name, (title, label, scale) in MEASURED.items() if name in start
    ]  # fmt: skip
    return draw_lines(view, columns, reference_ranges, _said(view, found), few=range(2)[: len(columns)]).of(
        found
    )


def _band(view: View, found: pd.DataFrame, measure: str) -> pd.DataFrame | None:
    """The drawn networks' median and range of a measure by layer, once for each line of each panel."""
    rows = found[found["measure"] == measure].drop_duplicates([*view.keys, "layer"])
    return rows[[*view.keys, "layer", "low", "median", "high"]] if len(rows) else None


def _said(view: View, found: pd.DataFrame) -> str:
    """How many settings start healthy, and how many of the values are usual."""
    if not len(found):
        return titles.NOTHING
    share = f"{titles.share(float(found['usual'].mean()))} of the values are usual for networks drawn alike"
    settings = found.drop_duplicates(view.keys)
    judged = settings[settings["healthy"].notna()]
    if not len(judged):
        return titles.sentence(share)
    ill = judged[~judged["healthy"].astype(bool)]
    if len(judged) == 1:
        state = "does not start" if len(ill) else "starts"
        name = titles.spoken(view.keys, list(judged[view.keys].iloc[0]))
        return titles.sentence(f"{name} {state} where networks of its depth train; {share}")
    healthy = f"{len(judged) - len(ill)} of {len(judged)} settings"
    return f"{healthy} start where networks of their depth train; {share}"
