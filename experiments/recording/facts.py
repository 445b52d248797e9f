"""What the diagnosis asks of the data and of the first forward pass, from what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.diagnosis.signals import alike, spread, twins
from experiments.recording.arrays import Layer, RecordingError
from mlp.activations import Array

MOST_PAIRED = 256  # examples whose cosines are taken
UNKNOWN: dict[str, Any] = dict.fromkeys(("rms", "mean", "sd", "largest", "alike"))


def data_facts_of(
    layers: Sequence[Layer], inputs: Array | None, examples: tuple[Any, Any] | None
) -> dict[str, Any]:
    """Return the fields of `diagnosis.signals.DataFacts` and the classes' shares, None where unknown.

    inputs: (B, n_in) of the first recorded step, which stand for all where there are no `examples`. Shares
    are even where there are no labels.
    """
    output = layers[-1].arrays
    classes = next((output[n].shape[1] for n in ("z", "w", "delta") if n in output), 1)
    x, y = inputs, None
    if examples is not None:
        x, y = _checked(*examples)
        classes = max(classes, int(y.max()) + 1)
    counts = np.ones(classes) if y is None else np.bincount(y, minlength=classes)
    shares = counts / counts.sum()
    found = {"classes": classes, "examples": 0 if x is None else len(x), "shares": shares.tolist()}
    if x is None:
        return found | UNKNOWN
    x = x.astype(np.float64)
    sizes = {"rms": np.sqrt(np.mean(x**2)), "mean": x.mean(), "sd": x.std(), "largest": np.abs(x).max()}
    some = x[:MOST_PAIRED]
    return found | {name: float(value) for name, value in sizes.items()} | {"alike": alike(some @ some.T)}


def _checked(x: Any, y: Any) -> tuple[Array, Array]:
    """Return (N, n) inputs and (N,) labels; errors: RecordingError."""
    x, y = np.asarray(x), np.asarray(y)
    if y.ndim != 1 or len(x) != len(y) or not len(x) or y.dtype.kind not in "iu" or y.min() < 0:
        raise RecordingError("examples: give (x, y), inputs (N, …) and as many labels, whole numbers from 0")
    return x.reshape(len(x), -1), y


def start_facts(layers: Sequence[Layer]) -> dict[str, list[float | None]]:
    """Return the fields of `diagnosis.signals.Start` of the hidden layers, None where unknown."""
    hidden = layers[:-1]
    return {
        "spread": [spread(each.arrays["a"]) if each.has("a") else None for each in hidden],
        "twins": [twins(each.arrays["w"]) if each.has("w") else None for each in hidden],
    }
