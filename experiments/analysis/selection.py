"""Each setting at its own best: what is best is chosen on one half of the seeds and judged on the other.

A comparison at one learning rate compares how well that rate suits either side; a comparison of each side's
best seed compares luck. Here every setting gets the value of the grid that suits it, and no seed is judged by
a choice that it took part in: each half chooses for the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_end, fields

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records


def halves(seeds: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """The seeds in order, cut in the middle; of an odd number the second part is the larger."""
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


def steps_to(records: Records, target: float) -> pd.DataFrame:
    """The fields of every run and, as `value`, the first watched step whose loss is at most the target.

    inf if there is none.
    """
    reached = records.steps[records.steps["loss"] <= target].groupby("run_id")["step"].min()
    values = records.runs["run_id"].map(reached).astype(float).fillna(np.inf)
    return records.runs[["run_id", *fields(records.runs)]].assign(value=values)


def own_best(
    scores: pd.DataFrame, by: Sequence[str], *, over: str = "lr", larger: bool = True
) -> pd.DataFrame:
    """For each combination of `by` and every seed its row at the best `over` by the other half of the seeds.

    `scores` has `by`, `over`, seed and `value`, one row a run. Best is the largest (not `larger`: smallest)
    median over the half that chooses, and the smaller `over` of two as good; NaN, a run that diverged, is
    worse than any number. A column `on_edge` says whether the grid ends at the value chosen, so that the best
    may lie beyond it. A single seed, having no other half, is judged by its own choice. Raises ValueError if
    something but `by`, `over` and the seed would be mixed.
    """
    import pandas as pd

    keys = [*by, "_all"]  # a group even where there is nothing to group by
    scores = scores.assign(_all=0)
    if scores.duplicated([*keys, over, "seed"]).any():
        raise ValueError(f"choosing {over} for each {', '.join(by) or 'setting'} would mix other fields")
    one, other = halves(scores["seed"])
    parts = [
        scores[scores["seed"].isin(judged)].merge(
            _choice(scores[scores["seed"].isin(choosing or judged)], keys, over, larger),
            on=[*keys, over],
            validate="many_to_one",
        )
        for choosing, judged in ((other, one), (one, other))
    ]
    return pd.concat(parts, ignore_index=True).drop(columns="_all")


def _choice(scores: pd.DataFrame, keys: Sequence[str], over: str, larger: bool) -> pd.DataFrame:
    """The best value of `over` for each combination of `keys`, and whether its grid ends there."""
    filled = scores.fillna({"value": -np.inf if larger else np.inf})
    middle = filled.groupby([*keys, over], as_index=False, dropna=False)["value"].median()
    ranked = middle.sort_values(["value", over], ascending=[not larger, True], kind="stable")
    best = ranked.drop_duplicates(keys)[[*keys, over]]
    grid = middle.groupby(keys, dropna=False)[over]
    at_end_of_grid = (middle[over] == grid.transform("min")) != (middle[over] == grid.transform("max"))
    return best.assign(on_edge=at_end_of_grid)
