"""What the store gives back is what was written, for this program and for pandas alone; crashed runs."""

import json
import shutil
import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal
from sweeps_in_small import IDS, WHOLE, crash, edit, listing, same, some_part, sweep

from experiments.config.vocabulary import Run
from experiments.storage import parts
from experiments.storage.files import StoreError, StoreWarning
from experiments.storage.records import COLUMNS, Records
from experiments.storage.store import Store

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
