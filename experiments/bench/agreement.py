"""Check that an alternative computes what we do: a benchmark of wrong code is worthless.

Every engine makes one step at the rate 2⁴⁰ from the same weights. The weights it started from drown in what
it adds, so (w₀ − w₁)/2⁴⁰ is the gradient it truly applied, to the last few digits and without asking it how.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from experiments.bench.alternatives import SETTINGS, Setting
from experiments.bench.workload import Array, Case, Problem, Readings, Shape

RATE = 2.0**40
CHECKED = Shape(4, 24)
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}  # of a layer's largest gradient
# A share counts units or pairs; of either, rounding may move one across the threshold where there are 128·24.
SHARE = 1e-3


@dataclass(frozen=True)
class Agreement:
    """How much an engine's first step differs from ours."""

    engine: str
    dtype: str
    activation: str
    gradient: float  # largest difference of any weight's, over its layer's largest
    records: float  # largest relative difference of loss and norms; NaN where none are kept
    shares: float  # largest difference of dead and saturated shares

    @property
    def agrees(self) -> bool:
        """Whether the differences are no larger than rounding explains."""
        bound = TOLERANCE[self.dtype]
        return not (self.gradient > bound or self.records > bound or self.shares > SHARE)


def first_step(setting: Setting, case: Case) -> tuple[list[Array], Readings | None]:
    """Return (gradients by layer (R, n_in, n_out), records) of the first step."""
    problem = Problem.of(replace(case, lr=RATE))
    engine = setting.build(problem)
    records = engine.run(1)
    after = zip(problem.weights, engine.weights(), strict=True)
    return [(w0.astype(np.float64) - w1) / RATE for w0, w1 in after], records


def compare(name: str, case: Case, theirs: Any, ours: Any) -> Agreement:
    """Return how far the results of `first_step` differ between an engine and ours."""
    gradient = max(
        float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(theirs[0], ours[0], strict=True)
    )
    records = shares = float("nan")
    if theirs[1] is not None:
        records = max(_relative(getattr(theirs[1], n), getattr(ours[1], n)) for n in ("loss", "dw_norm"))
        shares = max(_apart(getattr(theirs[1], n), getattr(ours[1], n)) for n in ("dead", "saturated"))
    return Agreement(name, case.dtype, case.activation, gradient, records, shares)


def reference(case: Case) -> tuple[list[Array], Readings | None]:
    """Return our own first step, which the others are compared with."""
    return first_step(SETTINGS["ours"], case)


def _relative(a: Array, b: Array) -> float:
    return float(np.abs(a / b - 1).max())


def _apart(a: Array, b: Array) -> float:
    return float(np.abs(a - b).max())
