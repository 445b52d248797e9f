"""The frontier: the depth up to which half of the runs succeed, its interval, and theory's prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_end, varying
from experiments.analysis.score import score_of
from experiments.sweeps.search.bisection import Search
from mlp.activations import activation
from mlp.initialisers import bias_mean, bias_variance, weight_mean, weight_variance

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

SURE = 1.92  # drop of log likelihood at the ends of a 95 % interval: half the 95 % point of chi-square(1)
STEEP = np.geomspace(0.2, 1e4, 50)  # slopes of the logistic curve per e-fold of depth: flat to a step
BEYOND = float(np.log(10))  # the frontier is searched for up to a factor of ten beyond the depths tried
PLACES = 1001  # candidate depths, evenly spaced in log depth
FOUND = (
    "frontier", "low", "high", "seeds", "depths", "runs", "xi_c", "xi_grad", "theory", "remark",
)  # fmt: skip
TRAINABLE = 6.0  # depth scales: Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, section 5


@dataclass(frozen=True)
class Frontier:
    """The depth up to which half of the runs succeed and its 95 % interval.

    The depth is NaN where it lies outside the depths tried. An interval without a lower or an upper end has
    0 or inf there.
    """

    depth: float
    low: float
    high: float
    remark: str = ""


def successes(records: Records, accuracy: float, on: str) -> pd.DataFrame:
    """Return `runs` with a column `success`: 1 if the last accuracy (column `on`) is at least `accuracy`.

    It is 0 for other runs, also for those that diverged, and NaN for those that crashed. Where a number is
    learnt, its R² takes the place of the accuracy.
    """
    runs, steps, on = records.runs, records.steps, score_of(records).of(on)
    last = at_end(steps[["run_id", "step", on]], runs).set_index("run_id")[on]
    reached = (runs["run_id"].map(last).astype(float) >= accuracy).astype(float)
    return runs.assign(success=reached.where(runs["status"] != "crashed"))


def frontier(tried: Mapping[int, tuple[float, int]]) -> Frontier:
    """Fit a logistic curve in log depth and return the depth at which it passes one half.

    `tried` maps each depth to its numbers of successes and runs. The 95 % interval comes from the profile
    likelihood. Where all successes are shallower than all failures, a step anywhere in the gap fits equally
    well: the depth is then the gap's geometric mean and the interval, from three seeds on, the gap itself.
    """
    depths = np.array(sorted(tried))
    wins, runs = np.array([tried[depth] for depth in depths.tolist()], float).T
    x = np.log(depths)
    places = np.linspace(x[0] - BEYOND, x[-1] + BEYOND, PLACES)
    logit = STEEP[:, None, None] * (places[:, None] - x)
    likelihood = -(wins * np.logaddexp(0, -logit) + (runs - wins) * np.logaddexp(0, logit)).sum(axis=-1)
    profile = likelihood.max(axis=0)
    best = np.flatnonzero(profile > profile.max() - 1e-6)
    inside = np.flatnonzero(profile > profile.max() - SURE)
    low = float(np.exp(places[inside[0]])) if inside[0] else 0.0
    high = float(np.exp(places[inside[-1]])) if inside[-1] < PLACES - 1 else np.inf
    depth = float(np.exp((places[best[0]] + places[best[-1]]) / 2))
    if best[0] == 0 or depth < depths[0]:
        return Frontier(np.nan, low, high, f"fewer than half succeed at {depths[0]}, the shallowest tried")
    if best[-1] == PLACES - 1 or depth > depths[-1]:
        return Frontier(np.nan, low, high, f"half or more succeed at {depths[-1]}, the deepest tried")
    return Frontier(depth, low, high)


def settings(records: Records) -> list[str]:
    """Return the fields that distinguish the settings: those that vary, other than depth and seed."""
    return [name for name in varying(records.runs) if name != "depth"] or ["activation"]


def table(records: Records, accuracy: float, on: str) -> pd.DataFrame:
    """Return a row per setting: its fields and the columns FOUND. `runs` counts those that did not crash.

    `theory` is the predicted depth in layers: TRAINABLE times ξ_c, or times ξ_∇ where there is no ξ_c. It is
    inf at criticality, and NaN where the mean-field theory of plain networks does not apply.
    """
    import pandas as pd

    known = successes(records, accuracy, on).dropna(subset="success")
    known = known[known["depth"] > 0]  # a linear classifier has no depth
    by, rows = settings(records), []
    for key, runs in known.groupby(by, sort=False, dropna=False):
        counts = runs.groupby("depth")["success"].agg(["sum", "size"])
        fitted = frontier({int(depth): (row["sum"], row["size"]) for depth, row in counts.iterrows()})
        scales = scales_of(runs.iloc[0])
        nearest = scales["xi_c"] if scales["xi_c"] == scales["xi_c"] else abs(scales["xi_grad"])
        rows.append(
            dict(zip(by, key, strict=True))
            | {"frontier": fitted.depth, "low": fitted.low, "high": fitted.high}
            | {"seeds": int(counts["size"].max()), "depths": len(counts), "runs": len(runs), **scales}
            | {"theory": TRAINABLE * nearest, "remark": fitted.remark}
        )
    return pd.DataFrame(rows, columns=[*by, *FOUND])


def with_grid(frontiers: pd.DataFrame, search: Search) -> pd.DataFrame:
    """Return the table with `grid_runs`: how many runs training every depth of the ladder would take."""
    at = frontiers.columns.get_loc("runs") + 1
    frontiers = frontiers.copy()
    frontiers.insert(at, "grid_runs", len(search.ladder) * frontiers["seeds"])
    return frontiers


def scales_of(run: Mapping[str, Any] | pd.Series) -> dict[str, float]:
    """Return the depth scales xi_c and xi_grad of a run, in layers; NaN where plain theory does not apply."""
    width = run["width"]
    means = weight_mean(run["init"], width, width) or bias_mean(run["bias"], width, width)
    if run["norm"] != "none" or run["residual"] or means:
        return {"xi_c": np.nan, "xi_grad": np.nan}
    return dict(_scales(run["activation"], run["init"], run["bias"], int(run["width"])))


@lru_cache(maxsize=1024)
def _scales(act: str, init: str, bias: str, width: int) -> tuple[tuple[str, float], ...]:
    from experiments.theory.mean_field import depth_scales

    curve = activation(act)
    weight = float(f"{width * weight_variance(init, width, width, curve):.12g}")  # He is 2 at every width
    with np.errstate(all="ignore"):
        return tuple(depth_scales(curve, weight, bias_variance(bias, width, width, curve)).items())
