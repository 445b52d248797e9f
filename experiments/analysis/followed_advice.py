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


def advice_costs(records: Records) -> pd.DataFrame:
    """Return for each piece of advice and each cell of the grid what following it changes.

    Each side at its own best rate, chosen on the other half of the seeds. Columns: advice, take, instead, the
    fields of CELL, seeds, difference (of test accuracy: median, paired by seed), low, high (its range),
    verdict, updates_take and updates_instead (median first watched update at which the test accuracy is that
    of the worse side at its end, less SHORT; inf if never), on_edge (whether either rate ends its grid).
    """
    import pandas as pd

    best = own_best(at_last_step(records, "test_accuracy"), ["activation", *CELL])
    rows = []
    for advice, take, instead in ADVICE:
        for cell, found in best.groupby(CELL, sort=False):
            one, other = (found[found["activation"] == text].set_index("seed") for text in (take, instead))
            gap = (one["value"] - other["value"]).to_numpy()
            mark = min(one["value"].median(), other["value"].median()) - SHORT
            updates = [_updates(records, side["run_id"], mark) for side in (one, other)]
            edge = bool(one["on_edge"].any() or other["on_edge"].any())
            middle, low, high = np.median(gap), gap.min(), gap.max()
            numbers = (len(gap), middle, low, high, verdict(low, high), *updates, edge)
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


def _updates(records: Records, runs: pd.Series, mark: float) -> float:
    """Return the median over runs of the first watched update with at least this test accuracy."""
    steps = records.steps[records.steps["run_id"].isin(runs) & (records.steps["test_accuracy"] >= mark)]
    first = steps.groupby("run_id")["step"].min().reindex(runs).fillna(np.inf)
    return float(np.median(first))
