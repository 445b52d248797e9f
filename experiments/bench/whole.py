"""The whole program in fresh processes: a grid as a user runs it, and how soon the program answers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.bench import studies
from experiments.bench.timing import Say
from experiments.bench.workers import environment
from experiments.bench.workload import TEXTS

ROOT = Path(__file__).resolve().parents[2]
RUN = ("-m", "experiments.cli.entry", "run")  # as `scripts/run.py`, which an installed program does not have

GRID = """\
question: How long does a whole grid take, all records of every step kept?
base: {{dataset: digits, width: {width}, steps: {steps}, batch: 128, lr: 0.01, dtype: float32}}
sweep:
  activation: [{activations}]
  depth: [{depths}]
  seed: [{seeds}]
probes: [dw_norm, dead_fraction, saturated_fraction]
trace: batch
watch: {watch}
figures: []
"""
TYPO = "question: q\nsweep: {activation: [relu, leaky_relu(slop=0.1)]}\n"

START_UP = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import mlp.train": ["-c", "import mlp.train"],
    "from experiments import run": ["-c", "from experiments import run"],
    "run.py --help": [*RUN, "--help"],
    "run.py with a config error": [*RUN, "{typo}"],
    "run.py without its file": [*RUN, "{missing}"],
}


def grid(rounds: int, steps: int, say: Say, *, keep_environment: bool) -> list[dict[str, Any]]:
    """Time `scripts/run.py` on the grid by the wall: interpreter, imports, training and storing."""
    text = GRID.format(
        width=studies.GRID_WIDTH, steps=steps, watch=steps + 1,
        activations=_list(TEXTS.get(name, name) for name in studies.GRID_ACTIVATIONS),
        depths=_list(studies.GRID_DEPTHS), seeds=_list(range(studies.GRID_SEEDS)),
    )  # fmt: skip
    rows = []
    for number in range(rounds):
        say(f"the whole grid, uncut: {number + 1}/{rounds}")
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "grid.yaml"
            config.write_text(text, encoding="utf-8")
            given = {"VG_RESULTS": folder, "PYTHONPATH": str(ROOT)}
            seconds = _timed([*RUN, str(config), "--quiet"], given, keep_environment=keep_environment)
        rows.append({"engine": "ours, whole", "round": number, "steps": steps, "seconds": seconds})
    return rows


def start_up(rounds: int) -> list[dict[str, Any]]:
    """Return the milliseconds until a fresh interpreter has answered, the commands taking turns."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        typo = Path(folder) / "typo.yaml"
        typo.write_text(TYPO, encoding="utf-8")
        places = {"{typo}": str(typo), "{missing}": str(Path(folder) / "none.yaml")}
        commands = {what: [places.get(word, word) for word in words] for what, words in START_UP.items()}
        for number in range(rounds):
            for what, command in commands.items():
                seconds = _timed(command, {"PYTHONPATH": str(ROOT), "VG_RESULTS": folder})
                rows.append({"what": what, "round": number, "ms": seconds * 1e3})
    return rows


def _timed(command: Sequence[str], given: dict[str, str], *, keep_environment: bool = False) -> float:
    """Return the seconds of a Python command; errors: RuntimeError where it crashes (2 is a refusal)."""
    with environment(given, keep=keep_environment):
        env = dict(os.environ)
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode not in (0, 2):
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return seconds


def _list(values: Any) -> str:
    return ", ".join(map(str, values))
