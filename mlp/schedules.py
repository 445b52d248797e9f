"""Learning-rate schedules: factory(options) -> factor(step, steps), a multiple of the learning rate."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi

from mlp.registry import Registry

Schedule = Callable[[int, int], float]

SCHEDULES = Registry("schedule")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@SCHEDULES
def constant() -> Schedule:
    """1 at every step."""
    return lambda step, steps: 1.0


@SCHEDULES
def step(every: int = 100, factor: float = 0.1) -> Schedule:
    """factor^⌊step/every⌋."""
    _require(every >= 1, f"step: every is {every}; it is at least 1")
    _require(0 < factor <= 1, f"step: factor is {factor}; it lies above 0 and at most at 1")
    return lambda step, steps: float(factor ** (step // every))


@SCHEDULES
def cosine(warmup: int = 0, floor: float = 0.0) -> Schedule:
    """A linear rise over `warmup` steps, then half a cosine down to `floor`.  Loshchilov & Hutter 2017."""
    _require(warmup >= 0, f"cosine: warmup is {warmup}; it is at least 0")
    _require(0 <= floor <= 1, f"cosine: floor is {floor}; it lies in [0, 1]")

    def factor(step: int, steps: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        return floor + (1 - floor) * (1 + cos(pi * done)) / 2

    return factor


@SCHEDULES
def shock(at: int = 100, factor: float = 100.0, length: int = 1) -> Schedule:
    """1, but `factor` for the updates at steps at … at + length − 1: the oversized step that kills ReLUs."""
    _require(at >= 0, f"shock: at is {at}; it is at least 0")
    _require(length >= 1, f"shock: length is {length}; it is at least 1")
    _require(0 <= factor <= 1e12, f"shock: factor is {factor}; it lies in [0, 1e12]")
    return lambda step, steps: factor if at <= step < at + length else 1.0
