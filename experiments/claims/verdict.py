"""What a claim comes to: a verdict that follows from the numbers alone.

A claim measures one number at one or more settings. At each, the rule holds if the whole range over seeds
lies on the right side of the bound, fails if the whole range lies on the wrong side, and is open otherwise.
Everywhere true is *supported*, nowhere *contradicted*, here but not there *conditional*; whatever is open, or
rests on too few seeds, makes the verdict *inconclusive*: never a crash, never a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlp.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

    from experiments.records import Records

Status = Literal["supported", "conditional", "contradicted", "inconclusive"]
Side = Literal["below", "above"]

FEWEST_SEEDS = 6  # their range covers the median with probability 1 − 2⁻⁵ = 97 %
COLUMNS = ("claim", "status", "value", "low", "high", "bound", "n", "unit", "condition", "rule")

CLAIMS = Registry("claim")


class Undecided(Exception):
    """The records cannot decide a claim: the reason, and the line of the config to change."""

    def __init__(self, reason: str, change: str) -> None:
        super().__init__(f"{reason}; change the config: {change}")


@dataclass(frozen=True)
class Evidence:
    """The number at one setting: median and range over n seeds, and whether the rule holds there."""

    setting: str
    value: float
    low: float
    high: float
    n: int
    bound: float
    holds: bool | None  # None: the range straddles the bound, a value is missing, or the seeds are too few

    @classmethod
    def of(
        cls, setting: str, values: Iterable[float], side: Side, bound: float, *, fewest: int = FEWEST_SEEDS
    ) -> Evidence:
        """Hold the values, one a seed, against a bound. A value that is NaN leaves the setting open."""
        found = np.asarray(list(values), float)
        if not len(found) or np.isnan(found).any():
            kept = found[~np.isnan(found)]
            middle, low, high = _range(kept)
            return cls(setting, middle, low, high, len(kept), bound, None)
        middle, low, high = _range(found)
        inside, outside = (high < bound, low >= bound) if side == "below" else (low > bound, high <= bound)
        decided = len(found) >= fewest and (inside or outside)
        return cls(setting, middle, low, high, len(found), bound, bool(inside) if decided else None)


def _range(values: np.ndarray) -> tuple[float, float, float]:
    if not len(values):
        return np.nan, np.nan, np.nan
    return float(np.median(values)), float(values.min()), float(values.max())


@dataclass(frozen=True)
class Verdict:
    """A claim's status with the number it hangs on; a row of claims.csv, and a card of the report.

    value, low, high, bound and n are those of the leading evidence (the first); `condition` says where the
    claim holds and where it does not, or for an inconclusive one what is missing and what to change.
    """

    status: Status
    rule: str
    unit: str = ""
    condition: str = ""
    evidence: tuple[Evidence, ...] = ()
    claim: str = ""

    def row(self) -> dict[str, Any]:
        """The verdict under the names of COLUMNS."""
        lead = self.evidence[0] if self.evidence else Evidence("", *[np.nan] * 3, 0, np.nan, None)
        numbers = {name: getattr(lead, name) for name in ("value", "low", "high", "bound", "n")}
        words = {name: getattr(self, name) for name in ("claim", "status", "unit", "condition", "rule")}
        return {name: (numbers | words)[name] for name in COLUMNS}


def decide(evidence: Sequence[Evidence], rule: str, unit: str = "", *, condition: str = "") -> Verdict:
    """The verdict on a rule that is claimed to hold at every setting of the evidence.

    `condition` puts into words what separates the settings where it holds from the others; without it they
    are listed.
    """
    found = tuple(evidence)
    open_ = [e for e in found if e.holds is None]
    if open_ or not found:
        return Verdict("inconclusive", rule, unit, _why_open(open_), found)
    held = [e.setting for e in found if e.holds]
    failed = [e.setting for e in found if not e.holds]
    if not failed:
        return Verdict("supported", rule, unit, "", found)
    if not held:
        return Verdict("contradicted", rule, unit, condition, found)
    told = condition or f"holds for {', '.join(held)}; fails for {', '.join(failed)}"
    return Verdict("conditional", rule, unit, told, found)


def _why_open(evidence: Sequence[Evidence]) -> str:
    if not evidence:
        return "nothing was measured; change the config: add the settings that the claim compares"
    first = evidence[0]
    if first.n < FEWEST_SEEDS:
        seeds = f"[{', '.join(map(str, range(FEWEST_SEEDS)))}]"
        return f"{first.setting}: {first.n} usable seeds of at least {FEWEST_SEEDS}; change: seed: {seeds}"
    return f"{first.setting}: the range over {first.n} seeds straddles {first.bound:g}; add seeds"


def judge(claims: Iterable[str], records: Records) -> list[Verdict]:
    """Every claim's verdict; one that the records cannot decide is inconclusive and says why."""
    return [_judge(CLAIMS.bind(text), text, records) for text in claims]


def _judge(claim: Callable[[Records], Verdict], text: str, records: Records) -> Verdict:
    try:
        verdict = claim(records)
    except Undecided as undecided:
        verdict = Verdict("inconclusive", "", condition=str(undecided))
    return replace(verdict, claim=text)


def table(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """claims.csv as a frame."""
    import pandas as pd

    return pd.DataFrame([verdict.row() for verdict in verdicts], columns=list(COLUMNS))
