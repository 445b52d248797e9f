"""The whole program in order: question, plan, training, summary, figures, verdicts, manifest.

`run`, `load` and `plot` are for Python, `command` is what `scripts/run.py` calls. What is heavy to import is
imported where it is used, so that a config error answers at once.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import config
from experiments.config import Experiment
from experiments.search.rounds import asked_for, rounds, search_of
from experiments.storage.store import Store
from experiments.sweeps.plan import ExecutionOptions, Sweep, survey
from experiments.sweeps.progress import Progress
from experiments.sweeps.sweep import executor, train

if TYPE_CHECKING:
    import pandas as pd

    from experiments.claims import Verdict
    from experiments.storage.records import Records

Source = str | Path | Mapping[str, Any] | Experiment


def load(name: str) -> Records:
    """The stored records of what an experiment's last call asked for."""
    store = Store(name)
    return stored_records(store, stored_experiment(store))


def stored_records(store: Store, experiment: Experiment) -> Records:
    """Of what the store holds, the runs that this experiment asks for, told on what they were measured.

    A user's data are those of the last call, by its manifest: their file may have changed since, or be gone.
    """
    recording = experiment.recording
    records = store.load(asked_for(experiment, store))
    if search := search_of(experiment):
        records.runs.attrs["search"] = asdict(search)
    probe_set = f"one probe set of {recording.probe_set} training examples (or all, where there are fewer)"
    records.layers.attrs["measured_on"] = probe_set if recording.trace == "probe_set" else "each step's batch"
    return records


def plot(name: str, figures: Sequence[str] = ()) -> list[Path]:
    """Draw these figures, or all that the config names, from the stored records; the files written."""
    store = Store(name)
    experiment = stored_experiment(store)
    records = stored_records(store, experiment)
    return [path for text in figures or experiment.figures for path in draw(text, records, store)]


def plan_only(
    source: Source, overrides: Iterable[str] = (), options: ExecutionOptions | None = None
) -> Sweep:
    """What `run` would train, of a search in its first round; nothing is trained and nothing written."""
    experiment = experiment_of(source, overrides)
    store = Store(experiment.name)
    return survey(next(rounds(experiment, store)), store, options or ExecutionOptions())


def experiment_of(source: Source, overrides: Iterable[str] = ()) -> Experiment:
    """The experiment that a file or a dict describes; errors: ConfigError."""
    if isinstance(source, Experiment):
        return source
    if isinstance(source, Mapping):
        return config.from_mapping(source, overrides=overrides)
    return config.load(source, overrides)


@dataclass(frozen=True)
class Outcome:
    """What an experiment came to; `failures` is a line for everything that failed."""

    records: Records
    verdicts: list[Verdict]
    failures: list[str]


def run_experiment(experiment: Experiment, options: ExecutionOptions, progress: Progress) -> Outcome:
    """Plan, train, store, draw and judge one experiment."""
    from experiments.sweeps.executors import ending

    store = Store(experiment.name)
    parts = rounds(experiment, store)
    sweep = survey(next(parts), store, options)
    pool = executor(sweep, options)  # as with data: what cannot be had is refused before anything is written
    with ending(pool), store.sweep() as set_aside:
        for line in set_aside:
            progress.say(line)
        if options.fresh:
            store.fresh()
        done = store.finished(options.rerun_failed)
        sweep = sweep if done == sweep.done else sweep.without(done)  # another sweep may just have ended
        if search := search_of(experiment):
            progress.say(f"a search in at most {search.rounds} rounds, of which this is the first:")
        progress.plan(sweep)
        store.write_manifest(**described(experiment, sweep))
        if sweep.stacks:
            began = time.monotonic()
            train(sweep, store, pool, progress, fail_fast=options.fail_fast)
            store.write_manifest(**trained(sweep, time.monotonic() - began))
        for part in parts:
            _further_round(part, store, options, progress)
        records = stored_records(store, experiment)
        store.write_manifest(runs=len(records.runs))
        return conclude(experiment, records, store, progress)


def _further_round(part: Experiment, store: Store, options: ExecutionOptions, progress: Progress) -> None:
    """Train what one of a search's later rounds lacks, with workers of its own."""
    from experiments.sweeps.executors import ending

    sweep = survey(part, store, replace(options, fresh=False))
    if not sweep.stacks:
        return
    progress.plan(sweep)
    began = time.monotonic()
    with ending(executor(sweep, options)) as pool:
        train(sweep, store, pool, progress, fail_fast=options.fail_fast)
    store.write_manifest(**trained(sweep, time.monotonic() - began))


def conclude(experiment: Experiment, records: Records, store: Store, progress: Progress) -> Outcome:
    """Summary, figures and verdicts into the store and to the terminal."""
    from experiments import claims

    table = summarised(records)
    written = [store.write("summary.csv", table.to_csv(index=False).encode())]
    if search := search_of(experiment):
        from experiments.search import frontier

        found = frontier.with_grid(frontier.table(records, search.accuracy, search.on), search)
        written.append(store.write("frontier.csv", found.to_csv(index=False).encode()))
        progress.frontier(found, search.goal)
    else:
        progress.summary(table)
    failures = crashes(records)
    for text in experiment.figures:
        try:
            written += draw(text, records, store)
        except ValueError as error:
            failures.append(f"figures: {text}: {error}")
    verdicts = claims.judge(experiment.claims, records) if experiment.claims else []
    if verdicts:
        table = claims.table(verdicts)
        progress.verdicts(table)
        written.append(store.write("claims.csv", table.to_csv(index=False).encode()))
    names = [path.relative_to(store.folder).as_posix() for path in written]
    store.write_manifest(written=names)
    progress.wrote(store.folder, names)
    return Outcome(records, verdicts, failures)


def summarised(records: Records) -> pd.DataFrame:
    """The summary of the measurements and, beside the decay at the start, the one that theory expects.

    Column decay_theory: of the median ‖delta‖, by `Prediction.decay`; NaN where theory does not apply.
    """
    from experiments.analysis.ratios import summary
    from experiments.theory.of_records import predictions

    table = summary(records)
    by = list(table.columns[: table.columns.get_loc("n")])
    found = predictions(records)
    runs = records.runs.assign(decay_theory=[found[name].decay() for name in records.runs["run_id"]])
    settings = runs[[*by, "decay_theory"]].drop_duplicates(by)
    table = table.merge(settings, on=by, how="left", validate="one_to_one")
    table.insert(table.columns.get_loc("decay_start_high") + 1, "decay_theory", table.pop("decay_theory"))
    return table


def draw(text: str, records: Records, store: Store) -> list[Path]:
    """One figure's files; errors: ValueError where the records do not hold what it shows, StoreError."""
    from experiments.plots import FIGURES, images

    name = re.sub(r"[^0-9A-Za-z]+", "_", text).strip("_")[:100]
    files = images(FIGURES.bind(text)(records), name)
    return [store.write(f"figures/{file}", data) for file, data in files.items()]


def crashes(records: Records) -> list[str]:
    """One line for each stack that crashed: what its runs have in common, and how it ended."""
    from experiments.analysis.ratios import varying
    from experiments.analysis.wording import count

    lost = records.runs[records.runs["status"] == "crashed"]
    lines = []
    for error, runs in lost.groupby("error", sort=False):
        shared = [name for name in varying(records.runs) if len(runs[name].drop_duplicates()) == 1]
        which = ", ".join(f"{name}={runs[name].iloc[0]}" for name in shared)
        last = str(error).strip().rpartition("\n")[2] or "no reason is known"
        lines.append(f"{count(len(runs), 'run')} crashed{f' ({which})' if which else ''}: {last}")
    return lines


# The manifest ---------------------------------------------------------------------------------------------


def described(experiment: Experiment, sweep: Sweep) -> dict[str, Any]:
    """What was asked for; of a search, `sweep` is its first round."""
    asked = config.to_mapping(experiment)
    return {
        "name": experiment.name,
        "question": experiment.question,
        "config": asked,
        "config_sha256": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest(),
        "runs": len(sweep.runs),
        "data": dict(sweep.prints or {}),
    }


def trained(sweep: Sweep, seconds: float) -> dict[str, Any]:
    """Where the numbers come from that this call has added."""
    from experiments.storage.provenance import facts

    now = datetime.now().astimezone().isoformat(timespec="seconds")
    call = {"runs": sweep.missing, "seconds": round(seconds, 2), "workers": sweep.workers, "ended": now}
    call["blas_threads_a_run"] = 1
    return {"last_training": call, **facts()}


def stored_experiment(store: Store) -> Experiment:
    """The experiment that a store's manifest describes; errors: StoreError."""
    from experiments.storage.files import StoreError

    asked = store.manifest().get("config")
    if asked is None:
        raise StoreError(f"{store.folder}: nothing is stored here. Run the experiment first.")
    return config.from_mapping(asked, store.folder.name)
