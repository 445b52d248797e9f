"""The whole program in order: plan, train, store, summarise, draw and judge one experiment.

`run_experiment` is the program; `load`, `plot` and `plan_only` do parts of it. `cli` has what people call:
`run` for a notebook and the commands of the scripts. Heavy libraries are imported inside the functions that
use them, so that an error in a config is reported at once.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import config
from experiments.analysis.wording import count
from experiments.config import Experiment
from experiments.search.rounds import asked_for, rounds, search_of
from experiments.storage import names
from experiments.storage.drawn import Gallery, file_names
from experiments.storage.files import StoreError
from experiments.storage.provenance import question_facts, stored_experiment, training_facts
from experiments.storage.sharing import take_over
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
    """Return the stored records of the runs that the experiment's last call asked for; errors: StoreError."""
    store = Store(name)
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
    store = Store(name)
    experiment = stored_experiment(store)
    records = stored_records(store, experiment)
    with undisturbed():
        written, failures = draw(figures or experiment.figures, experiment, records, store)
    if failures:
        raise ValueError("\n".join(failures))
    return written


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


def experiment_of(source: Source, overrides: Iterable[str] = (), name: str | None = None) -> Experiment:
    """Return the experiment that a file, a dict or another experiment describes; errors: ConfigError.

    Its name, which is its folder's, is `name` or the key `name`; else that of the file, with what overrides
    change in it (`names.of_variant`); of a dict without a name, a hash of its contents.
    """
    if name is not None:
        overrides = [*overrides, f"name={json.dumps(name)}"]
    changes = list(overrides)
    changed = _read(source, changes)
    if any(text.partition("=")[0].strip() == "name" for text in changes):
        return changed
    if (
        changed.name == names.UNNAMED
        and changed.path is None
        and not (isinstance(source, Mapping) and "name" in source)
    ):
        return replace(changed, name=names.of_contents(changed))
    if not changes:
        return changed
    try:
        plain = _read(source)
    except config.ConfigError:  # it is not valid without the overrides
        plain = None
    return replace(changed, name=names.of_variant(changed.name, plain, changed, changes))


def _read(source: Source, overrides: Sequence[str] = ()) -> Experiment:
    if isinstance(source, Experiment):
        return config.from_mapping(config.to_mapping(source), overrides=overrides) if overrides else source
    if isinstance(source, Mapping):
        return config.from_mapping(source, overrides=overrides)
    return config.load(source, overrides)


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
        store.write_manifest(**question_facts(experiment, len(sweep.runs), sweep.prints))
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

    table = summarised(records)
    written = [store.write("summary.csv", table.to_csv(index=False).encode())]
    if search := search_of(experiment):
        from experiments.search import frontier

        depths = frontier.with_grid(frontier.table(records, search.accuracy, search.on), search)
        written.append(store.write("frontier.csv", depths.to_csv(index=False).encode()))
        progress.frontier(depths, search.goal)
    else:
        progress.summary(table)
    drawn, failed = draw(experiment.figures, experiment, records, store, progress)
    written += drawn
    failures = [*crash_lines(records), *_missing(records), *failed]
    verdicts = claims.judge(experiment.claims, records) if experiment.claims else []
    failures += [f"claims: {verdict.claim}: {verdict.error}" for verdict in verdicts if verdict.error]
    if verdicts:
        table = claims.table(verdicts)
        progress.verdicts(table)
        written.append(store.write("claims.csv", table.to_csv(index=False).encode()))
    for name in ("frontier.csv", "claims.csv"):  # of an earlier call, which asked for them
        if store.folder / name not in written:
            store.discard(name)
    files = [path.relative_to(store.folder).as_posix() for path in written]
    store.write_manifest(written=files)
    progress.wrote(store.folder, files)
    return Outcome(records, verdicts, failures)


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


def draw(
    figures: Sequence[str],
    experiment: Experiment,
    records: Records,
    store: Store,
    progress: Progress | None = None,
) -> tuple[list[Path], list[str]]:
    """Draw those of these figures that have changed; return the files of all, and a line for each failure.

    A figure may fail in any way: the others are drawn. Figures of earlier calls that are no longer true are
    deleted. Errors: StoreError where a file cannot be written.
    """
    gallery = Gallery(store, records)
    stems = file_names(dict.fromkeys([*experiment.figures, *figures]))
    written: list[Path] = []
    failures: list[str] = []
    for number, text in enumerate(figures, 1):
        files = gallery.files(text)
        if not files:
            if progress:
                progress.say(f"drawing {number} of {len(figures)}: {text}")
            try:
                files = gallery.keep(text, _images(text, records, stems[text]))
            except StoreError:
                raise
            except Exception as error:
                failures.append(f"figures: {text}: {_told(error)}")
        written += files
    gallery.forget(keep=[text for text in figures if gallery.files(text)])
    return written, failures


def _images(text: str, records: Records, stem: str) -> dict[str, bytes]:
    """Return the files of a figure by their names, whatever the user's settings of matplotlib are."""
    from experiments.plots import FIGURES, images
    from experiments.plots.style import own_look

    with own_look():
        return images(FIGURES.bind(text)(records), stem)


def _told(error: Exception) -> str:
    """Return what an error says; the type is said too, unless it is one that is raised on purpose."""
    return str(error) if isinstance(error, ValueError) and str(error) else f"{type(error).__name__}: {error}"


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
