"""How deep can it go? A bisection over depth: which depth to try next, and nothing of how it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, isnan, log, log2
from typing import Literal

from mlp.registry import Registry

DEEPEST = 10_000  # as of a run's depth
HALF = 0.5

SEARCHES = Registry("search")


@dataclass(frozen=True)
class Search:
    """What counts as a success, and between which depths the frontier is looked for."""

    accuracy: float
    on: str
    shallowest: int
    deepest: int
    resolution: float

    @property
    def goal(self) -> str:
        """What counts as reached, in words."""
        return f"{self.on.replace('_', ' ')} {self.accuracy:g} by half of the seeds, 95 % interval"

    @property
    def ladder(self) -> tuple[int, ...]:
        """All depths that may be tried: each at least one deeper than the last, by about `resolution`."""
        steps = ceil(log(self.deepest / self.shallowest) / log(self.resolution))
        factor = (self.deepest / self.shallowest) ** (1 / steps)
        return tuple(sorted({round(self.shallowest * factor**k) for k in range(steps + 1)}))

    @property
    def rounds(self) -> int:
        """The most depths that a setting may have to be tried at."""
        return ceil(log2(len(self.ladder) + 1))

    def next_depth(self, tried: Mapping[int, float]) -> int | None:
        """The depth to try after these, each with its share of successes; None: the frontier is enclosed.

        A share of NaN (nothing is known of that depth) ends the search. It depends on nothing else, so that
        a search taken up again goes the way it went before.
        """
        reached, missed = -1, len(self.ladder)
        while missed - reached > 1:
            middle = (reached + missed) // 2
            depth = self.ladder[middle]
            if depth not in tried:
                return depth
            if isnan(tried[depth]):
                return None
            if tried[depth] >= HALF:
                reached = middle
            else:
                missed = middle
        return None


@SEARCHES
def none() -> None:
    """No search: the depths are those of the config."""


@SEARCHES
def depth(
    accuracy: float = 0.5,
    on: Literal["test_accuracy", "accuracy"] = "test_accuracy",
    shallowest: int = 2,
    deepest: int = 200,
    resolution: float = 1.15,
) -> Search:
    """By bisection, for each setting the depth up to which half of the seeds reach the accuracy.

    Success is at least that share of the test (or training) examples after the last step. Depths are tried
    from shallowest to deepest, those whose ratio is under resolution are not told apart.
    """
    if not 0 < accuracy <= 1:
        raise ValueError(f"depth: accuracy is {accuracy}; it lies above 0 and is 1 at most")
    if not 1 <= shallowest < deepest <= DEEPEST:
        range_ = f"shallowest is {shallowest} and deepest {deepest}"
        raise ValueError(f"depth: {range_}; 1 ≤ shallowest < deepest ≤ {DEEPEST}")
    if not 1.001 <= resolution <= 10:
        raise ValueError(f"depth: resolution is {resolution}; it lies between 1.001 and 10")
    return Search(accuracy, on, shallowest, deepest, resolution)
