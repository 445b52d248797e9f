"""The columns of the records as theory has them: norms, moments and shares, each with its sd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from experiments.theory.backward import Returned, walk
from experiments.theory.gaussian import Array
from experiments.theory.inputs import Inputs
from experiments.theory.kernels import Hidden, Output, Signal, alike
from experiments.theory.limits import (
    BELOW_ZERO,
    CANCELS,
    CHOSEN,
    FEW,
    IN_BATCH,
    LEAST_FOR_BAND,
    LEAST_LEFT,
    LEAST_OF_ALL,
    MOST_ALIKE,
    MOST_PAIRED,
    MOST_REUSED,
    PAIRED,
    REUSED,
    SHARED,
    SHARED_OF_ONE,
    TOO_WIDE,
    WIDEST,
    LogNorm,
    sentences,
)
from experiments.theory.mean_field import flat_fraction
from experiments.theory.strays import forward_noise, pair_noise

SATURATED_BELOW = 0.1  # of the largest slope: the default of the probe `saturated_fraction`


@dataclass(frozen=True)
class Columns:
    """The predicted columns, (layers,) each: logs with their sds over seeds, and plain values.

    limits has by column the sentences that say where there is no line or no band, and why.
    """

    logs: dict[str, Array] = field(default_factory=dict)
    sds: dict[str, Array] = field(default_factory=dict)
    plain: dict[str, Array] = field(default_factory=dict)
    limits: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def put(self, column: str, logs: Any, sds: Any, limits: tuple[str, ...] = ()) -> None:
        """Add a column with a band."""
        self.logs[column], self.sds[column] = np.array(logs), np.array(sds)
        if limits:
            self.limits[column] = limits


def _spread(inputs: Inputs, share: Array, noise: Array) -> float:
    """Return the variance of ln Σ_e v_e from the covariance of the ln v_e; share: (M,), v over the sum."""
    share = share / share.sum()
    return max(float(share @ (inputs.excess * noise) @ share), 0.0)


# Backward -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layer:
    """What the norms of one layer depend on; `stray` and `pairs` are those of its input, at this width."""

    inputs: Inputs
    x: Signal
    back: Returned
    stray: Array
    pairs: Array
    n_in: int
    width: int
    above: int  # layers between it and the loss


def backward_columns(inputs: Inputs, layers: Sequence[Hidden], output: Output, width: int) -> Columns:
    """Return the norms and root mean squares of delta, dw and db."""
    sizes = [inputs.n_in, *[width] * len(layers), inputs.classes]
    columns = Columns()
    rows = _downwards(inputs, layers, output, width)[::-1]
    shared = max((_alike(inputs, layer) for layer in layers), default=0.0)
    if shared > MOST_ALIKE:
        rows = [{name: norm.without_line(FEW) for name, norm in row.items()} for row in rows]
    elif shared:
        rows = [{name: norm.without_band(IN_BATCH) for name, norm in row.items()} for row in rows]
    units = {"delta": [inputs.total * n for n in sizes[1:]], "db": sizes[1:],
             "dw": [a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]}  # fmt: skip
    for name, numbers in units.items():
        found = [row[name] for row in rows]
        logs, sds = np.array([each.log for each in found]), np.array([each.sd for each in found])
        limits = sentences(found)
        columns.put(f"{name}_norm", logs, sds, limits)
        columns.put(f"{name}_rms", logs - np.log(numbers) / 2, sds, limits)
    return columns


def _alike(inputs: Inputs, layer: Hidden) -> float:
    """Return `alike` of a layer that is normalised over the batch, and 0 of any other."""
    if layer.rule.norm is None or not layer.rule.norm.over_batch:
        return 0.0
    root = np.sqrt(layer.z)
    return alike(inputs, layer.c * np.outer(root, root))


def _downwards(
    inputs: Inputs, layers: Sequence[Hidden], output: Output, width: int
) -> list[dict[str, LogNorm]]:
    """Yield the norms of every layer from the output layer down to the first."""
    entering = [*(layer.x for layer in layers), output.x][::-1]
    strays, pairs = list(forward_noise(layers, output))[::-1], list(pair_noise(layers))[::-1]
    sizes = [inputs.n_in, *[width] * len(layers)][::-1]
    rows, most_drawn = [], 0.0
    for above, back in enumerate(walk(inputs, layers, output, width)):
        layer = _Layer(
            inputs, entering[above], back, strays[above] / width, pairs[above] / width, sizes[above],
            width, above,
        )  # fmt: skip
        dw, most_drawn = _dw(layer, most_drawn)
        rows.append({"delta": _delta(layer), "dw": dw, "db": _db(layer)})
    return rows


def _delta(layer: _Layer) -> LogNorm:
    inputs, back = layer.inputs, layer.back
    squares = np.einsum("dii->di", back.delta) * inputs.weights
    share = squares.mean(axis=0)
    noise = back.noise / layer.width + np.outer(back.lean, back.lean) * layer.stray
    own = _not_shared(inputs, squares)
    return _norm(layer, squares.sum(axis=1), float(share.sum()), _spread(inputs, share, noise), own)


def _not_shared(inputs: Inputs, parts: Array) -> float:
    """Return by what to multiply the variance over draws of Σ_e parts (D, M), each of which stands for many.

    What one example's logits do by themselves averages out over all of those that it stands for.
    """
    covariance = np.cov(parts.T, ddof=0).reshape(len(inputs.weights), -1)
    whole = float(covariance.sum())
    return float(np.clip((inputs.excess * covariance).sum() / whole, 0, 1)) if whole > 0 else 1.0


def _dw(layer: _Layer, most_drawn: float) -> tuple[LogNorm, float]:
    """Return ‖dw‖, and the largest variance over draws of the logits of any layer from here on.

    N² pairs of examples: their gradients are alike by as much as their inputs happen to be, in a layer of n
    units by 1/√n. `paired` is what this adds to the sum: more than all the rest if N is much larger than n.
    """
    inputs, x, back, width = layer.inputs, layer.x.products, layer.back, layer.width
    du = back.du.mean(axis=0)
    if (np.diag(du) < 0).any():  # under batch normalisation more may be taken off than there is
        return LogNorm(np.nan, np.nan, BELOW_ZERO), most_drawn
    different = inputs.pairs - np.diag(inputs.weights)
    paired = float((different * layer.pairs * back.turn).sum())
    terms = inputs.pairs * x * du
    lean = back.du_lean + 1  # x², of which dw² has a factor, strays as u does
    noise = back.du_noise / width + np.outer(lean, lean) * layer.stray
    variance = _spread(inputs, terms.sum(axis=1), noise) + _sampling(inputs, x, du, back.scatter)
    if layer.stray.any():  # not so for layer 1, whose input is what it is
        cosines = layer.pairs / np.outer(np.diag(x), np.diag(x))
        variance += _sampling(inputs, du + x * back.turn, x, cosines)
    p = paired / (terms.sum() + paired) if paired else 0.0
    variance += 2 * p * (2 - p) / (width * inputs.classes)  # of n·C products of Gaussians, and with the rest
    variance = max(variance, 0.0)  # p < 0, where paired gradients are unlike, can take more than there is
    rows = (back.du * x * inputs.pairs).sum(axis=2)
    squares, own = layer.n_in * (rows.sum(axis=1) + paired), _not_shared(inputs, rows)
    drawn = own * float(np.log(squares).var()) if (squares > 0).all() else 0.0
    most_drawn = max(most_drawn, drawn)
    variance += min(1.0, np.sqrt(layer.above / width)) * (most_drawn - drawn)
    size = layer.n_in * float(np.abs(terms).sum() + abs(paired))
    found = _norm(layer, squares, size, variance, own)
    if p > MOST_PAIRED:
        return found.without_band(PAIRED), most_drawn
    chosen = (inputs.weights > 1).any() and back.reuse <= MOST_REUSED
    cancels = chosen and squares.mean() < LEAST_FOR_BAND * size
    return (found.without_band(CHOSEN) if cancels else found), most_drawn


def _db(layer: _Layer) -> LogNorm:
    inputs, back = layer.inputs, layer.back
    if back.centred:
        return LogNorm(-np.inf, 0.0)
    du = back.du.mean(axis=0)
    if (np.diag(du) < 0).any():
        return LogNorm(np.nan, np.nan, BELOW_ZERO)
    terms = inputs.pairs * du
    lean = np.outer(back.du_lean, back.du_lean)
    variance = _spread(inputs, terms.sum(axis=1), back.du_noise / layer.width + lean * layer.stray)
    variance += _sampling(inputs, np.ones_like(terms), du, back.scatter)
    squares = (back.du * inputs.pairs).sum(axis=(1, 2))
    return _norm(layer, squares, float(np.abs(terms).sum()), variance)


def _norm(layer: _Layer, squares: Array, size: float, variance: float, own: float = 1.0) -> LogNorm:
    """Return mean and sd of the log norm, from squares over draws of logits and the log's variance at one.

    size: the sum of the terms' sizes, of which `squares` are what is left. own: as `_not_shared` returns it.
    """
    reuse = layer.back.reuse
    least = LEAST_LEFT if (layer.inputs.weights > 1).any() else LEAST_OF_ALL
    if squares.mean() < least * size or (squares <= 0).any():
        return LogNorm(np.nan, np.nan, CANCELS)
    logs = np.log(squares)
    total = (variance + own * float(logs.var())) * (
        1 + (SHARED if len(layer.inputs.weights) > 1 else SHARED_OF_ONE) * reuse
    )
    if total / 4 > WIDEST**2:
        return LogNorm(np.nan, np.nan, TOO_WIDE)
    shift = layer.back.log_scale / 2 - np.log(layer.inputs.total)
    found = LogNorm(float(logs.mean() / 2 + shift - variance / 4), float(np.sqrt(total) / 2))
    return found.without_band(REUSED) if reuse > MOST_REUSED else found


def _sampling(inputs: Inputs, fixed: Array, products: Array, cosines: Array) -> float:
    """Return Var ln Σ fixed·products over all pairs, where `products` are means over Gaussian units.

    cosines: (M, M) variance of the cosine of two examples: 1/n for n units of one layer, more for several.
    By Isserlis' theorem; what the squares of single examples make of it is taken off, since `_spread` has it,
    so that of examples that all point one way nothing is left.
    """
    weighed, loose = inputs.pairs * fixed, inputs.excess * products
    once, terms = weighed @ loose, weighed * products
    sizes = np.abs(terms) * (1 - np.eye(len(products)))
    if not sizes.any() or terms.sum() <= 0:
        return 0.0
    share, size = terms.sum(axis=1) / terms.sum(), np.sqrt(np.diag(products))
    alike = np.square(products / np.outer(size, size)) if size.all() else np.zeros_like(products)
    relative = float(np.sum(once * once.T)) / float(terms.sum()) ** 2 - float(
        share @ (inputs.excess * alike) @ share
    )
    return max(2 * relative, 0.0) * float((sizes * cosines).sum() / sizes.sum())


# Forward --------------------------------------------------------------------------------------------------


def forward_columns(inputs: Inputs, layers: Sequence[Hidden], output: Output, width: int) -> Columns:
    """Return the moments of z and a, and the share of saturated units; the output layer's a is its z."""
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
    """Return by layer the variance of the log mean squares of z and of a, over all units and examples."""
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
