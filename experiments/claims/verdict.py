"""What a claim comes to: a verdict that follows from the numbers alone.

A claim measures one number at one or more settings. At each, the rule holds if the whole range over seeds
lies on the right side of the bound, fails if the whole range lies on the wrong side, and is open otherwise.
Everywhere true is *supported*, nowhere *contradicted*, here but not there *conditional*: once it is seen to
hold at one setting and to fail at another, nothing that an open one could turn out to be changes that. Short
of it, whatever is open makes the verdict *inconclusive*, and too few seeds anywhere always do.

Only evidence of the claim itself is counted so. A control or check that fails, or is open, makes the verdict
inconclusive and says which. A claim whose own code fails is inconclusive too, and stops no other.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.analysis.ratios import is_recorded
from experiments.analysis.wording import count
from experiments.claims.declarations import CLAIMS, rule_of
from experiments.claims.evidence import FEWEST_SEEDS, SEEDS, Evidence, Role, Side, claimed, corrected, margin
from experiments.config.kinds import probe_kind
from experiments.storage.blame import blamed

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

__all__ = [
    "FEWEST_SEEDS", "Evidence", "Role", "Side", "Status", "Undecided", "Verdict", "decide", "decide_parts",
    "enough_seeds", "judge", "require", "table",
]  # fmt: skip

Status = Literal["supported", "conditional", "contradicted", "inconclusive"]
Condition = str | Callable[[Sequence[Evidence]], str]

COLUMNS = (
    "claim", "status", "value", "low", "high", "bound", "n", "unit", "condition", "rule", "side",
    "comparisons",
)  # fmt: skip
NAMED = 3  # how many open settings a reason names


class Undecided(Exception):
    """The records cannot decide a claim: the reason, and the line of the config to change."""

    def __init__(self, reason: str, change: str) -> None:
        super().__init__(f"{reason}; change the config: {change}")


@dataclass(frozen=True)
class Verdict:
    """A claim's status with the number it hangs on; a row of claims.csv, and a card of the report.

    value, low, high, bound, side and n are those of the leading evidence: the first with the role "claim".
    `unit` names its number; if it is empty, the leading evidence's unit or setting does. `condition` says
    where the claim holds and where it does not, or for an inconclusive one what is missing and what to
    change. `remarks` are sentences with numbers measured beside it, on which the status does not rest.
    `error` is what the claim's own code failed with, if it did.
    """

    status: Status
    rule: str = ""
    unit: str = ""
    condition: str = ""
    evidence: tuple[Evidence, ...] = ()
    remarks: tuple[str, ...] = ()
    claim: str = ""
    comparisons: int = 0
    error: str = ""

    @property
    def lead(self) -> Evidence:
        """The evidence that stands for all in a table of verdicts."""
        return (claimed(self.evidence) or [*self.evidence, Evidence.single("", np.nan, 0, np.nan, None)])[0]

    @property
    def chance(self) -> str:
        """How many comparisons the verdict rests on, and what chance can do among them."""
        chancy = [e for e in claimed(self.evidence) if e.by_chance and not e.few]
        counts = [e.n for e in chancy if e.sampled]
        if not counts:
            told = f"It rests on {count(self.comparisons, 'comparison')}. What each allows for chance"
            return f"{told} stands beside it." if chancy else ""
        n = max(min(counts), FEWEST_SEEDS)
        at_the_bound = f"{100 * 2.0 ** (1 - n):.2g} %"
        words = (
            f"It rests on {count(self.comparisons, 'comparison')} of n = {n} values or more. If a median lay "
            f"exactly at its bound, all values would fall on one side with probability {at_the_bound}"
        )
        away = margin(self.comparisons, n)
        if not away:
            return f"{words}; in all, chance decides with less than 5 %."
        return (
            f"{words}. So that chance decides any of them with less than 5 % in all, every value has to be "
            f"away from its bound by at least {away:.2g} times the values' range."
        )

    def row(self) -> dict[str, Any]:
        """The verdict under the names of COLUMNS."""
        numbers = {name: getattr(self.lead, name) for name in ("value", "low", "high", "bound", "n", "side")}
        words = ("claim", "status", "condition", "rule", "comparisons")
        found = numbers | {name: getattr(self, name) for name in words}
        named = self.unit or self.lead.unit or self.lead.setting  # no number without the name of what it is
        return {name: (found | {"unit": named})[name] for name in COLUMNS}


def decide(
    evidence: Iterable[Evidence], unit: str = "", *, condition: Condition = "", remarks: Iterable[str] = (),
    setting_of: Callable[[Evidence], str] | None = None,
) -> Verdict:  # fmt: skip
    """The verdict on a rule that is claimed to hold at every setting.

    Each piece of evidence is a setting of its own, or those with the same `setting_of` are the parts of one:
    the rule holds there if all its parts hold and fails if any does. `condition` puts into words what
    separates the settings where it holds from the others: a text, or a function of the evidence. Without it
    they are listed.
    """
    found, comparisons = corrected(evidence)
    settings = _settings(found, setting_of)
    sides = {_together(parts) for parts in settings}
    status: Status = (
        "conditional" if {True, False} <= sides else "supported" if True in sides else "contradicted"
    )
    open_ = [e for parts in settings if _together(parts) is None for e in parts if e.holds is None]
    if reason := _why_not(found, [] if status == "conditional" else open_):
        status, words = "inconclusive", reason
    else:
        words = _words(status, found, condition)
    return Verdict(
        status, unit=unit, condition=words, evidence=found, remarks=tuple(remarks), comparisons=comparisons
    )


def decide_parts(evidence: Iterable[Evidence], unit: str = "", *, remarks: Iterable[str] = ()) -> Verdict:
    """The verdict on one statement in several parts, all of which it takes: any that fails contradicts it."""
    return decide(evidence, unit, condition=_listed, remarks=remarks, setting_of=lambda e: "the statement")


def _settings(
    found: Iterable[Evidence], setting_of: Callable[[Evidence], str] | None
) -> list[list[Evidence]]:
    """The claim's own evidence, by setting."""
    if setting_of is None:
        return [[e] for e in claimed(found)]
    settings: dict[str, list[Evidence]] = {}
    for e in claimed(found):
        settings.setdefault(setting_of(e), []).append(e)
    return list(settings.values())


def _together(parts: Iterable[Evidence]) -> bool | None:
    """Whether a statement holds that takes all of its parts."""
    sides = {e.holds for e in parts}
    return False if False in sides else None if None in sides else True


def _words(status: Status, found: Sequence[Evidence], condition: Condition) -> str:
    """Where it holds and where it does not, and how many controls and checks hold."""
    told = condition(found) if callable(condition) else condition
    told = "" if status == "supported" else told or _listed(found)
    parts = [told, _counted("control", found), _counted("check", found)]
    return "; ".join(filter(None, parts))


def _listed(evidence: Sequence[Evidence]) -> str:
    """Where it holds, where it fails and where it is open."""
    words = {True: "holds for", False: "fails for", None: "open for"}
    sides = {word: [e.setting for e in claimed(evidence) if e.holds is side] for side, word in words.items()}
    return "; ".join(f"{word} {', '.join(some)}" for word, some in sides.items() if some)


def _counted(role: str, evidence: Iterable[Evidence]) -> str:
    """``1 control holds``, ``3 checks hold``; nothing where there are none."""
    n = sum(e.role == role for e in evidence)
    return f"{count(n, role)} {'holds' if n == 1 else 'hold'}" if n else ""


def _why_not(found: Sequence[Evidence], open_: Sequence[Evidence]) -> str:
    """Why nothing can be said, the first thing to mend first; empty where something can.

    open_: what is open of the claim's own evidence and can still change the status.
    """
    if not claimed(found):
        return "nothing was measured; change the config: add the settings that the claim compares"
    guards = [e for e in found if e.role in ("control", "check")]
    for e in guards:
        if e.holds is False:
            return f"the {e.role} failed: {e.sentence()}"
    if few := [e for e in (*claimed(found), *guards) if e.few]:
        changes = dict.fromkeys(e.to_change or SEEDS for e in few)
        return f"{_reasons(few)}; change the config: {'; '.join(changes)}"
    if open_:
        changes = "; ".join(dict.fromkeys(e.to_change for e in open_ if e.to_change))
        return f"{_reasons(open_)}{f'; change the config: {changes}' if changes else ''}"
    open_guards = [e for e in guards if e.holds is None]
    return f"the {open_guards[0].role} is open: {_reasons(open_guards)}" if open_guards else ""


def _reasons(open_: Sequence[Evidence]) -> str:
    told = [f"{e.setting}: {e.why_open or 'the number cannot be told'}" for e in open_[:NAMED]]
    more = f" (and {len(open_) - NAMED} more)" if len(open_) > NAMED else ""
    return "; ".join(told) + more


# Judging --------------------------------------------------------------------------------------------------


def judge(claims: Iterable[str], records: Records) -> list[Verdict]:
    """Every claim's verdict; one that the records cannot decide is inconclusive and says why.

    So is one whose code raises an error; `Verdict.error` then has it, and the others are judged all the same.
    What overflows or is divided by 0 becomes infinite or NaN, whatever the caller has NumPy do about it.
    """
    with np.errstate(all="ignore"):
        return list(_verdicts(claims, records))


def _verdicts(claims: Iterable[str], records: Records) -> Iterator[Verdict]:
    for text in claims:
        yield replace(_judge(CLAIMS.bind(text), records), claim=text, rule=rule_of(text))


def _judge(claim: partial[Verdict], records: Records) -> Verdict:
    try:
        for probe in getattr(claim.func, "needs", ()):
            require(probe, records)
        return _with_fate(claim(records), records)
    except Undecided as undecided:
        return Verdict("inconclusive", condition=str(undecided))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other claims are to be judged
        words = f"{type(error).__name__}: {error} ({blamed(error) or _place(error)})"
        return Verdict("inconclusive", condition=f"the claim's own code failed: {words}", error=words)


def _place(error: Exception) -> str:
    """Where an error was raised, within the project if it was: ``deaths.py, line 90``."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "experiments" in Path(frame.filename).parts] or frames
    return f"{Path(ours[-1].filename).name}, line {ours[-1].lineno}"


def _with_fate(verdict: Verdict, records: Records) -> Verdict:
    """With what became of the runs, where the reason is that seeds lack a value."""
    if verdict.status != "inconclusive" or not any(e.missing for e in verdict.evidence):
        return verdict
    counts = records.runs["status"].value_counts()
    lost = [f"{counts[status]} {status}" for status in ("diverged", "crashed") if status in counts]
    told = (
        f"of all {count(len(records.runs), 'run')} {' and '.join(lost)}"
        if lost
        else "no run diverged or crashed: the quantity was not measured or is not defined there"
    )
    return replace(verdict, condition=f"{verdict.condition} ({told})")


def require(probe: str, records: Records) -> None:
    """That the probe was recorded, whatever its options; else Undecided."""
    if not is_recorded(records, probe):
        raise Undecided(f"{probe} was not recorded", f"{probe_kind(probe)}s: add {probe}")


def enough_seeds(runs: pd.DataFrame) -> None:
    """That there are seeds to judge by, before networks are drawn for them; else Undecided."""
    if (seeds := runs["seed"].nunique()) < FEWEST_SEEDS:
        raise Undecided(f"{count(seeds, 'seed')} of at least {FEWEST_SEEDS}", SEEDS)


def table(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """claims.csv as a frame."""
    import pandas as pd

    return pd.DataFrame([verdict.row() for verdict in verdicts], columns=list(COLUMNS))
