"""The command `diagnose`: what is wrong with an experiment, or what is normal."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Collection
from functools import partial
from pathlib import Path

from experiments import config
from experiments.analysis.ratios import fields_before, setting_in_words
from experiments.cli.status import OK
from experiments.config import ConfigError, Experiment
from experiments.config.matching import only_checks
from experiments.pipeline import experiment_of, run_experiment, stored_experiment, stored_records
from experiments.storage.drawn import Gallery
from experiments.storage.recorded import refuse_recorded
from experiments.storage.records import Records
from experiments.storage.store import Store, name_of
from experiments.sweeps.plan import ExecutionOptions

CHECKED = 4  # healthy settings of which the reference ranges are checked
DRAWN = 200  # networks, if nothing else is said
ALONE = ("normal", "dead_units", "check_normal", "benchmark", "confirm")  # options that exclude each other
ADVICE: dict[str, tuple[str, ...]] = {  # those that go together, and the probes that each needs
    "clip": ("dw_norm", "db_norm"), "seeds": (), "reference": (),
}  # fmt: skip


def diagnose_command(given: Namespace) -> int:
    """Do what `diagnose` was asked for; return the exit status."""
    if not (given.experiment or given.benchmark or given.dead_units or given.check_normal):
        raise ConfigError(["name a config, a folder in results/, or --normal KEY=VALUE …"])
    _check_together(given)
    if given.benchmark or given.check_normal:
        return _benchmark(given) if given.benchmark else _check_normal(given)
    if given.normal or given.dead_units:
        return _normal(given) if given.normal else _dead_units(given)
    return _advise(given) if given.clip or given.seeds or given.reference else _diagnose(given)


def _check_together(given: Namespace) -> None:
    """Check that nothing that is asked for would be left out in silence; errors: ConfigError."""
    alone, advice = ([name for name in names if getattr(given, name)] for names in (ALONE, ADVICE))
    if len(alone) > 1 or (alone and advice):
        asked = " and ".join(f"--{name.replace('_', '-')}" for name in [*alone, *advice])
        raise ConfigError([f"{asked} do not go together: ask one after the other"])
    if given.half and not given.benchmark:
        raise ConfigError(["--half is of --benchmark N"])
    if given.networks and not (given.normal or given.check_normal or given.reference):
        raise ConfigError(["--networks is of --normal, --check-normal and --reference"])


def _check_measured(given: Namespace, known: Collection[str], *, has_runs: bool) -> None:
    """Check that there are runs, and the probes that the answer is made of; errors: ConfigError."""
    from experiments.diagnosis.signals import NEEDED

    if not has_runs:
        raise ConfigError(["a diagnosis is of networks, and this experiment has none: it asks for checks"])
    advice = [name for name in ADVICE if getattr(given, name)]
    needed = [probe for name in advice for probe in ADVICE[name]] if advice else NEEDED
    if missing := [probe for probe in needed if probe not in known]:
        what = "--clip" if advice else "a diagnosis"
        raise ConfigError([f"{what} needs the probes {', '.join(missing)}; leave `probes:` out or add them"])


def _normal(given: Namespace) -> int:
    """Print what is normal for one setting, from networks drawn for it; nothing is trained or written."""
    from experiments.cli.terminal import terminal
    from experiments.diagnosis.reference import reference

    say = terminal().say
    texts = [text for text in [given.experiment, *given.overrides] if text]
    run = config.from_mapping({"question": "What is normal?"}, overrides=texts).base
    if not run.depth:
        raise ConfigError(["--normal depth=0: there is no hidden layer of which something could be normal"])
    found = reference(run, given.networks or DRAWN, jobs=given.jobs or 0)
    say(found.verdict)
    table = found.table()
    for measure, rows in table.groupby("measure", sort=False):
        say(f"\n{measure} by layer: median (2.5 % to 97.5 % of networks)")
        for row in rows.itertuples():
            say(f"  layer {row.layer:>3}  {row.median:10.3g}  ({row.low:.3g} to {row.high:.3g})")
    return OK


def _dead_units(given: Namespace) -> int:
    """Say how many dead units per layer are too many: impose them, train, print; nothing is written."""
    from experiments.cli.terminal import terminal
    from experiments.diagnosis.dose import dose_response, too_many
    from experiments.sweeps.plan import grid

    texts = [text for text in [given.experiment, *given.overrides] if text]
    if not any(text.startswith("seed=") for text in texts):
        texts.append("seed=[0,1,2,3,4]")
    experiment = config.from_mapping({"question": "How many dead units are too many?"}, overrides=texts)
    table = dose_response(list(grid(experiment)), jobs=given.jobs or 0)
    say = terminal().say
    say("\n".join(too_many(table)))
    say("\n" + table.to_string(index=False, float_format="{:.3g}".format))
    return OK


def _advise(given: Namespace) -> int:
    """Print and write what to clip at, how many seeds a difference needs, how usual the networks are."""
    from experiments.analysis.advice import clip_advice, clip_values, seeds_advice, seeds_needed
    from experiments.cli.terminal import terminal
    from experiments.diagnosis.reference import against_reference, reference_advice

    say = terminal().say
    store, records = _records(given)
    asked = [("clip.csv", clip_values, clip_advice)] if given.clip else []
    asked += [("seeds.csv", seeds_needed, seeds_advice)] if given.seeds else []
    against = partial(against_reference, networks=given.networks or DRAWN, jobs=given.jobs or 0)
    asked += [("reference.csv", against, reference_advice)] if given.reference else []
    for name, table_of, advice_of in asked:
        table = table_of(records)
        say("\n" + "\n".join(advice_of(table)))
        if len(table):
            say("\n" + table.to_string(index=False, float_format="{:.3g}".format))
        path = store.write(name, table.to_csv(index=False).encode())
        say(f"written: {path}")
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
    fields = fields_before(table, "rank")
    for row in table.to_dict("records"):
        if row["rank"] == 1 and fields:
            say("\n" + setting_in_words(fields, [row[name] for name in fields]))
        say(f"  {row['sentence']}")
    say("\nwritten: " + ", ".join(str(store.folder / name) for name in names))
    return OK


def _records(given: Namespace) -> tuple[Store, Records]:
    """The records of a config, trained where they are missing, or of a folder in results/ as they are."""
    from experiments.cli.terminal import terminal

    if Path(given.experiment).suffix in (".yaml", ".yml") or given.overrides:
        experiment: Experiment = experiment_of(given.experiment, given.overrides)
        _check_measured(given, experiment.recording.probes, has_runs=not only_checks(experiment))
        options = ExecutionOptions(given.jobs)
        records = run_experiment(experiment, options, terminal(quiet=given.quiet)).records
        return Store(experiment.name), records
    store = Store(name_of(given.experiment))
    records = stored_records(store, stored_experiment(store))
    _check_measured(given, records.layers.columns, has_runs=len(records.runs) > 0)
    return store, records


def _check_normal(given: Namespace) -> int:
    """Measure which share of further healthy networks the reference ranges hold; write it as a table."""
    import pandas as pd

    from experiments.cli.terminal import terminal
    from experiments.diagnosis.benchmark import healthy_settings
    from experiments.diagnosis.reference import held
    from experiments.storage import files
    from experiments.storage.store import results_root

    drawn = given.networks or DRAWN
    parts = [
        held(run, given.check_normal, drawn, jobs=given.jobs or 1).assign(
            activation=run.activation, depth=run.depth, width=run.width, dataset=run.dataset, norm=run.norm
        )
        for run in healthy_settings(CHECKED)
    ]
    table = pd.concat(parts)
    folder = results_root() / "diagnosis"
    files.write(folder / "reference.csv", table.to_csv(index=False).encode(), folder)
    by = table.groupby("measure", sort=False)[["inside", "n"]].sum()
    say = terminal().say
    say((by["inside"] / by["n"]).round(4).to_string())
    say(
        f"{table['inside'].sum() / table['n'].sum():.1%} of the values of {CHECKED * given.check_normal} "
        f"networks lie in the range of {drawn} others (it should hold 95 %). Written: {folder}"
    )
    return OK


def _benchmark(given: Namespace) -> int:
    """Measure how often the diagnosis is right, on the halves asked for, and write results/diagnosis."""
    import time

    import pandas as pd

    from experiments.cli.terminal import terminal
    from experiments.diagnosis.benchmark import HALVES, benchmark
    from experiments.diagnosis.scores import roc, scores
    from experiments.plots.picture import image
    from experiments.plots.roc import roc_figure
    from experiments.report.benchmark_page import FIGURE, benchmark_page
    from experiments.storage import files
    from experiments.storage.store import results_root

    say, began, done = terminal().say, time.monotonic(), 0
    folder, names = results_root() / "diagnosis", {half: half.replace("-", "_") for half in HALVES}

    def advance(networks: int) -> None:
        nonlocal done
        done += networks
        say(f"{done} networks in {time.monotonic() - began:.0f} s")

    for half in [given.half] if given.half else HALVES:
        table = benchmark(given.benchmark, half, jobs=given.jobs or 0, advance=advance)
        for name, frame in ((names[half], table), (f"roc_{names[half]}", roc(table))):
            text = frame.to_csv(index=False, float_format="%.4g")
            files.write(folder / f"{name}.csv", text.encode(), folder)
    known = {half: folder / f"{name}.csv" for half, name in names.items()}
    tables = {
        half: pd.read_csv(path, keep_default_na=False, na_values={"layer": [""], "fresh_gain": [""]})
        for half, path in known.items()
        if path.exists()
    }
    held = folder / "reference.csv"
    page = benchmark_page(tables, pd.read_csv(held) if held.exists() else None)
    files.write(folder / "README.md", page.encode(), folder)
    files.write(folder / f"{FIGURE}.svg", image(roc_figure(tables), "svg", FIGURE), folder)
    for half, table in tables.items():
        say(f"\n{half}\n{scores(table).to_string(index=False)}")
    say(f"\nwritten: {folder}")
    return OK
