"""What a study has to choose: a value to clip at, a number of seeds, how many dead units are too many."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.advice import (
    DIFFERENCES,
    clip_values,
    gradient_norms,
    needed_for,
    paired_differences,
    seeds_needed,
)
from experiments.analysis.ratios import at_end, fields_before, join, median_range
from experiments.analysis.score import score_of
from experiments.plots import titles
from experiments.plots.axes import plainly
from experiments.plots.figure_table import FIGURES, along, needs
from experiments.plots.figures.over_training import accuracy_options
from experiments.plots.lines import draw_lines
from experiments.plots.views import Column, Fields, View, Where, arrange, rows_where, settings_of
from experiments.storage.records import Records
from mlp.registry import parse_call

if TYPE_CHECKING:
    import pandas as pd

    from experiments.plots.picture import Picture

VALUES = 25  # of clip along the axis
SMALL = 0.01  # of accuracy: a difference that many a comparison is about
COSTS = 0.02  # of accuracy: dead units that cost more are too many


# Clipping -------------------------------------------------------------------------------------------------


@FIGURES
@needs("dw_norm", "db_norm")
def clip_choice(records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = "") -> Picture:
    """Which value of clip would do what, by the gradient norms of runs that finished.

    First panel: the share of watched steps that clipping would shorten. Second panel: by how much it would
    shorten the step in the middle of them, which is a learning rate smaller by that factor. A value under
    which few steps are shortened guards against rare large ones; far left of it clip is a learning rate in
    disguise.
    """
    view = arrange(records, hue, facet, where)
    done = view.records.runs.loc[view.records.runs["status"] == "ok", "run_id"]
    norms = gradient_norms(view.records)[["run_id", "gradient"]]
    norms = norms[norms["run_id"].isin(done) & np.isfinite(norms["gradient"]) & (norms["gradient"] > 0)]
    columns = [
        Column("shortened", _over_values(view, norms, "clipped"), "share of watched steps", "at", "share",
               x_label="clip"),
        Column("the typical step", _over_values(view, norms, "factor"), "factor on its size", "at",
               x_label="clip"),
    ]  # fmt: skip
    table = clip_values(view.records)
    return draw_lines(view, columns, clip_choice, _rarely(view, table)).of(table)


def _over_values(view: View, norms: pd.DataFrame, what: str) -> pd.DataFrame:
    """Median and range over seeds of what each of `VALUES` values of clip does, in a column `at`."""
    import pandas as pd

    sizes = norms["gradient"].to_numpy()
    values = np.geomspace(np.quantile(sizes, 0.01) / 3, sizes.max(), VALUES) if len(sizes) else []
    rows = [
        (name, at, float((group > at).mean()), float(np.median(np.minimum(1.0, at / group))))
        for name, group in norms.groupby("run_id", sort=False)["gradient"]
        for at in values
    ]
    frame = pd.DataFrame(rows, columns=["run_id", "at", "clipped", "factor"])
    frame = frame.astype(dict.fromkeys(("at", "clipped", "factor"), float))  # also without rows
    settings = list(dict.fromkeys([*view.keys, "seed"]))
    return median_range(join(frame, view.records.runs, settings), what, [*view.keys, "at"])


def _rarely(view: View, table: pd.DataFrame) -> str:
    """The value of clip that shortens one step in twenty: the smallest and the largest over settings."""
    rare = table[table["percentile"] == 95] if len(table) else table
    if not len(rare):
        return titles.NOTHING
    fields = [name for name in fields_before(table, "percentile") if name in view.keys]
    found = [
        (float(row["clip"]), titles.spoken(fields, [row[f] for f in fields]))
        for row in rare.to_dict("records")
    ]
    (low, first), (high, last) = min(found), max(found)
    text = f"clip={plainly(low)} would shorten one step in twenty of {first}"
    return text if first == last else f"{text}, clip={plainly(high)} of {last}"


# Seeds ----------------------------------------------------------------------------------------------------


@FIGURES
def seeds_choice(records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = "") -> Picture:
    """How many seeds it takes to see a difference in test accuracy, by the size of the difference.

    Each line compares a setting with the best of its panel, seed by seed: so many pairs of seeds find a true
    difference of that size with probability 0.8 at a two-sided level of 0.05. The band is what the pilot
    leaves open about the spread of the differences, 95 %; with few seeds it is wide.
    """
    view = arrange(records, hue, facet, where)
    value = score_of(view.records).known(view.records.steps)
    curves = _needed(view, value)
    x_label = f"difference in {value.replace('_', ' ')}"
    column = Column("pairs of seeds", curves, "seeds", "at", x_label=x_label)
    table = seeds_needed(view.records, value)
    pairs = [f"From {_span(curves['n'])} seeds in common."] if len(curves) else []
    view = replace(view, remarks=(*view.remarks, *pairs))
    return draw_lines(view, [column], seeds_choice, _enough(view, curves), over_seeds=False).of(table)


def _span(counts: pd.Series) -> str:
    return " to ".join(dict.fromkeys((f"{counts.min()}", f"{counts.max()}")))


def _needed(view: View, value: str) -> pd.DataFrame:
    """Seeds for each difference (at), with the ends of their interval, of each setting but a panel's best."""
    import pandas as pd

    ends = at_end(view.records.steps[["run_id", "step", value]], view.records.runs)
    ends = join(ends[["run_id", value]], view.records.runs, list(dict.fromkeys([*view.keys, "seed"])))
    rows, sizes = [], (*DIFFERENCES, 2 * DIFFERENCES[-1])
    for key in settings_of(view):
        panel = rows_where(ends, view.facet, key)
        for hue, gaps in paired_differences(panel, view.hue, value).items():
            rows += [(*key, *hue, at, *needed_for(gaps, at), len(gaps)) for at in sizes]
    frame = pd.DataFrame(rows, columns=[*view.facet, *view.hue, "at", "median", "low", "high", "n"])
    return frame.astype(dict.fromkeys(("at", "median", "low", "high"), float))  # also without rows


def _enough(view: View, curves: pd.DataFrame) -> str:
    """How many seeds see one per cent for the pair that needs most, and for the one that needs fewest."""
    if not len(curves):
        return "Two settings with three seeds in common are needed to say how many seeds are enough"
    rows = curves[curves["at"] == SMALL].sort_values("median")
    few, many = rows.iloc[0], rows.iloc[-1]
    name = titles.spoken(view.keys, [many[field] for field in view.keys])
    text = f"{many['median']:.0f} seeds see a difference of {SMALL:g} between {name} and the best"
    if few["median"] == many["median"]:
        return titles.sentence(text)
    return f"{text}; {few['median']:.0f} for {titles.spoken(view.keys, [few[field] for field in view.keys])}"


# Dead units -----------------------------------------------------------------------------------------------


@FIGURES
@along("bias")
def dead_units_choice(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: Where = ""
) -> Picture:
    """Accuracy after training, by the share of each hidden layer's units that was dead from the start.

    For runs that sweep `bias` over dead(share=…), which kills so many units; 0 is zeros. Where the line
    leaves its level on the left, more dead units are too many. The weights are those drawn for the full
    width, so a deep network also loses signal with every dead unit.
    """
    view = _with_dose(arrange(records, hue, facet, where, across=["bias"]))
    score = score_of(view.records)
    value = score.known(view.records.steps)
    last = at_end(view.records.steps, view.records.runs)
    found = {name: view.medians(last, name, "dead") for name in dict.fromkeys((score.train, value))}
    columns = [
        Column(
            "in training" if name == score.train else "test", curves, score.name, "dead", score.scale,
            x_label="share of dead units", **accuracy_options(view.records),
        )
        for name, curves in found.items()
    ]  # fmt: skip
    return draw_lines(view, columns, dead_units_choice, _borne(view, found[score.train])).of(
        found[score.train]
    )


def _with_dose(view: View) -> View:
    """The view of the runs whose biases are zeros or dead(share=…), with that share beside each as `dead`."""
    runs = view.records.runs
    doses = {text: _dose(text) for text in runs["bias"].unique()}
    kept = view.records.of(runs.loc[runs["bias"].map(doses).notna(), "run_id"])
    return replace(view, records=replace(kept, runs=kept.runs.assign(dead=kept.runs["bias"].map(doses))))


def _dose(bias: str) -> float:
    name, options = parse_call(bias)
    return {"zeros": 0.0, "dead": float(options.get("share", 0.5))}.get(name, float("nan"))


def _borne(view: View, curves: pd.DataFrame) -> str:
    """The largest share of dead units that costs at most COSTS, for the setting that bears least."""
    most, costly = {}, {}
    for key in dict.fromkeys(curves[view.keys].itertuples(index=False, name=None)):
        rows = rows_where(curves, view.keys, key).sort_values("dead")
        lost = rows["median"].iloc[0] - rows["median"]
        cheap = (lost <= COSTS).cummin()  # up to the first dose that costs more
        most[key] = float(rows.loc[cheap, "dead"].max())
        costly[key] = rows.assign(lost=lost)[~cheap]
    known = {key: share for key, share in most.items() if share == share}
    if not known or curves["dead"].nunique() < 2:
        return "No dead units were imposed: sweep bias over dead(share=…)"
    key = min(known, key=known.__getitem__)
    name, share = titles.spoken(view.keys, key), known[key]
    if not len(costly[key]):
        return titles.sentence(f"{name} bears a share of {share:g} of dead units, the largest tried")
    first = costly[key].iloc[0]
    borne = f", {share:g} next to nothing" if share else ""
    lost = f"{first['dead']:g} of dead units costs {first['lost']:.2f} of accuracy"
    return titles.sentence(f"{name}: a share of {lost}{borne}")
