"""Measure recorded arrays with the probes of `mlp`, each on a trace that holds just what was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from experiments.recording.arrays import NOT_GIVEN, Layer
from mlp.activations import Array, activation
from mlp.probes import PROBES
from mlp.registry import parse_call
from mlp.trace import LayerTrace

SCALED = ("x", "z", "a", "delta", "dw", "db", "step")  # stored in a trace as scaled_NAME
PLAIN = ("slope", "w", "b", "w0")
WHOLE_PASS = "it looks at the whole pass of a network of this program"
COARSE = ("float16", "bfloat16")


class Missing(Exception):  # noqa: N818  (no error: a measure that is left out)
    """A probe needs an array that was not recorded."""


def trace_of(layer: Layer, number: int, w0: Array | None) -> LayerTrace:
    """Return the trace of one layer of one run; an array that is not there is no attribute of it.

    number: the layer's, from the input, from 1. w0: the weights that were recorded first.
    """
    arrays = {**layer.arrays, **({} if w0 is None else {"w0": w0})}
    arrays = {name: array[None] for name, array in arrays.items()}
    fields: dict[str, Any] = {f"scaled_{name}": arrays.get(name) for name in SCALED}
    fields |= {name: arrays.get(name) for name in PLAIN}
    fields["act"] = None if layer.activation is None else activation(layer.activation)
    one = np.zeros(1, np.int64)
    trace = LayerTrace(
        layer=number, runs=slice(0, 1), exponent=one, x_exponent=one, z_exponent=one, step_exponent=one,
        **fields,
    )  # fmt: skip
    for name, value in fields.items():
        if value is None:
            object.__delattr__(trace, name)
    return trace


def measured(measure: Callable[[LayerTrace], Any], trace: LayerTrace, layer: Layer) -> Any:
    """Return what a probe finds. Errors: Missing, with the array that the probe needs and why it lacks."""
    try:
        with np.errstate(all="ignore"):  # NaN and infinity are data here
            return measure(trace)
    except AttributeError as error:
        if error.obj is not trace:
            raise
        name = str(error.name).removeprefix("scaled_")
        if name == "act":
            raise Missing("needs an activation that is known here") from None
        why = layer.missing.get(name, NOT_GIVEN)
        raise Missing(f"needs {name} ({why})") from None


def values(
    probes: Mapping[str, Callable[[LayerTrace], Any]], trace: LayerTrace, layer: Layer
) -> tuple[dict[str, float], dict[str, str]]:
    """Return each probe's number, NaN where there is none, and the reasons why there is none."""
    found, reasons = {}, {}
    for text, probe in probes.items():
        try:
            _refuse_format(text, layer)
            found[text] = float(measured(probe, trace, layer)[0])
        except Missing as missing:
            found[text], reasons[text] = np.nan, str(missing)
    return found, reasons


def _refuse_format(text: str, layer: Layer) -> None:
    name = parse_call(text)[0]
    if PROBES.facts(name).whole_pass:
        raise Missing(WHOLE_PASS)
    if name in ("subnormal_fraction", "delta_norm_plain", "dw_norm_plain"):
        held = layer.formats.get("delta" if name == "delta_norm_plain" else "dw")
        if held in COARSE:
            raise Missing(f"counts in float32 and float64 alone, and the gradient was given in {held}")
