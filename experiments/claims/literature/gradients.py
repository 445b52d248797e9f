"""Gradients by layer: theory for every activation, Nielsen's numbers, exponential against power law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_end, at_start, decay
from experiments.analysis.wording import number
from experiments.claims.comparison import Compared, given, mean_near, one_more
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.settings import alike, by_layer, deepest, of_runs, only, start_ratios, weight_and_bias
from experiments.claims.verdict import Evidence, Undecided, Verdict, decide, decide_parts
from mlp.activations import activation as curve
from mlp.registry import Count, Positive

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records
    from experiments.theory.prediction import Prediction

NOT_HELD = {"fails": False, "is open": None}
SIGMOID = 0.236052  # √χ of sigmoid at the fixed point of weights of variance 1/n_in, by quadrature

# Theory against every activation ---------------------------------------------------------------------------


@CLAIMS
@needs("delta_norm", "delta_log10")
@rule(
    lambda within: f"in the deepest networks the mean factor over seeds within {100 * within:g} % of theory's"
)
def L01_theory(records: Records, *, within: Positive = 0.02) -> Verdict:
    """Mean-field theory gives the factor by which each layer changes the gradient, for every activation.

    Measured: At the start, in the deepest networks of the config, for each activation and each variance of
    the weights: (‖delta_1‖/‖delta_depth‖)^(1/(depth − 1)), beside the same number from the prediction for
    this very data, width and initialiser. The spread is that of our seeds, not one that theory expects.

    Nuance: The prediction has no free constant. It is one of wide networks: what is left out is of second
    order in depth over width, and is seen first where weights are large and the activation is neither odd nor
    bounded.

    Source: Poole et al. 2016; Schoenholz et al. 2017; Pennington et al. 2018. None of them printed these
    numbers: all are computed here.
    """
    runs = deepest(records.runs)
    alike(runs, ["activation", "init"], "activation and init, in the deepest networks")
    runs = runs[runs["depth"] > 1]
    logs = runs["run_id"].map(start_ratios(records).set_index("run_id")["log"]).astype(float)
    rows = runs.assign(factor=np.exp(logs / (runs["depth"] - 1)))
    settings = list(rows.groupby(["activation", "init"], sort=False))
    predicted = [_predicted(records, each) for _, each in settings]
    known = [pair for pair in zip(settings, predicted, strict=True) if pair[1].applies]
    if not known:
        reason = predicted[0].reason if predicted else "no network has two hidden layers"
        raise Undecided(f"theory predicts none of these networks ({reason})", "width: more, or depth: less")
    sigmoids = _of_unit_variance(rows)
    many = len(known) + bool(len(sigmoids))
    evidence = [
        mean_near(
            f"{text}, {init}, depth {prediction.depth}: factor of ‖delta‖ per layer", each["factor"],
            prediction.first_to_last() ** (1 / (prediction.depth - 1)), within, "derived", relative=True,
            comparisons=many,
        )
        for ((text, init), each), prediction in known
    ]  # fmt: skip
    if len(sigmoids):
        evidence.append(_sigmoid(sigmoids, within, many))
    return decide(evidence, condition=_outside, remarks=_silent(settings, predicted))


def _outside(evidence: Sequence[Evidence]) -> str:
    """Say at how many settings theory is within the tolerance, and at which it is not."""
    sides = {word: [_short(e) for e in evidence if e.holds is held] for word, held in NOT_HELD.items()}
    told = [f"{word} for {', '.join(names)}" for word, names in sides.items() if names]
    held = sum(e.holds is True for e in evidence)
    return "; ".join([f"holds for {held} of {len(evidence)} settings", *told])


def _short(e: Evidence) -> str:
    """Return the short name of a setting with our factor and theory's: ``gelu, he_normal (…, theory 1)``."""
    theory = f", theory {number(e.published)}" if isinstance(e, Compared) else ""
    return f"{e.setting.partition(', depth')[0]} ({e.numbers}{theory})"


def _predicted(records: Records, rows: pd.DataFrame) -> Prediction:
    from experiments.theory.of_records import predictions

    return predictions(records.of(rows["run_id"]))[rows["run_id"].iloc[0]]


def _of_unit_variance(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of deep sigmoid networks under weights of variance 1/n_in."""
    is_unit = rows["init"].isin(["lecun_normal", "xavier_normal"])
    return rows[(rows["activation"] == "sigmoid") & is_unit & (rows["depth"] >= 10)]


def _sigmoid(rows: pd.DataFrame, within: float, comparisons: int) -> Compared:
    """Compare sigmoid's factor with √χ of the fixed point, where the rows are of one depth."""
    name = f"sigmoid, σ_w² = 1, depth {rows['depth'].iloc[0]}: factor of ‖delta‖ per layer, √χ"
    return mean_near(name, rows["factor"], SIGMOID, within, "derived", relative=True, comparisons=comparisons)


def _silent(settings: list[Any], predicted: list[Prediction]) -> list[str]:
    """Return a remark on every setting that theory does not predict."""
    return [
        f"{text}, {init}: no prediction ({prediction.reason})."
        for ((text, init), _), prediction in zip(settings, predicted, strict=True)
        if not prediction.applies
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
NIELSEN_FACTOR, FACTOR_OFF = 4.882, 0.3  # 1/√χ at this initialisation's fixed point; how far off ours may be


@CLAIMS
@needs("db_rms", varies=("depth",))
@rule("each printed norm is where one more network like ours would lie, for 97 % of such sets of networks")
def L02_nielsen(records: Records) -> Verdict:
    """The gradient norms that Nielsen printed for his networks are norms that such networks have.

    Measured: The norm of the mean gradient of the biases in every hidden layer of networks of 2, 3 and 4
    hidden layers of 30 sigmoid units on 1,000 MNIST images, over many seeds, before training and after 499
    epochs of full-batch gradient descent with his learning rate 0.1 and regularisation 5; beside each, the
    number of his one network. As a check, the mean factor from layer to layer at the start, beside theory's.

    Nuance: The images are 1,000 of MNIST's 10,000 test images, where his are the first 1,000 for training.
    One network's numbers scatter by a factor of two from seed to seed: that his layers are in order says
    less than that all of ours are in the mean.

    Source: Nielsen 2015, chapter 5; numbers from the book's repository, fig/norms_during_training.
    """
    alike(records.runs, ["depth"], "depth")
    width = int(only(records, depth=list(NIELSEN)).runs["width"].iloc[0])
    norms = records.layers.assign(norm=records.layers["db_rms"] * np.sqrt(width))
    evidence: list[Compared] = []
    for when, frame in (("at the start", at_start(norms)), ("after training", at_end(norms, records.runs))):
        evidence += _nielsens(records, frame, when)
    return decide([*evidence, *_factor(records, norms)])


def _nielsens(records: Records, norms: pd.DataFrame, when: str) -> list[Compared]:
    found = []
    comparisons = sum(len(start) + len(end) for start, end in NIELSEN.values())
    for depth, (start, end) in NIELSEN.items():
        ids = records.runs.loc[records.runs["depth"] == depth, "run_id"]
        rows = norms[norms["run_id"].isin(ids)]
        for layer, published in enumerate(start if when == "at the start" else end, start=1):
            values = rows[rows["layer"] == layer].set_index("run_id")["norm"].reindex(ids)  # NaN if diverged
            name = f"{depth} hidden layers, layer {layer}, {when}: ‖db‖"
            found.append(one_more(name, values, published, "source", scale="log", comparisons=comparisons))
    return found


def _factor(records: Records, norms: pd.DataFrame) -> list[Compared]:
    """Return as a check how much larger each hidden layer's norm is than the one below, at all depths."""
    rows = at_start(norms).merge(records.runs[["run_id", "depth", "seed"]], on="run_id")
    first = rows[rows["layer"] == 1].set_index("run_id")
    last = rows[rows["layer"] == rows["depth"]].set_index("run_id")
    logs = np.log(last["norm"] / first["norm"]) / (first["depth"] - 1)
    factors = np.exp(logs.groupby(first["seed"]).mean())
    name = "factor of ‖db‖ from layer to layer at the start, 1/√χ"
    return given("check", [mean_near(name, factors, NIELSEN_FACTOR, FACTOR_OFF, "derived")])


# Exponential against power law ------------------------------------------------------------------------------

# How far off the number may be: a share of sigmoid's factor, tanh's slope, a share of its constant. The slope
# of 24 networks is known to 0.03, and theory's own between these layers is 0.018 from its limit.
SHARE_OFF, SLOPE_OFF, CONSTANT_OFF = 0.02, 0.05, 0.15
TANH_SLOPE, TANH_CONSTANT = 0.5, 0.840


@CLAIMS
@needs("delta_norm", "delta_log10", varies=("activation",))
@rule(
    f"means over seeds: sigmoid's factor within {100 * SHARE_OFF:g} % of {SIGMOID:.3f}, tanh's slope ½ ± "
    f"{SLOPE_OFF:g}, ratio·√depth within {100 * CONSTANT_OFF:g} % of {TANH_CONSTANT:.2f}"
)
def L12_laws(records: Records, *, deep: Count = 50) -> Verdict:
    """Under weights of variance 1/n_in sigmoid's gradient vanishes exponentially, tanh's as a power of depth.

    Measured: At the start, sigmoid's factor of ‖delta‖ per layer; for tanh the slope of ln ‖delta‖ on the log
    of the layer counted from the input, from layer 10 on in the deepest network, where the −C/(4n) that a
    layer of finite width takes from the mean log (C = 3 E f'⁴/(E f'²)² − 1) has been given back; and the
    ratio ‖delta_1‖/‖delta_depth‖ times √depth at each depth from `deep` 50 on.

    Nuance: At a hundred layers sigmoid's first layer gets 10⁻⁶³ of the last one's gradient, tanh's a twelfth:
    "saturating activations vanish" joins two different laws. The slope ½ is the limit of great depth; between
    layers 10 and 100 theory's own slope is 0.518.

    Source: Roberts, Yaida & Hanin 2022 for tanh's exponent (class K* = 0), recalled; constants derived.
    """
    alike(records.runs, ["activation", "depth"], "activation and depth")
    sigmoids = only(records, activation="sigmoid")
    _unit_weights(records)
    steep = deepest(sigmoids.runs)
    tanhs = only(records, activation="tanh")
    ratios = start_ratios(tanhs)
    depths = list(tanhs.runs[tanhs.runs["depth"] >= deep].groupby("depth"))
    comparisons = 2 + len(depths)
    name = f"sigmoid, depth {steep['depth'].max()}: factor of ‖delta‖ per layer"
    factors = of_runs(steep, at_start(decay(sigmoids)), "factor")
    evidence = [
        mean_near(name, factors, SIGMOID, SHARE_OFF, "derived", relative=True, comparisons=comparisons),
        _slope(tanhs, comparisons),
    ]
    evidence += [
        mean_near(
            f"tanh, depth {depth}: ‖delta_1‖/‖delta_depth‖ · √depth",
            np.exp(of_runs(runs, ratios, "log")) * np.sqrt(depth),
            TANH_CONSTANT, CONSTANT_OFF, "derived", relative=True, comparisons=comparisons,
        )
        for depth, runs in depths
    ]  # fmt: skip
    return decide_parts(evidence)


def _unit_weights(records: Records) -> None:
    variance, _ = weight_and_bias(records.runs.iloc[0])
    if not np.isclose(variance, 1):
        raise Undecided(f"the weights' variance is {variance:g}/n_in", "init: lecun_normal")


def _slope(records: Records, comparisons: int) -> Compared:
    """Return the slopes of ln ‖delta‖ on ln layer from layer 10 on, in the deepest networks."""
    runs = deepest(records.runs)
    if runs["depth"].max() < 20:
        raise Undecided("no network is deep enough for a power law to be seen", "depth: [100]")
    table = by_layer(records.of(runs["run_id"]), at_start(records.layers), "delta_log10").loc[:, 10:]
    logs = table * np.log(10) + _narrowness(runs.iloc[0])[9:]
    slopes = [_fitted(np.log(logs.columns.to_numpy()), each.to_numpy()) for _, each in logs.iterrows()]
    name = f"tanh, depth {runs['depth'].iloc[0]}: slope of ln ‖delta‖ on ln layer"
    return mean_near(name, slopes, TANH_SLOPE, SLOPE_OFF, "recalled", comparisons=comparisons)


def _fitted(x: np.ndarray, y: np.ndarray) -> float:
    """Return the slope of the least-squares line; NaN where a point is not finite."""
    return float(np.polyfit(x, y, 1)[0]) if np.isfinite(y).all() else float("nan")


def _narrowness(run: Any) -> np.ndarray:
    """Return by hidden layer how far finite width has lowered the mean of ln ‖delta‖, to first order."""
    from experiments.theory.closed_forms import log_norm_band, spread
    from experiments.theory.mean_field import variances

    act, depth = curve(run["activation"]), int(run["depth"])
    of_layers = spread(act, variances(act, depth, 1.0))
    return np.array([-log_norm_band(float(of_layers[at:].sum()), 1, run["width"])[0] for at in range(depth)])
