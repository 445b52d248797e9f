"""Optional probes: measured only where a config names them; a trace -> one number per run."""

from __future__ import annotations

import numpy as np

from mlp.activations import Array
from mlp.numbers import Exponents, Measure, share, times_power
from mlp.probes.jacobian import place, singular_values
from mlp.probes.missing import known
from mlp.probes.table import probe
from mlp.registry import Count, Share
from mlp.tape import Tape
from mlp.trace import LayerTrace

# The rank of what a layer says ----------------------------------------------------------------------------


@probe(costly=True)
def effective_rank(t: LayerTrace, centred: bool = False) -> Measure:
    """How many directions the activation's outputs fill: exp of the entropy of their singular values.

    The singular values of a (B, n), each over their sum, taken for probabilities (Roy & Vetterli 2007,
    definition 1): n for outputs that fill all directions evenly, 1 where all examples give the same up to a
    factor, 0 where all outputs are 0. centred: less each unit's mean, which else is a direction by itself.
    """
    return np.array([_effective_rank(a, centred) for a in t.scaled_a])


@np.errstate(all="ignore")
def _effective_rank(a: Array, centred: bool) -> float:
    wide = a.astype(np.float64, copy=False)
    values = singular_values(wide - wide.mean(axis=0) if centred else wide)
    if not values[0]:
        return 0.0
    p = values / values.sum()
    p = p[p != 0]
    return float(np.exp(-(p * np.log(p)).sum()))


# How alike the examples are, and how many units are quiet --------------------------------------------------


@probe()
@np.errstate(all="ignore")
def similarity(t: LayerTrace) -> Measure:
    """Mean cosine between the activation's outputs a for two examples, over all pairs: 1 all point one way.

    The correlation c of mean-field theory, which grows towards 1 with depth (Poole et al. 2016). Examples
    whose outputs are all 0 have no direction and are left out; NaN for fewer than two others.
    """
    largest = np.abs(t.scaled_a).max(axis=-1, keepdims=True)
    directions = t.scaled_a.astype(np.float64) / np.where(largest == 0, 1, largest)  # squares stay in range
    directions /= np.where(largest == 0, 1, np.linalg.norm(directions, axis=-1, keepdims=True))
    together = directions.sum(axis=-2)
    n = np.count_nonzero(largest, axis=(-2, -1))
    return np.where(n > 1, (np.vecdot(together, together) - n) / (n * (n - 1.0)), np.nan)


@probe()
@np.errstate(all="ignore")
def dormant_fraction(t: LayerTrace, below: Share = 0.025) -> Measure:
    """Share of units whose mean |a| over examples is at most `below` of the layer's mean |a|.

    τ-dormant units of Sokar, Agarwal, Castro & Evci 2023, definition 3.1. Dead ReLU units are dormant; so is
    every unit of a layer that is 0 throughout.
    """
    size = np.abs(t.scaled_a).mean(axis=-2, dtype=np.float64)
    return known(t, share((size <= below * size.mean(axis=-1, keepdims=True))[:, None]))


@probe()
def slope_below(t: LayerTrace) -> Measure:
    """The activation's slope at z = −1, that of its left side where it has a kink at 0.

    Of `prelu` it is what the layer has learnt (He, Zhang, Ren & Sun 2015, table 1); else a constant.
    """
    z = np.full((len(t.w), 1, 1), -1.0)
    return np.asarray(t.act.df(z, t.act.f(z))[:, 0, 0], np.float64)


# What the number format alone would say -------------------------------------------------------------------


@np.errstate(all="ignore")
def _plain_norm(scaled: Array, exponent: Exponents) -> Measure:
    """Return (R,) √Σg² of a gradient, g rounded to the run's own format, squared and summed in it."""
    held = times_power(scaled, -exponent).reshape(len(scaled), -1)
    return np.sqrt(np.vecdot(held, held)).astype(np.float64)


@probe()
def delta_norm_plain(t: LayerTrace) -> Measure:
    """‖dLoss/dz‖ as a backward pass without exponents has it: 0 where the format holds no entry's square."""
    return _plain_norm(t.scaled_delta, t.exponent)


@probe()
def dw_norm_plain(t: LayerTrace) -> Measure:
    """‖dLoss/dw‖ as a backward pass without exponents has it: 0 where the format holds no entry's square."""
    return _plain_norm(t.scaled_dw, t.dw_exponent)


# Linearity ------------------------------------------------------------------------------------------------


@probe(whole_pass=True)
@np.errstate(all="ignore")
def linear_deviation(t: LayerTrace) -> Measure:
    """How far z is from the one linear map that the layers would be without their activations.

    The map is x·(w₁·…·w_l) + b of the network's inputs x, in float64. The largest difference over all
    examples and units, over the largest |z|: only rounding where f(z) = z. NaN with normalisation or residual
    connections, whose maps are others.
    """
    tape, index = place(t)
    if tape.net.norm is not None or any(tape.skips):
        return np.full(len(t.z), np.nan)
    w, b = _linear_maps(tape)[index]
    away = np.abs(t.z - (tape.x[0] @ w + b)).max(axis=(-2, -1))
    return np.asarray(away / np.abs(t.z).max(axis=(-2, -1)), np.float64)


def _linear_maps(tape: Tape) -> list[tuple[Array, Array]]:
    """Return w (R, n_in, n_out) and b (R, 1, n_out) of the product of all layers up to each."""
    if "linear maps" not in tape.known:
        found: list[tuple[Array, Array]] = []
        for layer in tape.net.layers:
            w, b = (each.astype(np.float64) for each in (layer.w, layer.b))
            found.append((found[-1][0] @ w, found[-1][1] @ w + b) if found else (w, b))
        tape.known["linear maps"] = found
    maps: list[tuple[Array, Array]] = tape.known["linear maps"]
    return maps


# Gradient noise -------------------------------------------------------------------------------------------
#
# The gradients of w that mini-batches of the traced examples would give, in their order; what is left over
# sits out. In batch normalisation the moments are those of all examples, not of each mini-batch.


@probe(whole_pass=True)
def gradient_snr(t: LayerTrace, batch: Count = 32) -> Measure:
    """‖mean‖² of the gradients dw of mini-batches over the trace of their covariance.

    An estimate of `batch` over the simple noise scale of McCandlish et al. 2018. Of m mini-batches of nothing
    but noise it is 1/m on average; NaN for fewer than two.
    """
    return _noise(t, batch)[0]


@probe(whole_pass=True)
def gradient_cosine(t: LayerTrace, batch: Count = 32) -> Measure:
    """Mean cosine between the gradients dw of two mini-batches: 1 all agree, 0 all noise.

    Over all pairs of mini-batches of `batch` examples with a gradient; NaN for fewer than two.
    """
    return _noise(t, batch)[1]


def _noise(t: LayerTrace, batch: int) -> Array:
    """Return (2, R) signal to noise and mean cosine, run by run so that few gradients are held at a time."""

    def measure() -> Array:
        du = _before_norm(t)
        both = [_signal_to_noise(_gradients(x, d, batch)) for x, d in zip(t.scaled_x, du, strict=True)]
        return np.array(both).T

    return t.once(f"noise of {batch}", measure)


@np.errstate(all="ignore")
def _before_norm(t: LayerTrace) -> Array:
    """Return (R, B, n) dLoss/du of each example, u = x·w + b, scaled as delta is."""
    tape, index = place(t)
    norm, gain = tape.net.norm, tape.net.layers[index].gain
    if norm is None or gain is None:
        return t.scaled_delta
    saved = tape.saved[index]
    assert saved.u_hat is not None
    assert saved.scale is not None
    return norm.backward(t.scaled_delta * gain, saved.u_hat, saved.scale)


@np.errstate(all="ignore")
def _gradients(x: Array, du: Array, batch: int) -> Array:
    """Return (m, n_in·n_out) gradients of m mini-batches, up to a common factor."""
    m = len(x) // batch
    x, du = (np.asarray(each[: m * batch], np.float64).reshape(m, batch, each.shape[-1]) for each in (x, du))
    return np.matmul(x.mT, du).reshape(m, x.shape[-1] * du.shape[-1])


@np.errstate(all="ignore")
def _signal_to_noise(gradients: Array) -> tuple[float, float]:
    m = len(gradients)
    if m < 2:
        return np.nan, np.nan
    gradients = gradients / np.abs(gradients).max()  # neither may overflow or vanish when squared
    mean = gradients.mean(axis=0)
    scatter = np.square(gradients - mean).sum() / (m - 1)
    sizes = np.linalg.norm(gradients, axis=-1)
    k = np.count_nonzero(sizes)
    together = np.square((gradients[sizes != 0] / sizes[sizes != 0, None]).sum(axis=0)).sum()
    cosine = (together - k) / (k * (k - 1)) if k > 1 else np.nan
    return float(np.square(mean).sum() / scatter), float(cosine)
