"""What theory predicts for one config at its initialisation, layer by layer, with a band.

Absolute numbers: no constant is fitted. The centre is the median over seeds (the mean of the log), the sd
that of the log over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.theory.columns import backward_columns, forward_columns
from experiments.theory.gaussian import Array
from experiments.theory.inputs import Inputs
from experiments.theory.kernels import Hidden, OutOfRange, Rule, Signal, first, following, output_of
from experiments.theory.limits import TOO_WIDE
from mlp.activations import Activation
from mlp.activations import activation as activation_of
from mlp.initialisers import INITIALISERS, bias_mean, bias_variance, weight_mean, weight_variance
from mlp.norms import NORMS, Norm

if TYPE_CHECKING:
    import pandas as pd

    from experiments.config import Run

DEEPEST = 2000  # layers: about ten seconds and half a gigabyte


@dataclass(frozen=True)
class Prediction:
    """Layers 1 … depth + 1 at step 0; columns are named as the probes that measure them.

    reason: why there is no prediction, or "" if there is one. logs, sds: natural logs of what is positive,
    so that depth 1000 does not underflow, and their sd over seeds; plain: what has no band. A log is −inf for
    an exact 0, NaN where theory can draw no line; an sd is NaN where it can draw no band. limits: by column,
    why this is so, in sentences such as "no band in layers 1 to 3: …".
    """

    depth: int
    reason: str = ""
    logs: Mapping[str, Array] = field(default_factory=dict)
    sds: Mapping[str, Array] = field(default_factory=dict)
    plain: Mapping[str, Array] = field(default_factory=dict)
    limits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def applies(self) -> bool:
        """Return whether there is a prediction."""
        return not self.reason

    @property
    def layers(self) -> npt.NDArray[np.int64]:
        """1 … depth hidden, depth + 1 the output layer."""
        return np.arange(1, self.depth + 2)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the measures that are predicted."""
        return (*self.logs, *self.plain)

    def centre(self, column: str) -> Array:
        """The median over seeds, by layer."""
        return np.exp(self.logs[column]) if column in self.logs else self.plain[column]

    def band(self, column: str, sds: float = 2.0) -> tuple[Array, Array]:
        """(low, high) that 95 % of seeds (at 2 sds) stay within; low = centre = high where it has none."""
        if column in self.plain:
            return self.plain[column], self.plain[column]
        log, half = self.logs[column], sds * self._half(column)
        return np.exp(log - half), np.exp(log + half)

    def _half(self, column: str) -> Array:
        """Return the sd of the log, 0 where there is no band."""
        return np.nan_to_num(self.sds[column], nan=0.0)

    def away(self, column: str, layer: int, values: Any) -> Array:
        """Return how many sds the logs of values measured in one layer lie from its prediction."""
        at = layer - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((np.log(values) - self.logs[column][at]) / self.sds[column][at])

    def decay(self, column: str = "delta_norm") -> float:
        """Return the factor by which the norm changes per hidden layer towards the input, as in `analysis`.

        Least squares of log norm on layer over the hidden layers; NaN for fewer than two or no prediction.
        """
        if self.reason or self.depth < 2 or not np.isfinite(self.logs[column][:-1]).all():
            return float("nan")
        return float(np.exp(-np.polyfit(self.layers[:-1], self.logs[column][:-1], 1)[0]))

    def first_to_last(self, column: str = "delta_norm") -> float:
        """Return hidden layer 1 over hidden layer `depth`: the ratio of the two medians.

        NaN where there is no line.
        """
        if self.reason or not self.depth:
            return float("nan")
        return float(np.exp(self.logs[column][0] - self.logs[column][self.depth - 1]))

    def first_to_last_sd(self) -> float:
        """Return the sd over seeds of ln(‖delta_1‖/‖delta_depth‖), to which the layers add independently.

        NaN where one of the two has no band.
        """
        if self.reason or not self.depth:
            return float("nan")
        first, last = self.sds["delta_norm"][[0, self.depth - 1]]
        return float(np.sqrt(np.maximum(first**2 - last**2, 0.0)))

    def decay_sd(self) -> float:
        """Return the sd over seeds of the log of `decay` of ‖delta‖.

        A line through a random walk has 6/5 of the variance of the slope from its first to its last point.
        """
        return self.first_to_last_sd() * np.sqrt(1.2) / (self.depth - 1) if self.depth > 1 else float("nan")

    def frame(self, column: str, sds: float = 2.0) -> pd.DataFrame:
        """layer, median, low, high: what a figure overlays; no rows where theory does not apply.

        Of ``delta_log10`` and ``dw_log10`` they are log10 of the norm, which no norm is too small for.
        """
        import pandas as pd

        if self.reason:
            return pd.DataFrame({name: np.empty(0) for name in ("layer", "median", "low", "high")})
        if column.endswith("_log10"):
            norm = column.removesuffix("log10") + "norm"
            centre, half = self.logs[norm] / np.log(10), sds * self._half(norm) / np.log(10)
            low, high = centre - half, centre + half
        else:
            centre, (low, high) = self.centre(column), self.band(column, sds)
        return pd.DataFrame({"layer": self.layers, "median": centre, "low": low, "high": high})


def predict_run(run: Run, inputs: Inputs) -> Prediction:
    """Return the prediction for a run's initialisation; `inputs` are those of the examples measured."""
    return predict(
        run.activation, run.depth, run.width, inputs,
        init=run.init, bias=run.bias, norm=run.norm, residual=run.residual, loss=run.loss,
    )  # fmt: skip


def predict(
    activation: str,
    depth: int,
    width: int,
    inputs: Inputs,
    *,
    init: str = "xavier_normal",
    bias: str = "zeros",
    norm: str = "none",
    residual: float = 0.0,
    loss: str = "softmax_cross_entropy",
) -> Prediction:
    """Predict every measure at step 0 for a network of `depth` hidden layers of `width` units.

    Check `applies` first, and `limits` of a column for layers without a line or a band. How far the bands of
    ‖delta‖ and ‖dw‖ hold what is measured over random settings is in results/coverage. The forward signal is
    right to a few per cent; ‖db‖ lives on how examples differ and has a band that nobody has tested.
    """
    act = activation_of(activation)
    if depth > DEEPEST:
        return Prediction(depth, f"a depth of {depth}: nets of up to {DEEPEST} layers are predicted")
    if inputs.total == 1 and norm.startswith("batch"):
        return Prediction(depth, "batch normalisation of one example leaves nothing of it")
    if mean := weight_mean(init, width, width):
        return Prediction(depth, f"the weights of {init} are of mean {mean:.2g}, theory's of mean 0")
    if mean := bias_mean(bias, width, width):
        return Prediction(depth, f"the biases of {bias} are of mean {mean:.2g}, theory's of mean 0")
    if INITIALISERS.bind(init)().balanced:
        return Prediction(depth, f"the weights of each unit of {init} sum to 0, theory's are independent")
    rules = _rules(act, depth, width, inputs, init, bias, norm, residual)
    if not all(rule.weight for rule in rules):
        return Prediction(depth, f"{init} gives a layer no weights, through which no gradient passes")
    try:
        layers = _forward(inputs, rules[:-1])
        return _assemble(inputs, layers, rules[-1], width, loss)
    except OutOfRange as error:
        return Prediction(depth, str(error))


def _rules(
    act: Activation, depth: int, width: int, inputs: Inputs, init: str, bias: str, norm: str, residual: float
) -> list[Rule]:
    """Return the rule of each layer, the output layer's last."""
    sizes = [inputs.n_in, *[width] * depth, inputs.classes]
    normalise: Norm | None = NORMS.bind(norm)()
    rules, (orthogonal, peak) = [], _noise_of(init)
    for index, (n_in, n_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        weight = float(f"{n_in * weight_variance(init, n_in, n_out, act):.12g}")  # He is 2 at every width
        hidden = index < depth
        rules.append(
            Rule(
                act,
                weight,
                bias_variance(bias, n_in, n_out, act),
                normalise if hidden else None,
                residual if 0 < index < depth else 0.0,
                keeps_up=min(1.0, n_out / n_in) * orthogonal,
                keeps_down=min(1.0, n_in / n_out) * orthogonal,
                peak=peak,
            )
        )
    return rules


@lru_cache(maxsize=64)
def _noise_of(init: str) -> tuple[bool, float]:
    """Return whether a square matrix of such weights keeps every length, and their excess kurtosis."""
    noise = INITIALISERS.bind(init)().noise
    square = noise(np.random.default_rng(0), 8, 8)[:8]
    orthogonal = bool(np.allclose(square.T @ square, 8 * np.eye(8)))
    many = noise(np.random.default_rng(0), 256, 256)
    return orthogonal, round(float((many**4).mean() / np.square(many).mean() ** 2) - 3, 1)


def _forward(inputs: Inputs, rules: Sequence[Rule]) -> list[Hidden]:
    layers: list[Hidden] = []
    for rule in rules:
        try:
            layers.append(following(inputs, layers[-1], rule) if layers else first(inputs, rule))
        except OutOfRange as error:
            raise OutOfRange(f"the forward signal {error} at layer {len(layers) + 1}") from None
    return layers


def _assemble(inputs: Inputs, layers: Sequence[Hidden], rule: Rule, width: int, loss: str) -> Prediction:
    x = layers[-1].out if layers else Signal(inputs.gram, np.zeros(len(inputs.gram)))
    output = output_of(inputs, x, rule, loss)
    seen = forward_columns(inputs, layers, output, width)
    back = backward_columns(inputs, layers, output, width)
    if any(TOO_WIDE[1] in sentence for sentence in back.limits.get("delta_norm", ())):
        return Prediction(len(layers), _too_narrow(width, len(layers)))
    return Prediction(len(layers), "", seen.logs | back.logs, seen.sds | back.sds, seen.plain, back.limits)


def _too_narrow(width: int, depth: int) -> str:
    return (
        f"width {width} is too small for depth {depth}: theory to first order in 1/width expects"
        f" ‖delta‖ to vary over seeds by more than a factor of e, and holds for much less"
    )
