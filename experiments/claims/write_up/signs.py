"""Claims about activations whose outputs are all positive: W06, W07."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from experiments.analysis.selection import own_best, steps_to
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.evidence import claimed, told
from experiments.claims.settings import alike, by_seed, enough, named, on_edges, only, rates
from experiments.claims.verdict import Evidence, Undecided, Verdict, decide
from experiments.datasets import DATASETS, DatasetName
from mlp.activations import ActivationName
from mlp.registry import Positive, Share, call_text, parse_call

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# W06 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs("one_sign_fraction", "one_sign_fraction_batch", varies=("activation",))
@rule(
    "share of units with gradients of one sign exactly 1 with {activation}, for one example and for the mean "
    "of a batch. Control: under {rare:g} with {control}"
)
def W06_one_sign(
    records: Records,
    *,
    activation: ActivationName = "sigmoid",
    control: ActivationName = "tanh",
    rare: Share = 0.01,
) -> Verdict:
    """Sigmoid's outputs are all positive, so the gradients of all weights into a unit have the same sign.

    Measured: The share of units whose incoming weight gradients all have one sign, in the layer fed by the
    activation where it is smallest: for single examples, and for the mean over the training batch, at each
    batch size. The control: the same for single examples with tanh, in the layer where it is largest.

    Nuance: It is a law for one example only. The examples of a batch push a unit's weights up and down by
    different amounts, and their mean has weights of both signs: what is left is a bias, which the sign
    agreement |n₊ − n₋|/n measures. And ReLU's outputs are never negative either: the law holds just as well
    for the activation that is recommended in sigmoid's place.
    """
    each, mean = "one_sign_fraction", "one_sign_fraction_batch"
    activation, control = named(activation), named(control)
    mine, theirs = (only(records, activation=text) for text in (activation, control))
    for part in (mine, theirs):
        alike(part.runs, ["batch"], "runs of one activation and batch")
    unit, rows = "of the units", _fed(mine, mean, "min")
    evidence = [
        Evidence.exact(
            f"{activation}: units with gradients of one sign, one example",
            by_seed(_fed(mine, each, "min"), "value", "min", mine.runs), 1.0, unit=unit,
        ),
        *(
            Evidence.exact(
                f"{activation}: units with gradients of one sign, the mean of a batch of {batch}",
                by_seed(of_batch, "value", "min", of_batch), 1.0, unit=unit,
            )
            for batch, of_batch in rows[rows["batch"] > 1].groupby("batch")
        ),
        Evidence.of(
            f"{control}: units with gradients of one sign, one example",
            by_seed(_fed(theirs, each, "max"), "value", "max", theirs.runs), "below", rare,
            role="control", unit=unit,
        ),
    ]  # fmt: skip
    return decide(
        evidence,
        "share of units with gradients of one sign, for one example",
        condition=_for_one_example,
        remarks=_agreement(records),
    )


def _for_one_example(evidence: Sequence[Evidence]) -> str:
    """Say where the gradients have one sign; with an empty text the settings are listed instead."""
    single, *batches = claimed(evidence)
    if not (single.holds and batches and all(e.holds is False for e in batches)):
        return ""
    shares = ", ".join(f"{e.numbers} for {e.setting.partition(', ')[2]}" for e in batches)
    return f"holds for one example; the share of units with gradients of one sign is {shares}"


def _fed(records: Records, column: str, how: str) -> pd.DataFrame:
    """Return every run with `value`, a column's least (or greatest) over layers fed by the activation."""
    layers = records.layers[records.layers["layer"] > 1]
    if not len(layers):
        raise Undecided("no layer is fed by the activation", "depth: 1 or more")
    found = layers.groupby("run_id")[column].agg(lambda each: getattr(each, how)(skipna=False))
    return records.runs.merge(found.rename("value"), on="run_id", how="left", validate="one_to_one")


def _agreement(records: Records) -> list[str]:
    """Say for every activation the share for one example, and the agreement in the largest batch."""
    wanted = ["one_sign_fraction", "sign_agreement_batch"]
    if not set(wanted) <= set(records.layers.columns):
        return []
    largest = records.runs["batch"].max()
    runs = records.runs.loc[records.runs["batch"] == largest, ["run_id", "activation"]]
    layers = records.layers[records.layers["layer"] > 1]
    by_run = layers.groupby("run_id")[wanted].median()
    rows = runs.merge(by_run, on="run_id", validate="one_to_one")
    return [
        f"{name}: for one example a share of {told(each['one_sign_fraction'])} of the units has gradients of "
        f"one sign; in the mean of a batch of {largest} the sign agreement is "
        f"{told(each['sign_agreement_batch'])}."
        for name, each in rows.groupby("activation")
    ]


# W07 ------------------------------------------------------------------------------------------------------

INPUTS = ["digits(test=0.8, scale=overall)", "digits(test=0.8, scale=overall, shift=1)"]
UNITS = ["sigmoid(shift=-0.5)", "sigmoid"]
PATH = ("update_ratio", "w_norm", "displacement")  # the probes that a path's length is made of
Detour = Callable[[str, float], float]  # (run_id, step) -> the path's length up to there over the distance


@CLAIMS
@needs(*PATH, varies=("lr",))
@rule(
    "more than {slower:g} times the steps to a training loss of {target:g} where not centred, by seed; "
    "because of the one sign: with inputs shifted in turn, over half of the extra steps go; by a zig-zag: "
    "the path over its distance is longer than where centred"
)
def W07_slow_convergence(
    records: Records,
    *,
    inputs: list[DatasetName] = INPUTS,
    units: list[ActivationName] = UNITS,
    target: Positive = 0.2,
    slower: Positive = 1.0,
) -> Verdict:
    """Weights that can only move up or down together take longer to converge: their path zig-zags.

    Measured: Steps of plain gradient descent until the training loss is at most 0.2 nats: the same problem
    with its inputs centred and with all of them moved to be positive; and the same network with its units'
    outputs centred (σ − ½) and not (σ, the slopes being equal). Each side at the learning rate of its grid
    that gets there first. Then, where it does take longer, the cause. Is it the one sign? The inputs are
    moved by as much, but every second one the other way, so that no gradients are bound to one sign: the
    share of the extra steps that this saves. Is it a zig-zag? The length of the path to the target over the
    distance covered, not centred over centred.

    Nuance: What slows it is the mean: it makes the loss steep in one direction, and the rate that this
    direction stands is too small for all others. Its sign does not matter: to turn an input around turns its
    weights around, and nothing else. At one small learning rate all of them take about as long.
    """
    _check_every_step(records)
    found = steps_to(records, target)
    pairs = [
        *_pairs(found, "inputs", "dataset", inputs, "activation"),
        *_pairs(found, "units", "activation", units, "dataset"),
    ]
    if not pairs:
        change = f"dataset: [{', '.join(inputs)}] or activation: [{', '.join(units)}]"
        raise Undecided("no two settings differ in being centred only", change)
    enough(found)
    _check_arrival(pairs, target)
    slow = [Evidence.of(pair.name, pair.ratio(), "above", slower, in_logs=True) for pair in pairs]
    evidence, detour = [*slow], _detour_of(records.layers)
    for pair, e in zip(pairs, slow, strict=True):
        if e.holds:
            evidence += _causes(detour, found, pair, _in_turn(inputs[-1]))
    return decide(
        evidence,
        "times the steps that the centred one takes",
        condition=_what_does_it,
        remarks=[*_mechanism(detour, pairs), *dict.fromkeys(_edges(pairs))],
    )


def _check_every_step(records: Records) -> None:
    steps = records.steps.sort_values(["run_id", "step"])
    if (steps.groupby("run_id")["step"].diff() > 1).any():
        raise Undecided("the loss was not watched at every step", f"watch: {records.runs['steps'].max() + 1}")


def _check_arrival(pairs: Iterable[Pair], target: float) -> None:
    """Check that the centred side reaches the target, since the other's steps are compared with its own."""
    for pair in pairs:
        late = ~np.isfinite(pair.centred["value"])
        if late.any():
            reason = (
                f"{pair.name}: {late.sum()} of the {len(late)} centred runs never reach a training loss of "
                f"{target:g}, so there is nothing to compare with"
            )
            raise Undecided(reason, "steps: more, or lr: others")


@dataclass(frozen=True)
class Pair:
    """Two settings, one centred: their judged runs by seed, and their ratio of steps at one learning rate."""

    what: str
    shared: str
    centred: pd.DataFrame
    other: pd.DataFrame
    at_one_rate: tuple[float, pd.Series]  # the smallest lr at which all arrive; the ratios of steps by seed

    @property
    def name(self) -> str:
        """``inputs not centred (tanh): steps over those of the centred``."""
        return f"{self.what} not centred ({self.shared}): steps over those of the centred"

    def ratio(self) -> pd.Series:
        """Return the steps not centred over those centred, by seed."""
        return steps_taken(self.other) / steps_taken(self.centred)


def steps_taken(side: pd.DataFrame) -> pd.Series:
    """Return the steps to the target by seed; for a run that never arrives, all steps that it made."""
    value = side["value"]
    return value.where(np.isfinite(value), side["steps"] + 1).where(value > 0)


def _pairs(found: pd.DataFrame, what: str, field: str, values: Sequence[str], shared: str) -> Iterator[Pair]:
    """Yield a pair for each value of `shared` that has runs of both settings."""
    if len(values) != 2:
        raise Undecided(f"{', '.join(values)}: not a pair", f"{field}: two texts, the centred one first")
    for common, rows in found[found[field].isin(values)].groupby(shared):
        if rows[field].nunique() == 2:
            alike(rows, [field, "lr"], f"runs of one {field} and lr")
            sides = (_judged(rows, field, value) for value in values)
            yield Pair(what, str(common), *sides, _at_one_rate(rows, field, values))


def _judged(rows: pd.DataFrame, field: str, value: str) -> pd.DataFrame:
    """Return the runs of one setting at its own best learning rate, by seed."""
    return own_best(rows[rows[field] == value], [field], larger=False).set_index("seed").sort_index()


def _at_one_rate(rows: pd.DataFrame, field: str, values: Sequence[str]) -> tuple[float, pd.Series]:
    """Return the smallest learning rate at which every run of both arrives, and the ratios of steps there."""
    centred, other = (rows[rows[field] == value].set_index(["lr", "seed"])["value"] for value in values)
    ratio = other / centred.where(centred > 0)
    arrived = (np.isfinite(ratio) & np.isfinite(centred)).groupby(level="lr").all()
    if not arrived.any():
        return np.nan, ratio.iloc[:0]
    return float(arrived.idxmax()), ratio.loc[arrived.idxmax()]


def _in_turn(text: str) -> str:
    """Return the same data set with every second input shifted the other way."""
    name, options = parse_call(text)
    return str(DATASETS.canonical(call_text(name, options | {"alternate": True})))


def _causes(detour: Detour, found: pd.DataFrame, pair: Pair, mixed: str) -> list[Evidence]:
    """Return the evidence for a pair that differs: the share of the one sign, and of a zig-zag path."""
    longer = np.divide(*(_detours(detour, side) for side in (pair.other, pair.centred)))
    name = f"{pair.what} not centred ({pair.shared})"
    zigzag = Evidence.of(
        f"{name}: path over distance, relative to the centred", longer, "above", 1.0, in_logs=True
    )
    if pair.what != "inputs":
        return [zigzag]
    rows = found[(found["dataset"] == mixed) & (found["activation"] == pair.shared)]
    if not len(rows):
        change = f"dataset: add {mixed} to the sweep"
        raise Undecided("no run has inputs that are shifted in turn, so the cause cannot be told", change)
    alike(rows, ["lr"], "runs with inputs shifted in turn")
    in_turn = _judged(rows, "dataset", mixed)
    steps, other, base = (steps_taken(side) for side in (in_turn, pair.other, pair.centred))
    return [
        Evidence.of(
            f"{name}: share of the extra steps that go where every second input is shifted the other way",
            (other - steps) / (other - base), "above", 0.5,
        ),
        zigzag,
        Evidence.of(
            f"inputs shifted in turn ({pair.shared}): steps over those of the centred", steps / base, "above",
            1.0, role="aside", in_logs=True,
        ),
    ]  # fmt: skip


def _what_does_it(evidence: Sequence[Evidence]) -> str:
    """Say whether it takes longer and why, as far as the evidence says so."""
    own = claimed(evidence)
    slow = [e for e in own if "steps over" in e.setting]
    if not all(e.holds for e in slow):
        return ""
    parts = [f"it takes {e.numbers} times the steps with {e.setting.partition(':')[0]}" for e in slow]
    in_turn = [e for e in evidence if e.role == "aside"]
    for e in own:
        word = "" if e.holds else "not " if e.holds is False else "perhaps "
        if "share of the extra steps" in e.setting:
            parts += [
                f"{word}because of the one sign: with every second input shifted the other way it takes "
                f"{other.numbers} times the steps that the centred one takes"
                for other in in_turn
            ]
        elif "path" in e.setting:
            parts.append(
                f"{word}by a zig-zag with {e.setting.partition(':')[0]}: path over distance is {e.numbers} "
                "times that of the centred one"
            )
    refuted = any("share of the extra" in e.setting and e.holds is False for e in own)
    if refuted and all(e.holds for e in in_turn):
        parts.append("so what slows it is the inputs' mean, whatever its sign")
    return "; ".join(parts)


def _mechanism(detour: Detour, pairs: Iterable[Pair]) -> Iterator[str]:
    """Say the learning rates, the steps at one of them, and how straight the path is."""
    for pair in pairs:
        name, (lr, ratio) = f"{pair.what} not centred ({pair.shared})", pair.at_one_rate
        yield f"{name}: the best lr is {rates(pair.other)}, of the centred {rates(pair.centred)}."
        if len(ratio):
            yield f"{name}: at lr {lr:g} for both, it takes {told(ratio)} times the steps of the centred."
        yield (
            f"{name}: path over distance is {told(_detours(detour, pair.other))}, of the centred "
            f"{told(_detours(detour, pair.centred))}."
        )


def _detours(detour: Detour, side: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return for each run Σ‖step‖ up to the target over ‖w − w₀‖ there, over the weights of all layers."""
    return np.array([detour(run.run_id, min(run.value, run.steps)) for run in side.itertuples()])


def _detour_of(layers: pd.DataFrame) -> Detour:
    """Return what measures the detour of a run up to a step; a run is of several pairs and measured once."""
    of_run = dict(iter(layers.groupby("run_id")))

    @cache
    def detour(run_id: str, last: float) -> float:
        rows = of_run.get(run_id, layers.iloc[:0])
        moves = ((rows["update_ratio"] * rows["w_norm"]) ** 2).groupby(rows["step"]).sum()
        start = rows[rows["step"] == 0].set_index("layer")["w_norm"]
        end = rows[rows["step"] == last].set_index("layer")["displacement"]
        distance = float(np.sqrt(((start * end) ** 2).sum()))
        return float(np.sqrt(moves[moves.index < last]).sum()) / distance if distance else np.nan

    return detour


def _edges(pairs: Iterable[Pair]) -> Iterator[str]:
    for pair in pairs:
        for side in (pair.centred, pair.other):
            yield from on_edges(side, ["activation", "dataset"])
