"""Records of several experiments as one: each run once, and a column that says whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from experiments.config.vocabulary import Run
from experiments.storage.recorded import RECORDED
from experiments.storage.records import EXPERIMENT, Records

if TYPE_CHECKING:
    import pandas as pd


def together(parts: Mapping[str, Records]) -> Records:
    """Return the runs of several experiments, by name, each once, in their order.

    Column `experiment` of `runs` names the experiments that have the run. A probe that only some experiments
    have measured is NaN in the others' rows.
    """
    owners: dict[str, list[str]] = {}
    kept = []
    for name, part in parts.items():
        new = [run for run in part.runs["run_id"] if run not in owners]
        for run in part.runs["run_id"]:
            owners.setdefault(run, []).append(name)
        kept.append(part.of(new))
    records = Records.concat(kept)
    records.runs[EXPERIMENT] = [", ".join(owners[run]) for run in records.runs["run_id"]]
    records.runs.attrs |= {"experiment": " and ".join(parts), "asked": len(records.runs)}
    recorded = {r: f for part in parts.values() for r, f in part.runs.attrs.get(RECORDED, {}).items()}
    records.runs.attrs |= {RECORDED: recorded} if recorded else {}
    told = dict.fromkeys(part.layers.attrs["measured_on"] for part in parts.values())
    records.layers.attrs["measured_on"] = "; ".join(told)
    return records


def alike(runs: pd.DataFrame) -> str:
    """Return a sentence where two runs have the same settings and yet are not one run, else an empty text.

    They were recorded at other steps, with other probes or on other examples. No figure can show both, for
    the median over seeds would count one seed twice.
    """
    settings = [field.name for field in fields(Run)]
    twice = runs[runs.duplicated(settings, keep=False)]
    if not len(twice):
        return ""
    first, second = (dict(row) for _, row in twice.sort_values(settings).head(2).iterrows())
    return (
        f"run {first['run_id']} of {first[EXPERIMENT]} and run {second['run_id']} of {second[EXPERIMENT]} "
        "have the same settings, and were measured at other steps, by other probes or on other examples. A "
        "figure cannot show both: draw the experiments apart, or compare them as frames with load([…])"
    )
