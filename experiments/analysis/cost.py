"""What an activation costs: per element, and in a whole training step.

A machine's speed drifts and its neighbours disturb it, so nothing here is compared across time: candidates
take turns within each round, a short one's time is the shortest of a few tries, and what is reported is the
ratio of two times of one round. One thread, and of it the time that it runs, not that it waits its turn.
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

TIMED = ("sigmoid", "tanh", "relu", "leaky_relu(slope=0.1)")  # the write-up's four
WIDTHS = (32, 128, 512)
ROUNDS = 21  # of which `middle` may set five aside on either side
MOST_TRIES, WORTH_TRYING = 5, 1e-3  # in a round; seconds of a round that a candidate may take for them
SURE = 1 - 2.0**-5  # what the range of six seeds is worth, too
PLACES = {"in cache": (4, 128, 64), "out of cache": (16, 128, 512)}  # shapes; float64: 256 KiB and 8 MiB
DTYPES = ("float32", "float64")
BATCH, DEPTH, INPUTS, CLASSES = 128, 3, 64, 10  # of the networks whose steps are timed
RATE = 1e-3

Times = npt.NDArray[np.float64]


def interleaved(jobs: Mapping[Any, Callable[[], float]], rounds: int = ROUNDS) -> dict[Any, Times]:
    """(rounds,) seconds of each job, which reports its own; in every round each has its turns."""
    from threadpoolctl import threadpool_limits

    found: dict[Any, list[float]] = {name: [] for name in jobs}
    with threadpool_limits(limits=1, user_api="blas"), np.errstate(all="ignore"):
        for job in jobs.values():
            job()  # the first call allocates
        tries = {name: int(np.clip(WORTH_TRYING / job(), 1, MOST_TRIES)) for name, job in jobs.items()}
        for _ in range(rounds):
            for name, job in jobs.items():
                found[name].append(min(job() for _ in range(tries[name])))
    return {name: np.array(times) for name, times in found.items()}


def middle(values: Times) -> Times:
    """The values without as many of the smallest and largest as leaves their range covering the median.

    With the probability that the range of six values has, 97 %, whatever the distribution: the range
    without k on either side misses the median if at most k of n coins show heads, or at most k tails.
    """
    n = len(values)
    missed = 2.0 ** (1 - n) * np.cumsum([comb(n, k) for k in range((n + 1) // 2)])
    aside = max(0, int(np.count_nonzero(missed <= 1 - SURE)) - 1)
    return np.sort(values)[aside : n - aside]


# Per element ----------------------------------------------------------------------------------------------


class _Pass:
    """One activation forward and its slope multiplied into a gradient, as the training loop does both."""

    def __init__(self, act: Activation, shape: tuple[int, ...], dtype: str) -> None:
        self.act = act
        rng = np.random.default_rng(0)
        self.z0, self.delta0 = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
        self.z, self.delta = np.empty_like(self.z0), np.empty_like(self.z0)
        self.a, self.slope = np.empty_like(self.z0), np.empty_like(self.z0)

    def __call__(self) -> float:
        """Seconds; filling the buffers anew is not counted."""
        np.copyto(self.delta, self.delta0)
        np.copyto(self.z, self.z0)
        began = thread_time()
        forward_and_back(self.act, self.z, self.delta, self.a, self.slope)
        return thread_time() - began


def forward_and_back(act: Activation, z: Array, delta: Array, a: Array, slope: Array) -> None:
    """a = f(z), then delta times f'(z); into the blocks given where the activation can."""
    if act.in_place is not None:
        act.in_place.f(z, a)
        act.in_place.slope(a, slope)
        np.multiply(delta, slope, out=delta)
    else:
        np.multiply(delta, act.df(z, act.f(z)), out=delta)


@lru_cache(maxsize=16)
def element_times(texts: tuple[str, ...], rounds: int = ROUNDS) -> dict[tuple[str, str], dict[str, Times]]:
    """Nanoseconds an element of a forward and a backward pass, {(dtype, place): {activation: (rounds,)}}."""
    found = {}
    for dtype in DTYPES:
        for place, shape in PLACES.items():
            jobs = {text: _Pass(activation(text), shape, dtype) for text in texts}
            times = interleaved(jobs, rounds)
            found[dtype, place] = {text: t / np.prod(shape) * 1e9 for text, t in times.items()}
    return found


# In a step ------------------------------------------------------------------------------------------------


class _Step:
    """One whole update of a network: forward, loss, backward, step; made of what the training loop is."""

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
        """Seconds of the update, always the first one: the weights are put back before it."""
        np.copyto(self.net.params, self.start)
        began = thread_time()
        _, d_logits = LOSSES["softmax_cross_entropy"](self.tape.forward(self.x), self.y)
        self.tape.gradients(d_logits, self.views)
        self.tape.unscale(self.grads)
        self.rule.apply(self.rule.step(self.grads, self.rate, self.grads))
        return thread_time() - began


@dataclass(frozen=True)
class StepTimes:
    """Of one width: seconds of a step, and of the activation's work within it, (rounds,) by activation."""

    step: dict[str, Times]
    within: dict[str, Times]

    def share(self, text: str) -> Times:
        """The part of a step that goes into the activation, both timed in the same round."""
        return self.within[text] / self.step[text]

    def ratio(self, text: str, other: str) -> Times:
        """A step with one activation over the same step with another: all else in it takes as long.

        Far steadier than the quotient of two whole steps, whose scatter is larger than what they differ by.
        """
        return 1 + (self.within[text] - self.within[other]) / self.step[other]


@lru_cache(maxsize=16)
def step_times(
    texts: tuple[str, ...], widths: tuple[int, ...], dtype: str = "float64", rounds: int = ROUNDS
) -> dict[int, StepTimes]:
    """What a training step takes with each activation, and its share of it, by width."""
    found = {}
    for width in widths:
        steps: dict[Any, Callable[[], float]] = {("step", text): _Step(text, width, dtype) for text in texts}
        parts = {("within", t): _Pass(activation(t), (1, BATCH, width), dtype) for t in texts}
        times = interleaved(steps | parts, rounds)
        found[width] = StepTimes(
            step={text: times["step", text] for text in texts},
            within={text: DEPTH * times["within", text] for text in texts},
        )
    return found


# The write-up's own code ----------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def tutorial_times(rounds: int = ROUNDS) -> dict[str, Times]:
    """Nanoseconds per element of the write-up's functions as printed there, each with its derivative."""
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
