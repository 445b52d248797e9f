"""The store under every failure that we could think of, each followed by the same command again.

The yardstick is always the same: after a fault the sweep is run once more, and its tables must equal, bit for
bit, those of a sweep that nothing happened to.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from sweeps_in_small import (
    IDS,
    KINDS,
    MANY,
    ROOT,
    STACKS,
    WHOLE,
    Killed,
    crash,
    edit,
    faults,
    listing,
    same,
    some_part,
    sweep,
)

from experiments.storage import files, parts
from experiments.storage.files import StoreError, StoreWarning
from experiments.storage.records import COLUMNS
from experiments.storage.store import Store

# A fault at every possible moment -------------------------------------------------------------------------


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
    import sys
    sys.path[:0] = [{root!r}, {root!r} + "/tests"]
    from pathlib import Path
    from experiments.storage.store import Store
    from sweeps_in_small import IDS, sweep
    print("ready", flush=True)
    sweep(Store("x", Path(sys.argv[1])), [[run] for run in IDS])
"""


def python(code, *arguments):
    code = textwrap.dedent(code).format(root=str(ROOT))
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
