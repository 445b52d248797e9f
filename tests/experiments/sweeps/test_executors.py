"""Stacks survive raising, dying and hanging; the driver's end is the workers' end."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path

import pytest
from misbehaving import attempts, behave, blas_threads, note

from experiments.cli import command_lines
from experiments.config import ConfigError
from experiments.sweeps.executors import Dask, Here, WorkerLost, Workers, cluster, outcomes, processes
from experiments.sweeps.plan import MOST_JOBS, ExecutionOptions, check_options

ROOT = Path(__file__).resolve().parents[3]


def run(stacks, folder, executor, **options):
    with executor:
        return {o.stack[0]: o for o in outcomes(stacks, partial(behave, str(folder)), executor, **options)}


def here():
    return Here()


def workers():
    return Workers(2)


@pytest.mark.parametrize("make", [here, workers])
def test_each_stack_is_done_once(make, tmp_path):
    stacks = [(name, "fine") for name in "abcdef"]
    result = run(stacks, tmp_path, make())
    assert {name: o.result for name, o in result.items()} == {name: f"fine {name}" for name in "abcdef"}
    assert all(attempts(tmp_path, name) == 1 for name in "abcdef")


@pytest.mark.parametrize("make", [here, workers])
def test_a_stack_that_raises_is_tried_twice_and_the_others_go_on(make, tmp_path):
    stacks = [("a", "fine"), ("b", "raise"), ("c", "raise", "fine"), ("d", "fine")]
    result = run(stacks, tmp_path, make())
    assert [attempts(tmp_path, name) for name in "abcd"] == [1, 2, 2, 1]
    assert [result[name].result for name in "acd"] == ["fine a", "fine c", "fine d"]
    assert result["b"].result is None
    assert "in behave" in result["b"].error
    assert result["b"].error.endswith("ZeroDivisionError: in b\n")


SCRIPT = """
from experiments.sweeps.executors import Workers, outcomes
with Workers(1) as workers:
    print(sorted(each.result for each in outcomes(["ab", "cde"], len, workers)))
"""


@pytest.mark.parametrize("source", ["a script that does not ask whether it is the main module", "stdin"])
def test_workers_do_not_run_the_callers_main_module(source, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    words, text = ([path], "") if source != "stdin" else (["-"], SCRIPT)
    done = subprocess.run(
        [sys.executable, *words], input=text, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("[2, 3]\n", "")


def test_a_killed_worker_costs_one_attempt_of_its_own_stack_only(tmp_path):
    stacks = [("a", "die", "fine"), *((name, "fine") for name in "bcdefg"), ("h", "die")]
    result = run(stacks, tmp_path, Workers(2))
    assert [attempts(tmp_path, name) for name in "abcdefgh"] == [2, 1, 1, 1, 1, 1, 1, 2]
    assert result["a"].result == "fine a"
    assert "killed by SIGKILL" in result["h"].error


def test_a_hanging_stack_is_ended_at_its_limit(tmp_path):
    stacks = [("a", "hang"), ("b", "hang", "fine"), ("c", "fine"), ("d", "fine")]
    run([("warm", "fine")], tmp_path, Workers(1))  # the limit includes a worker's start
    result = run(stacks, tmp_path, Workers(2, limit=1.5))
    assert "no result within the limit of 1.5 s" in result["a"].error
    assert [result[name].result for name in "bcd"] == ["fine b", "fine c", "fine d"]
    assert [attempts(tmp_path, name) for name in "abcd"] == [2, 2, 1, 1]


def test_a_limit_of_years_is_no_error(tmp_path):
    assert run([("a", "fine")], tmp_path, Workers(1, limit=1e12))["a"].result == "fine a"


class Recorder(Executor):
    """Completes the oldest call when a third is waiting to be made; notes how many are in flight."""

    capacity = 3

    def __init__(self):
        self.flying, self.most = [], 0

    def submit(self, work, /, *args):
        future = Future()
        self.flying.append((future, work, args))
        self.most = max(self.most, len(self.flying))
        if len(self.flying) == self.capacity:
            threading.Timer(0.01, self.land).start()
        return future

    def land(self):
        while self.flying:
            future, work, args = self.flying.pop()
            future.set_result(work(*args))


def test_no_more_than_the_capacity_is_in_flight():
    executor = Recorder()
    done = [o.result for o in outcomes(range(12), lambda stack: stack * 2, executor)]
    assert sorted(done) == [2 * n for n in range(12)]
    assert executor.most == 3


@pytest.mark.parametrize("make", [here, workers])
def test_once_stopped_what_runs_is_finished_and_nothing_is_started(make, tmp_path):
    done = []
    with make() as executor:
        work = partial(behave, str(tmp_path))
        stacks = [(f"s{n:02}", "fine") for n in range(40)]
        coming = outcomes(stacks, work, executor, stopped=lambda: len(done) >= 3)
        done.extend(outcome.result for outcome in coming)
    started = {path.stem for path in tmp_path.iterdir()}
    assert {f"fine {name}" for name in started} == set(done)
    assert 3 <= len(done) <= 3 + 2


def test_kill_ends_the_workers_at_once(tmp_path):
    executor = Workers(2)
    futures = [executor.submit(behave, str(tmp_path), (name, "hang")) for name in "ab"]
    until(lambda: attempts(tmp_path, "a") and attempts(tmp_path, "b"))
    executor.kill()
    # not how it died: the thread that ends a worker may be the one to learn that
    assert all(isinstance(future.exception(timeout=30), WorkerLost) for future in futures)
    until(lambda: not multiprocessing.active_children())


def test_a_worker_that_is_hired_while_all_are_ended_is_ended_too(monkeypatch):
    executor = Workers(1)
    hire = processes._Worker.__init__

    def hire_late(worker):
        hire(worker)
        executor.kill()

    monkeypatch.setattr(processes._Worker, "__init__", hire_late)
    with pytest.raises(WorkerLost):
        executor.submit(signal.pause).result(timeout=10)
    until(lambda: not multiprocessing.active_children())


def test_what_comes_first_is_done_once_by_each_process(tmp_path):
    with Workers(1, first=(note, str(tmp_path))) as executor:
        before = [executor.submit(os.getpid).result() for _ in range(3)]
        assert isinstance(executor.submit(os._exit, 3).exception(), WorkerLost)
        after = executor.submit(os.getpid).result()
    assert {path.name for path in tmp_path.iterdir()} == {str(before[0]), str(after)}
    with Workers(1, first=(note, str(tmp_path / "nowhere"))) as executor:
        assert isinstance(executor.submit(os.getpid).exception(), FileNotFoundError)
        assert isinstance(executor.submit(os.getpid).exception(), FileNotFoundError)


def test_a_worker_has_one_blas_thread_and_leaves_ctrl_c_to_the_driver():
    with Workers(1) as executor:
        executor.submit(os.kill, executor.submit(os.getpid).result(), signal.SIGINT).result()
        assert executor.submit(blas_threads).result() == {1}


DRIVER = """
import os, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}, {root!r} + "/tests"]
from experiments.sweeps.executors import Workers
from misbehaving import note_and_hang
if __name__ == "__main__":
    executor = Workers(2)
    for n in range(2):
        executor.submit(note_and_hang, {folder!r})
"""


def test_workers_end_with_a_driver_that_is_killed(tmp_path):
    pids = tmp_path / "pids"
    pids.mkdir()
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(tests=str(Path(__file__).parent), root=str(ROOT), folder=str(pids)))
    driver = subprocess.Popen([sys.executable, str(script)])
    until(lambda: len(list(pids.iterdir())) == 2)
    driver.kill()
    driver.wait()
    until(lambda: not any(alive(int(path.name)) for path in pids.iterdir()))


def alive(pid):
    """Whether the process still runs; it may end between finding its file and reading it."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition, seconds=20.0):
    """Wait for a condition that another process brings about; a machine under load may take its time."""
    gate = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        gate.wait(0.02)
    pytest.fail(f"not within {seconds} s")


def test_dask_without_the_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'vanishing-gradients\[cluster\]'"):
        Dask("local:2")


MALFORMED = [
    "", " ", "local", "local:", "local:0", "local:x", "local:-2", "local:2.5", "local:٣", "local:1025",
    f"local:{'9' * 5000}", "8786", "scheduler", "tcp://", "tcp://:8786", "tcp://host", "tcp://host:0", "tcp://h:70000",
    "tcp://host:port", "http://host:8786", "tcp://a b:8786", "tcp://host:8786/status", "tcp:/host:8786",
    "tcp://host:8786\n", "\x1b[2Jhost:1", "tcp://[::1:8786", "inproc://1/2/3", f"tcp://{'h' * 300}:8786",
    "host:8786:8787", "tcp://user@host:8786",
]  # fmt: skip
WELL_FORMED = [
    "local:1", "local:4", "tcp://scheduler:8786", "10.0.0.1:8786", "tls://a-b.example.org:1",
    "tcp://[::1]:8786", "tcp://[fe80::1%eth0]:8786", "localhost:8786", "ucx://node_1:65535",
]  # fmt: skip


@pytest.mark.parametrize("address", MALFORMED, ids=lambda text: repr(text[:30]))
def test_a_malformed_address_is_refused_before_anything_else(address):
    with pytest.raises(ConfigError, match="not an address; write ") as caught:
        check_options(ExecutionOptions(dask=address))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("address", WELL_FORMED)
def test_a_well_formed_address_is_none_of_these(address):
    check_options(ExecutionOptions(dask=address))


def test_as_many_jobs_as_nobody_has_are_refused_at_every_door():
    assert MOST_JOBS == command_lines.MOST_JOBS
    for jobs in (0, -1, MOST_JOBS + 1, 10**9, 2.0, "2"):
        with pytest.raises(ConfigError, match=r"is not a whole number from 1 to 1024"):
            check_options(ExecutionOptions(jobs=jobs))


def test_dask_where_nobody_answers(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "ANSWER", 0.3)
    with pytest.raises(ConfigError, match="no Dask scheduler answers there"):
        Dask("tcp://127.0.0.1:9")


@pytest.mark.filterwarnings("ignore:Creating scratch")  # Dask, of a machine that is busy
def test_two_clusters_on_one_machine_want_no_port_of_each_other(monkeypatch):
    """Dask warns of a taken port, here an error: so two sweeps, or two tests, at a time would fail."""
    distributed = pytest.importorskip("distributed")
    make = distributed.LocalCluster
    monkeypatch.setattr(distributed, "LocalCluster", lambda **given: make(**given | {"n_workers": 0}))
    both = [cluster._connect("local:1") for _ in range(2)]
    for each, client in both:
        client.close()
        each.close()


@pytest.mark.filterwarnings("ignore:Creating scratch")  # Dask, of a machine that is busy
def test_dask_survives_raising_dying_and_hanging(tmp_path):
    """Each end of a worker starts another, which takes 0.7 s: one that hangs, and one that dies twice."""
    pytest.importorskip("distributed")
    stacks = [("a", "raise"), ("b", "hang", "fine"), ("c", "fine"), ("d", "die")]
    result = run(stacks, tmp_path, Dask("local:2", limit=2.0))
    assert [result[name].result for name in "bc"] == ["fine b", "fine c"]
    assert result["a"].error.endswith("ZeroDivisionError: in a\n")
    assert "KilledWorker" in result["d"].error
    assert [attempts(tmp_path, name) for name in "abcd"] == [2, 2, 1, 2]
