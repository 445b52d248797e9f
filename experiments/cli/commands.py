"""The commands behind the scripts: each runs its part of the program and returns an exit status."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from experiments.analysis.wording import count
from experiments.cli.status import FAILED, OK, complain, status_of
from experiments.config import ConfigError, Experiment, cautions
from experiments.pipeline import experiment_of, plan_only, run_experiment, stored_experiment, stored_records
from experiments.storage.provenance import manifest_experiment
from experiments.storage.recorded import refuse_recorded
from experiments.storage.store import Store, name_of
from experiments.sweeps.plan import ExecutionOptions
from experiments.sweeps.search.rounds import search_of


def command(
    config: str | None,
    overrides: list[str],
    options: ExecutionOptions,
    *,
    name: str | None = None,
    manifest: str | None = None,
    plan: bool = False,
    yes: bool = False,
    quiet: bool = False,
) -> int:
    """Run an experiment, given by a config or by a manifest; return the exit status."""

    def work() -> int:
        if manifest is None and config is None:
            raise ConfigError(["name a config file, or --from a folder of results/ or a manifest"])
        if manifest is None:
            return _run(experiment_of(str(config), overrides, name), options, plan=plan, yes=yes, quiet=quiet)
        again, differences = manifest_experiment(Path(manifest))
        for line in differences:
            complain(f"warning: {manifest}: {line}")
        changes = [*overrides] if config is None else [config, *overrides]
        experiment = experiment_of(again, changes, name)
        return _run(experiment, options, plan=plan, yes=yes, quiet=quiet)

    return status_of(work)


def run_command(given: Namespace) -> int:
    """Do what `run` was asked for on the command line; return the exit status."""
    options = ExecutionOptions(
        given.jobs, given.dask, given.timeout_per_stack, given.fail_fast, given.rerun_failed, given.fresh,
        given.only_mine,
    )  # fmt: skip
    return command(
        given.config, given.overrides, options,
        name=given.name, manifest=given.manifest, plan=given.plan, yes=given.yes, quiet=given.quiet,
    )  # fmt: skip


def plot_command(given: Namespace) -> int:
    """Draw figures from stored records; return the exit status."""
    from experiments.cli.terminal import terminal
    from experiments.pipeline import plot, plot_in_words, plot_together, summary_as
    from experiments.plots import FIGURES

    asked = [text for text in given.figures if text.partition("(")[0] in FIGURES or "(" in text]
    others = [text for text in given.figures if text not in asked and _is_stored(name_of(text))]
    names = [name_of(text) for text in (given.name, *others)]
    asked += [text for text in given.figures if text not in asked and text not in others]
    if given.words and others:
        raise ConfigError([f"--words: for one experiment, not {count(len(names), 'experiment')}"])
    try:
        if given.table:
            terminal().say(str(summary_as(names, given.table)))
            return OK
        figures = _in_look(names[0], asked, given)
        if given.words:
            written = plot_in_words(names[0], figures, _words(given.words))
        else:
            written = plot(names[0], figures) if len(names) == 1 else plot_together(names, figures)
    except ValueError as error:  # a figure that is unknown, or that these records cannot be drawn as
        raise ConfigError(str(error).splitlines()) from None
    progress = terminal()
    for path in written:
        progress.say(str(path))
    return OK


def _is_stored(name: str) -> bool:
    """Whether an experiment of this name has results."""
    from experiments.storage.files import StoreError

    try:
        return (Store(name).folder / "manifest.json").exists()
    except (StoreError, ValueError):
        return False


def _in_look(name: str, figures: list[str], given: Namespace) -> list[str]:
    """Return the figures, by default the experiment's, with the look that the command line asks for."""
    from experiments.plots import FIGURES
    from experiments.plots.figure_table import LOOK
    from mlp.registry import call_text

    look = {key: getattr(given, key) for key in LOOK if getattr(given, key) is not None}
    if not look:
        return figures
    texts = figures or list(stored_experiment(Store(name)).figures)
    calls = [FIGURES.parse(text) for text in texts]
    return [FIGURES.canonical(call_text(figure, look | options)) for figure, options in calls]


def _words(path: Path) -> dict[str, str]:
    """Read a reader's own words: a YAML mapping of texts; errors: ConfigError."""
    from experiments.config.yaml_strict import read
    from experiments.storage.files import content

    try:
        root, faults = read(content(path), str(path))
    except OSError as error:
        raise ConfigError([f"--words {path}: cannot be read: {error.strerror or error}"]) from None
    if faults:
        raise ConfigError([f"--words {fault}" for fault in faults])
    nodes = root.value if root and isinstance(root.value, dict) else {"": None}
    found = {key: node.value if node else None for key, node in nodes.items()}
    if not all(isinstance(text, str) for text in found.values()):
        raise ConfigError([f"--words {path}: not a mapping of texts to texts, as in layer: Schicht"])
    return found


def reproduce_command(given: Namespace) -> int:
    """Run, judge and report a collection of configs; return the exit status."""
    from experiments.cli.collection import reproduce
    from experiments.cli.terminal import terminal
    from experiments.report.readme import check_readme, update_readme

    if given.readme:
        check_readme()
    progress = terminal(quiet=given.quiet)
    options = ExecutionOptions(given.jobs, rerun_failed=True)
    done = reproduce(given.collection, options, progress, overrides=given.overrides, expect=given.expect)
    progress.wrote(done.folder, ["report.html", "claims.csv", "manifest.json", "figures/"])
    if given.readme:
        update_readme(done.folder / "claims.csv")
    return _report_failures(
        [*done.failures, *(f"{name}: inconclusive" for name in done.undecided), *done.changed]
    )


def _run(experiment: Experiment, options: ExecutionOptions, *, plan: bool, yes: bool, quiet: bool) -> int:
    from experiments.cli.terminal import terminal

    progress = terminal(quiet=quiet)
    progress.say(f"{experiment.name}: {experiment.question}")
    if plan:
        progress.plan(plan_only(experiment, options=options, say=progress.say))
        for line in cautions(experiment):
            progress.say(f"warning: {line}")
        if search := search_of(experiment):
            progress.say(f"that is the first of at most {search.rounds} rounds of a search")
        return OK
    if options.fresh and not yes:
        _confirm(experiment)
    return _report_failures(run_experiment(experiment, options, progress).failures)


def _report_failures(failures: Iterable[str]) -> int:
    """Print each failure as a line on standard error; return FAILED if there is one, else OK."""
    lines = list(failures)
    for line in lines:
        complain(line)
    return FAILED if lines else OK


def verify_command(given: Namespace) -> int:
    """Re-derive stored runs, chosen at random, by other methods; return the exit status."""
    from experiments.cli.terminal import terminal
    from experiments.verification import stamp, verify

    name = name_of(given.experiment)
    store = Store(name)
    refuse_recorded(store.manifest(), store.folder, "made again")
    experiment = stored_experiment(store)
    records = stored_records(store, experiment)
    usable = records.runs.loc[records.runs["status"] != "crashed", "run_id"]
    picked = _picked(list(usable), given.runs, given.seed)
    progress = terminal()
    progress.say(f"{name}: making {len(picked)} of {len(records.runs)} runs again")
    findings = list(verify(experiment, records, picked))
    for check, result in stamp(store, findings)["checks"].items():
        worst = "" if result["worst"] is None else f", worst gap {result['worst']:.2g}"
        agreeing = result["runs"] - result["disagree"]
        progress.say(f"  {check:18} {agreeing} of {result['runs']} agree{worst}")
    return _report_failures(finding.message() for finding in findings if finding.agrees is False)


def _picked(ids: list[str], runs: int | None, seed: int) -> list[str]:
    """Return `runs` of the ids, chosen at random; None: all of them."""
    import random

    return ids if runs is None else random.Random(seed).sample(ids, min(runs, len(ids)))


def _confirm(experiment: Experiment) -> None:
    """Ask before stored results are deleted; errors: ConfigError where nobody can answer."""
    store = Store(experiment.name)
    stored = len(store.finished())
    if not stored:
        return
    what = f"--fresh deletes the {stored} runs that are stored in {store.folder}"
    if not sys.stdin.isatty():
        raise ConfigError([f"{what}; add --yes if that is meant"])
    if input(f"{what}. Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise KeyboardInterrupt
