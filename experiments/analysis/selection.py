"""Each setting at its own best learning rate, chosen on one half of the seeds and judged on the other.

A comparison at one learning rate measures how well that rate suits either side; a comparison of each side's
best seed measures luck. Here every setting gets the value of the grid that suits it best, and no seed is
judged by a choice that it took part in: each half of the seeds chooses for the other.
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
    """Return the two halves of the sorted seeds; of an odd number the second half is the larger."""
    ordered = sorted(set(seeds))
    return ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]


def at_last_step(records: Records, column: str) -> pd.DataFrame:
    """Return the fields of every run and, as `value`, a column of `steps` after the run's last update.

    The value is NaN for a run that diverged or crashed.
    """
    runs = records.runs[["run_id", *fields(records.runs)]]
    last = at_end(records.steps[["run_id", "step", column]], records.runs)
    values = last.rename(columns={column: "value"})[["run_id", "value"]]
    return runs.merge(values, on="run_id", how="left", validate="one_to_one")


def steps_to(records: Records, target: float) -> pd.DataFrame:
    """Return the fields of every run and, as `value`, the first watched step with a loss of at most `target`.

    The target is in nats; the value is inf if no step reaches it.
    """
    reached = records.steps[records.steps["loss"] <= target].groupby("run_id")["step"].min()
    values = records.runs["run_id"].map(reached).astype(float).fillna(np.inf)
    return records.runs[["run_id", *fields(records.runs)]].assign(value=values)


def own_best(
    scores: pd.DataFrame, by: Sequence[str], *, over: str = "lr", larger: bool = True
) -> pd.DataFrame:
    """Return, per combination of `by` and seed, the row at the value of `over` that the other half chose.

    `scores` has the columns `by`, `over`, seed and `value`, one row per run. The best value of `over` has the
    largest median (if not `larger`: the smallest) over the half that chooses; of two equal ones the smaller
    is taken. NaN (a diverged run) is worse than any number. The column `on_edge` tells whether the chosen
    value is an end of the grid, so that the best may lie outside. A single seed is judged by its own choice.
    Errors: ValueError if fields other than `by`, `over` and the seed would be mixed.
    """
    import pandas as pd

    keys = [*by, "_all"]  # the constant column makes one group where `by` is empty
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
    """Return the best value of `over` for each combination of `keys`, and whether the grid ends there."""
    filled = scores.fillna({"value": -np.inf if larger else np.inf})
    middle = filled.groupby([*keys, over], as_index=False, dropna=False)["value"].median()
    ranked = middle.sort_values(["value", over], ascending=[not larger, True], kind="stable")
    best = ranked.drop_duplicates(keys)[[*keys, over]]
    grid = middle.groupby(keys, dropna=False)[over]
    at_end_of_grid = (middle[over] == grid.transform("min")) != (middle[over] == grid.transform("max"))
    return best.assign(on_edge=at_end_of_grid)
