"""A small question, asked at the shell or in this process, and what is stored of it."""

import subprocess
import sys
from pathlib import Path

from experiments.cli.commands import command
from experiments.sweeps.plan import ExecutionOptions

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = [sys.executable, str(ROOT / "scripts" / "run.py")]
CONFIG = """
question: Does it work?
base: {dataset: 'moons(n=200)', width: 8, steps: 10, batch: 16, lr: 0.1}
sweep:
  activation: [sigmoid, relu]
  depth: [1, 3]
  seed: [0, 1]
watch: 4
figures: []
"""
DRAWN = CONFIG.replace("figures: []", "figures: [accuracy_by_depth]")
MEASURED = "a,b,kind\n" + "1,2,0\n3,4,1\n5,6,0\n" * 20
EDITED = MEASURED.replace("5", "7")


def shell(*words):
    """`python scripts/run.py …` as a user types it."""
    return subprocess.run([*PROGRAM, *words], capture_output=True, text=True, timeout=120, check=False)


def call(capfd, config, *overrides, name=None, quiet=True, yes=False, **how):
    """The same without a process of its own: (exit status, standard output, standard error)."""
    capfd.readouterr()
    how = ExecutionOptions(**how)
    status = command(f"{config}.yaml", list(overrides), how, name=name, quiet=quiet, yes=yes)
    return status, *capfd.readouterr()


def stored(name="tiny"):
    """When each part was written."""
    return {path: path.stat().st_mtime_ns for path in Path("results", name, "runs").glob("*.parquet")}
