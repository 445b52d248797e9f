"""The table of mechanisms: what can be wrong with a network, each a function of one run's signals.

A mechanism returns its evidence, or None where there is none. The table's order is that of causes: what
stands earlier can bring about what stands later (`causes.find` asks them all).
"""

from __future__ import annotations

from math import log

import numpy as np

from experiments.analysis.score import ACCURACY
from experiments.analysis.wording import count
from experiments.diagnosis.sightings import (
    Evidence,
    break_at,
    dead_share,
    first_over,
    layers_named,
    layers_where,
    log_band,
    log_ratio,
    moves_most,
    peak_of_rate,
    plain,
    power,
    saturated_share,
    usual_saturation,
)
from experiments.diagnosis.signals import Signals
from experiments.diagnosis.yardstick import SHORT_OF_ACCURACY, Yardstick
from mlp.activations import activation as activation_of
from mlp.registry import Registry, parse_call

MECHANISMS = Registry("mechanism")

# The thresholds. Each is a statement about training, not a size of gradient.
DEAD = 0.7  # of a layer's units: half of them would be where all examples look alike
HALF = 0.5  # of the units that could be saturated
TOO_FEW = {"batch": 4, "layer": 2}  # values that a mean and a variance are taken over: examples, units
TWINS = 0.99  # share of units with the weights of another
LARGEST_RMS, SMALLEST_RMS = 5.0, 0.1  # of the inputs; standardised ones have 1
OFF_CENTRE = 2.0  # mean over standard deviation of the inputs
CLIPPED = 0.1  # of the gradient's norm is left
SHRUNK = 0.5  # of the weights' norm is left
VIOLENT = 0.3  # ‖step‖/‖w‖ of one update
GENTLE = 1e-3  # ‖step‖/‖w‖ of one update, in the layer that moves most (Karpathy's rule of thumb)
ROSE = 0.05  # of the prior's loss: a rise of the loss between watched steps that is no noise
HARMED_UNITS = 0.3  # of a layer's units or slopes
FAR_FROM_CHANCE = 10.0  # times the loss at chance, at the start; squared for a loss of squares
FEW_UNITS = 8  # per layer: with fewer the network may lack the means, where all else is well
TRAVEL = 1.0  # ‖w‖: what the updates of the layer that moves most add up to in a run that learns
GAP = 0.1  # of accuracy between training and test set
ALIKE = 1e-4  # share of a layer's mean square that differs between examples


# What was given: data, weights, training ------------------------------------------------------------------


@MECHANISMS
def unpredictable_labels(s: Signals, best: Yardstick) -> Evidence | None:
    """Not even the shallow network predicts the labels of examples that it has not seen."""
    if not best.tested:
        return None
    words = (
        f"a shallow network that is known to train gets {best.test_accuracy:.0%} of {best.tested} unseen "
        f"examples right, where naming the commonest class gets {s.data.majority:.0%}, so these labels can "
        "only be learnt by heart. Look whether labels and inputs still belong together"
    )
    return Evidence(
        1, s.depth + 1, int(s.steps[-1]), best.test_accuracy, best.guessed, 1.0,
        "test accuracy of a shallow network", words,
    )  # fmt: skip


@MECHANISMS
def unscaled_inputs(s: Signals, best: Yardstick) -> Evidence | None:
    """The inputs are far from mean 0 and variance 1."""
    data = s.data
    if abs(data.mean) > OFF_CENTRE * data.sd:
        words = f"the inputs have mean {data.mean:.3g} and standard deviation {data.sd:.3g}"
        return Evidence(
            1, 1, 0, abs(data.mean) / data.sd, 0.0, OFF_CENTRE, "mean over sd of the inputs", words
        )
    if not SMALLEST_RMS <= data.rms <= LARGEST_RMS:
        words = f"the inputs' root mean square is {data.rms:.3g}"
        return Evidence(1, 1, 0, data.rms, SMALLEST_RMS, LARGEST_RMS, "rms of the inputs", words)
    return None


@MECHANISMS
def symmetric_units(s: Signals, best: Yardstick) -> Evidence | None:
    """All units of a layer start with the same weights, so that they stay the same for ever."""
    alike = s.start.twins >= TWINS
    if not alike.any():
        return None
    first, last = layers_where(alike)
    share = float(s.start.twins[first - 1])
    words = f"in {layers_named(first, last)}, {share:.0%} of the units start with the weights of another unit"
    return Evidence(first, last, 0, share, 0.0, 0.0, "share of units", words)


@MECHANISMS
def clipped_too_hard(s: Signals, best: Yardstick) -> Evidence | None:
    """Clipping leaves so little of the gradient that the network hardly moves."""
    norms = s.gradient_norm[np.isfinite(s.gradient_norm)]
    if s.run.clip is None or not len(norms):
        return None
    left = float(np.median(np.minimum(1.0, s.run.clip / np.maximum(norms, 1e-300))))
    if left > CLIPPED or s.moved.max(initial=0.0) > TRAVEL:
        return None
    words = (
        f"clipping to {s.run.clip:g} leaves {left:.2g} of the gradient's norm (median over the watched "
        f"steps), which is a learning rate of {s.run.lr * left:.2g}"
    )
    return Evidence(1, s.depth + 1, 0, left, CLIPPED, 1.0, "share of the gradient's norm", words)


@MECHANISMS
def decay_too_strong(s: Signals, best: Yardstick) -> Evidence | None:
    """Weight decay pulls the weights to zero faster than the gradient builds them up."""
    left = s.layers["w_norm"][-1] / s.layers["w_norm"][0]
    pull = s.run.weight_decay * float(np.nan_to_num(s.lr).mean()) * int(s.steps[-1])
    if not pull > log(1 / SHRUNK) or not np.median(left) < SHRUNK:
        return None
    words = f"the weights shrink to {np.median(left):.2g} of their norm (median over layers)"
    return Evidence(
        1, s.depth + 1, int(s.steps[-1]), float(np.median(left)), SHRUNK, np.inf, "‖w‖/‖w₀‖", words
    )


@MECHANISMS
def normalised_over_few(s: Signals, best: Yardstick) -> Evidence | None:
    """A normalisation takes its mean and variance over so few values that little of the signal is left."""
    kind = parse_call(s.run.norm)[0]
    over, of = (s.run.width, "unit") if kind == "layer" else (s.run.batch, "example")
    if not s.depth or over > TOO_FEW.get(kind, 0):
        return None
    left = {1: "0, whatever enters", 2: "the same two numbers always, of which only the order tells anything"}
    words = (
        f"{kind} normalisation takes mean and variance over {count(over, of)}: what it gives is "
        f"{left.get(over, 'as much chance as signal')}"
    )
    return Evidence(
        1, s.depth, 0, float(over), float(TOO_FEW[kind] + 1), np.inf, f"{of}s normalised over", words
    )


# The start ------------------------------------------------------------------------------------------------


@MECHANISMS
def non_finite(s: Signals, best: Yardstick) -> Evidence | None:
    """The loss is not finite before the first update."""
    if s.diverged_at != 0:
        return None
    words = "the loss is not finite before the first update: the forward pass overflows"
    return Evidence(1, s.depth + 1, 0, np.nan, -np.inf, np.inf, "loss", words)


@MECHANISMS
def dead_units(s: Signals, best: Yardstick) -> Evidence | None:
    """Most of a layer's units pass no gradient on any example."""
    dead = dead_share(s)
    if (found := first_over(s, dead, DEAD)) is None:
        return None
    at, first, last, when = found
    share = float(dead[at].max())
    words = f"up to {share:.0%} of the units of {layers_named(first, last)} are dead {when}"
    if first < last and s.hidden("a_rms")[at, first - 1] == 0:
        words = (
            f"all units of layer {first} are dead {when} and give 0, so that {layers_named(first + 1, last)} "
            f"{'gets' if last == first + 1 else 'get'} no signal"
        )
        last = first
    return Evidence(first, last, int(s.steps[at]), share, 0.0, DEAD, "share of units", words)


@MECHANISMS
def saturated_units(s: Signals, best: Yardstick) -> Evidence | None:
    """More than half of the slopes of a layer lie under a tenth of the largest, beyond what is usual."""
    usual = usual_saturation(s)
    if (found := first_over(s, saturated_share(s, usual), HALF)) is None:
        return None
    at, first, last, when = found
    value = float(s.hidden("saturated_fraction")[at].max())
    where = layers_named(first, last)
    words = f"up to {value:.0%} of the slopes of {where} are under a tenth of the largest {when}"
    return Evidence(
        first, last, int(s.steps[at]), value, 0.0, usual + HALF * (1 - usual), "share of slopes", words
    )


@MECHANISMS
def vanishing_gradient(s: Signals, best: Yardstick) -> Evidence | None:
    """‖delta‖ falls from the last to the first hidden layer by more than a network of this depth bears."""
    if s.depth < 2:
        return None
    ratio, band = log_ratio(s), log_band(s)
    low = ratio < -band
    if not low[0]:
        return None
    first, last = layers_where(low)
    words = (
        f"the gradient of layer 1 is {power(ratio[0])} of the last hidden layer's before the first update "
        f"(‖delta‖), so {layers_named(first, last)} hardly {'learns' if first == last else 'learn'}"
    )
    if at := break_at(ratio):
        first, last = at - 1, at
        words += f"; most of it is lost on the way back from layer {at} to layer {at - 1}"
    return _of_ratio(first, last, ratio[0], band, words)


def _of_ratio(first: int, last: int, log_value: float, band: float, words: str) -> Evidence:
    """Evidence of ‖delta₁‖/‖delta_L‖, of which the logarithm is given, as is that of its healthy range."""
    value, low, high = np.exp([min(log_value, 700), -band, band]).tolist()
    return Evidence(first, last, 0, value, low, high, "‖delta₁‖/‖delta_L‖", words)


@MECHANISMS
def exploding_gradient(s: Signals, best: Yardstick) -> Evidence | None:
    """‖delta‖ or the signal grows over the layers by more than a network of this depth bears, or at once."""
    grows = _grows(s) if s.depth > 1 else None
    alike = s.depth and s.start.spread[-1] < ALIKE  # large outputs that are all the same are that first
    far = FAR_FROM_CHANCE ** (2 if s.run.loss.startswith("mean_squared_error") else 1)
    if grows or alike or not s.loss[0] > far * s.data.prior_loss:
        return grows
    value = float(s.loss[0] / s.data.prior_loss)
    words = (
        f"the outputs are so large before the first update that the loss is {plain(s.loss[0])}, which is "
        f"{plain(value)} times its value at chance"
    )
    return Evidence(1, s.depth + 1, 0, value, 0.0, far, "loss over loss at chance", words)


def _grows(s: Signals) -> Evidence | None:
    """Evidence of a ‖delta‖ that grows from the last layer to the first, or of a signal that grows."""
    ratio, band = log_ratio(s), log_band(s)
    forward = np.nan_to_num(np.log(np.maximum(s.hidden("a_rms")[0], 1e-300)), posinf=700)
    grown = float(forward[-1] - forward[0])
    if ratio[0] > band:
        first, last = layers_where(ratio > band)
        words = (
            f"the gradient of layer 1 is {power(ratio[0])} times the last hidden layer's before the first "
            f"update (‖delta‖)"
        )
        if at := break_at(ratio):
            first, last = at - 1, at
            words += f"; most of the growth is on the way back from layer {at} to layer {at - 1}"
        return _of_ratio(first, last, ratio[0], band, words)
    if grown > band:
        first, last = layers_where(forward - forward[0] > band)
        words = f"the signal grows {power(grown)} times from the first to the last hidden layer"
        if at := break_at(forward):
            first, last = at, at
            words += f", most of it in layer {at}"
        value, low, high = np.exp([min(grown, 700), -band, band]).tolist()
        return Evidence(first, last, 0, value, low, high, "rms of a", words)
    return None


@MECHANISMS
def collapsed_signal(s: Signals, best: Yardstick) -> Evidence | None:
    """All examples look alike to the last layers, so that the network cannot tell them apart."""
    alike = s.start.spread < ALIKE
    if not (s.depth and alike[-1]):
        return None
    first, last = layers_where(alike)
    value = float(s.start.spread[-1])
    differs = f"only {value:.1e} differs" if value else "nothing differs"
    words = f"of the signal of {layers_named(first, last)} {differs} between examples"
    if at := break_at(np.log(np.maximum(s.start.spread, 1e-300))):
        first = last = at
        words += f"; it is lost in layer {at}"
    return Evidence(first, last, 0, value, ALIKE, 1.0, "share of the mean square", words)


# The training ---------------------------------------------------------------------------------------------


def _harmed(s: Signals) -> bool:
    """Whether the loss has risen on the way, or units have died or saturated since the start.

    Updates as large as the weights are harmless where the weights began far too small.
    """
    if s.diverged_at is not None:
        return True
    rise = float((s.loss - np.minimum.accumulate(s.loss)).max())
    lost = [np.nan_to_num(s.hidden(f"{name}_fraction")) for name in ("dead", "saturated")]
    grown = max(float((each - each[0]).max(initial=0.0)) for each in lost)
    return rise > ROSE * s.data.prior_loss or grown > HARMED_UNITS


@MECHANISMS
def learning_rate_too_large(s: Signals, best: Yardstick) -> Evidence | None:
    """Updates of the size of the weights, or a loss above its start: the steps overshoot."""
    ratios = moves_most(s)
    violent = np.flatnonzero(ratios > VIOLENT) if _harmed(s) else np.array([], int)
    peak, times = peak_of_rate(s)
    before = ratios[s.steps[:-1] <= peak]
    shocked = times > 10 and len(before) and before[-1] < VIOLENT < before[-1] * times
    higher = not s.loss[-1] <= max(1.05 * s.loss[0], 1.05 * s.data.prior_loss)
    if not len(ratios) or not (len(violent) or higher or s.diverged_at or shocked):
        return None
    if shocked:
        value = float(before[-1] * times)
        words = f"the schedule makes the update after step {peak} {plain(times)} times as large"
        return Evidence(1, s.depth + 1, peak, value, GENTLE / 10, VIOLENT, "‖step‖/‖w‖", words)
    at = int(violent[0]) if len(violent) else int(np.nanargmax(np.nan_to_num(s.loss, nan=-1)))
    return _overshoot(s, min(at, len(ratios) - 1), ratios)


def _overshoot(s: Signals, at: int, ratios: np.ndarray) -> Evidence:
    """The evidence of an update that is too large, at this watched step."""
    value = float(ratios[at])
    layer = int(np.argmax(np.nan_to_num(s.layers["update_ratio"][at]))) + 1
    words = f"the update after step {s.steps[at]} moves layer {layer} by {plain(value)} times its size"
    worst = float(np.nanmax(s.loss)) if np.isfinite(s.loss).any() else np.nan
    if s.diverged_at:
        words += f", and the loss is no longer finite at step {s.diverged_at}"
    elif worst > 1.5 * s.loss[0]:
        words += f", and the loss rises to {plain(worst)} from {plain(s.loss[0])}"
    return Evidence(layer, layer, int(s.steps[at]), value, GENTLE / 10, VIOLENT, "‖step‖/‖w‖", words)


@MECHANISMS
def learning_rate_too_small(s: Signals, best: Yardstick) -> Evidence | None:
    """Even the layer that moves most moves by too little at each step."""
    ratios = moves_most(s)
    if not len(ratios) or not np.median(ratios) < GENTLE or s.moved.max() > TRAVEL:
        return None
    value = float(np.median(ratios))
    most = f"by more than {value:.1e} of its size" if value else "at all"
    words = f"no layer moves {most} per update (median over the watched steps)"
    return Evidence(1, s.depth + 1, 0, value, GENTLE, VIOLENT, "‖step‖/‖w‖", words)


@MECHANISMS
def too_few_steps(s: Signals, best: Yardstick) -> Evidence | None:
    """The loss still falls at the last step, or all updates together are too few to move a layer."""
    if s.diverged_at is not None:
        return None
    ratios = moves_most(s)
    if len(ratios) and s.moved.max() < TRAVEL and np.median(ratios) >= GENTLE:
        value = float(s.moved.max())
        words = f"all {s.steps[-1]} updates together move no layer by more than {value:.2g} of its size"
        return Evidence(1, s.depth + 1, int(s.steps[-1]), value, TRAVEL, np.inf, "Σ‖step‖/‖w‖", words)
    if len(s.steps) < 4:
        return None
    half = int(np.searchsorted(s.steps, s.steps[-1] / 2))
    fell = float(s.loss[half] - s.loss[-1]) / s.data.prior_loss
    if not fell > 0.02:
        return None
    words = (
        f"the loss still fell by {fell:.0%} of its value at chance in the last half of {s.steps[-1]} updates"
    )
    return Evidence(1, s.depth + 1, int(s.steps[-1]), fell, 0.0, 0.02, "share of the loss at chance", words)


@MECHANISMS
def too_simple(s: Signals, best: Yardstick) -> Evidence | None:
    """Training has come to its end, and the network is linear or has few units."""
    act, z = activation_of(s.run.activation), np.linspace(-3, 3, 7)
    linear = s.depth == 0 or not np.ptp(act.df(z, act.f(z)))
    if s.diverged_at is not None or not (linear or s.run.width < FEW_UNITS):
        return None
    reached = f"its loss no longer falls, with {max(s.learnt, 0):.0%} of its value at chance removed"
    if linear:
        what = "no hidden layer" if s.depth == 0 else f"the activation {s.run.activation}"
        can = "part the classes by flat boundaries" if s.data.score == "accuracy" else "fit a plane"
        words = f"with {what} the network is linear and can only {can}; {reached}"
        return Evidence(1, s.depth + 1, int(s.steps[-1]), 0.0, 1.0, np.inf, "layers that bend", words)
    words = f"the hidden layers have {count(s.run.width, 'unit')}; {reached}"
    value = float(s.run.width)
    return Evidence(1, s.depth, int(s.steps[-1]), value, FEW_UNITS, np.inf, "units per layer", words)


@MECHANISMS
def overfitting(s: Signals, best: Yardstick) -> Evidence | None:
    """Right on the training set and clearly worse on the test set than the yardstick."""
    if s.diverged_at is not None:
        return None
    gap = float(s.accuracy[-1] - s.test_accuracy[-1])
    if not gap >= GAP or s.test_accuracy[-1] > best.test_accuracy - SHORT_OF_ACCURACY:
        return None
    both, score = (f"{s.accuracy[-1]:.0%}", f"{s.test_accuracy[-1]:.0%}"), s.data.score
    words = f"{both[0]} of the training examples are right and {both[1]} of the test examples"
    if score != ACCURACY.name:
        words = (
            f"R² is {s.accuracy[-1]:.2f} on the training examples and {s.test_accuracy[-1]:.2f} on the test"
        )
    return Evidence(1, s.depth + 1, int(s.steps[-1]), gap, 0.0, GAP, f"training less test {score}", words)
