"""Figures without theory and reference networks, which take longer than all else and have their own tests."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from experiments.diagnosis import reference as reference_module
from experiments.plots import overlay
from experiments.plots.figures import residual
from experiments.theory import Prediction


@pytest.fixture(scope="module", autouse=True)
def _no_theory() -> Iterator[None]:
    def untold(records):
        runs = records.runs
        found = {depth: Prediction(depth, "it is not asked here") for depth in runs["depth"].unique()}
        return dict(zip(runs["run_id"], map(found.__getitem__, runs["depth"]), strict=True))

    with pytest.MonkeyPatch.context() as patch:
        for module in (overlay, residual):
            patch.setattr(module, "predictions", untold)
        patch.setattr(reference_module, "reference", _undrawn)
        yield


def _undrawn(run, networks=9, *, measures, examples, jobs=1):
    """What is normal, without a network drawn: for every layer the numbers 0.01, 0.02 … 0.09."""
    rows = [
        (seed, layer, *[seed / 100] * len(measures))
        for layer in range(1, run.depth + 1)
        for seed in range(1, 10)
    ]
    drawn = pd.DataFrame(rows, columns=["seed", "layer", *measures])
    ratio = np.full(9, 1.0 if run.activation != "sigmoid" else 1e-9) if run.depth > 1 else np.array([])
    return reference_module.Reference(run, drawn, ratio, (0.1, 10.0))
