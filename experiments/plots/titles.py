"""Sentences that say what the records show, with the number, whichever way it came out.

Each is computed from medians over seeds. Where a finding does not hold, another sentence says so: a title is
never false.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log10
from typing import TYPE_CHECKING, Any

from experiments.analysis.wording import within_sentence
from experiments.plots.axes import plainly, power
from experiments.plots.views import BARE, View, groups, rows_where

if TYPE_CHECKING:
    import pandas as pd

# How a sentence writes them; labels stay as they are.
SPOKEN = {"relu": "ReLU", "selu": "SELU", "elu": "ELU", "gelu": "GELU"}
EVEN = 0.1  # a factor per layer this near to 1 neither vanishes nor explodes
WITHIN = 1.0  # unless it has grown or shrunk by more powers of ten than this over all layers
NOTHING = "No finite value: nothing can be said"


@dataclass(frozen=True)
class Case:
    """A setting's name in a sentence, its median and the range over its seeds."""

    name: str
    value: float
    low: float
    high: float


def cases(curves: pd.DataFrame, names: Sequence[str]) -> list[Case]:
    """The medians of a frame by the fields in `names`, the smallest first; what is not a number is left
    out.
    """
    found = [
        Case(spoken(names, key), *(float(rows[part].iloc[0]) for part in ("median", "low", "high")))
        for key, rows in groups(curves, names)
        if len(rows)
    ]
    return sorted((case for case in found if case.value == case.value), key=lambda case: case.value)


def spoken(names: Sequence[str], values: Sequence[Any]) -> str:
    """A setting as a sentence names it: ``ReLU``, ``ReLU at depth 5``, ``ReLU with init=he_normal``."""
    given = dict(zip(names, values, strict=True))
    name = SPOKEN.get(text := str(given.pop("activation", "")), text)
    depth = f"depth {given.pop('depth'):g}" if "depth" in given else ""
    alone = sum(isinstance(value, str) for value in given.values()) == 1
    rest = ", ".join(_value(key, value, alone=alone) for key, value in given.items())
    if not name:
        return ", ".join(filter(None, (depth, rest))) or "the network"
    return " ".join(filter(None, (name, depth and f"at {depth}", rest and f"with {rest}")))


def _value(field: str, value: Any, *, alone: bool) -> str:
    """A value with its field, which a text that is the only one and says what it is does without."""
    if alone and isinstance(value, str) and field in BARE and value != "none":
        return value
    return f"{field}={value if isinstance(value, str) else f'{value:g}'}"


def sentence(text: str) -> str:
    """A text with a capital at its start, where that is a plain word; a call-text stays as it is written."""
    is_plain = text.split(" ")[0].removesuffix("’s").rstrip(":,").isalpha()
    return text[:1].upper() + text[1:] if is_plain else text


def under(names: Sequence[str], values: Sequence[Any], text: str) -> str:
    """A finding with the setting that it is of in front: ``At depth 50, tanh reaches …``."""
    given = list(zip(names, values, strict=True))
    parts = [f"at depth {value:g}" for name, value in given if name == "depth"]
    others = [spoken([name], [value]) for name, value in given if name != "depth"]
    parts += [f"with {', '.join(others)}"] * bool(others)
    return sentence(", ".join([*parts, text]))


def amount(value: float, exponent: float | None = None) -> str:
    """A number from 0 as a sentence says it: 0.236, 10⁻¹², nothing; `exponent` is its log10, if known.

    A power of ten alone says only how far from 1 it is: between 10⁻⁵ and 10⁴, where two numbers of one
    sentence may lie within a factor of ten, the digits are given.
    """
    if value == 0 and exponent in (None, float("-inf")):
        return "nothing"
    exponent = log10(value) if exponent is None else exponent
    return plainly(value) if -5 <= exponent < 4 else power(round(exponent))


def share(value: float) -> str:
    """A fraction as a sentence says it: 0.12, never 1.00 or 0.00 of what is not all or nothing."""
    if 0 < value < 0.005:
        return "under 0.01"
    if 0.995 < value < 1:
        return "over 0.99"
    return f"{value:.2g}" if value < 0.095 else f"{value:.2f}"


def portion(value: float) -> str:
    """A fraction of things that are counted: ``all``, ``none``, or as `share` says it."""
    return {0.0: "none", 1.0: "all"}.get(value) or share(value)


def owned(name: str, thing: str = "", *, plain: bool = False) -> str:
    """What belongs to a setting: ``tanh’s gradient``, ``the gradient of ReLU at depth 5``.

    Without a thing, the second half of a comparison: ``tanh’s``, ``that of ReLU at depth 5``. plain: a thing
    that is named without an article, such as ``layer 1``.
    """
    if name.isalnum() or name == "the network":
        return f"{name}’s {thing}".strip()
    return f"{'' if plain else 'the '}{thing} of {name}" if thing else f"that of {name}"


def apart(
    found: Sequence[Case], one: str, both: str, setting: tuple[Sequence[str], Sequence[Any]] = ((), ())
) -> str:
    """`both` of the smallest and the largest case, or `one` where there is one only; NOTHING without any.

    The texts take {low} and {high}, cases. setting: the fields and values of the setting that it is of.
    """
    if not found:
        return NOTHING
    text = (one if len(found) == 1 else both).format(low=found[0], high=found[-1])
    return under(*setting, text)


def passed_back(factors: Sequence[Case], ratios: dict[str, tuple[float, float]], layers: int) -> str:
    """What becomes of the gradient on its way back through so many hidden layers.

    factors: per layer, by setting. ratios: first over last hidden layer, and its log10, by the same names.
    """
    gone = [name for name, (value, log) in ratios.items() if value == 0 and log == float("-inf")]
    if gone:
        return sentence(
            f"{_listed(gone)} passes nothing back: in layer 1 of {layers} the gradient is exactly 0"
        )
    known = [case for case in factors if case.value > 0 and isfinite(case.value)]
    if not known:
        alone = "One hidden layer: there is no way back on which a gradient could vanish"
        return NOTHING if layers > 1 else alone
    worst = max(known, key=lambda case: abs(log10(case.value)))
    best = min(known, key=lambda case: abs(log10(case.value)))
    left = amount(*ratios[worst.name])
    if abs(worst.value - 1) <= EVEN and abs(ratios[worst.name][1]) <= WITHIN:
        between = " to ".join(dict.fromkeys(plainly(case.value) for case in (known[0], known[-1])))
        return f"No gradient vanishes: each of {layers} layers passes back {between} times its size"
    text = f"{worst.name} passes back {plainly(worst.value)} per layer"
    if worst.value < 1:
        text += f"; after {layers} layers {left} is left"
    else:
        text += f"; over {layers} layers the gradient grows to {left} times"
    if best is not worst and best.name in ratios and abs(log10(best.value)) < 0.6 * abs(log10(worst.value)):
        kept = ratios[best.name]
        text += f"; {best.name} keeps {amount(*kept)}" + (" times as much" if kept[0] > 1 else "")
    return sentence(text)


def _listed(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{names[0]} and {len(names) - 1} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def gradient(view: View, key: Sequence[Any]) -> str:
    """What becomes of ‖delta‖ in one setting of the facets, at the start."""
    from experiments.analysis.ratios import at_start, decay, first_to_last

    records = view.records.of(rows_where(view.records.runs, view.facet, key)["run_id"])
    runs, depth = records.runs, int(records.runs["depth"].max())
    records = records.of(runs.loc[runs["depth"] == depth, "run_id"])  # where the colour tells it, the deepest
    names = [name for name in view.hue if name != "depth"]
    seen = View(records, tuple(names), view.facet)
    columns = ["run_id", "step"]
    factors = seen.medians(at_start(decay(records))[[*columns, "factor"]], "factor")
    table = at_start(first_to_last(records))
    ratios = seen.medians(table[[*columns, "ratio"]], "ratio")
    logs = seen.medians(table[[*columns, "ratio_log10"]], "ratio_log10")
    by_name = {
        spoken(names, hue): (float(a["median"].iloc[0]), float(b["median"].iloc[0]))
        for (hue, a), (_, b) in zip(groups(ratios, names), groups(logs, names), strict=True)
    }
    known = {name: ratio for name, ratio in by_name.items() if ratio[0] == ratio[0]}
    found = passed_back(cases(factors, names), known, depth)
    told = {name: value for name, value in zip(view.facet, key, strict=True) if name != "depth"}
    if not told or found == NOTHING:
        return found
    return under([*told], [*told.values()], within_sentence(found))
