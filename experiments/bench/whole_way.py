"""The time to an answer: from process start to tables on disk and one figure, by whoever answers.

Every entrant is a program of its own, started cold, one after another in each round: this one, and the same
tables by PyTorch, JAX and NumPy (`answer_torch`, `answer_jax`, `answer_numpy`). The matrix products alone,
which are the limit, are timed without their start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.bench.answer_task import LAYERS, Task
from experiments.bench.ours import seconds_of_products
from experiments.bench.start_up import ROOT, RUN
from experiments.bench.timing import Say
from experiments.bench.workers import THREADS, environment
from experiments.bench.workload import TEXTS
from experiments.config import Experiment, from_mapping, load, to_mapping
from experiments.config.shipped import shipped_configs
from experiments.storage.identity import watched_steps

if TYPE_CHECKING:
    import pandas as pd

    from experiments.plots import Picture

OURS, ALL, LIMIT = "ours", "ours, all default records", "the products alone"
ENTRANTS = {  # name: the library it needs and its module
    "PyTorch plain": ("torch", "answer_torch"),
    "JAX vmap scan": ("jax", "answer_jax"),
    "NumPy tutorial": ("", "answer_numpy"),
}
FIGURE = "gradient_by_layer"
MOST_ROUNDS = 3  # a round of both questions takes about ten minutes on two idle cores
PROCESSES = 2  # of the products alone
BETWEEN_LOOKS = 0.05  # seconds between two looks at whether a program has ended
GRID = {
    "question": "How long does a grid of 100 runs take?",
    "base": {"dataset": "digits", "width": 64, "steps": 300, "batch": 128, "lr": 0.01, "dtype": "float32"},
    "sweep": {
        "activation": ["sigmoid", "tanh", "relu", "leaky_relu(slope=0.1)"],
        "depth": [2, 5, 10, 20, 50],
        "seed": [0, 1, 2, 3, 4],
    },
    "figures": [FIGURE],
}
SMALL = {
    **GRID,
    "base": {**GRID["base"], "steps": 20},  # type: ignore[dict-item]
    "sweep": {"activation": ["sigmoid", "relu"], "depth": [2, 5], "seed": [0, 1]},
}


def questions(*, small: bool = False) -> dict[str, Experiment]:
    """Return what is answered, by name."""
    if small:
        return {"small": from_mapping(SMALL)}
    return {
        "deep_sigmoid": load(shipped_configs() / "deep_sigmoid.yaml"),
        "grid of 100": from_mapping(GRID),
    }


def task_of(experiment: Experiment) -> Task:
    """Return the task of a question: its grid, and when and on how many examples it measures."""
    base, recording = experiment.base, experiment.recording
    plain = {text: name for name, text in TEXTS.items()}
    axes = {name: tuple(experiment.sweep[name]) for name in ("activation", "depth", "seed")}
    return Task(
        tuple(plain.get(text, text) for text in axes["activation"]), axes["depth"], axes["seed"],
        base.width, base.steps, base.batch, base.lr, base.dtype,
        tuple(watched_steps(recording.watch, base.steps)), recording.probe_set,
    )  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What to time: whose entrants, how often."""

    rounds: int = 3
    small: bool = False
    keep_environment: bool = False


def measure(asked: Asked, say: Say) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a row for each question, entrant and round, and the libraries that are missing.

    seconds: until tables and figure are on disk; ended: until the process has ended, after whatever else it
    writes; cpu: what all its processes computed meanwhile, which other programs on the machine change less
    (NaN where the system does not tell). Errors: RuntimeError where an entrant fails.
    """
    missing = sorted({needs for needs, _ in ENTRANTS.values() if needs and find_spec(needs) is None})
    rows = []
    for number in range(asked.rounds):
        for question, experiment in questions(small=asked.small).items():
            task = task_of(experiment)
            for entrant in (LIMIT, OURS, ALL, *ENTRANTS):
                if entrant in ENTRANTS and ENTRANTS[entrant][0] in missing:
                    continue
                say(f"answer {number + 1}/{asked.rounds}: {question}, {entrant}")
                with environment({}, keep=asked.keep_environment):
                    found = _one(entrant, experiment, task)
                keys = {"question": question, "runs": task.runs, "entrant": entrant, "round": number}
                rows.append(keys | found)
    return rows, missing


def _one(entrant: str, experiment: Experiment, task: Task) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        if entrant == LIMIT:
            return _products(task, Path(folder))
        if entrant in (OURS, ALL):
            return _ours(experiment, Path(folder), every=entrant == ALL)
        given = Path(folder) / "task.json"
        given.write_text(json.dumps(asdict(task)), encoding="utf-8")
        module = f"experiments.bench.{ENTRANTS[entrant][1]}"
        began, ended, cpu = _timed(["-m", module, str(given), folder], {})
        written = [*Path(folder).glob("*.parquet"), *Path(folder).glob("*.png")]
        return until(began, ended, written) | {"cpu": cpu}


def _ours(experiment: Experiment, folder: Path, *, every: bool) -> dict[str, float]:
    """Time `scripts/run.py` on the question, with the same columns as the others or with the default ones."""
    asked = to_mapping(experiment) | {"name": "asked", "figures": [FIGURE]}
    asked |= {} if every else {"probes": list(LAYERS)}
    config = folder / "asked.yaml"
    config.write_text(json.dumps(asked, default=list), encoding="utf-8")
    began, ended, cpu = _timed([*RUN, str(config), "--quiet"], {"VG_RESULTS": str(folder)})
    tables = [*(folder / "asked").glob("*/[!0]*.parquet"), *(folder / "asked").glob("*/0[!-]*.parquet")]
    figure = folder / "asked" / "figures" / f"{FIGURE}.svg"
    return until(began, ended, [*tables, figure]) | {"cpu": cpu}


def until(began: float, ended: float, written: Sequence[Path]) -> dict[str, float]:
    """Return the seconds until the last of these files was written, and until the process ended."""
    last = max(path.stat().st_mtime for path in written)
    return {"seconds": last - began, "ended": ended - began}


def _timed(command: Sequence[str], given: Mapping[str, str]) -> tuple[float, float, float]:
    """Return when a Python program began and ended, and its processor seconds; errors: RuntimeError."""
    env, cpu = os.environ | {"PYTHONPATH": str(ROOT)} | given, dict[int, float]()
    with tempfile.TemporaryFile() as said:
        began = time.time()
        program = subprocess.Popen(
            [sys.executable, *command], env=env, stdout=said, stderr=said, start_new_session=True
        )
        while program.poll() is None:
            cpu |= _processor_seconds(program.pid)
            time.sleep(BETWEEN_LOOKS)
        ended = time.time()
        if program.returncode:
            said.seek(0)
            text = said.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(command)}: exit {program.returncode}\n{text}")
    return began, ended, sum(cpu.values()) if cpu else float("nan")


def _processor_seconds(session: int) -> dict[int, float]:
    """Return the processor seconds of each process of a session so far; empty where /proc does not tell."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            facts = path.read_text().rpartition(")")[2].split()
            if int(facts[3]) == session:
                found[int(path.parent.name)] = (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")
    return found


def _products(task: Task, folder: Path) -> dict[str, float]:
    """Return what the matrix products alone take, in processes of one thread that share the groups."""
    given = folder / "task.json"
    given.write_text(json.dumps(asdict(task)), encoding="utf-8")
    env = os.environ | dict.fromkeys(THREADS, "1") | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "experiments.bench.whole_way", str(given)]
    started = [
        subprocess.Popen([*command, str(place)], env=env, stdout=subprocess.PIPE, text=True)
        for place in range(PROCESSES)
    ]
    told = [tuple(map(float, process.communicate()[0].split())) for process in started]
    seconds = max(wall for wall, _ in told)
    return {"seconds": seconds, "ended": seconds, "cpu": sum(cpu for _, cpu in told)}


def share_of_products(given: Mapping[str, Any], place: int) -> tuple[float, float]:
    """Return the seconds, and those of the processor, of one process's share of a task's matrix products."""
    task = Task(**given)
    shapes = [depth for depth in sorted(task.depths, reverse=True) for _ in task.activations]
    each = [
        seconds_of_products(
            (depth, task.width), task.dtype, len(task.seeds), (task.steps, task.batch),
            (len(task.watched), task.probe_set),
        )
        for depth in shapes[place::PROCESSES]
    ]  # fmt: skip
    return sum(wall for wall, _ in each), sum(cpu for _, cpu in each)


def table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row for each question and entrant: medians, ranges, and how many times as long as ours."""
    import pandas as pd

    frame = pd.DataFrame(list(rows))
    keys = ["question", "runs", "entrant"]
    wide = frame.pivot_table(index=["question", "round"], columns="entrant", values="seconds", sort=False)
    over = wide.div(wide[OURS], axis=0).groupby(level="question", sort=False).median()
    found = frame.groupby(keys, sort=False)["seconds"].agg(["median", "min", "max"]).reset_index()
    for name in ("ended", "cpu"):
        found[name] = frame.groupby(keys, sort=False)[name].median().to_numpy()
    found["over_ours"] = [over.loc[row.question, row.entrant] for row in found.itertuples()]
    return found


def figure(found: pd.DataFrame) -> Picture:
    """Seconds to the answer of every entrant, a panel for each question."""
    from experiments.plots import Picture, Words
    from experiments.plots.panels import Panel

    first = found[found["question"] == found["question"].iloc[0]]
    others = first[~first["entrant"].isin([OURS, ALL, LIMIT])]
    beside = "".join(f"; {row.entrant} {row.over_ours:.1f} times as long" for row in others.itertuples())
    ours = first.loc[first["entrant"] == OURS, "median"].iloc[0]
    words = Words(
        f"{first['question'].iloc[0]}: ours answers in {ours:.0f} s{beside}",
        "Seconds from the start of the program until its tables and one figure are on disk",
        "Mark: the median of the rounds; line: their range. Further left is faster.",
    )
    panels = [
        Panel("", partial(_draw, rows=rows), str(question), rows=1.6 * len(rows), names=list(rows["entrant"]))
        for question, rows in found.groupby("question", sort=False)
    ]
    return Picture(words, tuple(panels), tuple(range(len(panels))))


def _draw(axes: Any, scale: Any, *, rows: pd.DataFrame) -> None:
    from experiments.plots.style import ink

    places = range(len(rows))
    axes.hlines(places, rows["min"], rows["max"], color=ink(axes))
    axes.plot(rows["median"], places, "o", color=ink(axes))
    axes.set_yticks(places, rows["entrant"])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, None)
    axes.set_xlabel("seconds")


if __name__ == "__main__":
    print(*share_of_products(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), int(sys.argv[2])))
