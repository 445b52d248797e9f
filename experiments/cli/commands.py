"""The commands behind the scripts: each runs its part of the program and returns an exit status."""

from __future__ import annotations

import signal
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.analysis.wording import printable
from experiments.config import ConfigError, Experiment, cautions
from experiments.datasets import DataError
from experiments.pipeline import experiment_of, plan_only, run_experiment, stored_experiment, stored_records
from experiments.search.rounds import search_of
from experiments.storage.files import StoreError
from experiments.storage.provenance import manifest_experiment
from experiments.storage.store import Store
from experiments.sweeps.plan import ExecutionOptions
from mlp.registry import RegistryError

OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130  # exit statuses


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
    """Run an experiment for `scripts/run.py`, given by a config or by a manifest; return the exit status."""

    def work() -> int:
        if manifest is None and config is None:
            raise ConfigError(["name a config file, or --from a folder of results/ or a manifest"])
        if manifest is None:
            return _run(experiment_of(str(config), overrides, name), options, plan=plan, yes=yes, quiet=quiet)
        again, differences = manifest_experiment(Path(manifest))
        for line in differences:
            print(f"warning: {manifest}: {line}", file=sys.stderr)
        changes = [*overrides] if config is None else [config, *overrides]
        experiment = experiment_of(again, changes, name)
        return _run(experiment, options, plan=plan, yes=yes, quiet=quiet)

    return status_of(work)


def reproduce_command(given: Namespace) -> int:
    """Run, judge and report a collection of configs for `scripts/reproduce.py`; return the exit status."""
    return status_of(lambda: _reproduce(given))


def verify_command(name: str, runs: str, seed: int) -> int:
    """Re-derive stored runs, chosen at random, for `scripts/verify.py`; return the exit status."""
    return status_of(lambda: _verify(name, runs, seed))


def status_of(work: Callable[[], int]) -> int:
    """Do a script's work and return its exit status; a user's error is one line, without a traceback."""
    from experiments.cli.terminal import any_encoding

    any_encoding(sys.stdout)
    any_encoding(sys.stderr)
    try:
        with _plain_warnings(), _terminable():
            return work()
    except (ConfigError, DataError, RegistryError, StoreError) as error:
        print(printable(str(error)), file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # ignore further presses while Python shuts down
        print("interrupted; what was finished is stored, the same command does the rest", file=sys.stderr)
        return INTERRUPTED


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
        print(printable(line), file=sys.stderr)
    return FAILED if lines else OK


def _reproduce(given: Namespace) -> int:
    from experiments.cli.terminal import terminal
    from experiments.report.collection import reproduce, update_readme

    progress = terminal(quiet=given.quiet)
    options = ExecutionOptions(given.jobs, rerun_failed=True)
    done = reproduce(given.collection, options, progress, overrides=given.overrides, expect=given.expect)
    progress.wrote(done.folder, ["report.html", "claims.csv", "manifest.json", "figures/"])
    if given.readme:
        update_readme(done.folder / "claims.csv")
    return _report_failures(
        [*done.failures, *(f"{name}: inconclusive" for name in done.undecided), *done.changed]
    )


def _verify(name: str, runs: str, seed: int) -> int:
    from experiments.cli.terminal import terminal
    from experiments.verification import stamp, verify

    store = Store(name)
    experiment = stored_experiment(store)
    records = stored_records(store, experiment)
    usable = records.runs.loc[records.runs["status"] != "crashed", "run_id"]
    picked = _picked(list(usable), runs, seed)
    progress = terminal()
    progress.say(f"{name}: making {len(picked)} of {len(records.runs)} runs again")
    findings = list(verify(experiment, records, picked))
    for check, result in stamp(store, findings)["checks"].items():
        worst = "" if result["worst"] is None else f", worst gap {result['worst']:.2g}"
        agreeing = result["runs"] - result["disagree"]
        progress.say(f"  {check:18} {agreeing} of {result['runs']} agree{worst}")
    return _report_failures(finding.message() for finding in findings if finding.agrees is False)


def _picked(ids: list[str], runs: str, seed: int) -> list[str]:
    """Return `runs` of the ids, chosen at random, or all of them; errors: ConfigError."""
    import random

    if runs == "all":
        return ids
    if not (runs.isdecimal() and int(runs) > 0):
        raise ConfigError([f"--runs {runs}: not a whole number from 1, nor all"])
    return random.Random(seed).sample(ids, min(int(runs), len(ids)))


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


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print each warning as one line, without its place in the code."""

    def show(message: Warning | str, *place: Any, **more: Any) -> None:
        print(printable(f"warning: {message}"), file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM stop the program as Ctrl-C does, so that workers end and locks are released."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
