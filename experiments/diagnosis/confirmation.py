"""Try the cures: train each on the seeds of the ill runs, and report the paired gain, helpful or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import config
from experiments.analysis.ratios import fields_before
from experiments.analysis.score import score_of
from experiments.config import Recording, Run, keys_of
from experiments.diagnosis.cures import cures
from experiments.diagnosis.signals import data_facts
from experiments.diagnosis.yardstick import yardstick
from experiments.storage.records import run_of
from experiments.sweeps.in_memory import train_in_memory

if TYPE_CHECKING:
    import pandas as pd

    from mlp.network import Network

MOST = 6  # cures of one finding
HELPS = 0.03  # of accuracy: a smaller gain is not worth a change
CLOSES = 1 / 3  # of the distance to the yardstick: what gains less leaves the network ill
TRIED = ("cure", "accuracy_before", "accuracy", "gain", "gain_low", "gain_high", "seeds", "helps")


def changed(run: Run, cure: str) -> Run:
    """Return the run under a cure, which is one or several overrides separated by blanks."""
    mapping = {"question": "?", "base": {name: getattr(run, name) for name in keys_of(Run)}}
    return config.from_mapping(mapping, overrides=cure.split()).base


def confirm(
    table: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    jobs: int = 0,
    advance: Callable[[int], None] = lambda runs: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Try the cures of every setting's cause; return the findings with the outcome, and all that was tried.

    `table` is a diagnosis of the runs in `runs`. In the findings `cure` becomes the first cure that helps on
    every seed, cure_gain, cure_gain_low and cure_gain_high the median and range over seeds of what the
    accuracy gains by it, and confirmed "yes"; "no" where none helps, with the best that was tried.
    `cure_gain` is of the training accuracy, against overfitting of the test accuracy; a run that diverges
    counts as a guess of the commonest class. Second frame: the swept fields, mechanism and TRIED.
    """
    import pandas as pd

    fields = fields_before(table, "rank")
    findings, tried = table.copy(), []
    for index, row in table.iterrows():
        if row["rank"] != 1 or row["mechanism"] == "healthy":
            continue
        seeds = _seeds(runs, fields, row)
        rows = _try(row["mechanism"], row["value"], seeds, jobs, advance)
        tried += [{name: row[name] for name in [*fields, "mechanism"]} | each for each in rows]
        if rows:
            _note(findings, index, rows, data_facts(seeds[0].dataset, seeds[0].loss).score)
    return findings, pd.DataFrame(tried, columns=[*fields, "mechanism", *TRIED])


def _seeds(runs: pd.DataFrame, fields: Sequence[str], row: Any) -> list[Run]:
    """The runs of a row's setting, one per seed."""
    for name in fields:
        runs = runs[
            runs[name].isna() if row[name] is None or row[name] != row[name] else runs[name] == row[name]
        ]
    return [run_of(each) for each in runs.to_dict("records")]


def _try(
    mechanism: str, value: float, seeds: Sequence[Run], jobs: int, advance: Callable[[int], None]
) -> list[dict[str, Any]]:
    """What each cure brings, in the order in which they are proposed."""
    column = "test_accuracy" if mechanism == "overfitting" else "accuracy"
    proposed = cures(mechanism, seeds[0], value)[:MOST]
    cured = {cure: [changed(run, cure) for run in seeds] for cure in proposed}
    everything = list(dict.fromkeys([*seeds, *(run for runs in cured.values() for run in runs)]))
    reached = reached_by(everything, column, jobs=jobs, advance=advance)
    before = np.array([reached[run] for run in seeds])
    best = getattr(yardstick(seeds[0].dataset, seeds[0].loss, seeds[0].batch), column)
    missing = max(0.0, best - float(np.median(before)))
    rows = []
    for cure, runs in cured.items():
        after = np.array([reached[run] for run in runs])
        gain = after - before
        rows.append({
            "cure": cure, "accuracy_before": float(np.median(before)), "accuracy": float(np.median(after)),
            "gain": float(np.median(gain)), "gain_low": float(gain.min()), "gain_high": float(gain.max()),
            "seeds": len(seeds), "helps": helps(gain, missing),
        })  # fmt: skip
    return rows


def helps(gain: np.ndarray, missing: float = 0.0) -> bool:
    """Whether gains of accuracy, one per seed, are worth a change: every seed gains, and the median is clear.

    Clear is more than HELPS, and a third of what the network is `missing`.
    """
    return bool(np.median(gain) > max(HELPS, CLOSES * missing) and gain.min() > 0)


def reached_by(
    runs: Sequence[Run],
    column: str,
    *,
    jobs: int = 0,
    advance: Callable[[int], None] = lambda runs: None,
    lesion: Callable[[Network], None] | None = None,
) -> dict[Run, float]:
    """Return each run's accuracy after its last update; of one that diverged, that of the commonest class."""
    recording = Recording(probes=(), watch=2)
    found = train_in_memory(runs, recording, jobs=jobs, advance=advance, lesion=lesion)
    ends = found.steps.sort_values("step").groupby("run_id")[score_of(found).of(column)].last()
    return {
        (run := run_of(row)): float(ends[row["run_id"]])
        if row["status"] == "ok"
        else data_facts(run.dataset, run.loss).majority
        for row in found.runs.to_dict("records")
    }


def _note(findings: pd.DataFrame, index: Any, rows: Sequence[dict[str, Any]], score: str) -> None:
    """Write the first cure that helps, or the best that does not, into a finding."""
    helps = [row for row in rows if row["helps"]]
    chosen = helps[0] if helps else max(rows, key=lambda row: row["gain"])
    findings.loc[index, ["cure", "cure_gain", "cure_gain_low", "cure_gain_high", "confirmed"]] = [
        chosen["cure"], chosen["gain"], chosen["gain_low"], chosen["gain_high"], "yes" if helps else "no",
    ]  # fmt: skip
    said = str(findings.loc[index, "sentence"]).rpartition(" Try ")[0] or findings.loc[index, "sentence"]
    findings.loc[index, "sentence"] = f"{said} {_said(chosen, bool(helps), score)}"


def _said(row: dict[str, Any], helps: bool, score: str) -> str:
    """What was tried, and what came of it."""
    numbers = (
        f"{score} {row['accuracy_before']:.2f} becomes {row['accuracy']:.2f} (gain {row['gain']:+.2f}, "
        f"{row['gain_low']:+.2f} to {row['gain_high']:+.2f} over {row['seeds']} seeds)"
    )
    if helps:
        return f"Tried: with {row['cure']} the {numbers}."
    return f"None of the cures tried helps enough on every seed; the best, {row['cure']}: the {numbers}."
