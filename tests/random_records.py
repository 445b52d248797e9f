"""Records that no training would give, of the grids of the shipped configs, for whatever judges records."""

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from experiments import config
from experiments.config import Run
from experiments.storage.records import KEYS, Records
from experiments.sweeps import plan

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
TIMED = {"w08_sigmoid_expensive", "w12_relu_cheap"}  # they time functions and read no records
NAMES = [
    path.relative_to(CONFIGS).with_suffix("").as_posix()
    for folder in ("write_up", "literature") for path in sorted((CONFIGS / folder).glob("*.yaml"))
    if path.stem not in TIMED
]  # fmt: skip
SMALLER = {  # what makes a claim quick that looks at every step or draws networks of its own
    "write_up/w04_gradient_shrinks": ["depth=[2,10]"],
    "write_up/w07_slow_convergence": ["steps=3", "watch=4"],
    "write_up/w11_relu_no_vanishing": ["depth=[2,10]"],
    "literature/l01_theory": ["activation=[sigmoid,relu,tanh]", "depth=[2,3]"],
    "literature/l05_born_dead": ["claims=[L05_born_dead(nets=20)]", "width=[1,2]"],
    "literature/l06_spread": ["claims=[L06_spread(nets=4)]"],
    "literature/l03b_jacobians": ["width=16"],
    "literature/l07_depth_scale": ["width=16", "depth=[6,10]", "init=[scaled_normal, scaled_normal(gain=2)]"],
    "literature/l08_isometry": ["width=16"],
    "literature/l09_shattering": ["width=16"],
    "literature/l16_finite_width": ["claims=[L16_finite_width(nets=2)]"],
    "literature/l18_normalised_branch": ["width=16", "depth=5"],
    "literature/l21_random_walk": ["claims=[L21_random_walk(nets=2)]", "width=8", "depth=5"],
    "literature/l14a_dead_units": ["dataset=digits", "batch=16", "claims=[L14a_dead_units(nets=1)]"],
}
WATCHED = {0, 1, 2, 3, 20, 21, 300, 4000}  # what claims ask for: before and after a shock, and L03a's step
UNITS = 3  # of each layer
MOST = 80  # runs that are kept of a grid which is cut
SHAPES = ("whole", "cut", "one value of a field", "one seed", "one run", "no runs")
VALUES = {
    "uniform": lambda rng, n: rng.random(n),
    "signed": lambda rng, n: rng.standard_normal(n),
    "of any size": lambda rng, n: 10 ** rng.uniform(-300, 300, n),
    "strange": lambda rng, n: rng.choice([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e300], n),
    "yes or no": lambda rng, n: rng.integers(0, 2, n).astype(float),
    "0": lambda rng, n: np.zeros(n),
    "1": lambda rng, n: np.ones(n),
    "NaN": lambda rng, n: np.full(n, np.nan),
}
SPOILT = ("a column", "rows", "lost runs", "labels")
MEASURED = ("loss", "accuracy", "test_loss", "test_accuracy", "lr")


@dataclass(frozen=True)
class World:
    """Random records and what they are: a SHAPE, a key of VALUES for each column, and what is spoilt."""

    shape: str
    values: tuple[str, ...]
    spoilt: tuple[str, ...]
    records: Records


@cache
def experiment_of(name):
    """Return a shipped experiment with what makes its claim quick. Errors: ConfigError without its data."""
    return config.load(CONFIGS / f"{name}.yaml", SMALLER.get(name, []))


@cache
def skeleton(name):
    """Return the frames of the whole grid with their keys and settings, and not a single value."""
    runs = plan.grid(experiment_of(name)) or [Run()]
    ids = [f"{at}" for at in range(len(runs))]
    settings = {field.name: [getattr(run, field.name) for run in runs] for field in fields(Run)}
    count = len(runs)
    settings |= {"run_id": ids, "status": ["ok"] * count, "error": [""] * count}
    settings |= {"diverged_at": [None] * count, "seconds": [0.0] * count}
    steps, layers = [], []
    for run_id, run in zip(ids, runs, strict=True):
        watched = sorted({step for step in WATCHED if step < run.steps} | {run.steps})
        steps += [(run_id, step) for step in watched]
        layers += [(run_id, step, layer) for step in watched for layer in range(1, run.depth + 2)]
    units = [(*key, unit) for key in layers if experiment_of(name).unit_probes for unit in range(UNITS)]
    rows = {"steps": steps, "layers": layers, "units": units}
    keys = {name: pd.DataFrame(found, columns=KEYS[name]) for name, found in rows.items()}
    return settings, keys


def world(name, rng, **fixed):
    """Return a random world of a shipped config; `fixed`: the shape, values or spoilt that are not drawn."""
    shape = fixed.get("shape") or rng.choice(SHAPES, p=[0.3, 0.3, 0.2, 0.1, 0.05, 0.05])
    spoilt = fixed.get("spoilt", tuple(kind for kind in SPOILT if rng.random() < 0.25))
    values = fixed.get("values") or tuple(rng.permutation(list(VALUES))[: rng.integers(1, 4)])
    settings, keys = skeleton(name)
    runs = _shaped(pd.DataFrame(settings), shape, rng)
    if "labels" in spoilt:  # what was measured is another run's
        for field in rng.choice([f.name for f in fields(Run)], 3, replace=False):
            runs[field] = runs[field].to_numpy()[rng.permutation(len(runs))]
    experiment = experiment_of(name)
    columns = {"steps": MEASURED, "layers": experiment.probes, "units": experiment.unit_probes}
    frames = {}
    for frame, found in keys.items():
        rows = found[found["run_id"].isin(runs["run_id"])]
        if "rows" in spoilt:
            rows = rows[rng.random(len(rows)) > rng.choice([0.001, 0.1, 0.9])]
        filled = {column: VALUES[rng.choice(values)](rng, len(rows)) for column in columns[frame]}
        if "a column" in spoilt and frame != "steps":
            filled = {column: each for column, each in filled.items() if rng.random() > 0.2}
        frames[frame] = rows.assign(**filled)
    if "lost runs" in spoilt:
        _lose(runs, frames, rng, rng.choice([0.1, 0.5, 1.0]))
    kept = {frame: rows for frame, rows in frames.items() if len(rows) or rng.random() < 0.5}
    tables = {frame: {column: rows[column] for column in rows} for frame, rows in kept.items()}
    return World(shape, values, spoilt, Records.build(runs=runs if len(runs) else {}, **tables))


def _shaped(runs, shape, rng):
    """Return some of the runs: settings with all their seeds, one value of each of two fields, one seed."""
    if shape == "no runs":
        return runs.iloc[:0]
    if shape == "one run":
        return runs.sample(1, random_state=rng)
    if shape == "one seed":
        return runs[runs["seed"] == rng.choice(runs["seed"])].copy()
    if shape == "one value of a field":
        several = [field.name for field in fields(Run) if len(runs[field.name].unique()) > 1]
        field = rng.choice(several or ["seed"])
        runs = runs[runs[field] == rng.choice(runs[field].to_numpy())]
    if shape == "cut":
        names = [field.name for field in fields(Run) if field.name != "seed"]
        groups = [rows for _, rows in runs.groupby(names, dropna=False)]
        seeds = runs["seed"].nunique()
        few = rng.permutation(len(groups))[: max(1, MOST // seeds)]
        runs = pd.concat([groups[at] for at in sorted(few)])
    return runs.copy()


def _lose(runs, frames, rng, share):
    """Let runs diverge at step 1, of which nothing is measured from then on, or crash without a number."""
    status = rng.choice(["diverged", "crashed"], len(runs))
    lost = rng.random(len(runs)) < share
    runs["status"] = np.where(lost, status, "ok")
    runs["diverged_at"] = pd.Series(np.where(runs["status"] == "diverged", 1, None), runs.index)
    gone = dict(zip(runs["run_id"], runs["status"], strict=True))
    for name, rows in frames.items():
        of = rows["run_id"].map(gone)
        frames[name] = rows[(of == "ok") | ((of == "diverged") & (rows["step"] < 1))]
