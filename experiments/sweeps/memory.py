"""How much memory a stack takes while it trains, by the shapes of data and networks, and what there is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nlargest
from pathlib import Path

from experiments.config import ConfigError, Recording, Run
from experiments.storage.identity import watched_steps
from experiments.sweeps.shapes import Shape, layer_sizes, shape_of
from mlp.activations import activation
from mlp.network import parameter_count
from mlp.norms import NORMS
from mlp.train import BLOCK

OPTIMISER_BLOCKS = 3  # of Adam, the most of those that ship: two moments and a scratch
PARAMETER_BLOCKS = 4  # the parameters, their start, the gradients and those of a trace
TAPE_ARRAYS = 4  # z, a, slope and, with normalisation or for the way back, one more of every layer
TEMPORARIES = 3  # arrays of one layer's size that a probe makes, in float64
EXAMPLES_AT_ONCE = 4096  # of the test set in a prediction
SMALL_ARRAY = 200  # bytes that a recorded number of one run costs besides itself, as an array of its own
POINT = 7  # numbers in a row of a point of the plane
FRAME_COPIES = 3  # of the recorded columns: pieces, joined, typed
Stack = tuple[Run, ...]

PROCESS = 250 * 2**20  # bytes of a worker with NumPy, pandas and SciPy loaded
RESERVE = 0.8  # of the memory that is free may be used
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")  # of control groups version 1


def stack_bytes(stack: Sequence[Run], recording: Recording, data: Shape) -> int:
    """Return about how many bytes these runs take while they train together, their data included."""
    run, runs = stack[0], len(stack)
    item = 8 if run.dtype == "float64" else 4
    sizes = layer_sizes(run, data)
    learns = activation(run.activation).learnt is not None
    normed = NORMS.bind(run.norm)() is not None
    parameters = runs * parameter_count(sizes, normed=normed, learns=learns)
    blocks = PARAMETER_BLOCKS + OPTIMISER_BLOCKS
    examples = data.traced(run, recording)
    tapes = runs * (run.batch + examples) * sum(sizes) * TAPE_ARRAYS
    predicted = 2 * runs * min(data.test, EXAMPLES_AT_ONCE) * max(sizes)
    inputs = (data.train + data.test) * data.features
    copies = inputs if run.dtype == "float32" else 0
    arrays = item * (blocks * parameters + tapes + predicted + copies) + 8 * inputs
    layer = examples * max(sizes[1:])
    at_once = min(runs, max(1, BLOCK // (layer * item)))
    measuring = TEMPORARIES * 8 * at_once * layer
    return arrays + measuring + _recorded(stack, recording)


def _recorded(stack: Sequence[Run], recording: Recording) -> int:
    """The bytes of the rows that are recorded: a number per run, layer, watched step and probe."""
    run, runs = stack[0], len(stack)
    watched = len(watched_steps(recording.watch, run.steps))
    pieces = watched * (run.depth + 1) * (len(recording.probes) + 3)
    numbers = runs * pieces * (1 + run.width * len(recording.unit_probes) / max(1, len(recording.probes) + 3))
    numbers += runs * watched * recording.plane**2 * POINT
    return int(pieces * SMALL_ARRAY + 8 * FRAME_COPIES * numbers)


def fitted(stacks: Iterable[Stack], recording: Recording, workers: int) -> tuple[list[Stack], int]:
    """Return the stacks, cut where they are too large for the free memory, and how many workers have room.

    Errors: ConfigError where even one run alone has no room; the message says what to make smaller.
    """
    free = int(RESERVE * available())

    def need(stack: Stack) -> int:
        return stack_bytes(stack, recording, shape_of(stack[0].dataset)) + PROCESS

    parts = [part for stack in stacks for part in _cut(stack, need, free)]
    needs = nlargest(max(1, workers), (size for _, size in parts))
    at_once = [n for n in range(1, workers + 1) if sum(needs[:n]) <= free]
    return [stack for stack, _ in parts], max(at_once, default=0)


def _cut(stack: Stack, need: Callable[[Stack], int], free: int) -> list[tuple[Stack, int]]:
    """Return the stack in the fewest halves of halves that each fit, with the bytes that each needs."""
    if (size := need(stack)) <= free:
        return [(stack, size)]
    if len(stack) > 1:
        half = len(stack) // 2
        return _cut(stack[:half], need, free) + _cut(stack[half:], need, free)
    run = stack[0]
    raise ConfigError([
        f"memory: a run of depth {run.depth}, width {run.width}, batch {run.batch} on {run.dataset} needs "
        f"about {size / 1e9:.3g} GB while it trains, and {free / 1e9:.3g} GB may be used "
        "here (VG_MEMORY=GB says otherwise); "
        "make the data, depth, width, batch, probe_set or the number of watched steps smaller"
    ])  # fmt: skip


def available() -> int:
    """Return the bytes that are free on the machine, or in its container if that has fewer.

    The environment variable VG_MEMORY, in GB, replaces what the system says: within a job's own limit, say.
    Errors: ConfigError where it is no number above 0.
    """
    if text := os.environ.get("VG_MEMORY", ""):
        try:
            asked = float(text)
        except ValueError:
            asked = 0.0
        if not 0 < asked < 1e9:
            raise ConfigError([f"VG_MEMORY is {text!r}; it is a number of GB, as in VG_MEMORY=16"])
        return int(asked * 1e9)
    return max(0, min([_free(), *_free_in_groups()]))


def _free_in_groups() -> Iterator[int]:
    """Yield what is free in each control group with a limit, of version 2 or 1, that this process is in.

    Files that the system keeps in memory while nothing else needs it (inactive_file) count as free. In a
    container the group's own path may not be there, and the limit is that of the root.
    """
    for line in _text("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = "/sys/fs/cgroup" if not controllers else "/sys/fs/cgroup/memory"
        names = ("memory.max", "memory.current") if not controllers else V1
        for group in (Path(path), *Path(path).parents):
            folder = f"{root}{group}".rstrip("/")
            limit, used = (_text(f"{folder}/{name}").strip() for name in names)
            if limit.isdecimal() and used.isdecimal():  # else there is no such group, or no limit ("max")
                yield int(limit) - int(used) + _reclaimable(_text(f"{folder}/memory.stat"))


def _reclaimable(stat: str) -> int:
    facts = dict(line.split(" ", 1) for line in stat.splitlines() if " " in line)
    found = facts.get("total_inactive_file", facts.get("inactive_file", "0")).strip()
    return int(found) if found.isdecimal() else 0


def _text(path: str) -> str:
    """Return a system file's text; empty where there is none."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _free() -> int:
    """The memory that is available on the machine; where nothing tells, 8 GB."""
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 8 * 2**30
