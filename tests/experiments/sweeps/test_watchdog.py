"""A stack hangs by its own pace: what is slow throughout is let be, what stops is ended, sleep is no hang."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments import config
from experiments.config import Run
from experiments.sweeps.executors import Dask, Workers, outcomes, watchdog
from experiments.sweeps.executors.watchdog import SHORTEST, SLACK, TICK, WHY, Pace, Watch, supervised
from experiments.sweeps.runner import run_stack

ROOT = Path(__file__).resolve().parents[3]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def paced(clock, *periods) -> Pace:
    """A stack after periods of (steps, seconds), 0 steps being a measurement."""
    pace = Pace(clock)
    for steps, seconds in periods:
        pace.beat(steps)
        clock.now += seconds
    return pace


def test_nothing_is_judged_before_there_is_a_pace(clock):
    pace = Pace(clock)
    assert pace.longest() == float("inf")
    pace.beat(0)  # the first measurement, however long it takes
    clock.now += 1e6
    assert pace.longest() == float("inf")
    pace.beat(1)  # the first step
    assert pace.longest() == float("inf")


@pytest.mark.parametrize("second", [0.01, 1, 60, 3600])  # seconds per step: no estimate would be this wrong
def test_a_period_may_take_thirty_times_the_slowest_pace_so_far(clock, second):
    pace = paced(clock, (0, 5), (1, second), (0, 5), (9, 9 * second / 2))
    pace.beat(0)
    assert pace.longest() == max(SHORTEST, SLACK * 5)
    pace.beat(20_000)
    assert pace.longest() == pytest.approx(max(SHORTEST, SLACK * 20_000 * second))


def test_the_longest_measurement_counts_which_has_the_costly_probes(clock):
    pace = paced(clock, (0, 900), (1, 1), (0, 2), (1, 1))
    pace.beat(0)
    assert pace.longest() == SLACK * 900


def hangs_after(watch, most=10_000) -> float:
    """The running seconds after which a watch says so."""
    return next(n * TICK for n in range(1, most) if watch.hangs(TICK))


def test_what_computes_without_end_is_found_by_its_pace(clock):
    pace = paced(clock, (0, 1), (1, 1), (0, 1))
    pace.beat(100)
    watch = Watch(pace, cpu=lambda: time.monotonic() * 1e6)  # always computing
    assert hangs_after(watch) == SLACK * 100 + TICK


def test_what_computes_before_its_first_measurement_is_never_ended(clock):
    watch = Watch(Pace(clock), cpu=lambda: time.monotonic() * 1e6)
    assert not any(watch.hangs(TICK) for _ in range(100_000))  # six days


def test_what_waits_without_computing_is_found_at_any_time(clock):
    assert hangs_after(Watch(Pace(clock), cpu=lambda: 0.0)) == SHORTEST + TICK


def test_a_beat_starts_the_time_anew(clock):
    pace = paced(clock, (0, 1), (1, 1))
    pace.beat(0)
    watch = Watch(pace, cpu=lambda: time.monotonic() * 1e6)
    for _ in range(10):
        assert not any(watch.hangs(TICK) for _ in range(100))
        pace.beat(0)


def test_the_runner_says_what_comes_next():
    experiment = config.from_mapping({"question": "?", "watch": [3, 10], "probes": ["dw_norm"]})
    beats = []
    run_stack([Run(steps=12, depth=1, width=2)], experiment.recording, beat=beats.append)
    assert beats == [0, 3, 0, 7, 0, 2, 0, 0]


def stops(stack, beat):
    """Be a stack that computes at a steady pace, and then waits for something that never comes."""
    for _ in range(3):
        beat(0)
        beat(1)
    if stack == "hang":
        time.sleep(60)
    return stack


def impatient(stack):
    """In the worker: minutes become milliseconds."""
    watchdog.SHORTEST, watchdog.TICK = 0.2, 0.05
    return supervised(stops, stack)


def test_a_worker_whose_stack_hangs_ends_itself_and_the_others_go_on():
    with Workers(1) as pool:
        found = {o.stack: o for o in outcomes(["hang", "fine"], impatient, pool)}
    assert found["fine"].result == "fine"
    assert found["hang"].error.strip().endswith(WHY)


@pytest.mark.slow
def test_a_stack_that_hangs_on_a_cluster_ends_its_worker_and_the_others_go_on():
    pytest.importorskip("distributed")
    with Dask("local:2") as pool:
        found = {o.stack: o for o in outcomes(["hang", "fine"], impatient, pool)}
    assert found["fine"].result == "fine"
    assert "KilledWorker" in found["hang"].error


def test_what_was_stopped_for_a_while_has_not_hung():
    """A process that is stopped (a machine that sleeps) for longer than the limit goes on afterwards."""
    code = (
        "import sys, time; from experiments.sweeps.executors import watchdog as w\n"
        "w.SHORTEST, w.TICK = 0.5, 0.05\n"
        "def work(beat):\n"
        "    print('on', flush=True); sys.stdin.readline(); return 0\n"
        "sys.exit(w.supervised(work))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "on\n"
        subprocess.run(["kill", "-STOP", str(process.pid)], check=True)
        time.sleep(0.8)
        subprocess.run(["kill", "-CONT", str(process.pid)], check=True)
        process.stdin.write("\n")
        process.stdin.close()
        assert process.wait(10) == 0
