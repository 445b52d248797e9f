"""Claims about activations whose outputs are all positive: W06, W07."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.selection import own_best, steps_to
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.settings import alike, enough, on_edges, only, rates
from experiments.claims.verdict import Evidence, Undecided, Verdict, decide
from experiments.datasets import DATASETS
from mlp.activations import ACTIVATIONS

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# W06 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs("one_sign_fraction", "one_sign_fraction_batch", varies=("activation",))
@rule("share of units with gradients of one sign: 1 with {activation}, under {rare:g} with {control}")
def W06_one_sign(
    records: Records, *, activation: str = "sigmoid", control: str = "tanh", rare: float = 0.01
) -> Verdict:
    """Sigmoid's outputs are all positive, so the gradients of all weights into a unit have the same sign.

    Measured: The share of units whose incoming weight gradients all have one sign, in the layer fed by the
    activation where it is smallest: for single examples, and for the mean over the training batch, at each
    batch size. The same for single examples with tanh, in the layer where it is largest.

    Nuance: It is a law for one example only. The examples of a batch push a unit's weights up and down by
    different amounts, and their mean has weights of both signs: what is left is a bias, which the sign
    agreement |n₊ − n₋|/n measures. And ReLU's outputs are never negative either: the law holds just as well
    for the activation that is recommended in sigmoid's place.
    """
    each, mean = "one_sign_fraction", "one_sign_fraction_batch"
    mine, theirs = (only(records, activation=text) for text in (activation, control))
    for part in (mine, theirs):
        alike(part.runs, ["batch"], "runs of one activation and batch")
    single = [
        Evidence.exact(f"one example, {activation}", _by_seed(_fed(mine, each, "min"), "min"), 1.0),
        Evidence.of(f"one example, {control}", _by_seed(_fed(theirs, each, "max"), "max"), "below", rare),
    ]
    rows = _fed(mine, mean, "min")
    batches = [
        Evidence.exact(f"the mean of a batch of {batch}", of_batch["value"], 1.0)
        for batch, of_batch in rows[rows["batch"] > 1].groupby("batch")
    ]
    return decide(
        [*single, *batches],
        "share of units",
        condition=_for_one_example(single, batches),
        remarks=_agreement(records),
    )


def _for_one_example(single: Sequence[Evidence], batches: Sequence[Evidence]) -> str:
    """In words where it is so; without them the settings are listed."""
    if not (all(e.holds for e in single) and batches and all(e.holds is False for e in batches)):
        return ""
    shares = ", ".join(f"{e.value:.2g} for {e.setting}" for e in batches)
    return f"for one example; the share is {shares}"


def _fed(records: Records, column: str, how: str) -> pd.DataFrame:
    """Every run with, as `value`, the least (or greatest) of a column over layers fed by the activation."""
    layers = records.layers[records.layers["layer"] > 1]
    if not len(layers):
        raise Undecided("no layer is fed by the activation", "depth: 1 or more")
    values = layers.groupby("run_id")[column].agg(how).rename("value")
    return records.runs.merge(values, on="run_id", how="left", validate="one_to_one")


def _by_seed(rows: pd.DataFrame, how: str) -> pd.Series:
    return rows.groupby("seed")["value"].agg(lambda each: getattr(each, how)(skipna=False))


def _agreement(records: Records) -> list[str]:
    """Of every activation: the share for one example, and what the mean of the largest batch is left with."""
    wanted = ["one_sign_fraction", "sign_agreement_batch"]
    if not set(wanted) <= set(records.layers.columns):
        return []
    largest = records.runs["batch"].max()
    runs = records.runs.loc[records.runs["batch"] == largest, ["run_id", "activation"]]
    layers = records.layers[records.layers["layer"] > 1]
    rows = layers.merge(runs, on="run_id", validate="many_to_one")
    middle = rows.groupby("activation")[wanted].median()
    return [
        f"{name}: for one example {one:.3g} of the units; sign agreement of the mean of a batch of "
        f"{largest}: {of_mean:.2f}."
        for name, one, of_mean in middle.itertuples()
    ]


# W07 ------------------------------------------------------------------------------------------------------

INPUTS = ["digits(test=0.8, scale=overall)", "digits(test=0.8, scale=overall, shift=1)"]
UNITS = ["sigmoid(shift=-0.5)", "sigmoid"]
PATH = ("update_ratio", "w_norm", "displacement")  # the probes that a path's length is made of


@CLAIMS
@needs(varies=("lr",))
@rule("more than {slower:g} times the steps to a training loss of {target:g} where not centred, by seed")
def W07_slow_convergence(
    records: Records,
    *,
    inputs: list[str] = INPUTS,
    units: list[str] = UNITS,
    target: float = 0.2,
    slower: float = 1.0,
) -> Verdict:
    """Weights that can only move up or down together take longer to converge: their path zig-zags.

    Measured: Steps of plain gradient descent until the training loss is at most 0.2 nats: the same problem
    with its inputs centred and with all of them moved to be positive; and the same network with its units'
    outputs centred (σ − ½) and not (σ, the slopes being equal). Each side at the learning rate of its grid
    that gets there first.

    Nuance: At one small learning rate both take about as long. What slows it is that the mean makes the loss
    steep in one direction: the rate that this direction stands is too small for all others. Zig-zag, the
    length of the path over the distance covered, comes with a rate near that limit, centred or not.
    """
    _check_every_step(records)
    found = steps_to(records, target)
    pairs = [
        *_pairs(found, "inputs", "dataset", [_canonical(DATASETS, text) for text in inputs], "activation"),
        *_pairs(found, "units", "activation", [_canonical(ACTIVATIONS, text) for text in units], "dataset"),
    ]
    if not pairs:
        change = f"dataset: [{', '.join(inputs)}] or activation: [{', '.join(units)}]"
        raise Undecided("no two settings differ in being centred only", change)
    enough(found)
    return decide(
        [Evidence.of(pair.name, pair.ratio(), "above", slower) for pair in pairs],
        "times the steps",
        remarks=[*_mechanism(records, pairs), *dict.fromkeys(_edges(pairs))],
    )


def _canonical(table: Any, text: str) -> str:
    try:
        return table.canonical(text)
    except ValueError as error:
        raise Undecided(str(error), "the claim's inputs and units: texts that the runs have") from None


def _check_every_step(records: Records) -> None:
    steps = records.steps.sort_values(["run_id", "step"])
    if (steps.groupby("run_id")["step"].diff() > 1).any():
        raise Undecided("the loss was not watched at every step", f"watch: {records.runs['steps'].max() + 1}")


@dataclass(frozen=True)
class Pair:
    """Two settings, centred and not: their judged runs by seed, and all their runs at one learning rate."""

    name: str
    centred: pd.DataFrame
    other: pd.DataFrame
    at_one_rate: tuple[float, float]  # the smallest at which all arrive, and the median ratio of their steps

    def ratio(self) -> pd.Series:
        """Steps not centred over centred, by seed; of one that never arrives, at least what it was given."""
        steps = self.other["value"].where(np.isfinite(self.other["value"]), self.other["steps"] + 1)
        base = self.centred["value"].where(np.isfinite(self.centred["value"]) & (self.centred["value"] > 0))
        return steps / base.reindex(steps.index)


def _pairs(found: pd.DataFrame, what: str, field: str, values: Sequence[str], shared: str) -> Iterator[Pair]:
    """One for each value of `shared` that has runs of both: first the centred, then the other."""
    if len(values) != 2:
        raise Undecided(f"{', '.join(values)}: not a pair", f"{field}: two texts, the centred one first")
    for common, rows in found[found[field].isin(values)].groupby(shared):
        if rows[field].nunique() == 2:
            alike(rows, [field, "lr"], f"runs of one {field} and lr")
            best = own_best(rows, [field], larger=False)
            sides = (best[best[field] == value].set_index("seed") for value in values)
            name = f"{what} not centred ({common})"
            yield Pair(name, *sides, _at_one_rate(rows, field, values))


def _at_one_rate(rows: pd.DataFrame, field: str, values: Sequence[str]) -> tuple[float, float]:
    """The smallest learning rate at which every run of both arrives, and the median ratio of steps there."""
    centred, other = (rows[rows[field] == value].set_index(["lr", "seed"])["value"] for value in values)
    ratio = other / centred.where(centred > 0)
    arrived = (np.isfinite(ratio) & np.isfinite(centred)).groupby(level="lr").all()
    if not arrived.any():
        return np.nan, np.nan
    return float(arrived.idxmax()), float(ratio.loc[arrived.idxmax()].median())


def _mechanism(records: Records, pairs: Iterable[Pair]) -> Iterator[str]:
    """What it is that slows: the learning rates, the steps at one of them, and how straight the path is."""
    for pair in pairs:
        lr, ratio = pair.at_one_rate
        yield f"{pair.name}: best lr {rates(pair.other)} against {rates(pair.centred)}."
        yield f"{pair.name}: at lr {lr:g} for both, {ratio:.2f} times the steps."
        if set(PATH) <= set(records.layers.columns):
            longer = [np.median(_detours(records, side)) for side in (pair.other, pair.centred)]
            yield f"{pair.name}: path over distance {longer[0]:.2f} against {longer[1]:.2f}."


def _detours(records: Records, side: pd.DataFrame) -> list[float]:
    """Of each run: Σ‖step‖ up to the target, over ‖w − w₀‖ there; the weights of all layers together."""
    return [
        _detour(records.layers[records.layers["run_id"] == run.run_id], min(run.value, run.steps))
        for run in side.itertuples()
    ]


def _detour(layers: pd.DataFrame, last: float) -> float:
    moves = ((layers["update_ratio"] * layers["w_norm"]) ** 2).groupby(layers["step"]).sum()
    start = layers[layers["step"] == 0].set_index("layer")["w_norm"]
    end = layers[layers["step"] == last].set_index("layer")["displacement"]
    distance = float(np.sqrt(((start * end) ** 2).sum()))
    return float(np.sqrt(moves[moves.index < last]).sum()) / distance if distance else np.nan


def _edges(pairs: Iterable[Pair]) -> Iterator[str]:
    for pair in pairs:
        for side in (pair.centred, pair.other):
            yield from on_edges(side, ["activation", "dataset"])
