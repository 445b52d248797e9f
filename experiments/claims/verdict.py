"""What a claim comes to: a verdict that follows from the numbers alone.

A claim measures one number at one or more settings. At each, the rule holds if the whole range over seeds
lies on the right side of the bound, fails if the whole range lies on the wrong side, and is open otherwise.
Everywhere true is *supported*, nowhere *contradicted*, here but not there *conditional*: once it is seen to
hold at one setting and to fail at another, nothing that an open one could turn out to be changes that. Short
of it, whatever is open makes the verdict *inconclusive*, and too few seeds anywhere always do: never a crash,
never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.analysis.ratios import probe_column
from experiments.claims.declarations import CLAIMS, rule_of
from experiments.config.kinds import probe_kind

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

Status = Literal["supported", "conditional", "contradicted", "inconclusive"]
Side = Literal["below", "above"]

FEWEST_SEEDS = 6  # their range covers the median with probability 1 − 2⁻⁵ = 97 %
COLUMNS = ("claim", "status", "value", "low", "high", "bound", "n", "unit", "condition", "rule")


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

    @classmethod
    def single(cls, setting: str, value: float, n: int, bound: float, holds: bool | None) -> Evidence:
        """One value found over n points or seeds, for a rule that has been asked already."""
        return cls(setting, float(value), float(value), float(value), n, bound, holds)

    @classmethod
    def exact(
        cls, setting: str, values: Iterable[float], target: float, *, fewest: int = FEWEST_SEEDS
    ) -> Evidence:
        """Hold the values against a number that each has to equal to the last digit."""
        found = np.asarray(list(values), float)
        middle, low, high = _range(found[~np.isnan(found)])
        decided = len(found) >= fewest and not np.isnan(found).any()
        holds = bool((found == target).all()) if decided else None
        return cls(setting, middle, low, high, int((~np.isnan(found)).sum()), target, holds)


def _range(values: np.ndarray) -> tuple[float, float, float]:
    if not len(values):
        return np.nan, np.nan, np.nan
    with np.errstate(invalid="ignore"):  # between −inf and inf there is no middle: NaN
        return float(np.median(values)), float(values.min()), float(values.max())


@dataclass(frozen=True)
class Verdict:
    """A claim's status with the number it hangs on; a row of claims.csv, and a card of the report.

    value, low, high, bound and n are those of the leading evidence (the first); `condition` says where the
    claim holds and where it does not, or for an inconclusive one what is missing and what to change.
    `remarks` are sentences with numbers measured beside it, on which the status does not rest.
    """

    status: Status
    rule: str = ""
    unit: str = ""
    condition: str = ""
    evidence: tuple[Evidence, ...] = ()
    remarks: tuple[str, ...] = ()
    claim: str = ""

    def row(self) -> dict[str, Any]:
        """The verdict under the names of COLUMNS."""
        lead = self.evidence[0] if self.evidence else Evidence.single("", np.nan, 0, np.nan, None)
        numbers = {name: getattr(lead, name) for name in ("value", "low", "high", "bound", "n")}
        words = {name: getattr(self, name) for name in ("claim", "status", "unit", "condition", "rule")}
        return {name: (numbers | words)[name] for name in COLUMNS}


def decide(
    evidence: Iterable[Evidence], unit: str = "", *, condition: str = "", remarks: Iterable[str] = ()
) -> Verdict:
    """The verdict on a rule that is claimed to hold at every setting of the evidence.

    `condition` puts into words what separates the settings where it holds from the others; without it they
    are listed.
    """
    found = tuple(evidence)
    held, failed, _ = _sides(found)
    if held and failed:
        return _verdict("conditional", found, unit, condition or _listed(found), remarks, is_settled=True)
    status: Status = "supported" if held else "contradicted"
    return _verdict(status, found, unit, condition, remarks, is_settled=False)


def decide_parts(evidence: Iterable[Evidence], unit: str = "", *, remarks: Iterable[str] = ()) -> Verdict:
    """The verdict on one statement in several parts, all of which it takes: any that fails contradicts it."""
    found = tuple(evidence)
    _, failed, _ = _sides(found)
    status: Status = "contradicted" if failed else "supported"
    return _verdict(status, found, unit, _listed(found), remarks, is_settled=bool(failed))


def _verdict(
    status: Status,
    found: tuple[Evidence, ...],
    unit: str,
    condition: str,
    remarks: Iterable[str],
    *,
    is_settled: bool,
) -> Verdict:
    """This status, unless nothing was found, seeds are too few, or what is open can still change it."""
    _, _, open_ = _sides(found)
    if not found or _few(open_) or (open_ and not is_settled):
        status, condition = "inconclusive", _why_open(open_)
    elif status == "supported":
        condition = ""
    return Verdict(status, unit=unit, condition=condition, evidence=found, remarks=tuple(remarks))


def _sides(evidence: Iterable[Evidence]) -> list[list[Evidence]]:
    """Where it holds, where it fails, where it is open."""
    return [[e for e in evidence if e.holds is side] for side in (True, False, None)]


def _few(evidence: Iterable[Evidence]) -> bool:
    return any(e.n < FEWEST_SEEDS for e in evidence)


def _listed(evidence: Iterable[Evidence]) -> str:
    sides = zip(("holds for", "fails for", "open for"), _sides(evidence), strict=True)
    return "; ".join(f"{word} {', '.join(e.setting for e in side)}" for word, side in sides if side)


def _why_open(evidence: Sequence[Evidence]) -> str:
    if not evidence:
        return "nothing was measured; change the config: add the settings that the claim compares"
    first = min(evidence, key=lambda e: e.n)
    if first.n < FEWEST_SEEDS:
        seeds = f"[{', '.join(map(str, range(FEWEST_SEEDS)))}]"
        return (
            f"{first.setting}: {first.n} seeds of at least {FEWEST_SEEDS} have a value, which one that "
            f"diverged has not; change the config: seed: {seeds}"
        )
    return (
        f"{first.setting}: over {first.n} seeds from {first.low:.3g} to {first.high:.3g}, around "
        f"{first.bound:g} or with a value missing; change the config: seed: more of them"
    )


def judge(claims: Iterable[str], records: Records) -> list[Verdict]:
    """Every claim's verdict; one that the records cannot decide is inconclusive and says why."""
    return [replace(_judge(CLAIMS.bind(text), records), claim=text, rule=rule_of(text)) for text in claims]


def _judge(claim: partial[Verdict], records: Records) -> Verdict:
    try:
        for probe in getattr(claim.func, "needs", ()):
            require(probe, records)
        return claim(records)
    except Undecided as undecided:
        return Verdict("inconclusive", condition=str(undecided))


def require(probe: str, records: Records) -> None:
    """That the probe was recorded, whatever its options; else Undecided."""
    named = (*records.unit_probes, *records.distributions)
    if probe_column(records.layers, probe) is None and probe not in named:
        raise Undecided(f"{probe} was not recorded", f"{probe_kind(probe)}s: add {probe}")


def table(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """claims.csv as a frame."""
    import pandas as pd

    return pd.DataFrame([verdict.row() for verdict in verdicts], columns=list(COLUMNS))
