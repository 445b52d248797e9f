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
from mlp.tape import Tape

Exponents = npt.NDArray[np.int64]


def forward(net: Network, x: Array) -> Tape:
    """The tape of a pass over x (B, n_in), for the functions below."""
    tape = Tape(net, len(x), lean=False)
    tape.forward(x.astype(net.params.dtype, copy=False)[None])
    return tape


def layer_jacobian(tape: Tape, index: int, examples: int) -> Array:
    """(R, E, n_out, n_in): ∂(the output of layer `index`, from 0)/∂(its input).

    slope ∘ wᵀ for a plain hidden layer, 1 + residual·slope ∘ wᵀ past a skip, and wᵀ for the output layer.
    """
    return _pull(tape, index, _identity(tape, examples, tape.net.sizes[index + 1]))


def hidden_jacobian(net: Network, x: Array) -> Array:
    """(R, B, n, n_in): ∂(the output of the last hidden layer)/∂x at every example of x (B, n_in).

    Of a network without hidden layers the identity. At its true size, which may be too small for a float64.
    """
    tape = forward(net, x)
    g = _identity(tape, len(x), net.sizes[net.depth])
    for index in reversed(range(net.depth)):
        g = _pull(tape, index, g)
    return g


def end_to_end(tape: Tape, index: int, examples: int) -> tuple[Array, Exponents]:
    """(R, E, k) singular values of ∂logits/∂(the input of layer `index`), as true · 2^exponent, and (R, E).

    Of index 0 it is the whole network's Jacobian. All layers are gone through at the first call after a pass.
    """
    key = f"end to end of {examples}"
    if key not in tape.known:
        tape.known[key] = _all_the_way(tape, examples)
    values, exponents = tape.known[key]
    return values[index], exponents[index]


def singular_values(jacobian: Array) -> Array:
    """(…, k) singular values, the largest first, k the smaller side; NaN for what is not finite."""
    usable = np.asarray(np.isfinite(jacobian).all(axis=(-2, -1), keepdims=True))
    found = np.linalg.svd(np.where(usable, jacobian, 0.0), compute_uv=False)
    return np.where(usable[..., 0], found, np.nan)


def _all_the_way(tape: Tape, examples: int) -> tuple[list[Array], list[Exponents]]:
    """Singular values and exponents of every layer."""
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
    """(R, E) powers of two that bring the largest entries to about 1; 0 where there are none."""
    largest = np.abs(g).max(axis=(-2, -1))
    return np.where(np.isfinite(largest), -np.frexp(largest)[1], 0).astype(np.int32)


def _identity(tape: Tape, examples: int, width: int) -> Array:
    runs, there = tape.shape
    return np.broadcast_to(np.eye(width), (runs, min(examples, there), width, width))


@np.errstate(all="ignore")  # of a run that diverges; its NaN says so
def _pull(tape: Tape, index: int, g: Array) -> Array:
    """(R, E, m, n_in): g · ∂(the output of layer `index`)/∂(its input) for g (R, E, m, n_out)."""
    w = tape.net.layers[index].w.astype(np.float64, copy=False)
    if index == tape.depth:
        return np.matmul(g, w.mT[:, None])
    saved, kept = tape.saved[index], slice(g.shape[1])
    z = tape.pre_activation(index)
    slope = np.asarray(tape.net.act.df(z[:, kept], saved.a[:, kept]), np.float64)
    factor = tape.net.residual if tape.skips[index] else 1.0
    below = np.matmul(_through_norm(tape, index, g * (factor * slope)[:, :, None]), w.mT[:, None])
    return below + g if tape.skips[index] else below


def _through_norm(tape: Tape, index: int, g: Array) -> Array:
    """g · ∂z/∂u, written over g (R, E, m, n): itself where nothing is normalised."""
    norm, gain, saved = tape.net.norm, tape.net.layers[index].gain, tape.saved[index]
    if norm is None or gain is None or saved.u_hat is None or saved.scale is None:
        return g
    np.multiply(g, gain[:, None], out=g)
    if norm.over_batch:
        return np.multiply(g, saved.scale[:, None], out=g)
    kept = slice(g.shape[1])
    return norm.backward(g, saved.u_hat[:, kept, None], saved.scale[:, kept, None])
