"""Mean-field theory of a data set: how a wide random network changes the products of its examples.

A layer is known by (M, M) tables over the examples of `Inputs`: E aa' forward, the sum over units of
delta·delta' backward. The second is propagated for several draws of the logits at once, (D, M, M), because
what a loss makes of C logits depends on them, and C is not large. For one example this is the scalar theory
of `mean_field`. Poole et al. 2016; Lee et al. 2018 (forward); Schoenholz et al. 2017 (backward).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from experiments.theory.gaussian import Array, Basis, Series
from experiments.theory.inputs import Inputs
from experiments.theory.limits import MOST_ALIKE
from mlp.activations import Activation
from mlp.losses import LOSSES
from mlp.norms import Norm

TINY, HUGE = 1e-250, 1e60  # the range of q: below, f² would underflow; above, f⁴ would lose its meaning
DRAWS, MOST_DRAWS = 64, 1024  # of the logits, for 64 examples or more and for one: as many as cost the same
CHOSEN_FROM = 16  # times as many draws, from which those are chosen
MOST_LOGITS = 2**21  # that are drawn in all: 16 MB
STEP = 0.05  # in the log of a logit: a central difference over the draws
CACHED = 256  # layers kept: 40 MB for 64 examples; a depth sweep shares all but its output layers


class OutOfRange(ValueError):
    """The forward signal vanishes or explodes beyond what can be predicted; the message says where."""


@dataclass(frozen=True)
class Rule:
    """One hidden layer: weight = n_in·Var w, bias = Var b; skip > 0: its output is x + skip·f(z).

    keeps_up, keeps_down: share of an input's, and of a gradient's, size that passes the weights without
    straying: 0 for independent weights, 1 for orthogonal ones of an equal or growing number of units. peak:
    the weights' excess kurtosis, 0 for Gaussian and −1.2 for uniform ones.
    """

    act: Activation
    weight: float
    bias: float = 0.0
    norm: Norm | None = None
    skip: float = 0.0
    keeps_up: float = 0.0
    keeps_down: float = 0.0
    peak: float = 0.0


@dataclass(frozen=True, eq=False)
class Signal:
    """A layer's output: products E xx' (M, M) and means E x (M,) over units."""

    products: Array
    mean: Array


@dataclass(frozen=True, eq=False)
class Hidden:
    """A hidden layer over M examples; a "noise" is n times a covariance between examples, at width n.

    x: what enters; out: what leaves. u: (M,) E u² before normalisation; z: (M,) E z²; c: (M, M)
    correlations of z. scale: (M,) z per u. mean, square: (M,) E f, E f²; products, slopes: (M, M)
    E ff', E f'f'.
    radial: (M, M) E ff'·f(z')f'(z') for two examples' z, z'.
    bend: (M,) d ln E f'²/d ln u; mean_slope, square_slope: (M,) d E f/d u, d E f²/d u.
    slope_noise: E f'²f'²/(E f'² E f'²); square_noise: cov(f², f²); cross_noise: cov(f², f'²/E f'²);
    pair_noise: of the product of two examples, beyond what goes with their squares. Where the layer's own
    mean and mean square of z are held, by a normalisation or by orthogonal weights, what goes with these is
    taken from the last three and, as slope_held, to be taken from the first.
    """

    rule: Rule
    x: Signal
    out: Signal
    u: Array
    z: Array
    c: Array
    scale: Array
    mean: Array
    square: Array
    products: Array
    slopes: Array
    radial: Array
    bend: Array
    mean_slope: Array
    square_slope: Array
    slope_noise: Array
    slope_held: Array
    square_noise: Array
    cross_noise: Array
    pair_noise: Array


# Forward --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=CACHED)
def first(inputs: Inputs, rule: Rule) -> Hidden:
    """Return hidden layer 1. The mean of its inputs is not needed, since there is no skip past it."""
    return _hidden(inputs, Signal(inputs.gram, np.zeros(len(inputs.gram))), rule)


@lru_cache(maxsize=CACHED)
def following(inputs: Inputs, below: Hidden, rule: Rule) -> Hidden:
    """Return the hidden layer above another; it is kept for networks that differ only further up."""
    return _hidden(inputs, below.out, rule)


def _hidden(inputs: Inputs, x: Signal, rule: Rule) -> Hidden:
    u = rule.weight * x.products + rule.bias
    products, scale = _normalised(inputs, u, rule.norm)
    z = np.diag(products)
    if not ((z > TINY) & (z < HUGE)).all():
        raise OutOfRange("vanishes" if (z <= TINY).any() else "explodes")
    root = np.sqrt(z)
    c = np.clip(products / np.outer(root, root), -1, 1)
    np.fill_diagonal(c, 1)
    return _averages(rule, x, np.diag(u), z, c, scale)


def _normalised(inputs: Inputs, u: Array, norm: Norm | None) -> tuple[Array, Array]:
    """Return the products of z, the normalised u, and the factor by which each example was scaled."""
    if norm is None:
        return u, np.ones(len(u))
    if norm.axis == -1:  # over the layer: in a wide one the mean over units is 0
        scale = 1 / np.sqrt(np.diag(u) + norm.eps)
    else:
        u = inputs.centred(u)
        scale = np.full(len(u), 1 / np.sqrt(inputs.mean(np.diag(u)) + norm.eps))
        u = u * np.outer(scale, scale)
        return (_over_own_variance(inputs, u) if alike(inputs, u) < MOST_ALIKE else u), scale
    return u * np.outer(scale, scale), scale


def _over_own_variance(inputs: Inputs, z: Array) -> Array:
    """Return the products of z after each unit is divided by its own deviation over the batch.

    To first order in the variance of units' variances, 2·mean z². An example that is far larger than
    others is most of its units' variance and is held back.
    """
    along = (inputs.excess * z * inputs.weights) @ (inputs.excess * z) / inputs.total
    np.fill_diagonal(along, (inputs.pairs * z * z).sum(axis=1) / inputs.weights / inputs.total)
    return z + 2 * (alike(inputs, z) * z - (along + along.T) / 2)


def alike(inputs: Inputs, z: Array) -> float:
    """Return the mean over all pairs of examples of the squared product of z.

    It is half the variance of the units' variances over the batch.
    """
    return float((inputs.pairs * z * z).sum()) / inputs.total**2


def _averages(rule: Rule, x: Signal, u: Array, z: Array, c: Array, scale: Array) -> Hidden:
    act = rule.act
    basis = Basis.of(z, c, act.kinks)
    a = act.f(basis.points)
    slope = act.df(basis.points, a)
    square, steep = basis.mean(a * a), basis.mean(slope * slope)
    f, df, fdf = basis.expand(a), basis.expand(slope), basis.expand(a * slope)
    f2, df2 = basis.expand(a * a / square[:, None]), basis.expand(slope * slope / steep[:, None])
    products, slopes = basis.pairs(f, f), basis.pairs(df, df)
    normed = rule.norm is not None and not rule.norm.over_batch
    kept = rule.keeps_up * slopes**2 * np.outer(z, z) * (1 - c * c) ** 2

    def low(g: Series, h: Series) -> Array:
        return basis.low_orders(g, h) if normed else rule.keeps_up * basis.low_orders(g, h, first=2)

    moves = 1.0 if rule.norm is None else 0.0  # normalised, z stays where it is when u moves
    return Hidden(
        rule=rule, x=x, out=_out(rule, x, f.coefficients[0], products), u=u, z=z, c=c, scale=scale,
        mean=f.coefficients[0], square=square, products=products, slopes=slopes,
        radial=basis.pairs(fdf, fdf),
        bend=moves * z * basis.mean_slope(slope * slope) / steep,
        mean_slope=moves * basis.mean_slope(a),
        square_slope=moves * basis.mean_slope(a * a),
        slope_noise=basis.pairs(df2, df2),
        slope_held=low(df2, df2),
        square_noise=np.outer(square, square) * (basis.pairs(f2, f2) - 1 - low(f2, f2)),
        pair_noise=_pair_noise(basis, a, square, products, kept),
        cross_noise=square[:, None] * (basis.pairs(f2, df2) - 1 - low(f2, df2)),
    )  # fmt: skip


def _pair_noise(basis: Basis, a: Array, square: Array, products: Array, kept: Array) -> Array:
    """Return (M, M): n·variance of the mean of ff' − (c/2)(f² + f'²) over units, f over its root mean square.

    What the correlation of two examples strays by, times their sizes: sizes' own strays are `square_noise`.
    kept: what orthogonal weights hold of it.
    """
    root = np.sqrt(square)
    f, c = a / root[:, None], products / np.outer(root, root)
    one, two, three = (basis.expand(f**power) for power in (1, 2, 3))
    fourth, squares, cubes = basis.mean(f**4), basis.pairs(two, two), basis.pairs(three, one)
    own = squares - c**2 - c * (cubes + cubes.T - 2 * c)
    own += c**2 / 4 * (fourth[:, None] + fourth + 2 * squares - 4)
    return np.maximum(np.outer(square, square) * own - kept, 0.0)


def _out(rule: Rule, x: Signal, mean: Array, pairs: Array) -> Signal:
    """Return f(z), or x + skip·f(z); in each unit z is independent of x, so only their means multiply."""
    if not rule.skip:
        return Signal(pairs, mean)
    mixed = np.outer(x.mean, mean)
    products = x.products + rule.skip**2 * pairs + rule.skip * (mixed + mixed.T)
    return Signal(products, x.mean + rule.skip * mean)


# The output layer -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Output:
    """The output layer for D draws of its logits: x what enters, weight = n_in·Var w.

    logits: (M, M) products of one logit; u: (M,) its squares. deltas: (D, M, C) dLoss/dlogits of single
    examples. lean: (M,) d ln E‖delta‖²/d ln u. bend: (M,) E Σ_c d delta_c/d logit_c; turn: (M, M)
    d E delta·delta'/d logits. keeps: Rule.keeps_down. peaked: (M, M) what weights that are not Gaussian add
    to the covariance of |delta·w|² of two examples, relative to its means: few logits make no Gaussian sum.
    """

    x: Signal
    weight: float
    logits: Array
    u: Array
    deltas: Array
    lean: Array
    bend: Array
    turn: Array
    keeps: float
    peaked: Array


def output_of(inputs: Inputs, x: Signal, rule: Rule, loss: str) -> Output:
    """Return the output layer. Its logits are drawn, always the same, since a softmax has no quadrature.

    The few draws that are followed down are chosen from many, so that Σ|delta|² is distributed over them as
    over all: with 64 at random its log is off by a fifth of its sd, and its variance by a quarter.
    """
    logits = rule.weight * x.products + rule.bias
    values, vectors = np.linalg.eigh(logits)
    draws = min(MOST_DRAWS, DRAWS * max(1, (64 // len(logits)) ** 2))
    most = max(draws, min(CHOSEN_FROM * draws, MOST_LOGITS // logits[0].size // inputs.classes))
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((most // 2, len(logits), inputs.classes))
    half = (vectors * np.sqrt(np.maximum(values, 0))) @ noise
    z = np.concatenate([half, -half])

    def deltas(z: Array) -> Array:
        _, delta = LOSSES.bind(loss)(z, np.broadcast_to(inputs.y, z.shape[:2]))
        return np.asarray(delta * len(logits))  # a loss is a mean over its examples

    sizes = np.square(deltas(z)).sum(axis=-1) @ inputs.weights
    z = z[_spread_evenly(sizes, draws)]
    more, less = (np.log(np.square(deltas(np.exp(h) * z)).sum(axis=-1).mean(axis=0)) for h in (STEP, -STEP))
    sign = rng.choice([-1.0, 1.0], (draws, 1, inputs.classes))  # Hutchinson's: traces from one direction
    along = (deltas(z + STEP * sign) - deltas(z - STEP * sign)) / (2 * STEP)
    delta = deltas(z)
    squares, size = np.square(delta), np.square(delta).sum(axis=-1).mean(axis=0)
    return Output(
        x=x, weight=rule.weight, logits=logits, u=np.diag(logits), deltas=delta,
        lean=(more - less) / (4 * STEP), bend=(sign * along).sum(axis=-1).mean(axis=0),
        turn=(along @ along.mT).mean(axis=0), keeps=rule.keeps_down,
        peaked=rule.peak * (squares @ squares.mT).mean(axis=0) / np.outer(size, size),
    )  # fmt: skip


def _spread_evenly(sizes: Array, count: int) -> npt.NDArray[np.int64]:
    """Return which `count` of the sizes stand for all: the middle one of as many equal parts, in order."""
    parts = (np.arange(count) + 0.5) / count * len(sizes)
    return np.argsort(sizes, kind="stable")[parts.astype(int)]
