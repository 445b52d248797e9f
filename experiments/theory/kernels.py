"""Mean-field theory of a data set: what a wide random network does to the products of its examples.

A layer is known by (M, M) tables over the examples of `Inputs`: E aa' forward, the sum over units of
delta·delta' backward. The second is propagated for several draws of the logits at once, (D, M, M), because
what a loss makes of C logits depends on them, and C is not large. For one example this is the scalar theory
of `mean_field`. Poole et al. 2016; Lee et al. 2018 (forward); Schoenholz et al. 2017 (backward).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from experiments.theory.gaussian import Array, Basis
from experiments.theory.inputs import Inputs
from mlp.activations import Activation
from mlp.losses import LOSSES
from mlp.norms import Norm

TINY, HUGE = 1e-250, 1e60  # the range of q: below, f² would underflow; above, f⁴ would lose its meaning
DRAWS, MOST_DRAWS = 32, 1024  # of the logits, for 64 examples or more and for one: as many as cost the same
STEP = 0.05  # in the log of a logit: a central difference over the draws
CACHED = 256  # layers kept: 40 MB for 64 examples; a depth sweep shares all but its output layers


class OutOfRange(ValueError):
    """The forward signal vanishes or explodes beyond what can be predicted; the message says where."""


@dataclass(frozen=True)
class Rule:
    """One hidden layer: weight = n_in·Var w, bias = Var b; skip > 0: its output is x + skip·f(z)."""

    act: Activation
    weight: float
    bias: float = 0.0
    norm: Norm | None = None
    skip: float = 0.0


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
    bend: (M,) d ln E f'²/d ln u; mean_slope, square_slope: (M,) d E f/d u, d E f²/d u.
    slope_noise: E f'²f'²/(E f'² E f'²); square_noise: cov(f², f²); cross_noise: cov(f², f'²/E f'²). Where
    the layer's own mean and mean square of z are held by a normalisation, what goes with these is taken
    from the last two and, as slope_held, to be taken from the first.
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
    bend: Array
    mean_slope: Array
    square_slope: Array
    slope_noise: Array
    slope_held: Array
    square_noise: Array
    cross_noise: Array


# Forward --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=CACHED)
def first(inputs: Inputs, rule: Rule) -> Hidden:
    """Hidden layer 1. Its inputs have no mean that the theory would need: there is no skip past it."""
    return _hidden(inputs, Signal(inputs.gram, np.zeros(len(inputs.gram))), rule)


@lru_cache(maxsize=CACHED)
def following(inputs: Inputs, below: Hidden, rule: Rule) -> Hidden:
    """The hidden layer above another; found again, not computed, for a net that differs only further up."""
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
    """Products of z = the normalised u, and the factor by which each example was scaled."""
    if norm is None:
        return u, np.ones(len(u))
    if norm.axis == -1:  # over the layer: in a wide one the mean over units is 0
        scale = 1 / np.sqrt(np.diag(u) + norm.eps)
    else:
        u = inputs.centred(u)
        scale = np.full(len(u), 1 / np.sqrt(inputs.mean(np.diag(u)) + norm.eps))
    return u * np.outer(scale, scale), scale


def _averages(rule: Rule, x: Signal, u: Array, z: Array, c: Array, scale: Array) -> Hidden:
    act = rule.act
    basis = Basis.of(z, c, act.kinks)
    a = act.f(basis.points)
    slope = act.df(basis.points, a)
    square, steep = basis.mean(a * a), basis.mean(slope * slope)
    f, df = basis.expand(a), basis.expand(slope)
    f2, df2 = basis.expand(a * a / square[:, None]), basis.expand(slope * slope / steep[:, None])
    products = basis.pairs(f, f)
    held = 1.0 if rule.norm is not None and rule.norm.axis == -1 else 0.0
    moves = 1.0 if rule.norm is None else 0.0  # normalised, z stays where it is when u moves
    return Hidden(
        rule=rule, x=x, out=_out(rule, x, f.coefficients[0], products), u=u, z=z, c=c, scale=scale,
        mean=f.coefficients[0], square=square, products=products, slopes=basis.pairs(df, df),
        bend=moves * z * basis.mean_slope(slope * slope) / steep,
        mean_slope=moves * basis.mean_slope(a),
        square_slope=moves * basis.mean_slope(a * a),
        slope_noise=basis.pairs(df2, df2),
        slope_held=held * basis.low_orders(df2, df2),
        square_noise=np.outer(square, square) * (basis.pairs(f2, f2) - 1 - held * basis.low_orders(f2, f2)),
        cross_noise=square[:, None] * (basis.pairs(f2, df2) - 1 - held * basis.low_orders(f2, df2)),
    )  # fmt: skip


def _out(rule: Rule, x: Signal, mean: Array, pairs: Array) -> Signal:
    """f(z), or x + skip·f(z); z is independent of x unit by unit, so that only the means multiply."""
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
    examples. lean: (M,) d ln E‖delta‖²/d ln u.
    """

    x: Signal
    weight: float
    logits: Array
    u: Array
    deltas: Array
    lean: Array


def output_of(inputs: Inputs, x: Signal, rule: Rule, loss: str) -> Output:
    """Logits are drawn, not integrated: a softmax of C logits has no quadrature. Always the same draws."""
    logits = rule.weight * x.products + rule.bias
    values, vectors = np.linalg.eigh(logits)
    draws = min(MOST_DRAWS, DRAWS * max(1, (64 // len(logits)) ** 2))
    noise = np.random.default_rng(0).standard_normal((draws // 2, len(logits), inputs.classes))
    half = (vectors * np.sqrt(np.maximum(values, 0))) @ noise
    z = np.concatenate([half, -half])

    def deltas(factor: float) -> Array:
        _, delta = LOSSES.bind(loss)(factor * z, np.broadcast_to(inputs.y, z.shape[:2]))
        return np.asarray(delta * len(logits))  # a loss is a mean over its examples

    more, less = (np.log(np.square(deltas(np.exp(h))).sum(axis=-1).mean(axis=0)) for h in (STEP, -STEP))
    return Output(x, rule.weight, logits, np.diag(logits), deltas(1.0), (more - less) / (4 * STEP))
