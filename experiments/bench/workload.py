"""What every engine is given and what it has to hand back: the same weights, batches and records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlp.activations import activation
from mlp.network import create
from mlp.streams import stream
from mlp.train import Data, batches

Array = npt.NDArray[Any]

CLASSES = 10
EXAMPLES, TEST = 1437, 360  # of the digits' split
BELOW = 0.1  # a slope under this part of the largest is saturated
LEAK = 0.1  # slope of the leaky ReLU
BETWEEN = 15  # steps between two watched ones: the default schedule has 20 in 300

# The slope from the output, as tutorials have it: these work on arrays of NumPy, PyTorch and JAX alike.
SLOPES: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a * a,
    "relu": lambda a: a > 0,
    "leaky_relu": lambda a: (a > 0) * (1 - LEAK) + LEAK,
}
TEXTS = {"leaky_relu": f"leaky_relu(slope={LEAK})"}  # what our own engine calls it


@dataclass(frozen=True)
class Shape:
    """Hidden layers, units in each, inputs; written 10x64, or 784-10x256 where the inputs are not 64."""

    depth: int
    width: int
    inputs: int = 64

    @staticmethod
    def parse(text: str) -> Shape:
        """The shape a text stands for; errors: ValueError."""
        found = re.fullmatch(r"(?:([1-9]\d{0,5})-)?(\d{1,5})x([1-9]\d{0,5})", text, re.ASCII)
        if not found:
            raise ValueError(
                f"shape {text[:40]!r} is not DEPTHxWIDTH or INPUTS-DEPTHxWIDTH, as in 784-10x256"
            )
        inputs, depth, width = found.groups()
        return Shape(int(depth), int(width), int(inputs or 64))

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"{'' if self.inputs == 64 else f'{self.inputs}-'}{self.depth}x{self.width}"

    @property
    def sizes(self) -> tuple[int, ...]:
        """(inputs, hidden …, classes)."""
        return (self.inputs, *[self.width] * self.depth, CLASSES)


@dataclass(frozen=True)
class Case:
    """One cell: which networks are trained, and how many of them."""

    shape: Shape
    dtype: str = "float32"
    activation: str = "relu"
    runs: int = 5
    batch: int = 128
    lr: float = 0.01
    init: str = "xavier_normal"

    @property
    def text(self) -> str:
        """The activation as a call-text of ours."""
        return TEXTS.get(self.activation, self.activation)

    @property
    def max_slope(self) -> float:
        """Of the activation."""
        return activation(self.text).max_slope


@dataclass(frozen=True)
class Problem:
    """R networks of a case and what they learn: data, first weights (R, n_in, n_out), zero biases."""

    case: Case
    seeds: tuple[int, ...]
    data: Data
    weights: list[Array]

    @staticmethod
    def of(case: Case, first_seed: int = 0) -> Problem:
        """The networks with the seeds first_seed, first_seed + 1, …"""
        seeds = tuple(range(first_seed, first_seed + case.runs))
        init = [case.init] * case.runs
        net = create(case.shape.sizes, case.text, seeds=seeds, init=init, dtype=case.dtype)
        return Problem(case, seeds, _data(case.shape.inputs, case.dtype), [p.w.copy() for p in net.layers])

    def indices(self) -> Iterator[Array]:
        """Endless (R, batch) examples: every run's own shuffle."""
        return batches(len(self.data.x), self.case.batch, self.seeds)


def _data(inputs: int, dtype: str) -> Data:
    """Standardised examples around ten random means; what they show does not change the time of a step."""
    rng = stream(0, "bench", inputs)
    y = rng.integers(CLASSES, size=EXAMPLES + TEST)
    x = rng.normal(size=(CLASSES, inputs))[y] + rng.normal(size=(len(y), inputs))
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(dtype)
    return Data(x[:EXAMPLES], y[:EXAMPLES], x[EXAMPLES:], y[EXAMPLES:])


@dataclass(frozen=True)
class Readings:
    """The records of some steps; layer axes run from the input."""

    loss: Array  # (steps, R) of the batch, before the step's update
    dw_norm: Array  # (steps, depth + 1, R) Frobenius
    dead: Array  # (steps, depth, R) share of units with slope 0 on the whole batch
    saturated: Array  # (steps, depth, R) share of (example, unit) with a slope under BELOW of the largest

    @staticmethod
    def empty(steps: int, case: Case) -> Readings:
        """Room for the records of so many steps."""
        hidden = (steps, case.shape.depth, case.runs)
        layers = (steps, case.shape.depth + 1, case.runs)
        return Readings(np.empty(hidden[::2]), np.empty(layers), np.empty(hidden), np.empty(hidden))


@dataclass(frozen=True)
class Engine:
    """Something that trains the networks of a problem.

    run(steps) goes on training for so many steps and hands back their records (None: it can keep none).
    weights() are those after all steps so far. unit: steps come in multiples of it.
    """

    run: Callable[[int], Readings | None]
    weights: Callable[[], list[Array]]
    unit: int = 1
