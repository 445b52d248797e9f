"""How weights and biases are drawn.

An initialiser is unit-variance noise times a standard deviation. The noise comes from a generator keyed by
(seed, purpose, layer), so equal seeds are paired: two runs that differ in activation, depth or the size of
their weights start from the same noise. The standard deviation depends on the layer's shape and, only where
`gain=auto` asks for it, on the activation's curve, never on its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp, sqrt
from typing import Annotated, Literal

import numpy as np

from mlp.activations import Activation, Array
from mlp.quadrature import gaussian_mean
from mlp.registry import Registry, Within

Noise = Callable[[np.random.Generator, int, int], Array]


@dataclass(frozen=True)
class Initialiser:
    """noise(rng, n_in, n_out) has unit variance; std(n_in, n_out, activation) is what it is scaled by.

    mean(n_in, n_out): of what is drawn. draws_bias: the noise has n_in + 1 rows, the last being the biases.
    of_end(first, last): the initialiser of the first and of the output layer, where these differ.
    offset: added to every entry. balanced: the weights of each unit sum to 0, and so are not independent.
    """

    noise: Noise
    std: Callable[[int, int, Activation], float]
    mean: Callable[[int, int], float] = lambda n_in, n_out: 0.0
    draws_bias: bool = False
    of_end: Callable[[bool, bool], Initialiser] | None = None
    offset: float = 0.0
    balanced: bool = False

    def at(self, first: bool, last: bool) -> Initialiser:
        """Return the initialiser of the first layer, of the output layer, or (both False) of any other."""
        return self.of_end(first, last) if self.of_end and (first or last) else self

    def draw(self, rng: np.random.Generator, n_in: int, n_out: int, act: Activation) -> Array:
        """Draw a float64 (n_in, n_out) matrix, or one of n_in + 1 rows where the bias is drawn with it."""
        drawn = self.std(n_in, n_out, act) * self.noise(rng, n_in, n_out)
        return drawn + self.offset if self.offset else drawn


ALIASES = {
    "glorot_normal": "xavier_normal",
    "glorot_uniform": "xavier_uniform",
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
}
INITIALISERS = Registry("initialiser", ALIASES)
InitialiserName = Annotated[str, INITIALISERS]  # the type of an option that is an initialiser's call-text
Size = Annotated[float, Within(0, 1e6)]
Gain = Size | Literal["auto", "auto_gradient"]
BIASES = Registry("bias initialiser")


def weight_variance(init: str, n_in: int, n_out: int, act: Activation) -> float:
    """Return the variance of one weight of an (n_in, n_out) layer; init is a call-text."""
    return float(INITIALISERS.bind(init)().std(n_in, n_out, act) ** 2)


def weight_mean(init: str, n_in: int, n_out: int) -> float:
    """Return the mean of one weight: 0 for all initialisers that draw it symmetrically."""
    return float(INITIALISERS.bind(init)().mean(n_in, n_out))


def bias_variance(bias: str, n_in: int, n_out: int, act: Activation) -> float:
    """Return the variance of one bias."""
    return float(BIASES.bind(bias)().std(n_in, n_out, act) ** 2)


def bias_mean(bias: str, n_in: int, n_out: int) -> float:
    """Return the mean of one hidden layer's bias: 0 for all that draw it symmetrically."""
    return float(BIASES.bind(bias)().mean(n_in, n_out))


def _gaussian(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    return rng.standard_normal((n_in, n_out))


def _uniform(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    return sqrt(3) * (2 * rng.random((n_in, n_out)) - 1)


def _orthogonal(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Draw orthonormal rows or columns, whichever are fewer, times √max(n_in, n_out): unit variance."""
    wide = rng.standard_normal((max(n_in, n_out), min(n_in, n_out)))
    q, r = np.linalg.qr(wide)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # Mezzadri 2007: without it, not uniform over rotations
    return sqrt(max(n_in, n_out)) * (q if n_in >= n_out else q.T)


@INITIALISERS
def normal(std: Size = 0.01) -> Initialiser:
    """N(0, std²), whatever the shape."""
    return Initialiser(_gaussian, lambda n_in, n_out, act: std)


@INITIALISERS
def uniform(bound: Size = 0.1) -> Initialiser:
    """U(−bound, bound), whatever the shape."""
    return Initialiser(_uniform, lambda n_in, n_out, act: bound / sqrt(3))


def _lecun(n_in: int, n_out: int, act: Activation) -> float:
    return sqrt(1 / n_in)


def _xavier(n_in: int, n_out: int, act: Activation) -> float:
    return sqrt(2 / (n_in + n_out))


def _he(n_in: int, n_out: int, act: Activation) -> float:
    return sqrt(2 / n_in)


@INITIALISERS
def lecun_normal() -> Initialiser:
    """N(0, 1/n_in).  LeCun, Bottou, Orr & Müller 1998, eq. 16."""
    return Initialiser(_gaussian, _lecun)


@INITIALISERS
def lecun_uniform() -> Initialiser:
    """U(±√(3/n_in)), variance 1/n_in.  LeCun, Bottou, Orr & Müller 1998, eq. 16."""
    return Initialiser(_uniform, _lecun)


@INITIALISERS
def xavier_normal() -> Initialiser:
    """N(0, 2/(n_in + n_out)).  Glorot & Bengio 2010, eq. 12."""
    return Initialiser(_gaussian, _xavier)


@INITIALISERS
def xavier_uniform() -> Initialiser:
    """U(±√(6/(n_in + n_out))).  Glorot & Bengio 2010, eq. 16."""
    return Initialiser(_uniform, _xavier)


@INITIALISERS
def he_normal() -> Initialiser:
    """N(0, 2/n_in).  He, Zhang, Ren & Sun 2015, eq. 10."""
    return Initialiser(_gaussian, _he)


@INITIALISERS
def he_uniform() -> Initialiser:
    """U(±√(6/n_in)), variance 2/n_in.  He, Zhang, Ren & Sun 2015, eq. 10."""
    return Initialiser(_uniform, _he)


def _gain(gain: Gain, act: Activation) -> float:
    """`auto` keeps the signal's mean square, `auto_gradient` the gradient's; both by quadrature."""
    if gain == "auto":
        return act.gain
    if gain == "auto_gradient":
        return act.gradient_gain
    return float(gain)


@INITIALISERS
def scaled_normal(gain: Gain = "auto") -> Initialiser:
    """N(0, gain²/n_in); gain=auto is (E f(Z)²)^−½, gain=auto_gradient is (E f'(Z)²)^−½."""
    return Initialiser(_gaussian, lambda n_in, n_out, act: _gain(gain, act) / sqrt(n_in))


@INITIALISERS
def orthogonal(gain: Gain = 1.0) -> Initialiser:
    """gain times a random matrix with orthonormal rows or columns.  Saxe, McClelland & Ganguli 2014."""
    return Initialiser(_orthogonal, lambda n_in, n_out, act: _gain(gain, act) / sqrt(max(n_in, n_out)))


def _mirrored(rows: bool, columns: bool, size: Callable[[Activation], float]) -> Initialiser:
    """Return what draws an orthogonal Q, with −Q below it (rows) and beside it (columns).

    Of an odd number of units the last has no weights.
    """

    def halves(n_in: int, n_out: int) -> tuple[int, int]:
        return (n_in // 2 if rows else n_in), (n_out // 2 if columns else n_out)

    def noise(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
        q = _orthogonal(rng, *halves(n_in, n_out))
        q = np.concatenate([q, -q], axis=1) if columns else q
        q = np.concatenate([q, -q], axis=0) if rows else q
        return np.pad(q, [(0, n_in - q.shape[0]), (0, n_out - q.shape[1])])

    def std(n_in: int, n_out: int, act: Activation) -> float:
        return size(act) / sqrt(max(*halves(n_in, n_out), 1))

    return Initialiser(noise, std, balanced=rows)


@INITIALISERS
def mirrored(gain: Gain = 1.0) -> Initialiser:
    """Units in pairs ±z by [[Q, −Q], [−Q, Q]], Q orthogonal: with ReLU and no bias, a linear net at first.

    Each pair passes on max(z, 0) − max(−z, 0) = z, so that every singular value of the net is gain^layers at
    any depth, where its widths allow. The first layer is [Q, −Q], the output [[Q], [−Q]]. Balduzzi et al.
    2017 (looks linear); Burkholz & Dubatovka 2019.
    """

    def size(act: Activation) -> float:
        return _gain(gain, act)

    hidden = _mirrored(rows=True, columns=True, size=size)
    return replace(hidden, of_end=lambda first, last: _mirrored(not first, not last, size))


@INITIALISERS
def pytorch_default() -> Initialiser:
    """U(±1/√n_in), variance 1/(3 n_in): nn.Linear's default; Glorot & Bengio 2010, eq. 1."""
    return Initialiser(_uniform, lambda n_in, n_out, act: sqrt(1 / (3 * n_in)))


@INITIALISERS
def constant(value: Annotated[float, Within(-1e6, 1e6)] = 0.1) -> Initialiser:
    """Every weight the same: all units of a layer are equal and stay so."""
    return Initialiser(_gaussian, lambda n_in, n_out, act: 0.0, lambda n_in, n_out: value, offset=value)


def _zero_weights() -> Initialiser:
    """Every weight 0: with ReLU or tanh no gradient reaches any weight but the output's bias."""
    return Initialiser(_gaussian, lambda n_in, n_out, act: 0.0)


_zero_weights.__name__ = "zeros"
INITIALISERS(_zero_weights)


def _walking(n_in: int, n_out: int, act: Activation) -> float:
    """Return the standard deviation at which the mean of ln ‖delta‖ does not drift with depth."""
    fourth = gaussian_mean(lambda z: act.slope_at(z) ** 4, kinks=act.kinks)
    spread = 3 * fourth * act.gradient_gain**4 - 1
    return act.gradient_gain * exp(spread / (4 * n_in)) / sqrt(n_in)


@INITIALISERS
def random_walk() -> Initialiser:
    """N(0, g²/n_in), g so large that ln ‖delta‖ neither falls nor rises with depth.  Sussillo & Abbott 2014.

    g = (E f'²)^−½ · exp((3 E f'⁴/(E f'²)² − 1)/(4 n_in)), Z ~ N(0, 1): √2·exp(5/(4n)) for ReLU, exp(1/(2n))
    for a linear net. He's size keeps the mean of ‖delta‖², and ln ‖delta‖ falls by 5/(4n) per layer.
    """
    return Initialiser(_gaussian, _walking)


def _standardised(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Draw weights whose mean is 0 and whose variance is 1 over the inputs of each unit."""
    drawn = _gaussian(rng, n_in, n_out)
    drawn -= drawn.mean(axis=0)
    deviation = drawn.std(axis=0)
    return drawn / np.where(deviation > 0, deviation, 1.0)


def _centred_gain(act: Activation) -> float:
    """Return (Var f(Z))^−½, Z ~ N(0, 1): √(2/(1 − 1/π)) = 1.7129 for ReLU."""
    mean = gaussian_mean(act.f, kinks=act.kinks)
    return (act.gain**-2 - mean**2) ** -0.5


@INITIALISERS
def weight_standardised(gain: Gain = "auto") -> Initialiser:
    """Each unit's weights of mean 0 and variance gain²/n_in: no mean of the signal is passed on.

    gain=auto is (Var f(Z))^−½, which keeps the variance of z over units: 1.7129 for ReLU.  Brock, De & Smith
    2021, eq. 3, at the start of training; they are not standardised again as they are trained.
    """

    def size(n_in: int, n_out: int, act: Activation) -> float:
        return (_centred_gain(act) if gain == "auto" else _gain(gain, act)) / sqrt(n_in)

    return Initialiser(_standardised, size, balanced=True)


RAI_SIZE = 0.6007  # of the normal part, as in the authors' code


def _asymmetric(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Draw (n_in + 1, n_out) of unit variance: normal, in a random row of each column Beta(2, 1)."""
    drawn = RAI_SIZE / sqrt(n_in) * rng.standard_normal((n_in + 1, n_out))
    drawn[rng.integers(n_in + 1, size=n_out), np.arange(n_out)] = rng.beta(2, 1, n_out)
    return drawn / _rai_std(n_in)


def _rai_std(n_in: int) -> float:
    """Return the sd of an entry, which is Beta(2, 1) (E beta² = 1/2) in one case of n_in + 1, else normal."""
    square = (RAI_SIZE**2 + 1 / 2) / (n_in + 1)
    return sqrt(square - _rai_mean(n_in) ** 2)


def _rai_mean(n_in: int) -> float:
    return 2 / (3 * (n_in + 1))


@INITIALISERS
def rai() -> Initialiser:
    """Weights and bias of a unit N(0, 0.6007²/n_in), one of them at random Beta(2, 1): fewer are born dead.

    Randomised asymmetric initialisation, for ReLU: Lu, Shin, Su & Karniadakis 2019, section 4. What `bias`
    draws is added. Weights are not of mean 0, and one of each unit's is of order 1 however wide the net.
    """
    return Initialiser(
        _asymmetric, lambda n_in, n_out, act: _rai_std(n_in), lambda n_in, n_out: _rai_mean(n_in),
        draws_bias=True,
    )  # fmt: skip


@BIASES
def zeros() -> Initialiser:
    """All biases 0."""
    return Initialiser(_gaussian, lambda n_in, n_out, act: 0.0)


def _normal_bias(std: Size = 1.0) -> Initialiser:
    """N(0, std²)."""
    return Initialiser(_gaussian, lambda n_in, n_out, act: std)


_normal_bias.__name__ = "normal"
BIASES(_normal_bias)


def _pytorch_bias() -> Initialiser:
    """U(±1/√n_in): nn.Linear's default."""
    return Initialiser(_uniform, lambda n_in, n_out, act: sqrt(1 / (3 * n_in)))


_pytorch_bias.__name__ = "pytorch_default"
BIASES(_pytorch_bias)


FATAL = 1e9  # the size of a negative bias that no signal outweighs


@BIASES
def dead(share: Annotated[float, Within(0, 1)] = 0.5) -> Initialiser:
    """−10⁹ for the first `share` of the units of each hidden layer, 0 for the others: dead ReLUs, imposed.

    The slope of such a unit is 0 on every example and for ever, and it passes on 0. Their number is rounded,
    and one unit of a layer at least is left alive; all biases of the output layer are 0. For activations
    that are flat and 0 on the far left; others saturate there, or pass on a huge signal.
    """

    def killed(n_out: int) -> float:
        return min(round(share * n_out), n_out - 1) / n_out

    def std(n_in: int, n_out: int, act: Activation) -> float:
        return FATAL * sqrt(killed(n_out) * (1 - killed(n_out)))

    def noise(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
        found, part = np.zeros((n_in, n_out)), killed(n_out)
        found[:, : round(part * n_out)] = -1 / sqrt(part * (1 - part)) if part else 0.0
        return found

    inner = Initialiser(noise, std, lambda n_in, n_out: -FATAL * killed(n_out))
    return replace(inner, of_end=lambda first, last: zeros() if last else inner)
