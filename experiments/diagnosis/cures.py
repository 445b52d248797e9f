"""What to change: for each mechanism the overrides that can cure it, the smallest change first.

A cure is a text that a user can paste behind `run.py CONFIG`; several changes that belong together are
separated by a blank, as on a command line.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isnan, nan

from experiments.config import Run
from experiments.diagnosis.yardstick import scaled
from experiments.storage.recorded import RECORDED
from experiments.theory.critical import critical
from mlp.activations import activation
from mlp.initialisers import bias_variance, weight_variance

Cures = Callable[[Run], list[str]]
STEADY = 0.01  # ‖step‖/‖w‖ of an update, in the middle of the healthy range
DEEP = 10  # hidden layers, from which a plain network may be slow for its depth alone
SMALL_BIAS = 0.1  # of the variance of the weighted inputs: under it biases are not what is wrong
NARROW = 16  # units; in narrower layers all of them may die together


def cures(mechanism: str, run: Run, value: float = nan) -> list[str]:
    """Return the overrides that can cure this mechanism in this run, the smallest change first.

    `value` is what was measured of it: of an update that is too large or small, ‖step‖/‖w‖, from which the
    learning rate follows that makes it `STEADY`.
    """
    found = _CURES.get(mechanism, lambda run: [])(run)
    if mechanism in ("learning_rate_too_large", "learning_rate_too_small") and 0 < value < inf and run.lr:
        steady = run.lr * STEADY / value
        found = [*(text for text in found if "schedule" in text), f"lr={steady:.1g}", *found]
    # without the blanks within a call-text: blanks separate overrides
    return [text.replace(", ", ",") for text in dict.fromkeys(found) if text]


def critical_init(run: Run) -> str:
    """The initialiser's override that makes the run's activation critical, or "" if it is so already.

    Without a critical point worth having (sigmoid's needs a hundredfold variance) it is "" as well, and for
    networks that are not plain.
    """
    if run.residual or run.norm != "none":
        return ""  # with skips the signal grows at that size, and a normalisation takes the size away
    weight = critical(run.activation).critical_weight
    if isnan(weight) or weight > 10:
        return ""
    if abs(weight - 2) < 1e-3:
        init = "he_normal"
    elif abs(weight - 1) < 1e-3:
        init = "lecun_normal"
    else:
        init = f"scaled_normal(gain={weight**0.5:.4g})"
    return "" if init == run.init else f"init={init}"


def _gradient(run: Run) -> list[str]:
    """What brings a gradient through a deep network."""
    found = [*_plain_biases(run), critical_init(run)]
    if run.residual and run.norm == "none":
        found.append(f"residual={run.residual / max(run.depth, 1) ** 0.5:.2g}")
    if run.norm == "none":
        found.append("norm=batch")
    if not run.residual and run.depth > 1:
        found.append("residual=1")
    if not run.activation.startswith("relu"):
        found.append("activation=relu init=he_normal")
    return [*found, "norm=batch residual=1", f"depth={max(1, run.depth // 4)}"]


def _slower(run: Run) -> list[str]:
    plain = (
        [] if run.schedule == "constant" or not run.schedule.startswith("shock") else ["schedule=constant"]
    )
    return [*plain, *(f"lr={run.lr / factor:.3g}" for factor in (3, 10, 100, 1000))]


def _faster(run: Run) -> list[str]:
    rates = [f"lr={run.lr * factor:.3g}" for factor in (3, 10, 100, 1000)] if run.lr else ["lr=0.1"]
    return [*rates, critical_init(run)]


def _plain_biases(run: Run) -> list[str]:
    """Biases of 0, where they are more than a small part of what a unit adds up from inputs of size 1."""
    if run.bias in ("zeros", RECORDED):
        return []
    width, act = run.width, activation(run.activation)
    signal = width * weight_variance(run.init, width, width, act)
    return ["bias=zeros"] if bias_variance(run.bias, width, width, act) > SMALL_BIAS * signal else []


def _units(run: Run) -> list[str]:
    wider = [f"width={2 * NARROW}"] if run.width < NARROW else []
    leaky = ["activation=leaky_relu(slope=0.1)"] if run.activation == "relu" else []
    return [*_plain_biases(run), critical_init(run), *wider, *leaky, *_slower(run), "norm=batch"]


def _richer(run: Run) -> list[str]:
    """What gives a network that is linear or narrow the means to bend its boundary."""
    wider = [f"width={2 * NARROW}"] if run.width < NARROW else []
    curved = "activation=relu init=he_normal"
    if run.depth == 0:
        return [" ".join([f"depth=2 {curved}", *wider])]
    return [*wider, " ".join([curved, *wider])] if run.activation != "relu" else wider


def _longer(run: Run) -> list[str]:
    return [f"steps={run.steps * factor}" for factor in (4, 20)] + _faster(run)[:1]


_CURES: dict[str, Cures] = {
    "unpredictable_labels": lambda run: [],  # no setting mends the data
    "unscaled_inputs": lambda run: [] if run.dataset == RECORDED else [f"dataset={scaled(run.dataset)}"],
    "symmetric_units": lambda run: [critical_init(run) or "init=he_normal"],
    "clipped_too_hard": lambda run: ["clip=null"],
    "decay_too_strong": lambda run: ["weight_decay=0"],
    "normalised_over_few": lambda run: (
        ["width=32", "norm=none"] if run.norm.startswith("layer") else ["batch=32", "norm=layer"]
    ),
    "non_finite": _gradient,
    "dead_units": _units,
    "saturated_units": lambda run: [
        *_plain_biases(run), critical_init(run) or "init=lecun_normal", *_gradient(run)
    ],
    "vanishing_gradient": _gradient,
    "exploding_gradient": lambda run: [*_gradient(run), *_slower(run)],
    "collapsed_signal": _gradient,
    "learning_rate_too_large": _slower,
    "learning_rate_too_small": _faster,
    "too_few_steps": _longer,
    "too_simple": _richer,
    "overfitting": lambda run: [
        f"weight_decay={run.weight_decay * 10 or 0.01:g}", f"width={max(4, run.width // 4)}",
    ],
    "undecided": lambda run: [
        *_longer(run)[:1], *_faster(run)[:1], *_slower(run)[:1],
        *(["norm=batch residual=1"] if run.depth > DEEP and run.norm == "none" and not run.residual else []),
    ],
}  # fmt: skip
