"""Each setting at its own best: what is best is chosen on one half of the seeds and judged on the other.

A comparison at one learning rate compares how well that rate suits either side; a comparison at each
side's best seed compares luck. Here every setting gets the value of the grid that suits it, and the seeds
that chose it do not speak again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis import at_end, fields

if TYPE_CHECKING:
    import pandas as pd

    from experiments.records import Records


def halves(seeds: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Those that choose and those that judge: in order, the first half (of an odd number the smaller)."""
    ordered = sorted(set(seeds))
    return ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]


def at_last_step(records: Records, column: str) -> pd.DataFrame:
    """The fields of every run and, as `value`, a column of `steps` after its last update.

    NaN for a run that diverged or crashed before it.
    """
    runs = records.runs[["run_id", *fields(records.runs)]]
    last = at_end(records.steps[["run_id", "step", column]], records.runs)
    values = last.rename(columns={column: "value"})[["run_id", "value"]]
    return runs.merge(values, on="run_id", how="left", validate="one_to_one")


def own_best(
    scores: pd.DataFrame, by: Sequence[str], *, over: str = "lr", larger: bool = True
) -> pd.DataFrame:
    """The judging seeds' rows of `scores` at the value of `over` that is best for each combination of `by`.

    `scores` has `by`, `over`, seed and `value`, one row a run. Best is the largest (not `larger`:
    smallest) median over the choosing seeds, and the smaller `over` of two as good; NaN, a run that
    diverged, is worse than any number. A column `on_edge` says whether the grid ends at the value chosen,
    so that the best may lie beyond it. Raises ValueError if something but `by`, `over` and the seed would
    be mixed.
    """
    keys = [*by, "_all"]  # a group even where there is nothing to group by
    scores = scores.assign(_all=0)
    if scores.duplicated([*keys, over, "seed"]).any():
        raise ValueError(f"choosing {over} for each {', '.join(by) or 'setting'} would mix other fields")
    choosing, judging = halves(scores["seed"])
    worst = -np.inf if larger else np.inf
    tried = scores[scores["seed"].isin(choosing)].fillna({"value": worst})
    middle = tried.groupby([*keys, over], as_index=False, dropna=False)["value"].median()
    ranked = middle.sort_values(["value", over], ascending=[not larger, True], kind="stable")
    best = ranked.drop_duplicates(keys)[[*keys, over]]
    grid = middle.groupby(keys, dropna=False)[over]
    ends = (middle[over] == grid.transform("min")) != (middle[over] == grid.transform("max"))
    best = best.assign(on_edge=ends)
    found = scores[scores["seed"].isin(judging)].merge(best, on=[*keys, over], validate="many_to_one")
    return found.drop(columns="_all")
