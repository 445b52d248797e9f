"""Figures without theory, which takes longer than all else; its own tests are in tests/experiments/theory."""

from collections.abc import Iterator

import pytest

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
        yield
