"""The cost of an activation in time: per element, and within a whole training step.

A machine's speed drifts and other programs disturb it, so only times of the same round are compared: the
candidates take turns within each round, the time of a short one is the shortest of a few tries, and the
result is a ratio of two times of one round. Times are CPU seconds of one thread, without its waiting.

Where a process has its memory decides up to half of such a ratio, and stays the same for all of its rounds.
So `costs` measures in several fresh processes, one after another: each gives one median over its rounds, and
the range over the processes is the uncertainty.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
import numpy.typing as npt

from mlp.activations import Activation, Array, activation
from mlp.losses import LOSSES
from mlp.network import Network, create
from mlp.tape import Tape
from mlp.update import UpdateRule

TIMED = ("sigmoid", "tanh", "relu", "leaky_relu(slope=0.1)")  # the four activations of the write-up
WIDTHS = (32, 128, 512)
PROCESSES = 6  # their range covers the median process with probability 1 − 2⁻⁵ = 97 %
ROUNDS = 3  # in each process
MOST_TRIES, WORTH_TRYING = 3, 1e-3  # tries per round, as many as fit into so many seconds
PLACES = {"in cache": (4, 128, 64), "out of cache": (16, 128, 512)}  # shapes; float64: 256 KiB and 8 MiB
DTYPES = ("float32", "float64")
BATCH, DEPTH, INPUTS, CLASSES = 128, 3, 64, 10  # the networks whose steps are timed
RATE = 1e-3

Times = npt.NDArray[np.float64]


def interleaved(jobs: Mapping[Any, Callable[[], float]], rounds: int = ROUNDS) -> dict[Any, Times]:
    """Return the seconds of each job in every round, (rounds,) per job. A job returns its own seconds."""
    from threadpoolctl import threadpool_limits

    seconds: dict[Any, list[float]] = {name: [] for name in jobs}
    with threadpool_limits(limits=1, user_api="blas"), np.errstate(all="ignore"):
        for job in jobs.values():
            job()  # the first call allocates
        tries = {name: int(np.clip(WORTH_TRYING / job(), 1, MOST_TRIES)) for name, job in jobs.items()}
        for _ in range(rounds):
            for name, job in jobs.items():
                seconds[name].append(min(job() for _ in range(tries[name])))
    return {name: np.array(times) for name, times in seconds.items()}


# Per element ----------------------------------------------------------------------------------------------


class _Pass:
    """A timed forward pass of one activation and the product of its slope with a gradient, as in training."""

    def __init__(self, act: Activation, shape: tuple[int, ...], dtype: str) -> None:
        self.act = act
        rng = np.random.default_rng(0)
        self.z0, self.delta0 = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
        self.z, self.delta = np.empty_like(self.z0), np.empty_like(self.z0)
        self.a, self.slope = np.empty_like(self.z0), np.empty_like(self.z0)

    def __call__(self) -> float:
        """Return the seconds of one pass, without filling the buffers."""
        np.copyto(self.delta, self.delta0)
        np.copyto(self.z, self.z0)
        began = thread_time()
        forward_and_back(self.act, self.z, self.delta, self.a, self.slope)
        return thread_time() - began


def forward_and_back(act: Activation, z: Array, delta: Array, a: Array, slope: Array) -> None:
    """Compute a = f(z), then delta times f'(z), in the given buffers where the activation supports that."""
    if act.in_place is not None:
        act.in_place.f(z, a)
        act.in_place.slope(a, slope)
        np.multiply(delta, slope, out=delta)
    else:
        np.multiply(delta, act.df(z, act.f(z)), out=delta)


def element_times(texts: tuple[str, ...], rounds: int = ROUNDS) -> dict[tuple[str, str], dict[str, Times]]:
    """Return nanoseconds per element of both passes, {(dtype, place): {activation: (rounds,)}}."""
    nanoseconds = {}
    for dtype in DTYPES:
        for place, shape in PLACES.items():
            jobs = {text: _Pass(activation(text), shape, dtype) for text in texts}
            times = interleaved(jobs, rounds)
            nanoseconds[dtype, place] = {text: t / np.prod(shape) * 1e9 for text, t in times.items()}
    return nanoseconds


# In a step ------------------------------------------------------------------------------------------------


class _Step:
    """A timed update of a network (forward, loss, backward, step), from the parts of the training loop."""

    def __init__(self, text: str, width: int, dtype: str) -> None:
        sizes = (INPUTS, *[width] * DEPTH, CLASSES)
        self.net: Network = create(sizes, text, seeds=[0], init=["xavier_normal"], dtype=dtype)
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((1, BATCH, INPUTS)).astype(dtype)
        self.y = rng.integers(CLASSES, size=(1, BATCH))
        self.tape = Tape(self.net, BATCH, exact=False)
        self.grads = np.zeros_like(self.net.params)
        self.views = self.net.views(self.grads)
        self.rule = UpdateRule(self.net, "sgd", None, 0.0)
        self.rate = np.full((1, 1), RATE, dtype)
        self.start = self.net.params.copy()

    def __call__(self) -> float:
        """Return the seconds of one update; the weights are reset before it, so every update is the same."""
        np.copyto(self.net.params, self.start)
        began = thread_time()
        _, d_logits = LOSSES["softmax_cross_entropy"](self.tape.forward(self.x), self.y)
        self.tape.gradients(d_logits, self.views)
        self.tape.backwards.unscale(self.grads)
        self.rule.apply(self.rule.step(self.grads, self.rate, self.grads))
        return thread_time() - began


@dataclass(frozen=True)
class StepTimes:
    """The seconds of a training step, and of the activation within it, (…, rounds) per activation."""

    step: dict[str, Times]
    within: dict[str, Times]

    def share(self, text: str) -> Times:
        """Return the fraction of a step that is spent in the activation, (…, rounds)."""
        return self.within[text] / self.step[text]

    def ratio(self, text: str, other: str) -> Times:
        """Return the time of a step with one activation over that with another, (…, rounds).

        The rest of the step takes equally long, so only the activations' times are compared. The quotient of
        two whole steps would scatter more than the steps differ.
        """
        return 1 + (self.within[text] - self.within[other]) / self.step[other]


def step_times(
    texts: tuple[str, ...], widths: tuple[int, ...], dtype: str = "float64", rounds: int = ROUNDS
) -> dict[int, StepTimes]:
    """Return the times of a training step with each activation, by width."""
    by_width = {}
    for width in widths:
        steps: dict[Any, Callable[[], float]] = {("step", text): _Step(text, width, dtype) for text in texts}
        parts = {("within", t): _Pass(activation(t), (1, BATCH, width), dtype) for t in texts}
        times = interleaved(steps | parts, rounds)
        by_width[width] = StepTimes(
            step={text: times["step", text] for text in texts},
            within={text: DEPTH * times["within", text] for text in texts},
        )
    return by_width


# The write-up's own code ----------------------------------------------------------------------------------


def tutorial_times(rounds: int = ROUNDS) -> dict[str, Times]:
    """Return nanoseconds per element of the write-up's functions as printed, each with its derivative."""
    from experiments.analysis.write_up_code import FUNCTIONS

    x = np.arange(-3, 3, 0.01)

    def job(functions: Sequence[Callable[[Array], Array]]) -> Callable[[], float]:
        def timed() -> float:
            began = thread_time()
            for function in functions:
                function(x)
            return thread_time() - began

        return timed

    times = interleaved({name: job(pair) for name, pair in FUNCTIONS.items()}, rounds)
    return {name: t / x.size * 1e9 for name, t in times.items()}


# Over processes -------------------------------------------------------------------------------------------

IN_A_PROCESS = """
import pickle, sys
from experiments.analysis.cost import measured
sys.stdout.buffer.write(pickle.dumps(measured(tuple(sys.argv[1:]))))
"""


@dataclass(frozen=True)
class Costs:
    """All that is timed: one process's rounds (rounds,), or those of several (processes, rounds).

    element: nanoseconds per element by (dtype, place) and activation. step: of a training step, by width.
    printed: nanoseconds per element of the write-up's own functions, by name.
    """

    element: dict[tuple[str, str], dict[str, Times]]
    step: dict[int, StepTimes]
    printed: dict[str, Times]


def measured(texts: tuple[str, ...]) -> Costs:
    """Return the costs of these activations as this process finds them."""
    return Costs(element_times(texts), step_times(texts, WIDTHS), tutorial_times())


@lru_cache(maxsize=16)
def costs(texts: tuple[str, ...], processes: int = PROCESSES) -> Costs:
    """Return the costs as several fresh processes find them, one after another: (processes, rounds) each.

    Errors: ValueError where a process fails, as it does for an activation that only this one knows.
    """
    each = [_in_a_process(texts) for _ in range(processes)]
    first = each[0]
    return Costs(
        {key: _together([one.element[key] for one in each]) for key in first.element},
        {
            width: StepTimes(
                _together([one.step[width].step for one in each]),
                _together([one.step[width].within for one in each]),
            )
            for width in first.step
        },
        _together([one.printed for one in each]),
    )


def _together(each: Sequence[Mapping[str, Times]]) -> dict[str, Times]:
    return {text: np.stack([times[text] for times in each]) for text in each[0]}


def _in_a_process(texts: tuple[str, ...]) -> Costs:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, *texts],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines() or ["it ended without a word"]
        raise ValueError(f"a process that was to time {', '.join(texts)} failed: {last[-1]}")
    found: Costs = pickle.loads(done.stdout)
    return found
