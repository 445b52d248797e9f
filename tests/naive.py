"""The network again, as the textbook has it: plain loops over lists of numbers, one example at a time.

It shares no line with `mlp` and knows no NumPy, so that the two agree only where both are right. Written to
be read, not to be fast; slopes are the textbook's and lose their tails (1 − a² and the like).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import atan, erfc, exp, log, log1p, pi, sqrt, tanh

Row = list[float]
Rows = list[Row]


def _sigmoid(z: float) -> float:
    return 1 / (1 + exp(-z)) if z > 0 else exp(z) / (1 + exp(z))


def _softplus(z: float) -> float:
    return max(z, 0) + log1p(exp(-abs(z)))


def _normal_density(z: float) -> float:
    return exp(-z * z / 2) / sqrt(2 * pi)


def _normal_distribution(z: float) -> float:
    return erfc(-z / sqrt(2)) / 2


def _elu(alpha: float, scale: float) -> tuple[Callable[[float], float], Callable[[float], float]]:
    return (
        lambda z: scale * (z if z > 0 else alpha * (exp(z) - 1)),
        lambda z: scale * (1 if z > 0 else alpha * exp(z)),
    )


def _silu(beta: float) -> tuple[Callable[[float], float], Callable[[float], float]]:
    return (
        lambda z: z * _sigmoid(beta * z),
        lambda z: _sigmoid(beta * z) * (1 + beta * z * (1 - _sigmoid(beta * z))),
    )


# name: (f, f')
ACTIVATIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "identity": (lambda z: z, lambda z: 1.0),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * (1 - _sigmoid(z))),
    "tanh": (tanh, lambda z: 1 - tanh(z) ** 2),
    "lecun_tanh": (
        lambda z: 1.7159 * tanh(2 * z / 3),
        lambda z: 1.7159 * 2 / 3 * (1 - tanh(2 * z / 3) ** 2),
    ),
    "relu": (lambda z: z if z > 0 else 0.0, lambda z: 1.0 if z > 0 else 0.0),
    "leaky_relu": (lambda z: z if z > 0 else 0.01 * z, lambda z: 1.0 if z > 0 else 0.01),
    "leaky_relu(slope=0.3)": (lambda z: z if z > 0 else 0.3 * z, lambda z: 1.0 if z > 0 else 0.3),
    "elu": _elu(1.0, 1.0),
    "elu(alpha=2.0)": _elu(2.0, 1.0),
    "selu": _elu(1.6732632423543772, 1.0507009873554805),
    "gelu": (
        lambda z: z * _normal_distribution(z),
        lambda z: _normal_distribution(z) + z * _normal_density(z),
    ),
    "silu": _silu(1.0),
    "silu(beta=3.0)": _silu(3.0),
    "softplus": (_softplus, _sigmoid),
    "softsign": (lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2),
    "arctan": (atan, lambda z: 1 / (1 + z * z)),
    "mish": (
        lambda z: z * tanh(_softplus(z)),
        lambda z: tanh(_softplus(z)) + z * (1 - tanh(_softplus(z)) ** 2) * _sigmoid(z),
    ),
    "hard_sigmoid": (
        lambda z: min(1.0, max(0.0, z / 6 + 0.5)),
        lambda z: 1 / 6 if -3 < z <= 3 else 0.0,
    ),
    "hard_tanh": (lambda z: min(1.0, max(-1.0, z)), lambda z: 1.0 if -1 < z <= 1 else 0.0),
}


# -- losses: (logits of all examples, their classes) -> mean loss, dLoss/dlogits -------------------------


def softmax_cross_entropy(logits: Rows, y: list[int]) -> tuple[float, Rows]:
    value, gradient = 0.0, []
    for z, label in zip(logits, y, strict=True):
        total = sum(exp(each) for each in z)
        value -= log(exp(z[label]) / total) / len(y)
        gradient.append([(exp(each) / total - (c == label)) / len(y) for c, each in enumerate(z)])
    return value, gradient


def sigmoid_cross_entropy(logits: Rows, y: list[int]) -> tuple[float, Rows]:
    value, gradient = 0.0, []
    for z, label in zip(logits, y, strict=True):
        for c, each in enumerate(z):
            value -= log(_sigmoid(each) if c == label else _sigmoid(-each)) / len(y)
        gradient.append([(_sigmoid(each) - (c == label)) / len(y) for c, each in enumerate(z)])
    return value, gradient


def mean_squared_error(logits: Rows, y: list[int]) -> tuple[float, Rows]:
    value, gradient = 0.0, []
    for z, label in zip(logits, y, strict=True):
        count = len(y) * len(z)
        value += sum((each - (c == label)) ** 2 for c, each in enumerate(z)) / count
        gradient.append([2 * (each - (c == label)) / count for c, each in enumerate(z)])
    return value, gradient


LOSSES = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
    "mean_squared_error": mean_squared_error,
}


# -- normalisation --------------------------------------------------------------------------------------


def _transposed(rows: Rows) -> Rows:
    return [list(column) for column in zip(*rows, strict=True)]


def standardise(row: Row, eps: float) -> tuple[Row, float]:
    """A row at mean 0 and variance 1, and what it was multiplied by."""
    mean = sum(row) / len(row)
    scale = 1 / sqrt(sum((u - mean) ** 2 for u in row) / len(row) + eps)
    return [(u - mean) * scale for u in row], scale


def through_standardise(g: Row, u_hat: Row, scale: float) -> Row:
    """dLoss/du from g = dLoss/dû by the whole Jacobian, scale·(1[i=j] − 1/n − û_i·û_j/n)."""
    n = len(g)
    jacobian = [[scale * ((i == j) - (1 + u_hat[i] * u_hat[j]) / n) for j in range(n)] for i in range(n)]
    return [sum(g[i] * jacobian[i][j] for i in range(n)) for j in range(n)]


def _normalise(us: Rows, norm: str, eps: float) -> tuple[Rows, Row]:
    groups = [standardise(group, eps) for group in (_transposed(us) if norm == "batch" else us)]
    rows = [row for row, _ in groups]
    return (_transposed(rows) if norm == "batch" else rows), [scale for _, scale in groups]


def _through_normalise(gs: Rows, u_hats: Rows, scales: Row, norm: str) -> Rows:
    if norm == "batch":
        gs, u_hats = _transposed(gs), _transposed(u_hats)
    rows = [through_standardise(g, u, scale) for g, u, scale in zip(gs, u_hats, scales, strict=True)]
    return _transposed(rows) if norm == "batch" else rows


# -- the network ----------------------------------------------------------------------------------------


@dataclass
class Layer:
    """w[i][j] from input i to unit j, b[j]; gain and shift where the layer is normalised, else empty."""

    w: Rows
    b: Row
    gain: Row
    shift: Row


@dataclass
class Net:
    """Layers from the first to the output's; norm is none, batch or layer; residual 0 is none."""

    layers: list[Layer]
    f: Callable[[float], float]
    df: Callable[[float], float]
    norm: str = "none"
    eps: float = 1e-5
    residual: float = 0.0

    def is_hidden(self, index: int) -> bool:
        return index < len(self.layers) - 1

    def is_normed(self, index: int) -> bool:
        return self.norm != "none" and self.is_hidden(index)

    def is_skip(self, index: int) -> bool:
        return self.residual != 0 and index > 0 and self.is_hidden(index)


@dataclass
class Pass:
    """What one layer saw and did, a row an example."""

    x: Rows
    z: Rows
    a: Rows
    u_hat: Rows
    scale: Row


def _each(function: Callable[..., float], *tables: Rows) -> Rows:
    """The function of the entries that stand at the same place of every table."""
    return [[function(*values) for values in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)]


def forward(net: Net, xs: Rows) -> list[Pass]:
    """Every layer's pass; the last one's z are the logits."""
    passes = []
    for index, layer in enumerate(net.layers):
        us = [_affine(layer, x) for x in xs]
        zs, u_hats, scales = us, us, [1.0]
        if net.is_normed(index):
            u_hats, scales = _normalise(us, net.norm, net.eps)
            zs = [[g * u + s for g, u, s in zip(layer.gain, row, layer.shift, strict=True)] for row in u_hats]
        outs = _each(net.f, zs)
        passes.append(Pass(xs, zs, outs, u_hats, scales))
        if net.is_skip(index):
            outs = _each(lambda x, a: x + net.residual * a, xs, outs)
        xs = outs
    return passes


def _affine(layer: Layer, x: Row) -> Row:
    return [sum(x[i] * layer.w[i][j] for i in range(len(x))) + b for j, b in enumerate(layer.b)]


def backward(net: Net, passes: list[Pass], d_logits: Rows) -> tuple[list[Rows], list[Layer]]:
    """Every layer's delta = dLoss/dz, a row an example, and its gradients."""
    g, deltas, gradients = d_logits, [], []
    for index in reversed(range(len(net.layers))):
        layer, seen = net.layers[index], passes[index]
        delta = g
        if net.is_hidden(index):
            factor = net.residual if net.is_skip(index) else 1.0
            delta = _each(lambda d, z, factor=factor: factor * d * net.df(z), g, seen.z)
        du, gain, shift = delta, [], []
        if net.is_normed(index):
            gain = [sum(column) for column in _transposed(_each(lambda d, u: d * u, delta, seen.u_hat))]
            shift = [sum(column) for column in _transposed(delta)]
            scaled = [[d * k for d, k in zip(row, layer.gain, strict=True)] for row in delta]
            du = _through_normalise(scaled, seen.u_hat, seen.scale, net.norm)
        bias = [sum(column) for column in _transposed(du)]
        deltas.append(delta)
        gradients.append(Layer(_outer_sum(seen.x, du), bias, gain, shift))
        below = [[sum(w * d for w, d in zip(row, ds, strict=True)) for row in layer.w] for ds in du]
        g = _each(lambda b, past: b + past, below, g) if net.is_skip(index) else below
    return deltas[::-1], gradients[::-1]


def _outer_sum(xs: Rows, ds: Rows) -> Rows:
    """Σ over the examples of x_i·d_j."""
    pairs = list(zip(xs, ds, strict=True))
    return [[sum(x[i] * d[j] for x, d in pairs) for j in range(len(ds[0]))] for i in range(len(xs[0]))]


def sgd(net: Net, gradients: list[Layer], lr: float) -> None:
    """w ← w − lr·dw, and so for every other parameter."""
    for layer, gradient in zip(net.layers, gradients, strict=True):
        for row, d_row in zip(layer.w, gradient.w, strict=True):
            _descend(row, d_row, lr)
        _descend(layer.b, gradient.b, lr)
        _descend(layer.gain, gradient.gain, lr)
        _descend(layer.shift, gradient.shift, lr)


def _descend(values: Row, gradient: Row, lr: float) -> None:
    for i, d in enumerate(gradient):
        values[i] -= lr * d
