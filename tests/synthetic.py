"""Records of a training that never took place, for whatever reads records: analyses, figures, claims.

Norms decay by a factor a layer that depends on the activation, with scatter over seeds, so that what an
analysis should find is known beforehand. `records(activation=[...], depth=[...], seed=[...], lr=0.1)` makes
the grid of every field that is given a list.
"""

from itertools import product
from zlib import crc32

import numpy as np

from experiments.config.vocabulary import Run, keys_of
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
    fails, dies = _matching(runs, diverged), _matching(runs, dead)
    settings = {name: [getattr(run, name) for run in runs] for name in keys_of(Run)}
    settings |= {"run_id": _ids(runs), "status": np.where(fails, "diverged", "ok"), "error": [""] * len(runs)}
    settings |= {"diverged_at": [5 if fail else None for fail in fails], "seconds": np.full(len(runs), 0.1)}
    layers, steps = _layers(runs, fails, dies), _steps(runs, fails)
    others = {"units": _units(runs, layers), "bins": _bins(layers), "plane": _plane(steps)}
    return Records.build(runs=settings, steps=steps, layers=layers, **others)


def _matching(runs, pairs):
    return np.array([any(getattr(run, field) == value for field, value in pairs) for run in runs], bool)


def _ids(runs):
    return np.array([f"{crc32(repr(run).encode()):08x}" for run in runs])


def _grid(runs, with_layers):
    """The number of the run, the step and the layer (0 if none is asked for) of each row, as arrays."""
    parts = []
    for i, run in enumerate(runs):
        watched = sorted({step for step in WATCHED if step < run.steps} | {run.steps})
        layers = range(1, run.depth + 2) if with_layers else [0]
        parts.append(np.array([(i, step, layer) for step in watched for layer in layers]))
    return np.concatenate(parts).T


def _noise(count, name):
    return np.random.default_rng(crc32(name.encode())).normal(0, SCATTER, count)


def _any_share(count, name):
    """What stands in for a probe of which nothing is known: between 0 and 1, another for each probe."""
    return np.random.default_rng(crc32(name.encode())).uniform(0.1, 0.9, count)


def _layers(runs, fails, dead):
    """The columns of `layers` by name."""
    run, step, layer = _grid(runs, with_layers=True)
    count, share = len(run), step / 300
    stems = [each.activation.split("(")[0] for each in runs]
    factor = np.array([FACTOR.get(stem, OTHER) for stem in stems])[run]
    depth = np.array([each.depth for each in runs])[run]
    height = (depth + 1 - layer).astype(float)
    decay = np.log(factor) * height * (1 - 0.3 * share)
    dead_share = np.where(np.array([each.activation == "relu" for each in runs])[run], 0.3 * share, 0.0)
    columns = {
        "delta_norm": 0.1 * np.exp(decay + _noise(count, "delta")),
        "dw_norm": 0.3 * np.exp(0.6 * decay + _noise(count, "dw")),
        "w_norm": np.full(count, 8.0),
        "a_mean": np.where(factor < 0.5, 0.5, 0.0) + 0.1 * _noise(count, "a"),
        "a_var": 0.3 * np.exp(0.1 * decay + _noise(count, "v")),
        "z_mean": 0.1 * _noise(count, "z"),
        "z_var": np.exp(0.1 * decay + _noise(count, "zv")),
        "dead_fraction": dead_share,
        "inactive_fraction": dead_share.copy(),
        "saturated_fraction": np.clip(0.2 + 0.02 * height * share, 0, 1),
    }
    columns["update_ratio"] = 1e-3 * columns["dw_norm"] / columns["w_norm"] * 100
    columns["displacement"] = 1e-2 * share * columns["dw_norm"]
    for name in ("sign_agreement", "sign_agreement_batch", "one_sign_fraction", "one_sign_fraction_batch"):
        columns[name] = np.clip(np.where(factor < 0.5, 0.9, 0.2) + 0.1 * _noise(count, name), 0, 1)
    lower = dead[run] & (step >= 5) & (layer <= depth / 2)
    for name in ("delta_norm", "dw_norm", "update_ratio"):
        columns[name][lower] = 0.0
    with np.errstate(divide="ignore"):
        columns |= {f"{name}_log10": np.log10(columns[f"{name}_norm"]) for name in ("delta", "dw")}
    columns |= {name: _any_share(count, name) for name in PROBES if name not in columns}
    for values in columns.values():
        values[fails[run] & (step >= 5)] = np.nan
    return {"run_id": _ids(runs)[run], "step": step, "layer": layer} | columns


def _units(runs, layers):
    """A few units for each hidden layer, dead or not at random, with every unit probe."""
    depth = dict(zip(_ids(runs), (run.depth for run in runs), strict=True))
    hidden = np.flatnonzero(layers["layer"] <= [depth[run_id] for run_id in layers["run_id"]]).repeat(UNITS)
    keys = {name: layers[name][hidden] for name in ("run_id", "step", "layer")}
    probes = {name: _any_share(len(hidden), name) for name in UNIT_PROBES}
    probes |= {name: (probes[name] > 0.6).astype(float) for name in ("unit_dead", "unit_inactive")}
    return keys | {"unit": np.arange(len(hidden)) % UNITS} | probes


def _bins(layers):
    """Half of each layer's numbers where its ‖delta‖ is, a quarter a decade below, a quarter exactly 0."""
    norm = layers["delta_norm"]
    edges = np.floor(2 * np.log10(np.where(norm > 0, norm, 1.0))) / 2
    keys = {name: layers[name].repeat(3) for name in ("run_id", "step", "layer")}
    keys["bin"] = np.stack([edges, edges - 1, np.full(len(edges), -np.inf)], axis=1).ravel()
    keys["subnormal"] = np.zeros(3 * len(edges), int)
    return keys | {"delta": np.tile([0.5, 0.25, 0.25], len(edges))}


def _plane(steps):
    """Nine points, class 1 right of x1 = 0, the surer the more is learnt; none of what diverged."""
    point, accuracy = np.tile(np.arange(9), len(steps["step"])), steps["accuracy"].repeat(9)
    keys = {"run_id": steps["run_id"].repeat(9), "step": steps["step"].repeat(9), "point": point}
    x1, x2 = point % 3 - 1.0, point // 3 - 1.0
    answer = np.where(np.isnan(accuracy), np.nan, x1 > 0)
    return keys | {"x1": x1, "x2": x2, "answer": answer, "probability": 0.5 + accuracy / 2}


def _steps(runs, fails):
    """The columns of `steps` by name."""
    run, step, _ = _grid(runs, with_layers=False)
    learnt = 1 - np.exp(-step / 80)
    loss = 2.3 * np.exp(-3 * learnt + 0.3 * _noise(len(run), "loss"))
    accuracy = np.clip(0.1 + 0.88 * learnt + 0.1 * _noise(len(run), "acc"), 0, 1)
    measured = {"loss": loss, "accuracy": accuracy, "test_loss": loss * 1.1, "test_accuracy": accuracy * 0.97}
    for values in measured.values():
        values[fails[run] & (step >= 5)] = np.nan
    keys = {"run_id": _ids(runs)[run], "step": step}
    return keys | measured | {"lr": np.array([each.lr for each in runs])[run]}
