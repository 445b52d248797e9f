"""Normalisation: shattered gradients, SELU's fixed point, the explosion under batch normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from experiments.analysis.ratios import at_start, decay
from experiments.claims.comparison import (
    Compared,
    bounded,
    by_seed,
    computed,
    given,
    mean_near,
)
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.ensembles import Passed, backward, forward, mean_cosine, networks
from experiments.claims.settings import alike, of_runs, only
from experiments.claims.verdict import Undecided, Verdict, decide, decide_parts, enough_seeds
from experiments.theory.closed_forms import (
    batch_norm_growth,
    is_homogeneous,
    kappa_0,
    kappa_1,
    moment_jacobian,
    selu_constants,
)
from mlp.activations import activation as curve
from mlp.registry import Positive, Within
from mlp.streams import stream

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# Shattered gradients ----------------------------------------------------------------------------------------

EXAMPLES = 64  # independent inputs
VECTORS = 16  # that are fed back from the top: one alone scatters as much as the networks
# How far off may be: log₂ per layer; a plain cosine (a share); co-activation, normalised and plain (a share).
SLOPE_OFF, PRODUCT_OFF, TOGETHER_OFF, ON_OFF = 0.1, 0.2, 0.02, 0.05


@CLAIMS
@rule(
    lambda slope: (
        f"mean cosine over seeds: log₂ {slope:g} ± {SLOPE_OFF:g} per layer with batch normalisation, "
        f"without it within {100 * PRODUCT_OFF:g} % of Π κ₀(ρ)".replace("-", "−")
    )
)
def L09_shattering(records: Records, *, slope: Annotated[float, Within(-100, 100)] = -1.0) -> Verdict:
    """Gradients of different inputs become unlike with depth: by half per layer only with normalisation.

    Measured: At the start of ReLU networks under He's initialisation, for 64 independent inputs and 16
    vectors fed back from the top: the mean cosine between two inputs' delta after so many layers; and beside
    it how often two inputs switch on the same unit.

    Nuance: The often quoted 2^−L takes units to be switched on independently, which only normalisation makes
    true. A plain network makes its inputs alike instead, and their gradients part as L^−3. The product is
    that of infinite width.

    Source: Balduzzi et al. 2017 (as told by others); the exact product is derived here.
    """
    enough_seeds(records.runs)
    settings = list(by_seed(records, ["norm", "depth"], _likeness))
    evidence: list[Compared] = []
    for (norm, depth), found in settings:
        cosines, together = (np.array([each[i] for each in found]) for i in (0, 1))
        compare = _normalised if norm.startswith("batch") else _plain
        evidence += compare(cosines, together, depth, slope, len(settings))
    return decide(evidence)


def _likeness(run: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return from the top layer on the mean cosine of two inputs' delta, and the share of units both use."""
    rng = stream(run.seed, "inputs")
    x, vectors = rng.standard_normal((EXAMPLES, run.width)), rng.standard_normal((VECTORS, run.width))
    norm = "batch(eps=0)" if run.norm.startswith("batch") else "none"
    net = networks(run, (run.width, *[run.width] * run.depth, 2), 1, norm=norm)
    passed = list(forward(net, x))
    fed = (backward(net, passed, np.broadcast_to(v, (1, EXAMPLES, run.width))) for v in vectors)
    cosines = np.mean([[mean_cosine(delta[0]) for delta in deltas] for deltas in fed], axis=0)
    return cosines, np.array([_both_on(p) for p in passed[::-1]])


def _both_on(layer: Passed) -> float:
    on = (layer.z[0] > 0).astype(float)
    n = len(on)
    pairs = np.square(on.sum(axis=0)).sum() - on.sum()
    return float(pairs / (n * (n - 1) * on.shape[1]))


def _normalised(
    cosines: np.ndarray, together: np.ndarray, depth: int, slope: float, comparisons: int
) -> list[Compared]:
    name, layers = f"batch normalisation, {depth} layers", np.arange(depth)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log2(cosines)
    falls = [np.polyfit(layers, each, 1)[0] if np.isfinite(each).all() else np.nan for each in logs]
    cosine, units = f"{name}: log₂ of the cosine per layer", f"{name}: units on for both inputs"
    fall = mean_near(cosine, falls, slope, SLOPE_OFF, "account", comparisons=comparisons)
    return [fall, *given("aside", [mean_near(units, together.mean(axis=1), 0.25, TOGETHER_OFF, "account")])]


def _plain(
    cosines: np.ndarray, together: np.ndarray, depth: int, _: float, comparisons: int
) -> list[Compared]:
    rho, product, on = 0.0, 1.0, 0.25
    for _layer in range(depth):
        product *= float(kappa_0(rho))
        on = float(kappa_0(rho)) / 2
        rho = float(kappa_1(rho))
    name = f"plain, {depth} layers: cosine of two inputs' delta in the first layer"
    units = f"plain, {depth} layers: units of the last layer on for both inputs"
    cosine = mean_near(
        name, cosines[:, -1], product, PRODUCT_OFF, "derived", relative=True, comparisons=comparisons
    )
    return [cosine, *given("aside", [mean_near(units, together[:, 0], on, ON_OFF, "derived", relative=True)])]


# SELU -------------------------------------------------------------------------------------------------------

ALPHA, SCALE = 1.6732632423543778, 1.0507009873554805  # getSELUparameters.ipynb of the authors
CONSTANT_OFF = 1e-12  # how far off α and λ may be, as a share
MOMENT_OFF, GROWTH_OFF = 0.1, 0.01  # how far off the mean and the variance may be, and the growth a layer
CONTRACTION, CONTRACTION_OFF = 0.782648, 1e-4  # dν'/dν at the fixed point, appendix of the paper; as a share


@CLAIMS
@needs("a_mean", "a_var", "delta_norm")
@rule(
    f"|mean| < {MOMENT_OFF:g} and |variance − 1| < {MOMENT_OFF:g} in the last layer; growth per layer "
    f"{{growth:g}} ± {GROWTH_OFF:g}, the mean over seeds"
)
def L10_selu(records: Records, *, growth: Positive = 1.0352) -> Verdict:
    """A hundred layers of SELU keep mean 0 and variance 1, and their gradients grow only slowly.

    Measured: Mean and variance of the outputs of the last hidden layer, and the factor of ‖delta‖ per layer
    towards the input. As checks, SELU's constants and its contraction at the fixed point, from its
    definition.

    Nuance: Self-normalising is the signal, not the gradient: that one explodes, by 3.5 % per layer, a factor
    of thirty over a hundred layers.

    Source: Klambauer, Unterthiner, Mayr & Hochreiter 2017; the growth is derived here.
    """
    chosen = only(records, activation="selu")
    alike(chosen.runs, ["depth"], "depth")
    depth = int(chosen.runs["depth"].max())
    if depth < 2:
        raise Undecided("one layer has no factor from layer to layer", "depth: 100")
    runs, start = chosen.runs[chosen.runs["depth"] == depth], at_start(chosen.layers)
    mean, variance = (of_runs(runs, start[start["layer"] == depth], column) for column in ("a_mean", "a_var"))
    factors = of_runs(runs, at_start(decay(chosen)), "factor")
    name = f"depth {depth}"
    evidence = [
        bounded(f"{name}: |mean| of outputs", mean.abs(), "below", MOMENT_OFF, "threshold"),
        bounded(f"{name}: |variance − 1| of outputs", (variance - 1).abs(), "below", MOMENT_OFF, "threshold"),
        mean_near(f"{name}: factor of ‖delta‖ per layer", factors, growth, GROWTH_OFF, "derived"),
    ]
    return decide_parts([*evidence, *given("check", _selu_constants())])


def _selu_constants() -> list[Compared]:
    alpha, scale = selu_constants()
    contraction = float(moment_jacobian(curve("selu"))[1, 1])
    return [
        computed("α", alpha, ALPHA, CONSTANT_OFF, "source"),
        computed("λ", scale, SCALE, CONSTANT_OFF, "source"),
        computed("contraction of the variance", contraction, CONTRACTION, CONTRACTION_OFF, "recalled"),
    ]


# Explosion under batch normalisation ------------------------------------------------------------------------

PRINTED = {"relu": 1.47}  # Arpit et al. 2016, section 3.4: π/(π − 1) = 1.46694, in three digits
FEWEST_LAYERS = 4  # that a factor is fitted to


@CLAIMS
@needs("delta_log10")
@rule(lambda within, **_: f"growth within {100 * within:g} % of λ, the mean over seeds")
def L11_batch_norm(
    records: Records, *, within: Positive = 0.02, examples: Annotated[int, Within(4, 1_000_000)] = 512
) -> Verdict:
    """With batch normalisation before activations the squared gradient grows by λ = E f'²/Var f per layer.

    Measured: At the start, for each activation: the factor of ‖delta‖² per layer towards the input, by least
    squares of its log over the hidden layers but the first (whose inputs are not a layer's outputs). λ of
    ReLU and the like is that of a batch of `examples` 512.

    Nuance: λ ≥ 1 for every activation, and 1 only for a linear one: no size of the weights changes it. For
    sigmoid, which loses 94 % per layer without normalisation, it is 1.034.

    Source: Yang et al. 2019; Arpit et al. 2016 (ReLU's 1.47, which is of the squared norm); the form for any
    activation is derived here.
    """
    chosen = records.of(records.runs.loc[records.runs["norm"].str.startswith("batch"), "run_id"])
    if not len(chosen.runs):
        raise Undecided("no run with batch normalisation", "norm: batch")
    alike(chosen.runs, ["activation"], "activation")
    if chosen.runs["depth"].min() < FEWEST_LAYERS:
        raise Undecided("too few layers for a factor", f"depth: {FEWEST_LAYERS} or more")
    groups = list(_growth(chosen).groupby("activation", sort=False)["growth"])
    evidence, many = [], len(groups) + sum(text in PRINTED for text, _ in groups)
    for text, values in groups:
        act = curve(text)
        theory = batch_norm_growth(act, examples if is_homogeneous(act) else None)
        name = f"{text}: growth of ‖delta‖² per layer"
        known = {"derived": theory} | ({"source": PRINTED[text]} if text in PRINTED else {})
        evidence += [
            mean_near(
                name if tag == "derived" else f"{name}, large batch", values, number, within, tag,
                relative=True, comparisons=many,
            )
            for tag, number in known.items()
        ]  # fmt: skip
    return decide(evidence)


def _growth(records: Records) -> pd.DataFrame:
    """Return run_id, activation and growth: the factor of ‖delta‖² per layer over hidden layers 2 … depth."""
    rows = at_start(records.layers).merge(records.runs[["run_id", "activation", "depth"]], on="run_id")
    rows = rows[(rows["layer"] > 1) & (rows["layer"] <= rows["depth"])]
    slopes = rows.groupby("run_id").apply(_factor, include_groups=False)
    return records.runs[["run_id", "activation"]].assign(growth=records.runs["run_id"].map(slopes))


def _factor(rows: pd.DataFrame) -> float:
    """Return the factor of the squared norm per layer towards the input; NaN where a norm is not finite."""
    logs = rows["delta_log10"]
    if len(logs) < 2 or not np.isfinite(logs).all():
        return float("nan")
    with np.errstate(over="ignore", under="ignore"):
        return float(10 ** (-2 * np.polyfit(rows["layer"], logs, 1)[0]))
