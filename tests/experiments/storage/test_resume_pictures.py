"""Killed while small stacks are held, the first page is written or workers draw: the same files at last."""

import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

import experiments
from experiments import pipeline
from experiments.storage.records import COLUMNS
from experiments.sweeps import sweep

CONFIG = """
question: Does a kill change a picture?
base: {dataset: 'moons(n=100)', width: 4, batch: 16, lr: 0.1}
sweep:
  activation: [sigmoid, relu]
  depth: [1, 2, 3]
  seed: [0, 1]
watch: 3
plane: 6
unit_probes: [unit_dead]
figures: [gradient_by_layer, learning_curves, boundary]
"""
SEED = int(os.environ.get("VG_SEED", "0"))
KEPT = (".svg", ".png", "summary.csv")  # a report also says when and how long


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Stand in an empty folder; sweeps have a first look, hold small stacks, and draw with two workers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VG_RESULTS", str(tmp_path / "results"))
    Path("space").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "space"))
    monkeypatch.setattr(pipeline, "LONG", 0.0)
    monkeypatch.setattr("experiments.sweeps.executors.cores", lambda: 2)
    monkeypatch.setattr(sweep, "MANY", 2)
    monkeypatch.setattr(sweep, "LONGEST_HELD", 0.05)
    Path("drawn.yaml").write_text(CONFIG)
    return tmp_path


def made(name):
    """The hash of each picture and table of an experiment."""
    folder = Path("results", name)
    files = [path for path in folder.rglob("*") if path.name.endswith(KEPT) and path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


MOMENTS = {  # what is waited for before the kill
    "before the first part": lambda: True,
    "while small stacks are held": lambda: any(Path("results/drawn/runs").glob("*.parquet")),
    "the first page": lambda: Path("results/drawn/report.html").exists(),
    "the workers that draw": lambda: Path("results/drawn/summary.csv").exists(),
    "the first of the figures": lambda: any(Path("results/drawn/figures").glob("*")),
}


def kill(moment, draw):
    """One sweep in a fork of this process, killed soon after a moment; whether it was still running."""
    child = multiprocessing.get_context("fork").Process(
        target=partial(experiments.run, "drawn.yaml", jobs=None)
    )
    child.start()
    end = time.monotonic() + 120
    while child.is_alive() and not MOMENTS[moment]() and time.monotonic() < end:
        child.join(0.002)
    child.join(draw.choice([0, 0.03, 0.3]) * draw.random())
    child.kill()
    child.join()
    return child.exitcode == -signal.SIGKILL


@pytest.mark.slow
def test_twenty_kills_from_the_first_part_to_the_last_picture():
    """Each moment in turn, from nothing or from what the last kill left."""
    draw, killed = random.Random(SEED), dict.fromkeys(MOMENTS, 0)
    for moment in list(MOMENTS) * 4:
        if draw.random() < 0.5:
            shutil.rmtree("results/drawn", ignore_errors=True)
        killed[moment] += kill(moment, draw)
    assert all(killed.values()), killed
    whole, again = experiments.run("drawn.yaml", name="whole"), experiments.run("drawn.yaml")
    for name in COLUMNS:
        left, right = (getattr(r, name).drop(columns="seconds", errors="ignore") for r in (again, whole))
        pd.testing.assert_frame_equal(left, right, check_exact=True)
    assert made("drawn") == made("whole")
    assert not list(Path("results/drawn/.partial").iterdir())
    assert not Path("results/drawn/set_aside").exists()
    left = [path for path in Path("space").rglob("*") if not path.is_socket() and path.is_file()]
    assert not left, "a killed process left a file behind"
