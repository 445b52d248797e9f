"""Killed anywhere, a sweep goes on; in the end its tables are those of one left alone, bit for bit."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import unreported
from sweeps_in_small import same_but_for_time as same

import experiments
from experiments.storage.store import Store

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = [sys.executable, str(ROOT / "scripts" / "run.py")]
CONFIG = """
question: Does a kill change a number?
base: {dataset: 'moons(n=200)', width: 8, batch: 16, lr: 0.1, optimiser: momentum}
sweep:
  activation: [sigmoid, relu]
  depth: [1, 2, 4]
  steps: [100, 200]
  seed: [0, 1, 2]
watch: 6
unit_probes: [unit_dead]
probes: [delta_norm, dw_norm, dead_fraction, update_ratio, displacement]
figures: []
"""
RUNS = 36
SEED = int(os.environ.get("VG_SEED", "0"))  # VG_SEED=100 pytest … -m slow   kills elsewhere


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VG_RESULTS", str(tmp_path / "results"))
    Path("killed.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The records of a sweep that ran through, in this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "killed.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VG_RESULTS", str(folder))
        return experiments.run(folder / "killed.yaml")


def start(*how, program=PROGRAM):
    command = [*program, "killed.yaml", "--quiet", *how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(sweep):
    _, said = sweep.communicate(timeout=120)
    return sweep.returncode, said


def children(pid):
    """The processes below one: a driver's fork server, and below that its workers."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except (OSError, IndexError):
            continue  # it ended meanwhile
    return found


def workers(driver):
    return [worker for server in children(driver) for worker in children(server)]


def parts():
    return len(list(Path("results/killed/runs").glob("*.parquet")))


def wait_for(condition, sweep, seconds=60.0):
    """Until a condition holds or the sweep is over; whether it holds."""
    end = time.monotonic() + seconds
    gate = threading.Event()
    while not condition():
        if sweep.poll() is not None or time.monotonic() > end:
            return False
        gate.wait(0.005)
    return True


def kill_driver(draw):
    """One sweep, its driver killed at a random moment from its first import to its last table."""
    sweep = start("--jobs", draw.choice("12"))  # in one process, or with two workers
    stored = parts() + draw.randint(-1, 8)  # it is killed soon after so many are, or at once
    wait_for(lambda: parts() > stored, sweep)
    threading.Event().wait(draw.choice([0, 0.01, 0.1, 1.0]) * draw.random())
    sweep.kill()
    finish(sweep)
    return sweep.returncode == -signal.SIGKILL


def kill_worker(draw):
    """One sweep, one of its workers killed; the sweep has to end well by itself."""
    sweep = start("--jobs", "2", program=unreported.COMMAND)
    if not wait_for(lambda: workers(sweep.pid), sweep):
        assert finish(sweep) == (0, "")
        return False
    threading.Event().wait(draw.uniform(0, 0.2))
    hit = False
    for worker in workers(sweep.pid)[:1]:
        os.kill(worker, signal.SIGKILL)
        hit = True
    assert finish(sweep) == (0, "")
    return hit


def kill_often(times, draw, ways):
    """Kill sweeps of one experiment, starting anew whenever it is complete; how often it was resumed."""
    kills = resumed = 0
    while kills < times:
        if len(finished()) == RUNS:
            shutil.rmtree("results/killed")
        resumed += 0 < len(finished()) < RUNS
        kills += draw.choice(ways)(draw)
    return resumed


def finished():
    return Store("killed").finished()


def kill_forked(draw, most):
    """One sweep, forked from this process and killed soon after at most so many parts are stored.

    No kill falls into the seconds in which a new process imports.
    """
    sweep = multiprocessing.get_context("fork").Process(target=experiments.run, args=("killed.yaml",))
    sweep.start()
    stored, end = parts() + draw.randint(0, most), time.monotonic() + 60
    while sweep.is_alive() and parts() < stored and time.monotonic() < end:
        sweep.join(0.002)
    sweep.join(0.1 * draw.random())
    sweep.kill()
    sweep.join()
    return sweep.exitcode == -signal.SIGKILL


def check_the_end(undisturbed):
    same(experiments.run("killed.yaml"), undisturbed)
    assert not list(Path("results/killed/.partial").iterdir())
    assert not Path("results/killed/set_aside").exists()


def test_a_sweep_whose_driver_is_killed_goes_on_where_it_was(undisturbed):
    assert kill_often(3, random.Random(1), [partial(kill_forked, most=2)]) >= 1
    check_the_end(undisturbed)


def test_a_sweep_whose_worker_is_killed_does_not_even_stop(undisturbed):
    assert kill_worker(random.Random(2))
    check_the_end(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEED, SEED + 4))
def test_sixteen_kills_at_random_moments(undisturbed, seed):
    assert kill_often(16, random.Random(seed), [kill_driver, kill_driver, kill_worker]) >= 4
    check_the_end(undisturbed)


@pytest.mark.slow
def test_a_hundred_kills_of_a_process_that_trains(undisturbed):
    assert kill_often(100, random.Random(SEED), [partial(kill_forked, most=6)]) > 50
    check_the_end(undisturbed)


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers, as one starts them by hand: the scheduler's address and the processes."""
    pytest.importorskip("distributed")
    facts = tmp_path / "scheduler.json"
    common = ["--scheduler-file", str(facts), "--no-dashboard"]
    one = ["--nthreads", "1", "--nworkers", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    words = [["scheduler", "--port", "0", *common], *[["worker", *common, *one, "--name", n] for n in "ab"]]
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen([*dask, *each], env=environment, **quiet) for each in words]
    try:
        assert wait_for(lambda: facts.exists() and facts.read_text().endswith("}"), processes[0])
        yield json.loads(facts.read_text())["address"], processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=30)


@pytest.mark.slow
def test_a_cluster_loses_a_worker_and_the_numbers_are_the_same(undisturbed, cluster):
    address, (_, first, _) = cluster
    sweep = start("--dask", address)
    assert wait_for(lambda: parts() > 3, sweep)
    for worker in children(first.pid):  # below its nanny, which starts another
        os.kill(worker, signal.SIGKILL)
    assert finish(sweep) == (0, "")
    check_the_end(undisturbed)


@pytest.mark.slow
def test_a_cluster_that_is_gone_ends_the_sweep_and_what_came_back_is_stored(undisturbed, cluster):
    address, (scheduler, *_) = cluster
    sweep = start("--dask", address)
    assert wait_for(lambda: parts() > 3, sweep)
    scheduler.kill()
    status, said = finish(sweep)
    assert status == 2
    assert "the Dask scheduler is gone" in said
    assert "Traceback" not in said, said
    assert 0 < len(finished()) < RUNS
    check_the_end(undisturbed)


@pytest.mark.slow
def test_a_cluster_whose_workers_have_all_gone_ends_at_the_first_ctrl_c(undisturbed, cluster):
    address, (_, *both) = cluster
    sweep = start("--dask", address)
    assert wait_for(lambda: parts() > 3, sweep)
    for worker in both:
        worker.terminate()
        worker.wait(timeout=30)
    sweep.send_signal(signal.SIGINT)
    status, said = finish(sweep)
    assert status == 130, said
    assert "Traceback" not in said, said
    assert 0 < len(finished()) < RUNS
    check_the_end(undisturbed)
