"""The command `diagnose`: what is wrong with an experiment, or what is normal."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from experiments import config
from experiments.cli.status import OK
from experiments.config import ConfigError, Experiment
from experiments.pipeline import experiment_of, run_experiment, stored_experiment, stored_records
from experiments.storage.drawn import Gallery
from experiments.storage.recorded import refuse_recorded
from experiments.storage.records import Records
from experiments.storage.store import Store
from experiments.sweeps.plan import ExecutionOptions


def diagnose_command(given: Namespace) -> int:
    """Do what `diagnose` was asked for; return the exit status."""
    if not given.experiment and not given.benchmark:
        raise ConfigError(["name a config, a folder in results/, or --normal KEY=VALUE …"])
    work = _benchmark if given.benchmark else _normal if given.normal else _diagnose
    return work(given)


def _normal(given: Namespace) -> int:
    """Print what is normal for one setting, from networks drawn for it; nothing is trained or written."""
    from experiments.cli.terminal import terminal
    from experiments.diagnosis.reference import reference

    say = terminal().say
    texts = [text for text in [given.experiment, *given.overrides] if text]
    run = config.from_mapping({"question": "What is normal?"}, overrides=texts).base
    found = reference(run, given.networks, jobs=given.jobs or 1)
    say(found.verdict)
    table = found.table()
    for measure, rows in table.groupby("measure", sort=False):
        say(f"\n{measure} by layer: median (2.5 % to 97.5 % of networks)")
        for row in rows.itertuples():
            say(f"  layer {row.layer:>3}  {row.median:10.3g}  ({row.low:.3g} to {row.high:.3g})")
    return OK


def _diagnose(given: Namespace) -> int:
    """Train what is missing, find what is wrong, try cures if asked to, write and print it."""
    from experiments.cli.terminal import terminal
    from experiments.diagnosis.confirmation import confirm
    from experiments.diagnosis.findings import diagnose

    say = terminal().say
    store, records = _records(given)
    table = diagnose(records)
    names = ["diagnosis.csv"]
    if given.confirm:
        refuse_recorded(store.manifest(), store.folder, "trained with a cure")
        table, tried = confirm(table, records.runs, jobs=given.jobs or 0)
        store.write("cures.csv", tried.to_csv(index=False).encode())
        names.append("cures.csv")
    gallery = Gallery(store, records)  # so that a later run.py keeps the cures that were tried
    gallery.keep("diagnosis.csv", {"diagnosis.csv": table.to_csv(index=False).encode()})
    fields = list(table.columns[: table.columns.get_loc("rank")])
    for row in table.to_dict("records"):
        if row["rank"] == 1 and fields:
            say("\n" + ", ".join(f"{name} {row[name]}" for name in fields))
        say(f"  {row['sentence']}")
    say("\nwritten: " + ", ".join(str(store.folder / name) for name in names))
    return OK


def _records(given: Namespace) -> tuple[Store, Records]:
    """The records of a config, trained where they are missing, or of a folder in results/ as they are."""
    from experiments.cli.terminal import terminal

    if Path(given.experiment).suffix in (".yaml", ".yml") or given.overrides:
        experiment: Experiment = experiment_of(given.experiment, given.overrides)
        options = ExecutionOptions(given.jobs)
        records = run_experiment(experiment, options, terminal(quiet=given.quiet)).records
        return Store(experiment.name), records
    store = Store(Path(given.experiment).name)
    return store, stored_records(store, stored_experiment(store))


def _benchmark(given: Namespace) -> int:
    """Measure how often the diagnosis is right, on both halves, and write results/diagnosis."""
    import time

    from experiments.cli.terminal import terminal
    from experiments.diagnosis.benchmark import HALVES, benchmark, scores
    from experiments.report.benchmark_page import benchmark_page
    from experiments.storage import files
    from experiments.storage.store import results_root

    console, say = (each := terminal()).console, each.say
    began, done, tables = time.monotonic(), 0, {}

    def advance(runs: int) -> None:
        nonlocal done
        done += runs
        console.print(f"\r{done} networks in {time.monotonic() - began:.0f} s", end="")

    folder = results_root() / "diagnosis"
    for half in HALVES:
        tables[half] = benchmark(given.benchmark, half, jobs=given.jobs or 0, advance=advance)
        name = f"{half.replace('-', '_')}.csv"
        files.write(folder / name, tables[half].to_csv(index=False, float_format="%.4g").encode(), folder)
    files.write(folder / "README.md", benchmark_page(tables).encode(), folder)
    for half, table in tables.items():
        say(f"\n\n{half}\n{scores(table).to_string(index=False)}")
    say(f"\nwritten: {folder}")
    return OK
