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
from experiments.sweeps.forecast import cost, input_size, traced_examples

STACKED = ("seed", "lr", "init", "bias")  # fields that may differ within a stack; all others agree
_RECORDING = Recording(probes=())
_SHAPE = tuple(f.name for f in fields(Run) if f.name not in STACKED)

# A stack is as large as pays for Python's overhead without leaving the caches too far behind. Timed for nine
# shapes at R = 1 … 20, one thread, records at every step (`--parts stacks` of the bench has six; 1 MiB of L2
# cache a core): with this much a step is within about 10 % of its best. With R = 1 it takes 1.3 to 2.5
# times as long at width 64 and 1.25 times at 50 layers of 128; at width 512 R does not matter.
CACHE = 8 * 2**20  # bytes of activations
MOST_STACKED = 20
NARROW = 64  # up to this width at least two runs are stacked, whatever the cache: overhead outweighs it
TRACES = 256 * 2**20  # bytes of traces a stack may hold: a worker stays under 500 MB

EVEN = 1.02  # smaller stacks are less efficient: cut only where it ends the whole 2 % sooner

_Priced = tuple[float, "_Group", tuple[Run, ...]]


@dataclass
class _Group:
    """Runs of one shape, and into how many stacks they are cut."""

    runs: list[Run]
    parts: int

    def stacks(self) -> list[tuple[Run, ...]]:
        """Stacks whose sizes differ by one at most."""
        size, larger = divmod(len(self.runs), self.parts)
        ends = [i * size + min(i, larger) for i in range(self.parts + 1)]
        return [tuple(self.runs[a:b]) for a, b in pairwise(ends)]

    def cut(self) -> None:
        """Into as many more stacks as make the largest one run smaller."""
        self.parts = ceil(len(self.runs) / max(1, ceil(len(self.runs) / self.parts) - 1))


def stacks(runs: Iterable[Run], recording: Recording = _RECORDING, workers: int = 1) -> list[tuple[Run, ...]]:
    """Runs of equal shape together, costliest stack first, cut so that `workers` cores finish together."""
    shapes: defaultdict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        shapes[tuple(getattr(run, name) for name in _SHAPE)].append(run)
    groups = [_Group(each, ceil(len(each) / _capacity(each[0], recording))) for each in shapes.values()]
    priced = _balanced(groups, recording, workers)
    return [stack for _, _, stack in priced]


def _balanced(groups: list[_Group], recording: Recording, workers: int) -> list[_Priced]:
    """The stacks, after cutting again whichever group keeps one core busy while others wait."""
    best = found = _priced(groups, recording)
    soonest, last = _makespan(found, workers)
    patience = workers  # as many groups may have to be cut before it shows
    ideal = sum(price for price, *_ in found) / workers
    while patience and soonest > EVEN * ideal and last.parts < len(last.runs):
        last.cut()
        found = _priced(groups, recording)
        finish, last = _makespan(found, workers)
        patience -= 1
        if finish * EVEN < soonest:
            best, soonest, patience = found, finish, workers
    return best


def _priced(groups: list[_Group], recording: Recording) -> list[_Priced]:
    """All stacks with their cost and group, the costliest first."""
    found = []
    for group in groups:
        price = cache(lambda size, run=group.runs[0]: cost([run] * size, recording))
        found += [(price(len(stack)), group, stack) for stack in group.stacks()]
    return sorted(found, key=lambda each: -each[0])


def _makespan(priced: list[_Priced], workers: int) -> tuple[float, _Group]:
    """When the last core ends, each taking the next stack as it is free; and the group it is at then."""
    free = [0.0] * workers
    ends: list[tuple[float, _Group]] = []
    for price, group, _ in priced:
        at = heappop(free) + price
        heappush(free, at)
        ends.append((at, group))
    return max(ends, key=lambda end: end[0])


def _capacity(run: Run, recording: Recording) -> int:
    """How many runs of this shape go together."""
    size = 8 if run.dtype == "float64" else 4
    activations = run.batch * (input_size(run) + run.depth * run.width) * size
    fitting = max(round(CACHE / activations), 2 if run.width <= NARROW else 1)
    units = max(run.depth, 1) * run.width
    traces = 3 * traced_examples(run, recording) * units * size  # z, a and slope of every layer, or less
    return max(1, min(fitting, MOST_STACKED, TRACES // traces))
