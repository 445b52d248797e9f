"""Signals made by hand: a network in which nothing is out of range, to be changed in one number."""

import numpy as np

from experiments.config import Run
from experiments.diagnosis.rule_sets import PROBES_READ
from experiments.diagnosis.signals import NEEDED, DataFacts, Signals, Start

STEPS = 12
QUIET = {  # a column's value where all is well
    "delta_log10": -2.0, "dw_norm": 0.1, "db_norm": 0.1, "w_norm": 5.0, "z_rms": 1.0, "a_rms": 1.0,
    "a_mean": 0.1, "dead_fraction": 0.0, "saturated_fraction": 0.0, "update_ratio": 0.095,
    "displacement": 0.5,
    "dw_mean_abs": 0.001, "dw_max_abs": 0.1, "dw_span": 0.01, "w_max_abs": 1.0, "w_var": 0.02,
    "output_zero_fraction": 0.5, "a_var": 1.0, "zero_fraction": 0.1, "delta_rms": 0.01,
}  # fmt: skip


def signals(run=None, data=None, steps=STEPS, **changes):
    """Signals of a healthy network of two hidden layers; a changed column is a number or a (T, 3) array.

    `loss`, `accuracy`, `test_accuracy` and `diverged_at` may be changed as well.
    """
    run = run or Run(depth=2, width=8, lr=0.005)
    columns = {name: QUIET.get(name, 0.0) for name in (*NEEDED, *PROBES_READ)}
    top = {name: changes.pop(name) for name in ("loss", "accuracy", "test_accuracy") if name in changes}
    diverged_at = changes.pop("diverged_at", None)
    assert set(changes) <= set(columns), set(changes) - set(columns)
    layers = {
        name: np.broadcast_to(np.asarray(v, float), (steps, 3)) for name, v in (columns | changes).items()
    }
    falling = 2.3 * 0.8 ** np.arange(steps)
    facts = {
        "classes": 10, "examples": 100, "majority": 0.1, "prior_loss": 2.3, "rms": 0.5,
        "mean": 0.0, "sd": 0.5, "largest": 1.0, "alike": 0.0,
    }  # fmt: skip
    return Signals(
        run=run, run_id="made", steps=np.arange(steps), loss=np.asarray(top.get("loss", falling), float),
        accuracy=np.asarray(top.get("accuracy", np.linspace(0.1, 0.9, steps)), float),
        test_accuracy=np.asarray(top.get("test_accuracy", np.linspace(0.1, 0.85, steps)), float),
        lr=np.full(steps, run.lr), layers=layers, diverged_at=diverged_at,
        data=DataFacts(**facts | (data or {})),
        start=Start(spread=np.full(2, 0.5), twins=np.zeros(2)),
    )  # fmt: skip
