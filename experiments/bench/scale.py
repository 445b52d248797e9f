"""How the whole program grows with the number of runs: planning, what a run costs beyond training, memory.

    python -m experiments.bench.scale
    python -m experiments.bench.scale --runs 100 1000 --out scale

Every sweep is planned, run and loaded by the ordinary pipeline, in processes of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.bench import results as report

if TYPE_CHECKING:
    import pandas as pd

    from experiments.plots import Picture

ROOT = Path(__file__).resolve().parents[2]
OUT = Path("results") / "reliability"
ACTIVATIONS = ("sigmoid", "tanh", "relu", "softplus", "gelu")
ALIKE = (20, 1)  # runs of one shape: a full stack, and each run alone with a part of its own
RUNS = (100, 1000, 10_000)
ON_PAPER = 1_000_000
WORKERS = 2
MEASURED = {  # column: (what a panel is called, its unit, the target)
    "plan_s": ("planning", "s", 2.0),
    "overhead_ms": ("beyond training, a run", "ms", 5.0),
    "driver_mb": ("peak memory of the driver", "MB", 1000.0),
    "load_s": ("loading", "s", None),
}


def sweep(runs: int, alike: int) -> dict[str, Any]:
    """Return a config of so many small runs, `alike` of each shape; `runs` is a multiple of 5 × `alike`."""
    shapes = runs // len(ACTIVATIONS) // alike
    axes = {
        "activation": list(ACTIVATIONS),
        "weight_decay": [i / 2**20 for i in range(shapes)],
        "seed": list(range(alike)),
    }
    if shapes * alike * len(ACTIVATIONS) != runs:
        raise ValueError(f"{runs} runs are no multiple of {len(ACTIVATIONS)} × {alike}")
    base = {"dataset": "moons(n=200)", "depth": 2, "width": 8, "steps": 5, "batch": 16, "lr": 0.1}
    asked = {"question": "How does it grow?", "base": base, "sweep": axes, "watch": 2, "figures": []}
    return asked | {"probes": ["delta_norm", "dw_norm"]}


def planned_and_run(asked: Mapping[str, Any], workers: int) -> dict[str, float]:
    """Run a sweep in this process; return its seconds (planning, training, all) and its peak memory."""
    began = time.perf_counter()
    import resource

    from experiments.pipeline import experiment_of, plan_only, run_experiment
    from experiments.sweeps.plan import ExecutionOptions
    from experiments.sweeps.progress import Silent

    options = ExecutionOptions(workers)
    plan_only(asked, options=options)
    planned = time.perf_counter()
    experiment = experiment_of(asked)
    records = run_experiment(experiment, options, Silent()).records
    ended = time.perf_counter()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "plan_s": planned - began,
        "wall_s": ended - planned,
        "training_s": float(records.runs["seconds"].sum()),
        "driver_cpu_s": used.ru_utime + used.ru_stime,  # the same however busy the machine is with others
        "driver_mb": used.ru_maxrss / 1024,  # Linux counts in KiB
    }


def loaded(name: str) -> dict[str, float]:
    """Return the seconds until the frames are loaded, in a process that does nothing else."""
    began = time.perf_counter()
    from experiments.pipeline import load

    load(name)
    return {"load_s": time.perf_counter() - began}


def measured(runs: int, alike: int, workers: int = WORKERS) -> dict[str, Any]:
    """Return a row: one sweep from an empty folder to its loaded frames."""
    asked = sweep(runs, alike)
    with tempfile.TemporaryDirectory() as folder:
        row = elsewhere(folder, f"planned_and_run({asked!r}, {workers})")
        results = next(path for path in Path(folder).iterdir() if path.is_dir())
        row |= elsewhere(folder, f"loaded({results.name!r})")
        written = [path.stat().st_size for path in results.rglob("*") if path.is_file()]
        parts = len(list(results.glob("runs/[!0]*.parquet"))) + len(list(results.glob("runs/0[!-]*.parquet")))
    row["overhead_ms"] = 1e3 * (row["wall_s"] - row["training_s"] / workers) / runs
    return {"runs": runs, "a_stack": alike, "workers": workers, "parts": parts, "bytes": sum(written)} | row


def elsewhere(results: str, call: str, module: str = "scale") -> dict[str, Any]:
    """Return what a function of a module of the bench returns in a fresh process.

    results: the folder of all results there. Errors: CalledProcessError.
    """
    code = f"import json; from experiments.bench import {module} as m; print(json.dumps(m.{call}))"
    given = {"VG_RESULTS": results, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=os.environ | given, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def on_paper(table: pd.DataFrame, runs: float) -> pd.DataFrame:
    """Extrapolate every column to another number of runs, on the line through the two largest measured."""
    import pandas as pd

    rows = []
    for alike, part in table.groupby("a_stack", sort=False):
        (a, b), row = part.nlargest(2, "runs").sort_values("runs").to_dict("records"), {}
        further = (runs - b["runs"]) / (b["runs"] - a["runs"])
        for name in ("plan_s", "driver_cpu_s", "driver_mb", "load_s", "bytes", "parts"):
            row[name] = b[name] + further * max(0, b[name] - a[name])
        all_a, all_b = (each["overhead_ms"] * each["runs"] for each in (a, b))
        row["overhead_ms"] = (all_b + further * (all_b - all_a)) / runs
        rows.append({"runs": runs, "a_stack": alike} | row)
    return pd.DataFrame(rows)


def figure(table: pd.DataFrame) -> Picture:
    """Each measurement against the number of runs, and on to `ON_PAPER` along a line."""
    from experiments.plots import Picture, Words
    from experiments.plots.panels import Panel
    from experiments.plots.style import key, looks

    marks = looks([f"{alike} a stack" for alike in table["a_stack"].unique()])
    panels = [
        Panel(f"{title} ({unit})", partial(_draw, table=table, column=column, target=target, marks=marks))
        for column, (title, unit, target) in MEASURED.items()
    ]
    most = table.loc[table["runs"].idxmax()]
    words = Words(
        f"A sweep of {most['runs']:,.0f} runs is planned in {most['plan_s']:.2g} s",
        f"How a sweep grows with its runs; {WORKERS} worker processes, imports counted",
        "One sweep a mark. Thin dashes: on paper, along the line through the two largest. Grey: the target "
        "at 10,000 runs. Both axes are logarithmic.",
    )
    return Picture(
        words, tuple(panels), across=3, legend=lambda: [key(name, look) for name, look in marks.items()]
    )


def _draw(
    axes: Any, scale: Any, *, table: pd.DataFrame, column: str, target: float | None, marks: Mapping[str, Any]
) -> None:
    from math import ceil, floor

    import numpy as np

    from experiments.plots.style import PREDICTED, faint, ink, shown

    if target:
        axes.axhline(target, color=faint(axes), linewidth=1.2)
    for alike, part in table.groupby("a_stack", sort=False):
        look, last = shown(marks[f"{alike} a stack"], axes), int(part["runs"].max())
        axes.plot(part["runs"], part[column], color=look.colour, marker=look.marker)
        further = np.geomspace(last, ON_PAPER, 20)
        along = [on_paper(part, runs)[column].iloc[0] for runs in further]
        axes.plot(further, along, linestyle=PREDICTED, linewidth=1.2, color=ink(axes))
    axes.set(xscale="log", yscale="log")
    low, high = np.log10(axes.get_ylim())
    axes.set_ylim(10.0 ** floor(low), 10.0 ** ceil(high))
    axes.set_xlabel("runs")


def main(asked: Sequence[str] | None = None, say: Callable[[str], None] = print) -> None:
    """Measure, write scale.csv and the figure, and print the table with its extrapolation."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, nargs="+", default=RUNS, metavar="N")
    parser.add_argument("--alike", type=int, nargs="+", default=ALIKE, metavar="N", help="runs of one shape")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER")
    given = parser.parse_args(asked)
    rows = []
    for alike in given.alike:
        for runs in given.runs:
            rows.append(measured(runs, alike))
            say(f"{runs} runs, {alike} a stack: {rows[-1]['wall_s']:.1f} s")
    table = pd.DataFrame(rows)
    report.write_csv(given.out, "scale", table)
    figure(table).on(format="png").save(given.out, "scale")
    say(report.markdown(table))
    say(f"\non paper:\n{report.markdown(on_paper(table, ON_PAPER))}")


if __name__ == "__main__":
    main()
