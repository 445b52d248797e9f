"""The gradient's budget: how each layer changes ‖delta‖, split into slope, weights and their alignment.

delta_l = (delta_{l+1}·w_{l+1}ᵀ) ∘ f'(z_l). If these factors were independent, ‖delta_l‖/‖delta_{l+1}‖ would
be the root mean square of the slope times ‖w_{l+1}‖/√n_{l+1}, where n_{l+1} is the number of units of the
layer above. The rest is the deviation from that: weights that pass on some directions better than others, and
slopes that are small where delta is large. The rest is defined so that the three terms add up exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.ratios import join

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

TERMS = ("slope", "weights", "rest")
PROBES = ("delta_log10", "slope_rms", "w_norm")


def budget(records: Records) -> pd.DataFrame:
    """Return ln(‖delta_l‖/‖delta_{l+1}‖) and its terms, for l = 1 … depth − 1, per run and watched step.

    Both layers are hidden, so that the totals of a run add up to the log of its first-to-last ratio. Columns:
    the fields of Run, step, layer (l), total, slope, weights, rest; all in natural logs. Where delta is
    exactly zero in layer l, the total is −inf and the rest NaN.
    Errors: ValueError where a probe was not recorded, and for normalised layers and residual connections, in
    which delta does not follow this formula.
    """
    layers, runs = records.layers, records.runs
    for probe in PROBES:
        if probe not in layers:
            raise ValueError(f"the gradient's budget needs {probe}, which was not recorded")
    for field, plain in (("norm", "none"), ("residual", 0.0)):
        if (runs[field] != plain).any():
            raise ValueError(f"the gradient's budget is that of plain layers: {field} has to be {plain}")
    keys = ["run_id", "step", "layer"]
    here = join(layers[[*keys, *PROBES]], runs)
    above = layers[[*keys, "delta_log10", "w_norm"]].assign(layer=layers["layer"] - 1)
    both = here.merge(above, on=keys, validate="one_to_one", suffixes=("", "_above"))
    both = both[both["layer"] < both["depth"]].reset_index(drop=True)
    with np.errstate(all="ignore"):  # an exact zero gives ln 0, which is data
        both["total"] = np.log(10) * (both["delta_log10"] - both["delta_log10_above"])
        both["slope"] = np.log(both["slope_rms"])
        both["weights"] = np.log(both["w_norm_above"] / np.sqrt(both["width"]))
        both["rest"] = both["total"] - both["slope"] - both["weights"]
    return both.drop(columns=[*PROBES, "delta_log10_above", "w_norm_above"])
