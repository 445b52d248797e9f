"""Input–output Jacobians of layers and of whole networks, from what one forward pass has left on its tape.

A Jacobian is had by pulling the rows of an identity back through the layers, as a loss's gradient is. The
moments of batch normalisation are held fixed, as in a prediction: else an example's output would depend on
all other inputs. Those of layer normalisation move with their example. All in float64 and of the first
examples E of the tape's B. On kinks the slope is the activation's own choice.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlp.activations import Array
from mlp.network import Network
from mlp.numbers import Exponents, Measure
from mlp.probes.table import probe
from mlp.registry import Count
from mlp.tape import Tape
from mlp.trace import LayerTrace


def forward(net: Network, x: Array) -> Tape:
    """Return the tape of a pass over x (B, n_in), for the functions below."""
    tape = Tape(net, len(x), exact=True)
    tape.forward(x.astype(net.params.dtype, copy=False)[None])
    return tape


def layer_jacobian(tape: Tape, index: int, examples: int) -> Array:
    """Return (R, E, n_out, n_in): ∂(the output of layer `index`, from 0)/∂(its input).

    slope ∘ wᵀ for a plain hidden layer, 1 + residual·slope ∘ wᵀ past a skip, and wᵀ for the output layer.
    """
    return _pull(tape, index, _identity(tape, examples, tape.net.sizes[index + 1]))


def hidden_jacobian(net: Network, x: Array) -> Array:
    """Return (R, B, n, n_in): ∂(the output of the last hidden layer)/∂x at every example of x (B, n_in).

    Of a network without hidden layers the identity. At its true size, which may be too small for a float64.
    """
    tape = forward(net, x)
    g = _identity(tape, len(x), net.sizes[net.depth])
    for index in reversed(range(net.depth)):
        g = _pull(tape, index, g)
    return g


def end_to_end(tape: Tape, index: int, examples: int) -> tuple[Array, Exponents]:
    """Return (R, E, k) singular values of ∂logits/∂(input of layer `index`), as true · 2^exponent and (R, E).

    Of index 0 it is the whole network's Jacobian. All layers are gone through at the first call after a pass.
    """
    key = f"end to end of {examples}"
    if key not in tape.known:
        tape.known[key] = _all_the_way(tape, examples)
    values, exponents = tape.known[key]
    return values[index], exponents[index]


def singular_values(jacobian: Array) -> Array:
    """Return (…, k) singular values, the largest first, k the smaller side; NaN for what is not finite."""
    usable = np.asarray(np.isfinite(jacobian).all(axis=(-2, -1), keepdims=True))
    found = np.linalg.svd(np.where(usable, jacobian, 0.0), compute_uv=False)
    return np.where(usable[..., 0], found, np.nan)


def _all_the_way(tape: Tape, examples: int) -> tuple[list[Array], list[Exponents]]:
    """Return the singular values and exponents of every layer."""
    g = _identity(tape, examples, tape.net.sizes[-1])
    exponent = np.zeros(g.shape[:2], np.int64)
    values, exponents = [], []
    for index in reversed(range(tape.depth + 1)):
        g = _pull(tape, index, g)
        shift = _to_one(g)
        g = np.ldexp(g, shift[..., None, None])
        exponent = exponent + shift
        values.append(singular_values(g))
        exponents.append(exponent)
    return values[::-1], exponents[::-1]


def _to_one(g: Array) -> npt.NDArray[np.int32]:
    """Return (R, E) powers of two that bring the largest entries to about 1; 0 where there are none."""
    largest = np.abs(g).max(axis=(-2, -1))
    return np.where(np.isfinite(largest), -np.frexp(largest)[1], 0).astype(np.int32)


def _identity(tape: Tape, examples: int, width: int) -> Array:
    runs, there = tape.shape
    return np.broadcast_to(np.eye(width), (runs, min(examples, there), width, width))


@np.errstate(all="ignore")  # of a run that diverges; its NaN says so
def _pull(tape: Tape, index: int, g: Array) -> Array:
    """Return (R, E, m, n_in): g · ∂(the output of layer `index`)/∂(its input) for g (R, E, m, n_out)."""
    w = tape.net.layers[index].w.astype(np.float64, copy=False)
    if index == tape.depth:
        return np.matmul(g, w.mT[:, None])
    saved, kept = tape.saved[index], slice(g.shape[1])
    z = saved.z[:, kept]
    slope = np.where(np.isnan(z), np.nan, tape.net.act_of(index).df(z, saved.a[:, kept]).astype(np.float64))
    factor = tape.net.residual if tape.skips[index] else 1.0
    below = np.matmul(_through_norm(tape, index, g * (factor * slope)[:, :, None]), w.mT[:, None])
    return below + g if tape.skips[index] else below


def _through_norm(tape: Tape, index: int, g: Array) -> Array:
    """Return g · ∂z/∂u, written over g (R, E, m, n): g itself where nothing is normalised."""
    norm, gain, saved = tape.net.norm, tape.net.layers[index].gain, tape.saved[index]
    if norm is None or gain is None or saved.u_hat is None or saved.scale is None:
        return g
    np.multiply(g, gain[:, None], out=g)
    if norm.over_batch:
        return np.multiply(g, saved.scale[:, None], out=g)
    kept = slice(g.shape[1])
    return norm.backward(g, saved.u_hat[:, kept, None], saved.scale[:, kept, None])


# The probes ------------------------------------------------------------------------------------------------
#
# J is ∂(a layer's output)/∂(its input): slope ∘ wᵀ, with a skip's identity and a normalisation's factor (of
# batch normalisation with its moments held fixed). "End to end" it is ∂logits/∂(the layer's input), of layer
# 1 the whole network's. A J of m × n has min(m, n) singular values. Every statistic is that of one example's
# J, then the mean over the first `examples`; NaN for a run that is not finite.


def _of_layer(t: LayerTrace, examples: int) -> Array:
    """Return (R, E, k) singular values of the layer's J."""

    def measure() -> Array:
        return singular_values(layer_jacobian(*place(t), examples))

    return t.once(f"singular values of {examples}", measure)


def _to_logits(t: LayerTrace, examples: int) -> tuple[Array, Exponents]:
    """Return (R, E, k) singular values of the J end to end, true · 2^exponent, and the exponents (R, E)."""
    return end_to_end(*place(t), examples)


@np.errstate(all="ignore")  # beyond what a float64 holds: inf or 0
def _true(values: Array, exponents: Exponents) -> Array:
    return np.ldexp(values, -exponents[..., None].astype(np.int32))


@np.errstate(all="ignore")
def _spread(values: Array) -> Measure:
    """Return (R,) variance over squared mean of the squared singular values; NaN where all are 0."""
    squares = np.square(values / values.max(axis=-1, keepdims=True))
    return np.asarray((squares.var(axis=-1) / np.square(squares.mean(axis=-1))).mean(axis=-1))


@np.errstate(all="ignore")
def _log10_rms(values: Array, exponents: Exponents) -> Measure:
    rms = np.sqrt(np.square(values).mean(axis=-1))
    return np.asarray((np.log10(rms) - exponents * np.log10(2)).mean(axis=-1))


@probe(costly=True, whole_pass=True)
def jacobian_mean(t: LayerTrace, examples: Count = 4) -> Measure:
    """Mean singular value of J = ∂output/∂input of the layer."""
    return np.asarray(_of_layer(t, examples).mean(axis=(-2, -1)))


@probe(costly=True, whole_pass=True)
def jacobian_largest(t: LayerTrace, examples: Count = 4) -> Measure:
    """Largest singular value of J = ∂output/∂input of the layer."""
    return np.asarray(_of_layer(t, examples)[..., 0].mean(axis=-1))


@probe(costly=True, whole_pass=True)
def jacobian_smallest(t: LayerTrace, examples: Count = 4) -> Measure:
    """Smallest singular value of J = ∂output/∂input of the layer."""
    return np.asarray(_of_layer(t, examples)[..., -1].mean(axis=-1))


@probe(costly=True, whole_pass=True)
def jacobian_spread(t: LayerTrace, examples: Count = 4) -> Measure:
    """Variance of J's squared singular values over their squared mean; 0 for an isometry.

    σ²_{JJᵀ} for a mean of 1: Pennington, Schoenholz & Ganguli 2018, section 2.3.
    """
    return _spread(_of_layer(t, examples))


@probe(costly=True, whole_pass=True)
def end_to_end_mean(t: LayerTrace, examples: Count = 4) -> Measure:
    """Mean singular value of J = ∂logits/∂input of the layer, all layers above it included."""
    return np.asarray(_true(*_to_logits(t, examples)).mean(axis=(-2, -1)))


@probe(costly=True, whole_pass=True)
def end_to_end_largest(t: LayerTrace, examples: Count = 4) -> Measure:
    """Largest singular value of J = ∂logits/∂input of the layer."""
    return np.asarray(_true(*_to_logits(t, examples))[..., 0].mean(axis=-1))


@probe(costly=True, whole_pass=True)
def end_to_end_smallest(t: LayerTrace, examples: Count = 4) -> Measure:
    """Smallest singular value of J = ∂logits/∂input of the layer."""
    return np.asarray(_true(*_to_logits(t, examples))[..., -1].mean(axis=-1))


@probe(costly=True, whole_pass=True)
def end_to_end_spread(t: LayerTrace, examples: Count = 4) -> Measure:
    """Variance of the squared singular values of J = ∂logits/∂input over their squared mean."""
    return _spread(_to_logits(t, examples)[0])


@probe(costly=True, whole_pass=True)
def end_to_end_log10(t: LayerTrace, examples: Count = 4) -> Measure:
    """log10 of the root mean square singular value of J = ∂logits/∂input; −inf where all are 0.

    Right also where it is smaller than any number, as in a sigmoid network of a thousand layers.
    """
    return _log10_rms(*_to_logits(t, examples))


def place(t: LayerTrace) -> tuple[Tape, int]:
    """Return the pass that a trace comes from, and the layer's index there, from 0.

    A probe that calls this is declared with whole_pass=True. Errors: ValueError for a trace without its pass.
    """
    if t.tape is None:
        raise ValueError("this probe looks at the whole pass, and the trace does not have it (its tape)")
    return t.tape, t.layer - 1
