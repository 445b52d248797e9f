"""How long a sweep takes: the cost of a stack, the speed of the machine, and what is left at any moment."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np

from experiments.analysis.wording import duration
from experiments.config import Experiment, Recording, Run
from experiments.storage.identity import costly_steps, is_costly, watched_steps
from experiments.sweeps.blas import blas
from experiments.sweeps.shapes import layer_sizes, matrices, shape_of

_RECORDING = Recording(probes=())

# The work of a step is counted in float32 FLOP of matrix products; float64 takes twice as long.
OVERHEAD = 1e6  # FLOP that the calls of Python and NumPy cost per layer and step: 12 µs at 80 GFLOP/s
# What is measured, as a share of a step's work on as many examples; timed for nets of 5 to 50 layers of 64.
PASS = 1.4  # forward and backward with exact slopes, which a step does without
PROBE = 0.02  # 0.013 to 0.028 for one of the default set
COSTLY = 0.4  # 0.3 to 0.4
DISTRIBUTION = 0.1
# What follows the training, in the same unit; timed for `initialisation`, which is most of a minute of it.
PREDICTION = (
    0.8e9  # FLOP for each layer of a setting, whatever the number of seeds: theory beside the summary
)
FIGURE, CURVE = 25e9, 1.25e9  # FLOP for each figure, and for each setting in it
CLAIM = 10e9  # FLOP; a claim that trains or times networks of its own takes longer


def cost(stack: Sequence[Run], recording: Recording = _RECORDING) -> float:
    """Return the work of a stack in FLOP: its training, and at each watched step a look at the probe set."""
    run, data = stack[0], shape_of(stack[0].dataset)
    weights = sum(n_in * n_out for n_in, n_out in matrices(layer_sizes(run, data)))
    products = 6 * weights * len(stack) * (2 if run.dtype == "float64" else 1)
    calls = (run.depth + 1) * OVERHEAD
    watched = len(watched_steps(recording.watch, run.steps))
    examples = run.steps * run.batch + looks(run.steps, recording) * data.traced(run, recording)
    return (run.steps + watched) * calls + products * examples


@lru_cache
def looks(steps: int, recording: Recording) -> float:
    """Return how many steps' work the watched steps of a run take, per example: passes and probes."""
    costly = sum(map(is_costly, recording.probes))
    others = len(recording.probes) + len(recording.unit_probes) - costly
    each = PASS + PROBE * others + DISTRIBUTION * len(recording.distributions)
    at = len(costly_steps(recording, steps)) if costly else 0
    return each * len(watched_steps(recording.watch, steps)) + COSTLY * costly * at


def finishing_cost(experiment: Experiment, runs: Collection[Run]) -> float:
    """Return the work in FLOP of the summary's predictions, the figures and the claims."""
    seeds = max(1, len(experiment.sweep.get("seed", ())))
    settings = len(runs) / seeds
    predictions = PREDICTION * sum(run.depth + 1 for run in runs) / seeds
    return (
        predictions + len(experiment.figures) * (FIGURE + CURVE * settings) + len(experiment.claims) * CLAIM
    )


def machine_speed(seconds: float = 0.05) -> float:
    """Measure the speed of one core, in FLOP per second, by float32 products of a shape typical of training.

    `cost` counts the same FLOP. The measurement takes about the given number of seconds.
    """
    x, w = np.ones((4, 128, 64), np.float32), np.ones((4, 64, 64), np.float32)
    out = np.empty_like(x)
    products = 0
    with blas().limit(limits=1, user_api="blas"):
        np.matmul(x, w, out=out)  # not timed: the first call also chooses the kernel
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            np.matmul(x, w, out=out)
            products += 1
    return products * 2.0 * x.size * w.shape[-1] / elapsed


class Forecast:
    """An estimate of the time left, from the time that the finished stacks took: ``12 s, about 7 s left``.

    Costs are in the FLOP of `cost`. `speed` (FLOP per second of one worker) is used until the first stack
    has finished.
    """

    def __init__(self, cost: float, workers: int, speed: float) -> None:
        self.left_cost, self.workers, self.guess = cost, workers, speed
        self.done_cost, self.stacks = 0.0, 0
        self.began = self.last = time.monotonic()

    def add(self, cost: float) -> None:
        """Note that a stack of this cost has finished."""
        self.left_cost -= cost
        self.done_cost += cost
        self.stacks += 1
        self.last = time.monotonic()

    def left(self) -> float:
        """Return the seconds left, assuming that each other worker was halfway through an average stack."""
        rate, in_flight = self.guess * self.workers, 0.0
        if self.last > self.began:
            in_flight = min(self.left_cost, 0.5 * (self.workers - 1) * self.done_cost / self.stacks)
            rate = (self.done_cost + in_flight) / (self.last - self.began)
        return max(0.0, (self.left_cost - in_flight) / rate - (time.monotonic() - self.last))

    def __str__(self) -> str:
        return f"{duration(time.monotonic() - self.began)}, about {duration(self.left())} left"
