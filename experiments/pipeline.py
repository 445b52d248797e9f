"""The whole program in order: plan, train, store, summarise, draw and judge one experiment.

`run_experiment` is the program; `load`, `plot` and `plan_only` do parts of it. `cli` has what people call:
`run` for a notebook and the commands of the scripts. Heavy libraries are imported inside the functions that
use them, so that an error in a config is reported at once.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.analysis.wording import count
from experiments.config import Experiment, cautions
from experiments.storage.drawn import Gallery
from experiments.storage.makers import makers, makers_line
from experiments.storage.names import Source, experiment_of
from experiments.storage.provenance import question_facts, stored_experiment, training_facts
from experiments.storage.recorded import recorded_facts, refuse_recorded, with_notes
from experiments.storage.sharing import take_over
from experiments.storage.store import Store
from experiments.sweeps.blas import blas, maker_while_training
from experiments.sweeps.plan import ExecutionOptions, Sweep, settled, survey
from experiments.sweeps.progress import Progress
from experiments.sweeps.search.rounds import asked_for, rounds, search_of
from experiments.sweeps.sweep import executor, train

SUMMARY = "summary.csv"
LONG = 10.0  # seconds of training, from which the first picture does not wait for all of it

if TYPE_CHECKING:
    import pandas as pd

    from experiments.claims import Verdict
    from experiments.storage.records import Records


def load(name: str | Sequence[str], probes: Collection[str] | None = None) -> Records:
    """Return the stored records of the runs that the experiment's last call asked for; errors: StoreError.

    probes: the measured columns that are read, such as ``["delta_norm"]``, where all would take long.

    Of a list of names: the runs of all these experiments, each once; column `experiment` of `runs` says whose
    it is.
    """
    from experiments.storage.together import together

    stores = [Store(each) for each in ([name] if isinstance(name, str) else dict.fromkeys(name))]
    with undisturbed():
        found = {
            store.folder.name: stored_records(store, stored_experiment(store), probes) for store in stores
        }
    return together(found) if len(found) > 1 else found[stores[0].folder.name]


def stored_records(store: Store, experiment: Experiment, probes: Collection[str] | None = None) -> Records:
    """Return the stored records of the runs that this experiment asks for.

    A user's data file may have changed since, or be gone, so the fingerprints in the manifest of the last
    call tell which data were used. `runs.attrs["experiment"]` is the experiment's name and ``["asked"]`` the
    number of runs that it asks for; `layers.attrs["measured_on"]` describes the examples of the probe set.
    """
    from experiments.storage.records import Records

    recording = experiment.recording
    asked = asked_for(experiment, store)
    records = store.load(asked, probes) if asked else Records.build()  # for checks, which read none
    records.runs.attrs |= {"experiment": experiment.name, "asked": len(asked)}
    if recorded := recorded_facts(store):
        return with_notes(records, recorded)
    if search := search_of(experiment):
        records.runs.attrs["search"] = asdict(search)
    probe_set = f"one probe set of {recording.probe_set} training examples (or all, where there are fewer)"
    records.layers.attrs["measured_on"] = probe_set if recording.trace == "probe_set" else "each step's batch"
    return records


def plot(name: str, figures: Sequence[str] = ()) -> list[Path]:
    """Draw these figures, by default those that the config names, from stored records; return the files.

    report.html is written again, with these figures in it.
    """
    from experiments import claims
    from experiments.plots.album import draw
    from experiments.report.experiment_page import write_report
    from experiments.sweeps.executors import cores

    store = Store(name)
    with undisturbed():
        experiment = stored_experiment(store)
        records = stored_records(store, experiment)
        gallery = Gallery(store, records)
        written, failures = draw(figures or experiment.figures, experiment, records, gallery, jobs=cores())
        verdicts = claims.judge(experiment.claims, records) if experiment.claims else []
        summary, _ = _summary(records, gallery)
        pages, _ = write_report(experiment, records, store, gallery, summary, verdicts, figures)
    if failures:
        raise ValueError("\n".join(failures))
    return written + pages


def plot_together(names: Sequence[str], figures: Sequence[str] = ()) -> list[Path]:
    """Draw figures of several experiments' runs together, by default those of the first; return the files.

    A run that several experiments have is drawn once. The files lie in a folder of their own, ``a_and_b``.
    Errors: ValueError where the experiments do not fit together.
    """
    from experiments.plots.album import draw, drawn
    from experiments.storage.together import alike

    stores = [Store(name) for name in names]
    with undisturbed():
        first, records = stored_experiment(stores[0]), load(names)
        if told := alike(records.runs):
            raise ValueError(told)
        gallery = Gallery(Store("_and_".join(store.folder.name for store in stores)), records)
        written, failures = draw(figures or first.figures, first, records, gallery, files=drawn)
    if failures:
        raise ValueError("\n".join(failures))
    return written


def summary_as(names: Sequence[str], form: str) -> Path:
    """Write the summary of one experiment, or of several together, as a table; return the file.

    form: "latex" or "markdown" (`report.printed_tables`). It lies beside the experiment's summary.csv, of
    several in the folder of their figures. Errors: StoreError.
    """
    from experiments.report.printed_tables import FORMS

    ending, written = FORMS[form]
    store = Store("_and_".join(Store(name).folder.name for name in names))
    with undisturbed():
        return store.write(f"summary.{ending}", written(summarised(load(names))).encode())


def plot_in_words(name: str, figures: Sequence[str], words: Mapping[str, str]) -> list[Path]:
    """Draw figures with these words in place of their own, in files that end in _in_own_words."""
    from experiments.plots.album import drawn
    from experiments.storage.drawn import file_names

    store = Store(name)
    with undisturbed():
        experiment = stored_experiment(store)
        records = stored_records(store, experiment)
        stems = file_names(figures or experiment.figures)
        made = [drawn(text, records, f"{stem}_in_own_words", words) for text, stem in stems.items()]
        return [store.write(name, data) for files in made for name, data in files.items()]


def plan_only(
    source: Source,
    overrides: Iterable[str] = (),
    options: ExecutionOptions | None = None,
    *,
    name: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Sweep:
    """Return what `run` would train (of a search: its first round) without training or writing."""
    experiment = experiment_of(source, overrides, name)
    store = Store(experiment.name)
    refuse_recorded(store.manifest(), store.folder, "planned")
    return survey(next(rounds(experiment, store)), store, options or ExecutionOptions(), say=say)


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
    from experiments.sweeps.executors import cores, ending

    store = Store(experiment.name)
    refuse_recorded(store.manifest(), store.folder, "trained")
    planned = rounds(experiment, store)
    sweep = survey(next(planned), store, options, say=progress.say)
    slips = [*cautions(experiment), *filter(None, [sweep.warning])]  # calls the user's own schedule
    pool = executor(sweep, options)  # an unreachable cluster is an error before anything is written
    with ending(pool), store.sweep() as repairs:
        for line in repairs:
            progress.say(line)
        if options.fresh:
            store.fresh()
        take_over(store, sweep.elsewhere)
        done = set().union(*settled(store, options))
        sweep = sweep if done == sweep.done else sweep.without(done)  # another sweep may just have ended
        if search := search_of(experiment):
            progress.say(f"a search in at most {search.rounds} rounds, of which this is the first:")
        progress.plan(sweep)
        for line in slips:
            progress.say(f"warning: {line}")
        store.write_manifest(**question_facts(experiment, len(sweep.runs), sweep.prints), warnings=slips)
        long = sweep.seconds() >= LONG and experiment.figures and not search
        look = partial(_first_look, experiment, store, progress) if long else None
        _train(sweep, store, pool, options, progress, look)
        for later_round in planned:
            _train_round(later_round, store, options, progress)
        records = stored_records(store, experiment)
        _note_makers(records, store, progress)
        store.write_manifest(runs=len(records.runs))
        return conclude(experiment, records, store, progress, options.jobs or cores())


def _train_round(part: Experiment, store: Store, options: ExecutionOptions, progress: Progress) -> None:
    """Train the missing runs of a later round of a search, with workers of its own."""
    from experiments.sweeps.executors import ending

    sweep = survey(part, store, replace(options, fresh=False), alone=options.fresh)
    take_over(store, sweep.elsewhere)
    if sweep.stacks:
        progress.plan(sweep)
        with ending(executor(sweep, options)) as pool:
            _train(sweep, store, pool, options, progress)


def _train(
    sweep: Sweep, store: Store, pool: Any, options: ExecutionOptions, progress: Progress,
    first_look: Callable[[], None] | None = None,
) -> None:  # fmt: skip
    """Train the missing stacks, if any, and note in the manifest when and with which versions."""
    if not sweep.stacks:
        return
    began = time.monotonic()
    train(sweep, store, pool, progress, options, first_look)
    seconds, threads = time.monotonic() - began, maker_while_training()["threads"]
    store.write_manifest(**training_facts(sweep.missing, seconds, sweep.workers, threads))


def _first_look(experiment: Experiment, store: Store, progress: Progress) -> None:
    """Draw the first figure of the runs that are stored so far, and a page with it, while the rest trains.

    A figure that needs more runs than there are is drawn at the end, like the others.
    """
    from experiments.plots.album import draw
    from experiments.report.experiment_page import write_first_page

    records = stored_records(store, experiment)
    drawn, _ = draw(experiment.figures[:1], experiment, records, Gallery(store, records))
    if drawn:
        page = write_first_page(experiment, records, store)
        of = f"{len(records.runs)} of {count(records.runs.attrs['asked'], 'run')}"
        progress.say(f"a first picture, of {of}, is in {page}")


def _note_makers(records: Records, store: Store, progress: Progress) -> None:
    """List in the manifest who made the runs, and say where that is more than one."""
    table = makers(store, records.runs["run_id"])
    if line := makers_line(table):
        progress.say(f"warning: {line}")
    store.write_manifest(makers=table.to_dict("records"))


def conclude(
    experiment: Experiment, records: Records, store: Store, progress: Progress, jobs: int = 1
) -> Outcome:
    """Write the summary, figures and verdicts to the store and show them; `jobs` processes may draw."""
    from experiments import claims
    from experiments.analysis.crashes import crash_lines
    from experiments.plots.album import draw
    from experiments.report.diagnosed import diagnosis as look_for_causes
    from experiments.report.diagnosed import lines
    from experiments.report.experiment_page import write_report

    gallery = Gallery(store, records)
    summary, written = _summary(records, gallery)
    if search := search_of(experiment):
        from experiments.sweeps.search import frontier

        depths = frontier.with_grid(frontier.table(records, search.accuracy, search.on), search)
        written.append(store.write("frontier.csv", depths.to_csv(index=False).encode()))
        progress.frontier(depths, search.goal)
    elif summary is not None:
        progress.summary(summary)
    causes = partial(look_for_causes, records, gallery, experiment.name)  # kept for the report below
    drawn, failed = draw(
        experiment.figures, experiment, records, gallery, progress.say, jobs=jobs, meanwhile=causes
    )
    written += drawn
    failures = [*crash_lines(records), *_missing(records), *failed]
    verdicts = claims.judge(experiment.claims, records) if experiment.claims else []
    failures += [f"claims: {verdict.claim}: {verdict.error}" for verdict in verdicts if verdict.error]
    if verdicts:
        table = claims.table(verdicts)
        progress.verdicts(table)
        written.append(store.write("claims.csv", table.to_csv(index=False).encode()))
    pages, diagnosis = write_report(experiment, records, store, gallery, summary, verdicts)
    written += pages
    for line in lines(diagnosis) if diagnosis is not None else ():
        progress.say(line)
    gallery.forget()
    for name in (SUMMARY, "frontier.csv", "claims.csv"):  # of an earlier call, which asked for them
        if store.folder / name not in written:
            store.discard(name)
    files = [path.relative_to(store.folder).as_posix() for path in written]
    store.write_manifest(written=files)
    progress.wrote(store.folder, files)
    return Outcome(records, verdicts, failures)


def _summary(records: Records, gallery: Gallery) -> tuple[pd.DataFrame | None, list[Path]]:
    """Return the summary and its file, made again if something changed; None for checks, without runs."""
    import pandas as pd

    if not records.runs.attrs["asked"]:
        return None, []
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
    from experiments.analysis.ratios import fields_before, summary
    from experiments.theory.of_records import predictions

    table = summary(records)
    by = fields_before(table, "n")
    expected = predictions(records)
    runs = records.runs.assign(decay_theory=[expected[name].decay() for name in records.runs["run_id"]])
    settings = runs[[*by, "decay_theory"]].drop_duplicates(by)
    table = table.merge(settings, on=by, how="left", validate="one_to_one")
    table.insert(table.columns.get_loc("decay_start_high") + 1, "decay_theory", table.pop("decay_theory"))
    return table


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the caller's settings out: NumPy's threads, how it treats errors, warnings that become errors.

    Such warnings are raised at the end, when nothing can be lost by them any more. With one thread the sums
    of theory keep their order; several wait for one another over products this small.
    """
    import numpy as np

    strict = any(action == "error" for action, *_ in warnings.filters)
    with warnings.catch_warnings(record=strict) as caught:
        if strict:
            warnings.simplefilter("default")
        quietly = np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
        with quietly, blas().limit(limits=1, user_api="blas"):
            yield
    for each in caught or ():
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
