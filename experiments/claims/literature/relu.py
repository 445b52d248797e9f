"""Rectifiers: He's thirty layers, the probability of being born dead, the spread of gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_end, at_start
from experiments.claims.comparison import (
    CHANCES,
    ERRORS,
    Compared,
    bounded,
    by_seed,
    computed,
    mean_near,
    share_near,
)
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.ensembles import forward, networks, tangent
from experiments.claims.settings import alike, only, start_ratios, trained, weight_and_bias
from experiments.claims.verdict import Evidence, Undecided, Verdict, decide
from experiments.theory.closed_forms import (
    born_dead_at_one_input,
    born_dead_lower,
    born_dead_two_layers,
    log_norm_band,
    relu_log_norm,
    relu_moment_ratio,
)
from mlp.activations import activation as curve
from mlp.initialisers import weight_variance
from mlp.streams import stream

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# He ---------------------------------------------------------------------------------------------------------

VGG_B = (64, 128, 128, 256, 256, 512, 512, 512, 512)  # filters whose 3 × 3 × filters fan the paper multiplies
VGG_B_LOSS = 1 / 1.7e4  # of the gradient with std 0.01, as printed (section 2.2)


@CLAIMS
@needs("delta_norm", "delta_log10", varies=("init",))
@rule("loss gone: above {learns:g} with {good}, below {stalls:g} with {bad}; log ratio as derived")
def L04_he(
    records: Records,
    *,
    good: str = "he_normal",
    bad: str = "xavier_normal",
    learns: float = 0.5,
    stalls: float = 0.01,
) -> Verdict:
    """A ReLU network of thirty layers learns with He's initialisation and stalls with Xavier's.

    Measured: The share of the initial training loss that is gone after equal training; at the start,
    ln(‖delta_1‖/‖delta_30‖) beside (depth − 1)/2 · ln(σ_w²/2) and what finite width takes from its mean;
    and, by arithmetic, what standard deviation 0.01 leaves of the gradient in the paper's model B.

    Nuance: The paper's thirty layers are convolutional; these are fully connected, and much narrower. What is
    replayed is the claim and its cause, not the curves.

    Source: He, Zhang, Ren & Sun 2015, section 2.2 and figure 3.
    """  # fmt: skip
    chosen = only(records, activation="relu", init=[good, bad])
    alike(chosen.runs, ["init"], "initialiser")
    gone = _loss_gone(chosen)
    evidence: list[Evidence] = [
        bounded(f"{good}: share of the loss that is gone", gone[good], "above", learns),
        bounded(f"{bad}: share of the loss that is gone", gone[bad], "below", stalls),
    ]
    evidence += [_log_ratio(chosen, init) for init in (good, bad)]
    evidence.append(computed("gradient left with std 0.01, model B", _model_b(), VGG_B_LOSS, 0.05))
    return decide(evidence, "share of the loss")


def _loss_gone(records: Records) -> dict[str, pd.Series]:
    """By init, 1 − loss after training over loss before, by seed."""
    trained(records.runs)
    start = at_start(records.steps).set_index("run_id")["loss"]
    end = at_end(records.steps, records.runs).set_index("run_id")["loss"]
    gone = records.runs.assign(gone=records.runs["run_id"].map(1 - end / start))
    return {init: rows["gone"] for init, rows in gone.groupby("init")}


def _log_ratio(records: Records, init: str) -> Compared:
    ratios = start_ratios(only(records, init=init))
    run = ratios.iloc[0]
    depth, width = int(run["depth"]), int(run["width"])
    variance, _ = weight_and_bias(run)
    shift, _ = log_norm_band(5.0, depth - 1, width)
    expected = 0.5 * (depth - 1) * np.log(variance / 2) + shift
    name = f"{init}, depth {depth}: ln(‖delta_1‖/‖delta_depth‖)"
    return mean_near(name, ratios["log"], expected, "derived")


def _model_b() -> float:
    """Π std·√(fan/2), fan = 9·filters: He et al. 2015, section 2.2."""
    fans = 9 * np.array(VGG_B)
    return float(
        np.prod(np.sqrt(fans / 2) * np.sqrt(weight_variance("normal(std=0.01)", 1, 1, curve("relu"))))
    )


# Born dead --------------------------------------------------------------------------------------------------

BORN_DEAD = {
    2: 0.880,
    3: 0.579,
    5: 0.130,
    8: 0.0083,
}  # width: P at nine hidden layers, 30,000 and more networks
RAI = {2: 0.231, 3: 0.061, 5: 0.0046}  # the same with randomised asymmetric initialisation, 8,000 networks
RELIEF = 0.35  # the most that asymmetric initialisation may leave of He's share
INTERVAL = np.sqrt(3.0)  # inputs from −√3 to √3
PLACES = 33  # of that interval at which a network is looked at


@CLAIMS
@rule(
    f"mean within {CHANCES:g} binomial errors of the known number and between the bounds; RAI under "
    f"{RELIEF:g} of He"
)
def L05_born_dead(records: Records, *, nets: int = 1000, he: str = "he_normal", rai: str = "rai") -> Verdict:
    """A narrow, deep ReLU network is likely born dead; asymmetric initialisation makes that far less likely.

    Measured: For each width and depth of the config and each seed, the share of `nets` 1,000 networks of one
    input whose hidden units of some layer are all off at 33 inputs from −√3 to √3, that is whose output is
    constant, as drawn, without training.

    Nuance: The paper's collapse after training is worse than this: more networks end constant than begin so.

    Source: Lu, Shin, Su & Karniadakis 2019, theorems 3.2 and 3.3 (bounds recalled, exact at two layers and
    at width 1); RAI's form as two independent codes have it.
    """
    shares = dict(
        by_seed(records, ["activation", "init", "width", "depth"], lambda run: _born_dead(run, nets))
    )
    evidence: list[Evidence] = []
    for (act, init, width, depth), found in shares.items():
        name = f"{act}, {init}, width {width}, depth {depth}: P(born dead)"
        if act != "relu":
            evidence.append(Evidence.exact(name, found, 0.0))
        elif init == he:
            evidence += _known(name, found, width, depth, nets)
        elif depth == 9 and width in RAI:
            evidence.append(share_near(name, found, RAI[width], nets, "derived", theirs=8000))
    evidence += _relief(shares, he, rai)
    if not evidence:
        raise Undecided("no ReLU networks with He's initialisation", f"init: [{he}, {rai}]")
    return decide(evidence, "P(born dead)")


def _born_dead(run: Any, nets: int) -> float:
    """The share of networks like this one that are constant over the interval."""
    x = np.linspace(-INTERVAL, INTERVAL, PLACES)[:, None]
    net = networks(run, (1, *[run.width] * run.depth, 2), nets)
    dead = np.zeros(nets, bool)
    for layer in forward(net, x):
        dead |= ~(layer.slope != 0).any(axis=(1, 2))
    return float(dead.mean())


def _known(name: str, found: list[float], width: int, depth: int, nets: int) -> list[Compared]:
    """Against what is known exactly or simulated, and between the bounds."""
    result = []
    if depth == 2:
        result.append(share_near(f"{name}, exact", found, born_dead_two_layers(width), nets, "derived"))
    elif width == 1:
        result.append(share_near(f"{name}, exact", found, 1 - 2.0 ** (1 - depth), nets, "derived"))
    elif depth == 9 and width in BORN_DEAD:
        result.append(share_near(name, found, BORN_DEAD[width], nets, "derived", theirs=30_000))
    if depth > 2 and width > 1:
        mean, error = np.mean(found), 3 * np.std(found, ddof=1) / np.sqrt(len(found))
        low, high = born_dead_lower(width, depth), born_dead_at_one_input([width] * depth)
        result.append(
            bounded(f"{name} + 3 errors, lower bound", [mean + error] * len(found), "above", low, "recalled")
        )
        result.append(
            bounded(f"{name} − 3 errors, upper bound", [mean - error] * len(found), "below", high, "recalled")
        )
    return result


def _relief(shares: dict[tuple[Any, ...], list[float]], he: str, rai: str) -> list[Compared]:
    """RAI's share of He's at width 2, by seed."""
    return [
        bounded(
            f"width {width}, depth {depth}: RAI over He",
            np.array(found) / np.array(shares["relu", he, width, depth]), "below", RELIEF, "derived",
        )
        for (act, init, width, depth), found in shares.items()
        if init == rai and width == 2 and depth > 2 and ("relu", he, width, depth) in shares
    ]  # fmt: skip


# Spread -----------------------------------------------------------------------------------------------------

COLLAPSE = 0.1  # how far two variances of the log may be apart at equal depth over width


@CLAIMS
@rule(
    f"moment ratio within {ERRORS:g} standard errors of Π(1 + 5/n); at equal β the variance of the log "
    f"within {100 * COLLAPSE:g} %"
)
def L06_spread(records: Records, *, nets: int = 1500) -> Verdict:
    """In He-initialised ReLU networks gradients scatter by Π(1 + 5/n): depth over width.

    Measured: For each width and depth of the config, over `nets` 1,500 networks a seed: E‖Ju‖⁴/(E‖Ju‖²)², J
    being the derivative of the last hidden layer at one input and u a direction; and the variance of
    ln‖Ju‖² over 5β, β = Σ 1/n.

    Nuance: The mean of ‖Ju‖² is 1 at every depth, and says nothing about a typical network: ln‖Ju‖² has mean
    −5β/2.

    Source: Hanin 2018, Hanin & Rolnick 2018 (there up to constants); the constants are derived here.
    """
    alike(records.runs, ["width", "depth"], "width and depth")
    squares = dict(by_seed(records, ["width", "depth"], lambda run: _squares(run, nets)))
    evidence: list[Evidence] = []
    for (width, depth), found in squares.items():
        ratios = [float((x**2).mean() / x.mean() ** 2) for x in found]
        name = f"width {width}, depth {depth}: E‖Ju‖⁴/(E‖Ju‖²)²"
        evidence.append(mean_near(name, ratios, relu_moment_ratio([width] * depth), "derived"))
    variances = {key: [float(np.log(x[x > 0]).var()) for x in found] for key, found in squares.items()}
    evidence += _collapse(variances)
    return decide(evidence, "moment ratio", remarks=_logs(squares, variances))


def _squares(run: Any, nets: int) -> np.ndarray:
    """‖Ju‖² of networks like this one, at an input and along a direction of the seed's."""
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


def _collapse(variances: dict[tuple[int, int], list[float]]) -> list[Compared]:
    """Of shapes with equal depth/width: the narrower one's variance of the log over the wider one's."""
    found = []
    shapes = sorted(variances)
    for narrow in shapes:
        for wide in shapes:
            if narrow[0] < wide[0] and narrow[1] * wide[0] == wide[1] * narrow[0] and narrow[0] >= 50:
                ratio = np.mean(variances[narrow]) / np.array(variances[wide])
                name = f"Var ln‖Ju‖², {narrow[0]} × {narrow[1]} over {wide[0]} × {wide[1]}"
                found.append(mean_near(name, ratio, 1.0, "derived", within=COLLAPSE))
    return found


def _logs(
    squares: dict[tuple[int, int], list[Any]], variances: dict[tuple[int, int], list[float]]
) -> list[str]:
    remarks = []
    for (width, depth), found in squares.items():
        mean, variance = relu_log_norm([width] * depth)
        measured = np.mean([np.log(x[x > 0]).mean() for x in found])
        remarks.append(
            f"{width} × {depth}: ln‖Ju‖² has mean {measured:.3f} and variance "
            f"{np.mean(variances[width, depth]):.3f}; to first order {mean:.3f} and {variance:.3f}."
        )
    return remarks
