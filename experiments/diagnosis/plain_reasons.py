"""Plain reasons for odd numbers: an exact zero, a number that is not finite, a loss that stays at chance."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

from experiments.analysis.score import ACCURACY
from experiments.diagnosis.signals import Signals

AT_CHANCE = 0.01  # of the prior's loss: a loss this near it has learnt nothing from the inputs
FORWARD = (("z_rms", "pre-activation"), ("a_rms", "output"))  # in the order in which a layer computes them
BACKWARD = (("delta_log10", "delta"), ("dw_norm", "weight gradient"))


def reasons(seeds: Sequence[Signals]) -> list[str]:
    """Return sentences on odd numbers, each of the first run in which it is true, and in how many it is."""
    asked = (zero_gradient, first_non_finite, at_chance)
    said = [[(s.run.seed, words) for s in seeds if (words := ask(s))] for ask in asked]
    return [_over_seeds(words, len(seeds)) for words in said if words]


def _over_seeds(said: Sequence[tuple[int, str]], seeds: int) -> str:
    """What is said of the first seed, with that seed's number where the others differ."""
    seed, words = said[0]
    if len(said) == seeds and len({each for _, each in said}) == 1:
        return words
    some = f"In {len(said)} of {seeds} seeds, as in seed {seed}" if len(said) < seeds else f"In seed {seed}"
    return f"{some}, {words[0].lower()}{words[1:]}"


def zero_gradient(s: Signals) -> str:
    """Say where the weight gradient is exactly zero, from which step on, and why; "" where it never is."""
    zero = s.layers["dw_norm"] == 0
    if not zero.any():
        return ""
    at = int(np.flatnonzero(zero.any(axis=1))[0])
    layers = np.flatnonzero(zero[at]) + 1
    first, last = int(layers[0]), int(layers[-1])
    named = f"layer {first}" if first == last else f"layers {first} to {last}"
    return f"The weight gradient of {named} is exactly 0 at step {s.steps[at]}: {why_zero(s, last, at)}."


def why_zero(s: Signals, layer: int, at: int) -> str:
    """Return the reason why the weight gradient of a layer (from 1) is exactly 0 at a watched step."""
    dead = np.flatnonzero(s.hidden("dead_fraction")[at] == 1) + 1
    weightless = np.flatnonzero(s.layers["w_norm"][at] == 0) + 1
    if s.loss[at] == 0:
        return "the loss is 0, so there is nothing left to correct"
    if len(weightless):
        return f"the weights of layer {weightless[0]} are 0, and neither signal nor gradient passes them"
    if len(dead):
        return f"every unit of layer {dead[0]} is dead, and no gradient passes it"
    if s.data.rms == 0 if layer == 1 else s.hidden("a_rms")[at, layer - 2] == 0:
        return "what enters it is 0 on every example"
    return f"it is too small for {s.run.dtype} (underflow), though the gradient itself is not 0"


def first_non_finite(s: Signals) -> str:
    """Say which number of which layer is the first that is not finite, at the first watched step with one.

    Forward from layer 1 to the output, then the loss, then backward; "" for a run that stayed finite, or of
    which no watched step is not.
    """
    if s.diverged_at is None:
        return ""
    outputs = s.depth + 1
    for at, step in enumerate(s.steps):
        for layer in range(1, outputs + 1):
            for column, name in FORWARD:
                if not np.isfinite(s.layers[column][at, layer - 1]):
                    return _first(name, layer, step)
        if not np.isfinite(s.loss[at]):
            return f"The loss is the first number that is not finite, at step {step}."
        for layer in range(outputs, 0, -1):
            for column, name in BACKWARD:
                if np.isnan(s.layers[column][at, layer - 1]) or s.layers[column][at, layer - 1] == np.inf:
                    return _first(name, layer, step)
    return ""


def _first(name: str, layer: int, step: int) -> str:
    return f"The first numbers that are not finite are in the {name} of layer {layer}, at step {step}."


def at_chance(s: Signals) -> str:
    """Say that the loss ends at its value at chance: the network answers the same whatever it is fed."""
    end, prior = float(s.loss[-1]), s.data.prior_loss
    if not abs(end - prior) < AT_CHANCE * prior:
        return ""
    if s.data.score != ACCURACY.name:
        return f"The loss ends at {end:.3f}, that of always predicting the mean, whatever the network is fed."
    equal = log(s.data.classes)
    known = f", near ln {s.data.classes} = {equal:.3f}" if abs(equal - prior) < AT_CHANCE * prior else ""
    return (
        f"The loss ends at {end:.3f}, its value at chance{known}: the network answers with the classes' "
        "shares whatever it is fed."
    )
