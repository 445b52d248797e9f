"""The plane of two features, on which a network's answers can be drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.datasets.catalogue import Dataset

MARGIN = 0.15  # of the plane beyond the outermost examples, as a share of their range


def corners(data: Dataset) -> tuple[float, float, float, float] | None:
    """Return the least and largest x1 and x2 of the plane around the training examples.

    None of data that have not two features.
    """
    if data.x.shape[1] != 2:
        return None
    low, high = data.x.min(axis=0), data.x.max(axis=0)
    more = MARGIN * (high - low)
    (left, lower), (right, upper) = (low - more).tolist(), (high + more).tolist()
    return left, right, lower, upper


def plane(data: Dataset, points: int) -> NDArray[np.float64]:
    """Return (points², 2) points of that plane: row by row from the least x2, in a row from the least x1.

    Errors: ValueError for data that have not two features.
    """
    if (ends := corners(data)) is None:
        raise ValueError(f"{data.name} has {data.x.shape[1]} features; a plane has two")
    left, right, lower, upper = ends
    x1, x2 = np.meshgrid(np.linspace(left, right, points), np.linspace(lower, upper, points))
    return np.column_stack([x1.ravel(), x2.ravel()])
