"""Ctrl-C, SIGTERM, a closed pipe: what was finished is stored, and nothing ends in a traceback."""

import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import unreported
from asking import PROGRAM, stored

import experiments

LONG = ["name=tiny", "depth=[1,2]", "width=[8,9]", "steps=250", "seed=0"]  # 8 runs, each a stack


@contextmanager
def started(*words):
    """The program, running; it ends with the test."""
    command = [*PROGRAM, "tiny.yaml", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as sweep:
        try:
            yield sweep
        finally:
            sweep.kill()


def until_stored(count, seconds=60.0):
    gate = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if len(stored()) > count:  # one more, the file that names the columns
            return
        gate.wait(0.01)
    pytest.fail(f"no {count} parts within {seconds} s")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_finishes_and_stores_what_is_running(jobs):
    with started(*LONG, "--jobs", jobs) as sweep:
        until_stored(2)
        sweep.send_signal(signal.SIGINT)
        _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    assert "finishing and storing what is running; Ctrl-C again to stop now" in said
    assert "interrupted; what was finished is stored" in said
    assert "Traceback" not in said
    finished = stored()
    assert 2 < len(finished) < 9
    experiments.run("tiny.yaml", LONG)
    assert finished.items() <= stored().items()
    assert len(experiments.load("tiny").runs) == 8


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_a_second_ctrl_c_or_sigterm_stops_now(signals):
    with started(
        "name=tiny", "activation=[relu]", "depth=[1]", "seed=[0]", "steps=[9,8,1000000]", "--jobs", "2"
    ) as sweep:
        until_stored(1)  # a short stack: the other worker is at the long one
        for number in signals:
            sweep.send_signal(number)
            threading.Event().wait(0.5)  # signals sent at once are one
        _, said = sweep.communicate(timeout=30)
    assert sweep.returncode == 130
    assert "interrupted; what was finished is stored" in said
    assert "Traceback" not in said


def test_a_sweep_runs_in_any_thread():
    with ThreadPoolExecutor(1) as thread:  # where no signal is heard, and none may be asked for
        assert len(thread.submit(experiments.run, "tiny.yaml", ["depth=1"]).result().runs) == 4


def test_output_that_nobody_reads_stops_no_training():
    words = [*unreported.COMMAND, "tiny.yaml", "name=tiny", "depth=1", "seed=0"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert len(experiments.load("tiny").runs) == 2
