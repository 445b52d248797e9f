"""How seconds and memory grow with runs, shapes, depth, width and rows of `layers`, and by what law.

    python -m experiments.bench.growth
    python -m experiments.bench.growth --along rows --most 1e6 --out growth

Each size is measured in a process of its own, by the processor's time, which other programs on the machine
change less than the wall's. A law is the power of the size that a measure grows with, fitted to the upper
half of the sizes. `runs` are trained twenty to a stack; `shapes` are runs of which no two share a shape, so
that each is stored as a part of its own.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.bench import results as report
from experiments.bench import short_page
from experiments.bench.start_up import ROOT
from experiments.report.printed_tables import as_markdown

if TYPE_CHECKING:
    import pandas as pd

OUT = Path("results") / "bench"
SIZES = {
    "runs": (100, 1000, 10_000),
    "shapes": (100, 1000),
    "depth": (10, 30, 100, 300, 1000),
    "width": (16, 64, 256, 1024),
    "rows": (10_000, 100_000, 1_000_000, 10_000_000),
}
STEPS, DEPTH = 20, 49  # of a run of the store with many rows: 20 watched steps of 50 layers
RUNS_A_PART = 100
ACTIVATIONS = ("sigmoid", "tanh", "relu", "softplus", "gelu")
ALIKE = {"runs": 20, "shapes": 1}  # runs of one shape: a full stack, and each run alone
FIGURE, READ = "ratio_by_depth", ("delta_norm", "dw_norm")


def question(**base: Any) -> dict[str, Any]:
    """Return a config of one small network."""
    small = {"dataset": "moons(n=200)", "depth": 5, "width": 16, "steps": 10, "batch": 16, "lr": 0.01}
    probes = ["delta_norm", "dw_norm", "z_var"]
    return {"question": "How?", "base": small | base, "watch": 3, "figures": [], "probes": probes}


def sweep(runs: int, alike: int) -> dict[str, Any]:
    """Return a config of so many small runs, `alike` of each shape; `runs` is a multiple of 5 × `alike`."""
    shapes = runs // len(ACTIVATIONS) // alike
    if shapes * alike * len(ACTIVATIONS) != runs:
        raise ValueError(f"{runs} runs are no multiple of {len(ACTIVATIONS)} × {alike}")
    axes = {
        "activation": list(ACTIVATIONS),
        "weight_decay": [i / 2**20 for i in range(shapes)],
        "seed": list(range(alike)),
    }
    return question(depth=2, width=8, steps=5, lr=0.1) | {"sweep": axes, "watch": 2}


def trained(asked: Mapping[str, Any]) -> dict[str, float]:
    """Plan, train, store and load a question in this process; return what it costs.

    Planning and loading are timed by the wall, imports counted; training by the processor.
    """
    import resource

    began = time.perf_counter()
    from experiments.pipeline import experiment_of, load, plan_only, run_experiment
    from experiments.sweeps.plan import ExecutionOptions
    from experiments.sweeps.progress import Silent

    experiment, options = experiment_of(asked), ExecutionOptions(1)
    plan_only(experiment, options=options)
    planned = time.perf_counter()
    run_experiment(experiment, options, Silent())
    used = resource.getrusage(resource.RUSAGE_SELF)
    before = time.perf_counter()
    load(experiment.name)
    return {
        "plan: s": planned - began,
        "train: s": used.ru_utime + used.ru_stime,
        "train: MB": used.ru_maxrss / 1024,  # Linux counts in KiB
        "load again: s": time.perf_counter() - before,
    }


def stored(folder: str, rows: int) -> None:
    """Write a store with so many rows of `layers`, all default probes in it, the numbers drawn at random."""
    from dataclasses import asdict

    from experiments.config import Run
    from experiments.storage.records import Records
    from experiments.storage.store import Store
    from mlp.probes import DEFAULT_PROBES

    rng, each = np.random.default_rng(0), STEPS * (DEPTH + 1)
    store = Store("many", Path(folder))
    with store.sweep():
        for first in range(0, max(1, rows // each), RUNS_A_PART):
            ids = [f"{i:010d}" for i in range(first, min(first + RUNS_A_PART, max(1, rows // each)))]
            runs = {key: [value] * len(ids) for key, value in asdict(Run(depth=DEPTH)).items()}
            runs |= {"run_id": ids, "seed": list(range(first, first + len(ids)))}
            runs |= {"status": ["ok"] * len(ids), "diverged_at": [None] * len(ids)}
            runs |= {"seconds": [1.0] * len(ids), "error": [""] * len(ids)}
            keys = {
                "run_id": np.repeat(ids, each), "step": np.tile(np.repeat(range(STEPS), DEPTH + 1), len(ids)),
                "layer": np.tile(range(1, DEPTH + 2), STEPS * len(ids)),
            }  # fmt: skip
            measured = {name: rng.lognormal(size=each * len(ids)) for name in DEFAULT_PROBES}
            store.save(Records.build(runs=runs, layers=keys | measured))


def loaded(folder: str, whole: int, draw: int) -> dict[str, float]:
    """Load the store, all of it or two measured columns, and perhaps draw from it; return the cost."""
    import resource

    from experiments.storage.store import Store

    records = Store("many", Path(folder)).load(probes=None if whole else READ)
    if draw:
        from experiments.plots.album import drawn

        drawn(FIGURE, records, FIGURE)
    used = resource.getrusage(resource.RUSAGE_SELF)
    what = "load all" if whole else "load two columns and draw" if draw else "load two columns"
    return {f"{what}: s": used.ru_utime + used.ru_stime, f"{what}: MB": used.ru_maxrss / 1024}


def measured(along: str, size: int) -> dict[str, float]:
    """Return what a size costs: seconds of the processor and megabytes, by measure."""
    with tempfile.TemporaryDirectory() as folder:
        if along != "rows":
            asked = sweep(size, ALIKE[along]) if along in ALIKE else question(**{along: size})
            return _elsewhere(folder, f"trained({asked!r})")
        _elsewhere(folder, f"stored({folder!r}, {size})")
        found = {}
        for whole, draw in ((1, 0), (0, 0), (0, 1)):
            found |= _elsewhere(folder, f"loaded({folder!r}, {whole}, {draw})")
        return found


def _elsewhere(folder: str, call: str) -> dict[str, Any]:
    """Return what a function of this module returns in a fresh process whose results lie in a folder."""
    code = f"import json; from experiments.bench import growth as g; print(json.dumps(g.{call}))"
    given = os.environ | {"VG_RESULTS": folder, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=given, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout) or {}


def laws(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row for each measure: the sizes, what the largest costs, and the power it grows with.

    The power is that of the part above what the smallest size costs, which is the start of a process.
    """
    import pandas as pd

    found = []
    for (along, measure), part in pd.DataFrame(list(rows)).groupby(["along", "measure"], sort=False):
        part = part.sort_values("size")
        above = part["value"] - part["value"].iloc[0]
        upper = (part["size"] >= np.sqrt(part["size"].min() * part["size"].max())) & (above > 0)
        enough = upper.sum() > 1
        power = np.polyfit(np.log(part["size"][upper]), np.log(above[upper]), 1)[0] if enough else np.nan
        last = part.iloc[-1]
        found.append(
            {"along": along, "measure": measure, "smallest": part["size"].iloc[0], "largest": last["size"],
             "at_largest": last["value"], "exponent": float(power)}
        )  # fmt: skip
    return pd.DataFrame(found)


def main(asked: Sequence[str] | None = None, say: Callable[[str], None] = print) -> None:
    """Measure, write growth.csv, growth_sizes.csv and the page, and print the laws."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--along", nargs="+", default=list(SIZES), choices=list(SIZES), metavar="WHAT")
    parser.add_argument("--most", type=float, default=1e7, metavar="N", help="the largest size of any kind")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER")
    given = parser.parse_args(asked)
    rows: list[dict[str, Any]] = []
    for along in given.along:
        for size in SIZES[along]:
            if size <= given.most:
                found = measured(along, size)
                rows += [{"along": along, "size": size, "measure": k, "value": v} for k, v in found.items()]
                say(f"{along} {size:,}: " + ", ".join(f"{k} {v:,.1f}" for k, v in found.items()))
    report.write_csv(given.out, "growth_sizes", rows)
    report.write_csv(given.out, "growth", laws(rows))
    say(as_markdown(laws(rows)))
    say(f"written: {short_page.write(given.out, about(), ['growth'])}")


def about() -> str:
    """Describe the machine, as the page of the bench does."""
    from experiments.storage.provenance import git, machine

    facts, code = machine(), git()
    lines = [f"- {facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB, {facts['system']}"]
    lines += [f"- commit {code['commit'][:12]}{' and changes' if code['dirty'] else ''}"] if code else []
    return "\n".join(lines)


if __name__ == "__main__":
    main()
