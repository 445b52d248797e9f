"""The cost of an activation in time: per element, and within a whole training step.

A machine's speed drifts and other programs disturb it, so only times of the same round are compared: the
candidates take turns within each round, the time of a short one is the shortest of a few tries, and the
result is a ratio of two times of one round. Times are CPU seconds of one thread, without its waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb
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
ROUNDS = 21  # `middle` drops the five smallest and the five largest times
MOST_TRIES, WORTH_TRYING = 5, 1e-3  # tries per round, as many as fit into so many seconds
SURE = 1 - 2.0**-5  # 97 %: the probability with which the range of six seeds covers their median
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


def middle(values: Times) -> Times:
    """Return the values, sorted, without the extremes: their range still covers the median with 97 %.

    As many are dropped at either end as that allows, whatever the distribution: the range without the k
    smallest and k largest misses the median only if at most k of n fair coins show heads, or tails.
    """
    n = len(values)
    missed = 2.0 ** (1 - n) * np.cumsum([comb(n, k) for k in range((n + 1) // 2)])
    aside = max(0, int(np.count_nonzero(missed <= 1 - SURE)) - 1)
    return np.sort(values)[aside : n - aside]


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


@lru_cache(maxsize=16)
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
        self.tape.unscale(self.grads)
        self.rule.apply(self.rule.step(self.grads, self.rate, self.grads))
        return thread_time() - began


@dataclass(frozen=True)
class StepTimes:
    """The seconds of a training step, and of the activation within it, (rounds,) per activation."""

    step: dict[str, Times]
    within: dict[str, Times]

    def share(self, text: str) -> Times:
        """Return the fraction of a step that is spent in the activation, (rounds,)."""
        return self.within[text] / self.step[text]

    def ratio(self, text: str, other: str) -> Times:
        """Return the time of a step with one activation over that with another, (rounds,).

        The rest of the step takes equally long, so only the activations' times are compared. The quotient of
        two whole steps would scatter more than the steps differ.
        """
        return 1 + (self.within[text] - self.within[other]) / self.step[other]


@lru_cache(maxsize=16)
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


@lru_cache(maxsize=1)
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
