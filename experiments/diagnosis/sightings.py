"""What mechanisms look at: measures of one run's signals, what was seen of them, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from experiments.analysis.wording import count, ten_to
from experiments.diagnosis.reference import healthy_ratio
from experiments.diagnosis.signals import Signals
from experiments.theory.mean_field import flat_fraction
from mlp.activations import activation as activation_of
from mlp.schedules import SCHEDULES


@dataclass(frozen=True)
class Evidence:
    """Where a mechanism was seen: layers, step, the value and the healthy range, and it in words."""

    layer_first: int
    layer_last: int
    step: int
    value: float
    low: float
    high: float
    unit: str
    words: str


def layers_where(where: np.ndarray) -> tuple[int, int]:
    """Return the first and the last layer (from 1) at which the condition (depth,) holds."""
    at = np.flatnonzero(where)
    return int(at[0]) + 1, int(at[-1]) + 1


def layers_named(first: int, last: int) -> str:
    """Return ``layer 3`` or ``layers 3 to 5``."""
    return f"layer {first}" if first == last else f"layers {first} to {last}"


def dead_share(s: Signals) -> np.ndarray:
    """Return the share of dead units, 0 where it is not known: (T, depth)."""
    return np.nan_to_num(s.hidden("dead_fraction"))


def usual_saturation(s: Signals) -> float:
    """Return the share of slopes under a tenth of the largest that a signal of unit variance makes."""
    return float(flat_fraction(activation_of(s.run.activation), 1.0))


def saturated_share(s: Signals, usual: float) -> np.ndarray:
    """Return the share of units saturated beyond the usual one: (T, depth)."""
    share = np.nan_to_num(s.hidden("saturated_fraction"))
    return np.clip((share - usual) / (1 - usual + 1e-12), 0, 1) - dead_share(s)


def first_over(s: Signals, share: np.ndarray, bound: float) -> tuple[int, int, int, str] | None:
    """Return where a (T, depth) share first exceeds a bound: place in time, layers, and when in words."""
    over = share > bound
    if not over.any():
        return None
    at = int(np.flatnonzero(over.any(axis=1))[0])
    when = "before the first update" if s.steps[at] == 0 else f"after {count(int(s.steps[at]), 'update')}"
    return at, *layers_where(over[at]), when


def log_band(s: Signals) -> float:
    """Return how many powers of e ‖delta‖ may change by from the last to the first hidden layer."""
    return log(healthy_ratio(s.run.activation, s.depth, s.run.width)[1])


def log_ratio(s: Signals) -> np.ndarray:
    """Return ln of ‖delta‖ of each hidden layer over the last one's, before the first update: (depth,)."""
    logs = s.hidden("delta_log10")[0] * log(10)
    with np.errstate(invalid="ignore"):
        return logs - logs[-1]


def break_at(logs: np.ndarray) -> int:
    """Return the hidden layer (from 1) below which most of a change over layers happens, or 0 if it is even.

    logs (depth,) are logarithms of a size per layer. Most is more than half of the change from end to end
    between two neighbours, and at least five times what the other pairs change by in the median.
    """
    gaps = logs[1:] - logs[:-1]
    if len(gaps) < 2 or not np.isfinite(gaps).all():
        return 0
    at = int(np.abs(gaps).argmax())
    rest = float(np.median(np.abs(np.delete(gaps, at))))
    total = abs(float(logs[-1] - logs[0]))
    return at + 2 if abs(gaps[at]) > max(0.5 * total, 5 * rest) else 0


def moves_most(s: Signals) -> np.ndarray:
    """Return ‖step‖/‖w‖ in the layer that moves most, at each watched step but the last: (T − 1,)."""
    return np.nan_to_num(s.layers["update_ratio"][:-1], posinf=np.inf).max(axis=1, initial=0.0)


def peak_of_rate(s: Signals) -> tuple[int, float]:
    """Return the step with the largest learning rate, and how many times the rate last watched that is."""
    factor = SCHEDULES.bind(s.run.schedule)()
    factors = np.array([factor(step, s.run.steps) for step in range(s.run.steps)] or [1.0])
    peak = int(factors.argmax())
    watched = s.steps[s.steps <= peak]
    return peak, float(factors[peak] / max(factors[watched[-1]], 1e-300)) if len(watched) else 1.0


def plain(value: float) -> str:
    """Return a number to three digits, without an exponent from a thousandth to a million."""
    return f"{float(f'{value:.3g}'):g}"


def power(log_value: float) -> str:
    """Return a positive number, given its logarithm, in as few characters as tell it."""
    exponent = log_value / log(10)
    return f"{np.exp(log_value):.2g}" if abs(exponent) < 3 else ten_to(exponent)
