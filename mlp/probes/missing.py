"""NaN where a number is missing: a comparison answers False for NaN, and a share of that is a number."""

from __future__ import annotations

import numpy as np

from mlp.activations import Array
from mlp.numbers import Measure
from mlp.trace import LayerTrace


def known(t: LayerTrace, values: Measure, *names: str) -> Measure:
    """Return values (R,) with NaN for each run that has a NaN in z or in a named (stored) array."""
    arrays = ("scaled_z", *names)
    missing = t.once(("nan", *names), lambda: [r for name in arrays for r in _nan_runs(t, name)])
    if missing:
        values = np.array(values, np.float64)
        values[missing] = np.nan
    return values


def known_units(t: LayerTrace, values: Array, *names: str) -> Array:
    """Return values (R, n_out) with NaN for each unit with a NaN in z or a named array (R, B, n_out)."""
    values = np.asarray(values, np.float64)
    for name in ("scaled_z", *names):
        if _nan_runs(t, name):
            values = np.where(np.isnan(getattr(t, name)).any(axis=-2), np.nan, values)
    return values


def _nan_runs(t: LayerTrace, name: str) -> list[int]:
    """Return the runs that have a NaN in the named array."""

    def measure() -> list[int]:
        size = t.moments("z")[2] if name == "scaled_z" else t.norm(name)
        return [r for r, each in enumerate(size.tolist()) if each != each]

    return t.once(f"{name} nan", measure)
