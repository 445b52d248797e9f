"""What was given, held against the formulas of a dense layer: z = x·w + b, dw = xᵀ·delta, a = f(z).

A wrong factor or a transposed matrix is an error, because every number after it would be wrong. A layer that
these formulas do not describe (convolution, normalisation, dropout, a residual sum) is no error: what would
need them is left out, and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from experiments.recording.arrays import Layer, RecordingError
from mlp.activations import Activation, Array, activation
from mlp.registry import RegistryError

# Root mean square of a difference over that of what it should be. Products in TF32 or bfloat16 are good to
# 0.005; another formula (dropout, a normalisation, another activation) differs by about 1.
ROUGH = 0.02
FINE = 1e-4  # where all is float64
LOST = 1e-30  # of gradients so small float32 has lost digits, and many entries
SURE = 1e-3  # a probability so small is not divided by


def check(layers: Sequence[Layer], known: str) -> None:
    """Find which layers are dense, and derive a and slope where that is safe. Errors: RecordingError.

    known: the call-text of the hidden layers' activation. The last layer is the output: its a is its z.
    """
    for layer, above in [*pairwise(layers), (layers[-1], None)]:
        _find_dense(layer)
        _refuse_overwritten(layer, layer.activation or (known if above else "identity"))
    _check_output(layers[-1])
    for layer, above in [*pairwise(layers), (layers[-1], None)]:
        _derive(layer, above, known)
    for layer, above in pairwise(layers):
        _check_delta(layer, above)
    for layer in layers:
        if not layer.dense and "x" in layer.arrays:
            layer.leave_out("x", "only where z is x·w + b does it tell the signs of one example's gradients")


def _find_dense(layer: Layer) -> None:
    """Note whether z is x·w + b, with or without b; a transposed w is an error."""
    if not layer.has("x", "w", "z"):
        return
    x, w, z = (layer.arrays[name] for name in ("x", "w", "z"))
    b = layer.arrays.get("b", np.zeros((1, 1), w.dtype))
    if w.shape == (x.shape[1], z.shape[1]):
        layer.dense = _is_close(layer, x @ w + b, z)
    if not layer.dense and w.shape == (z.shape[1], x.shape[1]) and _is_close(layer, x @ w.T + b, z):
        raise RecordingError(
            f"layer {layer.name}: w is transposed: z is x·wᵀ + b. Give w, dw and step as (inputs, units); "
            "PyTorch's Linear keeps (units, inputs)"
        )


def _tolerance(layer: Layer) -> float:
    return FINE if set(layer.formats.values()) == {"float64"} else ROUGH


@np.errstate(all="ignore")
def _is_close(layer: Layer, found: Array, wanted: Array) -> bool:
    away, size = np.linalg.norm(found.astype(np.float64) - wanted), np.linalg.norm(wanted.astype(np.float64))
    return bool(away <= _tolerance(layer) * size)  # all 0 is close to all 0: a dead layer


def gradient_notes(layers: Sequence[Layer]) -> list[str]:
    """Hold dw against xᵀ·delta in dense layers, over all calls of a module; return what is to be said.

    Errors: RecordingError where one is a multiple of the other, as when one alone is scaled.
    """
    notes = []
    for module in dict.fromkeys(layer.module for layer in layers):
        calls = [layer for layer in layers if layer.module == module]
        if all(call.dense and call.has("x", "delta", "dw") for call in calls):
            notes += _gradient_note(calls)
    return notes


@np.errstate(all="ignore")
def _gradient_note(calls: Sequence[Layer]) -> list[str]:
    first = calls[0]
    wide = [[call.arrays[n].astype(np.float64) for n in ("x", "delta")] for call in calls]
    expected = np.sum([x.T @ delta for x, delta in wide], axis=0)
    dw = first.arrays["dw"].astype(np.float64)
    if not expected.any() or not dw.any() or _is_close(first, expected, dw):
        return []
    factor = float(np.vdot(dw, expected) / np.vdot(expected, expected))
    if np.isfinite(factor) and factor and _is_close(first, factor * expected, dw):
        raise RecordingError(
            f"layer {first.name}: dw is {factor:.6g} times what x and delta give, xᵀ·delta. One of them is "
            "scaled and the other is not: by mixed precision (say scale={'delta': …} or {'dw': …}), by "
            "clipping (record before it), or by a sum over batches"
        )
    return [
        f"layer {first.name}: dw is not xᵀ·delta alone. It holds other parts: of a penalty on the weights, "
        "of another use of w, or of batches or processes that were not recorded"
    ]


@np.errstate(all="ignore")
def _check_output(output: Layer) -> None:
    """Where delta is a multiple of a softmax cross-entropy's, it has to be that of the mean over examples.

    That of a mean over B examples is (p − 1)/B for the label's logit and p/B for every other, p = softmax(z).
    """
    if not output.has("z", "delta") or output.arrays["z"].shape[1] < 2:
        return
    z, delta = (output.arrays[n].astype(np.float64) for n in ("z", "delta"))
    rows = (delta != 0).any(axis=1)
    z, delta = z[rows], delta[rows]
    p = np.exp(z - z.max(axis=1, keepdims=True, initial=-np.inf))
    p /= p.sum(axis=1, keepdims=True)
    others = (delta > 0) & (p > SURE)
    if not others.any() or ((delta < 0).sum(axis=1) != 1).any():
        return
    ratios = delta[others] * len(z) / p[others]
    factor = float(np.median(ratios))
    tolerance = _tolerance(output)
    if np.ptp(ratios) <= 2 * tolerance * factor and abs(factor - 1) > tolerance:
        raise RecordingError(
            f"layer {output.name}: delta is {factor:.6g} times that of a softmax cross-entropy averaged over "
            f"the {len(z)} examples. If mixed precision scales the loss, say scale={factor:.6g}; if the loss "
            "is a sum, or one of several batches that are accumulated, divide it by the number of examples "
            "or batches"
        )


def _refuse_overwritten(layer: Layer, text: str) -> None:
    """Refuse a z that is already f(z), as an in-place activation leaves it. Errors: RecordingError."""
    act = _known(text)
    if layer.dense or act is None or text == "identity" or not layer.has("z"):
        return
    z = layer.arrays["z"]
    after = text == "relu" and bool((z >= 0).all() and (z == 0).any() and (z > 0).any())
    if layer.has("x", "w") and layer.arrays["w"].shape == (layer.arrays["x"].shape[1], z.shape[1]):
        linear = layer.arrays["x"] @ layer.arrays["w"] + layer.arrays.get("b", 0)
        after = after or _is_close(layer, act.f(linear), z)
    if after:
        raise RecordingError(
            f"layer {layer.name}: z is already {text}(z): an activation that works in place has overwritten "
            "it. Copy z in the forward hook, before the activation"
        )


def _known(text: str) -> Activation | None:
    """Return the activation that a call-text names, or None where it is none of this program's."""
    try:
        return activation(text)
    except RegistryError:
        return None


def _derive(layer: Layer, above: Layer | None, known: str) -> None:
    """Put a and slope into a layer that lacks them, where its activation is stated or seen to be applied.

    The slope is taken from z in float64, where a saturated one keeps its digits; of one that even float64 has
    lost, the smallest number above 0 is kept, since a saturated unit is not dead.
    """
    if not layer.has("z"):
        return
    stated = layer.activation is not None or above is None
    layer.activation = text = layer.activation or (known if above else "identity")
    act = _known(text)
    if act is None or act.learnt is not None:
        layer.activation = None
        what = "is not known here" if act is None else "learns a number: say leaky_relu(slope=…), with it"
        _without(layer, f"the activation {text!r} {what}")
        return
    z = layer.arrays["z"].astype(np.float64)
    a = act.f(z)
    if "a" in layer.arrays and not _is_close(layer, a, layer.arrays["a"]):
        raise RecordingError(
            f"layer {layer.name}: a is not {text}(z). State the activation, or record the z that it acts on"
        )
    if not ("a" in layer.arrays or stated or _enters(a, layer, above)):
        _without(layer, f"whether {text} is applied to this z is not seen: give a, or the next layer's x")
        return
    slope = act.df(z, a)
    left, right = act.fades
    slope[(slope == 0) & ((z < 0) & left | (z > 0) & right)] = np.finfo(np.float64).smallest_subnormal
    layer.arrays = {"a": a, "slope": slope} | layer.arrays


def _enters(a: Array, layer: Layer, above: Layer | None) -> bool:
    """Return whether a is what the next layer is given."""
    if above is None or not above.has("x") or above.arrays["x"].shape != a.shape:
        return False
    return _is_close(layer, a, above.arrays["x"])


def _without(layer: Layer, why: str) -> None:
    for name in {"a", "slope"} - layer.arrays.keys():
        layer.leave_out(name, why)


@np.errstate(all="ignore")
def _check_delta(layer: Layer, above: Layer) -> None:
    """Refuse a delta that is dLoss/da, as a hook on the activation's output gives. Errors: RecordingError."""
    if not (above.dense and above.has("delta", "w") and layer.has("delta", "a", "slope")):
        return
    if not _enters(layer.arrays["a"], layer, above):
        return
    by_output = above.arrays["delta"].astype(np.float64) @ above.arrays["w"].T
    wanted, found = by_output * layer.arrays["slope"], layer.arrays["delta"]
    if np.abs(wanted).max(initial=0) < LOST or not found.any() or _is_close(layer, wanted, found):
        return
    if _is_close(layer, by_output, found):
        raise RecordingError(
            f"layer {layer.name}: delta is the gradient by a, not by z. Hook the layer's own output, before "
            "the activation"
        )
    layer.notes.append(
        f"layer {layer.name}: delta is not what comes from the layer above alone; a reaches the loss by "
        "another way as well, or the two were recorded from different passes"
    )
