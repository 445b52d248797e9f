"""Probes that are measured only where they are asked for by name: a trace -> one number per run.

Those marked `costly` may take longer than a step of training, so they are measured at few of the watched
steps. `probes.PROBES` has all of these too; its default has none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlp.activations import Array
from mlp.jacobian import Exponents, end_to_end, layer_jacobian, singular_values
from mlp.registry import Registry
from mlp.tape import Tape
from mlp.trace import LayerTrace, Measure

ON_REQUEST = Registry("probe")

Probe = Callable[..., Measure]


def alone(probe: Probe) -> Probe:
    """Mark a probe, by its attribute `alone`, as one that looks at the whole pass: no `Rows` for it."""
    probe.alone = True  # type: ignore[attr-defined]
    return probe


def costly(probe: Probe) -> Probe:
    """Mark a probe, by its attribute `costly`, as one to be measured at few steps; it is `alone` too."""
    probe.costly = True  # type: ignore[attr-defined]
    return alone(probe)


# Jacobians ------------------------------------------------------------------------------------------------
#
# J is ∂(a layer's output)/∂(its input): slope ∘ wᵀ, with a skip's identity and a normalisation's factor (of
# batch normalisation with its moments held fixed). "End to end" it is ∂logits/∂(the layer's input), of layer
# 1 the whole network's. A J of m × n has min(m, n) singular values. Every statistic is that of one example's
# J, then the mean over the first `examples`; NaN for a run that is not finite.


def _place(t: LayerTrace) -> tuple[Tape, int]:
    """The pass that a trace of one layer comes from, and the layer's index there, from 0."""
    assert t.tape is not None
    assert isinstance(t.layer, int)
    return t.tape, t.layer - 1


def _of_layer(t: LayerTrace, examples: int) -> Array:
    """(R, E, k) singular values of the layer's J."""

    def measure() -> Array:
        return singular_values(layer_jacobian(*_place(t), examples))

    return t.once(f"singular values of {examples}", measure)


def _to_logits(t: LayerTrace, examples: int) -> tuple[Array, Exponents]:
    """(R, E, k) singular values of the J end to end, true · 2^exponent, and the exponents (R, E)."""
    return end_to_end(*_place(t), examples)


@np.errstate(all="ignore")  # beyond what a float64 holds: inf or 0
def _true(values: Array, exponents: Exponents) -> Array:
    return np.ldexp(values, -exponents[..., None].astype(np.int32))


@np.errstate(all="ignore")
def _spread(values: Array) -> Measure:
    """(R,) variance over squared mean of the squared singular values; NaN where all are 0."""
    squares = np.square(values / values.max(axis=-1, keepdims=True))
    return np.asarray((squares.var(axis=-1) / np.square(squares.mean(axis=-1))).mean(axis=-1))


@np.errstate(all="ignore")
def _log10_rms(values: Array, exponents: Exponents) -> Measure:
    rms = np.sqrt(np.square(values).mean(axis=-1))
    return np.asarray((np.log10(rms) - exponents * np.log10(2)).mean(axis=-1))


@ON_REQUEST
@costly
def jacobian_mean(t: LayerTrace, examples: int = 4) -> Measure:
    """Mean singular value of J = ∂output/∂input of the layer."""
    return np.asarray(_of_layer(t, examples).mean(axis=(-2, -1)))


@ON_REQUEST
@costly
def jacobian_largest(t: LayerTrace, examples: int = 4) -> Measure:
    """Largest singular value of J = ∂output/∂input of the layer."""
    return np.asarray(_of_layer(t, examples)[..., 0].mean(axis=-1))


@ON_REQUEST
@costly
def jacobian_smallest(t: LayerTrace, examples: int = 4) -> Measure:
    """Smallest singular value of J = ∂output/∂input of the layer."""
    return np.asarray(_of_layer(t, examples)[..., -1].mean(axis=-1))


@ON_REQUEST
@costly
def jacobian_spread(t: LayerTrace, examples: int = 4) -> Measure:
    """Variance of J's squared singular values over their squared mean; 0 for an isometry.

    σ²_{JJᵀ} for a mean of 1: Pennington, Schoenholz & Ganguli 2018, section 2.3.
    """
    return _spread(_of_layer(t, examples))


@ON_REQUEST
@costly
def end_to_end_mean(t: LayerTrace, examples: int = 4) -> Measure:
    """Mean singular value of J = ∂logits/∂input of the layer, all layers above it included."""
    return np.asarray(_true(*_to_logits(t, examples)).mean(axis=(-2, -1)))


@ON_REQUEST
@costly
def end_to_end_largest(t: LayerTrace, examples: int = 4) -> Measure:
    """Largest singular value of J = ∂logits/∂input of the layer."""
    return np.asarray(_true(*_to_logits(t, examples))[..., 0].mean(axis=-1))


@ON_REQUEST
@costly
def end_to_end_smallest(t: LayerTrace, examples: int = 4) -> Measure:
    """Smallest singular value of J = ∂logits/∂input of the layer."""
    return np.asarray(_true(*_to_logits(t, examples))[..., -1].mean(axis=-1))


@ON_REQUEST
@costly
def end_to_end_spread(t: LayerTrace, examples: int = 4) -> Measure:
    """Variance of the squared singular values of J = ∂logits/∂input over their squared mean."""
    return _spread(_to_logits(t, examples)[0])


@ON_REQUEST
@costly
def end_to_end_log10(t: LayerTrace, examples: int = 4) -> Measure:
    """log10 of the root mean square singular value of J = ∂logits/∂input; −inf where all are 0.

    Right also where it is smaller than any number, as in a sigmoid network of a thousand layers.
    """
    return _log10_rms(*_to_logits(t, examples))


# The rank of what a layer says ----------------------------------------------------------------------------


@ON_REQUEST
@costly
def effective_rank(t: LayerTrace, centred: bool = False) -> Measure:
    """How many directions the activation's outputs fill: exp of the entropy of their singular values.

    The singular values of a (B, n), each over their sum, taken for probabilities (Roy & Vetterli 2007,
    definition 1): n for outputs that fill all directions evenly, 1 where all examples give the same up to a
    factor, 0 where all outputs are 0. centred: less each unit's mean, which else is a direction by itself.
    """
    return np.array([_effective_rank(a, centred) for a in t.a])


@np.errstate(all="ignore")
def _effective_rank(a: Array, centred: bool) -> float:
    wide = a.astype(np.float64, copy=False)
    values = singular_values(wide - wide.mean(axis=0) if centred else wide)
    if not values[0]:
        return 0.0
    p = values / values.sum()
    p = p[p != 0]
    return float(np.exp(-(p * np.log(p)).sum()))


# What the number format alone would say -------------------------------------------------------------------


@np.errstate(all="ignore")
def _plain_norm(t: LayerTrace, name: str) -> Measure:
    """(R,) √Σg² of the named gradient in the run's own format: g rounded to it, squared and summed in it."""
    scaled: Array = getattr(t, name)
    held = np.ldexp(scaled, -t.exponent[:, None, None].astype(np.int32)).reshape(len(scaled), -1)
    return np.sqrt(np.vecdot(held, held)).astype(np.float64)


@ON_REQUEST
def delta_norm_plain(t: LayerTrace) -> Measure:
    """‖dLoss/dz‖ as a backward pass without exponents has it: 0 where the format holds no entry's square."""
    return _plain_norm(t, "scaled_delta")


@ON_REQUEST
def dw_norm_plain(t: LayerTrace) -> Measure:
    """‖dLoss/dw‖ as a backward pass without exponents has it: 0 where the format holds no entry's square."""
    return _plain_norm(t, "scaled_dw")


# Gradient noise -------------------------------------------------------------------------------------------
#
# The gradients of w that mini-batches of the traced examples would give, in their order; what is left over
# sits out. In batch normalisation the moments are those of all examples, not of each mini-batch.


@ON_REQUEST
@alone
def gradient_snr(t: LayerTrace, batch: int = 32) -> Measure:
    """‖mean‖² of the gradients dw of mini-batches over the trace of their covariance.

    An estimate of `batch` over the simple noise scale of McCandlish et al. 2018. Of m mini-batches of nothing
    but noise it is 1/m on average; NaN for fewer than two.
    """
    return _noise(t, batch)[0]


@ON_REQUEST
@alone
def gradient_cosine(t: LayerTrace, batch: int = 32) -> Measure:
    """Mean cosine between the gradients dw of two mini-batches: 1 all agree, 0 all noise.

    Over all pairs of mini-batches of `batch` examples with a gradient; NaN for fewer than two.
    """
    return _noise(t, batch)[1]


def _noise(t: LayerTrace, batch: int) -> Array:
    """(2, R) signal to noise and mean cosine, run by run so that few gradients are held at a time."""

    def measure() -> Array:
        du = _before_norm(t)
        both = [_signal_to_noise(_gradients(x, d, batch)) for x, d in zip(t.x, du, strict=True)]
        return np.array(both).T

    return t.once(f"noise of {batch}", measure)


@np.errstate(all="ignore")
def _before_norm(t: LayerTrace) -> Array:
    """(R, B, n) dLoss/du of each example, u = x·w + b, scaled as delta is."""
    tape, index = _place(t)
    norm, gain = tape.net.norm, tape.net.layers[index].gain
    if norm is None or gain is None:
        return t.scaled_delta
    saved = tape.saved[index]
    assert saved.u_hat is not None
    assert saved.scale is not None
    return norm.backward(t.scaled_delta * gain, saved.u_hat, saved.scale)


@np.errstate(all="ignore")
def _gradients(x: Array, du: Array, batch: int) -> Array:
    """(m, n_in·n_out) gradients of m mini-batches, up to a common factor."""
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
