"""Pick stored runs, make them again, and hold every number against another way to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import datasets
from experiments.config import Experiment, Run
from experiments.verification.laws import CHECKS, Subject

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records
    from experiments.storage.store import Store

EXAMPLES = 32  # of the training set, for the gradient checks
DEEPEST = 100  # layers up to which the gradient checks are made: beyond, differences drown in rounding
STAMP = "verified.json"


@dataclass(frozen=True)
class Finding:
    """What a check came to on one run: the gap, what is allowed, whether it agrees (None: not applicable)."""

    run_id: str
    check: str
    gap: float
    tolerance: float
    agrees: bool | None
    note: str = ""

    def said(self) -> str:
        """The disagreement in a line."""
        return f"{self.run_id}: {self.check} disagrees: {self.note or f'{self.gap:.2g} > {self.tolerance:g}'}"


def verify(experiment: Experiment, records: Records, picked: Sequence[str]) -> Iterator[Finding]:
    """Findings on these stored runs, as they are made; the runs are rebuilt from their own fields."""
    from experiments.sweeps.runner import run_stack

    stored = records.runs.set_index("run_id")
    for name in picked:
        run = run_of(stored.loc[name])
        yield _same_records(name, run_stack([run], experiment.recording), records)
        yield from _gradients(name, run)


def run_of(row: pd.Series) -> Run:
    """The Run that a row of `runs` describes."""
    plain = Run()
    values = {name: row[name] for name in vars(plain)}
    for name, value in values.items():
        if name == "clip" and value != value:
            values[name] = None
        elif hasattr(value, "item"):
            values[name] = value.item()
    return replace(plain, **values)


def _same_records(name: str, again: Records, stored: Records) -> Finding:
    """Every row but the seconds, to the last bit; NaN equals NaN."""
    one = stored.of([name])
    again = again.of([name])
    wrong = []
    for frame in ("runs", "steps", "layers", "units", "bins"):
        ours, theirs = getattr(again, frame, None), getattr(one, frame, None)
        if ours is None or theirs is None:
            continue
        columns = [c for c in theirs.columns if c != "seconds"]
        if not ours[columns].equals(theirs[columns]):
            wrong.append(frame)
    return Finding(name, "records", float(len(wrong)), 0.0, not wrong, ", ".join(wrong))


def _gradients(name: str, run: Run) -> Iterator[Finding]:
    data = datasets.load(run.dataset)
    x, y = data.x[:EXAMPLES].astype(np.float64), data.y[:EXAMPLES]
    subject = Subject.of(run, x, y, data.classes)
    with np.errstate(all="ignore"):
        finite = run.depth <= DEEPEST and np.isfinite(subject.loss())
        for check, function in CHECKS.items():
            gap = function(subject) if finite else None
            limit = function.tolerance
            agrees = None if gap is None else bool(gap <= limit)
            yield Finding(name, check, np.nan if gap is None else gap, limit, agrees)


def stamp(store: Store, findings: Sequence[Finding]) -> dict[str, Any]:
    """Write what was verified, when and with which versions, beside the results."""
    import json

    from experiments.storage.provenance import facts

    checks = {}
    for check in dict.fromkeys(finding.check for finding in findings):
        found = [f for f in findings if f.check == check and f.agrees is not None]
        worst = max((f.gap for f in found), default=None)
        checks[check] = {"runs": len(found), "disagree": sum(not f.agrees for f in found), "worst": worst}
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    known = {"verified": now, "runs": len({f.run_id for f in findings}), "checks": checks, **facts()}
    store.write(STAMP, json.dumps(known, indent=2, default=str).encode())
    return known
