"""The predictions for the runs of some records; each setting is computed once per process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import datasets
from experiments.config.vocabulary import Recording
from experiments.storage.blame import blamed
from experiments.storage.recorded import RECORDED
from experiments.theory.inputs import Inputs
from experiments.theory.prediction import Prediction, predict
from mlp.registry import RegistryError

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# The fields of Run that tell one initialisation from another, but for the seed. (dtype rounds, no more.)
START = ("activation", "depth", "width", "dataset", "init", "bias", "norm", "residual", "loss")
MOST_KEPT = 4096  # predictions in memory, about 4 kB each
NOT_OF_NUMBERS = "the gradient of a regression depends on the target's numbers; theory takes classes"
ROUNDING = 1e-5  # relative, of a count that is recovered from float32 norms
_known: dict[tuple[Any, ...], Prediction] = {}


def predictions(records: Records) -> dict[str, Prediction]:
    """Return the prediction for each run, by run_id; runs of one setting share one.

    Where the data cannot be read there is none, and its `reason` says so.
    """
    runs = records.runs
    entries = runs["run_id"].map(entries_of(records)).fillna(0).astype(int)
    settings = zip(*(runs[name].tolist() for name in START), entries.tolist(), strict=True)
    return {name: predicted(*setting) for name, setting in zip(runs["run_id"], settings, strict=True)}


def predicted(
    activation: str, depth: int, width: int, dataset: str, init: str, bias: str, norm: str, residual: float,
    loss: str, entries: int = 0,
) -> Prediction:  # fmt: skip
    """Return the prediction for the examples that a run was measured on; each is made once per process.

    `entries` is how many logits they have in all, 0 where the records do not tell.

    With ``trace: batch`` the first examples of the training set stand for the first batch, as many as it has.
    """
    setting = (activation, depth, width, dataset, init, bias, norm, residual, loss, entries)
    if setting not in _known:
        if len(_known) >= MOST_KEPT:
            _known.clear()
        _known[setting] = _predicted(*setting)
    return _known[setting]


def known() -> dict[tuple[Any, ...], Prediction]:
    """Return the predictions that this process has made so far, by the arguments of `predicted`."""
    return dict(_known)


def adopt(made: Mapping[tuple[Any, ...], Prediction]) -> None:
    """Take over predictions that another process has made."""
    _known.update(made)


def _predicted(
    activation: str, depth: int, width: int, dataset: str, init: str, bias: str, norm: str, residual: float,
    loss: str, entries: int,
) -> Prediction:  # fmt: skip
    stated = zip(START, (activation, depth, width, dataset, init, bias, norm, residual, loss), strict=True)
    if unstated := [name for name, value in stated if value == RECORDED]:
        return Prediction(depth, f"the network was recorded, and of it is not known: {', '.join(unstated)}")
    try:
        if datasets.load(dataset).is_regression:
            return Prediction(depth, NOT_OF_NUMBERS)
        inputs = inputs_of(dataset, entries)
        return predict(
            activation, depth, width, inputs, init=init, bias=bias, norm=norm, residual=residual, loss=loss
        )
    except datasets.DataError as error:
        return Prediction(depth, f"the data cannot be read ({str(error).splitlines()[0]})")
    except RegistryError as error:  # records outlive the table that their texts were read by
        return Prediction(depth, str(error).splitlines()[0])
    except Exception as error:  # of a user's own part, which trains and yet cannot be asked so
        if not (where := blamed(error)):
            raise
        return Prediction(depth, f"{where}: {type(error).__name__}: {error}")


@lru_cache(maxsize=16)
def inputs_of(dataset: str, entries: int = 0) -> Inputs:
    """Return the first training examples, as many as have that number of logits in all.

    If no number of examples does, as many as are measured on by default.
    """
    data = datasets.load(dataset)
    count, rest = divmod(entries, data.classes)
    if not count or rest:
        count = Recording(()).probe_set
    return Inputs.measured(data.x[:count], data.y[:count], data.classes)


def entries_of(records: Records) -> pd.Series:
    """Return by run_id over how many entries the output layer's delta was summed: examples times classes.

    The records do not say on how many examples they were measured, but a norm over a root mean square does.
    """
    layers, runs = records.layers, records.runs.set_index("run_id")
    if not {"delta_norm", "delta_rms"} <= set(layers):
        return runs["depth"] * 0
    start = layers[layers["step"] == 0]
    depth = start["run_id"].map(runs["depth"]).astype(int)  # of no rows it would be texts
    last = start[start["layer"] == depth + 1].set_index("run_id")
    with np.errstate(divide="ignore", invalid="ignore"):
        count = (last["delta_norm"] / last["delta_rms"]) ** 2
    whole = count.round()
    return whole[np.isfinite(count) & ((count - whole).abs() <= ROUNDING * whole)]
