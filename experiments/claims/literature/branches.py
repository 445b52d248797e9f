"""Skip connections: tanh's slow explosion, and the branch that batch normalisation holds at one size."""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.claims.comparison import bounded, by_seed, computed, given, mean_near
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.ensembles import forward, networks
from experiments.claims.settings import at_layers, only, weight_and_bias
from experiments.claims.verdict import Undecided, Verdict, decide_parts, enough_seeds
from experiments.theory.gaussian import mean, slope_of, squared
from mlp.activations import activation as curve
from mlp.streams import stream

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# tanh -------------------------------------------------------------------------------------------------------

RATE = 4 / 3 * sqrt(2 / pi)  # ln growth of the squared gradient is RATE σ_w √depth, to first order in √depth
FROM, TO = 100, 400  # layers between which the slope is taken
FAR, LIMIT_OFF = 6400, 0.02  # layers at which the recursion is near its limit, and how near, as a share
SLOPE_OFF, SIZE_OFF = 0.05, 0.1  # how far off the slope and p/ℓ may be, as a share


@CLAIMS
@needs("delta_log10", "slope_rms", "z_rms", varies=("init",))
@rule(
    f"mean over seeds: the slope on √layer within {100 * SLOPE_OFF:g} % of the recursion's, for each size of "
    "the weights"
)
def L17_tanh_skips(records: Records) -> Verdict:
    """With skip connections the log of tanh's gradient grows with the square root of the depth only.

    Measured: At the start of tanh networks whose blocks are x + tanh(W x): the slope of the log of the
    squared gradient that reaches a block's output, from layer 100 to layer 400, on the square root of the
    layer; beside the slope of the mean-field recursion between the same layers, for each weight size. As
    checks: the mean square of the signal over the layer, which tends to 1, and the recursion's slope much
    further up beside its limit (4/3)√(2/π) σ_w.

    Nuance: A hundred times as many layers cost only ten times the exponent, which still is a factor of 10⁸ in
    the squared gradient at four hundred layers with He's size. The limit is not yet reached there: the slope
    is about 3 % above it.

    Source: Yang & Schoenholz 2017, whose abstract has "subexponential"; the constant is derived here.
    """
    chosen = only(records, activation="tanh", residual=1.0)
    if chosen.runs["depth"].max() < TO:
        raise Undecided(f"no network of {TO} layers", f"depth: [{TO}]")
    deep = only(chosen, depth=int(chosen.runs["depth"].max()))
    settings = [only(deep, init=init) for init in deep.runs["init"].unique()]
    evidence, checks = [], []
    for each in settings:
        weight, _ = weight_and_bias(each.runs.iloc[0])
        p, slope = _recursion(weight, TO)
        size, many = f"σ_w² = {weight:.3g}", len(settings)
        name = f"{size}, layers {FROM} to {TO}: slope of ln ‖gradient‖² on √layer"
        evidence.append(
            mean_near(name, _slopes(each), slope, SLOPE_OFF, "derived", relative=True, comparisons=many)
        )
        name, sizes = f"{size}, layer {TO}: mean square of the signal over the layer", _sizes(each, weight)
        far, limit = _recursion(weight, FAR)[1], RATE * sqrt(weight)
        checks += [
            mean_near(name, sizes, p / TO, SIZE_OFF, "derived", relative=True),
            computed(f"{size}: the recursion's slope at {FAR} layers", far, limit, LIMIT_OFF, "derived"),
        ]
    return decide_parts([*evidence, *given("check", checks)])


def _recursion(weight: float, depth: int) -> tuple[float, float]:
    """Return the mean square p of the signal at layer `depth`, and the slope from a quarter of it on √layer.

    p' = p + E tanh²(√q Z), q = σ_w² p; the squared gradient grows by 1 + σ_w² E tanh'² per layer.
    """
    tanh = curve("tanh")
    grid = np.geomspace(0.05, 4.0 * depth * weight, 400)
    gains = np.array([float(mean(squared(tanh.f), q, tanh.kinks)) for q in grid])
    slopes = np.array([float(mean(squared(slope_of(tanh)), q, tanh.kinks)) for q in grid])
    total, logs = 0.0, [0.0]
    p = float(np.interp(weight, grid, gains))  # the first layer has no skip
    for _ in range(1, depth):
        q = weight * p
        total += float(np.log1p(weight * np.interp(q, grid, slopes)))
        logs.append(total)
        p += float(np.interp(q, grid, gains))
    layers = np.arange(1, depth + 1)
    inside = layers >= depth // 4
    return p, float(np.polyfit(np.sqrt(layers[inside]), np.array(logs)[inside], 1)[0])


def _slopes(records: Records) -> list[float]:
    """Return by seed the slope of ln ‖gradient at a block's output‖² on √layer: downwards it grows."""
    rows = at_layers(records, "delta_log10", "slope_rms")
    inside = rows[(rows["layer"] >= FROM) & (rows["layer"] <= TO) & (rows["layer"] < rows["depth"])]
    logs = -2 * (inside["delta_log10"] * np.log(10) - np.log(inside["slope_rms"]))
    parts = inside.assign(log=logs, root=np.sqrt(inside["layer"])).groupby("seed")
    return [float(np.polyfit(each["root"], each["log"], 1)[0]) for _, each in parts]


def _sizes(records: Records, weight: float) -> pd.Series:
    """Return by run the mean square of the signal that enters layer TO, over TO."""
    rows = at_layers(records, "z_rms")
    return rows.loc[rows["layer"] == TO, "z_rms"] ** 2 / weight / TO


# The normalised branch --------------------------------------------------------------------------------------

PER_BLOCK = 1 - 1 / pi  # variance of √2 · relu(Z)
ADDED_OFF = 0.03  # how far off it may be, as a share
EXCESS = 1.5  # what the whole signal may be of the sum over blocks and still have grown by addition
DOUBLES = 2.0
EXAMPLES = 256


@CLAIMS
@rule(
    f"with batch normalisation a branch's variance is {PER_BLOCK:.4f} ± {100 * ADDED_OFF:g} %, the mean over "
    f"seeds, and the signal's below {EXCESS:g} times their sum; without, each block at least doubles it"
)
def L18_normalised_branch(records: Records) -> Verdict:
    """Batch normalisation in the branch makes a residual network's signal grow by addition, not by doubling.

    Measured: At the start of networks of blocks x + √2·relu(W x), for 256 independent inputs: the variance
    over inputs of what a branch adds, a mean over units and blocks; that of the whole signal after the last
    block, over the sum of what the branches add; and without normalisation the factor per block on that
    variance.

    Nuance: Block ℓ adds a share of about 1/ℓ to the signal, so that deep networks are nearly the identity
    block by block. The whole is a fifth more than the sum after twenty blocks: a branch that ends in ReLU
    passes on how large its input is, with the same sign in every unit, and these parts add up. The paper's
    branches end in a matrix, which makes their signs random.

    Source: De & Smith 2020, whose abstract has the branch smaller "on the order of the square root of the
    network depth"; 1 − 1/π is derived here.
    """
    enough_seeds(records.runs)
    settings = {
        norm.partition("(")[0]: found for (norm,), found in by_seed(records, ["norm"], _through_blocks)
    }
    if set(settings) != {"batch", "none"}:
        raise Undecided("networks with and without batch normalisation are compared", "norm: [batch, none]")
    branch, signal = (np.array([each[i] for each in settings["batch"]]) for i in (0, 1))
    alone = np.array([each[1] for each in settings["none"]])
    factors = (alone[:, -1] / alone[:, 0]) ** (1 / (alone.shape[1] - 1))
    sums, parts = signal[:, 0] + branch[:, 1:].sum(axis=1), branch[:, 1:].mean(axis=1)
    normed, bare = "batch normalisation: variance", "no normalisation: factor of the variance per block"
    evidence = [
        mean_near(f"{normed} that a branch adds", parts, PER_BLOCK, ADDED_OFF, "derived", relative=True),
        bounded(f"{normed} of the signal over that sum", signal[:, -1] / sums, "below", EXCESS, "threshold"),
        bounded(bare, factors, "above", DOUBLES, "threshold"),
    ]
    return decide_parts(evidence)


def _through_blocks(run: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return by block the variance over inputs of what it adds, and of its output, a mean over units."""
    width, x = int(run.width), stream(run.seed, "inputs").standard_normal((EXAMPLES, int(run.width)))
    norm = "batch(eps=0)" if run.norm.startswith("batch") else "none"
    net = networks(run, (width, *[width] * run.depth, 2), 1, norm=norm, residual=run.residual)
    signal, added, variances = np.zeros((EXAMPLES, width)), [], []
    for layer in forward(net, x):
        part = layer.a[0] * (run.residual if added else 1.0)  # the first layer has no skip past it
        signal = signal + part
        added.append(float(part.var(axis=0).mean()))
        variances.append(float(signal.var(axis=0).mean()))
    return np.array(added), np.array(variances)
