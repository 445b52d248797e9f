"""What a whole network is measured by: how sharply its loss curves, and how far its signals have moved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlp.activations import Array
from mlp.losses import evaluate
from mlp.numbers import Measure, frobenius, times_power
from mlp.probes.jacobian import place
from mlp.probes.table import probe
from mlp.streams import stream
from mlp.tape import Origin, Tape
from mlp.trace import LayerTrace

LANCZOS_STEPS = 100  # at most; ten to forty are usual
SURE = 1e-4  # a residual of this share of the eigenvalue: the error is about the residual's square
STEP = 2.0**-17  # of a central difference, over ‖θ‖: squared it is 6e-11, and eps over it 3e-11

Product = Callable[[Array], Array]  # a symmetric matrix times a vector, (P,) -> (P,)


@probe(costly=True, whole_pass=True)
@np.errstate(all="ignore")  # of a run that diverges; its NaN says so
def sharpness(t: LayerTrace) -> Measure:
    """Largest eigenvalue of the loss's Hessian by all parameters: one number, the same in every layer.

    Over all the traced examples, so of the whole training set where `probe_set` covers it; without weight
    decay. Largest is the most positive, not that of the largest magnitude. By Lanczos iteration on central
    differences of the gradient in float64, so on a kink of the activation it is what these differences see.
    Gradient descent at rate η diverges along a direction of more than 2/η (Cohen et al. 2021).
    """
    tape, _, origin = _origin(t)
    if "sharpness" not in tape.known:
        runs = (slice(r, r + 1) for r in range(tape.net.runs))
        tape.known["sharpness"] = np.array([_sharpness(tape, origin, run) for run in runs])
    found: Measure = tape.known["sharpness"]
    return found.copy()


def _origin(t: LayerTrace) -> tuple[Tape, int, Origin]:
    """Return the pass that a trace comes from, the layer's index there, and the pass's own origin."""
    tape, index = place(t)
    if tape.origin is None:
        raise ValueError("this probe looks at the whole pass of a training, and the trace's is of none")
    return tape, index, tape.origin


def _sharpness(tape: Tape, origin: Origin, run: slice) -> float:
    """Return the largest eigenvalue of the Hessian of one run of the tape; NaN of a run that diverged."""
    gradient = _gradient_function(tape, origin, run)
    at = tape.net.params[run].astype(np.float64)
    if not np.isfinite(gradient(at)).all():
        return float("nan")
    step = STEP * (float(frobenius(at)[0]) or 1.0)

    def hessian_times(v: Array) -> Array:
        return np.asarray((gradient(at + step * v) - gradient(at - step * v))[0] / (2 * step))

    return largest_eigenvalue(hessian_times, at.size)


def _gradient_function(tape: Tape, origin: Origin, run: slice) -> Callable[[Array], Array]:
    """Return the function from the parameters (1, P) of one run, in float64, to the loss's gradient."""
    net, x, y = tape.net, tape.x[0], origin.y
    x = (x if len(x) == 1 else x[run]).astype(np.float64, copy=False)
    y = y if len(y) == 1 else y[run]
    scratch = Tape(net.with_params(net.params[run].astype(np.float64)), x.shape[1], exact=False)

    def gradient(params: Array) -> Array:
        np.copyto(scratch.net.params, params)
        grads = np.empty_like(params)
        _, d_logits, exponent = evaluate(origin.loss, scratch.forward(x), y)
        scratch.gradients(d_logits, scratch.net.views(grads), exponent)
        scratch.backwards.unscale(grads)
        return grads

    return gradient


def largest_eigenvalue(times: Product, size: int) -> float:
    """Return the largest (most positive) eigenvalue of a symmetric matrix, given its product with a vector.

    By Lanczos iteration, every vector made orthogonal to all before it, from a fixed start. What it finds is
    never too large, and exact after `size` steps. NaN where the products are not finite.
    """
    w, steps = stream(0, "lanczos").normal(size=size), min(size, LANCZOS_STEPS)
    basis, projected = np.empty((steps, size)), np.zeros((steps, steps))
    found, rest = 0.0, float(np.linalg.norm(w))
    for k in range(1, steps + 1):
        basis[k - 1] = w / rest
        w = times(basis[k - 1])
        projected[k - 1, k - 1] = w @ basis[k - 1]
        for _ in range(2):  # once leaves rounding errors that grow
            w = w - basis[:k].T @ (basis[:k] @ w)
        rest = float(np.linalg.norm(w))
        if not np.isfinite(rest):
            return float("nan")
        values, vectors = np.linalg.eigh(projected[:k, :k])
        found = float(values[-1])
        if k == steps or rest * abs(vectors[-1, -1]) <= SURE * abs(found):
            break
        projected[k - 1, k] = projected[k, k - 1] = rest
    return found


@probe(whole_pass=True)
@np.errstate(all="ignore")
def z_change(t: LayerTrace) -> Measure:
    """‖z − z₀‖/‖z₀‖ of the same examples: how far the pre-activations are from those at the start.

    z₀ comes from a forward pass by the parameters at the start (as `displacement` is of the weights since
    then), so it does not depend on which other steps are watched. A hidden layer whose change stays near 0
    has learned no features of its own: it trains as a fixed random map would.
    """
    tape, index, origin = _origin(t)
    z0 = _at_the_start(tape, origin)[index]
    return frobenius(t.z - z0) / frobenius(z0)


def _at_the_start(tape: Tape, origin: Origin) -> list[Array]:
    """Return z (R, B, n) of every layer for the tape's examples and the parameters at the start."""
    if "at the start" not in tape.known:
        first = Tape(origin.start, tape.shape[1], exact=True)
        first.forward(tape.x[0])
        z = [*(saved.z for saved in first.saved), first.z[first.depth]]
        tape.known["at the start"] = [
            times_power(each, -power) for each, power in zip(z, first.z_exponent, strict=True)
        ]
    found: list[Array] = tape.known["at the start"]
    return found
