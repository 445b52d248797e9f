"""The axes of panels: scales, limits and ticks, and where an exact zero goes on a logarithmic one."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.analysis.ratios import log10_of
from experiments.plots.style import faint, points, spread
from experiments.plots.value_names import show

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

STRIDES = [m * 10**e for e in range(8) for m in (1, 2, 3, 5)]  # between two powers of ten that are named
DIGIT = 0.0022  # of a panel's width that a digit takes for each point of its type, at most
SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def power(exponent: int) -> str:
    """10⁻³ as plain characters, which draw ten times faster than a formula."""
    return f"10{str(exponent).translate(SUPERSCRIPT)}"


def reach(medians: Array, scale: str) -> tuple[float, float]:
    """How far an axis may follow the bands beyond these medians, so that one wild seed cannot flatten all.

    As far again as the medians lie apart, on a logarithmic axis two decades at least.
    """
    medians = np.asarray(medians, float)
    medians = medians[np.isfinite(medians) & ((medians > 0) | (scale != "log"))]
    if scale == "share" or not medians.size:
        return -np.inf, np.inf
    if scale == "log10":
        far = max(2.0, np.ptp(medians))
        return medians.min() - far, medians.max() + far
    if scale == "log":
        low, high = log10(medians.min()), log10(medians.max())
        far = max(2.0, high - low)
        return 10.0 ** max(low - far, -320), 10.0 ** min(high + far, 308)
    far = np.ptp(medians) or abs(medians).max() or 1.0
    return medians.min() - far, medians.max() + far


def log_axis(
    axes: Axes, values: Array, guide: float | None = None, *, exponents: bool = False
) -> float | None:
    """Give a panel a logarithmic y axis over all of `values` and the guide.

    Exact zeros have no place on such an axis; where there are any, a floor under the smallest number is
    marked 0 to carry them, and its height returned. Values that are not finite do not stretch the axis.
    exponents: values, guide and all that is drawn are log10 of what the ticks say, which no number is too
    small for; −inf is an exact zero.
    """
    logs = np.asarray(values, float) if exponents else log10_of(np.asarray(values, float))
    seen = logs[np.isfinite(logs)]
    if guide is not None:
        seen = np.append(seen, guide if exponents else log10(guide))
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (-1.0, 0.0)
    pad = max(0.15, 0.06 * (high - low))
    ticks, labels = log_ticks(low - pad, high + pad)
    zeros = bool(np.isneginf(logs).any())
    bottom, top = low - pad - zeros * max(0.35, 0.13 * (high - low)), high + pad
    if not exponents:
        bottom, top = max(bottom, -320), min(top, 308)
    ground = bottom + 0.3 * (low - pad - bottom)
    if zeros:
        ticks, labels = (ticks, labels) if seen.size else ([], [])
        ticks, labels = [ground, *ticks], ["0", *labels]
    bottom, top, ground, *ticks = (e if exponents else 10.0**e for e in (bottom, top, ground, *ticks))
    axes.set_yscale("linear" if exponents else "log")
    axes.set_ylim(bottom, top)
    axes.set_yticks(ticks, labels)
    axes.minorticks_off()
    if zeros:
        axes.axhline(ground, color=faint(axes), linewidth=1, dashes=(2, 2), label="_floor", zorder=1)
    return ground if zeros else None


def log_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """At most six ticks between two exponents: powers of ten, or 1, 2 and 5 times them where they are few.

    The ticks are exponents too.
    """
    first, last = ceil(low), floor(high)
    if last - first >= 2:
        stride = next(s for s in STRIDES if last - first < 6 * s)
        exponents = range(ceil(first / stride) * stride, last + 1, stride)
        return [float(e) for e in exponents], [power(e) for e in exponents]
    for digits in ((1, 2, 5), range(1, 10), [n / 10 for n in range(10, 100)]):
        found = {log10(m) + e: (m, e) for e in range(floor(low), last + 1) for m in digits}
        kept = {tick: parts for tick, parts in found.items() if low <= tick <= high}
        if len(kept) >= 2:
            break
    ticks = sorted(kept)
    ticks = [ticks[i] for i in spread(len(ticks), 6)]
    return ticks, [_said(*kept[tick]) for tick in ticks]


def _said(digit: float, exponent: int) -> str:
    return plainly(digit * 10.0**exponent) if abs(exponent) < 300 else f"{digit}·{power(exponent)}"


def plainly(number: float) -> str:
    """0.02, 50 or 5·10⁻⁴."""
    if number == 0 or 1e-3 <= abs(number) < 1e4:
        return f"{number:.3g}" if abs(number) < 999.5 else f"{number:.0f}"
    digit, exponent = f"{number:.0e}".split("e")
    return power(int(exponent)) if digit == "1" else f"{digit}·{power(int(exponent))}"


def linear_axis(axes: Axes, values: Array, least: float = 0.0) -> None:
    """Give a panel a linear y axis over all finite `values`, `least` high at least.

    So that the scatter of what does not differ is not drawn as large as a difference.
    """
    values = np.asarray(values, float)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    short = max(0.0, least - (high - low)) / 2
    low, high = low - short, high + short
    pad = 0.06 * (high - low) or max(abs(high) * 0.1, 0.1)
    axes.set_ylim(low - pad, high + pad)
    axes.locator_params(axis="y", nbins=5)


def share_axis(axes: Axes) -> None:
    """Give a panel a y axis for fractions, 0 to 1 whatever the values."""
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])


def layer_ticks(last: int) -> list[int]:
    """1, `last` and at most five round numbers between them, none so near its neighbour as to touch it."""
    stride = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if last <= 6 * s or s == 1000)
    inner = [k for k in range(stride, last, stride) if k > 1 and last - k >= 0.6 * stride]
    return sorted({1, *inner, last})


def layer_axis(axes: Axes, last: int) -> None:
    """An x axis of layers, from 1 beside the input to the output layer."""
    axes.set_xlim(1 - 0.04 * max(last - 1, 1), last + 0.04 * max(last - 1, 1))
    axes.set_xticks(layer_ticks(last))
    axes.set_xlabel("layer  (1 = nearest the input)")


def step_axis(axes: Axes, last: int) -> None:
    """An x axis of steps, logarithmic from 1 on: the watched steps are spaced like that."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    powers = [10**k for k in range(len(str(last))) if 10**k <= last]
    axes.set_xticks([0, *powers], ["0", *(f"{p}" if p < 10_000 else power(len(str(p)) - 1) for p in powers)])
    axes.minorticks_off()
    axes.set_xlim(-0.15, max(last, 1) * 1.15)
    axes.set_xlabel("step")


def number_axis(axes: Axes, values: Iterable[float], label: str) -> None:
    """An x axis with a tick at the first and last value, and at each between whose name touches no other."""
    names = {value: plainly(value) if value % 1 else show(value) for value in sorted(values)}
    low, high = min(names), max(names)
    width = (high - low) or 1.0
    digit = DIGIT * points("xtick.labelsize") * width
    named = [high, low]
    for value in sorted(names, reverse=True):
        if all(abs(value - n) >= (len(names[value]) + len(names[n]) + 1) / 2 * digit for n in named):
            named.append(value)
    axes.set_xlim(low - 0.05 * width, high + 0.05 * width)
    ticks = sorted(set(named))
    axes.set_xticks(ticks, [names[value] for value in ticks])
    axes.set_xlabel(label)


def size_axis(axes: Axes, values: Iterable[float], label: str) -> None:
    """A logarithmic x axis over sizes that are no round numbers."""
    exponents = [log10(value) for value in values if value > 0] or [0.0]
    low, high = min(exponents), max(exponents)
    ticks, names = log_ticks(low, high) if high > low else ([low], [plainly(10.0**low)])
    axes.set_xscale("log")
    axes.set_xticks([10.0**tick for tick in ticks], names)
    axes.minorticks_off()
    axes.set_xlim(10.0 ** (low - 0.04 * (high - low) - 0.01), 10.0 ** (high + 0.04 * (high - low) + 0.01))
    axes.set_xlabel(label)


def grid_axis(axes: Axes, values: Iterable[float], label: str) -> None:
    """A logarithmic x axis with a tick at each value for which there is room; 0 has no place."""
    values = sorted(value for value in values if value > 0) or [1.0]
    wide = log10(values[-1] / values[0]) or 1.0
    named = values[:1]
    for value in values[1:]:
        if log10(value / named[-1]) >= 0.13 * wide:
            named.append(value)
    axes.set_xscale("log")
    axes.set_xlim(values[0] * 10 ** (-0.06 * wide), values[-1] * 10 ** (0.06 * wide))
    axes.set_xticks(named, [show(value) for value in named])
    axes.minorticks_off()
    axes.set_xlabel(label)
