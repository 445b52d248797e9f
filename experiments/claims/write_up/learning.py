"""Claims about what is learnt: W05, W09, W10."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_end, at_start, decay, hidden
from experiments.analysis.wording import number
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.evidence import claimed, told
from experiments.claims.settings import LEARNS, alike, judged, learnt, named, on_edges, only, rates
from experiments.claims.verdict import Evidence, Undecided, Verdict, decide
from mlp.activations import ActivationName
from mlp.activations import activation as curve
from mlp.registry import Count, Positive, Share

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# W05 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs("displacement", "dw_norm", varies=("lr",))
@rule(
    "after training ‖w − w₀‖/‖w₀‖ of layer 1 is under {stays:g}; because the gradient vanishes: where it is, "
    "‖dw‖ of layer 1 is at the start under {stays:g} of the output layer's. Control: the output layer has "
    "moved by more than that"
)
def W05_weights_stay(
    records: Records, *, activation: ActivationName = "sigmoid", stays: Positive = 0.01
) -> Verdict:
    """The gradients vanish, so the weights are stuck at the values they were initialised with.

    Measured: How far the first layer's weights are from where they started after training, ‖w − w₀‖/‖w₀‖, at
    each depth and with each optimiser of the config, at the learning rate of its grid that leaves the
    smallest training loss; and, where they are stuck, whether its gradient was as small from the start beside
    the output layer's. The control: the output layer has to have moved.

    Nuance: It takes depth, and an optimiser whose step is proportional to the gradient. Adam divides by
    the gradient's size, so with the same vanishing gradients it moves the first layer as far as any other,
    though hardly anywhere useful.
    """
    chosen = only(records, activation=named(activation))
    by = ["depth", "optimiser"]
    alike(chosen.runs, [*by, "lr"], "runs of one depth, optimiser and lr")
    best = _moved(judged(chosen, "loss", by, larger=False), chosen)
    settings = [
        (f"depth {depth} with {optimiser}", rows)
        for (depth, optimiser), rows in sorted(best.groupby(by), key=lambda item: item[0], reverse=True)
    ]
    return decide(
        [e for name, rows in settings for e in _stays(name, rows, stays)],
        "‖w − w₀‖/‖w₀‖ of layer 1 after training, in the deepest network",
        condition=_stuck_where,
        remarks=[*(_accuracies(name, chosen, rows) for name, rows in settings), *on_edges(best, by)],
    )


def _stays(name: str, rows: pd.DataFrame, stays: float) -> list[Evidence]:
    """Return the evidence of one setting: how far the first layer and the output layer have moved."""
    first = Evidence.of(f"{name}: ‖w − w₀‖/‖w₀‖ of layer 1", rows["first"], "below", stays, in_logs=True)
    output = Evidence.of(
        f"{name}: ‖w − w₀‖/‖w₀‖ of the output layer", rows["output"], "above", stays, role="control"
    )
    cause = Evidence.of(
        f"{name}: ‖dw‖ of layer 1 over that of the output layer at the start", rows["gradient"], "below",
        stays, in_logs=True,
    )  # fmt: skip
    return [first, *([cause] if first.holds else []), output]


def _stuck_where(evidence: Sequence[Evidence]) -> str:
    """Say where the first layer is stuck, and whether a vanishing gradient is the reason."""
    own = claimed(evidence)
    way, cause = ([e for e in own if mark in e.setting] for mark in ("‖w − w₀‖", "‖dw‖"))
    parts = []
    for side, word in ((True, "stuck"), (False, "not stuck"), (None, "perhaps stuck")):
        some = [f"at {e.setting.partition(':')[0]}: {e.numbers}" for e in way if e.holds is side]
        parts += [f"{word} {', '.join(some)}"] if some else []
    if parts:
        parts[0] = f"layer 1 by its ‖w − w₀‖/‖w₀‖ is {parts[0]}"
    words = {True: "has vanished", False: "has not vanished", None: "may have vanished"}
    parts += [
        f"where it is stuck at {e.setting.partition(':')[0]}, its gradient {words[e.holds]} from the start: "
        f"‖dw‖ of layer 1 is {e.numbers} of the output layer's"
        for e in cause
    ]
    return "; ".join(parts)


def _moved(best: pd.DataFrame, records: Records) -> pd.DataFrame:
    """Return the judged runs with how far both layers have moved, and the ratio of their gradients."""
    depths = records.runs[["run_id", "depth"]]
    ends = at_end(records.layers, records.runs).merge(depths, on="run_id")
    starts = at_start(records.layers).merge(depths, on="run_id")
    (first, output), (of_first, of_output) = (
        [rows[rows["layer"] == at].set_index("run_id")[column] for at in (1, rows["depth"] + 1)]
        for rows, column in ((ends, "displacement"), (starts, "dw_norm"))
    )
    names, gradient = best["run_id"], of_first / of_output
    return best.assign(first=names.map(first), output=names.map(output), gradient=names.map(gradient))


def _accuracies(name: str, records: Records, rows: pd.DataFrame) -> str:
    ends = at_end(records.steps, records.runs).set_index("run_id").reindex(rows["run_id"])
    train, test = (told(ends[column]) for column in ("accuracy", "test_accuracy"))
    return f"{name}: training accuracy {train}, test accuracy {test}, at lr {rates(rows)}."


# W09 ------------------------------------------------------------------------------------------------------

REMEDIES = {"norm": "none", "residual": 0.0, "init": "xavier_normal"}  # and what a plain network has of them


@CLAIMS
@needs(varies=("activation", "lr"))
@rule(
    "test accuracy with {against} better by more than {within:g}, at every depth and with every remedy. "
    f"Control: {{against}} itself learns, by more than {LEARNS:g} in test accuracy"
)
def W09_always_avoid(
    records: Records,
    *,
    activation: ActivationName = "sigmoid",
    against: ActivationName = "relu",
    within: Share = 0.02,
) -> Verdict:
    """It is advised to always avoid sigmoid.

    Measured: Test accuracy of plain networks with ReLU less that with sigmoid, at each depth and with each
    remedy of the config: layer or batch normalisation, residual connections, larger initial weights; each
    side at the learning rate of its grid with the best test accuracy. The control: ReLU has to learn.

    Nuance: What is to be avoided is sigmoid in deep plain networks with ordinary initial weights. One or
    two hidden layers do not mind it, and batch normalisation or residual connections rescue it in deep
    ones. Layer normalisation does not: all units share a large mean, which it takes for the signal. Larger
    weights keep the gradient alive but not yet the accuracy.
    """
    by = ["activation", "depth", *REMEDIES]
    activation, against = named(activation), named(against)
    asked = only(records, activation=[activation, against])
    alike(asked.runs, [*by, "lr"], "runs of one activation, depth, remedy and lr")
    best = judged(asked, "test_accuracy", by, larger=True)
    base = _plain(best, against)
    evidence = _learns(best.assign(learnt=learnt(best, asked)), against)
    settings = best[best["activation"] == activation].groupby(["depth", *REMEDIES])
    for (depth, *remedy), rows in sorted(settings, key=lambda item: _deep_and_plain_first(item[0])):
        if depth not in base:
            raise Undecided(f"no plain {against} of depth {depth}", f"activation {against}, depth {depth}")
        gap = base[depth] - rows.set_index("seed")["value"].reindex(base[depth].index)
        name = f"{activation} at {_name(depth, remedy)}: test accuracy with {against} less its own"
        evidence.append(Evidence.of(name, gap, "above", within))
    return decide(
        evidence,
        f"test accuracy with {against} less that with {activation}, in the deepest plain network",
        condition=partial(_worse_where, against, within),
        remarks=[*_reached(best, by), *on_edges(best, by)],
    )


def _learns(best: pd.DataFrame, against: str) -> list[Evidence]:
    """Return the control: the plain networks that the others are compared with have to learn."""
    return [
        Evidence.of(
            f"{against} at depth {depth}: test accuracy gained by training",
            rows["learnt"],
            "above",
            LEARNS,
            role="control",
        )
        for depth, rows in _plain_rows(best, against).groupby("depth")
    ]


def _worse_where(against: str, within: float, evidence: Sequence[Evidence]) -> str:
    """Say where sigmoid is worse, where it is not, and by how much."""
    own = claimed(evidence)
    words = {True: f"above {within:g}", False: f"not above {within:g}", None: f"perhaps above {within:g}"}
    parts = []
    for holds, word in words.items():
        some = [f"{e.setting.partition(':')[0]}: {e.numbers}" for e in own if e.holds is holds]
        parts += [f"{word} over {', over '.join(some)}"] if some else []
    return f"{against}'s lead in test accuracy is {'; '.join(parts)}"


def _deep_and_plain_first(setting: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the evidence with the setting first where the claim is expected to hold."""
    depth, *remedy = setting
    return -depth, [value != plain for value, plain in zip(remedy, REMEDIES.values(), strict=True)]


def _plain(best: pd.DataFrame, against: str) -> dict[int, pd.Series]:
    """Return by depth and seed the accuracy of the plain networks that the others are compared with."""
    plain = _plain_rows(best, against)
    alike(plain, ["depth", "lr"], f"plain networks with {against} of one depth")
    return {depth: rows.set_index("seed")["value"] for depth, rows in plain.groupby("depth")}


def _plain_rows(best: pd.DataFrame, against: str) -> pd.DataFrame:
    is_plain = (best["norm"] == REMEDIES["norm"]) & (best["residual"] == REMEDIES["residual"])
    return best[(best["activation"] == against) & is_plain]


def _name(depth: int, remedy: Sequence[Any]) -> str:
    """Return the name of a setting, ``depth 8 with norm=layer``; what a plain network has is not named."""
    pairs = zip(REMEDIES.items(), remedy, strict=False)  # none where none were compared
    parts = [f"{field}={value}" for (field, plain), value in pairs if value != plain]
    return f"depth {depth}{' with ' if parts else ''}{' and '.join(parts)}"


def _reached(best: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """Say the accuracy of every setting and the learning rate that was its best."""
    return [
        f"{text} at {_name(depth, remedy)}: test accuracy {told(rows['value'])} at lr {rates(rows)}."
        for (text, depth, *remedy), rows in best.groupby(list(by))
    ]


# W10 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs("a_mean", "delta_norm", varies=("activation", "lr"))
@rule(
    "test accuracy above {sigmoid}'s at every depth from {shallowest} on at which either learns; hence: "
    "centring alone, at {sigmoid}'s slope, brings over half of the gain. Checks: {tanh}'s mean within "
    "{mean:g} of 0; identities within {ulp:g} ulp"
)
def W10_tanh_better(
    records: Records,
    *,
    tanh: ActivationName = "tanh",
    sigmoid: ActivationName = "sigmoid",
    centred: ActivationName = "sigmoid(shift=-0.5)",
    shallowest: Count = 3,
    mean: Positive = 0.1,
    ulp: Positive = 4.0,
) -> Verdict:
    """tanh is a scaled sigmoid, tanh(x) = 2σ(2x) − 1, but zero-centred, and hence better.

    Measured: At each depth from 3 on at which one of the two learns, tanh less sigmoid in test accuracy, each
    at the learning rate of its grid with the best. For the "hence", where tanh is better: sigmoid less ½,
    which is centred and has sigmoid's slope, less sigmoid, against half of tanh's gain. The checks: the mean
    output of tanh's hidden units at the start, and both identities, the second being tanh' = 1 − tanh², in
    units of the last digit of 1. Beside it the factor by which delta changes for each layer nearer the input.

    Nuance: Two things differ, the mean and the slope, which is four times as steep for tanh. The mean is
    what holds sigmoid back at moderate depth; in a deep network centring alone brings nothing, for the
    gradient still falls by a factor of ¼ per layer.
    """
    tanh, sigmoid, centred = named(tanh), named(sigmoid), named(centred)
    asked = only(records, activation=[tanh, sigmoid, centred])
    alike(asked.runs, ["activation", "depth", "lr"], "runs of one activation, depth and lr")
    best = judged(asked, "test_accuracy", ["activation", "depth"], larger=True)
    depths = _depths_learnt(best.assign(learnt=learnt(best, asked)), (tanh, sigmoid), shallowest)
    accuracy = _table(best, "value")
    evidence = []
    for depth in depths:
        evidence += _better_hence(accuracy, depth, (tanh, sigmoid, centred))
    return decide(
        [*evidence, *_factors(asked, depths, tanh, sigmoid),
         Evidence.of(f"size of the mean of {tanh}'s outputs", _largest_mean(asked, tanh), "below", mean,
                     role="check"),
         *_identities(tanh, sigmoid, ulp)],
        f"test accuracy with {tanh} less that with {sigmoid}, at depth {depths[0]}",
        condition=_better_where,
        remarks=[
            f"The mean of {sigmoid}'s outputs is {told(_largest_mean(asked, sigmoid))} in size.",
            *_reached(best, ["activation", "depth"]),
            *on_edges(best, ["activation", "depth"]),
        ],
    )  # fmt: skip


def _depths_learnt(best: pd.DataFrame, two: Sequence[str], shallowest: int) -> list[int]:
    """Return the depths from `shallowest` on, the greatest first, at which one of the two learns."""
    deep = best[best["depth"] >= shallowest]
    if not len(deep):
        raise Undecided(f"no network is {shallowest} layers deep", f"depth: [{shallowest}] under sweep")
    rises = deep[deep["activation"].isin(two)].groupby(["depth", "activation"])["learnt"].median()
    depths = sorted(
        {int(depth) for (depth, _), rise in rises.items() if not rise <= LEARNS}, reverse=True
    )  # of a run without a number is not known that it does not learn
    if not depths:
        raise Undecided(
            "nothing learns: where the training loss falls, the test accuracy rises by "
            f"{number(rises.max())} at most, in the median over seeds",
            "lr and steps: such that one of them learns",
        )
    return depths


def _better_hence(accuracy: pd.Series, depth: int, texts: tuple[str, str, str]) -> list[Evidence]:
    """Return the evidence at one depth: whether tanh is better than sigmoid, and whether its mean is why."""
    tanh, sigmoid, centred = texts
    whole, part = (_gain(accuracy, depth, text, sigmoid) for text in (tanh, centred))
    better = Evidence.of(
        f"depth {depth}: test accuracy with {tanh} less that with {sigmoid}", whole, "above", 0.0
    )
    if not better.holds:
        return [better]
    name = f"depth {depth}: test accuracy gained by centring alone, less half of what {tanh} gains"
    alone = f"depth {depth}: test accuracy with {centred} less that with {sigmoid}"
    return [
        better,
        Evidence.of(name, part - whole / 2, "above", 0.0),
        Evidence.of(alone, part, "above", 0.0, role="aside"),
    ]


def _better_where(evidence: Sequence[Evidence]) -> str:
    """Say by depth whether tanh is better, and whether because it is centred."""
    own = {e.setting: e for e in evidence if "test accuracy" in e.setting}
    words = {True: "", False: "not ", None: "perhaps "}
    parts = []
    for name, e in own.items():
        depth, _, what = name.partition(": ")
        if e.role == "claim" and " less that with " in what:
            told_ = f"at {depth} {words[e.holds]}better, by {e.numbers} in test accuracy"
            alone = [o for n, o in own.items() if n.startswith(f"{depth}:") and o.role == "aside"]
            cause = [o for n, o in own.items() if n.startswith(f"{depth}:") and "by centring" in n]
            for because, gain in zip(cause, alone, strict=True):
                told_ += (
                    f", and {words[because.holds]}because it is centred: centring alone brings {gain.numbers}"
                )
            parts.append(told_)
    return "; ".join(parts)


def _factors(records: Records, depths: Iterable[int], tanh: str, sigmoid: str) -> list[Evidence]:
    """Say how much less the gradient shrinks per layer with tanh at the start; it decides nothing."""
    factor = _table(_start_factors(records), "factor")
    return [
        Evidence.of(
            f"depth {depth}: factor per layer of ‖delta‖ at the start with {tanh} less that with {sigmoid}",
            _gain(factor, depth, tanh, sigmoid), "above", 0.0, role="aside",
        )
        for depth in depths
    ]  # fmt: skip


def _start_factors(records: Records) -> pd.DataFrame:
    """Return each network's factor per layer at the start, where the learning rate has had no effect yet."""
    return at_start(decay(records)).drop_duplicates(["activation", "depth", "seed"])


def _table(rows: pd.DataFrame, value: str) -> pd.Series:
    return rows.set_index(["activation", "depth", "seed"])[value]


def _gain(table: pd.Series, depth: int, text: str, against: str) -> pd.Series:
    """Return by seed how much larger a value is with one activation than with another."""
    one, other = (_of(table, name, depth) for name in (text, against))
    return one - other.reindex(one.index)


def _of(table: pd.Series, text: str, depth: int) -> pd.Series:
    keys = (table.index.get_level_values(name) for name in ("activation", "depth"))
    there = np.logical_and(*(key == wanted for key, wanted in zip(keys, (text, depth), strict=True)))
    if not there.any():
        raise Undecided(f"nothing of {text} at depth {depth}", "activation and depth: under sweep")
    return table[there].droplevel(["activation", "depth"])


def _largest_mean(records: Records, text: str) -> pd.Series:
    """Return by seed the size of the mean output at the start, in the layer where it is farthest from 0."""
    runs = records.runs[records.runs["activation"] == text]
    layers = at_start(hidden(records.layers[records.layers["run_id"].isin(runs["run_id"])], runs))
    seeds = layers["run_id"].map(runs.set_index("run_id")["seed"])
    return layers["a_mean"].abs().groupby(seeds).agg(lambda each: each.max(skipna=False))


def _identities(tanh: str, sigmoid: str, ulp: float) -> Iterable[Evidence]:
    x, eps = np.linspace(-20, 20, 400_001), np.finfo(float).eps
    t, s = curve(tanh), curve(sigmoid)
    a = t.f(x)
    errors = {
        f"largest error of {tanh}(x) = 2{sigmoid}(2x) − 1": abs(a - (2 * s.f(2 * x) - 1)).max() / eps,
        f"largest error of {tanh}' = 1 − {tanh}²": abs(t.df(x, a) - (1 - a * a)).max() / eps,
    }
    return [
        Evidence.single(
            name, error, x.size, ulp, bool(error < ulp), role="check", side="below", unit="ulp of 1"
        )
        for name, error in errors.items()
    ]
