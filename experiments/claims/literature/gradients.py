"""Gradients by layer: theory for every activation, Nielsen's numbers, exponential against power law."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_end, at_start, decay
from experiments.claims.comparison import ERRORS, SDS, Compared, among, mean_near, near
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.settings import alike, deepest, only, start_ratios, weight_and_bias
from experiments.claims.verdict import FEWEST_SEEDS, Evidence, Undecided, Verdict, decide
from mlp.activations import activation as curve

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

CERTAIN = 0.5  # sd of a log ratio, beyond which a theory to first order in depth over width is not asked

# Theory against every activation ---------------------------------------------------------------------------


@CLAIMS
@needs("delta_norm", "delta_log10")
@rule(
    lambda within, **_: (
        f"theory within {ERRORS:g} standard errors of the mean over seeds; sigmoid's factor within "
        f"{100 * within:g} %"
    )
)
def L01_theory(records: Records, *, sigmoid_factor: float = 0.236052, within: float = 0.02) -> Verdict:
    """Mean-field theory gives the decay of the back-propagated signal for every activation and weight size.

    Measured: At the start, for each activation and each variance of the weights: how many standard errors
    the mean over seeds of ln(‖delta_1‖/‖delta_depth‖) lies from the prediction for this very data, width
    and initialiser, at the depth where it is farthest; and sigmoid's factor a layer under weights of
    variance 1/n_in.

    Nuance: The prediction has no free constant. It is one of wide networks: what is left out is of second
    order in depth over width, and grows to be seen where the band is wide.

    Source: Poole et al. 2016; Schoenholz et al. 2017; Pennington et al. 2018; the band is derived here.
    """
    evidence = [*_sigmoids(records, sigmoid_factor, within), *_agreements(records)]
    return decide(evidence, "factor a layer", condition=_outside(evidence), remarks=_far(evidence))


def _sigmoids(records: Records, published: float, within: float) -> list[Compared]:
    """Sigmoid's factor a layer in the deepest networks with weights of variance 1/n_in."""
    factors = deepest(at_start(decay(records)))
    is_unit = factors["init"].isin(["lecun_normal", "xavier_normal"])
    rows = factors[(factors["activation"] == "sigmoid") & is_unit]
    if not len(rows):
        raise Undecided("no sigmoid networks with weights of variance 1/n_in", "init: [lecun_normal]")
    name = f"sigmoid, σ_w² = 1, depth {factors['depth'].iloc[0]}: factor of ‖delta‖ a layer, √χ"
    return [near(name, rows["factor"], published, within, "derived", relative=True)]


def _agreements(records: Records) -> list[Compared]:
    """For each activation and init the depth at which the mean log ratio is farthest from theory."""
    found = []
    for (text, init), rows in start_ratios(records).groupby(["activation", "init"], sort=False):
        compared = [c for _, each in rows.groupby("depth") if (c := _agreement(records, text, init, each))]
        if compared:
            found.append(max(compared, key=_errors))
    if not found:
        raise Undecided("theory expects too wide a scatter everywhere", "width: more, or depth: less")
    return found


def _agreement(records: Records, text: str, init: str, rows: pd.DataFrame) -> Compared | None:
    from experiments.theory.of_records import predictions

    prediction = predictions(records)[rows["run_id"].iloc[0]]
    sd = prediction.first_to_last_sd()
    if not (prediction.applies and sd < CERTAIN and rows["depth"].iloc[0] > 1):
        return None
    logs, centre = rows["log"].to_numpy(), float(np.log(prediction.first_to_last()))
    error = sd / np.sqrt(len(logs))
    holds = bool(abs(logs.mean() - centre) < ERRORS * error) if len(logs) >= FEWEST_SEEDS else None
    if not np.isfinite(logs).all():
        holds = None
    name = f"{text}, {init}, depth {rows['depth'].iloc[0]}: ‖delta_1‖/‖delta_depth‖"
    middle, low, high = np.exp([logs.mean(), logs.min(), logs.max()])
    published = float(np.exp(centre))
    return Compared(
        name, float(middle), float(low), float(high), len(logs), published, holds, published,
        f"in its log, {ERRORS:g} standard errors of {error:.3f}", "derived",
    )  # fmt: skip


def _errors(e: Compared) -> float:
    """How many standard errors the mean of a log is away."""
    return abs(np.log(e.value / e.published)) / float(e.within.rpartition(" ")[2])


def _outside(evidence: Iterable[Evidence]) -> str:
    found = list(evidence)
    missed = [e.setting.partition(":")[0] for e in found if e.holds is False]
    return f"holds for {sum(e.holds is True for e in found)} of {len(found)}, fails for {'; '.join(missed)}"


def _far(evidence: Iterable[Evidence]) -> list[str]:
    errors = [_errors(e) for e in evidence if isinstance(e, Compared) and "standard" in e.within]
    return [
        f"Of {len(errors)} settings, each at its worst depth, half are within {np.median(errors):.1f} "
        f"standard errors of theory, the farthest {max(errors):.1f} away."
    ]


# Nielsen ----------------------------------------------------------------------------------------------------

# ‖mean dL/db‖ of each hidden layer, first to last, by number of hidden layers: before training, and after
# 499 epochs of full-batch gradient descent (fig/norms_during_training_*_layers.json, first and last entry).
NIELSEN = {
    2: ((0.06574, 0.30922), (0.0034345685, 0.0096303664)),
    3: ((0.01184, 0.05997, 0.28314), (8.556083728e-05, 2.1816368374e-04, 1.2614452096e-03)),
    4: (
        (0.00298, 0.01708, 0.06954, 0.28514),
        (8.2121165255e-06, 2.6143817370e-05, 1.8252897169e-04, 9.2472514189e-04),
    ),
}
NIELSEN_FACTOR = 4.882  # 1/√χ at this initialisation's fixed point


@CLAIMS
@needs("db_rms", varies=("depth",))
@rule(f"each published norm within {SDS:g} sd of our networks' logs; factor within {{within:g}} of theory's")
def L02_nielsen(records: Records, *, within: float = 0.3) -> Verdict:
    """In Nielsen's networks each layer nearer the input learns more slowly, at first and after 500 epochs.

    Measured: The norm of the mean gradient of the biases in every hidden layer of networks of 2, 3 and 4
    hidden layers of 30 sigmoid units on 1,000 MNIST images, over many seeds, before training and after 499
    epochs of full-batch gradient descent with his learning rate 0.1 and regularisation 5; beside each, the
    number of his one network. And the mean factor from layer to layer at the start, beside theory's.

    Nuance: The images are 1,000 of MNIST's 10,000 test images, where his are the first 1,000 for training.
    One network's numbers scatter by a factor of two from seed to seed: that his layers are in order says
    less than that all of ours are in the mean.

    Source: Nielsen 2015, chapter 5; numbers from the book's repository, fig/norms_during_training.
    """
    alike(records.runs, ["depth"], "depth")
    width = int(only(records, depth=list(NIELSEN)).runs["width"].iloc[0])
    norms = records.layers.assign(norm=records.layers["db_rms"] * np.sqrt(width))
    evidence: list[Evidence] = [_factor(records, norms, within)]
    for when, frame in (("at the start", at_start(norms)), ("after training", at_end(norms, records.runs))):
        evidence += _nielsens(records, frame, when)
    return decide(evidence, "factor a layer")


def _nielsens(records: Records, norms: pd.DataFrame, when: str) -> list[Compared]:
    found = []
    for depth, (start, end) in NIELSEN.items():
        ids = records.runs.loc[records.runs["depth"] == depth, "run_id"]
        rows = norms[norms["run_id"].isin(ids)]
        for layer, published in enumerate(start if when == "at the start" else end, start=1):
            values = rows.loc[rows["layer"] == layer, "norm"]
            found.append(among(f"{depth} hidden layers, layer {layer}, {when}: ‖db‖", values, published))
    return found


def _factor(records: Records, norms: pd.DataFrame, within: float) -> Compared:
    """Over all depths: how much larger the last hidden layer's norm is than the first's, a layer."""
    rows = at_start(norms).merge(records.runs[["run_id", "depth", "seed"]], on="run_id")
    first = rows[rows["layer"] == 1].set_index("run_id")
    last = rows[rows["layer"] == rows["depth"]].set_index("run_id")
    logs = np.log(last["norm"] / first["norm"]) / (first["depth"] - 1)
    factors = np.exp(logs.groupby(first["seed"]).mean())
    name = "factor of ‖db‖ from layer to layer at the start, 1/√χ"
    return mean_near(name, factors, NIELSEN_FACTOR, "derived", within=within)


# Exponential against power law ------------------------------------------------------------------------------

# How far off the published number may be: a share of sigmoid's factor, tanh's slope, a share of its constant.
FACTOR_OFF, SLOPE_OFF, CONSTANT_OFF = 0.02, 0.05, 0.15


@CLAIMS
@needs("delta_norm", "delta_log10", varies=("activation",))
@rule(
    f"sigmoid's factor within {100 * FACTOR_OFF:g} %, tanh's slope ½ ± {SLOPE_OFF:g}, ratio·√depth within "
    f"{100 * CONSTANT_OFF:g} % of {{tanh:.3f}}"
)
def L12_laws(
    records: Records,
    *,
    sigmoid: float = 0.236052,
    tanh: float = 0.840,
    deep: int = 50,
) -> Verdict:
    """Under weights of variance 1/n_in sigmoid's gradient vanishes exponentially, tanh's as a power of depth.

    Measured: At the start, sigmoid's factor of ‖delta‖ a layer; for tanh the slope of ln ‖delta‖ on the log
    of the layer counted from the input, from layer 10 on in the deepest network, where the −C/(4n) that a
    layer of finite width takes from the mean log (C = 3 E f'⁴/(E f'²)² − 1) has been given back; and the
    ratio ‖delta_1‖/‖delta_depth‖ times √depth at each depth from `deep` 50 on.

    Nuance: At a hundred layers sigmoid's first layer gets 10⁻⁶³ of the last one's gradient, tanh's a twelfth:
    "saturating activations vanish" joins two different laws.

    Source: Roberts, Yaida & Hanin 2022 for tanh's exponent (class K* = 0), recalled; constants derived.
    """
    alike(records.runs, ["activation", "depth"], "activation and depth")
    _unit_weights(records)
    evidence: list[Evidence] = []
    factors = deepest(at_start(decay(only(records, activation="sigmoid"))))
    name = f"sigmoid, depth {factors['depth'].iloc[0]}: factor of ‖delta‖ a layer"
    evidence.append(near(name, factors["factor"], sigmoid, FACTOR_OFF, "derived", relative=True))
    tanhs = only(records, activation="tanh")
    evidence += [_slope(tanhs), *_constants(tanhs, tanh, deep)]
    return decide(evidence, "factor a layer")


def _unit_weights(records: Records) -> None:
    variance, _ = weight_and_bias(records.runs.iloc[0])
    if not np.isclose(variance, 1):
        raise Undecided(f"the weights' variance is {variance:g}/n_in", "init: lecun_normal")


def _slope(records: Records) -> Compared:
    """Of ln ‖delta‖ on ln layer from layer 10 on, in the deepest networks."""
    runs = deepest(records.runs)
    rows = at_start(records.layers).merge(runs[["run_id", "seed", "depth"]], on="run_id")
    inside = rows[(rows["layer"] >= 10) & (rows["layer"] <= rows["depth"])]
    if inside["layer"].nunique() < 10:
        raise Undecided("no network is deep enough for a power law to be seen", "depth: [100]")
    logs = inside["delta_log10"] * np.log(10) + _narrowness(runs.iloc[0])[inside["layer"] - 1]
    slopes = [np.polyfit(np.log(each["layer"]), logs[each.index], 1)[0] for _, each in inside.groupby("seed")]
    return mean_near(
        f"tanh, depth {runs['depth'].iloc[0]}: slope of ln ‖delta‖ on ln layer", slopes, 0.5, "recalled",
        within=SLOPE_OFF,
    )  # fmt: skip


def _narrowness(run: Any) -> np.ndarray:
    """By hidden layer: how far finite width has brought the mean of ln ‖delta‖ down, to first order."""
    from experiments.theory.closed_forms import log_norm_band, spread
    from experiments.theory.mean_field import variances

    act, depth = curve(run["activation"]), int(run["depth"])
    of_layers = spread(act, variances(act, depth, 1.0))
    return np.array([-log_norm_band(float(of_layers[at:].sum()), 1, run["width"])[0] for at in range(depth)])


def _constants(records: Records, published: float, deep: int) -> list[Compared]:
    ratios = start_ratios(records)
    ratios = ratios[ratios["depth"] >= deep]
    return [
        mean_near(
            f"tanh, depth {depth}: ‖delta_1‖/‖delta_depth‖ · √depth", rows["ratio"] * np.sqrt(depth),
            published, "derived", within=CONSTANT_OFF * published,
        )
        for depth, rows in ratios.groupby("depth")
    ]  # fmt: skip
