"""Experiment -> the grid of runs, their names, and the stacks they are trained in."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from heapq import heappop, heappush
from itertools import pairwise
from math import ceil

from experiments.config import ConfigError, Experiment, Recording, Run
from mlp.probes import PROBES
from mlp.registry import call_text, parse_call

SCHEMA = 2  # raised whenever the same Run would give other numbers than before; part of every run_id
STACKED = ("seed", "lr", "init", "bias")  # fields that may differ within a stack; all others agree
_DEFAULT = Run()
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

# The work of a step is counted in float32 FLOP of matrix products; float64 takes twice as long.
OVERHEAD = 1e6  # FLOP that Python and NumPy's calls cost a layer of a step: 12 µs at 80 GFLOP/s
INPUTS = {"mnist": 784, "fashion_mnist": 784}  # sizes of inputs that stand out
OTHER_INPUTS = 64  # of any other data: an estimate only decides how runs are grouped, never their numbers
CLASSES = 10  # likewise
EVEN = 1.02  # smaller stacks are less efficient: cut only where it ends the whole 2 % sooner


def grid(experiment: Experiment) -> list[Run]:
    """Every run of an experiment; zip is the slowest axis, the last key of sweep the fastest."""
    base = {f.name: getattr(experiment.base, f.name) for f in fields(Run)}
    return [Run(**(base | setting)) for setting in experiment.combinations()]


def check_sizes(runs: Iterable[Run]) -> None:
    """That each batch can be filled, where only reading the data tells; errors: ConfigError, DataError."""
    from experiments.datasets import load, training_size

    messages = []
    for dataset, batch in dict.fromkeys((run.dataset, run.batch) for run in runs):
        if training_size(dataset) is None and batch > (size := len(load(dataset).x)):
            messages.append(f"batch: {batch} examples a batch, but {dataset} has {size} to train on")
    if messages:
        raise ConfigError(messages)


# Names ----------------------------------------------------------------------------------------------------


def run_id(run: Run, recording: Recording, data: str | None = None) -> str:
    """Twelve hex digits that name a run by what its numbers depend on, and by nothing else.

    That is: the fields set to something other than their default, what is recorded and when, the contents
    (not the path) of a user's data file, and SCHEMA. A new field with a default leaves all names as they are.
    `data` is the data set's fingerprint where it is known; else the data are looked at.
    """
    if data is None:
        from experiments.datasets import fingerprint

        data = fingerprint(run.dataset)
    chosen = {name: value for name, value in vars(run).items() if value != getattr(_DEFAULT, name)}
    if data:
        chosen["dataset"] = f"{_without_path(run.dataset)} {data}"
    text = json.dumps([SCHEMA, chosen, _measured(recording, run.steps)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def named(
    runs: Sequence[Run], recording: Recording, prints: Mapping[str, str] | None = None
) -> dict[str, Run]:
    """Runs by their `run_id`; each data set is looked at once, or not if `fingerprints` are given."""
    found = fingerprints(runs) if prints is None else prints
    return {run_id(run, recording, found[run.dataset]): run for run in runs}


def fingerprints(runs: Iterable[Run]) -> dict[str, str]:
    """The fingerprint of each data set as it is now."""
    from experiments.datasets import fingerprint

    return {text: fingerprint(text) for text in dict.fromkeys(run.dataset for run in runs)}


def watched_steps(watch: int | tuple[int, ...], steps: int) -> tuple[int, ...]:
    """The steps at which to measure: 0 and `steps`, and as many between, evenly by their logarithm.

    Early on a logarithm asks for more steps than there are; the others move up, so that the count is kept. A
    tuple says which; what of it lies beyond the end is left out.
    """
    if not isinstance(watch, int):
        return tuple(sorted({0, steps, *(step for step in watch if step <= steps)}))
    if watch > steps:
        return tuple(range(steps + 1))
    found = [0, 1][: watch - 1]
    while len(found) < watch:
        left = watch - len(found)
        last = max(found[-1], 1)
        found.append(max(found[-1] + 1, round(last * (steps / last) ** (1 / left))))
    return tuple(found)


def costly_steps(recording: Recording, steps: int) -> tuple[int, ...]:
    """The watched steps at which costly probes are measured: the first, the last and evenly many between."""
    watched = watched_steps(recording.watch, steps)
    gaps = min(recording.watch_costly, len(watched)) - 1
    return tuple(watched[round(i * (len(watched) - 1) / max(gaps, 1))] for i in range(gaps + 1))


def is_costly(probe: str) -> bool:
    """Whether the probe that a call-text names is measured at few steps."""
    return getattr(PROBES[parse_call(probe)[0]], "costly", False)


@lru_cache
def _measured(recording: Recording, steps: int) -> dict[str, object]:
    """What of a recording the numbers depend on: the steps themselves, however they were asked for."""
    on = "batch" if recording.trace == "batch" else recording.probe_set
    watched = watched_steps(recording.watch, steps)
    more: dict[str, object] = {}
    for key in ("unit_probes", "distributions"):
        if asked := getattr(recording, key):
            more[key] = sorted(asked)
    if any(map(is_costly, recording.probes)):
        more["costly"] = costly_steps(recording, steps)
    return {"probes": sorted(recording.probes), "watched": watched, "on": on, **more}


def _without_path(dataset: str) -> str:
    name, options = parse_call(dataset)
    return call_text(name, {key: value for key, value in options.items() if key != "path"})


# Stacks ---------------------------------------------------------------------------------------------------


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


def stacks(
    runs: Iterable[Run], recording: Recording = _RECORDING, workers: int = 1
) -> list[tuple[Run, ...]]:
    """Runs of equal shape together, costliest stack first, cut so that `workers` cores finish together."""
    shapes: defaultdict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        shapes[tuple(getattr(run, name) for name in _SHAPE)].append(run)
    groups = [_Group(each, ceil(len(each) / _capacity(each[0], recording))) for each in shapes.values()]
    priced = _balanced(groups, recording, workers)
    return [stack for _, _, stack in priced]


def cost(stack: Sequence[Run], recording: Recording = _RECORDING) -> float:
    """The work of a stack in FLOP: its training, and a pass over the probe set at each watched step."""
    run = stack[0]
    between = max(run.depth - 1, 0) * run.width**2
    weights = between + (run.width * (_inputs(run) + CLASSES) if run.depth else _inputs(run) * CLASSES)
    products = 6 * weights * len(stack) * (2 if run.dtype == "float64" else 1)
    calls = (run.depth + 1) * OVERHEAD
    watched = len(watched_steps(recording.watch, run.steps))
    examples = run.steps * run.batch + watched * _traced(run, recording)
    return (run.steps + watched) * calls + products * examples


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


def _inputs(run: Run) -> int:
    return INPUTS.get(parse_call(run.dataset)[0], OTHER_INPUTS)


def _traced(run: Run, recording: Recording) -> int:
    """Examples that a trace is taken on."""
    if recording.trace == "batch":
        return run.batch
    from experiments.datasets import training_size

    return min(recording.probe_set, training_size(run.dataset) or recording.probe_set)


def _capacity(run: Run, recording: Recording) -> int:
    """How many runs of this shape go together."""
    size = 8 if run.dtype == "float64" else 4
    activations = run.batch * (_inputs(run) + run.depth * run.width) * size
    fitting = max(round(CACHE / activations), 2 if run.width <= NARROW else 1)
    units = max(run.depth, 1) * run.width
    traces = 3 * _traced(run, recording) * units * size  # z, a and slope of every layer, or less
    return max(1, min(fitting, MOST_STACKED, TRACES // traces))
