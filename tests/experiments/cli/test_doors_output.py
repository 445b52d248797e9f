"""At every command's door: outputs that nobody can write to or read, and Ctrl-C from the first moment on."""

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from doors import ONE_EACH

from experiments.cli import status
from experiments.cli.entry import main
from experiments.cli.status import status_of

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.usefixtures("folder")


# The output ------------------------------------------------------------------------------------------------

SAYING = [
    ["run", "q.yaml"], ["run", "q.yaml", "--plan"], ["run", "--help"], ["verify", "q"], ["bench", "--help"],
    ["plot", "q", "gradient_by_layer"], ["diagnose", "q"], ["cite"],
]  # fmt: skip


@pytest.mark.parametrize("words", SAYING, ids=" ".join)
def test_an_output_on_a_full_disk_is_a_line(stored, capfd, monkeypatch, words):
    shutil.copytree(stored, "results")
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(words[0], words[1:]) == 2
        lines = capfd.readouterr().err
        assert (
            lines == "the output cannot be written: no space left on device; send it elsewhere or make room\n"
        )


@pytest.mark.parametrize("words", SAYING, ids=" ".join)
def test_a_terminal_that_knows_only_ascii_gets_every_line(stored, monkeypatch, words):
    shutil.copytree(stored, "results")
    streams = [io.TextIOWrapper(io.BytesIO(), "ascii") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    assert main(words[0], words[1:]) == 0
    assert len(streams[0].buffer.getvalue()) > 20


@pytest.mark.parametrize("words", SAYING, ids=" ".join)
def test_closed_streams_are_no_reason_to_stop(stored, monkeypatch, words):
    shutil.copytree(stored, "results")
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(words[0], words[1:]) == 0


# Ctrl-C ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_import_that_makes_an_error_of_its_own_of_ctrl_c_is_an_interruption(capfd, number):
    def work():
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        except KeyboardInterrupt:
            raise ImportError("numpy._core.multiarray failed to import") from None
        return 0

    before = signal.getsignal(signal.SIGINT)
    try:
        assert status_of(work) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr() == ("", f"{status.INTERRUPTED_LINE}\n")


def test_an_error_of_the_program_itself_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        status_of(lambda: 1 // 0)


QUIET = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_EACH)
def test_ctrl_c_at_any_moment_of_the_start_is_a_status_and_no_traceback(name, stored):
    """Only while Python itself starts, and has not come to the script yet, is there nobody to be quiet."""
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *ONE_EACH[name]]
    for moment in range(12):
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        ) as started:
            threading.Event().wait(0.08 + 0.12 * moment)
            started.send_signal(signal.SIGINT)
            lines = started.communicate(timeout=60)[1]
        if "init_import_site" in lines:
            continue
        assert started.returncode in (130, -signal.SIGINT, 0, 2), lines
        assert "Traceback" not in lines


@pytest.mark.slow
def test_a_long_tmpdir_is_no_obstacle_to_workers(folder):
    """A socket's name has at most 108 bytes."""
    place = folder / ("t" * 120)
    place.mkdir()
    words = [sys.executable, str(ROOT / "scripts" / "run.py"), "q.yaml", "--jobs", "2", "seed=[0,1]"]
    done = subprocess.run(
        words, env=os.environ | {"TMPDIR": str(place)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
