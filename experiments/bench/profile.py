"""Where the microseconds of our step go: its own operations, replayed on its own buffers.

Every kind of operation is run for all layers in turn, in the order of the step; what the whole step takes
beyond their sum is Python, the checks of scale and what operations cost each other in the cache. What it
takes with the records of every step beyond that is theirs: probes, copies, and what is kept for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.bench.ours import _parts, engine
from experiments.bench.workload import Case, Problem
from mlp.losses import LOSSES
from mlp.network import create
from mlp.products import product, product_of_transposed, product_transposed
from mlp.tape import Tape
from mlp.update import UpdateRule


def profile(case: Case, rounds: int = 5, seconds: float = 0.2) -> list[dict[str, Any]]:
    """A row for each operation of a step, and for its records: µs a step and run, the best round."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"), np.errstate(all="ignore"):
        step, recorded = _Step(Problem.of(case), _parts(case, 0)[0]), engine(Problem.of(case))
        jobs = step.operations() | {"whole step": step.whole, "recorded": lambda: recorded.run(1)}
        best = {name: float("inf") for name in jobs}
        for job in jobs.values():
            job()
        for _ in range(rounds):
            for name, job in jobs.items():
                best[name] = min(best[name], _each(job, seconds / len(jobs)))
    best = {name: t / (case.runs if name == "recorded" else step.runs) for name, t in best.items()}
    total, whole = best.pop("recorded"), best.pop("whole step")
    best["Python and rest"] = whole - sum(best.values())
    best["records"] = total - whole
    cell = {"shape": str(case.shape), "dtype": case.dtype, "activation": case.activation, "runs": step.runs}
    return [cell | {"operation": name, "us": t * 1e6, "share": t / total} for name, t in best.items()]


def _each(job: Callable[[], None], seconds: float) -> float:
    """Seconds of a job, averaged over as many as fit."""
    count, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds or not count:
        job()
        count += 1
    return elapsed / count


class _Step:
    """A stack's step in pieces."""

    def __init__(self, problem: Problem, part: slice) -> None:
        case, seeds = problem.case, problem.seeds[part]
        self.runs, self.data = len(seeds), problem.data
        init = [case.init] * self.runs
        self.net = create(case.shape.sizes, case.text, seeds=seeds, init=init, dtype=case.dtype)
        self.tape = Tape(self.net, case.batch, exact=False)
        self.grads = np.zeros_like(self.net.params)
        self.views = self.net.views(self.grads)
        self.rule = UpdateRule(self.net, "sgd", None, 0.0)
        self.rate = np.full((self.runs, 1), 1e-6, case.dtype)
        self.index = next(problem.indices())[part]
        self.x = np.empty((self.runs, case.batch, case.shape.inputs), case.dtype)
        self.loss = LOSSES.bind("softmax_cross_entropy")
        rng = np.random.default_rng(0)
        self.z = [rng.standard_normal(z.shape).astype(z.dtype) for z in self.tape.z]
        self.delta = [rng.standard_normal(z.shape).astype(z.dtype) * 1e-3 for z in self.tape.z]
        self.scratch = {p.w.shape: np.empty_like(p.w.mT, order="C") for p in self.net.layers}

    def whole(self) -> None:
        self.gather()
        _, d_logits = self.loss(self.tape.forward(self.x), self.y)
        self.tape.gradients(d_logits, self.views)
        self.tape.unscale(self.grads)
        self.rule.apply(self.rule.step(self.grads, self.rate, self.grads))

    def gather(self) -> None:
        np.take(self.data.x, self.index, axis=0, out=self.x, mode="clip")
        self.y = self.data.y[self.index]

    def operations(self) -> dict[str, Callable[[], None]]:
        """The pieces by name."""
        self.gather()
        layers, act, inputs = self.net.layers, self.net.act.in_place, [self.x, *self.z]
        ones = np.ones((1, 1, self.x.shape[1]), self.x.dtype)
        hidden = range(self.net.depth)
        a, slopes = np.empty_like(self.z[0]), np.empty_like(self.z[0])

        def forward() -> None:
            for i, p in enumerate(layers):
                product(inputs[i], p.w, self.z[i])

        def bias() -> None:
            for i, p in enumerate(layers):
                np.add(self.z[i], p.b, out=self.z[i])

        def activation() -> None:
            for i in hidden:
                act.f(self.z[i], a)

        def slope() -> None:
            for i in reversed(hidden):
                act.slope(self.z[i], slopes)
                np.multiply(self.delta[i], slopes, out=self.delta[i])

        def weights() -> None:
            for i in reversed(range(len(layers))):
                product_of_transposed(inputs[i], self.delta[i], self.views[i].w)

        def biases() -> None:
            for i in reversed(range(len(layers))):
                np.matmul(ones, self.delta[i], out=self.views[i].b)

        def towards_input() -> None:
            for i in reversed(range(1, len(layers))):
                w = layers[i].w
                product_transposed(self.delta[i], w, self.delta[i - 1], self.scratch[w.shape])

        def loss() -> None:
            self.loss(self.z[-1], self.y)

        def update() -> None:
            self.rule.apply(self.rule.step(self.grads, self.rate, self.grads))

        return {
            "gather": self.gather, "x·w": forward, "bias": bias, "f(z)": activation, "loss": loss,
            "xᵀ·delta": weights, "bias gradient": biases, "delta·wᵀ": towards_input, "·f'(z)": slope,
            "update": update,
        }  # fmt: skip
