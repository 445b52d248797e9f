"""What crashes, diverges, is lost or is edited in the middle is told in a line, and the rest goes on."""

import resource
from pathlib import Path

import pandas as pd
import pytest
from asking import EDITED, MEASURED, call, stored

import experiments
from experiments.claims import CLAIMS, needs
from experiments.storage.store import Store
from experiments.sweeps import runner
from experiments.sweeps.runner import run_stack

TOO_LARGE = """
question: Does a stack that cannot be had spoil the others?
base: {dataset: 'moons(n=200)', steps: 0, batch: 16}
zip: {width: [4, 65536, 8], depth: [1, 2, 2]}
figures: []
"""


@pytest.fixture
def large(monkeypatch):
    """Runs one of which needs 34 GB, where 4 GB are left, which the plan is told are plenty."""
    monkeypatch.setenv("VG_MEMORY", "1e6")
    Path("large.yaml").write_text(TOO_LARGE)
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 4 * 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def test_a_stack_that_crashes_is_recorded_and_the_sweep_goes_on(large, capfd):
    status, said, complaints = call(capfd, "large", jobs=1)
    assert (status, said) == (1, "")
    (line,) = complaints.splitlines()
    assert line.startswith("1 run crashed (depth=2, width=65536): ")
    assert "Unable to allocate" in line
    runs = experiments.load("large").runs
    assert list(runs["status"]) == ["ok", "crashed", "ok"]
    assert "Traceback" in runs["error"][1]
    assert "run_stack" in runs["error"][1]
    before = stored("large")
    assert call(capfd, "large") == (1, "", complaints)
    assert stored("large") == before


def test_what_is_gone_at_the_end_is_said(monkeypatch, capfd):
    """The first part is deleted as soon as it is there."""
    save, lost = Store.save, []

    def save_and_lose(store, records, **more):
        aside = save(store, records, **more)
        if not lost:
            (part,) = store.folder.glob("runs/[!0]*.parquet")
            part.unlink()
            lost.append(len(records.runs))
        return aside

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", save_and_lose)
        status, _, complaints = call(capfd, "tiny")
    assert (status, complaints) == (1, f"{lost[0]} of 8 runs are not stored: run the same command again\n")
    assert call(capfd, "tiny") == (0, "", "")


def test_what_has_crashed_is_trained_again_when_asked_for(capfd, monkeypatch):
    """In this process, which crashes, too, and goes on."""

    def crash_or_train(stack, **how):
        if stack[0].depth == 3 and failing:
            raise MemoryError("Unable to allocate")
        return run_stack(stack, **how)

    failing = [True]
    monkeypatch.setattr(runner, "run_stack", crash_or_train)
    changes = ["activation=relu", "seed=0", "name=tiny"]  # a run of either depth
    status, _, complaints = call(capfd, "tiny", *changes, jobs=1, fail_fast=True)
    assert list(experiments.load("tiny").runs["status"]) == ["crashed"]  # the costliest comes first
    assert status == 1
    assert complaints.startswith("1 run crashed: MemoryError: Unable to allocate (")
    assert "1 of 2 runs are not stored" in complaints
    status, said, again = call(capfd, "tiny", *changes, jobs=1, rerun_failed=True, quiet=False)
    assert status == 1
    assert again.startswith("1 run crashed (depth=3): MemoryError: Unable to allocate (")
    assert "2 runs, none stored: 2 stacks" in said
    assert list(experiments.load("tiny").runs["status"]) == ["ok", "crashed"]
    failing.clear()
    assert call(capfd, "tiny", *changes, jobs=1)[0] == 1
    assert call(capfd, "tiny", *changes, jobs=1, rerun_failed=True) == (0, "", "")
    assert list(experiments.load("tiny").runs["status"]) == ["ok", "ok"]


def test_a_claim_whose_code_fails_is_a_line_and_status_1_and_the_others_are_judged(capfd, monkeypatch):
    @needs("delta_norm")
    def torn(records):
        return {}["relu"]

    monkeypatch.setitem(CLAIMS, "torn", torn)
    claims = "claims=[torn, W03_slope, W11_relu_no_vanishing]"
    status, out, err = call(
        capfd,
        "tiny",
        claims,
        "probes=[delta_norm, delta_log10, dw_norm, dw_log10, z_rms, a_rms]",
        name="torn",
        quiet=False,
    )
    assert status == 1
    assert err.startswith("claims: torn: KeyError: 'relu' (claim torn, test_failing_runs.py, line ")
    assert "the claim's own code failed: KeyError: 'relu'" in out
    table = pd.read_csv("results/torn/claims.csv").set_index("claim")
    assert table["status"].to_dict() == {
        "torn": "inconclusive", "W03_slope": "supported", "W11_relu_no_vanishing": "inconclusive"
    }  # fmt: skip


def test_a_run_that_diverges_is_a_result(capfd):
    changes = ["lr=1e12", "activation=[identity]", "depth=[10]", "steps=40"]
    status, said, complaints = call(capfd, "tiny", *changes, quiet=False, name="wild")
    assert (status, complaints) == (0, "")
    assert set(experiments.load("wild").runs["status"]) == {"diverged"}
    assert "diverged" in said


def test_data_edited_during_a_sweep_are_not_trained_under_the_old_names(monkeypatch, capfd):
    """The file changes once a stack is stored; the stacks after it crash in clear words, once for all."""
    Path("mine.csv").write_text(MEASURED)
    changes = ["dataset=file(path='mine.csv')", "depth=[1,2,3]", "activation=relu", "name=tiny"]
    save = Store.save

    def edit_and_save(store, records, **more):
        Path("mine.csv").write_text(EDITED)
        return save(store, records, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", edit_and_save)
        status, _, complaints = call(capfd, "tiny", *changes, jobs=1)
    assert status == 1
    assert "the data differ from those that this sweep was planned with" in complaints
    assert "Traceback" not in complaints
    assert list(pd.read_parquet("results/tiny/runs").groupby("status").size().items()) == [
        ("crashed", 4), ("ok", 2),
    ]  # fmt: skip

    assert call(capfd, "tiny", *changes, jobs=1) == (0, "", "")  # named anew, by the data as they are
    assert len(experiments.load("tiny").runs) == 6
    Path("mine.csv").write_text(MEASURED)
    assert call(capfd, "tiny", *changes, jobs=1, rerun_failed=True) == (0, "", "")
    assert set(pd.read_parquet("results/tiny/runs")["status"]) == {"ok"}
