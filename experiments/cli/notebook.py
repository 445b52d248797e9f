"""`run`: train, store, draw and judge an experiment from a notebook or from another script."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from experiments.config import ConfigError, Experiment, cautions
from experiments.config.part_files import Part, load_parts
from experiments.datasets import give
from experiments.pipeline import Source, experiment_of, run_experiment, undisturbed
from experiments.sweeps.plan import ExecutionOptions
from experiments.sweeps.progress import Silent
from mlp.registry import parse_call

if TYPE_CHECKING:
    from experiments.storage.records import Records


class CautionWarning(UserWarning):
    """A setting is allowed and may be a slip; the message says why."""


class FailureWarning(UserWarning):
    """Something of an experiment failed, runs or a figure; the message says what and why."""


def run(
    source: Source,
    overrides: Iterable[str] = (),
    *,
    name: str | None = None,
    parts: Iterable[Part] = (),
    data: Mapping[str, Any] | None = None,
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
    `parts` are Python files that register parts of your own, or functions: an activation, initialiser,
    optimiser, normalisation or probe needs no decorator. Those that a notebook's cell registers need not be
    named. `data` are data sets by name, which the key `dataset` then takes: (x, y) as arrays, a pandas
    frame, or what a loader of scikit-learn returns (see `experiments.datasets.give`).
    A run that crashes is a row with status "crashed", and a FailureWarning tells of it, as of any figure that
    failed; a CautionWarning tells of a setting that may be a slip. The other options are those of
    `ExecutionOptions`; `quiet=False` shows progress.
    Errors: ConfigError, DataError, StoreError; KeyboardInterrupt after the running stacks are stored.
    """
    from experiments.cli.terminal import terminal

    load_parts(parts)
    for given, examples in (data or {}).items():
        give(given, examples)
    options = ExecutionOptions(jobs, dask, limit, fail_fast, rerun_failed, fresh, only_mine)
    progress = Silent() if quiet else terminal()
    experiment = experiment_of(source, overrides, name)
    _check_used(experiment, data or {})
    with undisturbed():  # a caution that the caller has made an error is raised once all is stored
        for line in cautions(experiment) if quiet else ():
            warnings.warn(line, CautionWarning, stacklevel=2)
        outcome = run_experiment(experiment, options, progress)
    for line in outcome.failures:
        warnings.warn(line, FailureWarning, stacklevel=2)
    return outcome.records


def _check_used(experiment: Experiment, data: Mapping[str, Any]) -> None:
    """Check that the runs use the data sets that were given; errors: ConfigError."""
    swept = experiment.sweep.get("dataset") or experiment.zip.get("dataset") or (experiment.base.dataset,)
    used = {parse_call(text)[0] for text in swept}
    if unused := [name for name in data if name not in used]:
        how = f"base: {{dataset: {unused[0]}}}"
        raise ConfigError(
            [f"data: no run uses {', '.join(unused)}; the runs use {', '.join(used)}; say {how}"]
        )
