"""`run`: train, store, draw and judge an experiment from a notebook or from another script."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

from experiments.pipeline import Source, experiment_of, run_experiment
from experiments.sweeps.plan import ExecutionOptions
from experiments.sweeps.progress import Silent

if TYPE_CHECKING:
    from experiments.storage.records import Records


class FailureWarning(UserWarning):
    """Something of an experiment failed, runs or a figure; the message says what and why."""


def run(
    source: Source,
    overrides: Iterable[str] = (),
    *,
    name: str | None = None,
    jobs: int | None = 1,
    dask: str | None = None,
    limit: float | None = None,
    fail_fast: bool = False,
    rerun_failed: bool = False,
    fresh: bool = False,
    only_mine: bool = False,
    quiet: bool = True,
) -> Records:
    """Train the runs that are not stored yet, summarise, draw and judge; return the records of all runs.

    `source` is a config file, a dict of its keys or an Experiment; `overrides` are texts such as
    ``depth=[2,4]``. `name` is that of the folder in results/, by which `load` finds the answer. Without it,
    that of a file is the file's and what overrides change in it, and that of a dict a hash of its contents;
    it stands in ``records.runs.attrs["experiment"]``.
    A run that crashes is a row with status "crashed", and a FailureWarning tells of it, as of any figure that
    failed. The other options are those of `ExecutionOptions`; `quiet=False` shows progress.
    Errors: ConfigError, DataError, StoreError; KeyboardInterrupt after the running stacks are stored.
    """
    from experiments.cli.terminal import terminal

    options = ExecutionOptions(jobs, dask, limit, fail_fast, rerun_failed, fresh, only_mine)
    progress = Silent() if quiet else terminal()
    outcome = run_experiment(experiment_of(source, overrides, name), options, progress)
    for line in outcome.failures:
        warnings.warn(line, FailureWarning, stacklevel=2)
    return outcome.records
