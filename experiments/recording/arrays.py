"""What a user gives of one layer, as plain arrays: examples by units, and inputs by units."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from mlp.activations import Array
from mlp.registry import did_you_mean

OF_EXAMPLES = ("x", "z", "a", "slope", "delta")  # (B, units)
OF_WEIGHTS = ("w", "dw", "step")  # (n_in, n_out)
OF_BIASES = ("b", "db")  # (1, n_out)
GIVEN = (*OF_EXAMPLES, *OF_WEIGHTS, *OF_BIASES)
GRADIENTS = ("delta", "dw", "db")  # what a loss scale multiplies
NOT_GIVEN = "not given"
NONE = "None, as of a parameter without a gradient; that is not 0"


class RecordingError(ValueError):
    """What was given cannot be measured rightly; the message names the layer, the array and a remedy."""


@dataclass
class Layer:
    """The arrays of one layer at one step.

    arrays: by name, of those that are there, (B, units), (n_in, n_out) or (1, n_out), in float32 or float64.
    missing: by name, why an array is not there. formats: the number format in which each was given.
    """

    name: str
    module: Hashable  # the same for each call of one module
    arrays: dict[str, Array]
    missing: dict[str, str]
    formats: dict[str, str]
    activation: str | None = None
    notes: list[str] = field(default_factory=list)
    dense: bool = False  # z was found to be x·w + b

    def has(self, *names: str) -> bool:
        """Return whether all the named arrays are there and finite."""
        return all(name in self.arrays and bool(np.isfinite(self.arrays[name]).all()) for name in names)

    def leave_out(self, name: str, why: str) -> None:
        """Take an array out, for a reason that is told."""
        if self.arrays.pop(name, None) is not None or self.missing.get(name) in (None, NOT_GIVEN):
            self.missing[name] = why


def read_layers(layers: Mapping[Any, Mapping[str, Any]], scale: float | Mapping[str, float]) -> list[Layer]:
    """Return the layers in their order, gradients divided by their scale. Errors: RecordingError.

    layers: by name, or by (name, call) where a module is used several times, the arrays of each.
    """
    if not layers:
        raise RecordingError("layers: no layer was given")
    scales = _scales(scale)
    return [_read(key, given, scales) for key, given in layers.items()]


def _scales(scale: float | Mapping[str, float]) -> Mapping[str, float]:
    found = scale if isinstance(scale, Mapping) else dict.fromkeys(GRADIENTS, scale)
    for name, factor in found.items():
        if name not in GRADIENTS:
            raise RecordingError(f"scale: {name!r} is no gradient; choose from {', '.join(GRADIENTS)}")
        if not 0 < float(factor) < np.inf:
            raise RecordingError(f"scale: {factor!r} is not a number above 0")
    return found


def _read(key: Any, given: Mapping[str, Any], scales: Mapping[str, float]) -> Layer:
    name, module = (f"{key[0]} (call {key[1]})", key[0]) if isinstance(key, tuple) else (str(key), key)
    for unknown in given.keys() - {*GIVEN, "activation"}:
        hint = did_you_mean(str(unknown), GIVEN)
        raise RecordingError(f"layer {name}: unknown array {unknown!r}.{hint} Known: {', '.join(GIVEN)}")
    missing = {n: NONE if n in given else NOT_GIVEN for n in GIVEN if given.get(n) is None}
    raw = {n: _plain(name, n, given[n]) for n in GIVEN if n not in missing}
    formats = {n: str(array.dtype) for n, array in raw.items()}
    for n in GRADIENTS:
        if n in raw and scales.get(n, 1.0) != 1:
            raw[n] = _wide(raw[n]) / scales[n]
    layer = Layer(name, module, {}, missing, formats, given.get("activation"))
    _shape(layer, raw)
    return layer


def _plain(layer: str, name: str, value: Any) -> Array:
    """Return the value as an array of real numbers of its own."""
    try:
        found = np.array(value)
    except Exception as error:  # a tensor on another device or with a gradient: each framework has its own
        told = str(error).partition("\n")[0]
        raise RecordingError(
            f"layer {layer}: {name} is no array ({told}); detach it and copy it to the CPU"
        ) from None
    if found.dtype.kind not in "fiu" and found.dtype.name != "bfloat16":
        raise RecordingError(f"layer {layer}: {name} is of {found.dtype}; real numbers are needed")
    return found


def _wide(array: Array) -> Array:
    """Return the array in float32 or float64, whichever holds all its numbers."""
    short = array.dtype.kind != "f" or array.dtype.itemsize <= 4
    wanted = np.float32 if short and array.dtype.kind not in "iu" else np.float64
    return array.astype(wanted, copy=False)


def _shape(layer: Layer, raw: Mapping[str, Array]) -> None:
    """Put the arrays into the layer, flattened to examples by units and inputs by units, and check them."""
    weights = {n: _matrix(layer, n, raw[n]) for n in OF_WEIGHTS if n in raw}
    _same(layer, weights)
    columns = next((array.shape[1] for array in weights.values()), None)
    rows = {n: raw[n].reshape(1, -1) for n in OF_BIASES if n in raw}
    for n, row in rows.items():
        if columns is not None and row.shape[1] != columns:
            raise RecordingError(
                f"layer {layer.name}: {n} has {row.shape[1]} entries and w {columns} units{_turned(layer)}"
            )
    plain_w = next((raw[n] for n in OF_WEIGHTS if n in raw), None)
    examples = {n: _examples(layer, n, raw[n], plain_w) for n in OF_EXAMPLES if n in raw}
    _same(layer, {n: array for n, array in examples.items() if n != "x"})
    if len({len(array) for array in examples.values()}) > 1:
        told = ", ".join(f"{n} {len(array)}" for n, array in examples.items())
        raise RecordingError(f"layer {layer.name}: the arrays have different numbers of examples: {told}")
    layer.arrays = {n: _wide(array) for n, array in {**examples, **weights, **rows}.items()}


def _matrix(layer: Layer, name: str, array: Array) -> Array:
    if array.ndim < 2:
        raise RecordingError(
            f"layer {layer.name}: {name} has the shape {array.shape}; it should be (inputs, units)"
        )
    return array.reshape(-1, array.shape[-1])


def _examples(layer: Layer, name: str, array: Array, w: Array | None) -> Array:
    """Return (B, units): leading axes are examples where w is a matrix, else all but the first are units."""
    if array.ndim < 2:
        raise RecordingError(
            f"layer {layer.name}: {name} has the shape {array.shape}; it should be (examples, units)"
        )
    if array.ndim == 2:
        return array
    last = array.shape[-1]
    width = None if w is None or w.ndim != 2 else w.shape[0 if name == "x" else 1]
    shape = (-1, last) if last == width else (len(array), prod(array.shape[1:]))
    found = array.reshape(shape)
    told = f"{name} of the shape {array.shape} is read as {found.shape[0]} examples of {found.shape[1]} units"
    layer.notes.append(f"layer {layer.name}: {told}")
    return found


def _same(layer: Layer, arrays: Mapping[str, Array]) -> None:
    if len({array.shape for array in arrays.values()}) > 1:
        told = ", ".join(f"{n} {array.shape}" for n, array in arrays.items())
        raise RecordingError(f"layer {layer.name}: these should have one shape: {told}")


def _turned(layer: Layer) -> str:
    return "; w is (inputs, units), and PyTorch's Linear keeps it transposed"
