"""How far signals and gradients reach: depth scales and trainability, and the spectra of Jacobians."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from experiments.analysis.ratios import at_end
from experiments.analysis.wording import number
from experiments.claims.comparison import (
    Compared,
    between,
    by_seed,
    computed,
    given,
    mean_near,
)
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.ensembles import forward, mean_cosine, networks
from experiments.claims.settings import alike, trained, weight_and_bias
from experiments.claims.verdict import Undecided, Verdict, decide, enough_seeds
from experiments.theory.closed_forms import jacobian_moments
from experiments.theory.mean_field import (
    chi,
    correlation_fixed_point,
    correlation_map,
    depth_scales,
    fixed_point,
    variance_map,
)
from mlp.activations import activation as curve
from mlp.probes.jacobian import hidden_jacobian, singular_values
from mlp.registry import Positive, Share, Within
from mlp.streams import stream

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records


# Depth scales -----------------------------------------------------------------------------------------------

# σ_w²: ξ_c of tanh at σ_b² = 0.05, seven values of the authors' depth_scale.npz (Liu & Theodorou 2019).
SCALES = {
    1.0: 3.6270, 1.306122: 7.976, 1.489796: 15.106, 1.979592: 27.045, 2.224490: 15.653, 2.836735: 9.689,
    4.0: 6.980,
}  # fmt: skip
# (σ_w, σ_b): q*, χ₁, c*, ξ_c at the three settings of figure 1 of Poole et al. 2016; computed elsewhere.
POOLE = {
    (1.3, 0.3): (0.6070, 0.9398, 1.0, 16.1),
    (2.5, 0.3): (4.0791, 1.5852, 0.1221, 5.11),
    (4.0, 0.3): (12.604, 2.3673, 0.0297, 3.639),
}
OUTSIDE = "the frontier is not between the shallowest and the deepest network of the config"
DEPTHS = "depth: shallower and deeper ones"
ENDLESS = 1000  # layers
SCHOENHOLZ = 6.0  # times ξ_c: down to there networks can be trained; `least` and `most` around it are ours
SCALE_OFF = 1e-3  # how far off ξ_c may be, as a share
# How far off q (a share) and c of simulated networks may be: one network of this width scatters by 4 %.
Q_OFF, C_OFF = 0.05, 0.05
WIDE, LAYERS = 1000, 12  # of the networks that the maps are simulated with
NETS, INPUTS = 2, 8  # such networks per seed, and inputs of each


@CLAIMS
@needs(varies=("depth",))
@rule("every seed's frontier from {least:g} to {most:g} ξ_c, at each weight variance")
def L07_depth_scale(
    records: Records, *, reaches: Share = 0.5, least: Positive = 3.0, most: Positive = 9.0
) -> Verdict:
    """Plain tanh networks learn down to a few times ξ_c, the depth over which two inputs become alike.

    Measured: For each weight variance of the config the depth at which the accuracy on the training set
    after equal training crosses `reaches` 0.5, over ξ_c: the number of layers in which the correlation of
    two inputs comes closer to its limit by a factor of e. As checks: ξ_c by quadrature at published settings;
    the mean square q of z and the correlation c of two inputs in simulated networks of 1,000 units, beside
    the maps.

    Nuance: It holds on both flanks of the map. Between them, from σ_w² = 1.6 to 2.2, where ξ_c rises beyond
    every depth, the frontier stays at about fifty layers: there the two hundred updates end learning, not the
    signal. The factor depends on that budget, and the limits 3 and 9 are ours.

    Source: Schoenholz et al. 2017, whose limit is 6 ξ_c (as told by others); Poole et al. 2016; Liu &
    Theodorou 2019, whose published accuracies give 5.06 ξ_c in the median.
    """
    if least >= most:
        raise Undecided(f"least={least:g} is not below most={most:g}", "claims: least below most")
    crossings = _crossings(records, reaches)
    enough_seeds(records.runs)
    checks = given("check", [*_table(), *_closed(), *_simulated(records)])
    frontiers = _frontiers(crossings, least, most)
    return decide([*frontiers, *checks], condition=_where(frontiers), remarks=_each(crossings))


def _table() -> list[Compared]:
    tanh = curve("tanh")
    return [
        computed(
            f"tanh, σ_w² = {weight:.4g}, σ_b² = 0.05: ξ_c",
            depth_scales(tanh, weight, 0.05)["xi_c"],
            scale,
            SCALE_OFF,
            "source",
        )
        for weight, scale in SCALES.items()
    ]


def _closed() -> list[Compared]:
    """q*, χ₁, c* and ξ_c by quadrature at Poole's settings, to the digits printed."""
    tanh, found = curve("tanh"), []
    for (w, b), (q, slope, c, scale) in POOLE.items():
        name = f"tanh, σ_w = {w}, σ_b = {b}"
        star = fixed_point(tanh, w**2, b**2)
        found += [
            computed(f"{name}: q*", star, q, 1e-3, "derived"),
            computed(f"{name}: χ₁", float(chi(tanh, star, w**2)), slope, 1e-3, "derived"),
            computed(f"{name}: c*", correlation_fixed_point(tanh, w**2, b**2), c, 2e-3, "derived"),
            computed(f"{name}: ξ_c", depth_scales(tanh, w**2, b**2)["xi_c"], scale, 3e-3, "derived"),
        ]
    return found


def _simulated(records: Records) -> list[Compared]:
    """q and c of independent inputs after some layers of wide networks, beside the maps iterated as often."""
    runs = [run._replace(seed=run.seed * NETS + k) for run in _one_a_seed(records) for k in range(NETS)]
    found, maps = [], 2 * len(POOLE)
    for w, b in POOLE:
        pairs = np.array([_settled(run, w, b) for run in runs])
        q, c = _iterated(w**2, b**2)
        name = f"tanh, σ_w = {w}, σ_b = {b}, simulated, layer {LAYERS}"
        found.append(
            mean_near(f"{name}: q", pairs[:, 0], q, Q_OFF, "derived", relative=True, comparisons=maps)
        )
        found.append(mean_near(f"{name}: c", pairs[:, 1], c, C_OFF, "derived", comparisons=maps))
    return found


def _one_a_seed(records: Records) -> list[Any]:
    return list(records.runs.drop_duplicates("seed").itertuples())


def _settled(run: Any, w: float, b: float) -> tuple[float, float]:
    """Mean square of the last layer's z, and the mean correlation of two different inputs' there."""
    drawn = run._replace(activation="tanh", init=f"scaled_normal(gain={w})", bias=f"normal(std={b})")
    net = networks(drawn, (WIDE, *[WIDE] * LAYERS, 2), 1)
    *_, last = forward(net, stream(run.seed, "inputs").standard_normal((INPUTS, WIDE)))
    z = last.z[0]
    return float((z**2).mean()), mean_cosine(z)


def _iterated(weight: float, bias: float) -> tuple[float, float]:
    tanh = curve("tanh")
    q, c = weight + bias, bias / (weight + bias)  # of independent inputs of mean square 1
    for _ in range(LAYERS - 1):
        c = correlation_map(tanh, c, q, weight, bias)
        q = float(variance_map(tanh, q, weight, bias))
    return q, c


def _crossings(records: Records, reaches: float) -> pd.DataFrame:
    """For each weight variance and seed: from where to where, over ξ_c, the accuracy falls through `reaches`.

    `low` and `high` are equal where it falls between two depths, on the line in the log of the depth. Where
    the shallowest network fails, low is 0; where the deepest learns, high is infinite.
    """
    import pandas as pd

    if not len(records.runs):
        raise Undecided("nothing was trained", "sweep: init and depth")
    trained(records.runs)
    alike(records.runs, ["init", "depth"], "initialiser and depth")
    ends = at_end(records.steps, records.runs).set_index("run_id")["accuracy"]
    runs = records.runs.assign(accuracy=records.runs["run_id"].map(ends))
    if runs.loc[runs["status"] == "ok", "accuracy"].isna().any():  # as where a number is learnt
        raise Undecided("networks have no accuracy", "dataset: one with classes")
    runs["accuracy"] = runs["accuracy"].fillna(0.0)  # what was lost on the way has not learnt
    rows: list[tuple[Any, ...]] = []
    scales: dict[str, float] = {}  # all seeds of an initialiser share it
    for (init, seed), each in runs.groupby(["init", "seed"], sort=False):
        weight, bias = weight_and_bias(each.iloc[0])
        each = each.sort_values("depth")
        ends_at = _crossing(np.log(each["depth"].to_numpy(float)), each["accuracy"].to_numpy(), reaches)
        if init not in scales:
            scales[init] = depth_scales(curve(each["activation"].iloc[0]), weight, bias)["xi_c"]
        scale = scales[init]
        low, high = np.exp(ends_at) / scale
        rows.append((init, seed, weight, scale, low, high))
    return pd.DataFrame(rows, columns=["init", "seed", "weight", "scale", "low", "high"])


def _crossing(logs: np.ndarray, accuracy: np.ndarray, reaches: float) -> np.ndarray:
    """From where to where, in the log of the depth, the accuracy falls through `reaches`."""
    fails = np.flatnonzero(accuracy < reaches)
    if not fails.size:
        return np.array([logs[-1], np.inf])
    at = int(fails[0])
    if at == 0:
        return np.array([-np.inf, logs[0]])
    share = (accuracy[at - 1] - reaches) / (accuracy[at - 1] - accuracy[at])
    return np.repeat(logs[at - 1] + share * (logs[at] - logs[at - 1]), 2)


def _frontiers(crossings: pd.DataFrame, least: float, most: float) -> list[Compared]:
    """For each weight variance the frontier over ξ_c, which is to lie from `least` to `most`."""
    found = []
    for (weight, scale), rows in crossings.groupby(["weight", "scale"]):
        name = f"σ_w² = {weight:.4g}, ξ_c {_long(scale)}: frontier over ξ_c"
        times = _times(rows, least, most)
        made = between(name, times, least, most, SCHOENHOLZ, "threshold")
        if np.isnan(times).any():
            made = replace(made, holds=None, missing=0, n=len(times), why_open=OUTSIDE)
        found.append(made)
    if found and all(e.why_open == OUTSIDE for e in found):
        raise Undecided(f"{OUTSIDE}: all learn, or none does", DEPTHS)
    return found


def _times(rows: pd.DataFrame, least: float, most: float) -> np.ndarray:
    """By seed the frontier over ξ_c; outside the config's depths their end, if that decides, else NaN."""
    low, high = rows["low"].to_numpy(), rows["high"].to_numpy()
    ends = np.where(low > most, low, np.where(high < least, high, np.nan))
    return np.where(low == high, low, ends)


def _where(frontiers: list[Compared]) -> str:
    """In words: at which weight variances the frontier is where it is said to be."""
    sides = {"holds": True, "fails": False, "is open": None}
    told = {
        word: [e.setting.partition(",")[0] for e in frontiers if e.holds is held]
        for word, held in sides.items()
    }
    return "; ".join(f"{word} for {', '.join(names)}" for word, names in told.items() if names)


def _each(crossings: pd.DataFrame) -> list[str]:
    remarks = []
    for (weight, scale), rows in crossings.groupby(["weight", "scale"]):
        inside = rows[rows["low"] == rows["high"]]["low"]
        told = (
            f"frontier {inside.median() * scale:.0f} layers, {number(inside.median(), 2)} ξ_c "
            f"({number(inside.min(), 2)} to {number(inside.max(), 2)} over {len(inside)} seeds)"
            if len(inside)
            else "no frontier within the config's depths"
        )
        remarks.append(f"σ_w² = {weight:.4g}: ξ_c {_long(scale)} layers, {told}.")
    return remarks


def _long(scale: float) -> str:
    """A depth scale in words: near criticality its digits say nothing."""
    return f"= {scale:.1f}" if scale < ENDLESS else f"over {ENDLESS:g}"


# Spectra ----------------------------------------------------------------------------------------------------

SHARP = 1e-9  # a spread that is 0 in theory
TIGHT, LOOSE = 0.1, 0.2  # how far off theory may be, as a share; the second for ReLU and Gaussian weights


@CLAIMS
@rule(
    f"the mean spread over seeds within {100 * TIGHT:g} % of the formula, within {100 * LOOSE:g} % for ReLU "
    "and for Gaussian weights"
)
def L08_isometry(records: Records, *, inputs: Annotated[int, Within(1, 1000)] = 8) -> Verdict:
    """A formula gives how far a deep network at its critical point is from stretching all directions alike.

    Measured: For each setting of the config, from the singular values of the hidden layers' Jacobian at
    `inputs` 8 inputs of the fixed point's size: the variance of their squares over the squared mean.

    Nuance: The formula is that of infinite width; at 256 units it holds while depth over width is small.
    ReLU's spread grows by 1 per layer under orthogonal and by 2 under Gaussian weights; tanh near its linear
    point stays close to 0 under orthogonal weights. Only activations with a linear stretch get anything from
    orthogonality.

    Source: Pennington, Schoenholz & Ganguli 2018, eqs. 16 to 18 and table 1: the formula is theirs, the
    numbers are computed from it here.
    """
    enough_seeds(records.runs)
    by = ["activation", "init", "bias", "depth", "width"]
    found = list(by_seed(records, by, lambda run: (run, _spread(run, inputs))))
    evidence = []
    for (text, init, bias, depth, _), each in found:
        theory, loose = _formula(each[0][0])
        name = f"{text}, {init}, {bias}, depth {depth}: σ²(JJᵀ)/mean²"
        evidence.append(
            mean_near(
                name, [value for _, value in each], theory, loose if theory else SHARP, "derived",
                relative=theory > 0, comparisons=len(found),
            )
        )  # fmt: skip
    return decide(evidence)


def _formula(run: Any) -> tuple[float, float]:
    """The spread of infinitely wide networks like this one, and how far off ours may be, as a share."""
    act, (weight, offset) = curve(run.activation), weight_and_bias(run)
    orthogonal = run.init.startswith("orthogonal")
    q = min(max(fixed_point(act, weight, offset), 1e-9), 1.0)
    spread = jacobian_moments(act, run.depth, q, weight, orthogonal)[1]
    return spread if spread > SHARP else 0.0, LOOSE if run.activation == "relu" or not orthogonal else TIGHT


def _spread(run: Any, inputs: int) -> float:
    """Variance over mean² of the squared singular values of ∂a_depth/∂x, a mean over some inputs."""
    width, act = int(run.width), curve(run.activation)
    weight, bias = weight_and_bias(run)
    q = fixed_point(act, weight, bias)
    size = (q - bias) / weight if 0 < q < np.inf else 1.0  # so that layer 1 stands at the fixed point
    x = stream(run.seed, "inputs").standard_normal((inputs, width)) * np.sqrt(size)
    net = networks(run, (width, *[width] * run.depth, 2), 1)
    squares = np.square(singular_values(hidden_jacobian(net, x))[0])
    return float((squares.var(axis=-1) / squares.mean(axis=-1) ** 2).mean())
