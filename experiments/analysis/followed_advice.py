"""What following a piece of advice on activations gains or loses: the study results/studies/advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.selection import at_last_step, own_best

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# The advice, what it says to take, and what one would take without it.
ADVICE = (
    ("avoid sigmoid", "tanh", "sigmoid"),
    ("avoid sigmoid", "relu", "sigmoid"),
    ("use ReLU", "relu", "tanh"),
    ("use leaky ReLU", "leaky_relu(slope=0.1)", "relu"),
)
CELL = ["depth", "init", "optimiser", "dataset"]
MATTERS, SAME = 0.01, 0.02  # of test accuracy: beyond the first it gains or loses, within the second nothing
SHORT = 0.02  # of test accuracy: how far under the worse side's end the mark for the time lies
LEARNT = 0.1  # of test accuracy: what the worse side has to gain for a time to be asked of both


def advice_costs(records: Records) -> pd.DataFrame:
    """Return for each piece of advice and each cell of the grid what following it changes.

    Each side at its own best rate, chosen on the other half of the seeds. Columns: advice, take, instead, the
    fields of CELL, seeds (pairs of which both runs ended), difference (of test accuracy: median, paired by
    seed), low, high (its range), verdict (open if a run diverged), updates_take and updates_instead (see
    `_times`), on_edge (whether either rate ends its grid).
    """
    import pandas as pd

    best = own_best(at_last_step(records, "test_accuracy"), ["activation", *CELL])
    rows = []
    for advice, take, instead in ADVICE:
        for cell, found in best.groupby(CELL, sort=False):
            one, other = (found[found["activation"] == text].set_index("seed") for text in (take, instead))
            gap = (one["value"] - other["value"]).to_numpy()
            edge = bool(one["on_edge"].any() or other["on_edge"].any())
            middle, low, high = np.median(gap), gap.min(), gap.max()  # NaN if a run diverged
            pairs, times = int(np.isfinite(gap).sum()), _times(records, one, other)
            numbers = (pairs, middle, low, high, verdict(low, high), *times, edge)
            rows.append((advice, take, instead, *cell, *numbers))
    names = ["seeds", "difference", "low", "high", "verdict", "updates_take", "updates_instead", "on_edge"]
    return pd.DataFrame(rows, columns=["advice", "take", "instead", *CELL, *names])


def verdict(low: float, high: float) -> str:
    """Return what a range of differences says: ``gains``, ``loses``, ``does not matter`` or ``open``."""
    if low > MATTERS:
        return "gains"
    if high < -MATTERS:
        return "loses"
    return "does not matter" if low >= -SAME and high <= SAME else "open"


def _times(records: Records, one: pd.DataFrame, other: pd.DataFrame) -> tuple[float, float]:
    """Return for each side after how many updates it can do what the worse side can at its end, less SHORT.

    It is the first watched update at which half of the runs have that test accuracy. NaN for both where the
    worse side has gained less than LEARNT over its start: what an untrained network can do takes no time.
    """
    ends = [_half(side["value"].fillna(-np.inf)) for side in (one, other)]
    worse = one if ends[0] <= ends[1] else other
    steps = records.steps[["run_id", "step", "test_accuracy"]]
    start = steps[(steps["step"] == 0) & steps["run_id"].isin(worse["run_id"])]["test_accuracy"]
    if min(ends) - start.median() < LEARNT:
        return np.nan, np.nan
    able = steps[steps["test_accuracy"] >= min(ends) - SHORT].groupby("run_id")["step"].min()
    first, second = (-_half(-side["run_id"].map(able).fillna(np.inf)) for side in (one, other))
    return first, second


def _half(values: pd.Series) -> float:
    """Return the largest of the values that at least half of them reach."""
    return float(np.sort(values)[len(values) // 2])
