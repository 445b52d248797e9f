"""From products of examples to the columns of the records: norms, moments, shares, each with its sd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from experiments.theory.backward import Returned, forward_noise, walk
from experiments.theory.gaussian import Array
from experiments.theory.inputs import Inputs
from experiments.theory.kernels import Hidden, Output, Signal
from experiments.theory.mean_field import flat_fraction

SATURATED_BELOW = 0.1  # of the largest slope: the default of the probe `saturated_fraction`
NOTHING = 1e-9  # of ‖delta‖²·total: a sum over pairs that cancels to less is rounding
UNKNOWN = 3.0  # variance over mean² of the draws; chi-square of one degree of freedom has 2


@dataclass(frozen=True)
class Columns:
    """(layers,) each: logs with their sds over seeds, and plain values."""

    logs: dict[str, Array] = field(default_factory=dict)
    sds: dict[str, Array] = field(default_factory=dict)
    plain: dict[str, Array] = field(default_factory=dict)

    def put(self, column: str, logs: Any, sds: Any) -> None:
        """Add a column with a band."""
        self.logs[column], self.sds[column] = np.array(logs), np.array(sds)


def _spread(inputs: Inputs, share: Array, noise: Array) -> float:
    """Variance of ln Σ_e v_e from the covariance of the ln v_e; share: (M,), each v with its weight."""
    share = share / share.sum()
    return max(float(share @ (inputs.excess * noise) @ share), 0.0)


# Backward -------------------------------------------------------------------------------------------------


def backward_columns(inputs: Inputs, layers: Sequence[Hidden], output: Output, width: int) -> Columns:
    """Norms and root mean squares of delta, dw and db."""
    entering = [*(layer.x for layer in layers), output.x]
    strays = list(forward_noise(layers, output))
    sizes = [inputs.n_in, *[width] * len(layers), inputs.classes]
    downwards = zip(
        walk(inputs, layers, output, width), entering[::-1], strays[::-1], sizes[-2::-1], strict=True
    )
    rows = [_norms(inputs, x, back, stray / width, n_in, width) for back, x, stray, n_in in downwards][::-1]
    columns = Columns()
    units = {"delta": [inputs.total * n for n in sizes[1:]], "db": sizes[1:],
             "dw": [a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]}  # fmt: skip
    for name, numbers in units.items():
        logs, sds = np.array([row[name] for row in rows]).T
        columns.put(f"{name}_norm", logs, sds)
        columns.put(f"{name}_rms", logs - np.log(numbers) / 2, sds)
    return columns


def _norms(
    inputs: Inputs, x: Signal, back: Returned, stray: Array, n_in: int, width: int
) -> dict[str, tuple[float, float]]:
    """(mean, sd) over seeds of the log of the three norms of one layer."""
    each = np.einsum("dii->di", back.delta) * inputs.weights
    share, du = each.mean(axis=0), back.du.mean(axis=0)
    noise = _spread(inputs, share, back.noise / width + np.outer(back.lean, back.lean) * stray)
    lean = back.du_lean + 1  # x², of which dw² has a factor, strays as u does
    noise_dw = _spread(inputs, share, back.du_noise / width + np.outer(lean, lean) * stray)
    noise_dw += _sampling(inputs, x.products, du) / width
    if stray.any():  # not so for layer 1, whose input is what it is
        noise_dw += _sampling(inputs, du, x.products) / width
    noise_db = noise + _sampling(inputs, np.ones_like(du), du) / width
    floor = NOTHING * inputs.total * share.sum()
    shift = back.log_scale / 2 - np.log(inputs.total)
    dw = n_in * (back.du * x.products * inputs.pairs).sum(axis=(1, 2))
    db = (back.du * inputs.pairs).sum(axis=(1, 2)) * (not back.centred)
    return {
        "delta": _log_norm(each.sum(axis=1), noise, shift, floor),
        "dw": _log_norm(dw, noise_dw, shift, floor),
        "db": _log_norm(db, noise_db, shift, floor),
    }


def _log_norm(squares: Array, noise: float, shift: float, floor: float) -> tuple[float, float]:
    """(mean, sd) of ln norm for squares over draws of the logits, log-normal, and the variance of their log.

    −inf, exactly 0, where they cancel by construction, as db does before a batch normalisation. NaN where
    they cancel so far that a choice of examples cannot tell what is left.
    """
    mean = squares.mean()
    if not squares.any():
        return -np.inf, 0.0
    if mean < floor or squares.var() > UNKNOWN * mean**2:
        return np.nan, np.nan
    variance = noise + float(np.log1p(squares.var() / mean**2))
    return float(np.log(mean) / 2 + shift - variance / 4), float(np.sqrt(variance) / 2)


def _sampling(inputs: Inputs, fixed: Array, products: Array) -> float:
    """n·Var ln Σ fixed·products over all pairs, where `products` is a mean over n Gaussian units."""
    weighed, loose = inputs.pairs * fixed, inputs.excess * products
    once = weighed @ loose
    total = (weighed * products).sum()
    return float(2 * np.sum(once * once.T) / total**2) if total > 0 else 0.0


# Forward --------------------------------------------------------------------------------------------------


def forward_columns(inputs: Inputs, layers: Sequence[Hidden], output: Output, width: int) -> Columns:
    """Moments of z and a, and the share of saturated units; the output layer's a is its z."""
    columns = Columns()
    squares = [*((layer.z, layer.square) for layer in layers), (output.u, output.u)]
    spreads = _spreads(inputs, layers, output, width)
    for index, name in enumerate(("z", "a")):
        logs = np.array([np.log(inputs.mean(row[index])) for row in squares])
        variances = np.array([row[index] for row in spreads])
        columns.put(f"{name}_rms", logs / 2 - variances / 4, np.sqrt(variances) / 2)
        if name == "z":
            columns.put("z_var", logs - variances / 2, np.sqrt(variances))
    columns.plain["z_mean"] = np.zeros(len(squares))
    columns.plain["a_mean"] = np.array([*(inputs.mean(layer.mean) for layer in layers), 0.0])
    columns.plain["a_var"] = (
        np.array([inputs.mean(square) for _, square in squares]) - columns.plain["a_mean"] ** 2
    )
    flat = [inputs.mean(flat_fraction(layer.rule.act, layer.z, SATURATED_BELOW)) for layer in layers]
    columns.plain["saturated_fraction"] = np.array([*flat, 0.0])
    return columns


def _spreads(
    inputs: Inputs, layers: Sequence[Hidden], output: Output, width: int
) -> list[tuple[float, float]]:
    """Var ln of the mean squares of z and of a over all units and examples, by layer."""
    *hidden, last = forward_noise(layers, output)
    found = []
    for layer, stray in zip(layers, hidden, strict=True):
        a = layer.square_noise / np.outer(layer.square, layer.square)
        z = np.zeros_like(stray)
        if layer.rule.norm is None:
            lean = layer.square_slope * layer.u / layer.square
            a = a + np.outer(lean, lean) * stray
            z = stray + 2 * layer.c**2
        of_z = _spread(inputs, inputs.weights * layer.z, z / width)
        found.append((of_z, _spread(inputs, inputs.weights * layer.square, a / width)))
    root = np.sqrt(output.u)
    sampled = 2 * (output.logits / np.outer(root, root)) ** 2 / inputs.classes  # they are only so many
    logits = _spread(inputs, inputs.weights * output.u, last / width + sampled)
    return [*found, (logits, logits)]
