"""How long a sweep takes: the cost of a stack, the speed of the machine, and what is left at any moment."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from experiments.analysis.wording import duration
from experiments.config import Recording, Run
from experiments.storage.identity import watched_steps
from experiments.sweeps.blas import blas
from mlp.registry import parse_call

_RECORDING = Recording(probes=())

# The work of a step is counted in float32 FLOP of matrix products; float64 takes twice as long.
OVERHEAD = 1e6  # FLOP that Python and NumPy's calls cost a layer of a step: 12 µs at 80 GFLOP/s
INPUTS = {"mnist": 784, "fashion_mnist": 784}  # sizes of inputs that stand out
OTHER_INPUTS = 64  # of any other data: an estimate only decides how runs are grouped, never their numbers
CLASSES = 10  # likewise


def cost(stack: Sequence[Run], recording: Recording = _RECORDING) -> float:
    """The work of a stack in FLOP: its training, and a pass over the probe set at each watched step."""
    run = stack[0]
    between = max(run.depth - 1, 0) * run.width**2
    weights = between + (run.width * (input_size(run) + CLASSES) if run.depth else input_size(run) * CLASSES)
    products = 6 * weights * len(stack) * (2 if run.dtype == "float64" else 1)
    calls = (run.depth + 1) * OVERHEAD
    watched = len(watched_steps(recording.watch, run.steps))
    examples = run.steps * run.batch + watched * traced_examples(run, recording)
    return (run.steps + watched) * calls + products * examples


def input_size(run: Run) -> int:
    """Return the number of input features of a run, or a typical one where only reading the data tells."""
    return INPUTS.get(parse_call(run.dataset)[0], OTHER_INPUTS)


def traced_examples(run: Run, recording: Recording) -> int:
    """Examples that a trace is taken on."""
    if recording.trace == "batch":
        return run.batch
    from experiments.datasets import training_size

    return min(recording.probe_set, training_size(run.dataset) or recording.probe_set)


def machine_speed(seconds: float = 0.05) -> float:
    """FLOP a second of one core, in float32 products of a training's shape: the unit of `cost`."""
    x, w = np.ones((4, 128, 64), np.float32), np.ones((4, 64, 64), np.float32)
    out = np.empty_like(x)
    products = 0
    with blas().limit(limits=1, user_api="blas"):
        np.matmul(x, w, out=out)  # the first call finds its kernel
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            np.matmul(x, w, out=out)
            products += 1
    return products * 2.0 * x.size * w.shape[-1] / elapsed


class Forecast:
    """How long the rest of a sweep takes, from how long its finished part took: ``12 s, about 7 s left``.

    Cost is what `cost` counts; speed, the cost a second of one worker, counts until a stack is back.
    """

    def __init__(self, cost: float, workers: int, speed: float) -> None:
        self.left_cost, self.workers, self.guess = cost, workers, speed
        self.done_cost, self.stacks = 0.0, 0
        self.began = self.last = time.monotonic()

    def add(self, cost: float) -> None:
        """A stack of this cost is back."""
        self.left_cost -= cost
        self.done_cost += cost
        self.stacks += 1
        self.last = time.monotonic()

    def left(self) -> float:
        """Seconds still to go; when a stack comes back, the other workers are in the midst of one each."""
        rate, flying = self.guess * self.workers, 0.0
        if self.last > self.began:
            flying = min(self.left_cost, 0.5 * (self.workers - 1) * self.done_cost / self.stacks)
            rate = (self.done_cost + flying) / (self.last - self.began)
        return max(0.0, (self.left_cost - flying) / rate - (time.monotonic() - self.last))

    def __str__(self) -> str:
        return f"{duration(time.monotonic() - self.began)}, about {duration(self.left())} left"
