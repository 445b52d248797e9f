"""Claims about what is learnt: W05, W09, W10."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_end, at_start, decay, hidden
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.settings import alike, judged, on_edges, only, rates
from experiments.claims.verdict import Evidence, Undecided, Verdict, decide
from mlp.activations import activation as curve

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# W05 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs("displacement", varies=("lr",))
@rule("after training ‖w − w₀‖/‖w₀‖ is under {stays:g} in layer 1 and over it in the output layer")
def W05_weights_stay(records: Records, *, activation: str = "sigmoid", stays: float = 0.01) -> Verdict:
    """The gradients vanish, so the weights are stuck at the values they were initialised with.

    Measured: How far the first layer's weights are from where they started after training, ‖w − w₀‖/‖w₀‖,
    beside the output layer's, at each depth and with each optimiser of the config, at the learning rate of
    its grid that leaves the smallest training loss; and the accuracy reached.

    Nuance: It takes depth, and an optimiser whose step is proportional to the gradient. Adam divides by
    the gradient's size, so with the same vanishing gradients it moves the first layer as far as any other,
    though hardly anywhere useful.
    """
    chosen = only(records, activation=activation)
    by = ["depth", "optimiser"]
    alike(chosen.runs, [*by, "lr"], "runs of one depth, optimiser and lr")
    best = _moved(judged(chosen, "loss", by, larger=False), chosen)
    still = best[best["output"] < stays]
    if len(still):
        where = f"depth {still['depth'].iloc[0]} with {still['optimiser'].iloc[0]}"
        raise Undecided(f"{where}: the output layer, too, moved by less than {stays:g}", "steps or lr: more")
    settings = [
        (f"depth {depth} with {optimiser}", rows)
        for (depth, optimiser), rows in sorted(best.groupby(by), key=lambda item: item[0], reverse=True)
    ]
    return decide(
        [Evidence.of(name, rows["first"], "below", stays) for name, rows in settings],
        "‖w − w₀‖/‖w₀‖",
        remarks=[*(_accuracies(name, chosen, rows) for name, rows in settings), *on_edges(best, by)],
    )


def _moved(best: pd.DataFrame, records: Records) -> pd.DataFrame:
    """The judged runs with how far the first and the output layer have come."""
    ends = at_end(records.layers, records.runs).merge(records.runs[["run_id", "depth"]], on="run_id")
    first, output = (
        ends[ends["layer"] == layer].set_index("run_id")["displacement"] for layer in (1, ends["depth"] + 1)
    )
    return best.assign(first=best["run_id"].map(first), output=best["run_id"].map(output))


def _accuracies(name: str, records: Records, rows: pd.DataFrame) -> str:
    ends = at_end(records.steps, records.runs).set_index("run_id").reindex(rows["run_id"])
    train, test = (ends[column].median() for column in ("accuracy", "test_accuracy"))
    return f"{name}: training accuracy {train:.2f}, test accuracy {test:.2f} at lr {rates(rows)}."


# W09 ------------------------------------------------------------------------------------------------------

REMEDIES = {"norm": "none", "residual": 0.0, "init": "xavier_normal"}  # and what a plain network has of them


@CLAIMS
@needs(varies=("activation", "lr"))
@rule("test accuracy with {against} better by more than {within:g}, at every depth and with every remedy")
def W09_always_avoid(
    records: Records, *, activation: str = "sigmoid", against: str = "relu", within: float = 0.02
) -> Verdict:
    """It is advised to always avoid sigmoid.

    Measured: Test accuracy of plain networks with ReLU less that with sigmoid, at each depth and with each
    remedy of the config: layer or batch normalisation, residual connections, larger initial weights; each
    side at the learning rate of its grid with the best test accuracy.

    Nuance: What is to be avoided is sigmoid in deep plain networks with ordinary initial weights. One or
    two hidden layers do not mind it, and batch normalisation or residual connections rescue it in deep
    ones. Layer normalisation does not: all units share a large mean, which it takes for the signal. Larger
    weights keep the gradient alive but not yet the accuracy.
    """
    by = ["activation", "depth", *REMEDIES]
    asked = only(records, activation=[activation, against])
    alike(asked.runs, [*by, "lr"], "runs of one activation, depth, remedy and lr")
    best = judged(asked, "test_accuracy", by, larger=True)
    base = _plain(best, against)
    evidence = []
    settings = best[best["activation"] == activation].groupby(["depth", *REMEDIES])
    for (depth, *remedy), rows in sorted(settings, key=lambda item: _deep_and_plain_first(item[0])):
        if depth not in base:
            raise Undecided(f"no plain {against} of depth {depth}", f"activation {against}, depth {depth}")
        gap = base[depth] - rows.set_index("seed")["value"].reindex(base[depth].index)
        evidence.append(Evidence.of(_name(depth, remedy), gap, "above", within))
    return decide(
        evidence,
        "accuracy",
        remarks=[*_reached(best, by), *on_edges(best, by)],
    )


def _deep_and_plain_first(setting: tuple[Any, ...]) -> tuple[Any, ...]:
    """Where the claim is expected to hold leads the evidence."""
    depth, *remedy = setting
    return -depth, [value != plain for value, plain in zip(remedy, REMEDIES.values(), strict=True)]


def _plain(best: pd.DataFrame, against: str) -> dict[int, pd.Series]:
    """By depth, the accuracy by seed of the plain networks that the others are held against."""
    is_plain = (best["norm"] == REMEDIES["norm"]) & (best["residual"] == REMEDIES["residual"])
    plain = best[(best["activation"] == against) & is_plain]
    alike(plain, ["depth", "lr"], f"plain networks with {against} of one depth")
    return {depth: rows.set_index("seed")["value"] for depth, rows in plain.groupby("depth")}


def _name(depth: int, remedy: Sequence[Any]) -> str:
    """``depth 8 with norm=layer``; what a plain network has goes without saying."""
    pairs = zip(REMEDIES.items(), remedy, strict=False)  # none where none were compared
    parts = [f"{field}={value}" for (field, plain), value in pairs if value != plain]
    return f"depth {depth}{' with ' if parts else ''}{' and '.join(parts)}"


def _reached(best: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """The accuracy of every setting and the learning rate that was its best."""
    return [
        f"{text} at {_name(depth, remedy)}: test accuracy {rows['value'].median():.3f} at lr {rates(rows)}."
        for (text, depth, *remedy), rows in best.groupby(list(by))
    ]


# W10 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs("a_mean", "delta_norm", varies=("activation", "lr"))
@rule(
    "better at every depth from {shallowest} on; over {most:g} of the advantage by centring alone where it "
    "is over {clear:g}; mean within {mean:g} of 0; identities within {ulp:g} ulp"
)
def W10_tanh_better(
    records: Records,
    *,
    tanh: str = "tanh",
    sigmoid: str = "sigmoid",
    centred: str = "sigmoid(shift=-0.5)",
    shallowest: int = 3,
    clear: float = 0.1,
    most: float = 0.5,
    mean: float = 0.1,
    ulp: float = 4.0,
) -> Verdict:
    """tanh is a scaled sigmoid, tanh(x) = 2σ(2x) − 1, but zero-centred, and hence better.

    Measured: At each depth from 3 on, tanh less sigmoid in test accuracy, each at the learning rate of its
    grid with the best, and in the factor by which delta changes for each layer nearer the input at the
    start. For the "hence" a control: sigmoid less ½, which is centred and has sigmoid's slope, and how
    much of tanh's advantage that brings. The mean output of tanh's hidden units at the start. Both
    identities, the second being tanh' = 1 − tanh², in units of the last digit of 1.

    Nuance: Two things differ, the mean and the slope, which is four times as steep for tanh. The mean is
    what holds sigmoid back at moderate depth; in a deep network centring alone brings nothing, for the
    gradient still falls by a factor of ¼ a layer.
    """
    asked = only(records, activation=[tanh, sigmoid, centred])
    alike(asked.runs, ["activation", "depth", "lr"], "runs of one activation, depth and lr")
    depths = sorted({depth for depth in asked.runs["depth"] if depth >= shallowest}, reverse=True)
    if not depths:
        raise Undecided(f"no network is {shallowest} layers deep", f"depth: [{shallowest}] under sweep")
    best = judged(asked, "test_accuracy", ["activation", "depth"], larger=True)
    accuracy, factor = _table(best, "value"), _table(_start_factors(asked), "factor")
    better = [
        Evidence.of(f"{what} at depth {depth}", _gain(table, depth, tanh, sigmoid), "above", 0.0)
        for what, table in (("test accuracy", accuracy), ("factor a layer", factor))
        for depth in depths
    ]
    hence = [
        Evidence.of(f"share by centring alone at depth {depth}", part / whole, "above", most)
        for depth in depths
        for whole, part in [(_gain(accuracy, depth, text, sigmoid) for text in (tanh, centred))]
        if (whole > clear).all()
    ]
    means = {text: _largest_mean(asked, text) for text in (tanh, sigmoid)}
    centre = Evidence.of(f"size of {tanh}'s mean", means[tanh], "below", mean)
    return decide(
        [*better, *hence, centre, *_identities(tanh, sigmoid, ulp)],
        "accuracy",
        remarks=[
            f"Size of {sigmoid}'s mean: {means[sigmoid].median():.2f}.",
            *_reached(best, ["activation", "depth"]),
            *on_edges(best, ["activation", "depth"]),
        ],
    )


def _start_factors(records: Records) -> pd.DataFrame:
    """The factor a layer of every network at the start, where the learning rate has had no effect yet."""
    return at_start(decay(records)).drop_duplicates(["activation", "depth", "seed"])


def _table(rows: pd.DataFrame, value: str) -> pd.Series:
    return rows.set_index(["activation", "depth", "seed"])[value]


def _gain(table: pd.Series, depth: int, text: str, against: str) -> pd.Series:
    """By seed, how much larger a value is with one activation than with another."""
    one, other = (_of(table, name, depth) for name in (text, against))
    return one - other.reindex(one.index)


def _of(table: pd.Series, text: str, depth: int) -> pd.Series:
    keys = (table.index.get_level_values(name) for name in ("activation", "depth"))
    there = np.logical_and(*(key == wanted for key, wanted in zip(keys, (text, depth), strict=True)))
    if not there.any():
        raise Undecided(f"nothing of {text} at depth {depth}", "activation and depth: under sweep")
    return table[there].droplevel(["activation", "depth"])


def _largest_mean(records: Records, text: str) -> pd.Series:
    """By seed, the size of the mean output at the start in the layer where it is farthest from 0."""
    runs = records.runs[records.runs["activation"] == text]
    layers = at_start(hidden(records.layers[records.layers["run_id"].isin(runs["run_id"])], runs))
    seeds = layers["run_id"].map(runs.set_index("run_id")["seed"])
    return layers["a_mean"].abs().groupby(seeds).agg(lambda each: each.max(skipna=False))


def _identities(tanh: str, sigmoid: str, ulp: float) -> Iterable[Evidence]:
    x, eps = np.linspace(-20, 20, 400_001), np.finfo(float).eps
    t, s = curve(tanh), curve(sigmoid)
    a = t.f(x)
    errors = {
        f"{tanh}(x) = 2{sigmoid}(2x) − 1": abs(a - (2 * s.f(2 * x) - 1)).max() / eps,
        f"{tanh}' = 1 − {tanh}²": abs(t.df(x, a) - (1 - a * a)).max() / eps,
    }
    return [Evidence.single(name, error, x.size, ulp, bool(error < ulp)) for name, error in errors.items()]
