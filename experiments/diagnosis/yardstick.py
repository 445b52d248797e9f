"""What can be reached on a data set, by a shallow network known to train, and who falls short of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import sqrt
from typing import Any

import numpy as np

from experiments import datasets
from experiments.analysis.score import ACCURACY, R2
from experiments.config import Recording, Run
from experiments.diagnosis.signals import Signals, data_facts
from experiments.storage.recorded import RECORDED
from experiments.sweeps.in_memory import train_in_memory
from mlp.registry import call_text, parse_call

STEPS = 500  # in which Adam brings two ReLU layers most of the way on the shipped data sets
RATE = 0.003
MANY_SDS = 3.5  # of a share of right guesses: the best of a dozen watched steps is looked at
NO_GAIN = 0.98  # of the prior's loss on the test set: what stays above it has predicted nothing
# How far behind it a run is in trouble. Each is a statement about training, not a size of gradient.
SHORT_OF_LOSS = 0.15  # share of the prior's loss
SHORT_OF_ACCURACY = 0.05
SHORT_WITH_LOSS = 0.02  # of accuracy, where the loss is short as well
ABOVE_CHANCE = 0.1  # of test accuracy, by which a yardstick has to beat the commonest class to judge by it


@dataclass(frozen=True)
class Yardstick:
    """What the shallow network reached: the share of the prior's loss removed, and the two accuracies or R².

    That on the test set is its best at any watched step, as if training had been stopped in time. what: what
    the training accuracy is. tested: test examples, if they show nothing that could be predicted, else 0;
    guessed: the test accuracy that naming the commonest class may reach on them.
    """

    learnt: float
    accuracy: float
    test_accuracy: float
    what: str = "what a shallow network reaches on these data"
    tested: int = 0
    guessed: float = float("nan")


def scaled(dataset: str) -> str:
    """Return the data set's call-text with its inputs standardised and not shifted."""
    name, options = parse_call(dataset)
    kept = {key: value for key, value in options.items() if key not in ("scale", "shift")}
    return datasets.DATASETS.canonical(call_text(name, kept))


def yardstick_of(run: Run, recorded: Mapping[str, Any] | None) -> Yardstick:
    """Return what a run is judged by: of a recorded network, what was said to be reachable."""
    if recorded is None or run.dataset != RECORDED:
        return yardstick(run.dataset, run.loss, run.batch)
    return Yardstick(1.0, float(recorded["reachable"]), float("nan"), "near what was taken to be reachable")


def yardstick(dataset: str, loss: str, batch: int) -> Yardstick:
    """Return what a shallow network reaches on the standardised data; each is trained once per process.

    Whatever another network falls short of it is due to that network, not to the data.
    """
    return _reached(scaled(dataset), loss, batch)


@lru_cache(maxsize=64)
def _reached(dataset: str, loss: str, batch: int) -> Yardstick:
    """Train two hidden layers of 64 ReLUs (He, Adam) on data that are standardised."""
    run = Run(
        activation="relu", depth=2, width=64, dataset=dataset, init="he_normal", loss=loss,
        optimiser="adam", lr=RATE, batch=batch, steps=STEPS, dtype="float32", seed=2**31,
    )  # fmt: skip
    found = train_in_memory([run], Recording(probes=(), watch=12)).steps.sort_values("step")
    learnt = 1 - found["loss"].iloc[-1] / data_facts(dataset, loss).prior_loss
    score = R2 if R2.train in found else ACCURACY
    best = Yardstick(float(learnt), float(found[score.train].iloc[-1]), float(found[score.test].max()))
    return _without_prediction(best, dataset, loss, float(found["test_loss"].min()))


def _without_prediction(best: Yardstick, dataset: str, loss: str, test_loss: float) -> Yardstick:
    """Return the yardstick with `tested` and `guessed`, where the test labels are not predicted at all.

    Both signs are asked for: an accuracy that guessing the commonest class may reach on so few examples, and
    a loss that never falls below that of the classes' shares. Where so few examples cannot tell, neither is.
    """
    data, facts = datasets.load(dataset), data_facts(dataset, loss)
    tested = len(data.y_test)
    if data.is_regression or not tested:
        return best
    reach = facts.majority + MANY_SDS * sqrt(facts.majority * (1 - facts.majority) / tested)
    tells = reach <= (1 + facts.majority) / 2
    if not tells or best.test_accuracy > reach or test_loss <= NO_GAIN * facts.prior_loss:
        return best
    return replace(best, tested=tested, guessed=reach)


def shortfall(s: Signals, best: Yardstick) -> float:
    """Return how far the run stayed behind the yardstick: above 1 is clearly too far.

    1 is a twentieth of the training examples, or a fiftieth where the loss, too, stayed well above the
    yardstick's. A run that is as good as the yardstick on a test set that can be predicted has none (0), and
    one that diverged has an infinite one.
    """
    missing = best.accuracy - s.final_accuracy
    if np.isnan(missing):
        return np.inf
    if _as_good_on_test(s, best):
        return 0.0
    both = min((best.learnt - s.learnt) / SHORT_OF_LOSS, missing / SHORT_WITH_LOSS)
    return max(missing / SHORT_OF_ACCURACY, both, 0.0)


def _as_good_on_test(s: Signals, best: Yardstick) -> bool:
    predictable = best.test_accuracy > s.data.majority + ABOVE_CHANCE
    return bool(predictable and s.test_accuracy[-1] >= best.test_accuracy - SHORT_WITH_LOSS)


def falls_short(s: Signals, best: Yardstick) -> bool:
    """Whether the run learnt clearly less than the yardstick."""
    return shortfall(s, best) > 1
