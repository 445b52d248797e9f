"""The store under every failure that we could think of, each followed by the same command again.

The yardstick is always the same: after a fault the sweep is run once more, and its tables must equal, bit for
bit, those of a sweep that nothing happened to.
"""

import builtins
import errno
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal
from synthetic import records as synthetic

from experiments.config.vocabulary import Run
from experiments.storage import files, parts, store
from experiments.storage.files import StoreError, StoreWarning
from experiments.storage.records import COLUMNS, Records, typed
from experiments.storage.store import Store

ROOT = Path(__file__).parents[3]
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


def sweep(target, stacks=STACKS, rerun_failed=False):
    """The pipeline in small: what is not there is computed and saved, stack by stack; the messages."""
    with target.sweep() as messages:
        done = target.finished(rerun_failed)
        for stack in stacks:
            if missing := [run for run in stack if run not in done]:
                target.save(WHOLE.of(missing))
        return messages


@pytest.fixture
def results(tmp_path):
    return Store("x", tmp_path)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    made = Store("x", tmp_path_factory.mktemp("swept"))
    assert sweep(made) == []
    return made.folder


@pytest.fixture
def full(results, swept):
    """A copy of a whole sweep."""
    shutil.copytree(swept, results.folder)
    return results


def listing(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def some_part(target, frame="layers"):
    """The first part of a frame that is not the one with the columns."""
    return sorted((target.folder / frame).glob("*.parquet"))[1]


# What is read is what was written -------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [0, 3, len(IDS) - 1])
def test_tables_do_not_depend_on_how_the_runs_were_parted(results, cuts, rng):
    order = rng.permutation(IDS).tolist()
    edges = [0, *sorted(rng.choice(range(1, len(IDS)), cuts, replace=False)), len(IDS)]
    sweep(results, [order[a:b] for a, b in pairwise(edges)])
    same(results.load(IDS), WHOLE.of(IDS))
    same(results.load(), WHOLE.of(sorted(IDS)))


def test_of_chosen_probes_the_columns_alone_are_read(full, monkeypatch):
    """Also of parts that lack one of them, and of some of a part's runs."""
    read, columns = pq.ParquetFile.read, set()

    def noted(file, *given, **options):
        table = read(file, *given, **options)
        columns.update(table.column_names)
        return table

    monkeypatch.setattr(pq.ParquetFile, "read", noted)
    found, whole = full.load(IDS[1:5], probes=["w_norm", "unit_bias"]), WHOLE.of(IDS[1:5])
    assert columns & {*WHOLE.probes, *WHOLE.unit_probes} == {"w_norm", "unit_bias"}
    assert len(WHOLE.probes) > 1
    assert list(found.layers) == ["run_id", "step", "layer", "w_norm"]
    assert_frame_equal(found.layers, whole.layers[list(found.layers)], check_exact=True)
    assert_frame_equal(found.units, whole.units, check_exact=True)
    assert_frame_equal(found.steps, whole.steps, check_exact=True)


def test_strange_numbers_survive_to_the_bit(results):
    strange = [np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3]
    layers = WHOLE.layers.assign(w_norm=np.resize(strange, len(WHOLE.layers)), dw_norm=np.nan)
    wild = replace(WHOLE, layers=layers)
    with results.sweep():
        results.save(wild.of(IDS[:5]))
        results.save(wild.of(IDS[5:]))
    same(results.load(IDS), wild.of(IDS))
    measured, unset = pq.read_table(some_part(results)), pq.read_table(some_part(results, "runs"))
    assert measured["dw_norm"].null_count == 0  # but NaN
    assert unset["clip"].null_count == len(unset)


def test_a_choice_of_runs_comes_in_its_own_order_and_without_what_is_not_there(full):
    wanted = [IDS[7], IDS[1], "0" * 8, IDS[10]]
    same(full.load(wanted), WHOLE.of(wanted))
    assert len(full.load([]).runs) == 0


def test_a_second_sweep_finds_everything_and_writes_nothing(full):
    before = {name: (full.folder / name).stat().st_mtime_ns for name in listing(full.folder)}
    assert sweep(full) == []
    after = {name: (full.folder / name).stat().st_mtime_ns for name in listing(full.folder)}
    assert {name for name in after if before[name] != after[name]} == {".lock"}
    assert full.finished() == set(IDS)


def test_nothing_stored_is_said(tmp_path):
    assert Store("never", tmp_path).finished() == set()
    with pytest.raises(StoreError, match=r"never: nothing is stored here. Run the experiment first\.$"):
        Store("never", tmp_path).load()
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_name_is_met_with_what_is_stored_beside_it(tmp_path):
    for name in ("deep_sigmoid", "depth_sweep"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(StoreError, match=r"Did you mean 'deep_sigmoid'\?$"):
        Store("deep_sigmod", tmp_path).load()
    with pytest.raises(StoreError, match=r"Stored in .*: deep_sigmoid, depth_sweep\.$"):
        Store("qqq", tmp_path).load()


def test_writing_needs_the_lock(results):
    with pytest.raises(RuntimeError, match="inside `with store.sweep"):
        results.save(WHOLE)
    with pytest.raises(RuntimeError, match="inside `with store.sweep"):
        results.fresh()


# pandas alone ---------------------------------------------------------------------------------------------


def test_pandas_reads_the_folders_as_one_table_with_the_documented_types(results):
    """Also where a part's column has no number in it, and where no run is stored yet."""
    with results.sweep():
        for name in COLUMNS:
            empty = pd.read_parquet(results.folder / name)
            assert list(empty.columns) == list(COLUMNS[name])
        results.save(Records.crashed([Run(clip=None)], ["a"], "boom"))
        results.save(WHOLE)
    for name in COLUMNS:
        frame = pd.read_parquet(results.folder / name)
        assert len(frame) == len(getattr(WHOLE, name)) + (name == "runs")
        assert_frame_equal(frame[:0], getattr(WHOLE, name)[:0], check_index_type=False)


@pytest.mark.parametrize("swapped", [False, True])
def test_parts_with_other_probes_make_one_table_that_has_them_all(results, swapped):
    few = Records(WHOLE.runs, WHOLE.steps, WHOLE.layers[["run_id", "step", "layer", "w_norm"]])
    mine = WHOLE.layers[["run_id", "step", "layer", "z_var"]].rename(columns={"z_var": "mine(below=0.1)"})
    other = Records(WHOLE.runs, WHOLE.steps, mine)
    pieces = [few.of(IDS[:6]), other.of(IDS[6:])]
    with results.sweep():
        for piece in reversed(pieces) if swapped else pieces:
            results.save(piece)
    for _ in range(2):
        layers = pd.read_parquet(results.folder / "layers").set_index("run_id")
        assert set(layers.columns) == {"step", "layer", "w_norm", "mine(below=0.1)"}
        assert layers.loc[IDS[0], "w_norm"].notna().all()
        assert layers.loc[IDS[0], "mine(below=0.1)"].isna().all()
        assert layers.loc[IDS[-1], "mine(below=0.1)"].notna().all()
        sweep(results, [])
    assert results.load(IDS[:6]).probes == ("w_norm",)
    assert results.load(IDS).probes == ("w_norm", "mine(below=0.1)")


def test_parts_with_and_without_units_lie_side_by_side(results):
    """A file of units is written only where some were measured; the folder is a table at any moment."""
    plain = replace(WHOLE.of(IDS[:6]), units=None, bins=None)
    with results.sweep():
        results.save(plain, "a")
        assert not parts.path_of(results.folder, "units", "a").exists()
        assert len(pd.read_parquet(results.folder / "units")) == 0
        results.save(WHOLE.of(IDS[4:]), "b")
    found = Store("x", results.root).load(IDS)
    assert found.unit_probes == ("unit_bias",)
    assert found.distributions == ("delta",)
    assert_frame_equal(found.bins, WHOLE.of(IDS[4:]).bins, check_exact=True)
    assert_frame_equal(found.units, WHOLE.of(IDS[4:]).units, check_exact=True)
    assert len(pd.read_parquet(results.folder / "units")) == len(found.units)
    path = parts.path_of(results.folder, "units", "b")
    edit(path)
    with pytest.warns(StoreWarning, match="has units that were changed after they were written"):
        assert set(results.load().runs["run_id"]) == set(IDS[:4])


def test_pandas_can_read_while_a_sweep_writes(results):
    """Whatever it sees of a run is the whole of it, and a run of `runs` is in the other tables too."""
    rows = {name: getattr(WHOLE, name)["run_id"].value_counts() for name in COLUMNS}
    seen, failures = [], []
    over = threading.Event()
    with results.sweep():
        reader = threading.Thread(target=_read_on, args=(results.folder, rows, over, seen, failures))
        reader.start()
        for run in IDS:
            results.save(WHOLE.of([run]))
            results.write_manifest(runs=IDS)
        over.set()
        reader.join()
    assert failures == []
    assert seen[-1] == len(IDS)
    assert len(set(seen)) > 2  # it did look while parts were coming


def _read_on(folder, rows, over, seen, failures):
    last = False
    while not last:
        last = over.is_set()
        try:
            counts = {name: pd.read_parquet(folder / name)["run_id"].value_counts() for name in COLUMNS}
            if (folder / "manifest.json").exists():
                json.loads((folder / "manifest.json").read_text())
            for name, count in counts.items():
                assert (count == rows[name][count.index]).all()
            assert set(counts["runs"].index) <= set(counts["steps"].index) <= set(counts["layers"].index)
            seen.append(len(counts["runs"]))
        except Exception as error:  # to be seen by the test and not by the thread's hook
            failures.append(error)
            return


# Runs that crashed ----------------------------------------------------------------------------------------


def crash(runs):
    chosen = WHOLE.runs.set_index("run_id").loc[runs].reset_index()
    return Records.build(runs=chosen.assign(status="crashed", error="Traceback …", diverged_at=None))


def test_crashed_runs_are_finished_unless_they_are_to_be_run_again(results):
    with results.sweep():
        results.save(crash(IDS[:2]))
        results.save(WHOLE.of(IDS[2:4]))
    assert results.finished() == set(IDS[:4])
    assert results.finished(rerun_failed=True) == set(IDS[2:4])


@pytest.mark.parametrize("crashed", [IDS[:3], IDS[1:5]])
def test_a_run_that_is_run_again_replaces_its_crash(results, crashed):
    """The crash is gone from the folder too, be it a whole part or two halves of others."""
    with results.sweep():
        results.save(crash(crashed))
        results.save(crash(crashed))  # and again without success
    assert sweep(results) == []
    assert results.load(IDS).runs["status"].tolist().count("crashed") == len(crashed)
    assert sweep(results, rerun_failed=True) == []
    same(results.load(IDS), WHOLE.of(IDS))
    for name in COLUMNS:
        assert len(pd.read_parquet(results.folder / name)) == len(getattr(WHOLE, name))


def test_a_late_crash_does_not_replace_a_finished_run(full):
    with full.sweep():
        full.save(crash(IDS[:5]))
    same(full.load(IDS), WHOLE.of(IDS))


def test_a_run_in_two_parts_is_read_once_and_the_parts_are_mended(full, tmp_path):
    """As a kill leaves it that hits between the writing of the new part and the deletion of the old."""
    other = Store("other", tmp_path)
    with other.sweep():
        other.save(crash([IDS[0]]), "0first")
        other.save(WHOLE.of(IDS[2:7]), "zlast")
    for frame in COLUMNS:
        for name in ("0first", "zlast"):
            path = parts.path_of(other.folder, frame, name)
            if path.exists() or frame not in ("units", "bins", "plane"):  # of crashed runs none was measured
                shutil.copy(path, full.folder / frame)
    same(full.load(IDS), WHOLE.of(IDS))
    assert sweep(full) == []
    same(full.load(IDS), WHOLE.of(IDS))
    for name in COLUMNS:
        assert len(pd.read_parquet(full.folder / name)) == len(getattr(WHOLE, name))


# A fault at every possible moment -------------------------------------------------------------------------


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stride", [67, pytest.param(1, marks=pytest.mark.slow)])
def test_a_fault_at_any_request_to_the_disk_loses_nothing(tmp_path, kind, stride, rng):
    """From an empty folder, and from one with a crashed and a finished part of which runs are replaced."""
    begun = Store("begun", tmp_path)
    with begun.sweep():
        begun.save(crash(IDS[:4]))
        begun.save(WHOLE.of(IDS[4:6]))
        begun.write_manifest(question="why?")
    for start in (begun, Store("empty", tmp_path)):
        for at in range(rng.integers(stride), MANY, stride):
            target = Store(f"{start.folder.name}{at}", tmp_path)
            if start.folder.exists():
                shutil.copytree(start.folder, target.folder)
            if not _struck(target, at, *KINDS[kind]):
                break
            shutil.rmtree(target.folder)
        assert 50 < at < MANY - stride, "as many requests as a sweep makes"


def _struck(target, at, error, for_ever):
    """One sweep with a fault, and what must be true after it; whether the fault came to pass."""
    kept = target.finished(rerun_failed=True)
    with faults(at, error, for_ever) as made:
        try:
            sweep(target, [IDS[:2], IDS[2:8], IDS[8:]], rerun_failed=True)
            target.write_manifest(question="why?", runs=IDS)
        except Killed:
            pass
        except StoreError as caught:
            assert "no space left on device. Free some space and run" in str(caught)  # noqa: PT017
            assert listing_of_drafts(target) == []
    assert target.finished(rerun_failed=True) >= kept
    assert target.manifest().get("question") in ("why?", None)
    assert sweep(target, rerun_failed=True) == []
    same(target.load(IDS), WHOLE.of(IDS))
    assert len(pd.read_parquet(target.folder / "layers")) == len(WHOLE.layers)
    assert listing_of_drafts(target) == []
    return made.count > at


def listing_of_drafts(target):
    return sorted(target.folder.rglob(".*.partial"))


def test_everything_is_durable_before_what_relies_on_it(results, monkeypatch):
    """What a power cut needs: contents before names, all other names before the commit mark."""
    events = []
    replace = os.replace

    def note_replace(source, target):
        events.append(f"name {Path(target).parent.name}")
        replace(source, target)

    with results.sweep():
        results.save(WHOLE.of(IDS[:2]))
        monkeypatch.setattr(os, "fsync", lambda handle: events.append("sync draft"))
        monkeypatch.setattr(files, "sync", lambda folder: events.append(f"sync {folder.name}"))
        monkeypatch.setattr(os, "replace", note_replace)
        results.save(WHOLE.of(IDS[2:4]))
    assert events == [
        *["sync draft"] * 6,
        *["name plane", "sync plane", "name bins", "sync bins", "name units", "sync units"],
        *["name layers", "sync layers", "name steps", "sync steps"],
        *["name runs", "sync runs"],
    ]


SWEEPER = """
    import sys, time
    sys.path[:0] = [{tests!r}, {root!r}, {root!r} + "/tests"]
    from pathlib import Path
    from test_store import IDS, Store, WHOLE, sweep
    print("ready", flush=True)
    sweep(Store("x", Path(sys.argv[1])), [[run] for run in IDS])
"""


def python(code, *arguments):
    code = textwrap.dedent(code).format(tests=str(Path(__file__).parent), root=str(ROOT))
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow  # test_resume.py kills whole sweeps, also in the fast tests
def test_a_sweep_killed_again_and_again_ends_with_the_same_tables(tmp_path, rng):
    target = Store("x", tmp_path)
    for _ in range(3):
        with python(SWEEPER, tmp_path) as process:
            assert process.stdout.readline() == "ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
        before = target.finished()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if before:
                same(target.load(sorted(before)), WHOLE.of(sorted(before)))
    assert sweep(target) == []
    same(target.load(IDS), WHOLE.of(IDS))


# Files that are not what was stored -----------------------------------------------------------------------


def edit(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def through_pandas(path):
    pd.read_parquet(path).to_parquet(path)


def torn(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def lost(path):
    path.unlink()


DAMAGE = [
    ("runs", edit, "was changed after it was written|is not a whole Parquet file"),
    ("runs", through_pandas, "was not written by a sweep"),
    ("runs", torn, "is not a whole Parquet file"),
    ("runs", empty, "is not a whole Parquet file"),
    ("layers", edit, "has layers that were changed after they were written"),
    ("steps", through_pandas, "has steps that were changed after they were written"),
    ("layers", torn, "has layers that were changed after they were written"),
    ("steps", lost, "has lost its steps"),
]


@pytest.mark.parametrize(("frame", "damage", "reason"), DAMAGE)
def test_a_damaged_part_is_never_data_but_named_set_aside_and_made_again(full, frame, damage, reason):
    path = some_part(full, frame)
    held = pd.read_parquet(full.folder / "runs" / path.name)["run_id"]
    damage(path)
    with pytest.warns(StoreWarning, match=f"x: part {path.stem} not read: ({reason})$"):
        assert not set(full.load(IDS).runs["run_id"]) & set(held)
    assert full.finished() == set(IDS) - set(held)
    messages = sweep(full)
    assert len(messages) == 1
    assert re.search(rf"x: part {path.stem} set aside in \S+x/set_aside: ({reason})$", messages[0])
    assert (full.folder / "set_aside" / "runs" / path.name).exists()
    same(full.load(IDS), WHOLE.of(IDS))
    assert sweep(full) == []


@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_while_a_damaged_part_is_set_aside_loses_no_file_of_it(full, stride):
    """All its files are set aside together, in however many sweeps."""
    path = some_part(full)
    edit(path)
    for at in range(0, MANY, stride):
        target = Store(f"copy{at}", full.root)
        shutil.copytree(full.folder, target.folder)
        with faults(at, *KINDS["killed"]) as made, suppress(Killed), target.sweep():
            pass
        if made.count <= at:
            break
        sweep(target)
        aside = {p.relative_to(target.folder / "set_aside") for p in target.folder.glob("set_aside/*/*")}
        assert aside == {Path(frame, path.name) for frame in COLUMNS}
        same(target.load(IDS), WHOLE.of(IDS))
    assert 5 < at < MANY - 1


def test_every_single_bit_counts(full, rng):
    """Wherever a byte of a runs part is changed, the part is no longer read."""
    path = some_part(full, "runs")
    sound = path.read_bytes()
    for place in rng.choice(len(sound), 150, replace=False):
        raw = bytearray(sound)
        raw[place] ^= 1 << rng.integers(8)
        path.write_bytes(raw)
        good, bad = parts.scan(full.folder)
        assert path.stem in bad, f"byte {place} of {len(sound)}"
        assert path.stem not in good


def test_a_part_that_is_deleted_while_the_folder_is_read_is_no_damage(full, monkeypatch):
    """As where --rerun-failed replaces it after the folder was listed."""
    path = some_part(full, "runs")
    held = pd.read_parquet(path)["run_id"]

    def open_part(folder, name):
        if name == path.stem and path.exists():
            for frame in ("runs", "steps"):
                parts.path_of(folder, frame, name).unlink()
            raise parts.BadPart("has lost its steps")
        return sound(folder, name)

    sound = parts.open_part
    monkeypatch.setattr(parts, "open_part", open_part)
    same(full.load(IDS), WHOLE.of([run for run in IDS if run not in set(held)]))


def test_foreign_files_are_set_aside_each_under_its_name(full):
    WHOLE.runs.to_parquet(full.folder / "runs" / "mine.parquet")
    WHOLE.steps.to_parquet(full.folder / "steps" / "mine.parquet")
    (full.folder / "layers" / "notes.txt").write_text("mine")
    (full.folder / "layers" / "folder").mkdir()
    (full.folder / "layers" / ".DS_Store").write_text("no reader reads it")
    with pytest.warns(StoreWarning, match="mine not read: was not written by a sweep"):
        same(full.load(IDS), WHOLE.of(IDS))
    (message,) = sweep(full)
    assert ": part mine, layers/folder, layers/notes.txt set aside in" in message
    aside = {p.relative_to(full.folder / "set_aside").as_posix() for p in full.folder.glob("set_aside/*/*")}
    assert aside == {"runs/mine.parquet", "steps/mine.parquet", "layers/notes.txt", "layers/folder"}
    assert (full.folder / "layers" / ".DS_Store").exists()
    same(full.load(IDS), WHOLE.of(IDS))


def test_what_is_set_aside_twice_is_kept_twice(full):
    for count in (1, 2, 3):
        (full.folder / "layers" / "notes.txt").write_text(str(count))
        sweep(full)
    kept = sorted((full.folder / "set_aside" / "layers").iterdir())
    assert [p.name for p in kept] == ["notes-2.txt", "notes-3.txt", "notes.txt"]
    assert [p.read_text() for p in kept] == ["2", "3", "1"]


def test_a_part_under_another_name_is_no_part(full):
    path = some_part(full, "runs")
    shutil.copy(path, path.with_name("copy.parquet"))
    shutil.copy(some_part(full), full.folder / "steps" / "spare.parquet")
    first, second = sweep(full)
    assert first.endswith(f"was written as runs/{path.stem}.parquet")
    assert "steps/spare.parquet set aside" in second
    same(full.load(IDS), WHOLE.of(IDS))


def test_parts_without_their_commit_mark_are_deleted_silently(full):
    for frame in ("layers", "steps"):
        source = some_part(full, frame)
        with full.sweep():
            raw = parts.encode(frame, getattr(WHOLE, frame), "orphan")
        source.with_name("orphan.parquet").write_bytes(raw)
    assert sweep(full) == []
    assert not any("orphan" in name for name in listing(full.folder))


def test_runs_of_another_version_of_the_numbers_are_set_aside(full, monkeypatch):
    monkeypatch.setattr(parts, "SCHEMA", parts.SCHEMA + 1)
    assert full.finished() == set()
    versions = f"holds version {parts.SCHEMA - 1} of the numbers, and this is {parts.SCHEMA}"
    with pytest.warns(StoreWarning, match=f"not read: {versions}$"):
        assert len(full.load(IDS).runs) == 0
    (message,) = sweep(full)
    assert versions in message
    assert len(list((full.folder / "set_aside" / "layers").iterdir())) == len(STACKS)
    same(full.load(IDS), WHOLE.of(IDS))


def test_many_of_a_kind_are_one_line(full):
    for i in range(8):
        (full.folder / "steps" / f"{i}.txt").touch()
    (message,) = sweep(full)
    assert "steps/0.txt, steps/1.txt, steps/2.txt, steps/3.txt, steps/4.txt and 3 more set aside" in message


def test_parts_from_before_a_field_was_added_have_its_default(results, monkeypatch):
    with monkeypatch.context() as patch:
        before = {name: column for name, column in COLUMNS["runs"].items() if name not in ("width", "norm")}
        patch.setitem(COLUMNS, "runs", before)
        old = replace(WHOLE, runs=WHOLE.runs[list(before)])
        with results.sweep():
            results.save(old.of(IDS[:6]))
    sweep(results)
    same(results.load(IDS), WHOLE.of(IDS))
    assert {"width", "norm"} <= set(pd.read_parquet(results.folder / "runs").columns)


# One sweep a folder ---------------------------------------------------------------------------------------


def _hold(root, way, held):
    with Store("x", root).sweep():
        if way == "fork" and os.fork() == 0:
            _wait_for(root / "over")  # a worker that outlives its driver
            os._exit(0)
        held.touch()
        _wait_for(root / "over")


def _wait_for(path):
    gate = threading.Event()
    for _ in range(1000):
        if path.exists():
            return True
        gate.wait(0.03)
    return False


@pytest.mark.parametrize("way", ["alone", "fork"])
def test_a_second_sweep_is_told_who_writes_and_may_when_that_one_was_killed(full, way):
    held = full.root / "held"
    process = multiprocessing.get_context("fork").Process(target=_hold, args=(full.root, way, held))
    process.start()
    assert _wait_for(held)
    who = rf"x: another sweep is writing here: process {process.pid} on \S+, since \d{{4}}-\d\d-\d\d "
    with pytest.raises(StoreError, match=who):
        sweep(full)
    same(full.load(IDS), WHOLE.of(IDS))  # readers need not wait
    process.kill()
    process.join()
    assert sweep(full) == []
    (full.root / "over").touch()


def test_two_sweeps_in_one_process_are_two_sweeps(full):
    (full.folder / ".lock").write_text("left by whoever held it before" * 9)
    with full.sweep(), pytest.raises(StoreError, match=f"process {os.getpid()} on"):
        sweep(Store("x", full.root))
    assert sweep(full) == []


def test_the_holder_is_a_stranger_until_it_has_signed(full):
    with files.locked(full.folder / ".lock"):
        (full.folder / ".lock").write_text("")
        with pytest.raises(StoreError, match="a process that has only just started"):
            sweep(full)


@pytest.mark.parametrize("system", ["without locks", "file system without locks"])
def test_where_there_are_no_locks_one_is_warned(results, monkeypatch, system):
    if system == "without locks":
        monkeypatch.setattr(files, "fcntl", None)
    else:
        monkeypatch.setattr(files.fcntl, "flock", _raise(errno.ENOLCK))
    with pytest.warns(StoreWarning, match="x: no locks are to be had here"):
        sweep(results)
    same(results.load(IDS), WHOLE.of(IDS))


# Errors that say what to do -------------------------------------------------------------------------------


def _raise(number):
    def fails(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fails


ADVICE = {
    errno.ENOSPC: "no space left on device. Free some space and run the same command again",
    errno.EROFS: "read-only file system. Set VG_RESULTS to a folder that you may write to",
    errno.EACCES: "permission denied. Set VG_RESULTS to a folder that you may write to",
    errno.EIO: "input/output error. Run the same command again once the cause is gone",
}


@pytest.mark.parametrize("call", ["mkdir", "replace", "fsync"])
def test_an_error_names_the_path_the_cause_and_the_way_out(results, monkeypatch, call):
    for number, advice in ADVICE.items():
        with monkeypatch.context() as patch:
            patch.setattr(os, call, _raise(number))
            with pytest.raises(
                StoreError, match=rf"^{results.folder}\S*: cannot (make|write|lock): {advice}"
            ):
                sweep(results)
    assert sweep(results) == []
    same(results.load(IDS), WHOLE.of(IDS))


@pytest.mark.parametrize("blocked", ["x", "x/layers", "x/.partial"])
def test_a_file_in_the_place_of_a_folder_is_said(tmp_path, blocked):
    path = tmp_path / blocked
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.raises(StoreError, match=r"Something else stands where a file or a folder should be"):
        sweep(Store("x", tmp_path))
    path.unlink()
    assert sweep(Store("x", tmp_path)) == []


def test_a_folder_in_the_place_of_a_part_is_set_aside(full):
    (full.folder / "runs" / "odd.parquet").mkdir()
    (message,) = sweep(full)
    assert "part odd set aside" in message
    assert message.endswith("has a folder in the place of its runs")
    same(full.load(IDS), WHOLE.of(IDS))


OUTSIDE = ["..", ".", "", "../elsewhere", "/etc/x", "x/../..", "a\0b", "x" * 5000, "out", "ring"]


@pytest.mark.parametrize("name", OUTSIDE, ids=lambda name: name[:12])
def test_a_name_that_would_leave_the_results_is_refused(tmp_path, name):
    root = tmp_path / "results"
    root.mkdir()
    (tmp_path / "outside").mkdir()
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "ring").symlink_to(root / "ring")
    with pytest.raises(StoreError, match="does not name anything inside .*; give a plain name$"):
        Store(name, root)


@pytest.mark.parametrize("inner", ["layers", "figures", "set_aside", ".partial"])
def test_a_link_inside_the_folder_is_not_followed(tmp_path, inner):
    (tmp_path / "outside").mkdir()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / inner).symlink_to(tmp_path / "outside")
    with pytest.raises(StoreError, match=f"x/{inner} is a link; results go into plain folders only"):
        sweep(Store("x", tmp_path))
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_lock_that_is_a_link_is_not_written_through(full):
    victim = full.root / "victim.txt"
    victim.write_text("theirs")
    (full.folder / ".lock").unlink()
    (full.folder / ".lock").symlink_to(victim)
    with pytest.raises(StoreError, match=r"x/.lock: cannot lock: too many levels of symbolic links"):
        sweep(full)
    assert victim.read_text() == "theirs"


def test_the_root_may_be_a_link_and_is_named_by_the_environment(tmp_path, monkeypatch):
    (tmp_path / "big disk").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "big disk")
    monkeypatch.setenv("VG_RESULTS", str(tmp_path / "results"))
    sweep(Store("x"))
    assert (tmp_path / "big disk" / "x" / "runs").is_dir()
    monkeypatch.delenv("VG_RESULTS")
    assert store.results_root() == Path("results")


def test_a_parts_name_is_checked(results):
    with results.sweep():
        for name in ("../x", "0-columns", ".hidden", "_hidden", "a b"):
            with pytest.raises(ValueError, match="is not a part's name"):
                results.save(WHOLE, name)
        results.save(WHOLE, "stack_7")
    assert (results.folder / "runs" / "stack_7.parquet").exists()


# Manifest, other files, fresh -----------------------------------------------------------------------------


def test_the_manifest_gathers_facts_and_survives_its_own_tearing(results):
    assert results.manifest() == {}
    sweep(results)
    results.write_manifest(question="why? – ½", runs=IDS, path=Path("a"))
    results.write_manifest(seconds=1.5)
    results.write("figures/a.svg", b"")
    results.write_manifest(written=["summary.csv"])
    facts = results.manifest()
    assert facts["written"] == ["figures/a.svg", "summary.csv"]
    assert (facts["question"], facts["runs"], facts["seconds"], facts["path"]) == ("why? – ½", IDS, 1.5, "a")
    for content in (b'{"question": "wh', b"\xff\xfe", b"[1]", b""):
        (results.folder / "manifest.json").write_bytes(content)
        with pytest.warns(StoreWarning, match=r"x/manifest.json: not a whole JSON file: not read"):
            assert results.manifest() == {}
    with pytest.warns(StoreWarning):
        results.write_manifest(question="again")
    assert results.manifest()["question"] == "again"


def test_other_files_are_whole_or_as_before(results, monkeypatch):
    results.write("figures/ratio.svg", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", _raise(errno.ENOSPC))
        with pytest.raises(StoreError, match=r"x/figures/ratio.svg: cannot write: no space left"):
            results.write("figures/ratio.svg", b"new")
    assert listing(results.folder) == ["figures/ratio.svg"]
    assert (results.folder / "figures/ratio.svg").read_bytes() == b"old"
    with pytest.raises(StoreError, match="does not name anything inside"):
        results.write("../escaped", b"")


def test_fresh_deletes_what_sweeps_wrote_and_nothing_else(full):
    for name in ("figures/a.png", "figures/a.svg", "extra/deep.csv", "claims.csv"):
        full.write(name, b"ours")
    full.write_manifest(question="why?")
    (full.folder / "summary.csv").write_text("ours")
    theirs = {"notes.md", "figures/theirs.png", "runs/.hidden"}
    for name in theirs:
        (full.folder / name).write_text("theirs")
    (full.folder / "layers" / "theirs.parquet").write_text("theirs")
    again = Store("x", full.root)  # another process: it knows of the figures by the manifest
    with again.sweep() as messages:
        again.fresh()
        assert again.finished() == set()
    assert "layers/theirs.parquet set aside" in messages[0]
    left = {".lock", "set_aside/layers/theirs.parquet", *(f"{frame}/0-columns.parquet" for frame in COLUMNS)}
    assert set(listing(full.folder)) == theirs | left
    assert not (full.folder / "extra").exists()
    assert sweep(again) == []
    same(again.load(IDS), WHOLE.of(IDS))


def test_a_manifest_cannot_make_fresh_delete_outside(full):
    victim = full.root / "victim.txt"
    victim.write_text("theirs")
    (full.folder / "manifest.json").write_text(json.dumps({"written": ["../victim.txt"]}))
    with full.sweep(), pytest.raises(StoreError, match="does not name anything inside"):
        full.fresh()
    assert victim.exists()
    assert full.finished() == set(IDS)
