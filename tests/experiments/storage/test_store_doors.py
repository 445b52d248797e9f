"""One sweep a folder, errors that say what to do, names that stay inside, the manifest and `fresh`."""

import errno
import json
import multiprocessing
import os
import threading
from pathlib import Path

import pytest
from sweeps_in_small import IDS, WHOLE, listing, raising, same, sweep

from experiments.storage import files, store
from experiments.storage.files import StoreError, StoreWarning
from experiments.storage.records import COLUMNS
from experiments.storage.store import Store

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
        monkeypatch.setattr(files.fcntl, "flock", raising(errno.ENOLCK))
    with pytest.warns(StoreWarning, match="x: no locks are to be had here"):
        sweep(results)
    same(results.load(IDS), WHOLE.of(IDS))


# Errors that say what to do -------------------------------------------------------------------------------


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
            patch.setattr(os, call, raising(number))
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
        patch.setattr(os, "replace", raising(errno.ENOSPC))
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
