"""Claims about what an activation costs, timed on the machine at hand: W08, W12."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.cost import (
    DEPTH,
    TIMED,
    WIDTHS,
    Times,
    element_times,
    middle,
    step_times,
    tutorial_times,
)
from experiments.claims.declarations import CLAIMS, check, rule
from experiments.claims.verdict import Evidence, Side, Verdict, decide

if TYPE_CHECKING:
    from experiments.storage.records import Records


@CLAIMS
@check
@rule("takes more than {dear:g} times as long as with {against}")
def W08_sigmoid_expensive(
    records: Records, *, activation: str = "sigmoid", against: str = "relu", dear: float = 1.5
) -> Verdict:
    """Calculating sigmoid is computationally expensive.

    Measured: The time of a forward and a backward pass through the activation over ReLU's, for an element,
    in float32 and float64, in the core's cache and beyond it; the same for a whole training step of
    networks of several widths, in float64; and for the write-up's own two functions.

    Nuance: An element costs two to three times what ReLU's does, but the matrix products of a step dwarf
    both, the more the wider the layers: sigmoid makes a step two to ten per cent longer. And ReLU as the
    write-up has it, an element at a time in a Python loop, takes ten times as long as its sigmoid.
    """
    timed = _with(activation, against)
    element = [
        _held(f"an element ({dtype} {place})", times[activation] / times[against], "above", dear)
        for (dtype, place), times in element_times(timed).items()
    ]
    by_width = step_times(timed, WIDTHS)
    step = [
        _held(f"a training step (width {width})", times.ratio(activation, against), "above", dear)
        for width, times in by_width.items()
    ]
    shares = [f"{np.median(t.share(activation)):.1%} at width {w}" for w, t in by_width.items()]
    return decide(
        [*element, *step, *_as_printed(activation, against, dear)],
        f"times {against}",
        condition=_for_an_element(element, step),
        remarks=[f"{activation}'s share of a training step of {DEPTH} layers: {', '.join(shares)}."],
    )


def _for_an_element(element: Sequence[Evidence], step: Sequence[Evidence]) -> str:
    """In words where it is so; without them the settings are listed."""
    if any(e.holds is False for e in element) or not all(e.holds is False for e in step):
        return ""
    longest = max(step, key=lambda e: e.value)
    most = max(element, key=lambda e: e.value)
    return (
        f"for an element by itself, up to {most.value:.2g} times{_but(element)}; not for {longest.setting}, "
        f"{longest.value:.2f} times, nor for any other"
    )


def _but(element: Sequence[Evidence]) -> str:
    """Which of them the machine at hand could not tell."""
    open_ = [e.setting for e in element if e.holds is None]
    return f" (open for {', '.join(open_)})" if open_ else ""


@CLAIMS
@check
@rule(
    lambda dear, share, **_: (
        f"another takes more than {1 / dear:.3g} of its time; it takes under {share:g} of a training step"
    )
)
def W12_relu_cheap(
    records: Records, *, activation: str = "relu", dear: float = 1.5, share: float = 0.25
) -> Verdict:
    """ReLU is computationally cheap and simple to implement.

    Measured: The times of W08: those of the cheapest of the write-up's other activations over ReLU's for
    an element; ReLU's share of a training step; and the time of the write-up's own sigmoid over that of
    its ReLU.

    Nuance: It is cheap as one operation on a whole array. As the write-up has it, a Python loop over the
    elements, it is simple, and ten times as dear as the sigmoid beside it.
    """
    timed = _with(*TIMED, activation)
    element = [
        _cheapest(f"({dtype} {place})", times, activation, 1 / dear)
        for (dtype, place), times in element_times(timed).items()
    ]
    step = [
        _held(f"share of a training step (width {width})", times.share(activation), "below", share)
        for width, times in step_times(timed, WIDTHS).items()
    ]
    printed = _as_printed("sigmoid", activation, 1 / dear)
    vectorised = all(e.holds for e in (*element, *step)) and all(e.holds is False for e in printed)
    loop = f"takes {1 / printed[0].value:.2g} times as long as its sigmoid" if printed else ""
    return decide(
        [*element, *step, *printed],
        condition=f"as one operation on an array; the write-up's own loop {loop}" if vectorised else "",
    )


def _with(*texts: str) -> tuple[str, ...]:
    """The write-up's four and what else is named, each once: claims and figures share one measurement."""
    return tuple(dict.fromkeys([*TIMED, *texts]))


def _cheapest(where: str, times: dict[str, Times], activation: str, bound: float) -> Evidence:
    ratios = {text: t / times[activation] for text, t in times.items() if text != activation}
    text = min(ratios, key=lambda text: float(np.median(ratios[text])))
    return _held(f"{text} over {activation} {where}", ratios[text], "above", bound)


def _as_printed(activation: str, against: str, bound: float) -> list[Evidence]:
    """The same ratio of the write-up's own functions, where it has both."""
    times = tutorial_times()
    if activation not in times or against not in times:
        return []
    name = f"the write-up's own {activation} over its {against}"
    return [_held(name, times[activation] / times[against], "above", bound)]


def _held(setting: str, ratios: Times, side: Side, bound: float) -> Evidence:
    """Evidence from rounds: their median, and the range that covers it as surely as that of six seeds."""
    return replace(Evidence.of(setting, middle(ratios), side, bound), n=len(ratios))
