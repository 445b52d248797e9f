"""The verification of stored runs: each is trained again, and its gradient is computed by other methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import datasets
from experiments.config import Experiment, Run
from experiments.storage.records import COLUMNS, Records, run_of
from experiments.verification.laws import CHECKS, Subject

if TYPE_CHECKING:
    from experiments.storage.store import Store

EXAMPLES = 32  # the number of training examples in the gradient checks
DEEPEST = 100  # the largest depth with gradient checks: in deeper networks rounding hides the differences
STAMP = "verified.json"


@dataclass(frozen=True)
class Finding:
    """The result of a check on one run: gap, tolerance, and whether they agree (None: not applicable).

    note: of the check "records" the frames that differ. left_out: how many examples the check left out,
    because they lie on a kink, where the slope is a convention.
    """

    run_id: str
    check: str
    gap: float
    tolerance: float
    agrees: bool | None
    note: str = ""
    left_out: int = 0

    def message(self) -> str:
        """Return the disagreement in one line."""
        return f"{self.run_id}: {self.check} disagrees: {self.note or f'{self.gap:.2g} > {self.tolerance:g}'}"


def verify(experiment: Experiment, records: Records, picked: Sequence[str]) -> Iterator[Finding]:
    """Train the picked runs again from their stored fields, and yield the finding of each check."""
    from experiments.sweeps.runner import run_stack

    stored = records.runs.set_index("run_id")
    for name in picked:
        run = run_of(stored.loc[name])
        yield _same_records(name, run_stack([run], experiment.recording), records)
        yield from _gradients(name, run)


def _same_records(name: str, again: Records, stored: Records) -> Finding:
    """Compare all columns except `seconds`, bit for bit; NaN equals NaN."""
    stored_run = stored.of([name])
    again = again.of([name])
    different = []
    for frame in COLUMNS:
        ours, theirs = getattr(again, frame, None), getattr(stored_run, frame, None)
        if ours is None or theirs is None:
            continue
        columns = [c for c in theirs.columns if c != "seconds"]
        if not ours[columns].equals(theirs[columns]):
            different.append(frame)
    return Finding(name, "records", float(len(different)), 0.0, not different, ", ".join(different))


def _gradients(name: str, run: Run) -> Iterator[Finding]:
    data = datasets.load(run.dataset)
    x, y = data.x[:EXAMPLES].astype(np.float64), data.y[:EXAMPLES]
    subject = Subject.of(run, x, y, data.classes)
    with np.errstate(all="ignore"):
        finite = run.depth <= DEEPEST and np.isfinite(subject.loss())
        on_kinks = len(subject.x) - len(subject.off_kinks().x)
        for check, function in CHECKS.items():
            gap = function(subject) if finite else None
            limit = function.tolerance
            agrees = None if gap is None else bool(gap <= limit)
            left_out = on_kinks if check == "finite_difference" else 0
            yield Finding(name, check, np.nan if gap is None else gap, limit, agrees, left_out=left_out)


def stamp(store: Store, findings: Sequence[Finding]) -> dict[str, Any]:
    """Write what was verified, when and with which versions, into the store, and return it."""
    import json

    from experiments.storage.provenance import facts

    checks = {}
    for check in dict.fromkeys(finding.check for finding in findings):
        made = [f for f in findings if f.check == check and f.agrees is not None]
        worst = max((f.gap for f in made), default=None)
        checks[check] = {
            "runs": len(made),
            "disagree": sum(not f.agrees for f in made),
            "worst": worst,
            "examples_left_out": sum(f.left_out for f in findings if f.check == check),
        }
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    known = {"verified": now, "runs": len({f.run_id for f in findings}), "checks": checks, **facts()}
    store.write(STAMP, json.dumps(known, indent=2, default=str).encode())
    return known
