"""Ways to draw weights that have a formula of their own: critical, mirrored, without drift, standardised."""

from __future__ import annotations

from math import exp, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.claims.comparison import (
    Compared,
    by_seed,
    computed,
    given,
    mean_near,
    near,
)
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.ensembles import backward, forward, networks
from experiments.claims.settings import at_layers, only, start_ratios, weight_and_bias
from experiments.claims.verdict import Undecided, Verdict, decide_parts, enough_seeds
from experiments.theory.critical import half_stable
from mlp.activations import activation as curve
from mlp.initialisers import weight_variance
from mlp.registry import Count, Positive, Share, parse_call
from mlp.streams import stream

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records


# Critical points of GELU and SiLU ---------------------------------------------------------------------------

# σ_w², σ_b² and q* at which χ = 1 and dq'/dq = 1. The first two of GELU and the first of SiLU are printed in
# several codes that follow the book; (3 + √17)/2 is GELU's q* in closed form.
PRINTED = {"gelu": (1.98305826, 0.17292239), "silu": (1.98800468, 0.055514317)}
DERIVED_Q = {"gelu": (3 + sqrt(17)) / 2, "silu": 14.3201723}
DERIVED_SILU_BIAS = 0.55514314
POINT_OFF = 1e-6  # how far off a constant may be, as a share
KEPT_OFF = 0.4  # how far off q and ‖delta‖² may be after all layers, as a share


@CLAIMS
@needs("delta_norm", "delta_log10", "z_rms", varies=("activation",))
@rule(
    lambda within: f"mean over seeds: q and ‖delta‖² change by less than {100 * within:g} % over all layers"
)
def L15_half_stable(records: Records, *, within: Share = KEPT_OFF) -> Verdict:
    """At their critical points, which have biases, GELU and SiLU keep signal and gradient for thirty layers.

    Measured: At the start, for both activations at their critical weights and biases, with inputs of such
    size that layer 1 stands at the fixed point: the mean square of z in the last hidden layer over that in
    the first, and ‖delta‖² in the first over that in the last. As checks: the critical point by quadrature
    beside the printed one.

    Nuance: One code prints a bias variance of SiLU that is ten times too small. The point is half-stable, but
    so nearly stable that no network of this width shows it: 30 % away from it on either side, q comes back by
    less than 1 % in thirty layers. Right at the point GELU is attracted from above and repelled from below,
    SiLU the other way round.

    Source: Roberts, Yaida & Hanin 2022, section 5.3.4, as codes that follow it print the constants; q* is
    derived here.
    """
    evidence: list[Compared] = []
    for text in PRINTED:
        chosen = only(records, activation=text)
        evidence += _kept(chosen, text, within)
    checks = [e for text in PRINTED for e in _point(text)]
    code = computed(
        "silu: σ_b² as one code prints it", _half_stable("silu")[1], PRINTED["silu"][1], 1e-6, "account"
    )
    return decide_parts([*evidence, *given("check", checks), *given("aside", [code])])


def _half_stable(text: str) -> tuple[float, float, float]:
    found = half_stable(text)
    return found if found else (float("nan"),) * 3


def _point(text: str) -> list[Compared]:
    weight, bias, q = _half_stable(text)
    known_bias, tag = (DERIVED_SILU_BIAS, "derived") if text == "silu" else (PRINTED[text][1], "account")
    return [
        computed(f"{text}: σ_w²", weight, PRINTED[text][0], POINT_OFF, "account"),
        computed(f"{text}: σ_b²", bias, known_bias, POINT_OFF, "derived" if tag == "derived" else "account"),
        computed(f"{text}: q*", q, DERIVED_Q[text], POINT_OFF, "derived"),
    ]


def _kept(records: Records, text: str, within: float) -> list[Compared]:
    """Compare q in the last hidden layer with the first, and ‖delta‖² the other way, with 1."""
    run = records.runs.iloc[0]
    weight, bias, _ = _half_stable(text)
    if not np.allclose(weight_and_bias(run), (weight, bias), rtol=1e-3):
        raise Undecided(f"{text} is not at its critical point", "init and bias: those of the shipped config")
    rows = at_layers(records, "z_rms")
    first, last = (rows[rows["layer"] == layer].set_index("seed")["z_rms"] for layer in (1, run["depth"]))
    logs = start_ratios(records)["log"]
    name = f"{text}, {run['depth']} layers"
    return [
        mean_near(
            f"{name}: q of the last over the first",
            (last / first) ** 2,
            1.0,
            within,
            "derived",
            comparisons=4,
        ),
        mean_near(
            f"{name}: ‖delta‖² of the first over the last",
            np.exp(2 * logs),
            1.0,
            within,
            "derived",
            comparisons=4,
        ),
    ]


# Mirrored weights -------------------------------------------------------------------------------------------

EXACT = 1e-12  # how far off singular values of 1 may be: rounding of twenty products


@CLAIMS
@needs("end_to_end_largest", "end_to_end_smallest", varies=("init",))
@rule(f"every seed's singular values within {EXACT:g} of 1")
def L19_mirrored(records: Records) -> Verdict:
    """With mirrored orthogonal weights a deep ReLU network is exactly linear at first: an isometry.

    Measured: At the start, the largest and the smallest singular value of the Jacobian from the input to the
    logits, a mean over examples, at every depth.

    Nuance: Half of the units are the negatives of the other half, so that a layer of n units passes n/2
    numbers on. Under He's and under orthogonal weights the same ReLU networks are far from it. Training ends
    it with the first update that treats a unit and its mirror image differently.

    Source: Balduzzi et al. 2017 ("looks linear"); Burkholz & Dubatovka 2019. The numbers follow exactly.
    """
    chosen = only(records, init=["mirrored"], activation="relu")
    rows = at_layers(chosen, "end_to_end_largest", "end_to_end_smallest")
    rows = rows[rows["layer"] == 1]
    evidence = [
        near(f"depth {depth}: {words} singular value", each[f"end_to_end_{words}"], 1.0, EXACT, "derived")
        for depth, each in rows.groupby("depth")
        for words in ("largest", "smallest")
    ]
    return decide_parts(evidence)


# Random walk ------------------------------------------------------------------------------------------------

WALK_OFF = 0.3  # how far off the mean of ln(‖delta_1‖/‖delta_depth‖) may be
FITTED_WIDTH = 100  # at which the fitted gain of the published codes is compared
FITTED_OFF = 1e-3


@CLAIMS
@rule(
    lambda within, **_: (
        f"mean ln(‖delta_1‖/‖delta_depth‖) over seeds within {within:g} of theory, with He's weights and "
        "with the larger gain"
    )
)
def L21_random_walk(records: Records, *, within: Positive = WALK_OFF, nets: Count = 20) -> Verdict:
    """He's weights keep the mean square gradient while its usual size decays; a slightly larger gain keeps
    that.

    Measured: In ReLU networks, `nets` 20 of each seed, for one input and one random vector fed back from the
    top: the mean of ln(‖delta_1‖/‖delta_depth‖), beside −5/(4n) per layer under He's weights, and beside 0
    with the gain √2·exp(5/(4n)). As a check: that gain beside the fitted formula of published codes.

    Nuance: The log is a random walk, and the gain stops its drift, not its scatter: at a hundred layers of a
    hundred units single networks still differ by a factor of e either way. The vector is random because a
    loss's own gradient depends on the outputs: where these are large it follows the paths that were strong on
    the way up, and grows on its way down.

    Source: Sussillo & Abbott 2014; their fitted √2·exp(1.2/(max(n, 6) − 2.4)) as two codes have it; the drift
    is derived here.
    """
    enough_seeds(records.runs)
    relus = only(records, activation="relu", init=["he_normal", "random_walk"])
    walks = list(by_seed(relus, ["init", "depth", "width"], lambda run: _walk(run, nets)))
    evidence = []
    for (init, depth, width), found in walks:
        drift = -5 * (depth - 1) / (4 * width) if init == "he_normal" else 0.0
        name = f"{init}, {depth} layers of {width}: mean ln(‖delta_1‖/‖delta_{depth}‖)"
        evidence.append(mean_near(name, found, drift, within, "derived", comparisons=len(walks)))
    ours = sqrt(FITTED_WIDTH * weight_variance("random_walk", FITTED_WIDTH, FITTED_WIDTH, curve("relu")))
    fitted = sqrt(2) * exp(1.2 / (max(FITTED_WIDTH, 6) - 2.4))
    gain = computed(f"gain at {FITTED_WIDTH} units", ours, fitted, FITTED_OFF, "account")
    return decide_parts([*evidence, *given("check", [gain])])


def _walk(run: Any, nets: int) -> float:
    """Return the mean of ln(‖delta_1‖/‖delta_depth‖) of a random vector fed back.

    Over the networks that let anything through.
    """
    rng = stream(run.seed, "inputs")
    width, depth = int(run.width), int(run.depth)
    x, g = rng.standard_normal((2, 1, width))
    net = networks(run, (width, *[width] * depth, 2), nets)
    deltas = list(backward(net, list(forward(net, x)), np.broadcast_to(g, (nets, 1, width))))
    sizes = [np.linalg.norm(delta[:, 0], axis=-1) for delta in (deltas[-1], deltas[0])]
    alive = sizes[0] > 0
    return float(np.log(sizes[0][alive] / sizes[1][alive]).mean()) if alive.any() else float("nan")


# Weight standardisation -------------------------------------------------------------------------------------

GAMMA = 1.7139588594436646  # of ReLU, as the authors' code has it; √(2/(1 − 1/π)) = 1.7128587 is exact
GAMMA_OFF = 1e-3
LAYER_OFF = 0.01  # how far off a factor per layer may be, as a share
ALIKE_OFF = 0.02  # how far off a cosine may be
GROWTH_OFF = 0.02  # how far off the control's factor may be, as a share
STANDARDISED = "weight_standardised"


@CLAIMS
@needs("z_rms", "similarity", varies=("init",))
@rule(
    f"means over seeds: the mean square of z changes by less than {100 * LAYER_OFF:g} % per layer, the "
    f"cosine of two inputs' outputs is 1/π ± {ALIKE_OFF:g}"
)
def L22_standardised(records: Records) -> Verdict:
    """Weights that sum to 0 over each unit's inputs pass on no mean: the signal keeps its size and its
    variety.

    Measured: At the start of ReLU networks, with weights standardised per unit and the gain √(2/(1 − 1/π)):
    the factor of the mean square of z per layer, and the mean cosine between the last hidden layer's outputs
    for two inputs. As a control, the same gain without the standardisation, where the mean square grows by
    π/(π − 1) = 1.467 per layer. As a check: the gain by quadrature beside the authors' constant.

    Nuance: Outputs of ReLU for unrelated inputs have a cosine of 1/π because they are positive; it stays
    there at any depth, where He's weights bring it near 1. It holds before training: these weights are not
    standardised again afterwards, as the paper's are.

    Source: Brock, De & Smith 2021, eq. 3; the constant as in the authors' code, which is 0.06 % above the
    exact value.
    """
    relu = curve("relu")
    width = 256
    ours = sqrt(width * weight_variance(STANDARDISED, width, width, relu))
    check = computed("γ of ReLU", ours, GAMMA, GAMMA_OFF, "source")
    chosen = only(records, activation="relu")
    ours_runs, plain = only(chosen, init=STANDARDISED), _same_gain(chosen, ours)
    rows = at_layers(ours_runs, "similarity")
    last = rows[rows["layer"] == rows["depth"]]
    depth = int(last["depth"].iloc[0])
    size, angle = f"{depth} layers: factor of the mean square of z per layer", last["similarity"]
    name, growth = f"layer {depth}: cosine of two inputs' outputs", np.pi / (np.pi - 1)
    evidence = [
        mean_near(size, _per_layer(ours_runs), 1.0, LAYER_OFF, "derived", comparisons=2),
        mean_near(name, angle, 1 / np.pi, ALIKE_OFF, "derived", comparisons=2),
    ]
    name = "the same gain, not standardised: factor per layer"
    control = mean_near(name, _per_layer(plain), growth, GROWTH_OFF, "derived", relative=True)
    return decide_parts([*evidence, *given("control", [control]), *given("check", [check])])


def _same_gain(records: Records, gain: float) -> Records:
    """Return the runs whose weights are drawn normally with this gain."""
    for text in records.runs["init"].unique():
        name, options = parse_call(text)
        if name == "scaled_normal" and np.isclose(options.get("gain", 0), gain, rtol=1e-4):
            return only(records, init=text)
    raise Undecided(
        "no run has the same gain without standardisation", f"init: [scaled_normal(gain={gain:.6f})]"
    )


def _per_layer(records: Records) -> pd.Series:
    """Return by run the factor of the mean square of z per layer, from the first hidden layer to the last."""
    rows = at_layers(records, "z_rms")
    first, last = (rows[rows["layer"] == at].set_index("run_id") for at in (1, rows["depth"].iloc[0]))
    return (last["z_rms"] / first["z_rms"]) ** (2 / (last["depth"] - 1))
