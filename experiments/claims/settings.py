"""What a claim asks of the records: runs with certain settings, a probe, enough seeds.

Where the records do not have it the claim is undecided: the functions raise `Undecided` with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_end, at_start, first_to_last, varying
from experiments.analysis.selection import at_last_step, own_best
from experiments.claims.verdict import Undecided, enough_seeds
from mlp.activations import ACTIVATIONS, activation
from mlp.initialisers import bias_variance, weight_variance

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records


LEARNS = 0.1  # how much a network that learns at all has to gain in test accuracy over its own start


def named(text: str) -> str:
    """Return an activation's text as the records spell it, or say that there is none of that name."""
    try:
        return ACTIVATIONS.canonical(text)
    except ValueError as error:
        raise Undecided(str(error), "the claim's activations: those that there are") from None


def only(records: Records, **wanted: Any) -> Records:
    """Return the runs whose fields have these values, each a value or a list of those allowed.

    Undecided if one of the values that is asked for occurs in no run left over.
    """
    runs = records.runs
    for field, values in wanted.items():
        for value in values if isinstance(values, list) else [values]:
            if not (runs[field] == value).any():
                raise Undecided(f"no run has {field} = {value}", f"{field}: [{value}] under sweep")
        runs = runs[runs[field].isin(values if isinstance(values, list) else [values])]
    return records.of(runs["run_id"])


def alike(runs: pd.DataFrame, but: Sequence[str], which: str) -> None:
    """Check that runs differ in `but` and the seed alone, and none is there twice; `which` names them."""
    others = [field for field in varying(runs) if field not in but]
    if others:
        values = ", ".join(map(str, runs[others[0]].drop_duplicates()))
        raise Undecided(f"{which}: runs differ in {others[0]}, too ({values})", f"{others[0]}: one value")
    if runs.duplicated([*but, "seed"]).any():
        raise Undecided(f"{which}: the same run is there twice", "seed: each once")


def judged(records: Records, column: str, by: Sequence[str], *, larger: bool) -> pd.DataFrame:
    """Return `column` of `steps` after training, as `value`, for each setting of `by` at its best lr.

    The rows of `own_best`. Undecided if there is no grid to choose from, too few seeds, or something else
    than `by` and the learning rate that differs between runs.
    """
    enough(records.runs)
    alike(records.runs, [*by, "lr"], f"runs of one {', '.join(by)} and lr")
    return own_best(at_last_step(records, column), by, larger=larger)


def learnt(best: pd.DataFrame, records: Records) -> pd.Series:
    """Return for each row of `best` how much its run's test accuracy has risen from start to end.

    0 where the training loss has risen: what networks with enormous weights get right, they have not learnt.
    """
    scores = records.steps[["run_id", "step", "test_accuracy", "loss"]]
    first, last = (each.set_index("run_id") for each in (at_start(scores), at_end(scores, records.runs)))
    last = last.reindex(first.index)
    gained = last["test_accuracy"] - first["test_accuracy"]
    return best["run_id"].map(gained.mask(last["loss"] > first["loss"], 0.0))


def enough(runs: pd.DataFrame) -> None:
    """Check that there is a grid of learning rates to choose from, and seeds enough to judge."""
    if runs["lr"].nunique() < 2:
        raise Undecided("one learning rate, where each setting is judged at its own best", "lr: a list")
    enough_seeds(runs)


def trained(runs: pd.DataFrame) -> None:
    """Check that every run has made at least one update."""
    if not (runs["steps"] > 0).all():
        raise Undecided("nothing was trained", "steps: more than 0")


def by_seed(rows: pd.DataFrame, value: str, how: str, runs: pd.DataFrame) -> pd.Series:
    """Return the least or greatest (`how`: min or max) value of each seed of `runs`, of all its rows.

    NaN where a row has no value, where a seed has no rows, and where a run of the seed did not live to its
    end: what it would have come to is not known.
    """
    found = rows.groupby("seed")[value].agg(lambda each: getattr(each, how)(skipna=False))
    ended = runs.groupby("seed")["status"].agg(lambda each: bool((each == "ok").all()))
    return found.reindex(ended.index).where(ended)


def of_runs(runs: pd.DataFrame, rows: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of `rows`, one row per run, for each of the runs, by seed: NaN for a run without a row.

    So a run that was lost counts as a seed without a value, and not as a seed that was never asked for.
    """
    found = rows.set_index("run_id")[column]
    ordered = runs.sort_values("seed").set_index("seed")["run_id"]
    return ordered.map(found).astype(float).rename(column)


def by_layer(records: Records, rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a column of `rows` of layers, those of one step: a seed a row, a layer a column, from 1 on.

    All of the runs' hidden layers are there; what was not measured is NaN.
    """
    import pandas as pd

    runs = records.runs.sort_values("seed")
    layers = range(1, int(runs["depth"].max()) + 1)
    found = rows.set_index(["run_id", "layer"])[column]
    keys = pd.MultiIndex.from_product([runs["run_id"], layers], names=["run_id", "layer"])
    table = found.reindex(keys).to_numpy(float).reshape(len(runs), len(layers))
    return pd.DataFrame(table, index=pd.Index(runs["seed"], name="seed"), columns=list(layers))


def at_layers(records: Records, *columns: str) -> pd.DataFrame:
    """Return the fields of every run, layer and the columns of `layers` at the start, a row per layer.

    All of a run's layers are there, the output's last. NaN is what was not measured, as of a lost run.
    """
    runs = records.runs
    rows = runs.loc[runs.index.repeat(runs["depth"] + 1)]
    rows = rows.assign(layer=rows.groupby("run_id").cumcount() + 1)
    measured = at_start(records.layers)[["run_id", "layer", *columns]]
    return rows.merge(measured, on=["run_id", "layer"], how="left", validate="one_to_one")


def deepest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the networks with the most hidden layers."""
    return rows[rows["depth"] == rows["depth"].max()]


def start_ratios(records: Records) -> pd.DataFrame:
    """Return the fields of every run, ratio, as `first_to_last` has it before training, and its natural log.

    Both are NaN for a run without a ratio, as one that was lost.
    """
    ratios = at_start(first_to_last(records))[["run_id", "ratio"]]
    rows = records.runs.merge(ratios, on="run_id", how="left", validate="one_to_one")
    with np.errstate(divide="ignore"):
        return rows.assign(log=np.log(rows["ratio"]))


def weight_and_bias(run: Any) -> tuple[float, float]:
    """Return (σ_w², σ_b²) of a run's hidden layers: n_in times a weight's variance, and a bias's."""
    act, width = activation(run.activation), int(run.width)
    return width * weight_variance(run.init, width, width, act), bias_variance(run.bias, width, width, act)


def rates(rows: pd.DataFrame) -> str:
    """Return in words the learning rates at which rows are judged: one, or one for each half of the seeds."""
    return " or ".join(f"{lr:g}" for lr in sorted(rows["lr"].unique()))


def on_edges(best: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """Return a remark on every setting whose own best is at an end of its grid, and may lie beyond it."""
    rows = best[best["on_edge"]].drop_duplicates([*by, "lr"])
    return [
        f"{', '.join(f'{field}={row[field]}' for field in by)}: the best lr, {row['lr']:g}, ends its grid."
        for _, row in rows.iterrows()
    ]
