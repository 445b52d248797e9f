"""Claims about the functions and networks themselves, computed from them: W01, W02, W03, W15."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.analysis import write_up_code as tutorial
from experiments.analysis.selection import at_last_step
from experiments.claims.declarations import CLAIMS, check, needs, rule
from experiments.claims.settings import alike, only
from experiments.claims.verdict import Evidence, Undecided, Verdict, decide, decide_parts
from mlp.activations import Activation, Array
from mlp.activations import activation as curve
from mlp.network import Network, create

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

DTYPES = (np.float32, np.float64)

# W01 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs(varies=("activation", "depth"))
@rule(
    "outputs within {deviation:g} of the product of the weights; test accuracy within {within:g} of logistic "
    "regression; more than {above:g} better with an activation; each at every depth"
)
def W01_linear(
    records: Records,
    *,
    linear: str = "identity",
    deviation: float = 1e-10,
    within: float = 0.02,
    above: float = 0.20,
) -> Verdict:
    """Without activation functions a network is one linear combination of its inputs and learns no more.

    Measured: Every network of the config that has no activation, drawn anew, against the product of its
    weight matrices; then, on classes that no line separates, the test accuracy of such networks of every
    depth against that of depth 0, which is logistic regression, and of the same networks with an activation.

    Nuance: A deep linear network computes nothing new, but it is not trained as a shallow one is: its
    gradient is a product of matrices, and vanishes or explodes like any other.
    """
    only(records, activation=linear, depth=0)
    alike(records.runs, ["activation", "depth", "dataset"], "data set, depth and activation")
    scores = at_last_step(records, "test_accuracy")
    if not (scores["depth"] > 0).any() or (scores["activation"] == linear).all():
        raise Undecided("no hidden layers, or none with an activation", "depth: [0, 1], activation: [tanh]")
    collapse = Evidence.of("deviation from one linear map", _deviations(records, linear), "below", deviation)
    return decide_parts(
        [collapse, *_as_logistic(scores, linear, within), *_beyond(scores, linear, above)],
    )


def _deviations(records: Records, linear: str) -> npt.NDArray[np.float64]:
    """For each seed the largest relative deviation of its networks, as drawn, from one linear map."""
    runs = only(records, activation=linear, norm="none", residual=0.0).runs
    try:
        found = [_deviation(run) for run in runs.itertuples()]
    except ValueError as error:  # a data set whose file has gone since, an option that no table has
        raise Undecided(str(error), "dataset, init and bias: those that can be drawn again") from None
    return runs.assign(found=found).groupby("seed")["found"].max().to_numpy()


def _deviation(run: Any) -> float:
    from experiments.datasets import load

    data = load(run.dataset)
    sizes = (data.x.shape[1], *[run.width] * run.depth, data.classes)
    net = create(sizes, run.activation, seeds=[run.seed], init=[run.init], bias=[run.bias])
    w, b = one_map(net)
    logits = net.predict(data.x_test)[0]
    largest = abs(logits).max()
    return float(abs(logits - (data.x_test @ w + b)).max() / largest) if largest else np.nan


def one_map(net: Network) -> tuple[Array, Array]:
    """w (n_in, n_out) and b (1, n_out) of the map x·w + b that the first run is without its activations."""
    w, b = np.eye(net.sizes[0]), np.zeros((1, net.sizes[0]))
    for layer in net.layers:
        w, b = w @ layer.w[0], b @ layer.w[0] + layer.b[0]
    return w, b


def _as_logistic(scores: pd.DataFrame, linear: str, within: float) -> list[Evidence]:
    """For each data set: how far from logistic regression, at the depth where it is farthest."""
    rows = scores[scores["activation"] == linear].set_index(["dataset", "seed"])
    deep, logistic = rows[rows["depth"] > 0], rows.loc[rows["depth"] == 0, "value"]
    gap = (deep["value"] - logistic.reindex(deep.index)).abs()
    worst = gap.groupby(level=["dataset", "seed"]).agg(lambda each: each.max(skipna=False))
    return [
        Evidence.of(f"{dataset}: from logistic regression", values, "below", within)
        for dataset, values in worst.groupby(level="dataset")
    ]


def _beyond(scores: pd.DataFrame, linear: str, above: float) -> list[Evidence]:
    """For each data set and activation: how much better than linear, at the depth that is worst."""
    keys = ["dataset", "depth", "seed"]
    deep = scores[scores["depth"] > 0].set_index(keys)
    base = deep.loc[deep["activation"] == linear, "value"]
    other = deep[deep["activation"] != linear]
    gain = other.assign(gain=other["value"] - base.reindex(other.index)).reset_index()
    worst = gain.groupby(["dataset", "activation", "seed"])["gain"].agg(lambda each: each.min(skipna=False))
    return [
        Evidence.of(f"{dataset}: {act} over {linear}", values, "above", above)
        for (dataset, act), values in worst.groupby(level=["dataset", "activation"])
    ]


# W02, W03 -------------------------------------------------------------------------------------------------


def everywhere(dtype: type) -> Array:
    """Numbers from −inf to inf in order: evenly spread over all bit patterns, and densely over ±800."""
    bits = np.dtype(dtype).itemsize * 8
    unsigned = np.dtype(f"uint{bits}")
    infinity = int(np.array(np.inf, dtype).view(unsigned))
    positive = np.linspace(0, infinity, 2**17).astype(unsigned).clip(max=infinity).view(dtype)
    return np.unique(np.concatenate([-positive, positive, np.linspace(-800, 800, 160_001, dtype=dtype)]))


@CLAIMS
@check
@rule("no output outside the interval, none smaller than one for a smaller input, no overflow")
def W02_squashes(records: Records, *, sigmoid: str = "sigmoid", tanh: str = "tanh") -> Verdict:
    """Sigmoid squashes every input to [0, 1], tanh to [−1, 1].

    Measured: Both functions at 400,000 numbers over the whole range of float32 and of float64, infinities
    included: how many outputs lie outside the interval, how often the function falls where its input rises,
    and whether anything overflows.

    Nuance: The ends, which the exact functions never reach, are reached in floating point: there the slope is
    too small to move the output's last digit.
    """
    found = [_squashed(text, low, dtype) for text, low in ((sigmoid, 0.0), (tanh, -1.0)) for dtype in DTYPES]
    return decide(
        [evidence for evidence, _ in found],
        "violations",
        remarks=[remark for _, remark in found if remark],
    )


def _squashed(text: str, low: float, dtype: type) -> tuple[Evidence, str]:
    """How often [low, 1] is left or the order of the inputs lost, and from where on the ends are reached."""
    z = everywhere(dtype)
    a, overflowed = _output(text, z)
    outside, falls = ~((a >= low) & (a <= 1)), np.diff(a) < 0
    wrong = int(np.count_nonzero(outside) + np.count_nonzero(falls)) + overflowed
    name = f"{text}, {np.dtype(dtype)}"
    remark = "" if wrong else _ends_reached(name, z, a, low)
    return Evidence.single(name, wrong, z.size, 0, wrong == 0), remark


def _output(text: str, z: Array) -> tuple[Array, bool]:
    """f(z), and whether anything overflowed on the way; underflow is as it should be."""
    act = curve(text)
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            return act.f(z), False
    except FloatingPointError:
        with np.errstate(all="ignore"):
            return act.f(z), True


def _ends_reached(name: str, z: Array, a: Array, low: float) -> str:
    top, bottom = z[a == 1], z[a == low]
    if not (len(top) and len(bottom)):
        return ""
    return f"{name} is exactly 1 from z = {top.min():.4g} and exactly {low:g} up to z = {bottom.max():.4g}."


@CLAIMS
@check
@rule(
    "the largest slope is {most:g}, and is that at 0; under {near:g} where the output is within {near:g} of "
    "an end; under {far:g} at ±10"
)
def W03_slope(
    records: Records,
    *,
    activation: str = "sigmoid",
    most: float = 0.25,
    near: float = 0.01,
    far: float = 1e-4,
) -> Verdict:
    """The derivative of sigmoid is at most 0.25, and nearly 0 where the output is close to 0 or 1.

    Measured: The slope at 400,000 numbers over the whole range of float64: the largest, and that at 0; the
    largest where the output is within 0.01 of 0 or of 1; and the slope at ±10.

    Nuance: Nearly 0 is not 0. Computed as the write-up does, σ·(1 − σ), it becomes exactly 0 where σ rounds
    to 1, which would make a saturated unit look like a dead one; as ¼ sech²(z/2) it keeps its digits.
    """
    act, z = curve(activation), everywhere(np.float64)
    slope = slope_of(act, z)
    a = act.f(z)
    at_ends = slope[np.minimum(abs(a), abs(1 - a)) < near].max(initial=0.0)
    beyond = slope_of(act, np.array([-10.0, 10.0])).max()
    top, rounding = slope_of(act, np.zeros(1))[0], 4 * np.finfo(float).eps
    parts = [
        ("largest slope", slope.max(), most, abs(slope.max() - most) <= rounding),
        ("slope at 0", top, most, abs(top - most) <= rounding),
        (f"largest slope with the output within {near:g} of an end", at_ends, near, at_ends < near),
        ("slope at ±10", beyond, far, beyond < far),
    ]
    return decide_parts(
        [Evidence.single(name, value, z.size, bound, bool(holds)) for name, value, bound, holds in parts],
        remarks=[_lost_tail(z)],
    )


def slope_of(act: Activation, z: Array) -> Array:
    """f'(z)."""
    return act.df(z, act.f(z))


def _lost_tail(z: Array) -> str:
    inner = z[(z > 0) & (z < 100)]
    lost = inner[tutorial.grad_sigmoid(inner) == 0].min()
    truth = 0.25 / np.cosh(lost / 2) ** 2
    return f"σ(1 − σ) in float64 is exactly 0 from z = {lost:.3g}, where the slope is {truth:.1e}."


# W15 ------------------------------------------------------------------------------------------------------


@CLAIMS
@check
@rule("function and slope differ from the write-up's code by less than {within:g}")
def W15_pictures(
    records: Records,
    *,
    sigmoid: str = "sigmoid",
    tanh: str = "tanh",
    relu: str = "relu",
    leaky: str = "leaky_relu(slope=0.1)",
    within: float = 1e-12,
) -> Verdict:
    """The four pictures: sigmoid and tanh on [−10, 10), ReLU and Leaky ReLU on [−3, 3), each with its slope.

    Measured: The project's functions and slopes against the write-up's own code, letter for letter, at
    every point that the write-up draws: the largest difference.

    Nuance: At 0 itself neither ReLU has a derivative; the write-up draws the one from the left (0, and α),
    and so does this project.
    """
    drawn = zip((sigmoid, tanh, relu, leaky), tutorial.FUNCTIONS, strict=True)
    evidence = [_picture(text, name, within) for text, name in drawn]
    return decide(evidence)


def _picture(text: str, name: str, within: float) -> Evidence:
    x, act = np.arange(*tutorial.RANGES[name]), curve(text)
    f, grad = tutorial.FUNCTIONS[name]
    far = float(max(abs(act.f(x) - f(x)).max(), abs(slope_of(act, x) - grad(x)).max()))
    return Evidence.single(text, far, x.size, within, far < within)
