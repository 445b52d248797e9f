"""Records of a training that never took place, for whatever reads records: analyses, figures, claims.

Norms decay by a factor a layer that depends on the activation, with scatter over seeds, so that what an
analysis should find is known beforehand. `records(activation=[...], depth=[...], seed=[...], lr=0.1)` makes
the grid of every field that is given a list.
"""

from dataclasses import asdict
from itertools import product
from zlib import crc32

import numpy as np
import pandas as pd

from experiments.config.vocabulary import Run
from experiments.storage.records import Records
from mlp.probes import PROBES, UNIT_PROBES

FACTOR = {"sigmoid": 0.236, "tanh": 0.93, "relu": 0.71, "leaky_relu": 0.75}  # of delta, a layer to the input
OTHER = 0.85
SCATTER = 0.15  # standard deviation over seeds of each log norm
UNITS = 3  # recorded of each layer
WATCHED = (0, 1, 2, 5, 10, 20, 50, 100, 200, 300)


def records(diverged=(), dead=(), **values):
    """Records of a grid of runs.

    `diverged` lists (field, value) pairs whose runs diverge at step 5, `dead` those whose gradients are
    exactly 0 in the lower half of the layers from step 5 on.
    """
    axes = {key: value if isinstance(value, list) else [value] for key, value in values.items()}
    runs = [Run(**dict(zip(axes, row, strict=True))) for row in product(*axes.values())]
    settings = pd.DataFrame([asdict(run) for run in runs])
    settings.insert(0, "run_id", [f"{crc32(repr(run).encode()):08x}" for run in runs])
    fails = _matching(settings, diverged)
    settings["status"] = np.where(fails, "diverged", "ok")
    settings["diverged_at"] = pd.array(np.where(fails, 5, -1), dtype="Int64")
    settings.loc[~fails, "diverged_at"] = pd.NA
    settings["seconds"], settings["error"] = 0.1, ""
    layers = _layers(settings, fails, _matching(settings, dead))
    steps, units = _steps(settings, fails), _units(settings, layers)
    bins, plane = dict(_bins(layers)), dict(_plane(steps))
    return Records.build(runs=settings, steps=steps, layers=layers, units=dict(units), bins=bins, plane=plane)


def _matching(settings, pairs):
    rows = np.zeros(len(settings), bool)
    for field, value in pairs:
        rows |= (settings[field] == value).to_numpy()
    return rows


def _grid(settings, with_layers):
    """One row for each run, watched step and (if asked for) layer, with the run's number in `run`."""
    parts = []
    for i, (steps, depth) in enumerate(zip(settings["steps"], settings["depth"], strict=True)):
        watched = sorted({step for step in WATCHED if step < steps} | {steps})
        layers = range(1, depth + 2) if with_layers else [0]
        parts.append(np.array([(i, step, layer) for step in watched for layer in layers]))
    rows = pd.DataFrame(np.concatenate(parts), columns=["run", "step", "layer"])
    return settings.reset_index(drop=True).loc[rows["run"]].reset_index(drop=True).assign(**rows)


def _noise(rows, name):
    return np.random.default_rng(crc32(name.encode())).normal(0, SCATTER, len(rows))


def _layers(settings, fails, dead):
    rows = _grid(settings, with_layers=True)
    share = rows["step"] / 300
    factor = rows["activation"].str.split("(").str[0].map(FACTOR).fillna(OTHER)
    height = (rows["depth"] + 1 - rows["layer"]).to_numpy(float)
    decay = np.log(factor) * height * (1 - 0.3 * share)
    columns = rows[["run_id", "step", "layer"]].copy()
    columns["delta_norm"] = 0.1 * np.exp(decay + _noise(rows, "delta"))
    columns["dw_norm"] = 0.3 * np.exp(0.6 * decay + _noise(rows, "dw"))
    columns["w_norm"] = 8.0
    columns["a_mean"] = np.where(factor < 0.5, 0.5, 0.0) + 0.1 * _noise(rows, "a")
    columns["a_var"] = 0.3 * np.exp(0.1 * decay + _noise(rows, "v"))
    columns["z_mean"] = 0.1 * _noise(rows, "z")
    columns["z_var"] = np.exp(0.1 * decay + _noise(rows, "zv"))
    columns["dead_fraction"] = np.where(rows["activation"] == "relu", 0.3 * share, 0.0)
    columns["inactive_fraction"] = columns["dead_fraction"]
    columns["saturated_fraction"] = np.clip(0.2 + 0.02 * height * share, 0, 1)
    columns["update_ratio"] = 1e-3 * columns["dw_norm"] / columns["w_norm"] * 100
    columns["displacement"] = 1e-2 * share * columns["dw_norm"]
    for name in ("sign_agreement", "sign_agreement_batch", "one_sign_fraction", "one_sign_fraction_batch"):
        columns[name] = np.clip(np.where(factor < 0.5, 0.9, 0.2) + 0.1 * _noise(rows, name), 0, 1)
    lower = dead[rows["run"]] & (rows["step"] >= 5) & (rows["layer"] <= rows["depth"] / 2)
    columns.loc[lower, ["delta_norm", "dw_norm", "update_ratio"]] = 0.0
    with np.errstate(divide="ignore"):
        for name in ("delta", "dw"):
            columns[f"{name}_log10"] = np.log10(columns[f"{name}_norm"].to_numpy())
    others = {name: _any_share(columns, name) for name in PROBES if name not in columns}
    columns = pd.concat([columns, pd.DataFrame(others)], axis=1)
    columns.loc[fails[rows["run"]] & (rows["step"] >= 5), columns.columns[3:]] = np.nan
    return columns


def _any_share(rows, name):
    """What stands in for a probe of which nothing is known: between 0 and 1, another for each probe."""
    return np.random.default_rng(crc32(name.encode())).uniform(0.1, 0.9, len(rows))


def _units(settings, layers):
    """A few units for each hidden layer, dead or not at random, with every unit probe."""
    depth = layers["run_id"].map(settings.set_index("run_id")["depth"]).astype(int)
    rows = layers.loc[layers["layer"] <= depth, ["run_id", "step", "layer"]]
    rows = rows.loc[rows.index.repeat(UNITS)].reset_index(drop=True)
    rows["unit"] = np.arange(len(rows)) % UNITS
    probes = {name: _any_share(rows, name) for name in UNIT_PROBES}
    probes |= {name: (probes[name] > 0.6).astype(float) for name in ("unit_dead", "unit_inactive")}
    return pd.concat([rows, pd.DataFrame(probes)], axis=1)


def _bins(layers):
    """Half of each layer's numbers where its ‖delta‖ is, a quarter a decade below, a quarter exactly 0."""
    size = np.log10(layers["delta_norm"].where(layers["delta_norm"] > 0, 1.0)).fillna(0.0)
    rows = layers.loc[layers.index.repeat(3), ["run_id", "step", "layer"]].reset_index(drop=True)
    edges = np.floor(2 * size.to_numpy()) / 2
    rows["bin"] = np.stack([edges, edges - 1, np.full(len(edges), -np.inf)], axis=1).ravel()
    rows["subnormal"] = 0
    return rows.assign(delta=np.tile([0.5, 0.25, 0.25], len(edges)))


def _plane(steps):
    """Nine points, class 1 right of x1 = 0, the surer the more is learnt; none of what diverged."""
    rows = steps.loc[steps.index.repeat(9), ["run_id", "step", "accuracy"]].reset_index(drop=True)
    rows["point"] = np.arange(len(rows)) % 9
    rows["x1"], rows["x2"] = rows["point"] % 3 - 1.0, rows["point"] // 3 - 1.0
    rows["answer"] = (rows["x1"] > 0).astype(float).where(rows["accuracy"].notna())
    rows["probability"] = 0.5 + rows.pop("accuracy") / 2
    return rows


def _steps(settings, fails):
    rows = _grid(settings, with_layers=False)
    learnt = 1 - np.exp(-rows["step"] / 80)
    columns = rows[["run_id", "step"]].copy()
    columns["loss"] = 2.3 * np.exp(-3 * learnt + 0.3 * _noise(rows, "loss"))
    columns["accuracy"] = np.clip(0.1 + 0.88 * learnt + 0.1 * _noise(rows, "acc"), 0, 1)
    columns["test_loss"] = columns["loss"] * 1.1
    columns["test_accuracy"] = columns["accuracy"] * 0.97
    columns["lr"] = rows["lr"]
    columns.loc[fails[rows["run"]] & (rows["step"] >= 5), columns.columns[2:-1]] = np.nan
    return columns
