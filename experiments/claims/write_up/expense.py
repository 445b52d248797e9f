"""Claims about what an activation costs, timed on the machine at hand: W08, W12."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.cost import DEPTH, TIMED, Costs, Times, costs
from experiments.analysis.wording import number
from experiments.claims.declarations import CLAIMS, check, rule
from experiments.claims.settings import named
from experiments.claims.verdict import Evidence, Side, Undecided, Verdict, decide
from experiments.storage.provenance import machine
from mlp.activations import ActivationName
from mlp.registry import Positive, Share

if TYPE_CHECKING:
    from experiments.storage.records import Records


@CLAIMS
@check
@rule("takes more than {dear:g} times as long as with {against}, in every process that timed it")
def W08_sigmoid_expensive(
    records: Records,
    *,
    activation: ActivationName = "sigmoid",
    against: ActivationName = "relu",
    dear: Positive = 1.5,
) -> Verdict:
    """Calculating sigmoid is computationally expensive.

    Measured: The time of a forward and a backward pass through the activation over ReLU's, for one element,
    in float32 and float64, in the core's cache and beyond it; the same for a whole training step of
    networks of several widths, in float64; and for the write-up's own two functions. All of it in several
    fresh processes, one after another, for where a process has its memory changes such a ratio by up to half.

    Nuance: By itself an element costs a multiple of what ReLU's does, but the matrix products of a step dwarf
    both, the more the wider the layers. And ReLU as the write-up has it, an element at a time in a Python
    loop, takes ten times as long as its sigmoid.
    """
    activation, against = named(activation), named(against)
    timed = _timed(activation, against)
    name, unit = f"{activation} over {against}", f"times the time with {against}"
    element = [
        _held(
            f"{name}, one element ({dtype} {place})", times[activation] / times[against], "above", dear, unit
        )
        for (dtype, place), times in timed.element.items()
    ]
    step = [
        _held(
            f"{name}, a training step (width {width})", times.ratio(activation, against), "above", dear, unit
        )
        for width, times in timed.step.items()
    ]
    return decide(
        [*element, *step, *_as_printed(timed, activation, against, dear)],
        f"times the time with {against}, for one element",
        condition=_for_an_element,
        remarks=[*_shares(timed, activation), _where(timed)],
    )


def _for_an_element(evidence: Sequence[Evidence]) -> str:
    """Say where it takes longer; with an empty text the settings are listed instead."""
    element, step = ([e for e in evidence if word in e.setting] for word in ("one element", "training step"))
    if any(e.holds is False for e in element) or not all(e.holds is False for e in step):
        return ""
    longest, most = (max(each, key=lambda e: e.value) for each in (step, element))
    open_ = [e.setting for e in element if e.holds is None]
    but = f" (open for {', '.join(open_)})" if open_ else ""
    return (
        f"holds for one element by itself, which takes up to {most.numbers} times as long{but}; not for a "
        f"whole training step, which takes at most {longest.numbers} times as long"
    )


@CLAIMS
@check
@rule(
    lambda dear, share, **_: (
        f"another takes more than {1 / dear:.3g} of its time; it takes under {share:g} of a training step; "
        "in every process that timed it"
    )
)
def W12_relu_cheap(
    records: Records, *, activation: ActivationName = "relu", dear: Positive = 1.5, share: Share = 0.25
) -> Verdict:
    """ReLU is computationally cheap and simple to implement.

    Measured: The times of W08: those of the cheapest of the write-up's other activations over ReLU's for one
    element; ReLU's share of a training step; and the time of the write-up's own sigmoid over that of
    its ReLU.

    Nuance: It is cheap as one operation on a whole array. As the write-up has it, a Python loop over the
    elements, it is simple, and ten times as dear as the sigmoid beside it.
    """
    activation = named(activation)
    timed = _timed(activation)
    element = [
        _cheapest(f"({dtype} {place})", times, activation, 1 / dear)
        for (dtype, place), times in timed.element.items()
    ]
    step = [
        _held(f"{activation}, share of a training step (width {width})", times.share(activation), "below",
              share, "of a training step's time")
        for width, times in timed.step.items()
    ]  # fmt: skip
    return decide(
        [*element, *step, *_as_printed(timed, "sigmoid", activation, 1 / dear)],
        f"times the time with {activation}, for the cheapest other activation",
        condition=_but_for_the_loop,
        remarks=[_where(timed)],
    )


def _but_for_the_loop(evidence: Sequence[Evidence]) -> str:
    printed = [e for e in evidence if "own" in e.setting]
    rest = [e for e in evidence if "own" not in e.setting]
    if not (printed and all(e.holds is False for e in printed) and all(e.holds for e in rest)):
        return ""
    own = printed[0]
    slower = f"{number(1 / own.value)} ({number(1 / own.high)} to {number(1 / own.low)}, n = {own.n})"
    return (
        f"holds as one operation on an array; the write-up's own loop takes {slower} times as long as its "
        "sigmoid"
    )


def _timed(*texts: str) -> Costs:
    """The write-up's four and what else is named, each once: claims and figures share one measurement."""
    try:
        return costs(tuple(dict.fromkeys([*TIMED, *texts])))
    except ValueError as error:
        raise Undecided(str(error), "the claim's activations: those that a fresh process knows") from None


def _cheapest(where: str, times: dict[str, Times], activation: str, bound: float) -> Evidence:
    ratios = {text: t / times[activation] for text, t in times.items() if text != activation}
    text = min(ratios, key=lambda text: float(np.median(ratios[text])))
    unit = f"times the time with {activation}"
    return _held(f"{text} over {activation}, one element {where}", ratios[text], "above", bound, unit)


def _as_printed(timed: Costs, activation: str, against: str, bound: float) -> list[Evidence]:
    """The same ratio of the write-up's own functions, where it has both."""
    times = timed.printed
    if activation not in times or against not in times:
        return []
    name = f"the write-up's own {activation} over its own {against}"
    unit = f"times the time with {against}"
    return [_held(name, times[activation] / times[against], "above", bound, unit)]


def _held(setting: str, ratios: Times, side: Side, bound: float, unit: str) -> Evidence:
    """Evidence from (processes, rounds): the median of every process's rounds stands for that process."""
    each = np.median(ratios, axis=-1)
    return Evidence.of(setting, each, side, bound, unit=unit, in_logs=True)


def _shares(timed: Costs, activation: str) -> Iterable[str]:
    """What part of a step the activation takes, by width, with the range over processes."""
    for width, times in timed.step.items():
        each = 100 * np.median(times.share(activation), axis=-1)
        yield (
            f"{activation} takes {number(float(np.median(each)))} % ({number(each.min())} to "
            f"{number(each.max())} %, n = {len(each)} processes) of the time of a training step of {DEPTH} "
            f"hidden layers of width {width}."
        )


def _where(timed: Costs) -> str:
    """How and on what machine it was timed."""
    processes, rounds = next(iter(timed.printed.values())).shape
    found = machine()
    return (
        f"Timed in {processes} fresh processes of one thread, {rounds} rounds in each, the activations "
        f"taking turns, on {found['cpu']} ({found['system']}). n counts processes."
    )
