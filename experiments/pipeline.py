"""The whole program in order: plan, train, store, summarise, draw and judge one experiment.

`run_experiment` is the program; `load`, `plot` and `plan_only` do parts of it. `cli` has what people call:
`run` for a notebook and the commands of the scripts. Heavy libraries are imported inside the functions that
use them, so that an error in a config is reported at once.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.analysis.wording import count
from experiments.config import Experiment, cautions
from experiments.search.rounds import asked_for, rounds, search_of
from experiments.storage.drawn import Gallery
from experiments.storage.names import Source, experiment_of
from experiments.storage.provenance import question_facts, stored_experiment, training_facts
from experiments.storage.sharing import take_over
from experiments.storage.store import Store
from experiments.sweeps.plan import ExecutionOptions, Sweep, survey
from experiments.sweeps.progress import Progress
from experiments.sweeps.sweep import executor, train

SUMMARY = "summary.csv"

if TYPE_CHECKING:
    import pandas as pd

    from experiments.claims import Verdict
    from experiments.plots import Drawn
    from experiments.storage.records import Records


def load(name: str) -> Records:
    """Return the stored records of the runs that the experiment's last call asked for; errors: StoreError."""
    store = Store(name)
    with undisturbed():
        return stored_records(store, stored_experiment(store))


def stored_records(store: Store, experiment: Experiment) -> Records:
    """Return the stored records of the runs that this experiment asks for.

    A user's data file may have changed since, or be gone, so the fingerprints in the manifest of the last
    call tell which data were used. `runs.attrs["experiment"]` is the experiment's name and ``["asked"]`` the
    number of runs that it asks for; `layers.attrs["measured_on"]` describes the examples of the probe set.
    """
    recording = experiment.recording
    asked = asked_for(experiment, store)
    records = store.load(asked)
    records.runs.attrs |= {"experiment": experiment.name, "asked": len(asked)}
    if search := search_of(experiment):
        records.runs.attrs["search"] = asdict(search)
    probe_set = f"one probe set of {recording.probe_set} training examples (or all, where there are fewer)"
    records.layers.attrs["measured_on"] = probe_set if recording.trace == "probe_set" else "each step's batch"
    return records


def plot(name: str, figures: Sequence[str] = ()) -> list[Path]:
    """Draw these figures, by default those that the config names, from stored records; return the files."""
    from experiments.plots.album import draw

    store = Store(name)
    with undisturbed():
        experiment = stored_experiment(store)
        records = stored_records(store, experiment)
        gallery = Gallery(store, records)
        drawn = draw(figures or experiment.figures, experiment, records, gallery)
    if failures := failed(drawn):
        raise ValueError("\n".join(failures))
    return [path for each in drawn for path in each.files]


def failed(drawn: Iterable[Drawn]) -> list[str]:
    """Return a line for each figure that could not be drawn."""
    return [f"figures: {each.text}: {each.failure}" for each in drawn if each.failure]


def plan_only(
    source: Source,
    overrides: Iterable[str] = (),
    options: ExecutionOptions | None = None,
    *,
    name: str | None = None,
) -> Sweep:
    """Return what `run` would train (of a search: its first round) without training or writing."""
    experiment = experiment_of(source, overrides, name)
    store = Store(experiment.name)
    return survey(next(rounds(experiment, store)), store, options or ExecutionOptions())


@dataclass(frozen=True)
class Outcome:
    """The result of an experiment; `failures` has one line for each stack or figure that failed."""

    records: Records
    verdicts: list[Verdict]
    failures: list[str]


def run_experiment(experiment: Experiment, options: ExecutionOptions, progress: Progress) -> Outcome:
    """Plan, train, store, draw and judge one experiment."""
    with undisturbed():
        return _run(experiment, options, progress)


def _run(experiment: Experiment, options: ExecutionOptions, progress: Progress) -> Outcome:
    from experiments.sweeps.executors import ending

    store = Store(experiment.name)
    planned = rounds(experiment, store)
    sweep = survey(next(planned), store, options)
    pool = executor(sweep, options)  # an unreachable cluster is an error before anything is written
    with ending(pool), store.sweep() as repairs:
        for line in repairs:
            progress.say(line)
        if options.fresh:
            store.fresh()
        take_over(store, sweep.elsewhere)
        done = store.finished(options.rerun_failed)
        sweep = sweep if done == sweep.done else sweep.without(done)  # another sweep may just have ended
        if search := search_of(experiment):
            progress.say(f"a search in at most {search.rounds} rounds, of which this is the first:")
        progress.plan(sweep)
        slips = cautions(experiment)
        for line in slips:
            progress.say(f"warning: {line}")
        store.write_manifest(**question_facts(experiment, len(sweep.runs), sweep.prints), warnings=slips)
        _train(sweep, store, pool, options, progress)
        for later_round in planned:
            _train_round(later_round, store, options, progress)
        records = stored_records(store, experiment)
        store.write_manifest(runs=len(records.runs))
        return conclude(experiment, records, store, progress)


def _train_round(part: Experiment, store: Store, options: ExecutionOptions, progress: Progress) -> None:
    """Train the missing runs of a later round of a search, with workers of its own."""
    from experiments.sweeps.executors import ending

    sweep = survey(part, store, replace(options, fresh=False), alone=options.fresh)
    take_over(store, sweep.elsewhere)
    if sweep.stacks:
        progress.plan(sweep)
        with ending(executor(sweep, options)) as pool:
            _train(sweep, store, pool, options, progress)


def _train(sweep: Sweep, store: Store, pool: Any, options: ExecutionOptions, progress: Progress) -> None:
    """Train the missing stacks, if any, and note in the manifest when and with which versions."""
    if not sweep.stacks:
        return
    began = time.monotonic()
    train(sweep, store, pool, progress, fail_fast=options.fail_fast)
    store.write_manifest(**training_facts(sweep.missing, time.monotonic() - began, sweep.workers))


def conclude(experiment: Experiment, records: Records, store: Store, progress: Progress) -> Outcome:
    """Write the summary, figures and verdicts to the store and show them."""
    from experiments import claims
    from experiments.analysis.crashes import crash_lines
    from experiments.plots.album import draw

    gallery = Gallery(store, records)
    table, written = _summary(records, gallery)
    if search := search_of(experiment):
        from experiments.search import frontier

        depths = frontier.with_grid(frontier.table(records, search.accuracy, search.on), search)
        written.append(store.write("frontier.csv", depths.to_csv(index=False).encode()))
        progress.frontier(depths, search.goal)
    else:
        progress.summary(table)
    drawn = draw(experiment.figures, experiment, records, gallery, progress.say)
    written += [path for each in drawn for path in each.written]
    failures = [*crash_lines(records), *_missing(records), *failed(drawn)]
    verdicts = claims.judge(experiment.claims, records) if experiment.claims else []
    failures += [f"claims: {verdict.claim}: {verdict.error}" for verdict in verdicts if verdict.error]
    if verdicts:
        table = claims.table(verdicts)
        progress.verdicts(table)
        written.append(store.write("claims.csv", table.to_csv(index=False).encode()))
    gallery.forget()
    for name in ("frontier.csv", "claims.csv"):  # of an earlier call, which asked for them
        if store.folder / name not in written:
            store.discard(name)
    files = [path.relative_to(store.folder).as_posix() for path in written]
    store.write_manifest(written=files)
    progress.wrote(store.folder, files)
    return Outcome(records, verdicts, failures)


def _summary(records: Records, gallery: Gallery) -> tuple[pd.DataFrame, list[Path]]:
    """Return the summary and its file; it is made again only if something has changed."""
    import pandas as pd

    if files := gallery.files(SUMMARY):
        return pd.read_csv(files[0]), files
    table = summarised(records)
    return table, gallery.keep(SUMMARY, {SUMMARY: table.to_csv(index=False).encode()})


def _missing(records: Records) -> list[str]:
    """Return a line where fewer runs are stored than were asked for, as when files were deleted meanwhile."""
    asked = records.runs.attrs["asked"]
    lacking = asked - len(records.runs)
    again = "run the same command again"
    return [f"{lacking} of {count(asked, 'run')} are not stored: {again}"] if lacking else []


def summarised(records: Records) -> pd.DataFrame:
    """Return the summary table with theory's decay in a column beside the measured one.

    Column decay_theory: the factor per layer by which mean-field theory expects the median ‖delta‖ to change
    (`Prediction.decay`); NaN where theory does not apply.
    """
    from experiments.analysis.ratios import summary
    from experiments.theory.of_records import predictions

    table = summary(records)
    by = list(table.columns[: table.columns.get_loc("n")])
    expected = predictions(records)
    runs = records.runs.assign(decay_theory=[expected[name].decay() for name in records.runs["run_id"]])
    settings = runs[[*by, "decay_theory"]].drop_duplicates(by)
    table = table.merge(settings, on=by, how="left", validate="one_to_one")
    table.insert(table.columns.get_loc("decay_start_high") + 1, "decay_theory", table.pop("decay_theory"))
    return table


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the caller's settings out: how NumPy treats errors, and warnings that are turned into errors.

    Such warnings are raised at the end, when nothing can be lost by them any more.
    """
    import numpy as np

    strict = any(action == "error" for action, *_ in warnings.filters)
    with warnings.catch_warnings(record=strict) as caught:
        if strict:
            warnings.simplefilter("default")
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            yield
    for each in caught or ():
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
