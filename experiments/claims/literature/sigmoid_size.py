"""How much of the gradient sigmoid passes back with larger weights, and at most with any weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.claims.comparison import Compared, bounded, computed, given, mean_near, near
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.settings import at_layers, only, weight_and_bias
from experiments.claims.verdict import Undecided, Verdict, decide_parts
from mlp.activations import activation as curve
from mlp.registry import parse_call

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# Sigmoid with larger weights --------------------------------------------------------------------------------

FOUR_TIMES = 16.0  # σ_w² of weights four times as large
FACTORS = (0.5059, 0.6172, 0.6298, 0.6313)  # of ‖delta‖ from layer 2 to 1, 3 to 2, …; inputs of mean square 1
AT_THE_POINT, PLAIN_POINT = 0.6316, 0.2361  # √χ at q*, with σ_w² = 16 and 1
FOUR_OFF = 0.02


@CLAIMS
@needs("delta_norm", "delta_log10", varies=("init",))
@rule(f"mean factors over seeds within {100 * FOUR_OFF:g} % of √χ")
def L23_four_times(records: Records) -> Verdict:
    """Weights four times as large, as old tutorials draw them for sigmoid, lose 37 % of the gradient per
    layer, not 76 %.

    Measured: At the start of sigmoid networks: the factor of ‖delta‖ from each of layers 2 to 5 to the one
    below, and from there to the last hidden layer the factor per layer, with weights of variance 16/n_in and,
    as a control, of 1/n_in.

    Nuance: It helps and does not heal: through ten layers 1.2 % of the gradient arrives instead of two
    millionths. Nothing vanishes at variance 103/n_in, where sigmoid is critical.

    Source: the factor 4 as in the code of the Theano tutorial on multilayer perceptrons; Glorot & Bengio 2010
    for the size that it multiplies. The factors are derived here.
    """
    chosen = only(records, activation="sigmoid")
    by_size = {
        round(weight_and_bias(rows.iloc[0])[0], 6): _factors(only(chosen, init=init))
        for init, rows in chosen.runs.groupby("init")
    }
    if FOUR_TIMES not in by_size or 1.0 not in by_size:
        raise Undecided(
            "weights of variance 16/n_in and of 1/n_in are compared",
            "init: [lecun_normal, scaled_normal(gain=4)]",
        )
    large, plain = by_size[FOUR_TIMES], by_size[1.0]
    if large.shape[1] < len(FACTORS) + 2:
        raise Undecided("too few layers", "depth: [10]")
    evidence = [
        mean_near(f"σ_w² = 16: factor of ‖delta‖ from layer {i + 2} to {i + 1}", large[:, i], known, FOUR_OFF,
                  "derived", relative=True, comparisons=5)
        for i, known in enumerate(FACTORS)
    ]  # fmt: skip
    for size, factors, known in (("16", large, AT_THE_POINT), ("1", plain, PLAIN_POINT)):
        deep = np.exp(np.log(factors[:, len(FACTORS) :]).mean(axis=1))
        name = f"σ_w² = {size}: factor per layer further up"
        evidence.append(mean_near(name, deep, known, FOUR_OFF, "derived", relative=True, comparisons=5))
    *own, control = evidence
    return decide_parts([*own, *given("control", [control])])


def _factors(records: Records) -> np.ndarray:
    """Return (seeds, depth − 1) factors of ‖delta‖ from hidden layer l + 1 to l."""
    rows = at_layers(records, "delta_log10")
    rows = rows[rows["layer"] <= rows["depth"]]
    logs = rows.sort_values(["seed", "layer"])["delta_log10"].to_numpy().reshape(rows["seed"].nunique(), -1)
    return np.asarray(10 ** (logs[:, :-1] - logs[:, 1:]))


# One unit per layer -----------------------------------------------------------------------------------------

MOST_AT, MOST = 1.54340464, 0.22387160  # z·tanh(z/2) = 1, and z·f'(z) there: z f'(z) = (w f'(w y))·y
UNIT_OFF = 1e-6
BEST_OFF = 1e-4  # the weight of the config is given in seven digits
BELOW_ONE = 4.0  # |w| under which no factor reaches 1: 1/f'(0)
SETTLED = 5  # layers after which every input gives the same output, as far as is seen here


@CLAIMS
@needs("delta_norm", "delta_log10", "a_mean", varies=("init",))
@rule(f"every factor times the input at most {MOST:.6f}, and every factor below 1 where |w| < {BELOW_ONE:g}")
def L24_one_unit(records: Records) -> Verdict:
    """No weight makes a sigmoid unit pass back more than 0.2239 over its input, and none below 4 as much as
    it gets.

    Measured: In chains of one sigmoid unit per layer without biases, all of the same weight w: the factor |w
    f'(w y)| of the gradient from a layer to the one below, times the input y of the unit, its largest value
    over all weights; the same at the weight that makes it largest; and the largest factor where |w| < 4. As
    checks: where z·f'(z) is largest, and how large, by computation.

    Nuance: Larger weights do not help, since the slope falls faster than the weight grows. Only many units
    per layer, whose signals add up, pass back more: this is the bound of one path.

    Source: Hochreiter 1991, and Hochreiter, Bengio, Frasconi & Schmidhuber 2001, section 2 (w = coth(z/2)/y,
    and 4.0); the values are derived here. Weights are not drawn: the seeds are equal.
    """
    chosen = only(records, activation="sigmoid", width=1)
    factors = _chain(chosen)
    product = factors.assign(product=factors["factor"] * factors["input"])
    small = factors[factors["weight"].abs() < BELOW_ONE]
    if not len(small) or len(small) == len(factors):
        raise Undecided(
            "weights on both sides of 4 are compared", "init: constant(value=1) and constant(value=6)"
        )
    away = (product["weight"] * product["input"] - MOST_AT).abs().fillna(np.inf)
    best = product.loc[away.groupby(product["seed"]).idxmin()]
    seeds = np.sort(chosen.runs["seed"].unique())  # one that was lost has no value
    most = product.groupby("seed")["product"].max().reindex(seeds)
    largest = small.groupby("seed")["factor"].max().reindex(seeds)
    top, name = MOST * (1 + UNIT_OFF), "factor times input"
    evidence = [
        bounded(f"{name}, largest over weights", most, "below", top, "derived"),
        near(f"{name} at the best weight", best["product"], MOST, BEST_OFF, "derived", relative=True),
        bounded(f"factor, largest where |w| < {BELOW_ONE:g}", largest, "below", 1.0, "source"),
    ]
    return decide_parts([*evidence, *given("check", _largest())])


def _chain(records: Records) -> pd.DataFrame:
    """Return weight, seed, factor and input for each layer that is settled."""
    rows = at_layers(records, "delta_log10", "a_mean")
    rows["weight"] = [parse_call(text)[1].get("value", 0.1) for text in rows["init"]]
    rows = rows.sort_values(["run_id", "layer"])
    by_run = rows.groupby("run_id")
    rows["factor"] = 10 ** (rows["delta_log10"] - by_run["delta_log10"].shift(-1))
    rows["input"] = by_run["a_mean"].shift(1)
    inside = (rows["layer"] > SETTLED) & (rows["layer"] < rows["depth"])
    return rows.loc[inside, ["weight", "seed", "factor", "input"]]


def _largest() -> list[Compared]:
    """Compute where |z f'(z)| is largest, on a fine grid and then a parabola through its top."""
    sigmoid = curve("sigmoid")
    z = np.linspace(1.0, 2.0, 2001)
    values = z * sigmoid.slope_at(z)
    top = int(values.argmax())
    a, b, c = np.polyfit(z[top - 1 : top + 2] - z[top], values[top - 1 : top + 2], 2)
    at = z[top] - b / (2 * a)
    slope_of_middle = float(sigmoid.slope_at(np.zeros(1))[0])
    return [
        computed("where z·f'(z) is largest", at, MOST_AT, UNIT_OFF, "derived"),
        computed(
            "its largest value", float(at * sigmoid.slope_at(np.array([at]))[0]), MOST, UNIT_OFF, "derived"
        ),
        computed("1/f'(0)", 1 / slope_of_middle, BELOW_ONE, UNIT_OFF, "source"),
    ]
