"""Rectifiers: He's thirty layers, the probability of being born dead, the spread of gradients."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from experiments.analysis.ratios import at_end, at_start
from experiments.claims.comparison import (
    Compared,
    bounded,
    by_seed,
    can_tell,
    computed,
    given,
    mean_near,
    share_beyond,
    share_near,
)
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.ensembles import forward, networks, tangent
from experiments.claims.evidence import told
from experiments.claims.settings import alike, of_runs, only, start_ratios, trained, weight_and_bias
from experiments.claims.verdict import Evidence, Undecided, Verdict, decide, decide_parts, enough_seeds
from experiments.theory.closed_forms import (
    born_dead_at_one_input,
    born_dead_lower,
    born_dead_two_layers,
    log_norm_band,
    relu_log_norm,
    relu_moment_ratio,
)
from mlp.activations import activation as curve
from mlp.initialisers import InitialiserName, weight_variance
from mlp.registry import Share, Within
from mlp.streams import stream

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# He ---------------------------------------------------------------------------------------------------------

VGG_B = (64, 128, 128, 256, 256, 512, 512, 512, 512)  # filters whose 3 × 3 × filters fan the paper multiplies
VGG_B_LOSS = 1 / 1.7e4  # of the gradient with std 0.01, as printed (section 2.2)
VGG_B_OFF = 0.03  # a share: 1.7 is printed in two digits
FACTOR_OFF = 0.03  # how far off the factor of ‖delta‖ per layer may be, as a share


@CLAIMS
@needs("delta_norm", "delta_log10", varies=("init",))
@rule(
    "share of the initial training loss that is gone after training: above {learns:g} with {good}, below "
    "{stalls:g} with {bad}"
)
def L04_he(
    records: Records,
    *,
    good: InitialiserName = "he_normal",
    bad: InitialiserName = "xavier_normal",
    learns: Share = 0.5,
    stalls: Share = 0.01,
) -> Verdict:
    """A ReLU network of thirty layers learns with He's initialisation and stalls with Xavier's.

    Measured: The share of the initial training loss that is gone after equal training. As checks: at the
    start, the factor of ‖delta‖ per layer beside √(σ_w²/2) and what finite width takes from the mean of its
    log; and, by arithmetic, what standard deviation 0.01 leaves of the gradient in the paper's model B.

    Nuance: The paper's thirty layers are convolutional; these are fully connected, and much narrower. It
    shows curves: the numbers that stand for "learns" and "stalls" are ours.

    Source: He, Zhang, Ren & Sun 2015, section 2.2 and figure 3.
    """  # fmt: skip
    chosen = only(records, activation="relu", init=[good, bad])
    alike(chosen.runs, ["init"], "initialiser")
    if chosen.runs["depth"].min() < 2:
        raise Undecided("one layer has no factor from layer to layer", "depth: 30")
    gone = _loss_gone(chosen)
    evidence = [
        bounded(f"{good}: share of the initial loss that is gone", gone[good], "above", learns, "threshold"),
        bounded(f"{bad}: share of the initial loss that is gone", gone[bad], "below", stalls, "threshold"),
    ]
    model_b = computed("gradient left with std 0.01, model B", _model_b(), VGG_B_LOSS, VGG_B_OFF, "source")
    checks = given("check", [*(_factor(chosen, init) for init in (good, bad)), model_b])
    return decide_parts([*evidence, *checks])


def _loss_gone(records: Records) -> dict[str, pd.Series]:
    """Return by init, for each seed, 1 − loss after training over loss before."""
    trained(records.runs)
    start = at_start(records.steps).set_index("run_id")["loss"]
    end = at_end(records.steps, records.runs).set_index("run_id")["loss"]
    with np.errstate(divide="ignore", invalid="ignore"):  # of a loss of 0 there is no share
        gone = records.runs.assign(gone=records.runs["run_id"].map(1 - end / start))
    return {init: rows["gone"] for init, rows in gone.groupby("init")}


def _factor(records: Records, init: str) -> Compared:
    """Compare the factor of ‖delta‖ per layer, by seed, with theory's for the mean of its log."""
    mine = only(records, init=init)
    run = mine.runs.iloc[0]
    layers, width = int(run["depth"]) - 1, int(run["width"])
    logs = of_runs(mine.runs, start_ratios(mine), "log")
    variance, _ = weight_and_bias(run)
    shift, _ = log_norm_band(5.0, layers, width)
    expected = np.exp(0.5 * np.log(variance / 2) + shift / layers)
    name = f"{init}, depth {run['depth']}: factor of ‖delta‖ per layer"
    factors = np.exp(logs / layers)
    return mean_near(name, factors, expected, FACTOR_OFF, "derived", relative=True, comparisons=2)


def _model_b() -> float:
    """Return Π std·√(fan/2), fan = 9·filters: He et al. 2015, section 2.2."""
    fans = 9 * np.array(VGG_B)
    return float(
        np.prod(np.sqrt(fans / 2) * np.sqrt(weight_variance("normal(std=0.01)", 1, 1, curve("relu"))))
    )


# Born dead --------------------------------------------------------------------------------------------------

# Width: P(born dead) at nine hidden layers, simulated elsewhere with 30,000 networks; the same with
# randomised asymmetric initialisation, with 8,000.
BORN_DEAD = {2: 0.880, 3: 0.579, 5: 0.130, 8: 0.0083}
RAI = {2: 0.231, 3: 0.061, 5: 0.0046}
SIMULATED_DEPTH, THEIRS, THEIRS_RAI = 9, 30_000, 8_000
Nets = Annotated[int, Within(2, 100_000)]  # the networks that a seed draws
NARROW, LIKELY, RELIEF = (
    2,
    0.5,
    0.35,
)  # width; what "likely" stands for; the most that asymmetry leaves of He's share
INTERVAL = np.sqrt(3.0)  # inputs from −√3 to √3
PLACES = 33  # of that interval at which a network is looked at


@CLAIMS
@rule(
    f"width {NARROW}, deepest networks: P(born dead) above {LIKELY:g}, and with RAI below {RELIEF:g} of that"
)
def L05_born_dead(
    records: Records, *, nets: Nets = 1000, he: InitialiserName = "he_normal", rai: InitialiserName = "rai"
) -> Verdict:
    """A narrow, deep ReLU network is likely born dead; asymmetric initialisation makes that far less likely.

    Measured: For each width and depth of the config and each seed, the share of `nets` 1,000 networks of one
    input whose hidden units of some layer are all off at 33 inputs from −√3 to √3, that is whose output is
    constant, as drawn, without training. Judged at width 2 in the deepest networks. As checks, at every width
    and depth: the probabilities that are known exactly or were simulated elsewhere, and the paper's bounds.

    Nuance: The paper's collapse after training is worse than this: more networks end constant than begin so.

    Source: Lu, Shin, Su & Karniadakis 2019, theorems 3.2 and 3.3 (bounds recalled, exact at two layers and
    at width 1); RAI's form as two independent codes have it.
    """
    enough_seeds(records.runs)
    by = ["activation", "init", "bias", "width", "depth"]
    alike(records.runs, [field for field in by if field != "bias"], "activation, init, width and depth")
    shares = dict(by_seed(records, by, lambda run: _born_dead(run, nets)))
    checks = [e for key, found in shares.items() for e in _laws(key, found, nets, he, rai)]
    evidence = _narrow(shares, he, rai)
    if not evidence:
        raise Undecided(
            f"no ReLU networks of width {NARROW} and more than two layers with both initialisations",
            f"init: [{he}, {rai}]",
        )
    return decide_parts([*evidence, *checks])


def _born_dead(run: Any, nets: int) -> float:
    """Return the share of networks like this one that are constant over the interval."""
    x = np.linspace(-INTERVAL, INTERVAL, PLACES)[:, None]
    net = networks(run, (1, *[run.width] * run.depth, 2), nets)
    dead = np.zeros(nets, bool)
    for layer in forward(net, x):
        dead |= ~(layer.slope != 0).any(axis=(1, 2))
    return float(dead.mean())


def _narrow(shares: dict[tuple[Any, ...], list[float]], he: str, rai: str) -> list[Compared]:
    """Return the evidence at the narrow width: He's share by seed, and what asymmetry leaves of it."""
    deep = {
        key: found for key, found in shares.items() if key[0] == "relu" and key[3] == NARROW and key[4] > 2
    }
    depth = max((key[4] for key in deep), default=0)
    by_init = {key[1]: np.array(found) for key, found in deep.items() if key[4] == depth}
    if not {he, rai} <= set(by_init):
        return []
    if len(by_init[he]) != len(by_init[rai]):
        raise Undecided(f"{he} and {rai} are not there with the same seeds", SAME_SEEDS)
    name = f"width {NARROW}, depth {depth}: "
    with np.errstate(divide="ignore", invalid="ignore"):
        left = by_init[rai] / by_init[he]
    return [
        bounded(f"{name}P(born dead) with {he}", by_init[he], "above", LIKELY, "threshold"),
        bounded(f"{name}P(born dead) with {rai} over that with {he}", left, "below", RELIEF, "threshold"),
    ]


def _laws(key: tuple[Any, ...], found: list[float], nets: int, he: str, rai: str) -> list[Evidence]:
    """Return as checks what is known of networks without biases at this width and depth."""
    act, init, bias, width, depth = key
    name = f"{act}, {init}, width {width}, depth {depth}: P(born dead)"
    if act != "relu":
        return [Evidence.exact(name, found, 0.0, role="check")] if act.startswith("leaky_relu") else []
    if bias != "zeros" or init not in (he, rai):
        return []
    if init == rai:
        return [*given("check", _simulated(name, found, nets, RAI.get(width), depth, THEIRS_RAI))]
    if init != he or bias != "zeros":
        return []
    return [
        *given(
            "check", [*_exactly(name, found, width, depth, nets), *_bounds(name, found, width, depth, nets)]
        )
    ]


def _exactly(name: str, found: list[float], width: int, depth: int, nets: int) -> list[Compared]:
    """Compare with what is known exactly or simulated; nothing where ours could not tell it from 0 or 1."""
    exact = born_dead_two_layers(width) if depth == 2 else 1 - 2.0 ** (1 - depth) if width == 1 else None
    if exact is not None:
        tells = can_tell(exact, nets * len(found))
        return [share_near(f"{name}, exact", found, exact, nets, "derived")] if tells else []
    return _simulated(name, found, nets, BORN_DEAD.get(width), depth, THEIRS)


def _simulated(
    name: str, found: list[float], nets: int, known: float | None, depth: int, theirs: int
) -> list[Compared]:
    """Compare with a share of `theirs` networks of nine layers; not where ours could not tell it from 0."""
    if known is None or depth != SIMULATED_DEPTH or not can_tell(known, nets * len(found), theirs):
        return []
    return [share_near(name, found, known, nets, "derived", theirs=theirs)]


def _bounds(name: str, found: list[float], width: int, depth: int, nets: int) -> list[Compared]:
    """Compare with the paper's lower and upper bound, where they are not exact themselves."""
    if depth == 2 or width == 1:
        return []
    low, high = born_dead_lower(width, depth), born_dead_at_one_input([width] * depth)
    return [
        share_beyond(f"{name}, lower bound", found, "above", low, nets, "recalled"),
        share_beyond(f"{name}, upper bound", found, "below", high, nets, "recalled"),
    ]


# Spread -----------------------------------------------------------------------------------------------------

RATIO_OFF = 0.1  # how far off the moment ratio may be, as a share
SAME_SEEDS = "seed: the same at every setting"
COLLAPSE = 0.1  # how far two variances of the log may be apart at equal depth over width
WIDE_ENOUGH = 50  # units from which on that is asked
Shape = tuple[int, int]  # width and depth


@CLAIMS
@rule(
    f"moment ratio within {100 * RATIO_OFF:g} % of Π(1 + 5/n), and at equal depth over width the variances "
    f"of the log within {100 * COLLAPSE:g} % of each other, the means over seeds"
)
def L06_spread(records: Records, *, nets: Nets = 2000) -> Verdict:
    """The gradients of He-initialised ReLU networks scatter by Π(1 + 5/n), that is by depth over width.

    Measured: For each width and depth of the config, over `nets` 2,000 networks per seed: E‖Ju‖⁴/(E‖Ju‖²)², J
    being the derivative of the last hidden layer at one input and u a direction; and the variance of
    ln‖Ju‖² over 5β, β = Σ 1/n.

    Nuance: The mean of ‖Ju‖² is 1 at every depth, and says nothing about a typical network: ln‖Ju‖² has mean
    −5β/2.

    Source: Hanin 2018, Hanin & Rolnick 2018 (there up to constants); the constants are derived here.
    """
    enough_seeds(records.runs)
    alike(records.runs, ["width", "depth"], "width and depth")
    squares = dict(by_seed(records, ["width", "depth"], lambda run: _squares(run, nets)))
    evidence: list[Compared] = []
    alikes = _alike_shapes(squares)
    many = len(squares) + len(alikes)
    for (width, depth), found in squares.items():
        ratios = [float((x**2).mean() / x.mean() ** 2) for x in found]
        name, exact = f"width {width}, depth {depth}: E‖Ju‖⁴/(E‖Ju‖²)²", relu_moment_ratio([width] * depth)
        evidence.append(mean_near(name, ratios, exact, RATIO_OFF, "derived", relative=True, comparisons=many))
    variances = {key: [float(np.log(x[x > 0]).var()) for x in found] for key, found in squares.items()}
    evidence += [_collapse(variances, narrow, wide, many) for narrow, wide in alikes]
    return decide(evidence, remarks=_logs(squares, variances))


def _squares(run: Any, nets: int) -> np.ndarray:
    """Return ‖Ju‖² of networks like this one, at one input and along one direction, drawn by the seed."""
    rng = stream(run.seed, "direction")
    x, u = rng.standard_normal((2, 1, run.width))
    parts = []
    for part in range(0, nets, 100):  # of so many at once: bounds the memory
        net = networks(
            run._replace(seed=run.seed * nets + part),
            (run.width, *[run.width] * run.depth, 2),
            min(100, nets - part),
        )
        passed = list(forward(net, x))
        parts.append(np.square(tangent(net, passed, u / np.linalg.norm(u))).sum(axis=(1, 2)))
    return np.concatenate(parts)


def _alike_shapes(shapes: Iterable[Shape]) -> list[tuple[Shape, Shape]]:
    """Return the pairs of shapes of equal depth over width, both wide, the narrower first."""
    listed = sorted(shape for shape in shapes if shape[0] >= WIDE_ENOUGH)
    return [
        (narrow, wide)
        for narrow, wide in combinations(listed, 2)
        if narrow[0] < wide[0] and narrow[1] * wide[0] == wide[1] * narrow[0]
    ]


def _collapse(variances: dict[Shape, list[float]], narrow: Shape, wide: Shape, comparisons: int) -> Compared:
    """Compare by seed the variances of the log of two shapes of equal depth/width, narrower over wider."""
    ours, theirs = (np.array(variances[shape]) for shape in (narrow, wide))
    if len(ours) != len(theirs):
        raise Undecided(f"{narrow} and {wide} are not there with the same seeds", SAME_SEEDS)
    name = f"Var ln‖Ju‖², {narrow[0]} × {narrow[1]} over {wide[0]} × {wide[1]}"
    return mean_near(name, ours / theirs, 1.0, COLLAPSE, "derived", comparisons=comparisons)


def _logs(
    squares: dict[tuple[int, int], list[Any]], variances: dict[tuple[int, int], list[float]]
) -> list[str]:
    remarks = []
    for (width, depth), found in squares.items():
        mean, variance = relu_log_norm([width] * depth)
        means = [float(np.log(x[x > 0]).mean()) for x in found]
        remarks.append(
            f"{width} × {depth}: ln‖Ju‖² has mean {told(means)} and variance "
            f"{told(variances[width, depth])}; to first order {mean:.3f} and {variance:.3f}."
        )
    return remarks
