"""Numbers in words: counts, durations and numbers as a reader is shown them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import floor, isfinite, isnan


def count(number: int, noun: str) -> str:
    """Return a number of things in words: ``1 run``, ``2 runs``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a duration in words: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def number(value: float, digits: int = 3, *, padded: bool = False) -> str:
    """Return a number in so many digits: ``0.236``, ``8.34e-8``; a dash for what is not defined.

    Digits that are 0 are left out of large numbers (``2e7``), unless they are to be padded (``2.00e7``).
    """
    if value != value:
        return "–"
    exponent = 0 < abs(value) < 0.001 or (padded and abs(value) >= 10_000)
    text = f"{value:.{digits - 1}e}" if exponent else f"{value:.{digits}g}"
    return re.sub(r"e([+-])0*", lambda found: "e" + found[1].replace("+", ""), text)


def with_range(median: float, low: float, high: float, over: str = "") -> str:
    """Return a number with its range, unless that is one number or unknown: ``0.236 (0.23 to 0.24)``."""
    return f"{number(median)} ({number(low)} to {number(high)}{over})" if low < high else number(median)


def percent(share: float) -> str:
    """Return a share in per cent, in two digits or to a whole per cent: ``0.033 %``, ``-12 %``, ``310 %``."""
    value = 100 * share
    return f"{value:.0f} %" if 99.5 <= abs(value) < 1e6 else f"{number(value, 2)} %"


def ten_to(exponent: float) -> str:
    """Return 10 to so many, beyond the floating-point range too: ``2.00e-6`` for -5.7, ``5.01e-401``."""
    if not isfinite(exponent):
        return "–" if isnan(exponent) else "0" if exponent < 0 else "inf"
    whole = floor(exponent)
    digits = f"{10 ** (exponent - whole):.2f}"
    return f"1.00e{whole + 1}" if digits == "10.00" else f"{digits}e{whole}"


def in_lines(pieces: Iterable[str], width: int) -> str:
    """Return the pieces of a text in lines of this many characters; a longer piece has its own line."""
    lines = [""]
    for piece in pieces:
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def within_sentence(text: str) -> str:
    """Return a sentence as it goes on after a comma: its first letter small, but not that of ``ReLU``."""
    first, _, _ = text.partition(" ")
    return text if any(c.isupper() for c in first[1:]) else text[:1].lower() + text[1:]


def printable(text: str) -> str:
    """Return the text without the characters that control a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
