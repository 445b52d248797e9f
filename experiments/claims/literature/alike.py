"""How alike different inputs become on their way up: correlations of rectifiers, tailored leaks, rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.claims.comparison import Compared, bounded, computed, given, mean_beyond, mean_near
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.evidence import told
from experiments.claims.settings import alike, at_layers, deepest, judged, named, on_edges, only, rates
from experiments.claims.verdict import Undecided, Verdict, decide_parts
from experiments.theory.closed_forms import kappa_1
from experiments.theory.critical import leaky_slope
from mlp.activations import ActivationName
from mlp.registry import Positive, Share, parse_call

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# Depth: cosine of two orthogonal inputs' outputs in ReLU networks, κ₁ iterated; slope of leaky ReLU for 0.9.
RELU_ALIKE = {10: 0.87154, 20: 0.94843, 50: 0.98786, 100: 0.99642, 200: 0.99902}
SLOPES = {20: 0.1814, 50: 0.4305, 100: 0.5704, 200: 0.6796}
KEPT = 0.9
RELU_OFF, KEPT_OFF = 0.015, 0.05
SLOPE_OFF = 5e-4  # how far off a slope that is printed in four digits may be, as a share


@CLAIMS
@needs("similarity", varies=("activation",))
@rule(
    f"mean over seeds: ReLU's cosine ± {RELU_OFF:g} at each depth, {KEPT:g} ± {KEPT_OFF:g} with the tailored "
    "slope"
)
def L20a_likeness(records: Records) -> Verdict:
    """ReLU makes two unrelated inputs nearly the same in twenty layers; a leak set by the depth stops at 0.9.

    Measured: At the start, at the gain that keeps the signal's size: the mean cosine between the outputs for
    two inputs with nothing in common, in ReLU networks after 10 to 100 layers, and in the last layer of leaky
    networks whose slope is the one that theory gives for their depth. As checks: those slopes and cosines
    by iterating the map.

    Nuance: That inputs become alike is a property of the forward map before training; whether a network then
    learns better is L20b's question. The limit law 1 − 9π²/(2ℓ²) is 3.5 times too large at ten layers and
    1.24 times at a hundred. The map is that of infinite width: in single networks of 512 units the
    cosine after a hundred leaky layers lies anywhere from 0.77 to 0.94.

    Source: Zhang, Botev & Martens 2022 for the tailored slope (method as in the authors' code); all numbers
    are derived here.
    """
    relus = at_layers(only(records, activation="relu"), "similarity")
    depths = [depth for depth in RELU_ALIKE if depth <= relus["depth"].max()]
    leaky = _tailored(records)
    comparisons = len(depths) + len(leaky)
    evidence = [
        mean_near(f"relu, layer {depth}: cosine", relus.loc[relus["layer"] == depth, "similarity"],
                  RELU_ALIKE[depth], RELU_OFF, "derived", comparisons=comparisons)
        for depth in depths
    ]  # fmt: skip
    evidence += [
        mean_near(
            f"{text}, layer {depth}: cosine",
            rows["similarity"],
            KEPT,
            KEPT_OFF,
            "derived",
            comparisons=comparisons,
        )
        for (text, depth), rows in leaky.items()
    ]
    return decide_parts([*evidence, *given("check", _maps())])


def _tailored(records: Records) -> dict[tuple[str, int], pd.DataFrame]:
    """Return the last layers of the leaky networks whose slope is theory's for their depth."""
    rows = at_layers(records, "similarity")
    last = rows[(rows["layer"] == rows["depth"]) & rows["activation"].str.startswith("leaky_relu")]
    found = {}
    for (text, depth), each in last.groupby(["activation", "depth"], sort=False):
        slope = parse_call(text)[1].get("slope", 0.01)
        if depth in SLOPES and abs(slope - SLOPES[depth]) < 1e-3:
            found[str(text), int(depth)] = each
    if not found:
        raise Undecided(
            "no leaky network has the slope for its depth",
            f"activation: leaky_relu(slope={SLOPES[50]}), depth: 50",
        )
    return found


def _maps() -> list[Compared]:
    c, known = 0.0, []
    for layer in range(1, max(RELU_ALIKE) + 1):
        c = float(kappa_1(c))
        if layer in RELU_ALIKE:
            known.append(computed(f"relu, layer {layer}: κ₁ iterated", c, RELU_ALIKE[layer], 1e-5, "derived"))
    return known + [
        computed(f"slope for {depth} layers", leaky_slope(depth), slope, SLOPE_OFF, "derived")
        for depth, slope in SLOPES.items()
    ]


@CLAIMS
@needs(varies=("activation", "lr"))
@rule(
    "test accuracy with the tailored slope less that with the usual one, each at its best rate: mean above "
    "{least:g}"
)
def L20b_tailored_slope(
    records: Records,
    *,
    tailored: ActivationName = "leaky_relu(slope=0.4305)",
    usual: ActivationName = "leaky_relu",
    least: Share = 0.0,
) -> Verdict:
    """A plain rectifier network of fifty layers learns better with the leak that keeps its inputs apart.

    Measured: Test accuracy after equal training with the slope that holds two inputs' cosine at 0.9 in fifty
    layers, less that with the slope 0.01, seed by seed, each at the learning rate that is best on other
    seeds.

    Nuance: The paper trains with a second-order optimiser or for far longer; here plain gradient descent on
    the digits has three hundred steps. A slope of 0.43 also makes the network less nonlinear, which this
    comparison does not tell apart.

    Source: Zhang, Botev & Martens 2022; the order is theirs, recalled, and the measure is ours.
    """
    tailored, usual = named(tailored), named(usual)
    chosen = only(records, activation=[tailored, usual])
    alike(chosen.runs, ["activation", "lr"], "activation and learning rate")
    best = judged(chosen, "test_accuracy", ["activation"], larger=True)
    both = best.set_index(["seed", "activation"])["value"].unstack()  # noqa: PD010 - a pivot_table drops NaN
    name = f"test accuracy, {tailored} less {usual}, depth {chosen.runs['depth'].iloc[0]}"
    evidence = mean_beyond(name, both[tailored] - both[usual], "above", least, "recalled")
    remarks = [
        f"{text}: test accuracy {told(both[text])} at lr {rates(best[best['activation'] == text])}."
        for text in both
    ]
    return decide_parts([evidence], remarks=[*remarks, *on_edges(best, ["activation"])])


# Rank -------------------------------------------------------------------------------------------------------

COLLAPSED = 1.5  # directions: what "rank one" stands for


@CLAIMS
@needs("effective_rank", varies=("norm",))
@rule(
    "effective rank of the last layer's outputs: the mean over seeds below {collapsed:g} without batch "
    "normalisation, every seed above √n with it"
)
def L26_rank(records: Records, *, collapsed: Positive = COLLAPSED) -> Verdict:
    """Very many linear layers send all inputs one way; batch normalisation keeps more than √n directions.

    Measured: At the start of linear networks of n units: the effective rank of the last hidden layer's
    outputs over n inputs, with and without batch normalisation.

    Nuance: What matters is depth over width: the second direction of a product of square Gaussian matrices
    falls behind the first by 1/n per layer, so that 150 layers of 32 units show it and of 512 units would
    not. The bound √n is a lower one for the rank; the effective rank is a stricter count.

    Source: Daneshmand, Kohler, Bach, Hofmann & Lucchi 2020, whose abstract says both; the order √n is
    recalled, the number 1.5 is ours.
    """
    linear = only(records, activation="identity")
    norms = linear.runs["norm"].unique()
    if "none" not in norms or not any(norm.startswith("batch") for norm in norms):
        raise Undecided("networks with and without batch normalisation are compared", "norm: [none, batch]")
    rows = at_layers(linear, "effective_rank")
    last = deepest(rows[rows["layer"] == rows["depth"]])
    width, depth = int(last["width"].iloc[0]), int(last["depth"].iloc[0])
    plain = last["norm"] == "none"
    name = f"{depth} layers of {width}"
    ranks, few = last["effective_rank"], float(np.sqrt(width))
    evidence = [
        mean_beyond(
            f"{name}, no normalisation: effective rank", ranks[plain], "below", collapsed, "threshold"
        ),
        bounded(f"{name}, batch normalisation: effective rank", ranks[~plain], "above", few, "recalled"),
    ]
    return decide_parts(evidence)
