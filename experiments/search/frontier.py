"""The depth that half of the networks reach, from which runs succeeded: an interval, and theory beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import at_end, varying
from experiments.search.bisection import Search
from mlp.activations import activation
from mlp.initialisers import bias_variance, weight_mean, weight_variance

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

SURE = 1.92  # half the 95 % point of chi-square with one degree of freedom: a drop of log likelihood
STEEP = np.geomspace(0.2, 1e4, 50)  # slopes of the logistic curve per e-fold of depth: flat to a step
BEYOND = float(np.log(10))  # how far past the depths tried the frontier is looked for
PLACES = 1001
FOUND = (
    "frontier", "low", "high", "seeds", "depths", "runs", "xi_c", "xi_grad", "theory", "remark",
)  # fmt: skip
TRAINABLE = 6.0  # depth scales: Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, section 5


@dataclass(frozen=True)
class Frontier:
    """The depth that half reach, NaN where it lies beyond what was tried; 0 and inf are open ends."""

    depth: float
    low: float
    high: float
    remark: str = ""


def successes(records: Records, accuracy: float, on: str) -> pd.DataFrame:
    """Every run with `success`: 1 if its last accuracy is at least so much, 0 if not, NaN if it crashed.

    A run that diverged has failed.
    """
    runs, steps = records.runs, records.steps
    last = at_end(steps[["run_id", "step", on]], runs).set_index("run_id")[on]
    reached = (runs["run_id"].map(last).astype(float) >= accuracy).astype(float)
    return runs.assign(success=reached.where(runs["status"] != "crashed"))


def frontier(tried: Mapping[int, tuple[float, int]]) -> Frontier:
    """From each depth's successes and runs: where a logistic curve in log depth passes one half.

    The interval is that of the profile likelihood, 95 %. Where all successes are shallower than all failures
    the steepest curve fits best wherever it falls between them: the depth is then their geometric mean and
    the interval, from three seeds on, the gap itself.
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
    """The fields that tell one frontier from another."""
    return [name for name in varying(records.runs) if name != "depth"] or ["activation"]


def table(records: Records, accuracy: float, on: str) -> pd.DataFrame:
    """A row a setting: its fields and the columns FOUND, of which `runs` are those that did not crash.

    theory is TRAINABLE times ξ_c, or ξ_∇ where there is no ξ_c; inf at criticality, NaN where mean-field
    theory of plain nets does not apply.
    """
    import pandas as pd

    known = successes(records, accuracy, on).dropna(subset="success")
    known = known[known["depth"] > 0]  # a linear classifier has no depth
    by, rows = settings(records), []
    for key, runs in known.groupby(by, sort=False, dropna=False):
        counts = runs.groupby("depth")["success"].agg(["sum", "size"])
        found = frontier({int(depth): (row["sum"], row["size"]) for depth, row in counts.iterrows()})
        scales = scales_of(runs.iloc[0])
        nearest = scales["xi_c"] if scales["xi_c"] == scales["xi_c"] else abs(scales["xi_grad"])
        rows.append(
            dict(zip(by, key, strict=True))
            | {"frontier": found.depth, "low": found.low, "high": found.high}
            | {"seeds": int(counts["size"].max()), "depths": len(counts), "runs": len(runs), **scales}
            | {"theory": TRAINABLE * nearest, "remark": found.remark}
        )
    return pd.DataFrame(rows, columns=[*by, *FOUND])


def with_grid(found: pd.DataFrame, search: Search) -> pd.DataFrame:
    """The table with `grid_runs`, how many runs it would take to train every depth of the search's ladder."""
    at = found.columns.get_loc("runs") + 1
    found = found.copy()
    found.insert(at, "grid_runs", len(search.ladder) * found["seeds"])
    return found


def scales_of(run: Mapping[str, Any] | pd.Series) -> dict[str, float]:
    """xi_c and xi_grad of a run's hidden layers; NaN where mean-field theory of plain nets does not apply."""
    if run["norm"] != "none" or run["residual"] or weight_mean(run["init"], run["width"], run["width"]):
        return {"xi_c": np.nan, "xi_grad": np.nan}
    return dict(_scales(run["activation"], run["init"], run["bias"], int(run["width"])))


@lru_cache(maxsize=1024)
def _scales(act: str, init: str, bias: str, width: int) -> tuple[tuple[str, float], ...]:
    from experiments.theory.mean_field import depth_scales

    curve = activation(act)
    weight = float(f"{width * weight_variance(init, width, width, curve):.12g}")  # He is 2 at every width
    with np.errstate(all="ignore"):
        return tuple(depth_scales(curve, weight, bias_variance(bias, width, width, curve)).items())
