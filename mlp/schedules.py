"""Learning-rate schedules: factory(options) -> factor(step, steps), a multiple of the learning rate."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi
from typing import Annotated

from mlp.registry import Count, Registry, Share, Within

Schedule = Callable[[int, int], float]

SCHEDULES = Registry("schedule")
StepNumber = Annotated[int, Within(0, 1_000_000_000)]


@SCHEDULES
def constant() -> Schedule:
    """1 at every step."""
    return lambda step, steps: 1.0


@SCHEDULES
def step(every: Count = 100, factor: Annotated[float, Within(0, 1, above=True)] = 0.1) -> Schedule:
    """factor^⌊step/every⌋."""
    return lambda step, steps: float(factor ** (step // every))


@SCHEDULES
def cosine(warmup: StepNumber = 0, floor: Share = 0.0) -> Schedule:
    """A linear rise over `warmup` steps, then half a cosine down to `floor`.  Loshchilov & Hutter 2017."""

    def factor(step: int, steps: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        return floor + (1 - floor) * (1 + cos(pi * done)) / 2

    return factor


@SCHEDULES
def shock(
    at: StepNumber = 100, factor: Annotated[float, Within(0, 1e12)] = 100.0, length: Count = 1
) -> Schedule:
    """1, but `factor` for the updates at steps at … at + length − 1: the oversized step that kills ReLUs."""
    return lambda step, steps: factor if at <= step < at + length else 1.0
