"""How far signals and gradients reach: depth scales and trainability, and the spectra of Jacobians."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_end
from experiments.claims.comparison import Compared, by_seed, computed, mean_near
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.ensembles import forward, mean_cosine, networks
from experiments.claims.settings import alike, weight_and_bias
from experiments.claims.verdict import Evidence, Undecided, Verdict, decide
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
from mlp.streams import stream

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records


# Depth scales -----------------------------------------------------------------------------------------------

# σ_w²: ξ_c of tanh at σ_b² = 0.05, from the authors' depth_scale.npz (Liu & Theodorou 2019).
SCALES = {
    1.0: 3.6270, 1.306122: 7.976, 1.489796: 15.106, 1.979592: 27.045, 2.224490: 15.653, 2.836735: 9.689,
    4.0: 6.980,
}  # fmt: skip
# (σ_w, σ_b): q*, χ₁, c*, ξ_c at the three settings of figure 1 of Poole et al. 2016.
POOLE = {
    (1.3, 0.3): (0.6070, 0.9398, 1.0, 16.1),
    (2.5, 0.3): (4.0791, 1.5852, 0.1221, 5.11),
    (4.0, 0.3): (12.604, 2.3673, 0.0297, 3.639),
}
SCALE_OFF, Q_OFF, C_OFF = 1e-3, 0.01, 0.01  # how far off ξ_c (a share), q (a share) and c may be
WIDE, LAYERS = 1000, 12  # of the networks that the maps are simulated with
NETS, INPUTS = 4, 8  # such networks a seed, and inputs of each


@CLAIMS
@needs(varies=("depth",))
@rule(
    f"ξ_c within {100 * SCALE_OFF:g} %, q {100 * Q_OFF:g} %, c {C_OFF:g}; frontier between {{least:g}} and "
    "{most:g} ξ_c on either side"
)
def L07_depth_scale(
    records: Records, *, reaches: float = 0.5, least: float = 3.0, most: float = 9.0
) -> Verdict:
    """A plain tanh network learns down to a few times the depth at which correlations settle, and no deeper.

    Measured: The depth scale ξ_c by quadrature at published settings; the mean square q of z and
    the correlation c of two inputs in simulated networks of 1,000 units, beside the maps; and for each weight
    variance of the config the depth at which the accuracy on the training set after equal training crosses
    0.5, over ξ_c.

    Nuance: The factor is not a constant: it depends on the budget, and is larger on the ordered side. At
    criticality, σ_w² = 1.761, the scale is infinite and other things end learning.

    Source: Poole et al. 2016; Schoenholz et al. 2017 (6 ξ_c); Liu & Theodorou 2019, whose published
    accuracies give 5.06 ξ_c in the median.
    """
    evidence: list[Evidence] = [*_table(), *_closed()]
    crossings = _crossings(records, reaches)
    evidence += _frontiers(crossings, least, most)
    evidence += _simulated(records)
    return decide(evidence, "layers", remarks=_each(crossings))


def _table() -> list[Compared]:
    tanh = curve("tanh")
    return [
        computed(
            f"tanh, σ_w² = {weight:.4g}, σ_b² = 0.05: ξ_c",
            depth_scales(tanh, weight, 0.05)["xi_c"],
            scale,
            SCALE_OFF,
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
    found = []
    for w, b in POOLE:
        pairs = np.array([_settled(run, w, b) for run in runs])
        q, c = _iterated(w**2, b**2)
        name = f"tanh, σ_w = {w}, σ_b = {b}, simulated, layer {LAYERS}"
        found.append(mean_near(f"{name}: q", pairs[:, 0], q, "derived", within=Q_OFF * q))
        found.append(mean_near(f"{name}: c", pairs[:, 1], c, "derived", within=C_OFF))
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
    """For each weight variance and seed: the depth at which the accuracy falls through `reaches`, over ξ_c.

    On the line between the two depths around it, in the log of the depth; NaN where all depths succeed.
    """
    import pandas as pd

    if not len(records.runs):
        raise Undecided("nothing was trained", "sweep: init and depth")
    alike(records.runs, ["init", "depth"], "initialiser and depth")
    ends = at_end(records.steps, records.runs).set_index("run_id")["accuracy"]
    runs = records.runs.assign(accuracy=records.runs["run_id"].map(ends).fillna(0.0))
    rows = []
    for (init, seed), each in runs.groupby(["init", "seed"], sort=False):
        weight, bias = weight_and_bias(each.iloc[0])
        each = each.sort_values("depth")
        depth = _crossing(np.log(each["depth"].to_numpy(float)), each["accuracy"].to_numpy(), reaches)
        scales = depth_scales(curve(each["activation"].iloc[0]), weight, bias)
        rows.append((init, seed, weight, scales["xi_c"], scales["xi_grad"] > 0, np.exp(depth)))
    return pd.DataFrame(rows, columns=["init", "seed", "weight", "scale", "ordered", "depth"])


def _crossing(logs: np.ndarray, accuracy: np.ndarray, reaches: float) -> float:
    fails = np.flatnonzero(accuracy < reaches)
    if not fails.size:
        return float("nan")
    at = int(fails[0])
    if at == 0:
        return float(logs[0])
    share = (accuracy[at - 1] - reaches) / (accuracy[at - 1] - accuracy[at])
    return float(logs[at - 1] + share * (logs[at] - logs[at - 1]))


def _frontiers(crossings: pd.DataFrame, least: float, most: float) -> list[Compared]:
    """On either side of criticality: frontier over ξ_c, all weight variances and seeds together."""
    found = []
    crossings = crossings.assign(times=crossings["depth"] / crossings["scale"])
    for ordered, rows in crossings.groupby("ordered", sort=True):
        times = rows["times"].dropna().to_numpy()
        if not times.size:
            raise Undecided("every network learns, the deepest too", "depth: deeper")
        middle, half = (least + most) / 2, (most - least) / 2
        mean = times.mean()
        name = f"{'ordered' if ordered else 'chaotic'} side: frontier over ξ_c"
        holds = bool(abs(mean - middle) <= half) if len(times) >= 6 else None
        found.append(
            Compared(name, float(mean), float(times.min()), float(times.max()), len(times), 5.06, holds, 5.06,
                     f"mean from {least:g} to {most:g}", "derived")
        )  # fmt: skip
    return found


def _each(crossings: pd.DataFrame) -> list[str]:
    remarks = []
    for (weight, scale), rows in crossings.groupby(["weight", "scale"]):
        depths = rows["depth"].dropna()
        told = (
            f"{depths.median():.0f} layers, {depths.median() / scale:.1f} ξ_c"
            if len(depths)
            else "beyond the deepest"
        )
        remarks.append(f"σ_w² = {weight:.4g}: ξ_c = {scale:.1f}, frontier {told}.")
    return remarks


# Spectra ----------------------------------------------------------------------------------------------------

SHARP = 1e-9  # a spread that is 0 in theory
TIGHT, LOOSE = 0.1, 0.2  # how far off theory may be, as a share; the second for ReLU and Gaussian weights


@CLAIMS
@rule(f"spread within {100 * TIGHT:g} % of theory, within {100 * LOOSE:g} % for ReLU and Gaussian weights")
def L08_isometry(records: Records, *, inputs: int = 2) -> Verdict:
    """Orthogonal weights near tanh's linear point keep a deep network close to an isometry; ReLU cannot be.

    Measured: For each setting of the config, from the singular values of the hidden layers' Jacobian at
    inputs of the fixed point's size: the variance of their squares over the squared mean.

    Nuance: The formula is that of infinite width; at 256 units it holds while depth over width is small.
    ReLU's spread grows by 1 a layer under orthogonal and by 2 under Gaussian weights, so that only
    activations with a linear stretch get anything from orthogonality.

    Source: Pennington, Schoenholz & Ganguli 2018, eqs. 16 to 18 and table 1.
    """
    by = ["activation", "init", "bias", "depth", "width"]
    evidence: list[Evidence] = []
    for (text, init, bias, depth, _), found in by_seed(records, by, lambda run: (run, _spread(run, inputs))):
        run, act = found[0][0], curve(text)
        weight, offset = weight_and_bias(run)
        orthogonal = init.startswith("orthogonal")
        q = fixed_point(act, weight, offset)
        theory = jacobian_moments(act, depth, min(max(q, 1e-9), 1.0), weight, orthogonal)[1]
        name = f"{text}, {init}, {bias}, depth {depth}: σ²(JJᵀ)/mean²"
        theory = theory if theory > SHARP else 0.0
        loose = LOOSE if text == "relu" or not orthogonal else TIGHT
        values = [value for _, value in found]
        evidence.append(mean_near(name, values, theory, within=max(loose * theory, SHARP)))
    return decide(evidence, "spread")


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
