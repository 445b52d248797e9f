"""Data sets by name: bundled, published, generated, or the user's own file.

`catalogue` has the names; `generators` draw, `published` finds and fetches, `given` takes what a notebook
has, `tables` reads a user's file (`delimited` its lines, `cell_values` its cells, `archives` its arrays,
`table_columns` what they mean), `preparation` divides and scales, `readers` opens any file within limits,
`two_features` is their plane.
"""

from experiments.datasets.catalogue import (
    DATASETS,
    Dataset,
    DatasetName,
    decisions,
    fingerprint,
    is_own,
    load,
    training_size,
)
from experiments.datasets.generators import GENERATORS
from experiments.datasets.given import give
from experiments.datasets.readers import DataError
from experiments.datasets.two_features import corners, plane

__all__ = [
    "DATASETS", "GENERATORS", "DataError", "Dataset", "DatasetName", "corners", "decisions", "fingerprint",
    "give", "is_own", "load", "plane", "training_size",
]  # fmt: skip
