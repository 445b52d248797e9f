"""The score of an answer that looks at no example."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments import datasets

if TYPE_CHECKING:
    import pandas as pd


def chance_level(runs: pd.DataFrame) -> float | None:
    """Return the share of the commonest class in the training data of these runs, or the R² of the mean: 0.

    None where the data sets differ in it by more than a hundredth, or cannot be read.
    """
    levels = []
    for text in runs["dataset"].unique():
        try:
            data = datasets.load(text)
        except datasets.DataError:
            return None
        levels.append(0.0 if data.is_regression else np.bincount(data.y).max() / len(data.y))
    return float(np.mean(levels)) if levels and np.ptp(levels) <= 0.01 else None
