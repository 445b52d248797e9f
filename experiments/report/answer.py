"""The answer to an experiment's question in a sentence with its number, before anything else on its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.analysis.ratios import fields_before
from experiments.analysis.score import ACCURACY, R2
from experiments.analysis.wording import count, with_range
from experiments.plots.value_names import show

if TYPE_CHECKING:
    import pandas as pd

    from experiments.claims import Verdict


def answer(verdicts: Sequence[Verdict], finding: str, summary: pd.DataFrame | None) -> list[str]:
    """Return paragraphs: what the claims came to, the first figure's finding, the extremes of the summary.

    Each is left out where there is nothing to say; that with a number comes first.
    """
    told = [
        _of_verdicts(verdicts),
        f"{finding}." if finding else "",
        _of_summary(summary) if summary is not None else "",
    ]
    return [text for text in told if text]


def _of_verdicts(verdicts: Sequence[Verdict]) -> str:
    """``Supported: share per layer 0.236 (0.23 to 0.24, n = 6), where < 0.25 is asked.``"""
    if not verdicts:
        return ""
    lead, row = verdicts[0].lead, verdicts[0].row()
    measured = f": {row['unit']} {lead.numbers}, where {lead.demand} is asked" if lead.n else ""
    first = f"{row['status'].capitalize()}{measured}."
    if len(verdicts) == 1:
        return first
    counts = Counter(verdict.status for verdict in verdicts)
    statuses = ", ".join(f"{many} {status}" for status, many in counts.items())
    return f"Of {count(len(verdicts), 'claim')} {statuses}. The first is {first[:1].lower()}{first[1:]}"


def _of_summary(summary: pd.DataFrame) -> str:
    """The settings that pass the least and the most gradient back per layer, and how well they learn."""
    known = summary[summary["decay_start"].notna()] if "decay_start" in summary else summary[:0]
    if not len(known):
        return ""
    keys = [name for name in fields_before(summary, "n") if len(known[name].unique()) > 1]
    least, most = (
        known.loc[place] for place in (known["decay_start"].idxmin(), known["decay_start"].idxmax())
    )
    sentence = (
        f"At the start, the gradient ‖delta‖ in {setting_name(least, keys)} is multiplied by "
        f"{_with_range(least, 'decay_start')} for each layer nearer the input"
    )
    if len(known) > 1:
        sentence += f", the smallest factor of {len(known)} settings; the largest is "
        sentence += f"{_with_range(most, 'decay_start')}, in {setting_name(most, keys)}"
    return f"{sentence}.{_learnt(summary, keys)}"


def _learnt(summary: pd.DataFrame, keys: Sequence[str]) -> str:
    """The best and the worst training accuracy (or R²) at the end, where anything was trained."""
    score = R2 if R2.train in summary and summary["accuracy"].isna().all() else ACCURACY
    known = summary[summary[score.train].notna()] if score.train in summary else summary[:0]
    if len(known) < 2:
        return ""
    ends = known[score.train].idxmin(), known[score.train].idxmax()
    worst, best = (known.loc[place] for place in ends)
    return (
        f" After the last update, {score.words(score.train)} reaches from {_with_range(worst, score.train)} "
        f"in {setting_name(worst, keys)} to {_with_range(best, score.train)} in {setting_name(best, keys)}."
    )


def setting_name(row: Any, keys: Sequence[str]) -> str:
    """``sigmoid, depth 20``: an activation speaks for itself, other fields are named."""
    parts = [f"{row[key]}" if key == "activation" else f"{key} {show(row[key])}" for key in keys]
    return ", ".join(parts) or "the one setting"


def _with_range(row: Any, name: str) -> str:
    """``0.236 (0.23 to 0.24 over 6 seeds)``."""
    return with_range(row[name], row[f"{name}_low"], row[f"{name}_high"], f" over {int(row['n'])} seeds")
