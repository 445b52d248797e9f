"""The rule observatory: what published detectors would say of the same networks.

Each rule set is written from its tool's description, with that tool's own constants, as functions of one
run's signals; no code was taken. What a tool checks on the current batch is checked here on the probe set at
every watched step; a rule about ten batches becomes one about ten watched steps. `dial` multiplies the
constant that the tool's main alarm hangs on, for a ROC curve. An alarm is translated into our word for the
mechanism where there is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.diagnosis.signals import Signals
from mlp.activations import Array

PROBES_READ = (
    "dw_mean_abs", "dw_max_abs", "dw_span", "w_max_abs", "w_var", "output_zero_fraction",
    "output_beyond_fraction", "input_beyond_fraction", "rarely_active_fraction", "quiet_fraction",
    "binned_saturation_fraction", "zero_fraction", "a_var", "delta_rms",
    "input_beyond_fraction(low=-9.4999, high=9.4999)", "input_beyond_fraction(low=-23.0, high=16.99999)",
)  # fmt: skip
Rule = Callable[[Signals, float], bool]
DIALS = (0.0, *(10.0**k for k in range(-4, 9)))  # 0 silences the alarm that the dial moves


@dataclass(frozen=True)
class RuleSet:
    """A tool's alarms (our mechanism, its rule) in its own order, and where it is described."""

    name: str
    source: str
    rules: tuple[tuple[str, Rule], ...]

    @property
    def has_dial(self) -> bool:
        """Whether the tool has a bound on a vanishing gradient: the constant that the dial multiplies."""
        return "vanishing_gradient" in dict(self.rules)

    def alarms(self, s: Signals, dial: float = 1.0) -> list[str]:
        """Return the mechanisms that the tool would name, in its order; none for a healthy network."""
        with np.errstate(all="ignore"):
            return list(dict.fromkeys(mechanism for mechanism, rule in self.rules if rule(s, dial)))


def first_alarm(rules: RuleSet, runs: Sequence[Signals]) -> str:
    """Return a rule set's most frequent first alarm over the runs, where silence counts as `healthy`.

    In a tie it is that of the earliest run.
    """
    firsts = Counter(next(iter(rules.alarms(s)), "healthy") for s in runs)
    return firsts.most_common(1)[0][0]


def alarmed_from(rules: RuleSet, runs: Sequence[Signals]) -> float:
    """Return the smallest of DIALS at which a rule set alarms, in the median over runs.

    A larger dial never silences an alarm. NaN for a rule set that has no dial.
    """
    if not rules.has_dial:
        return float("nan")
    return float(np.median([next((d for d in DIALS if rules.alarms(s, d)), 2 * DIALS[-1]) for s in runs]))


def _finite(s: Signals) -> bool:
    return s.diverged_at is None and bool(np.isfinite(s.loss).all())


def _is_relu(s: Signals) -> bool:
    return s.run.activation.startswith("relu")


def _any_nan(s: Signals, dial: float) -> bool:
    return not _finite(s)


def _any(values: Array) -> bool:
    return bool(np.any(values))


def _loss_still(s: Signals, updates: int, least: float) -> bool:
    """Whether the loss fell by less than this share over some window of so many watched steps."""
    if len(s.loss) <= updates:
        return False
    before, after = s.loss[:-updates], s.loss[updates:]
    return _any(after >= before * (1 - least))


# Amazon SageMaker Debugger --------------------------------------------------------------------------------


def _debugger_saturated(s: Signals, dial: float) -> bool:
    beyond = {"tanh": "(low=-9.4999, high=9.4999)", "sigmoid": "(low=-23.0, high=16.99999)"}
    name = s.run.activation.split("(")[0]
    return name in beyond and _any(s.hidden(f"input_beyond_fraction{beyond[name]}") > 0.5)


def _debugger_initialisation(s: Signals, dial: float) -> bool:
    """The signs of a poor start: uneven weights, gradients without spread, a loss flat in 5 of 10 steps."""
    variances = s.layers["w_var"][0]
    uneven = variances.max() > 10 * variances.min()
    narrow = s.layers["dw_span"][0].min() < 1e-3
    flat = int((s.loss[1:11] >= s.loss[:-1][:10]).sum()) >= 5
    return bool(uneven or narrow or flat)


SAGEMAKER = RuleSet(
    "SageMaker Debugger",
    "documentation of its built-in rules",
    (
        ("exploding_gradient", _any_nan),
        ("vanishing_gradient", lambda s, dial: _any(s.layers["dw_mean_abs"] < 1e-7 * dial)),
        ("dead_units", lambda s, dial: _is_relu(s) and _any(s.hidden("rarely_active_fraction") > 0.5)),
        ("saturated_units", _debugger_saturated),
        ("learning_rate_too_large", lambda s, dial: _any(s.layers["update_ratio"][:-1] > 10)),
        ("learning_rate_too_small", lambda s, dial: _any(s.layers["update_ratio"][:-1] < 1e-8)),
        ("undecided", _debugger_initialisation),
    ),
)  # fmt: skip


# AutoTrainer ----------------------------------------------------------------------------------------------


def _first_to_last(s: Signals) -> Array:
    return s.layers["dw_norm"][:, 0] / s.layers["dw_norm"][:, -1]


def _oscillates(s: Signals, dial: float) -> bool:
    swings = np.abs(np.diff(s.accuracy)) >= 0.03
    turns = np.diff(np.sign(np.diff(s.accuracy))) != 0
    return len(turns) > 0 and float((swings[1:] & turns).mean()) >= 0.2


def _slow(s: Signals, dial: float) -> bool:
    late = s.accuracy[int(0.3 * len(s.accuracy)) :]
    return len(late) > 1 and float(np.diff(late).max()) < 0.01 and float(np.nanmax(late)) < 0.7


AUTOTRAINER = RuleSet(
    "AutoTrainer",
    "Zhang, Zhai, Ma & Shen 2021",
    (
        ("dead_units", lambda s, dial: _any((s.layers["zero_fraction"]).mean(axis=1) >= 0.7)),
        ("exploding_gradient", lambda s, dial: not _finite(s) or _any(_first_to_last(s) > 70)),
        (
            "vanishing_gradient",
            lambda s, dial: _any(
                (_first_to_last(s) < 1e-3 * dial) & (s.layers["dw_norm"][:, 0] < 1e-4 * dial)
            ),
        ),
        ("learning_rate_too_large", _oscillates),
        ("too_few_steps", _slow),
    ),
)


# DeepLocalize, DeepDiagnosis ------------------------------------------------------------------------------

DEEPLOCALIZE = RuleSet(
    "DeepLocalize",
    "Wardat, Le & Rajan 2021",
    (
        ("non_finite", _any_nan),
        ("dead_units", lambda s, dial: _any((s.hidden("output_zero_fraction") == 1).mean(axis=0) >= 0.5)),
        ("undecided", lambda s, dial: _loss_still(s, 5, 0.0)),
    ),
)


def _out_of(values: Array, low: float, high: float) -> bool:
    return _any((values < low) | (values > high))


DEEPDIAGNOSIS = RuleSet(
    "DeepDiagnosis",
    "Wardat, Cruz, Le & Rajan 2022",
    (
        ("exploding_gradient", lambda s, dial: not _finite(s) or _any(s.layers["dw_mean_abs"] == 0)),
        ("saturated_units", lambda s, dial: _any(s.hidden("input_beyond_fraction") > 0.5)),
        (
            "dead_units",
            lambda s, dial: _is_relu(s) and _any(s.hidden("output_zero_fraction")[-1] >= 0.7),
        ),
        ("vanishing_gradient", lambda s, dial: _any(s.layers["dw_mean_abs"] < 1e-7 * dial)),
        ("undecided", lambda s, dial: _out_of(s.layers["w_var"], 1e-5, 10)),
        ("learning_rate_too_large", lambda s, dial: _any(_plain_step(s) > 1e-1)),
        ("learning_rate_too_small", lambda s, dial: _any(_plain_step(s) < 1e-5)),
        ("unscaled_inputs", lambda s, dial: s.data.largest > 1),
        ("too_few_steps", lambda s, dial: _loss_still(s, 5, 0.0) or _constant(s.accuracy, 20)),
    ),
)


def _constant(values: Array, times: int) -> bool:
    """Whether the last so many values are all the same."""
    return len(values) >= times and np.ptp(values[-times:]) == 0


def _plain_step(s: Signals) -> Array:
    """lr·‖dw‖/‖w‖, as for plain gradient descent."""
    return s.lr[:, None] * s.layers["dw_norm"] / s.layers["w_norm"]


# UMLAUT, TheDeepChecker, DEFault --------------------------------------------------------------------------

UMLAUT = RuleSet(
    "UMLAUT",
    "Schoop, Huang & Hartmann 2021",
    (
        ("non_finite", _any_nan),
        ("unscaled_inputs", lambda s, dial: s.data.largest > 1),
        ("learning_rate_too_large", lambda s, dial: s.run.lr > 0.01),
        ("learning_rate_too_small", lambda s, dial: s.run.lr < 1e-7),
        ("overfitting", lambda s, dial: _any(s.test_accuracy > 0.95)),
    ),
)


def _in_a_row(values: Array, factor: float, times: int) -> bool:
    """Whether a layer's value changes by this factor or more (below 1: or less) so often in a row."""
    ratios = values[1:] / values[:-1]
    hits = ratios <= factor if factor < 1 else ratios >= factor
    if len(hits) < times:
        return False
    windows = np.lib.stride_tricks.sliding_window_view(hits, times, axis=0)
    return bool(windows.all(axis=-1).any())


CHECKER = RuleSet(
    "TheDeepChecker",
    "Ben Braiek & Khomh 2023",
    (
        ("dead_units", lambda s, dial: _any(s.hidden("quiet_fraction") > 0.5)),
        ("saturated_units", lambda s, dial: _any(s.hidden("binned_saturation_fraction") > 0.5)),
        (
            "vanishing_gradient",
            lambda s, dial: (
                _any(s.layers["dw_mean_abs"] < 1e-6 * dial) or _in_a_row(s.layers["dw_mean_abs"], 0.5, 5)
            ),
        ),
        (
            "exploding_gradient",
            lambda s, dial: (
                not _finite(s)
                or _any(s.layers["dw_mean_abs"] > 1e6)
                or _in_a_row(s.layers["dw_mean_abs"], 2.0, 5)
            ),
        ),
        ("undecided", lambda s, dial: _out_of(np.sqrt(s.hidden("a_var")), 0.5, 2)),
        ("learning_rate_too_large", lambda s, dial: _any(s.layers["update_ratio"][:-1] > 1e-1)),
        ("learning_rate_too_small", lambda s, dial: _any(s.layers["update_ratio"][:-1] < 1e-4)),
        ("too_few_steps", lambda s, dial: _loss_still(s, 5, 0.05)),
    ),
)

DEFAULT_TOOL = RuleSet(
    "DEFault",
    "Jahan, Shah, Mahbub & Rahman 2025",
    (
        ("vanishing_gradient", lambda s, dial: _any(s.layers["dw_mean_abs"].mean(axis=1) < 1e-4 * dial)),
        ("exploding_gradient", lambda s, dial: not _finite(s) or _any(s.layers["dw_max_abs"] > 70)),
        (
            "dead_units",
            lambda s, dial: _is_relu(s) and _any(s.hidden("output_zero_fraction") > 0.7),
        ),
        ("saturated_units", lambda s, dial: _any(s.hidden("output_beyond_fraction") > 0.5)),
        ("undecided", lambda s, dial: _any(s.layers["w_max_abs"] > 10)),
    ),
)

RULE_SETS = (SAGEMAKER, AUTOTRAINER, DEEPLOCALIZE, DEEPDIAGNOSIS, UMLAUT, CHECKER, DEFAULT_TOOL)
