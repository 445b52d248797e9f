"""The bisection over depth: which depth to try next, given the share of runs that succeeded at others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, isnan, log, log2
from typing import Annotated, Literal

from mlp.registry import Registry, Within

DEEPEST = 10_000  # the largest depth that a run may have
HALF = 0.5

SEARCHES = Registry("search")
Depth = Annotated[int, Within(1, DEEPEST)]


@dataclass(frozen=True)
class Search:
    """What counts as a success, and the range of depths in which the frontier is searched for."""

    accuracy: float  # a run succeeds if it reaches this fraction
    on: str  # the column of `steps` that holds the accuracy
    shallowest: int
    deepest: int
    resolution: float  # approximate ratio of two neighbouring depths

    @property
    def goal(self) -> str:
        """The criterion of success, in words."""
        return f"{self.on.replace('_', ' ')} {self.accuracy:g} by half of the seeds, 95 % interval"

    @property
    def ladder(self) -> tuple[int, ...]:
        """All depths that may be tried, ascending; neighbours have a ratio of about `resolution`."""
        steps = ceil(log(self.deepest / self.shallowest) / log(self.resolution))
        factor = (self.deepest / self.shallowest) ** (1 / steps)
        return tuple(sorted({round(self.shallowest * factor**k) for k in range(steps + 1)}))

    @property
    def rounds(self) -> int:
        """The largest number of depths at which a setting may have to be tried."""
        return ceil(log2(len(self.ladder) + 1))

    def next_depth(self, tried: Mapping[int, float]) -> int | None:
        """Return the next depth to try, or None once the search has ended.

        `tried` maps each depth tried so far to its share of successes. A share of NaN (no run of that depth
        is stored) ends the search. The result depends on `tried` alone, so that a resumed search takes the
        same path as before.
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
    accuracy: Annotated[float, Within(0, 1, above=True)] = 0.5,
    on: Literal["test_accuracy", "accuracy"] = "test_accuracy",
    shallowest: Depth = 2,
    deepest: Depth = 200,
    resolution: Annotated[float, Within(1.001, 10)] = 1.15,
) -> Search:
    """Find by bisection, for each setting, the depth up to which half of the seeds reach the accuracy.

    A run succeeds if it classifies at least this fraction of the test (or training) examples correctly after
    the last step. Depths lie between shallowest and deepest; their ratio is about resolution.
    """
    if shallowest >= deepest:
        raise ValueError(f"depth: shallowest is {shallowest} and deepest {deepest}; it has to be deeper")
    return Search(accuracy, on, shallowest, deepest, resolution)
