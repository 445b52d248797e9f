"""R stacked MLPs of one shape: their parameters, how they start, and what they predict.

A run's parameters are one row of a flat (R, P) block; every weight matrix is a view into it, so that an
update is one operation and a matrix product still reads contiguous slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.activations import Activation, Array, activation
from mlp.initialisers import BIASES, INITIALISERS
from mlp.norms import NORMS, Norm
from mlp.streams import stream

EXAMPLES_AT_ONCE = 1024  # of a prediction: bounds its memory whatever the size of the test set


@dataclass(frozen=True)
class Layer:
    """Views of one layer: w (R, n_in, n_out), b (R, 1, n_out); gain and shift likewise where normalised.

    learnt (R, 1, 1) is the number of the activation that is learnt, where it has one.
    """

    w: Array
    b: Array
    gain: Array | None
    shift: Array | None
    learnt: Array | None
    block: slice  # its columns in the flat (R, P) block


@dataclass(frozen=True)
class Network:
    """R networks that depend on no other run, bit for bit.

    sizes: (n_in, hidden …, classes). params: (R, P). norm acts on every hidden layer. residual α > 0 makes a
    hidden layer from the second on x + α·f(z).
    """

    sizes: tuple[int, ...]
    act: Activation
    params: Array
    norm: Norm | None = None
    residual: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", self.views(self.params))

    layers: tuple[Layer, ...] = ()

    @property
    def runs(self) -> int:
        """The number of runs, R."""
        return int(self.params.shape[0])

    @property
    def depth(self) -> int:
        """Number of hidden layers; layer index `depth` (counted from 0) is the output layer."""
        return len(self.sizes) - 2

    def views(self, flat: Array) -> tuple[Layer, ...]:
        """Return the layers of any (R, P) block (parameters, gradients or steps), as views."""
        learns = self.act.learnt is not None
        return tuple(_views(flat, self.sizes, normed=self.norm is not None, learns=learns))

    def weights(self, flat: Array, index: int) -> Array:
        """Return the weights (R, n_in, n_out) of layer `index` (from 0) of an (R, P) block."""
        layer = self.layers[index]
        n_in, n_out = layer.w.shape[1:]
        start = layer.block.start
        return flat[:, start : start + n_in * n_out].reshape(-1, n_in, n_out)

    def part(self, runs: slice) -> Network:
        """Return a network of some of the runs; its parameters are views."""
        return self.with_params(self.params[runs])

    def with_params(self, params: Array) -> Network:
        """Return a network of the same kind with the parameters (R, P), in their number format."""
        return Network(self.sizes, self.act, params, self.norm, self.residual)

    def act_of(self, index: int) -> Activation:
        """Return the activation of hidden layer `index` (from 0), as far as it has been learnt."""
        p = self.layers[index].learnt
        return self.act if p is None else self.act.at(p)

    def with_activation(self, text: str) -> Network:
        """Return the same weights with another activation; a number that it learns is at its start."""
        net = _zeros(self.sizes, activation(text), self.runs, self.params.dtype, self.norm, self.residual)
        for old, new in zip(self.layers, net.layers, strict=True):
            for name in ("w", "b", "gain", "shift"):
                if (values := getattr(old, name)) is not None:
                    getattr(new, name)[:] = values
        return net

    def is_skip(self, index: int) -> bool:
        """Return whether layer `index` (from 0) adds its input to its output: a hidden one but the first."""
        return self.residual > 0 and 0 < index < self.depth

    def predict(self, x: Array, moments: Sequence[tuple[Array, Array]] = ()) -> Array:
        """Return the logits (R, B, C) of x (B, n_in); `moments` are a tape's, for batch normalisation."""
        parts = range(0, len(x), EXAMPLES_AT_ONCE)
        return np.concatenate([self._predict(x[i : i + EXAMPLES_AT_ONCE], moments) for i in parts], axis=1)

    @np.errstate(all="ignore")  # a run that diverged goes on as NaN; the others must not hear of it
    def _predict(self, x: Array, moments: Sequence[tuple[Array, Array]]) -> Array:
        h = x[None]
        for index, p in enumerate(self.layers):
            z = np.matmul(h, p.w)
            np.add(z, p.b, out=z)
            if index == self.depth:
                return z
            if self.norm is not None and p.gain is not None and p.shift is not None:
                seen = moments[index] if self.norm.over_batch else ()
                z = self.norm.apply(z, *seen) * p.gain + p.shift
            a = self.act_of(index).f(z)
            h = h + self.residual * a if self.is_skip(index) else a
        raise AssertionError("a network has an output layer")


def _views(flat: Array, sizes: tuple[int, ...], *, normed: bool, learns: bool) -> list[Layer]:
    runs, at, layers = flat.shape[0], 0, []
    for index, (n_in, n_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        start = at
        w = flat[:, at : at + n_in * n_out].reshape(runs, n_in, n_out)
        at += n_in * n_out
        rows = []
        hidden = index < len(sizes) - 2
        for _ in range(3 if normed and hidden else 1):
            rows.append(flat[:, None, at : at + n_out])
            at += n_out
        gain, shift = rows[1:] if len(rows) == 3 else (None, None)
        learnt = flat[:, None, at : at + 1] if learns and hidden else None
        at += learns and hidden
        layers.append(Layer(w, rows[0], gain, shift, learnt, slice(start, at)))
    return layers


def parameter_count(sizes: Sequence[int], *, normed: bool = False, learns: bool = False) -> int:
    """Return P: the weights and biases, and a gain and a shift of every hidden unit where normalised.

    learns: whether the activation has a number that each hidden layer learns.
    """
    weights = sum(n_in * n_out + n_out for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True))
    hidden = sizes[1:-1]
    return weights + (2 * sum(hidden) if normed else 0) + (len(hidden) if learns else 0)


def create(
    sizes: Sequence[int],
    act: str,
    *,
    seeds: Sequence[int],
    init: Sequence[str],
    bias: Sequence[str] = (),
    dtype: str = "float64",
    norm: str = "none",
    residual: float = 0.0,
) -> Network:
    """Draw R = len(seeds) networks; act, init, bias and norm are call-texts, one init and one bias per run.

    Hidden layer l draws from the stream (seed, "weights", l) and the output layer from (seed, "weights", 0),
    so networks of different depth share the noise of their common layers.
    """
    net = _zeros(sizes, activation(act), len(seeds), np.dtype(dtype), NORMS.bind(norm)(), residual)
    biases = bias or ["zeros"] * len(seeds)
    for r, (seed, weights, offsets) in enumerate(zip(seeds, init, biases, strict=True)):
        _draw(net, r, seed, weights, offsets)
    return net


def _zeros(
    sizes: Sequence[int], act: Activation, runs: int, dtype: np.dtype[Any], norm: Norm | None, residual: float
) -> Network:
    """Return networks of which all is 0 but what an activation learns, which is at its start."""
    count = parameter_count(sizes, normed=norm is not None, learns=act.learnt is not None)
    net = Network(tuple(sizes), act, np.zeros((runs, count), dtype), norm, residual)
    for p in net.layers:
        if p.learnt is not None and act.learnt is not None:
            p.learnt[:] = act.learnt.start
    return net


def _draw(net: Network, r: int, seed: int, init: str, bias: str) -> None:
    chosen, biases = INITIALISERS.bind(init)(), BIASES.bind(bias)()
    for index, (p, n_in, n_out) in enumerate(zip(net.layers, net.sizes[:-1], net.sizes[1:], strict=True)):
        key = 0 if index == net.depth else index + 1
        ends = index == 0, index == net.depth
        weights, offsets_of = chosen.at(*ends), biases.at(*ends)
        drawn = weights.draw(stream(seed, "weights", key), n_in, n_out, net.act)
        _check_drawn(init, drawn, (n_in + weights.draws_bias, n_out))
        p.w[r] = drawn[:n_in]
        size = offsets_of.std(n_in, n_out, net.act)
        offsets = size * offsets_of.noise(stream(seed, "biases", key), 1, n_out)
        _check_drawn(bias, offsets, (1, n_out))
        p.b[r] = offsets + drawn[n_in] if weights.draws_bias else offsets
        if p.gain is not None:
            p.gain[r] = 1


def _check_drawn(text: str, drawn: Array, shape: tuple[int, int]) -> None:
    """Refuse an array of another shape, which would be repeated to fill the layer; errors: ValueError."""
    if np.shape(drawn) != shape:
        raise ValueError(f"{text} draws an array of shape {np.shape(drawn)}, not {shape}")
