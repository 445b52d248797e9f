"""This engine, and the limit it runs against: its own matrix products and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from experiments.bench.workload import BETWEEN, Array, Case, Engine, Problem, Readings, Shape
from experiments.config.vocabulary import Recording, Run
from experiments.sweeps.stacks import stacks
from mlp.network import Network, create
from mlp.probes import DEFAULT_PROBES, PROBES
from mlp.products import product, product_of_transposed, product_transposed
from mlp.train import Snapshot, train

PROBED = ("dw_norm", "dead_fraction", "saturated_fraction")
FOREVER = 10**9
WATCHED_EACH = {"every": 1, "schedule": BETWEEN, "default": BETWEEN, "off": 20}  # off: to regain control


def engine(problem: Problem, records: str = "every", stack: int = 0) -> Engine:
    """Return `mlp.train` as an engine, in the stacks that the plan makes or in stacks of `stack` runs.

    records: "every" (of the batch, at every step), "schedule" (the same of the probe set, as often as by
    default), "default" (all default probes, as often as by default) or "off".
    """
    trainings = [_Training(problem, part, records) for part in _parts(problem.case, stack)]

    def run(steps: int) -> Readings | None:
        found = [training.run(steps) for training in trainings]
        if records != "every":
            return None
        names = ("loss", "dw_norm", "dead", "saturated")
        return Readings(*(np.concatenate([getattr(f, name) for f in found], axis=-1) for name in names))

    def weights() -> list[Array]:
        for training in trainings:
            training.apply_the_last_update()
        layers = zip(*(training.net.layers for training in trainings), strict=True)
        return [np.concatenate([p.w for p in same]) for same in layers]

    return Engine(run, weights, WATCHED_EACH[records])


def _parts(case: Case, stack: int) -> list[slice]:
    """Return the runs of each stack."""
    if not stack:
        shape = case.shape
        dataset = "mnist" if shape.inputs == 784 else "digits"
        runs = [
            Run(case.text, shape.depth, shape.width, dataset, batch=case.batch, dtype=case.dtype, seed=seed)
            for seed in range(case.runs)
        ]
        sizes = [len(part) for part in stacks(runs, Recording((), trace="batch"))]
    else:
        sizes = [min(stack, case.runs - at) for at in range(0, case.runs, stack)]
    ends = np.cumsum([0, *sizes]).tolist()
    return [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]


class _Training:
    """One stack in training."""

    def __init__(self, problem: Problem, part: slice, records: str) -> None:
        case, seeds = problem.case, problem.seeds[part]
        self.records, self.part = records, part
        init = [case.init] * len(seeds)
        self.net: Network = create(case.shape.sizes, case.text, seeds=seeds, init=init, dtype=case.dtype)
        self.depth = case.shape.depth
        self.probes = [PROBES[name] for name in (DEFAULT_PROBES if records == "default" else PROBED)]
        self.on_probe_set = records in ("default", "schedule")
        self.snapshots: Iterator[Snapshot] = train(
            self.net,
            problem.data,
            seeds=seeds,
            lr=[case.lr] * len(seeds),
            steps=FOREVER,
            batch=case.batch,
            watch=range(0, FOREVER, WATCHED_EACH[records]),
            trace="probe_set" if self.on_probe_set else "batch",
        )

    def run(self, steps: int) -> Readings | None:
        if self.records == "every":
            return self._every(steps)
        for snap in islice(self.snapshots, steps // WATCHED_EACH[self.records]):
            for trace in snap.layers if self.on_probe_set else ():
                with np.errstate(all="ignore"):
                    for probe in self.probes:
                        probe(trace)
        return None

    def _every(self, steps: int) -> Readings:
        found = Readings.empty(steps, Case(self._shape(), runs=self.net.runs))
        norm, dead, saturated = self.probes
        for row, snap in enumerate(islice(self.snapshots, steps)):
            found.loss[row] = snap.loss
            with np.errstate(all="ignore"):
                for trace in snap.layers:
                    at = trace.layer - 1
                    found.dw_norm[row, at, trace.runs] = norm(trace)
                    if trace.act is self.net.act:
                        found.dead[row, at, trace.runs] = dead(trace)
                        found.saturated[row, at, trace.runs] = saturated(trace)
        return found

    def _shape(self) -> Any:
        return Shape(self.depth, self.net.sizes[1], self.net.sizes[0])

    def apply_the_last_update(self) -> None:
        """Make the last update, which `train` holds back until the next snapshot is asked for."""
        next(self.snapshots)


def limit(problem: Problem, records: str = "every", stack: int = 0) -> Engine:
    """Return an engine that computes the matrix products of a step alone, on buffers like our engine's.

    records: "every" (which takes no further products) or "schedule" (with the products of a pass over the
    probe set, as often as by default).
    """
    parts, batch = _parts(problem.case, stack), problem.case.batch
    calls = [_Products(problem, part, batch) for part in parts]
    passes = [_Products(problem, part, len(problem.data.x)) for part in parts if records == "schedule"]

    def run(steps: int) -> None:
        for call in calls:
            for _ in range(steps):
                call.step()
        for probe in passes:
            for _ in range(steps // BETWEEN):
                probe.step()

    return Engine(run, lambda: [], BETWEEN if passes else 1)


def seconds_of_products(
    shape: tuple[int, int], dtype: str, runs: int, steps: tuple[int, int], looks: tuple[int, int]
) -> tuple[float, float]:
    """Return the seconds, and those of the processor, of a training's matrix products in our own stacks.

    shape: depth and width. steps, looks: how many, and on how many examples each is.
    """
    case = Case(Shape(*shape), dtype, runs=runs, batch=steps[1])
    problem = Problem.of(case)
    parts = _parts(case, 0)
    trained = [(_Products(problem, part, steps[1]), steps[0]) for part in parts]
    seen = [(_Products(problem, part, looks[1]), looks[0]) for part in parts]
    began = time.perf_counter(), time.process_time()
    for products, times in (*trained, *seen):
        for _ in range(times):
            products.step()
    return time.perf_counter() - began[0], time.process_time() - began[1]


class _Products:
    """The operands of a stack's products: parameters, gradients, activations and two deltas used in turn."""

    def __init__(self, problem: Problem, part: slice, examples: int) -> None:
        case, rng = problem.case, np.random.default_rng(0)
        seeds = problem.seeds[part]
        init = [case.init] * len(seeds)
        self.net = create(case.shape.sizes, case.text, seeds=seeds, init=init, dtype=case.dtype)
        self.grads = self.net.views(np.zeros_like(self.net.params))
        block = (len(seeds), examples)
        self.x = [rng.standard_normal((*block, n)).astype(case.dtype) for n in self.net.sizes]
        self.delta: Sequence[dict[int, Array]] = [
            {n: rng.standard_normal((*block, n)).astype(case.dtype) for n in set(self.net.sizes[1:])}
            for _ in range(2)
        ]
        self.scratch = {p.w.shape: np.empty_like(p.w.mT, order="C") for p in self.net.layers}

    def step(self) -> None:
        layers = self.net.layers
        for index, p in enumerate(layers):
            product(self.x[index], p.w, self.x[index + 1])
        for index in reversed(range(len(layers))):
            w, delta = layers[index].w, self.delta[index % 2][layers[index].w.shape[-1]]
            product_of_transposed(self.x[index], delta, self.grads[index].w)
            if index:
                below = self.delta[(index - 1) % 2][w.shape[-2]]
                product_transposed(delta, w, below, self.scratch[w.shape])
