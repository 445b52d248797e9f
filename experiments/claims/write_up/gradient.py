"""Claims about the gradient on its way to the input: W04, W11."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_start, decay
from experiments.claims.comparison import ERRORS
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.settings import alike, deepest, only, start_ratios, trained, weight_and_bias
from experiments.claims.verdict import FEWEST_SEEDS, Evidence, Undecided, Verdict, decide
from mlp.activations import activation as curve
from mlp.initialisers import weight_mean

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

CONTROLS = ["tanh", "relu"]
FEW_DEEP = 10  # hidden layers from which on "a deep network" is meant
SIGNALS = ("delta_norm", "delta_log10", "dw_norm", "dw_log10", "z_rms")  # the probes that both claims read


# W04 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs(*SIGNALS, varies=("activation",))
@rule(
    lambda controls, quarter, lost, **_: (
        "factor a layer below 1 at the start and through training, of ‖delta‖ at the start below "
        f"{quarter:g}; first over last below {lost:g} in the deepest network, with {' and '.join(controls)} "
        f"above it; theory within {ERRORS:g} standard errors"
    )
)
def W04_gradient_shrinks(
    records: Records,
    *,
    activation: str = "sigmoid",
    controls: list[str] = CONTROLS,
    quarter: float = 0.25,
    lost: float = 1e-3,
) -> Verdict:
    """Each sigmoid layer shrinks the gradient to 25 % or less: a deep net's shallow layers get almost none.

    Measured: The factor by which ‖delta‖ and ‖dw‖ change for each hidden layer nearer the input, fitted by
    least squares of the log, at each depth and with each initialiser of the config, at the start and at the
    watched step of training at which it is largest; the first over the last hidden layer's ‖delta‖ at the
    greatest depth, beside the controls'; and the mean of its log against mean-field theory's, in standard
    errors expected at this width.

    Nuance: The factor is that of σ' and of the weights together: under Xavier's initialisation 0.236, by
    coincidence close to ¼. Larger weights make it larger, up to 1 and beyond: a quarter is σ's largest slope,
    which is neither a bound on the product nor its rate.
    """
    mine, others = _asked(records, [activation]), _asked(records, controls)
    evidence = _shrinks(mine, quarter) + _through_training(mine)
    evidence += _ends(mine, "below", lost) + _ends(others, "above", lost)
    evidence += [found for part in (mine, others) for found in _agreements(part)]
    condition = _by_weights(evidence, mine.runs["init"].unique())
    return decide(evidence, "factor a layer", condition=condition, remarks=_rates(mine))


def _asked(records: Records, texts: list[str]) -> Records:
    """The runs with these activations; undecided unless they differ in init and depth only, some deep."""
    found = only(records, activation=texts)
    alike(found.runs, ["activation", "init", "depth"], "activation, init and depth")
    if found.runs["depth"].max() < FEW_DEEP:
        raise Undecided(f"no network has {FEW_DEEP} layers", f"depth: [{FEW_DEEP}] under sweep")
    if found.runs["depth"].min() < 2:
        raise Undecided("one layer has no factor from layer to layer", "depth: 2 or more")
    return found


def _shrinks(records: Records, quarter: float) -> list[Evidence]:
    """At the start, for each init: that ‖delta‖ falls, and to a quarter in all but shallow networks."""
    found = []
    factors = at_start(decay(records))
    for (init, depth), rows in deepest(factors).groupby(["init", "depth"], sort=False):
        found.append(
            Evidence.of(f"{init}, depth {depth}: ‖delta‖ at the start", rows["factor"], "below", 1.0)
        )
    for (init, depth), rows in factors[factors["depth"] >= 5].groupby(["init", "depth"], sort=False):
        name = f"{init}, depth {depth}: ‖delta‖ to a quarter"
        found.append(Evidence.of(name, rows["factor"], "below", quarter))
    return found


def _through_training(records: Records) -> list[Evidence]:
    """For each init, depth and signal: the largest factor over all watched steps, by seed."""
    trained(records.runs)
    found = []
    for signal, name in (("delta_norm", "‖delta‖"), ("dw_norm", "‖dw‖")):
        for (init, depth), rows in decay(records, signal).groupby(["init", "depth"], sort=False):
            largest = rows.groupby("seed")["factor"].agg(_largest)
            text = f"{init}, depth {depth}: {name} through training"
            found.append(Evidence.of(text, largest, "below", 1.0))
    return found


def _largest(values: pd.Series) -> float:
    return float(values.max(skipna=False))


def _ends(records: Records, side: Any, bound: float) -> list[Evidence]:
    """First over last ‖delta‖ at the start in the deepest networks, for each activation and init."""
    rows_by_setting = deepest(start_ratios(records)).groupby(["activation", "init"], sort=False)
    return [
        Evidence.of(
            f"{text}, {init}: first over last at depth {rows['depth'].iloc[0]}", rows["ratio"], side, bound
        )
        for (text, init), rows in rows_by_setting
    ]


# Theory ---------------------------------------------------------------------------------------------------


def _agreements(records: Records) -> list[Evidence]:
    """For each activation and init: how far theory is from the mean over seeds, at the worst depth.

    Weights of another mean than 0 have no theory. Only where the log of a single network's ratio is expected
    to scatter by less than ½: theory is that of wide networks, to first order in depth over width.
    """
    found = []
    for (text, init), rows in _log_ratios(records).groupby(["activation", "init"], sort=False):
        if weight_mean(init, int(rows["width"].iloc[0]), int(rows["width"].iloc[0])):
            continue
        away = {}
        for depth, each in rows.groupby("depth"):
            centre, sd = _expected(each)
            if depth > 1 and sd < 0.5:
                away[depth] = abs(each["log"].mean() - centre) / (sd / np.sqrt(len(each)))
        if away:
            worst, n = max(away.values()), int(rows.groupby("depth").size().min())
            holds = bool(worst < ERRORS) if np.isfinite(worst) else None
            name = f"{text}, {init}: standard errors from theory"
            found.append(Evidence.single(name, worst, n, ERRORS, holds if n >= FEWEST_SEEDS else None))
    return found


def _log_ratios(records: Records) -> pd.DataFrame:
    """Every run with `log` = ln(‖delta_1‖/‖delta_depth‖) at the start and `q`, layer 1's mean square of z."""
    layers = at_start(records.layers)
    first = layers[layers["layer"] == 1].set_index("run_id")["z_rms"]
    ratios = start_ratios(records)
    return ratios.assign(q=ratios["run_id"].map(first) ** 2)


def _expected(rows: pd.DataFrame) -> tuple[float, float]:
    """Mean and sd over networks of the log ratio of one setting, from its layer 1's mean square on."""
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


def _by_weights(evidence: Iterable[Evidence], inits: Iterable[str]) -> str:
    """Which initial weights the claim holds for."""
    found, parts = list(evidence), []
    marks = {"‖delta‖ shrinks": "‖delta‖ through training", "to a quarter a layer": "to a quarter"}
    for what, mark in marks.items():
        yes = [init for init in inits if all(e.holds for e in _of_init(found, init) if mark in e.setting)]
        no = [init for init in inits if init not in yes]
        parts.append(
            f"{what} with {', '.join(yes) or 'none'}" + (f", not with {', '.join(no)}" if no else "")
        )
    return "; ".join(parts)


def _of_init(evidence: Iterable[Evidence], init: str) -> list[Evidence]:
    return [e for e in evidence if e.setting.startswith((f"{init}:", f"{init},"))]


def _rates(records: Records) -> list[str]:
    """Of every init in the deepest networks: the factors of ‖delta‖ and ‖dw‖, and σ' alone."""
    rates = {
        signal: at_start(decay(records, signal)).groupby(["init", "depth"], sort=False)["factor"].median()
        for signal in ("delta_norm", "dw_norm")
    }
    depth = records.runs["depth"].max()
    return [
        f"{init}, depth {depth}, at the start: ‖delta‖ × {rates['delta_norm'][init, depth]:.3f} a layer, "
        f"‖dw‖ × {rates['dw_norm'][init, depth]:.3f}."
        for init in records.runs["init"].unique()
        if (init, depth) in rates["delta_norm"]
    ]


# W11 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs(*SIGNALS, "a_rms", varies=("depth",))
@rule(
    "‖delta‖ backward and rms of outputs forward above {keeps:g} a layer from depth {shallowest} on; ‖dw‖ of "
    f"layer 1 above {{lost:g}} of the shallowest network's; theory within {ERRORS:g} standard errors"
)
def W11_relu_no_vanishing(
    records: Records,
    *,
    activation: str = "relu",
    keeps: float = 0.84,
    lost: float = 1e-3,
    shallowest: int = 5,
) -> Verdict:
    """ReLU does not suffer from vanishing gradients.

    Measured: At the start, at each depth and with each initialiser of the config, all three signals: the
    factor by which ‖delta‖ changes for each hidden layer nearer the input; ‖dw‖ of layer 1 in the deepest
    network over that in the shallowest; the factor by which the outputs' root mean square changes for each
    layer nearer the output; and the first-to-last log ratio against mean-field theory's.

    Nuance: It takes weights of variance 2/n_in. With less, delta falls by √(σ_w²/2) a layer, and so does the
    signal on its way forward; where these meet, ‖dw‖ is the same in every layer. A plot of weight gradients
    by layer then shows none that vanishes, because all of them have vanished together. And whatever the
    weights, the ratio's spread from network to network grows with depth over width.
    """
    mine = _asked(records, [activation])
    deep = mine.of(mine.runs.loc[mine.runs["depth"] >= shallowest, "run_id"])
    evidence = _keeps(deep, "delta_norm", "‖delta‖", keeps) + _keeps(deep, "a_rms", "outputs", keeps)
    evidence += _together(mine, lost) + _agreements(mine)
    return decide(
        evidence, "factor a layer", condition=_kept_with(evidence, mine.runs["init"].unique()),
        remarks=[*_flat(mine), *_scatter(mine)],
    )  # fmt: skip


def _keeps(records: Records, signal: str, name: str, bound: float) -> list[Evidence]:
    """For each init and depth the factor a layer in the direction in which the signal goes."""
    factors = at_start(decay(records, signal))
    factors["factor"] = factors["factor"] if signal == "delta_norm" else 1 / factors["factor"]
    deepest_first = factors.sort_values("depth", ascending=False, kind="stable")
    return [
        Evidence.of(f"{init}, depth {depth}: {name}", rows["factor"], "above", bound)
        for (init, depth), rows in deepest_first.groupby(["init", "depth"], sort=False)
    ]


def _together(records: Records, lost: float) -> list[Evidence]:
    """For each init, ‖dw‖ of layer 1 in the deepest network over the shallowest's, by seed."""
    layers = at_start(records.layers)
    first = layers[layers["layer"] == 1].set_index("run_id")["dw_log10"]
    runs = records.runs.assign(log=records.runs["run_id"].map(first))
    low, high = runs["depth"].min(), runs["depth"].max()
    found = []
    for init, rows in runs.groupby("init", sort=False):
        deep, shallow = (rows[rows["depth"] == depth].set_index("seed")["log"] for depth in (high, low))
        name = f"{init}: ‖dw‖ of layer 1, depth {high} over {low}"
        found.append(Evidence.of(name, 10 ** (deep - shallow.reindex(deep.index)), "above", lost))
    return found


def _kept_with(evidence: Iterable[Evidence], inits: Iterable[str]) -> str:
    sides = {init: [e.holds for e in _of_init(evidence, init)] for init in inits}
    yes = [init for init, holds in sides.items() if all(holds)]
    no = [init for init, holds in sides.items() if False in holds]
    return f"holds with {', '.join(yes) or 'none'}, fails with {', '.join(no) or 'none'}"


def _flat(records: Records) -> list[str]:
    """That ‖dw‖ is alike in all layers, whatever became of it."""
    depth = records.runs["depth"].max()
    chosen = only(records, depth=depth)
    factors = at_start(decay(chosen, "dw_norm")).groupby("init", sort=False)["factor"].median()
    size = at_start(chosen.layers).groupby("run_id")["dw_log10"].median()
    sizes = (
        chosen.runs.assign(size=chosen.runs["run_id"].map(size)).groupby("init", sort=False)["size"].median()
    )
    return [
        f"{init}, depth {depth}: ‖dw‖ × {factors[init]:.3f} a layer, at about 10^{sizes[init]:.1f} in all."
        for init in factors.index
    ]


def _scatter(records: Records) -> list[str]:
    """The sd over seeds of the log of first over last by depth, and theory's for a single example."""
    found = []
    for (init, depth), rows in _log_ratios(records).groupby(["init", "depth"], sort=False):
        if depth >= FEW_DEEP and len(rows) > 1:
            sd = _expected(rows)[1]
            found.append(
                f"{init}, depth {depth}, width {rows['width'].iloc[0]}: sd over seeds of ln(first/last) "
                f"{rows['log'].std():.2f}, for one example {sd:.2f} is expected."
            )
    return found
