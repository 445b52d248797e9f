"""Which runs are trained together: stacks of equal shape, sized for the caches and the cores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from heapq import heappop, heappush
from itertools import pairwise
from math import ceil

from experiments.config import Recording, Run
from experiments.sweeps.forecast import cost
from experiments.sweeps.shapes import shape_of

STACKED = ("seed", "lr", "init", "bias")  # fields that may differ within a stack; all others agree
_RECORDING = Recording(probes=())
_SHAPE = tuple(f.name for f in fields(Run) if f.name not in STACKED)

# A larger stack spreads Python's overhead over more runs; one too large no longer fits the caches. Timed for
# nine shapes at R = 1 … 20 with one thread, records at every step and 1 MiB of L2 cache per core (the bench's
# `--parts stacks` times six of them): with CACHE bytes a step is within about 10 % of its best time. With
# R = 1 it takes 1.3 to 2.5 times as long at width 64 and 1.25 times at 50 layers of 128; at width 512 R does
# not matter.
CACHE = 8 * 2**20  # bytes of activations per stack
MOST_STACKED = 20
NARROW = 64  # up to this width at least two runs are stacked: overhead matters more than the cache
TRACES = 256 * 2**20  # bytes of traces per stack, so that a worker stays under 500 MB

EVEN = 1.02  # smaller stacks are less efficient, so they are cut only where the sweep ends 2 % sooner

_Priced = tuple[float, "_Group", tuple[Run, ...]]


@dataclass
class _Group:
    """Runs of one shape, and the number of stacks into which they are cut."""

    runs: list[Run]
    parts: int

    def stacks(self) -> list[tuple[Run, ...]]:
        """Return stacks whose sizes differ by at most one."""
        size, larger = divmod(len(self.runs), self.parts)
        ends = [i * size + min(i, larger) for i in range(self.parts + 1)]
        return [tuple(self.runs[a:b]) for a, b in pairwise(ends)]

    def cut(self) -> None:
        """Increase the number of stacks until the largest stack is one run smaller."""
        self.parts = ceil(len(self.runs) / max(1, ceil(len(self.runs) / self.parts) - 1))


def stacks(runs: Iterable[Run], recording: Recording = _RECORDING, workers: int = 1) -> list[tuple[Run, ...]]:
    """Group runs of equal shape into stacks, costliest first, so that `workers` cores finish together."""
    shapes: defaultdict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        shapes[tuple(getattr(run, name) for name in _SHAPE)].append(run)
    groups = [_Group(each, ceil(len(each) / _capacity(each[0], recording))) for each in shapes.values()]
    priced = _balanced(groups, recording, workers)
    return [stack for _, _, stack in priced]


def _balanced(groups: list[_Group], recording: Recording, workers: int) -> list[_Priced]:
    """Return the stacks after cutting further the groups that keep one core busy while others wait."""
    best = priced = _priced(groups, recording)
    soonest, last = _makespan(priced, workers)
    patience = workers  # up to this many groups may have to be cut before the sweep ends sooner
    ideal = sum(price for price, *_ in priced) / workers
    while patience and soonest > EVEN * ideal and last.parts < len(last.runs):
        last.cut()
        priced = _priced(groups, recording)
        finish, last = _makespan(priced, workers)
        patience -= 1
        if finish * EVEN < soonest:
            best, soonest, patience = priced, finish, workers
    return best


def _priced(groups: list[_Group], recording: Recording) -> list[_Priced]:
    """Return all stacks with their cost and group, the costliest first."""
    priced = []
    for group in groups:
        price = cache(lambda size, run=group.runs[0]: cost([run] * size, recording))
        priced += [(price(len(stack)), group, stack) for stack in group.stacks()]
    return sorted(priced, key=lambda each: -each[0])


def _makespan(priced: list[_Priced], workers: int) -> tuple[float, _Group]:
    """Return when the last core ends and the group of its last stack; each free core takes the next stack."""
    free = [0.0] * workers
    ends: list[tuple[float, _Group]] = []
    for price, group, _ in priced:
        at = heappop(free) + price
        heappush(free, at)
        ends.append((at, group))
    return max(ends, key=lambda end: end[0])


def _capacity(run: Run, recording: Recording) -> int:
    """Return the largest number of runs of this shape in one stack."""
    size = 8 if run.dtype == "float64" else 4
    data = shape_of(run.dataset)
    activations = run.batch * (data.features + run.depth * run.width) * size
    fitting = max(round(CACHE / activations), 2 if run.width <= NARROW else 1)
    units = max(run.depth, 1) * run.width
    traces = 3 * data.traced(run, recording) * units * size  # z, a and slope of every layer, or less
    return max(1, min(fitting, MOST_STACKED, TRACES // traces))
