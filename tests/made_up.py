"""Records with chosen numbers: of runs that were never trained, for whatever judges records."""

from itertools import product

import numpy as np

from experiments.config.vocabulary import Run, keys_of
from experiments.storage.records import Records

MEASURED = ("loss", "accuracy", "test_loss", "test_accuracy")


def grid(**values):
    """The runs of a grid; a value that is no list is the same for all."""
    axes = {key: value if isinstance(value, list) else [value] for key, value in values.items()}
    return [Run(**dict(zip(axes, row, strict=True))) for row in product(*axes.values())]


def made(runs, steps=None, layers=None, watched=None, lost=()):
    """Records of these runs, measured at step 0 and the last or at `watched`.

    steps(run, step) -> {column: value}, others being 0; layers(run, step, layer) -> {probe: value}.
    Runs for which `lost` (a set, or a function of the run) is true diverged at step 1.
    """
    is_lost = lost if callable(lost) else lambda run: run in lost
    step_rows, layer_rows = [], []
    for name, run in enumerate(runs):
        for step in sorted({0, run.steps, *(watched or ())}):
            if is_lost(run) and step > 0:
                continue
            keys = {"run_id": f"{name}", "step": step}
            row = dict.fromkeys(MEASURED, 0.0) | {"lr": run.lr} | (steps(run, step) if steps else {})
            step_rows.append(keys | row)
            of_all = range(1, run.depth + 2) if layers else ()
            layer_rows += [keys | {"layer": layer} | layers(run, step, layer) for layer in of_all]
    columns = {key: [getattr(run, key) for run in runs] for key in keys_of(Run)}
    columns |= {"run_id": [f"{i}" for i in range(len(runs))], "seconds": [0.0] * len(runs)}
    columns |= {"status": ["diverged" if is_lost(run) else "ok" for run in runs], "error": [""] * len(runs)}
    columns |= {"diverged_at": [1 if is_lost(run) else None for run in runs]}
    return Records.build(runs=columns, steps=_columns(step_rows), layers=_columns(layer_rows))


def row_of(run):
    """A run as a claim has it: a row of the frame of runs."""
    return next(made([run]).runs.itertuples())


def _columns(rows):
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, np.nan) for row in rows] for name in names}


def without(records, probe):
    """The same records, one probe not recorded."""
    return Records(records.runs, records.steps, records.layers.drop(columns=probe))
