"""Texts cut into lines that fit, by the width that they are drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from textwrap import wrap

SPARE = 0.97  # of the room, since a reader's browser may draw the text of an SVG in a font of its own


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """Inches that a line of text of so many points takes."""
    return size * _of_one_point(text, bold) / 72


@lru_cache(maxsize=4096)
def _of_one_point(text: str, bold: bool) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=100, weight="bold" if bold else "normal")
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 100


def wrapped(text: str, inches: float, size: float, *, bold: bool = False) -> list[str]:
    """Lines of a text of this size that are no wider; no word or number is broken."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, size, bold=bold) <= SPARE * inches:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def evenly(lines: Sequence[str]) -> list[str]:
    """The same words on as many lines of nearly one length: no last line with a single word."""
    text, most = " ".join(lines), max(map(len, lines), default=0)
    widest = max((_of_one_point(line, True) for line in lines), default=0.0)
    for characters in range(max(1, most // 2), most):
        found = wrap(text, characters, break_long_words=False, break_on_hyphens=False)
        fits = max(map(len, found)) <= most and max(_of_one_point(line, True) for line in found) <= widest
        if len(found) <= len(lines) and fits:
            return found
    return [*lines]


def halved(text: str) -> str:
    """A text on two lines of nearly one length, broken at a space."""
    places = [i for i, letter in enumerate(text) if letter == " "]
    if not places:
        return text
    place = min(places, key=lambda i: abs(i - len(text) / 2))
    return f"{text[:place].rstrip()}\n{text[place:].lstrip()}"
