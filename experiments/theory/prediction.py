"""What theory predicts for one config at its initialisation, layer by layer, with a band.

Absolute numbers: no constant is fitted. The centre is the median over seeds (the mean of the log), the sd
that of the log over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.theory.columns import backward_columns, forward_columns
from experiments.theory.gaussian import Array
from experiments.theory.inputs import Inputs
from experiments.theory.kernels import Hidden, OutOfRange, Rule, Signal, first, following, output_of
from mlp.activations import Activation
from mlp.activations import activation as activation_of
from mlp.initialisers import bias_variance, weight_mean, weight_variance
from mlp.norms import NORMS, Norm

if TYPE_CHECKING:
    import pandas as pd

    from experiments.config import Run

DEEPEST = 2000  # layers: about ten seconds and half a gigabyte
WIDEST_BAND = 1.0  # sd of a log norm, a factor of e: beyond, first order in 1/width says nothing


@dataclass(frozen=True)
class Prediction:
    """Layers 1 … depth + 1 at step 0; columns are named as the probes that measure them.

    reason: why there is no prediction, or "" if there is one. logs, sds: natural logs of what is positive,
    so that depth 1000 does not underflow, and their sd over seeds; plain: what has no band. Of dw and db,
    −inf is an exact 0 and NaN a sum that cancels too far to be told.
    """

    depth: int
    reason: str = ""
    logs: Mapping[str, Array] = field(default_factory=dict)
    sds: Mapping[str, Array] = field(default_factory=dict)
    plain: Mapping[str, Array] = field(default_factory=dict)

    @property
    def applies(self) -> bool:
        """Whether there is a prediction."""
        return not self.reason

    @property
    def layers(self) -> npt.NDArray[np.int64]:
        """1 … depth hidden, depth + 1 the output layer."""
        return np.arange(1, self.depth + 2)

    @property
    def columns(self) -> tuple[str, ...]:
        """The measures predicted."""
        return (*self.logs, *self.plain)

    def centre(self, column: str) -> Array:
        """The median over seeds, by layer."""
        return np.exp(self.logs[column]) if column in self.logs else self.plain[column]

    def band(self, column: str, sds: float = 2.0) -> tuple[Array, Array]:
        """(low, high) that 95 % of seeds (at 2 sds) stay within; low = centre = high where it has none."""
        if column in self.plain:
            return self.plain[column], self.plain[column]
        log, half = self.logs[column], sds * self.sds[column]
        return np.exp(log - half), np.exp(log + half)

    def away(self, column: str, layer: int, values: Any) -> Array:
        """How many sds the logs of measured values of one layer lie from the prediction."""
        at = layer - 1
        with np.errstate(divide="ignore"):
            return np.asarray((np.log(values) - self.logs[column][at]) / self.sds[column][at])

    def decay(self, column: str = "delta_norm") -> float:
        """The factor by which the norm changes for each hidden layer nearer the input, as in `analysis`.

        Least squares of log norm on layer over the hidden layers; NaN for fewer than two or no prediction.
        """
        if self.reason or self.depth < 2 or not np.isfinite(self.logs[column][:-1]).all():
            return float("nan")
        return float(np.exp(-np.polyfit(self.layers[:-1], self.logs[column][:-1], 1)[0]))

    def first_to_last(self, column: str = "delta_norm") -> float:
        """Hidden layer 1 over hidden layer `depth`: of medians, so to first order that of the ratio."""
        if self.reason or not self.depth:
            return float("nan")
        return float(np.exp(self.logs[column][0] - self.logs[column][self.depth - 1]))

    def first_to_last_sd(self) -> float:
        """Sd over seeds of ln(‖delta_1‖/‖delta_depth‖): each layer adds to the log independently."""
        if self.reason or not self.depth:
            return float("nan")
        first, last = self.sds["delta_norm"][[0, self.depth - 1]]
        return float(np.sqrt(max(first**2 - last**2, 0.0)))

    def decay_sd(self) -> float:
        """Sd over seeds of the log of `decay` of ‖delta‖.

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
            centre, half = self.logs[norm] / np.log(10), sds * self.sds[norm] / np.log(10)
            low, high = centre - half, centre + half
        else:
            centre, (low, high) = self.centre(column), self.band(column, sds)
        return pd.DataFrame({"layer": self.layers, "median": centre, "low": low, "high": high})


def predict_run(run: Run, inputs: Inputs) -> Prediction:
    """The prediction for a run's initialisation; `inputs` of the examples that it is measured on."""
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
    """Everything at step 0 of a net of `depth` hidden layers of `width`; all texts as in a config.

    Check `applies` first. Measured on digits, width 64 to 256, up to 20 layers: ‖delta‖ and the forward
    signal are right to a few per cent and their bands to a third; ‖dw‖ and ‖db‖ over a set of examples live
    on how these differ and are right to 10 to 30 %. The band takes weights as Gaussian: orthogonal ones stray
    less. Under batch normalisation of inputs of low rank ‖delta‖ errs by about 2 % a layer.
    """
    act = activation_of(activation)
    if depth > DEEPEST:
        return Prediction(depth, f"a depth of {depth}: nets of up to {DEEPEST} layers are predicted")
    if inputs.total == 1 and norm.startswith("batch"):
        return Prediction(depth, "batch normalisation of one example leaves nothing of it")
    if mean := weight_mean(init, width, width):
        return Prediction(depth, f"the weights of {init} are of mean {mean:.2g}, theory's of mean 0")
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
    """One a layer, the output's last."""
    sizes = [inputs.n_in, *[width] * depth, inputs.classes]
    normalise: Norm | None = NORMS.bind(norm)()
    rules = []
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
            )
        )
    return rules


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
    widest = max(back.sds["delta_norm"])
    if widest > WIDEST_BAND:
        return Prediction(len(layers), _too_narrow(width, len(layers), widest))
    return Prediction(len(layers), "", seen.logs | back.logs, seen.sds | back.sds, seen.plain)


def _too_narrow(width: int, depth: int, sd: float) -> str:
    return (
        f"width {width} is too small for depth {depth}: theory to first order in 1/width expects"
        f" ‖delta‖ to vary over seeds by a factor of e^±{sd:.1f}, and holds for much less"
    )
