"""The pipeline in small: records that are swept into a store, and the faults that may befall its files."""

import builtins
import errno
import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from synthetic import records as synthetic

from experiments.storage import files
from experiments.storage.records import COLUMNS, Records, typed

ROOT = Path(__file__).parents[1]
FEW = ["run_id", "step", "layer", "delta_norm", "dw_norm", "w_norm", "z_var"]  # of the columns of layers
WHOLE = synthetic(activation=["tanh", "relu"], depth=[1, 2], seed=[0, 1, 2], steps=1, diverged=[("depth", 2)])


def with_units(records, width=2):
    """The same records of a few probes, with a row a unit, as if a config had asked for a unit probe."""
    rows = np.repeat(np.arange(len(records.layers)), width)
    layers = records.layers[FEW[:3]].iloc[rows].reset_index(drop=True)
    unit = np.arange(len(layers)) % width
    values = layers["layer"].to_numpy() / 7 + unit
    return replace(
        records,
        layers=records.layers[FEW],
        units=typed("units", {**layers, "unit": unit, "unit_bias": values}),
    )


WHOLE = with_units(WHOLE)
IDS = WHOLE.runs["run_id"].tolist()
STACKS = [IDS[:3], IDS[3:6], IDS[6:8], IDS[8:]]


def same(one, other):
    """Equal to the last bit: NaN for NaN, −0 for −0."""
    for name in COLUMNS:
        a, b = getattr(one, name), getattr(other, name)
        assert_frame_equal(a, b, check_exact=True)
        for column in a.select_dtypes("float64"):
            assert a[column].to_numpy().tobytes() == b[column].to_numpy().tobytes(), column


def same_but_for_time(one, other):
    """Equal to the last bit, all but the time it took."""
    for name in COLUMNS:
        a, b = (getattr(records, name).drop(columns="seconds", errors="ignore") for records in (one, other))
        assert_frame_equal(a, b, check_exact=True)


def sweep(target, stacks=STACKS, rerun_failed=False):
    """The pipeline in small: what is not there is computed and saved, stack by stack; the messages."""
    with target.sweep() as messages:
        done = target.finished(rerun_failed)
        for stack in stacks:
            if missing := [run for run in stack if run not in done]:
                target.save(WHOLE.of(missing))
        return messages


def listing(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def some_part(target, frame="layers"):
    """The first part of a frame that is not the one with the columns."""
    return sorted((target.folder / frame).glob("*.parquet"))[1]


def crash(runs):
    chosen = WHOLE.runs.set_index("run_id").loc[runs].reset_index()
    return Records.build(runs=chosen.assign(status="crashed", error="Traceback …", diverged_at=None))


def edit(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it can be done, not even tidying up."""


class Faults:
    """Counts what is asked of the disk, and lets one request fail, or it and all that follow."""

    def __init__(self, at, error, for_ever):
        self.at, self.error, self.for_ever, self.count = at, error, for_ever, 0

    def strikes(self):
        self.count += 1
        return self.count > self.at if self.for_ever else self.count == self.at + 1

    def around(self, real):
        def faulty(*args, **kwargs):
            if self.strikes():
                raise self.error
            return real(*args, **kwargs)

        return faulty

    def open(self, *args):
        file = builtins.open(*args)  # noqa: SIM115  (closed by who asked for it)
        if not self.strikes():
            return file
        real = file.write

        class Half:
            """The disk fills up in the middle of the file."""

            def __enter__(this):
                return this

            def __exit__(this, *_):
                file.close()

            def write(this, data):
                real(data[: len(data) // 2])
                raise self.error

        return Half()


@contextmanager
def faults(at, error, for_ever):
    made = Faults(at, error, for_ever)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "rename", "unlink", "mkdir", "ftruncate"):
            patch.setattr(os, name, made.around(getattr(os, name)))
        patch.setattr(os, "fsync", made.around(lambda handle: None))  # no test loses power
        patch.setattr(files, "open", made.open, raising=False)
        yield made


KINDS = {"disk full": (OSError(errno.ENOSPC, "No space left on device"), False), "killed": (Killed(), True)}
MANY = 1000


def raising(number):
    def fails(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fails
