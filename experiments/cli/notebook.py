"""`run`: train, store, draw and judge an experiment from a notebook or from another script."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from experiments.pipeline import Source, experiment_of, run_experiment
from experiments.sweeps.plan import ExecutionOptions
from experiments.sweeps.progress import Silent

if TYPE_CHECKING:
    from experiments.storage.records import Records


def run(
    source: Source,
    overrides: Iterable[str] = (),
    *,
    jobs: int | None = 1,
    dask: str | None = None,
    limit: float | None = None,
    fail_fast: bool = False,
    rerun_failed: bool = False,
    fresh: bool = False,
    quiet: bool = True,
) -> Records:
    """Train the runs that are not stored yet, summarise, draw and judge; return the records of all runs.

    `source` is a config file, a dict of its keys or an Experiment; `overrides` are texts such as
    ``depth=[2,4]``. A run that crashes is a row with status "crashed". The other options are those of
    `ExecutionOptions`; `quiet=False` shows progress.
    Errors: ConfigError, DataError, StoreError; KeyboardInterrupt after the running stacks are stored.
    """
    from experiments.cli.terminal import terminal

    options = ExecutionOptions(jobs, dask, limit, fail_fast, rerun_failed, fresh)
    progress = Silent() if quiet else terminal()
    return run_experiment(experiment_of(source, overrides), options, progress).records
