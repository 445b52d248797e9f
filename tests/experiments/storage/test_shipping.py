"""Parts of a user's own, of every kind, in this process, in workers and on Dask: the same numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import experiments
from experiments.cli.entry import main
from experiments.cli.notebook import FailureWarning
from experiments.config import ConfigError
from experiments.config.kinds import TABLES, resolve, table
from experiments.config.part_files import load_parts
from experiments.storage import own_parts, shipping

PARTS = '''
"""A student's parts."""
from __future__ import annotations
from typing import Annotated
import numpy as np

import beside  # a module in the same folder
from mlp.activations import ACTIVATIONS, Activation
from mlp.probes.table import probe
from mlp.registry import Within
from mlp.schedules import SCHEDULES

HALF = 0.5

@ACTIVATIONS
def my_line(slope: Annotated[float, Within(0, 9)] = 1.5) -> Activation:
    """A line."""
    return Activation(f=lambda z: slope * z, df=lambda z, a: np.full_like(z, slope), max_slope=slope)

@SCHEDULES
def my_schedule():
    """Half of the rate after the first update."""
    return lambda step, steps: HALF if step else 1.0

@probe(costly=True)
def my_probe(t):
    """The largest weight."""
    return beside.largest(t.w)

from experiments.datasets import GENERATORS

@GENERATORS
def my_bands(rng, *, n: int = 300):
    """Two bands side by side."""
    y = np.arange(n) % 2
    return np.column_stack([y + HALF, rng.uniform(0, 1, n)]), y
'''
BASE = {"dataset": "moons(n=200)", "steps": 2, "batch": 8, "width": 4}
OWN = {"activation": "my_line(slope=2)", "schedule": "my_schedule", "dataset": "my_bands(n=200)"}
ASKED = {
    "question": "?", "name": "mine", "figures": [], "probes": ["my_probe", "w_norm"],
    "base": BASE | OWN, "sweep": {"depth": [1, 2]},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a file of parts and the module that it imports; the tables are put back."""
    monkeypatch.setenv("VG_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    kept = {kind: dict(table(kind)) for kind in TABLES}
    before = set(sys.modules)
    (tmp_path / "beside.py").write_text("def largest(w):\n    return abs(w).max(axis=(1, 2))\n")
    write(tmp_path)
    yield tmp_path
    for kind, names in kept.items():
        for name in set(table(kind)) - set(names):
            del table(kind)[name]
    for name in set(sys.modules) - before:
        if name.startswith(("beside", "parts_of_")):
            del sys.modules[name]
    own_parts.look_again()
    resolve.cache_clear()


def write(folder: Path, **changes: str) -> Path:
    """Write the file of parts, edited where asked."""
    text = PARTS
    for old, new in changes.items():
        text = text.replace(old, new)
    (folder / "my_parts.py").write_text(text)
    return folder / "my_parts.py"


def frames(records) -> list[bytes]:
    order = records.layers.sort_values(["run_id", "step", "layer"])
    return [order["my_probe"].to_numpy().tobytes(), records.steps["loss"].to_numpy().tobytes()]


def test_workers_are_sent_the_parts_and_compute_the_same_bits(folder, capfd):
    here = experiments.run(ASKED, parts=[folder / "my_parts.py"])
    assert set(here.runs["status"]) == {"ok"}
    assert here.layers["my_probe"].notna().any()
    there = experiments.run(ASKED, jobs=2, fresh=True, quiet=False)
    assert "in this process, for" not in capfd.readouterr().out
    assert frames(there) == frames(here)


def test_an_edited_file_trains_what_used_it_and_nothing_else(folder):
    both = {"question": "?", "figures": [], "probes": ["w_norm"], "base": BASE}
    both["sweep"] = {"activation": ["my_line", "tanh"]}
    before = experiments.run(both, parts=[folder / "my_parts.py"])
    after = experiments.run(both, parts=[write(folder, **{"slope * z": "slope * z + 0.0 * HALF"})])
    names = [dict(zip(r.runs["activation"], r.runs["run_id"], strict=True)) for r in (before, after)]
    assert names[0]["tanh"] == names[1]["tanh"]
    assert names[0]["my_line"] != names[1]["my_line"]


def test_with_on_the_command_line(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    base = ", ".join(f"{key}: {value}" for key, value in (BASE | OWN).items())
    (folder / "q.yaml").write_text(f"question: q?\nprobes: [my_probe]\nfigures: []\nbase: {{{base}}}\n")
    assert main("run", ["q.yaml", "--plan"]) == 2
    assert main("run", ["q.yaml", "--with", "my_parts.py", "--plan"]) == 0
    assert main("run", ["q.yaml", "--with", "nothing.py"]) == 2
    assert "--with nothing.py: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"HALF = 0.5": "HALF = 1 / 0"},
            r"--with .*my_parts.py, line 13: ZeroDivisionError: division by zero",
        ),
        ({"HALF = 0.5": "HALF = = 5"}, r"--with .*my_parts.py, line 13: SyntaxError: invalid syntax"),
        (
            {"def my_line": "def relu"},
            r"--with .*my_parts.py, line 15: activation 'relu' is this project's own",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(folder, change, said):
    with pytest.raises(ConfigError, match=said):
        load_parts([write(folder, **change)])
    with pytest.raises(ConfigError, match="no_such.py: no such file"):
        load_parts([folder / "no_such.py"])


def test_a_part_that_fails_at_the_door_is_named_with_its_line(folder):
    load_parts([write(folder, **{'"""A line."""': "return Activation(nonsense)"})])
    with pytest.raises(
        ConfigError, match=r"activation my_line\(slope=2\) fails \(my_parts.py, line 17\): NameE"
    ):
        experiments.run(ASKED)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_part_that_fails_in_training_is_named_with_its_line(folder, jobs):
    write(folder, **{"return beside.largest(t.w)": "return t.nonsense"})
    with pytest.warns(
        FailureWarning, match=r"has no attribute 'nonsense' \(probe my_probe, my_parts.py, line 28\)"
    ):
        experiments.run(ASKED, parts=[folder / "my_parts.py"], jobs=jobs)


def test_what_cannot_be_sent_is_trained_here_and_the_reason_is_said(folder, capfd):
    edited = {
        "HALF = 0.5": "import threading; HALF = 0.5; LOCK = threading.Lock()",
        "steps: HALF": "steps: HALF if LOCK else 1",
    }
    load_parts([write(folder, **edited)])
    with pytest.raises(
        shipping.NotSent, match=r"schedule my_schedule \(my_parts.py, line 20\) cannot be sent"
    ):
        shipping.packed(["my_schedule"])
    found = experiments.run(ASKED, jobs=2, quiet=False)
    assert set(found.runs["status"]) == {"ok"}
    assert "in this process, for schedule my_schedule (my_parts.py, line 20) cannot" in capfd.readouterr().out


def test_arrays_that_are_too_many_are_not_sent_with_every_stack(folder, monkeypatch):
    experiments.datasets.give("mine", (np.ones((40, 2)) * np.arange(40)[:, None], np.arange(40) % 2))
    assert shipping.packed(["mine"])
    assert shipping.names(["mine(test=0.5)", "digits"]) == ("mine",)
    monkeypatch.setattr(shipping, "LARGEST", 100)
    with pytest.raises(shipping.NotSent, match="mine: 0 MB are too many to be sent with every stack"):
        shipping.packed(["mine"])


DOOR = '''
import numpy as np
import experiments
from mlp.activations import ACTIVATIONS, Activation

@ACTIVATIONS
def my_curve():
    """A line."""
    return Activation(f=lambda z: 2 * z, df=lambda z, a: np.full_like(z, 2), max_slope=2)

x = np.arange(80.0).reshape(40, 2)
found = experiments.run(
    {"question": "?", "figures": [], "probes": ["w_norm"], "sweep": {"depth": [1, 2]},
     "base": {"activation": "my_curve", "dataset": "mine", "steps": 2, "batch": 8, "width": 4}},
    data={"mine": (x, np.arange(40) % 2)}, DOOR,
)
print(sorted(set(found.runs["status"])), len(found.runs))
'''


@pytest.mark.slow
@pytest.mark.parametrize("where", ["jobs=2", "dask='local:2'"])
@pytest.mark.parametrize("from_file", [True, False])
def test_a_script_without_a_main_guard_and_standard_input(folder, where, from_file):
    """What a notebook does, too: the parts live in the main module, which no worker has."""
    text = DOOR.replace("DOOR", where)
    (folder / "script.py").write_text(text)
    command = [sys.executable, *([str(folder / "script.py")] if from_file else ["-"])]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip().endswith("['ok'] 2"), done.stderr
