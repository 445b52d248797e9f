"""How soon the program answers, each command in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.bench.workers import environment

ROOT = Path(__file__).resolve().parents[2]
RUN = ("-m", "experiments.cli.entry", "run")  # as `scripts/run.py`, which an installed program does not have

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


def _timed(command: Sequence[str], given: dict[str, str]) -> float:
    """Return the seconds of a Python command; errors: RuntimeError where it crashes (2 is a refusal)."""
    with environment(given):
        env = dict(os.environ)
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode not in (0, 2):
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return seconds
