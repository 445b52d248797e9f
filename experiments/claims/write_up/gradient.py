"""Claims about the gradient on its way to the input: W04, W11."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.ratios import at_start, decay
from experiments.analysis.wording import number
from experiments.claims.comparison import ERRORS
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.evidence import claimed, told
from experiments.claims.settings import (
    alike,
    by_seed,
    deepest,
    named,
    only,
    start_ratios,
    trained,
    weight_and_bias,
)
from experiments.claims.verdict import FEWEST_SEEDS, Evidence, Role, Side, Undecided, Verdict, decide
from mlp.activations import ActivationName
from mlp.activations import activation as curve
from mlp.initialisers import weight_mean
from mlp.registry import Count, Positive, Share

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

CONTROLS = ["tanh", "relu"]
SHALLOW = 5  # hidden layers from which on a factor per layer is that of a typical layer
FEW_DEEP = 10  # hidden layers from which on "a deep network" is meant
OFF = (
    0.15  # how far theory's factor per layer may be off: it is that of wide networks; a bug is a factor of 2
)
MOST_SCATTER = 0.5  # sd of the log ratio up to which first-order theory is believed
SIGNALS = ("delta_norm", "delta_log10", "dw_norm", "dw_log10", "z_rms")  # the probes that both claims read


# W04 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs(*SIGNALS, varies=("activation",))
@rule(
    lambda controls, quarter, lost, **_: (
        f"factor per layer of ‖delta‖ below {quarter:g} at the start, of ‖delta‖ and ‖dw‖ below 1 throughout "
        f"training; first over last ‖delta‖ below {lost:g} in the deepest network. Control: with "
        f"{' and '.join(controls)} it is above that. Check: theory's factor per layer within {OFF:.0%}"
    )
)
def W04_gradient_shrinks(
    records: Records,
    *,
    activation: ActivationName = "sigmoid",
    controls: list[ActivationName] = CONTROLS,
    quarter: Share = 0.25,
    lost: Share = 1e-3,
) -> Verdict:
    """Each sigmoid layer shrinks the gradient to 25 % or less: a deep net's shallow layers get almost none.

    Measured: The factor by which ‖delta‖ and ‖dw‖ change for each hidden layer nearer the input, fitted by
    least squares of the log, with each initialiser of the config: of ‖delta‖ at the start, at the depth from
    5 on at which it is largest; of both at the depth from 5 on and watched step of training at which they are
    largest; and the first over the last hidden layer's ‖delta‖ in the deepest network, with the controls'
    beside it. The instrument is checked by mean-field theory's factor.

    Nuance: The factor is that of σ' and of the weights together: under Xavier's initialisation 0.236, by
    coincidence close to ¼. Larger weights make it larger, up to 1 and beyond: a quarter is σ's largest slope,
    which is neither a bound on the product nor its rate.
    """
    mine, others = _asked(records, [activation]), _asked(records, controls)
    trained(mine.runs)
    factors = {signal: decay(mine, signal) for signal in ("delta_norm", "dw_norm")}
    evidence = [
        *_quarter(mine, factors, quarter), *_through_training(mine, factors), *_ends(mine, "below", lost),
        *_ends(others, "above", lost, "control"), *_agreements(mine), *_agreements(others),
    ]  # fmt: skip
    return decide(
        evidence,
        "factor per layer of ‖delta‖ at the start",
        condition=_by_weights,
        remarks=_rates(mine, factors),
        setting_of=_init_of,
    )


def _asked(records: Records, texts: list[str]) -> Records:
    """Return the runs with these activations; undecided unless only init and depth differ, some deep."""
    found = only(records, activation=[named(text) for text in texts])
    alike(found.runs, ["activation", "init", "depth"], "activation, init and depth")
    if found.runs["depth"].max() < FEW_DEEP:
        raise Undecided(f"no network has {FEW_DEEP} layers", f"depth: [{FEW_DEEP}] under sweep")
    if found.runs["depth"].min() < 2:
        raise Undecided("one layer has no factor from layer to layer", "depth: 2 or more")
    return found


def _init_of(e: Evidence) -> str:
    """Return the initialiser that a piece of evidence is about."""
    return e.setting.partition(":")[0]


def _by_init(records: Records) -> Iterable[tuple[str, pd.DataFrame]]:
    """Yield the initialisers in the order of the runs, each with its runs."""
    return records.runs.groupby("init", sort=False)


def _quarter(records: Records, factors: Mapping[str, pd.DataFrame], quarter: float) -> list[Evidence]:
    """Return for each init, by seed, the factor of ‖delta‖ at the start, at the depth where it is largest."""
    rows = at_start(factors["delta_norm"])
    return _at_worst(records, rows[rows["depth"] >= SHALLOW], "‖delta‖ at the start", "below", quarter)


def _at_worst(records: Records, factors: pd.DataFrame, name: str, side: Side, bound: float) -> list[Evidence]:
    """Return for each init, by seed, the factor per layer at the depth that speaks most against the claim."""
    worst = "max" if side == "below" else "min"
    return [
        Evidence.of(
            f"{init}: factor per layer of {name}, at the worst depth",
            by_seed(factors[factors["init"] == init], "factor", worst, _at_start_alone(runs)),
            side, bound, in_logs=True,
        )
        for init, runs in _by_init(records)
    ]  # fmt: skip


def _at_start_alone(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs as if none had diverged: what became of them later does not matter for step 0."""
    return runs.assign(status="ok")


def _through_training(records: Records, factors: Mapping[str, pd.DataFrame]) -> list[Evidence]:
    """Return for each init and signal, by seed, the largest factor over depths from 5 on and all steps."""
    found = []
    for signal, name in (("delta_norm", "‖delta‖"), ("dw_norm", "‖dw‖")):
        rows = factors[signal][factors[signal]["depth"] >= SHALLOW]
        for init, runs in _by_init(records):
            largest = by_seed(rows[rows["init"] == init], "factor", "max", runs)
            text = f"{init}: factor per layer of {name}, the largest of all depths and steps"
            found.append(Evidence.of(text, largest, "below", 1.0, in_logs=True))
    return found


def _ends(records: Records, side: Side, bound: float, role: Role = "claim") -> list[Evidence]:
    """Return first over last ‖delta‖ at the start in the deepest networks, for each activation and init."""
    ratios, depth = deepest(start_ratios(records)), records.runs["depth"].max()
    settings = records.runs[records.runs["depth"] == depth].groupby(["activation", "init"], sort=False)
    return [
        Evidence.of(
            f"{init}: ‖delta‖ of the first over that of the last of {depth} hidden layers, {text}",
            by_seed(_of(ratios, text, init), "ratio", "max", _at_start_alone(runs)),
            side, bound, role=role, in_logs=True,
        )
        for (text, init), runs in settings
    ]  # fmt: skip


def _of(rows: pd.DataFrame, text: str, init: str) -> pd.DataFrame:
    return rows[(rows["activation"] == text) & (rows["init"] == init)]


# Theory ---------------------------------------------------------------------------------------------------


def _agreements(records: Records) -> list[Evidence]:
    """Return how far theory's factor per layer is from ours in the deepest networks, by activation and init.

    Ours is that of the mean log ratio over seeds, with three of its standard errors to either side. Only for
    plain networks with weights of mean 0, and where the log of one network's ratio is expected to scatter by
    less than ½: theory is that of wide networks, to first order in depth over width.
    """
    found = []
    plain = records.of(_plain(records.runs))
    for (text, init), rows in _log_ratios(plain).groupby(["activation", "init"], sort=False):
        depths = [each for _, each in rows.groupby("depth") if each["depth"].iloc[0] > 1]
        usable = [each for each in depths if _expected(each)[1] < MOST_SCATTER]
        if usable:
            found.append(_agreement(f"{text}, {init}", usable[-1]))
    return found


def _plain(runs: pd.DataFrame) -> pd.Series:
    """Return the runs that the theory is about."""
    is_plain = (runs["norm"] == "none") & (runs["residual"] == 0)
    centred = [not weight_mean(run.init, int(run.width), int(run.width)) for run in runs.itertuples()]
    return runs.loc[is_plain & np.array(centred, bool), "run_id"]


def _agreement(name: str, rows: pd.DataFrame) -> Evidence:
    depth, n = int(rows["depth"].iloc[0]), len(rows)
    logs = (rows["log"] - _expected(rows)[0]) / (depth - 1)
    error = ERRORS * logs.std() / np.sqrt(n) if n > 1 else np.nan
    away = np.expm1([abs(logs.mean()), max(0.0, abs(logs.mean()) - error), abs(logs.mean()) + error])
    missing = int(logs.isna().sum())
    made = Evidence(
        f"{name}: theory's factor per layer of ‖delta‖ against ours at depth {depth}, relative difference",
        *(float(each) for each in away), n - missing, OFF, bool(away[0] < OFF), role="check", side="below",
        missing=missing,
    )  # fmt: skip
    if missing or n < FEWEST_SEEDS or np.isfinite(away[0]):
        return made.opened()
    return replace(made, holds=None, why_open="a ratio of norms is 0 or infinite, which has no logarithm")


def _log_ratios(records: Records) -> pd.DataFrame:
    """Return every run with `log` = ln(‖delta_1‖/‖delta_depth‖) at the start and `q`, mean z² in layer 1.

    NaN where a run has no such row.
    """
    layers, runs = at_start(records.layers), records.runs
    first = layers[layers["layer"] == 1].set_index("run_id")["z_rms"]
    logs = start_ratios(records).set_index("run_id")["log"]
    log, rms = (runs["run_id"].map(values).astype(float) for values in (logs, first))
    return runs.assign(log=log, q=rms**2)


def _expected(rows: pd.DataFrame) -> tuple[float, float]:
    """Return mean and sd over networks of the log ratio of one setting, given layer 1's mean square of z."""
    from experiments.theory.closed_forms import log_norm_band, spread
    from experiments.theory.mean_field import delta_ratio, variances

    run = rows.iloc[0]
    act, depth, width = curve(run["activation"]), int(run["depth"]), int(run["width"])
    weight, bias = weight_and_bias(run)
    first = float(rows["q"].mean())
    of_layers = spread(act, variances(act, depth, weight, bias, first)[:-1])
    shift, sd = log_norm_band(float(of_layers.mean()), depth - 1, width)
    return float(np.log(delta_ratio(act, depth, weight, bias, first))) + shift, sd


# Words ----------------------------------------------------------------------------------------------------


def _by_weights(evidence: Sequence[Evidence]) -> str:
    """Say for which initial weights each part of the claim holds."""
    own = claimed(evidence)
    marks = {
        "the factor per layer of ‖delta‖ at the start": "at the start",
        "the largest factor per layer of ‖delta‖ throughout training": "of ‖delta‖, the largest",
        "that of ‖dw‖": "of ‖dw‖, the largest",
        "‖delta‖ of the first over that of the last layer": "of the first over",
    }
    parts = []
    for what, mark in marks.items():
        told_ = []
        for side, word in ((True, "is"), (False, "is not"), (None, "may be")):
            some = [e for e in own if mark in e.setting and e.holds is side]
            listed = ", ".join(f"with {_init_of(e)}: {e.numbers}" for e in some)
            told_ += [f"{word} {some[0].side} {number(some[0].bound)} {listed}"] if some else []
        parts.append(f"{what} {', '.join(told_)}")
    return "; ".join(parts)


def _rates(records: Records, factors: Mapping[str, pd.DataFrame]) -> list[str]:
    """Say for every init the factors of ‖delta‖ and ‖dw‖ at the start, in the deepest networks."""
    depth = records.runs["depth"].max()
    rates = {
        name: deepest(at_start(factors[signal])).groupby("init", sort=False)["factor"]
        for name, signal in (("‖delta‖", "delta_norm"), ("‖dw‖", "dw_norm"))
    }
    return [
        f"{init}, depth {depth}, at the start: each layer nearer the input multiplies {name} by "
        f"{told(by_init.get_group(init))}."
        for init in records.runs["init"].unique()
        for name, by_init in rates.items()
        if init in by_init.groups
    ]


# W11 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs(*SIGNALS, "a_rms", varies=("depth",))
@rule(
    "factor per layer of ‖delta‖ backward and of the outputs' rms forward above {keeps:g} at every depth "
    "from {shallowest} on; ‖dw‖ of layer 1 in the deepest network above {lost:g} of the shallowest's. Check: "
    f"theory's factor per layer within {OFF:.0%}"
)
def W11_relu_no_vanishing(
    records: Records,
    *,
    activation: ActivationName = "relu",
    keeps: Positive = 0.84,
    lost: Share = 1e-3,
    shallowest: Count = 5,
) -> Verdict:
    """ReLU does not suffer from vanishing gradients.

    Measured: At the start, with each initialiser of the config, all three signals: the factor by which
    ‖delta‖ changes for each hidden layer nearer the input, and that by which the outputs' root mean square
    changes for each layer nearer the output, both at the depth at which they are smallest; and ‖dw‖ of layer
    1 in the deepest network over that in the shallowest. The instrument is checked by mean-field theory's
    factor.

    Nuance: It takes weights of variance 2/n_in. With less, delta falls by √(σ_w²/2) per layer, and so does
    the signal on its way forward; where these meet, ‖dw‖ is the same in every layer. A plot of weight
    gradients by layer then shows none that vanishes, because all of them have vanished together. And whatever
    the weights, the ratio's spread from network to network grows with depth over width.
    """
    mine = _asked(records, [activation])
    deep = mine.of(mine.runs.loc[mine.runs["depth"] >= shallowest, "run_id"])
    return decide(
        [
            *_keeps(deep, "delta_norm", "‖delta‖ towards the input", keeps),
            *_keeps(deep, "a_rms", "the outputs' rms towards the output", keeps),
            *_together(mine, lost),
            *_agreements(mine),
        ],
        "factor per layer of ‖delta‖ at the start",
        condition=_kept_with,
        remarks=[*_flat(mine), *_scatter(mine)],
        setting_of=_init_of,
    )


def _keeps(records: Records, signal: str, name: str, bound: float) -> list[Evidence]:
    """Return for each init, by seed, the smallest factor per layer in the direction that the signal takes."""
    factors = at_start(decay(records, signal))
    factors["factor"] = factors["factor"] if signal == "delta_norm" else 1 / factors["factor"]
    return _at_worst(records, factors, name, "above", bound)


def _together(records: Records, lost: float) -> list[Evidence]:
    """Return for each init, by seed, ‖dw‖ of layer 1 in the deepest network over the shallowest's."""
    layers = at_start(records.layers)
    first = layers[layers["layer"] == 1].set_index("run_id")["dw_log10"]
    runs = records.runs.assign(log=records.runs["run_id"].map(first))
    low, high = runs["depth"].min(), runs["depth"].max()
    found = []
    for init, rows in runs.groupby("init", sort=False):
        deep, shallow = (rows[rows["depth"] == depth].set_index("seed")["log"] for depth in (high, low))
        name = f"{init}: ‖dw‖ of layer 1 at depth {high} over that at depth {low}"
        ratio = 10 ** (deep - shallow.reindex(deep.index))
        found.append(Evidence.of(name, ratio, "above", lost, in_logs=True))
    return found


def _kept_with(evidence: Sequence[Evidence]) -> str:
    own = claimed(evidence)
    sides = {init: [e.holds for e in own if _init_of(e) == init] for init in map(_init_of, own)}
    yes = [init for init, holds in sides.items() if all(holds)]
    no = [init for init, holds in sides.items() if False in holds]
    open_ = [init for init in sides if init not in (*yes, *no)]
    told_ = [f"holds with {', '.join(yes) or 'none'}", f"fails with {', '.join(no) or 'none'}"]
    told_ += [f"is open with {', '.join(open_)}"] if open_ else []
    factors = ", ".join(
        f"{e.numbers} with {_init_of(e)}" for e in own if "of ‖delta‖ towards the input" in e.setting
    )
    return f"{', '.join(told_)}; the factor per layer of ‖delta‖ at the start is {factors}"


def _flat(records: Records) -> list[str]:
    """Say how alike ‖dw‖ is in all layers, whether or not it has vanished."""
    depth = records.runs["depth"].max()
    chosen = only(records, depth=depth)
    factors = at_start(decay(chosen, "dw_norm")).groupby("init", sort=False)["factor"]
    size = at_start(chosen.layers).groupby("run_id")["dw_log10"].median()
    sizes = chosen.runs.assign(size=chosen.runs["run_id"].map(size)).groupby("init", sort=False)["size"]
    return [
        f"{init}, depth {depth}, at the start: each layer nearer the input multiplies ‖dw‖ by "
        f"{told(factor)}; log10 of its median over layers is {told(sizes.get_group(init))}."
        for init, factor in factors
    ]


def _scatter(records: Records) -> list[str]:
    """Say by depth the sd over seeds of the log of first over last, and theory's for a single example."""
    found = []
    for (init, depth), rows in _log_ratios(records).groupby(["init", "depth"], sort=False):
        if depth >= FEW_DEEP and len(rows) > 1:
            sd = _expected(rows)[1]
            found.append(
                f"{init}, depth {depth}, width {rows['width'].iloc[0]}: the log of first over last ‖delta‖ "
                f"scatters from network to network with an sd of {rows['log'].std():.2f} (n = {len(rows)}); "
                f"of a single example theory expects {sd:.2f}."
            )
    return found
