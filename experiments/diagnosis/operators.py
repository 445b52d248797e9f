"""Operators that break one thing in a healthy config: the ground truth of the benchmark.

Each is a function of a Run that returns the broken Run, with the mechanisms that its breaking may rightly be
called. Whether it hurts is measured, not assumed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from experiments import datasets
from experiments.config import Run
from experiments.datasets.given import give
from mlp.registry import call_text, parse_call

DEEPEST = 50  # layers; deeper networks would take most of the benchmark's time
Change = Callable[[Run], Run | None]
Spoil = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Operator:
    """change(run) is the broken run, or None where it does not apply; truths are the right answers."""

    name: str
    change: Change
    truths: frozenset[str]


OPERATORS: dict[str, Operator] = {}


def breaks(*truths: str) -> Callable[[Change], Change]:
    """Register an operator under its function's name, with the mechanisms that name it rightly."""

    def register(change: Change) -> Change:
        OPERATORS[change.__name__] = Operator(change.__name__, change, frozenset(truths))
        return change

    return register


def _with(dataset: str, **options: object) -> str:
    name, given = parse_call(dataset)
    return call_text(name, given | options)


def _gain(run: Run, factor: float) -> Run:
    """The critical gain of the activation (of unit inputs), times a factor."""
    from experiments.theory.critical import critical

    at = critical(run.activation).critical_weight
    gain = (at if at == at and at < 50 else 1.0) ** 0.5 * factor
    return replace(run, init=f"scaled_normal(gain={gain:.4g})")


@breaks("vanishing_gradient", "collapsed_signal")
def weights_too_small(run: Run) -> Run | None:
    """The weights drawn four times too small."""
    return _gain(run, 0.25) if run.norm == "none" and not run.residual else None


@breaks("exploding_gradient", "saturated_units", "non_finite", "learning_rate_too_large")
def weights_too_large(run: Run) -> Run | None:
    """The weights drawn five times too large."""
    return _gain(run, 5.0) if run.norm == "none" else None


@breaks("symmetric_units")
def weights_zero(run: Run) -> Run | None:
    """All weights zero."""
    return replace(run, init="normal(std=0)")


@breaks("vanishing_gradient", "collapsed_signal", "saturated_units")
def sigmoid_instead(run: Run) -> Run | None:
    """The activation exchanged for sigmoid, and nothing else."""
    return replace(run, activation="sigmoid") if run.activation != "sigmoid" and run.norm == "none" else None


@breaks(
    "vanishing_gradient", "exploding_gradient", "collapsed_signal", "dead_units", "learning_rate_too_large"
)
def five_times_as_deep(run: Run) -> Run | None:
    """Five times as many layers."""
    return replace(run, depth=5 * run.depth) if 0 < run.depth <= DEEPEST // 5 else None


def _rate(run: Run, factor: float) -> Run:
    return replace(run, lr=run.lr * factor)


@breaks("learning_rate_too_large")
def rate_times_10(run: Run) -> Run | None:
    """Ten times the learning rate."""
    return _rate(run, 10)


@breaks("learning_rate_too_large")
def rate_times_100(run: Run) -> Run | None:
    """A hundred times the learning rate."""
    return _rate(run, 100)


@breaks("learning_rate_too_large")
def rate_times_1000(run: Run) -> Run | None:
    """A thousand times the learning rate."""
    return _rate(run, 1000)


@breaks("learning_rate_too_small", "too_few_steps")
def rate_over_10(run: Run) -> Run | None:
    """A tenth of the learning rate."""
    return _rate(run, 0.1)


@breaks("learning_rate_too_small")
def rate_over_100(run: Run) -> Run | None:
    """A hundredth of the learning rate."""
    return _rate(run, 0.01)


@breaks("learning_rate_too_small")
def rate_over_1000(run: Run) -> Run | None:
    """A thousandth of the learning rate."""
    return _rate(run, 0.001)


@breaks("learning_rate_too_large", "dead_units")
def shock(run: Run) -> Run | None:
    """One update a thousand times as large, a third of the way through."""
    return replace(run, schedule=f"shock(at={run.steps // 3}, factor=1000)")


@breaks("unscaled_inputs")
def raw_inputs(run: Run) -> Run | None:
    """The inputs as they come, not standardised."""
    return (
        replace(run, dataset=_with(run.dataset, scale="none")) if run.dataset.startswith("digits") else None
    )


@breaks("unscaled_inputs")
def shifted_inputs(run: Run) -> Run | None:
    """Ten added to every input."""
    return replace(run, dataset=_with(run.dataset, shift=10))


@breaks("clipped_too_hard")
def clipped(run: Run) -> Run | None:
    """The gradient clipped to a norm of a millionth."""
    return replace(run, clip=1e-6) if not run.optimiser.startswith(("adam", "rmsprop")) else None


@breaks("decay_too_strong")
def decayed(run: Run) -> Run | None:
    """A weight decay that halves the weights within a tenth of the training."""
    return replace(run, weight_decay=0.7 / (0.1 * run.steps * run.lr))


@breaks("too_few_steps", "learning_rate_too_small")
def stopped_early(run: Run) -> Run | None:
    """A twentieth of the updates."""
    return replace(run, steps=max(1, run.steps // 20))


@breaks(
    "vanishing_gradient", "exploding_gradient", "collapsed_signal", "dead_units", "learning_rate_too_large"
)
def bare(run: Run) -> Run | None:
    """Without its normalisation or its skip connections."""
    return replace(run, norm="none", residual=0.0) if run.norm != "none" or run.residual else None


@breaks("collapsed_signal", "dead_units", "saturated_units", "vanishing_gradient", "exploding_gradient")
def wide_biases(run: Run) -> Run | None:
    """Biases thirty times as large as the signal."""
    return replace(run, bias="normal(std=30)") if run.norm == "none" else None


# Faults of the data ---------------------------------------------------------------------------------------


def _spoiled(run: Run, how: str, change: Spoil, scale: str) -> Run:
    """The run on its data set changed by `change`, which this process then knows by a name of its own.

    A worker that trains such a run has to have applied the operator itself.
    """
    data = datasets.load(run.dataset)
    x, y = np.concatenate([data.x, data.x_test]), np.concatenate([data.y, data.y_test])
    name = re.sub(r"\W+", "_", f"{how}_{run.dataset}").strip("_")
    if name not in datasets.DATASETS:
        give(name, change(x, y))
    return replace(run, dataset=call_text(name, {"scale": scale}))


@breaks("unscaled_inputs")
def inputs_times_100(run: Run) -> Run | None:
    """Every input a hundred times as large."""
    return _spoiled(run, "times_100", lambda x, y: (100 * x, y), "none")


@breaks("unpredictable_labels")
def labels_permuted(run: Run) -> Run | None:
    """The labels dealt out to the examples at random."""
    rng = np.random.default_rng(0)
    return _spoiled(run, "permuted", lambda x, y: (x, rng.permutation(y)), "standard")


@breaks("unscaled_inputs")
def constant_features(run: Run) -> Run | None:
    """As many further inputs as there are, all of them 30 in every example."""
    return _spoiled(run, "with_constants", lambda x, y: (np.hstack([x, np.full_like(x, 30.0)]), y), "none")
