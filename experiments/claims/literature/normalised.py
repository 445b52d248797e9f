"""Normalisation: shattered gradients, SELU's fixed point, the explosion under batch normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_start, decay
from experiments.claims.comparison import Compared, bounded, by_seed, computed, mean_near
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.ensembles import Passed, backward, forward, mean_cosine, networks
from experiments.claims.settings import only
from experiments.claims.verdict import Evidence, Undecided, Verdict, decide
from experiments.theory.closed_forms import (
    batch_norm_growth,
    is_homogeneous,
    kappa_0,
    kappa_1,
    moment_jacobian,
    selu_constants,
)
from mlp.activations import activation as curve
from mlp.streams import stream

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# Shattered gradients ----------------------------------------------------------------------------------------

EXAMPLES = 64
SLOPE_OFF, PRODUCT_OFF = 0.1, 0.2  # how far off log₂ a layer and, as a share, a plain cosine may be


@CLAIMS
@rule(
    lambda slope: (
        f"with batch normalisation {slope:g} ± {SLOPE_OFF:g} in log₂ a layer, without within "
        f"{100 * PRODUCT_OFF:g} % of Π κ₀(ρ)".replace("-", "−")
    )
)
def L09_shattering(records: Records, *, slope: float = -1.0) -> Verdict:
    """Gradients of different inputs lose their likeness with depth: by half a layer only with normalisation.

    Measured: At the start of ReLU networks under He's initialisation, for 64 independent inputs and one
    vector fed back from the top: the mean cosine between two inputs' ‖delta‖ after so many layers; and how
    often two inputs switch on the same unit.

    Nuance: The often quoted 2^−L takes units to be switched on independently, which only normalisation makes
    true. A plain network makes its inputs alike instead, and their gradients part as L^−3.

    Source: Balduzzi et al. 2017 (as told by others); the exact product is derived here.
    """
    evidence: list[Evidence] = []
    for (norm, depth), found in by_seed(records, ["norm", "depth"], _likeness):
        cosines, together = (np.array([each[i] for each in found]) for i in (0, 1))
        if norm.startswith("batch"):
            evidence += _normalised(cosines, together, depth, slope)
        else:
            evidence += _plain(cosines, together, depth)
    return decide(evidence, "log₂ of the cosine a layer")


def _likeness(run: Any) -> tuple[np.ndarray, np.ndarray]:
    """By layers from the top: mean cosine of two inputs' delta; and the share of units on for both."""
    rng = stream(run.seed, "inputs")
    x, v = rng.standard_normal((EXAMPLES, run.width)), rng.standard_normal(run.width)
    norm = "batch(eps=0)" if run.norm.startswith("batch") else "none"
    net = networks(run, (run.width, *[run.width] * run.depth, 2), 1, norm=norm)
    passed = list(forward(net, x))
    deltas = backward(net, passed, np.broadcast_to(v, (1, EXAMPLES, run.width)))
    cosines, together = [mean_cosine(delta[0]) for delta in deltas], [_both_on(p) for p in passed[::-1]]
    return np.array(cosines), np.array(together)


def _both_on(layer: Passed) -> float:
    on = (layer.z[0] > 0).astype(float)
    n = len(on)
    pairs = np.square(on.sum(axis=0)).sum() - on.sum()
    return float(pairs / (n * (n - 1) * on.shape[1]))


def _normalised(cosines: np.ndarray, together: np.ndarray, depth: int, slope: float) -> list[Compared]:
    with np.errstate(invalid="ignore"):
        falls = [np.polyfit(np.arange(depth), np.log2(each), 1)[0] for each in cosines]
    name = f"batch normalisation, {depth} layers"
    return [
        mean_near(f"{name}: log₂ of the cosine a layer", falls, slope, "account", within=SLOPE_OFF),
        mean_near(f"{name}: co-activation", together.mean(axis=1), 0.25, "account", within=0.02),
    ]


def _plain(cosines: np.ndarray, together: np.ndarray, depth: int) -> list[Compared]:
    rho, product, on = 0.0, 1.0, 0.25
    for _ in range(depth):
        product *= float(kappa_0(rho))
        on = float(kappa_0(rho)) / 2
        rho = float(kappa_1(rho))
    name = f"plain, {depth} layers"
    return [
        mean_near(
            f"{name}: cosine in the first layer",
            cosines[:, -1],
            product,
            "derived",
            within=PRODUCT_OFF * product,
        ),
        mean_near(
            f"{name}: co-activation in the last layer", together[:, 0], on, "derived", within=0.05 * on
        ),
    ]


# SELU -------------------------------------------------------------------------------------------------------

ALPHA, SCALE = 1.6732632423543778, 1.0507009873554805  # getSELUparameters.ipynb of the authors
CONSTANT_OFF = 1e-12  # how far off α and λ may be, as a share
MOMENT_OFF, GROWTH_OFF = 0.1, 0.01  # how far off the mean and the variance may be, and the growth a layer
CONTRACTION = 0.782648  # dν'/dν at the fixed point, appendix of the paper


@CLAIMS
@needs("a_mean", "a_var", "delta_norm")
@rule(
    f"constants to {CONSTANT_OFF:g}; |mean| < {MOMENT_OFF:g}, |variance − 1| < {MOMENT_OFF:g} at the last "
    f"layer; growth {{growth:g}} ± {GROWTH_OFF:g}"
)
def L10_selu(records: Records, *, growth: float = 1.0352) -> Verdict:
    """A hundred layers of SELU keep mean 0 and variance 1, and their gradients grow only slowly.

    Measured: SELU's constants and its contraction at the fixed point, from its definition; mean and variance
    of the outputs of the last hidden layer; and the factor of ‖delta‖ a layer towards the input.

    Nuance: Self-normalising is the signal, not the gradient: that one explodes, by 3.5 % a layer, a factor
    of thirty over a hundred layers.

    Source: Klambauer, Unterthiner, Mayr & Hochreiter 2017; the growth is derived here.
    """
    chosen = only(records, activation="selu")
    alpha, scale = selu_constants()
    contraction = float(moment_jacobian(curve("selu"))[1, 1])
    last = at_start(chosen.layers).merge(chosen.runs[["run_id", "depth"]], on="run_id")
    last = last[last["layer"] == last["depth"]]
    depth = int(last["depth"].max())
    factors = at_start(decay(chosen))
    evidence: list[Evidence] = [
        computed("α", alpha, ALPHA, CONSTANT_OFF), computed("λ", scale, SCALE, CONSTANT_OFF),
        computed("contraction of the variance", contraction, CONTRACTION, 1e-4, "recalled"),
        bounded(f"depth {depth}: |mean| of outputs", last["a_mean"].abs(), "below", MOMENT_OFF),
        bounded(f"depth {depth}: |variance − 1| of outputs", (last["a_var"] - 1).abs(), "below", MOMENT_OFF),
        mean_near(
            f"depth {depth}: factor of ‖delta‖ a layer", factors["factor"], growth, "derived",
            within=GROWTH_OFF,
        ),
    ]  # fmt: skip
    return decide(evidence, "")


# Explosion under batch normalisation ------------------------------------------------------------------------

PRINTED = {"relu": 1.46694}  # π/(π − 1): Arpit et al. 2016, section 3.4


@CLAIMS
@needs("delta_log10")
@rule(lambda within, **_: f"λ within {100 * within:g} %")
def L11_batch_norm(records: Records, *, within: float = 0.02, examples: int = 512) -> Verdict:
    """With batch normalisation before every activation the gradient explodes, by E f'²/Var f a layer squared.

    Measured: At the start, for each activation: the factor of ‖delta‖² a layer towards the input, by least
    squares of its log over the hidden layers but the first (whose inputs are not a layer's outputs).

    Nuance: λ ≥ 1 for every activation, and 1 only for a linear one: no size of the weights changes it. For
    sigmoid, which loses 94 % a layer without normalisation, it is 1.034.

    Source: Yang et al. 2019; Arpit et al. 2016 (ReLU's 1.467, which is of the squared norm); the form for any
    activation is derived here.
    """
    chosen = only(records, norm=[norm for norm in records.runs["norm"].unique() if norm.startswith("batch")])
    if chosen.runs["depth"].min() < 4:
        raise Undecided("too few layers for a factor", "depth: 4 or more")
    growth = _growth(chosen)
    evidence: list[Evidence] = []
    for text, values in growth.groupby("activation", sort=False)["growth"]:
        act = curve(text)
        theory = batch_norm_growth(act, examples if is_homogeneous(act) else None)
        name = f"{text}: growth of ‖delta‖² a layer"
        evidence.append(mean_near(name, values, theory, "derived", within=within * theory))
        if text in PRINTED:
            printed = PRINTED[text]
            evidence.append(mean_near(f"{name}, large batch", values, printed, within=within * printed))
    return decide(evidence, "growth a layer")


def _growth(records: Records) -> pd.DataFrame:
    """run_id, activation, growth: the factor of ‖delta‖² a layer over hidden layers 2 … depth."""
    rows = at_start(records.layers).merge(records.runs[["run_id", "activation", "depth"]], on="run_id")
    rows = rows[(rows["layer"] > 1) & (rows["layer"] <= rows["depth"])]
    slopes = rows.groupby("run_id").apply(
        lambda each: 10 ** (-2 * np.polyfit(each["layer"], each["delta_log10"], 1)[0]), include_groups=False
    )
    return records.runs[["run_id", "activation"]].assign(growth=records.runs["run_id"].map(slopes))
