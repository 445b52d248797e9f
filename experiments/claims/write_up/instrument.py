"""Claims about the functions and networks themselves, computed from them: W01, W02, W03, W15."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from experiments.analysis import write_up_code as tutorial
from experiments.analysis.selection import at_last_step
from experiments.analysis.wording import number
from experiments.claims.declarations import CLAIMS, check, needs, rule
from experiments.claims.settings import alike, named, only
from experiments.claims.verdict import FEWEST_SEEDS, Evidence, Side, Undecided, Verdict, decide_parts
from mlp.activations import Activation, ActivationName, Array
from mlp.activations import activation as curve
from mlp.registry import Positive, Share

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

DTYPES = (np.float32, np.float64)

# W01 ------------------------------------------------------------------------------------------------------


@CLAIMS
@needs("linear_deviation", varies=("activation", "depth"))
@rule(
    "outputs within {deviation:g} of the product of the weights, and test accuracy within {within:g} of "
    "logistic regression's, at every depth; control: with an activation more than {above:g} better"
)
def W01_linear(
    records: Records,
    *,
    linear: ActivationName = "identity",
    deviation: Positive = 1e-10,
    within: Share = 0.02,
    above: Share = 0.20,
) -> Verdict:
    """Without activation functions a network is one linear combination of its inputs and learns no more.

    Measured: Of every network of the config that has no activation, at every watched step of its training,
    how far its outputs are from the product of its weight matrices. Then the test accuracy of such networks
    of every depth against that of depth 0, which is logistic regression. The control: on the same classes,
    which no line may separate, networks with an activation have to be far better.

    Nuance: A deep linear network computes nothing new, but it is not trained as a shallow one is: its
    gradient is a product of matrices, and vanishes or explodes like any other.
    """
    linear = named(linear)
    only(records, activation=linear, depth=0)
    alike(records.runs, ["activation", "depth", "dataset"], "data set, depth and activation")
    scores = at_last_step(records, "test_accuracy")
    if not (scores["depth"] > 0).any() or (scores["activation"] == linear).all():
        raise Undecided("no hidden layers, or none with an activation", "depth: [0, 1], activation: [tanh]")
    _check_no_line_separates(scores, linear, above)
    return decide_parts(
        [
            Evidence.of(
                "relative deviation of the outputs from one linear map", _deviations(records, linear),
                "below", deviation, in_logs=True,
            ),
            *_as_logistic(scores, linear, within),
            *_beyond(scores, linear, above),
        ],
        "relative deviation of the outputs from one linear map",
    )  # fmt: skip


def _check_no_line_separates(scores: pd.DataFrame, linear: str, above: float) -> None:
    """Check that logistic regression leaves room for a network to be better by more than `above`."""
    logistic = scores[(scores["activation"] == linear) & (scores["depth"] == 0)]
    for dataset, rows in logistic.groupby("dataset"):
        if len(rows) >= FEWEST_SEEDS and rows["value"].median() >= 1 - above:
            right = f"{number(rows['value'].min())} to {number(rows['value'].max())}, n = {len(rows)}"
            raise Undecided(
                f"a line separates these classes: on {dataset} the test accuracy of logistic regression is "
                f"{number(rows['value'].median())} ({right})",
                "dataset: one whose classes no line separates, such as xor",
            )


def _deviations(records: Records, linear: str) -> npt.NDArray[np.float64]:
    """Return for each seed the largest relative deviation from one linear map, over networks and steps."""
    runs = only(records, activation=linear, norm="none", residual=0.0, dtype="float64").runs
    outputs = records.layers.merge(runs[["run_id", "depth", "seed"]], on="run_id", validate="many_to_one")
    outputs = outputs[outputs["layer"] == outputs["depth"] + 1]
    largest = outputs.groupby("seed")["linear_deviation"].agg(lambda each: each.max(skipna=False))
    return largest.reindex(sorted(set(runs["seed"]))).to_numpy(float)


def _as_logistic(scores: pd.DataFrame, linear: str, within: float) -> list[Evidence]:
    """Return for each data set how far it is from logistic regression, at the depth where it is farthest."""
    rows = scores[scores["activation"] == linear].set_index(["dataset", "seed"])
    deep, logistic = rows[rows["depth"] > 0], rows.loc[rows["depth"] == 0, "value"]
    gap = (deep["value"] - logistic.reindex(deep.index)).abs()
    worst = gap.groupby(level=["dataset", "seed"]).agg(lambda each: each.max(skipna=False))
    return [
        Evidence.of(
            f"{dataset}: difference in test accuracy from logistic regression", values, "below", within
        )
        for dataset, values in worst.groupby(level="dataset")
    ]


def _beyond(scores: pd.DataFrame, linear: str, above: float) -> list[Evidence]:
    """Return for each data set and activation how much better it is than linear, at the worst depth."""
    keys = ["dataset", "depth", "seed"]
    deep = scores[scores["depth"] > 0].set_index(keys)
    base = deep.loc[deep["activation"] == linear, "value"]
    other = deep[deep["activation"] != linear]
    gain = other.assign(gain=other["value"] - base.reindex(other.index)).reset_index()
    worst = gain.groupby(["dataset", "activation", "seed"])["gain"].agg(lambda each: each.min(skipna=False))
    return [
        Evidence.of(
            f"{dataset}: test accuracy with {act} less that with {linear}", values, "above", above,
            role="control",
        )
        for (dataset, act), values in worst.groupby(level=["dataset", "activation"])
    ]  # fmt: skip


# W02, W03 -------------------------------------------------------------------------------------------------


def everywhere(dtype: type) -> Array:
    """Return numbers from −inf to inf in order: evenly over all bit patterns, and densely over ±800."""
    bits = np.dtype(dtype).itemsize * 8
    unsigned = np.dtype(f"uint{bits}")
    infinity = int(np.array(np.inf, dtype).view(unsigned))
    positive = np.linspace(0, infinity, 2**17).astype(unsigned).clip(max=infinity).view(dtype)
    return np.unique(np.concatenate([-positive, positive, np.linspace(-800, 800, 160_001, dtype=dtype)]))


@CLAIMS
@check
@rule("no output outside the interval, none smaller than one for a smaller input, no overflow")
def W02_squashes(
    records: Records, *, sigmoid: ActivationName = "sigmoid", tanh: ActivationName = "tanh"
) -> Verdict:
    """Sigmoid squashes every input to [0, 1], tanh to [−1, 1].

    Measured: Both functions at 400,000 numbers over the whole range of float32 and of float64, infinities
    included: how many outputs lie outside the interval, how often the function falls where its input rises,
    and whether anything overflows.

    Nuance: The ends, which the exact functions never reach, are reached in floating point: there the slope is
    too small to move the output's last digit.
    """
    both = ((named(sigmoid), 0.0), (named(tanh), -1.0))
    found = [_squashed(text, low, dtype) for text, low in both for dtype in DTYPES]
    return decide_parts(
        [evidence for evidence, _ in found],
        "outputs outside the interval or out of order",
        remarks=[remark for _, remark in found if remark],
    )


def _squashed(text: str, low: float, dtype: type) -> tuple[Evidence, str]:
    """Count how often [low, 1] is left or the order of the inputs lost; say where the ends are reached."""
    z = everywhere(dtype)
    a, overflowed = _output(text, z)
    outside, falls = (a < low) | (a > 1), np.diff(a) < 0
    wrong = int(np.count_nonzero(outside) + np.count_nonzero(falls)) + overflowed
    name = f"{text}, {np.dtype(dtype)}"
    remark = "" if wrong else _ends_reached(name, z, a, low)
    where = f"{name}: outputs outside [{low:g}, 1] or out of order"
    lost = _undefined(text, a)
    holds = None if lost and not wrong else wrong == 0
    return Evidence.single(where, wrong, z.size, 0, holds, side="exactly", why_open=lost), remark


def _undefined(text: str, values: Array) -> str:
    """Say how many of a function's values are NaN; the empty text where none is."""
    n = int(np.isnan(values).sum())
    return f"{text} has no value at {n} of {values.size} numbers" if n else ""


def _output(text: str, z: Array) -> tuple[Array, bool]:
    """Return f(z), and whether anything overflowed on the way; underflow is no error."""
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
    activation: ActivationName = "sigmoid",
    most: Positive = 0.25,
    near: Share = 0.01,
    far: Share = 1e-4,
) -> Verdict:
    """The derivative of sigmoid is at most 0.25, and nearly 0 where the output is close to 0 or 1.

    Measured: The slope at 400,000 numbers over the whole range of float64: the largest, and that at 0; the
    largest where the output is within 0.01 of 0 or of 1; and the slope at ±10.

    Nuance: Nearly 0 is not 0. Computed as the write-up does, σ·(1 − σ), it becomes exactly 0 where σ rounds
    to 1, which would make a saturated unit look like a dead one; as ¼ sech²(z/2) it keeps its digits.
    """
    act, z = curve(named(activation)), everywhere(np.float64)
    slope = slope_of(act, z)
    a = act.f(z)
    near_an_end = slope[np.minimum(abs(a), abs(1 - a)) < near]
    at_ends = near_an_end.max(initial=0.0)
    beyond = slope_of(act, np.array([-10.0, 10.0])).max()
    top, rounding = slope_of(act, np.zeros(1))[0], 4 * np.finfo(float).eps
    lost = _undefined(f"the slope of {activation}", slope)
    none = "" if len(near_an_end) else f"no output is within {near:g} of 0 or 1"
    parts: list[tuple[str, float, int, Side | Literal["exactly"], float, bool, str]] = [
        ("largest slope", slope.max(), z.size, "exactly", most, abs(slope.max() - most) <= rounding, lost),
        ("slope at 0", top, 1, "exactly", most, abs(top - most) <= rounding, lost),
        (f"largest slope where the output is within {near:g} of 0 or 1", at_ends, len(near_an_end), "below",
         near, at_ends < near, lost or none),
        ("larger slope of those at −10 and 10", beyond, 2, "below", far, beyond < far, lost),
    ]  # fmt: skip
    return decide_parts(
        [
            Evidence.single(name, value, n, bound, None if why else bool(holds), side=side, why_open=why)
            for name, value, n, side, bound, holds, why in parts
        ],
        "largest slope",
        remarks=[_lost_tail(z)],
    )


def slope_of(act: Activation, z: Array) -> Array:
    """Return f'(z)."""
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
    sigmoid: ActivationName = "sigmoid",
    tanh: ActivationName = "tanh",
    relu: ActivationName = "relu",
    leaky: ActivationName = "leaky_relu(slope=0.1)",
    within: Positive = 1e-12,
) -> Verdict:
    """The four pictures: sigmoid and tanh on [−10, 10), ReLU and Leaky ReLU on [−3, 3), each with its slope.

    Measured: The project's functions and slopes against the write-up's own code, letter for letter, at
    every point that the write-up draws: the largest difference.

    Nuance: At 0 itself neither ReLU has a derivative; the write-up draws the one from the left (0, and α),
    and so does this project.
    """
    drawn = zip(map(named, (sigmoid, tanh, relu, leaky)), tutorial.FUNCTIONS, strict=True)
    evidence = [_picture(text, name, within) for text, name in drawn]
    return decide_parts(evidence, "largest difference from the write-up's function or slope")


def _picture(text: str, name: str, within: float) -> Evidence:
    x, act = np.arange(*tutorial.RANGES[name]), curve(text)
    f, grad = tutorial.FUNCTIONS[name]
    away = np.concatenate([abs(act.f(x) - f(x)), abs(slope_of(act, x) - grad(x))])
    lost, far = _undefined(text, away), float(np.nanmax(away, initial=0.0))
    where = f"{text}: largest difference from the write-up's {name}"
    holds = None if lost and far < within else far < within
    return Evidence.single(where, far, x.size, within, holds, side="below", why_open=lost)
