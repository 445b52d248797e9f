"""Findings over seeds: the rows of diagnosis.csv, the cause first, each with a sentence of advice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import share_interval, varying
from experiments.diagnosis.causes import BEFORE_UNITS, OF_UNITS, find
from experiments.diagnosis.cures import cures
from experiments.diagnosis.mechanisms import MECHANISMS
from experiments.diagnosis.plain_reasons import reasons
from experiments.diagnosis.sightings import Evidence, plain
from experiments.diagnosis.signals import Signals, signals
from experiments.diagnosis.yardstick import SHORT_OF_ACCURACY, Yardstick, yardstick_of
from experiments.storage.recorded import RECORDED

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

CLOSE = 0.005  # of accuracy: what differs by less is told as the same number
COLUMNS = (
    "rank", "mechanism", "layer_first", "layer_last", "step", "value", "reference_low",
    "reference_high", "unit", "seeds_with", "seeds", "sentence", "cure", "cure_gain", "cure_gain_low",
    "cure_gain_high", "confirmed",
)  # fmt: skip
NAMES = {
    "healthy": "healthy",
    "unpredictable_labels": "labels that cannot be predicted",
    "unscaled_inputs": "inputs that are not scaled",
    "symmetric_units": "units that are all the same",
    "clipped_too_hard": "a gradient clipped too hard",
    "decay_too_strong": "too strong a weight decay",
    "normalised_over_few": "too few values to normalise over",
    "non_finite": "numbers that are not finite",
    "dead_units": "dead units",
    "saturated_units": "saturated units",
    "vanishing_gradient": "a vanishing gradient",
    "exploding_gradient": "an exploding gradient",
    "collapsed_signal": "a collapsed signal",
    "learning_rate_too_large": "too large a learning rate",
    "learning_rate_too_small": "too small a learning rate",
    "too_few_steps": "too few updates",
    "too_simple": "too simple a network",
    "overfitting": "overfitting",
    "undecided": "no cause found",
}


def diagnose(records: Records) -> pd.DataFrame:
    """Return what is wrong in each setting of the records: one row per setting and finding, the cause first.

    Columns: every field but the seed that varies, then COLUMNS. A setting in which nothing is wrong has one
    row, `healthy`. Cures are proposed, not yet tried (`confirmation.confirm` tries them): `confirmed` is "".
    Errors: ConfigError where runs or a needed probe are missing; DataError.
    """
    import pandas as pd

    fields = varying(records.runs)
    settings: dict[tuple[Any, ...], list[Signals]] = {}
    for s in signals(records):
        settings.setdefault(tuple(getattr(s.run, name) for name in fields), []).append(s)
    rows, recorded = [], records.runs.attrs.get(RECORDED, {})
    for key, seeds in settings.items():
        best = yardstick_of(seeds[0].run, recorded.get(seeds[0].run_id))
        rows += [dict(zip(fields, key, strict=True)) | row for row in of_setting(seeds, best)]
    return pd.DataFrame(rows, columns=[*fields, *COLUMNS])


def of_setting(seeds: Sequence[Signals], best: Yardstick) -> list[dict[str, Any]]:
    """Return the findings in runs that differ in the seed alone, as rows of COLUMNS."""
    found = [find(s, best) for s in seeds]
    causes = Counter(next(iter(each), "healthy") for each in found)
    order = ["healthy", *_in_order_of_causes(found), "undecided"]
    ranked = sorted(causes, key=lambda name: (-causes[name], name == "healthy", order.index(name)))
    if ranked[0] == "undecided" and (known := [n for n in ranked if n not in ("healthy", "undecided")]):
        ranked.remove(known[0])
        ranked.insert(0, known[0])  # a cause in some seeds says more than none in the others
    symptoms = Counter(name for each in found for name in list(each)[1:] if name not in causes)
    ranked += sorted(symptoms, key=lambda name: (-symptoms[name], order.index(name)))
    rows = []
    for rank, name in enumerate(ranked, start=1):
        if name == "healthy":
            rows.append(
                _healthy(rank, [s for s, each in zip(seeds, found, strict=True) if not each], seeds, best)
            )
        else:
            evidence = [each[name] for each in found if name in each]
            cause = ranked[0] if name in symptoms else ""
            why = [] if rank > 1 else reasons([s for s, each in zip(seeds, found, strict=True) if each])
            rows.append(_row(rank, name, evidence, seeds, cause, why))
    return rows


def _in_order_of_causes(found: Sequence[dict[str, Evidence]]) -> list[str]:
    """The mechanisms, those of units that set in under way after those that are there at the start."""
    steps = {name: [each[name].step for each in found if name in each] or [0] for name in OF_UNITS}
    late = [name for name in MECHANISMS if np.median(steps.get(name, [0])) > 0]
    early = [name for name in MECHANISMS if name not in late]
    after = max(early.index(name) for name in BEFORE_UNITS) + 1
    return [*early[:after], *late, *early[after:]]


def _healthy(
    rank: int, healthy: Sequence[Signals], seeds: Sequence[Signals], best: Yardstick
) -> dict[str, Any]:
    reached, count = float(np.median([s.final_accuracy for s in healthy])), len(healthy)
    score = seeds[0].data.score
    how = f"{'close to ' * (reached < best.accuracy - CLOSE)}{best.what} ({best.accuracy:.2f})"
    if reached < best.accuracy - SHORT_OF_ACCURACY:
        tested = float(np.median([s.test_accuracy[-1] for s in healthy]))
        how = f"below {best.what} ({best.accuracy:.2f}), but that of {tested:.2f} on the test set is as good"
    sentence = (
        f"Nothing is wrong in {_of_seeds(count, len(seeds))}: the training {score} of {reached:.2f} is {how}."
    )
    return _empty(rank, "healthy", count, len(seeds), sentence) | {
        "value": reached, "reference_low": best.accuracy, "reference_high": 1.0, "unit": score,
        "step": int(seeds[0].steps[-1]),
    }  # fmt: skip


def _row(
    rank: int,
    name: str,
    evidence: list[Evidence],
    seeds: Sequence[Signals],
    cause: str,
    why: Sequence[str],
) -> dict[str, Any]:
    e = _middle(evidence)
    tried = cures(name, seeds[0].run, e.value)
    sentence = _sentence(name, e, len(evidence), len(seeds), cause, tried[0] if tried else "", why)
    return _empty(rank, name, len(evidence), len(seeds), sentence) | {
        "layer_first": e.layer_first, "layer_last": e.layer_last, "step": e.step, "value": e.value,
        "reference_low": e.low, "reference_high": e.high, "unit": e.unit, "cure": tried[0] if tried else "",
    }  # fmt: skip


def _empty(rank: int, name: str, count: int, seeds: int, sentence: str) -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(COLUMNS, np.nan)
    nothing |= {
        "unit": "",
        "cure": "",
        "confirmed": "",
        "layer_first": None,
        "layer_last": None,
        "step": None,
    }
    return nothing | {
        "rank": rank, "mechanism": name, "seeds_with": count, "seeds": seeds, "sentence": sentence,
    }  # fmt: skip


def _middle(evidence: Sequence[Evidence]) -> Evidence:
    """The evidence with the median value, with the layers and the step that are the median over seeds."""
    ranked = sorted(evidence, key=lambda e: (np.isnan(e.value), e.value))
    middle = ranked[len(ranked) // 2]
    layers = {
        name: int(np.median([getattr(e, name) for e in evidence]))
        for name in ("layer_first", "layer_last", "step")
    }
    return replace(middle, **layers)


def _sentence(
    name: str, e: Evidence, count: int, seeds: int, cause: str, cure: str, why: Sequence[str]
) -> str:
    """What was found, in how many seeds, what healthy would be and what to change."""
    head = NAMES[name].capitalize()
    follows = f", a consequence of {NAMES[cause]}" if cause and cause != "healthy" else ""
    parts = [f"{head} in {_of_seeds(count, seeds)}{follows}: {e.words}."]
    if np.isfinite(e.low) or np.isfinite(e.high):
        parts.append(f"Healthy: {_range(e.low, e.high)} ({e.unit}).")
    parts += why
    if cure and not cause:
        parts.append(f"Try {cure}.")
    return " ".join(parts)


def _range(low: float, high: float) -> str:
    if high == 0:
        return "0"
    if not np.isfinite(high):
        return f"at least {plain(low)}"
    if low == 0 or not np.isfinite(low):
        return f"at most {plain(high)}"
    return f"{plain(low)} to {plain(high)}"


def _of_seeds(count: int, seeds: int) -> str:
    """``4 of 6 seeds (22 % to 96 % of networks)``, by Clopper & Pearson 1934, or that it is one seed."""
    if seeds == 1:
        return "the one seed that was run"
    low, high = share_interval(count, seeds)
    return f"{count} of {seeds} seeds ({low:.0%} to {high:.0%} of networks)"
