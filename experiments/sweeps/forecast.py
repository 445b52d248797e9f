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
from experiments.sweeps.shapes import Shape, layer_sizes, matrices, shape_of
from mlp.activations import activation
from mlp.probes import DEFAULT_PROBES, PROBES
from mlp.registry import parse_call

_RECORDING = Recording(probes=())

# Work is counted in float32 FLOP of the matrix products that `machine_speed` times, other work as the FLOP
# that could be done meanwhile. The constants were fitted to the processor time of 48 random stacks of 2 to
# 20,000 features, 2 to 500 classes and 0 to 30 layers of 4 to 512 units, at 62 GFLOP/s: 6.2e7 FLOP per ms.
# READ, CURVED, PARAMETER and CALLS were then set on the 24 shapes of `test_forecast.py`, so that these are no
# independent check.
STACK = 1.2e9  # to set a stack up and to store it
CALLS = 8e6  # of Python and NumPy, per layer and step
LOOK_CALLS = 3e6  # per layer, watched step and probe; a look without probes makes those of MORE_CALLS probes
MORE_CALLS = 4
ELEMENT = 7.0  # per example and unit or feature of a step, besides the products
LOOKED_AT = 460.0  # per example and unit in a look: z, a, slope and delta are kept, with their exponents
READ = 150.0  # per example and feature in a look
CURVED = 2400.0  # per example and unit whose activation has no fast form: 40 ns, which gelu takes
PROBE = 17.0  # per example, unit and probe
NORMED = 220.0  # per example and unit that is normalised
PARAMETER = 350.0  # per weight and step: the update
DRAWN = 1e4  # per weight that is drawn
# Dropout and the plane were timed on 4 and 5 networks of 2 to 4 layers of 8 to 200 units.
MASKS, MASKED = 3e6, 600.0  # per step whose dropout is drawn, and per example and unit of it
POINT = 3e4  # per point of the plane: a row that is stored
STRAIGHT, BENT = 100.0, 1100.0  # per point and unit, of a piecewise linear activation and of any other
DISTRIBUTION = 1800.0  # per example, unit and distribution
UNIT_ROW = 1.5e4  # per unit and unit probe: a row that is stored
SINGULAR = 18.0  # per n_in · n_out · min(n_in, n_out) of singular values
GRADIENTS = 20.0  # per example and weight, of a probe that needs the whole pass
PRODUCTS = 40  # of the Hessian with a vector that a sharpness takes: each is two gradients in float64
EXAMPLES = 4  # whose Jacobians are taken, unless a probe names another number
# What follows the training; timed for `initialisation`, which is most of a minute of it.
PREDICTION = 2e9  # for each layer of a setting, whatever the number of seeds: theory beside the summary
FIGURE, CURVE = 6e10, 3e9  # for each figure, and for each setting in it
CLAIM = 2.5e10  # a claim that trains or times networks of its own takes longer
# Timed on 5 experiments of 2 to 24 networks of 5 to 11 layers and on the pages of w04, w05, w06 and l04.
REPORT = 1e10  # the page and its explorer: 0.1 to 0.24 s
DIAGNOSED = 1.1e8  # for each layer of every network, which the diagnosis draws again: 1.5 to 5 ms
MOST_DIAGNOSED = 6_000  # layers of all networks: the report leaves more to scripts/diagnose.py


def cost(stack: Sequence[Run], recording: Recording = _RECORDING) -> float:
    """Return the work of a stack in FLOP: its training, and at each watched step a look at the probe set.

    The data set is read for its shape. Errors: DataError.
    """
    run, data = stack[0], shape_of(stack[0].dataset)
    sizes = layer_sizes(run, data)
    looks, at_costly = _looks(recording, run.steps)
    calls = run.steps * CALLS + looks * LOOK_CALLS * (MORE_CALLS + len(recording.probes))
    each = _training(run, sizes) + looks * _look(run, sizes, data, recording)
    each += looks * _plane(run, sizes, recording)
    if at_costly:
        each += at_costly * _costly(recording, sizes, data.traced(run, recording))
    return STACK + (run.depth + 1) * calls + len(stack) * each


@lru_cache
def _looks(recording: Recording, steps: int) -> tuple[int, int]:
    """Return at how many steps is measured, and at how many of them the costly probes are."""
    costly = costly_steps(recording, steps) if any(map(is_costly, recording.probes)) else ()
    return len(watched_steps(recording.watch, steps)), len(costly)


@lru_cache
def _cheap(probes: tuple[str, ...]) -> tuple[int, int]:
    """Return how many probes are not costly, and how many of these need the whole pass."""
    cheap = [probe for probe in probes if not is_costly(probe)]
    return len(cheap), sum(PROBES.facts(parse_call(probe)[0]).whole_pass for probe in cheap)


def _training(run: Run, sizes: Sequence[int]) -> float:
    """The work of drawing one network and of its steps."""
    weights = _weights(sizes)
    passing = _passes(sizes) + ELEMENT * sum(sizes) + _normed(run)
    step = _wide(run) * (run.batch * passing + PARAMETER * weights) + run.batch * _curved(run)
    if run.dropout and run.depth:
        step += MASKS + MASKED * run.batch * run.depth * run.width
    return DRAWN * weights + run.steps * step


def _look(run: Run, sizes: Sequence[int], data: Shape, recording: Recording) -> float:
    """The work of one look at one network, without costly probes: passes over the probe and the test set."""
    units, weights = sum(sizes[1:]), _weights(sizes)
    passing = _passes(sizes) + LOOKED_AT * units + READ * sizes[0] + _normed(run)
    probes, whole_pass = _cheap(recording.probes)
    measuring = (PROBE * probes + DISTRIBUTION * len(recording.distributions)) * units
    measuring += GRADIENTS * weights * whole_pass
    seen = data.traced(run, recording) * (_wide(run) * passing + _curved(run) + measuring)
    tested = data.test * _wide(run) * 2 * weights * (recording.trace == "probe_set")
    return seen + tested + UNIT_ROW * units * len(recording.unit_probes)


def _plane(run: Run, sizes: Sequence[int], recording: Recording) -> float:
    """The work of what one network answers at every point of the plane, at one step."""
    by_unit = (STRAIGHT if _is_straight(run.activation) else BENT) * run.depth * run.width
    return recording.plane**2 * (_wide(run) * 2 * _weights(sizes) + by_unit + POINT)


def _costly(recording: Recording, sizes: Sequence[int], traced: int) -> float:
    """The work of the costly probes of one network: of singular values and of the Hessian's products."""
    total, classes = 0.0, sizes[-1]
    for probe in filter(is_costly, recording.probes):
        name, options = parse_call(probe)
        seen = min(traced, int(options.get("examples", EXAMPLES)))
        if name == "sharpness":
            total += traced * 2 * PRODUCTS * 2 * _passes(sizes) / SINGULAR
            continue
        for n_in, n_out in matrices(sizes):
            if name == "effective_rank":
                total += traced * n_out * min(traced, n_out)
            elif name.startswith("end_to_end"):
                total += seen * (n_in * classes * min(n_in, classes) + n_in * n_out * classes)
            else:
                total += seen * n_in * n_out * min(n_in, n_out)
    return SINGULAR * total


def _weights(sizes: Sequence[int]) -> int:
    return sum(n_in * n_out for n_in, n_out in matrices(sizes))


def _passes(sizes: Sequence[int]) -> int:
    """The FLOP of the products per example: forward, to the weights and, but for layer 1, to the input."""
    return 6 * _weights(sizes) - 2 * sizes[0] * sizes[1]


def _wide(run: Run) -> int:
    """How many times as long as float32 a run's number format takes."""
    return 2 if run.dtype == "float64" else 1


def _curved(run: Run) -> float:
    """The work per example of an activation that has no fast form."""
    return CURVED * run.depth * run.width * _has_no_fast_form(run.activation)


@lru_cache
def _has_no_fast_form(act: str) -> bool:
    return activation(act).in_place is None


@lru_cache
def _is_straight(act: str) -> bool:
    """Return whether an activation is piecewise linear, of at most three pieces."""
    return len(np.unique(activation(act).slope_at(np.linspace(-3, 3, 61)))) <= 3


def _normed(run: Run) -> float:
    """The work of normalisation per example."""
    return 0.0 if run.norm == "none" else NORMED * run.depth * run.width


def finishing_cost(experiment: Experiment, runs: Collection[Run]) -> float:
    """Return the work in FLOP of the summary's predictions, figures, claims, the diagnosis and the report."""
    seeds = max(1, len(experiment.sweep.get("seed", ())))
    settings = len(runs) / seeds
    layers = sum(run.depth + 1 for run in runs)
    figures = len(experiment.figures) * (FIGURE + CURVE * settings)
    concluded = PREDICTION * layers / seeds + figures + len(experiment.claims) * CLAIM
    return concluded + DIAGNOSED * layers * _is_diagnosed(experiment, layers) + REPORT


def _is_diagnosed(experiment: Experiment, layers: int) -> bool:
    """Return whether the report diagnoses: it needs what is measured by default, and not too many layers."""
    return layers <= MOST_DIAGNOSED and set(DEFAULT_PROBES) <= set(experiment.probes)


def machine_speed(seconds: float = 0.05) -> float:
    """Measure the speed of one core, in FLOP per second, by float32 products of a shape typical of training.

    `cost` counts the same FLOP. The measurement takes about the given number of seconds, of processor time: a
    moment in which the machine does something else would make any forecast of hours wrong.
    """
    x, w = np.ones((4, 128, 64), np.float32), np.ones((4, 64, 64), np.float32)
    out = np.empty_like(x)
    products = 0
    with blas().limit(limits=1, user_api="blas"):
        np.matmul(x, w, out=out)  # not timed: the first call also chooses the kernel
        began = time.process_time()
        while (elapsed := time.process_time() - began) < seconds:
            for _ in range(10):
                np.matmul(x, w, out=out)
            products += 10
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
