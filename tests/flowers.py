"""A small table in each format that is read, and what the reader says of a table that it refuses."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from experiments.datasets import tables
from experiments.datasets.readers import DataError

FLOWERS = "length,width,kind\n5.1,3.5,1\n4.9,3.0,1\n6.3,-3.3e0,7\n"
X = [[5.1, 3.5], [4.9, 3.0], [6.3, -3.3]]
Y = [0, 0, 1]
LEARNS = "task='regression' learns it as a number"  # the end of an error


def read_table(path: str, target=None, drop=()):
    """The inputs and labels of a table, with NaN for a gap."""
    table = tables.read_table(path, target, drop).for_task(None, path)
    assert set(table.notes) <= set(table.decisions) | {
        n for n in table.notes if "is taken for the labels" in n
    }
    return table.x, table.y


def npz(save=np.savez, **arrays) -> bytes:
    """The bytes of an NPZ as numpy writes it."""
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    """The bytes of a Parquet file as pandas writes it."""
    return frame.to_parquet()


def message(path: str, target=None) -> str:
    """What `read_table` says of a file that it refuses."""
    with pytest.raises(DataError) as error:
        tables.read_table(path, target).for_task(None, path)
    return str(error.value)


def assert_flowers(examples) -> None:
    x, y = examples
    np.testing.assert_array_equal(x, np.array(X), strict=True)
    np.testing.assert_array_equal(y, np.array(Y), strict=True)
