"""What is normal: the distribution of each measure over networks before training, and the healthy range.

The distribution is drawn, not derived: networks of the setting with seeds of their own are measured at their
initialisation on the same examples as a run. So it holds for any activation, initialiser and data, also where
theory has no band.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.ratios import first_to_last, hidden
from experiments.config import Recording, Run
from experiments.sweeps.in_memory import train_in_memory
from experiments.theory.closed_forms import spread
from mlp.activations import activation as activation_of

if TYPE_CHECKING:
    import pandas as pd

NETWORKS = 200
FIRST_SEED = 10**6  # seeds of reference networks: none that a user would choose
MEASURES = (
    "delta_norm", "dw_norm", "z_rms", "a_rms", "slope_rms", "dead_fraction", "saturated_fraction",
    "update_ratio",
)  # fmt: skip
LOW, HIGH = 0.025, 0.975
E_FOLDS = (
    3.0  # of ‖delta‖ from last to first layer: six of ‖delta‖², where training ends (Schoenholz et al. 2017)
)


@dataclass(frozen=True)
class Reference:
    """Measures of many networks of one setting at step 0.

    values has a row for each network and layer with the columns seed, layer and MEASURES; ratio (networks,)
    is ‖delta‖ of the first hidden layer over the last's; healthy is the range of that ratio in which a
    network of this depth still trains.
    """

    run: Run
    values: pd.DataFrame
    ratio: np.ndarray
    healthy: tuple[float, float]

    def table(self) -> pd.DataFrame:
        """Return layer, measure, low (2.5 %), median and high (97.5 % of networks)."""
        quantiles = self.values.drop(columns="seed").groupby("layer").quantile([LOW, 0.5, HIGH])
        long = quantiles.stack().unstack(1).reset_index()  # noqa: PD010, PD013  (quantiles become columns)
        long.columns = ["layer", "measure", "low", "median", "high"]
        return long

    def percentile(self, measure: str, layer: int, value: float) -> float:
        """Return the share of networks whose value lies below this one, half of those that equal it."""
        drawn = self.values.loc[self.values["layer"] == layer, measure].to_numpy(float)
        drawn = drawn[~np.isnan(drawn)]
        return float(((drawn < value).sum() + 0.5 * (drawn == value).sum()) / max(len(drawn), 1))

    @property
    def verdict(self) -> str:
        """A sentence: what is normal for this setting, and whether that is healthy."""
        if self.run.depth < 2:
            return "With fewer than two hidden layers no gradient can vanish between them."
        low, middle, high = np.nanquantile(self.ratio, [LOW, 0.5, HIGH])
        state = self._state(float(middle))
        return (
            f"Normal here: ‖delta‖ of layer 1 is {middle:.2g} of layer {self.run.depth}'s "
            f"({low:.2g} to {high:.2g} in 95 % of {len(self.ratio)} networks). {state}: a network of "
            f"this depth and width trains from {self.healthy[0]:.2g} to {self.healthy[1]:.2g}."
        )

    def _state(self, ratio: float) -> str:
        if ratio < self.healthy[0]:
            return "Normal, but not healthy, the gradient vanishes"
        return (
            "Normal, but not healthy, the gradient explodes" if ratio > self.healthy[1] else "That is healthy"
        )


def healthy_ratio(activation: str, depth: int, width: int) -> tuple[float, float]:
    """Return the range of ‖delta₁‖/‖delta_depth‖ in which a network of this depth still trains.

    A factor of e³ either way (networks train to about six of ξ_∇, the depth over which ‖delta‖² changes by e:
    Schoenholz et al. 2017, section 5), and twice the standard deviation over networks, ½√(C·depth/width).
    """
    noise = 0.5 * sqrt(float(spread(activation_of(activation))) * max(depth - 1, 0) / width)
    return exp(-E_FOLDS - 2 * noise), exp(E_FOLDS + 2 * noise)


def reference(
    run: Run, networks: int = NETWORKS, *, jobs: int = 1, advance: Callable[[int], None] = lambda runs: None
) -> Reference:
    """Draw networks of the run's setting and measure them before any training. Errors: DataError."""
    runs = [replace(run, steps=0, seed=FIRST_SEED + k) for k in range(networks)]
    recording = Recording(probes=(*MEASURES, "delta_log10"), watch=(0,))
    records = train_in_memory(runs, recording, jobs=jobs, advance=advance)
    named = records.layers.merge(records.runs[["run_id", "seed"]], on="run_id", validate="many_to_one")
    values = hidden(named, records.runs)[["seed", "layer", *MEASURES]]
    ratio = np.array([])
    if run.depth >= 2:
        ratio = np.exp(log(10) * first_to_last(records)["ratio_log10"].to_numpy(float))
    return Reference(run, values, ratio, healthy_ratio(run.activation, run.depth, run.width))
