"""What `scripts/run.py` does: the pipeline for a person at a terminal, and an exit status."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from experiments.config import ConfigError, Experiment
from experiments.datasets import DataError
from experiments.files import StoreError
from experiments.pipeline import experiment_of, plan_only, whole
from experiments.store import Store
from experiments.sweep import How
from mlp.registry import RegistryError

OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130  # exit statuses


def command(
    config: str, overrides: list[str], how: How, *, plan: bool = False, yes: bool = False, quiet: bool = False
) -> int:
    """Run an experiment and say so; every error is a line on standard error, and no traceback."""
    try:
        with _plain_warnings(), _terminable():
            experiment = experiment_of(config, overrides)
            return _run(experiment, how, plan=plan, yes=yes, quiet=quiet)
    except (ConfigError, DataError, RegistryError, StoreError) as error:
        print(error, file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the impatient press it again while Python shuts down
        print("interrupted; what was finished is stored, the same command does the rest", file=sys.stderr)
        return INTERRUPTED


def _run(experiment: Experiment, how: How, *, plan: bool, yes: bool, quiet: bool) -> int:
    from experiments.terminal import printable, terminal

    voice = terminal(quiet=quiet)
    voice.say(f"{experiment.name}: {experiment.question}")
    if plan:
        voice.plan(plan_only(experiment, how=how))
        return OK
    if how.fresh and not yes:
        _confirm(experiment)
    _, failures = whole(experiment, how, voice)
    for line in failures:
        print(printable(line), file=sys.stderr)
    return FAILED if failures else OK


def _confirm(experiment: Experiment) -> None:
    """Ask before what is stored is deleted; ConfigError where nobody can answer."""
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
    """A warning is a line for the reader, not a place in the code."""

    def show(message: Warning | str, *place: Any, **more: Any) -> None:
        print(f"warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM stops as Ctrl-C does, so that workers and locks are left in order."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
