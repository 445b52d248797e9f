"""What a picture is drawn on: its size, type, colours and file format, as matplotlib's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from mlp.registry import RegistryError

Style = Literal["screen", "slide", "paper"]
Theme = Literal["light", "dark"]
Format = Literal["png", "svg", "pdf"]
LEAST, MOST = 1.0, 60.0  # inches that a side of a picture may have


class SizeText:
    """Reads ``8x4.5``: width and height in inches."""

    words = f"a width and a height in inches from {LEAST:g} to {MOST:g}, as in '8x4.5'"

    def canonical(self, text: str) -> str:
        """Return the one spelling of a size; errors: RegistryError."""
        found = re.fullmatch(r"\s*(\d+\.?\d*)\s*[x×]\s*(\d+\.?\d*)\s*", text)
        if not found or not all(LEAST <= float(side) <= MOST for side in found.groups()):
            raise RegistryError(f"it is not {self.words}")
        return "x".join(f"{float(side):g}" for side in found.groups())


Size = Annotated[str, SizeText()]


@dataclass(frozen=True)
class Type:
    """Sizes in points, and what follows from them in inches."""

    title: float
    lines: int  # of a title, at most: a longer one is set smaller
    label: float
    small: float
    line: float  # width of a data line
    panel: tuple[float, float]  # width and height of a panel, where the figure's size is free
    width: float | None  # inches of the whole, where it is fixed
    height: float | None
    most: int  # panels on one sheet of a default figure
    across: int  # panels beside one another
    beside: int  # letters that a name at a line has room for there; where one is longer, a panel stands alone
    dots: int  # per inch
    formats: tuple[Format, ...]


# On a screen: SVG, which the report holds and every browser shows; `format=png` is for what shows none. A
# slide is 13⅓ × 7½ inches, as those of the usual programs are: at 1920 × 1080 a point is two pixels.
STYLES = {
    "screen": Type(16, 2, 12, 10.5, 2.0, (5.4, 3.7), None, None, 4, 2, 24, 120, ("svg",)),
    "slide": Type(32, 3, 24, 24, 4.0, (6.0, 4.5), 40 / 3, 7.5, 2, 2, 12, 144, ("png",)),
    "paper": Type(9, 3, 8, 8, 1.2, (3.4, 2.1), 3.4, None, 4, 1, 24, 300, ("pdf",)),
}


@dataclass(frozen=True)
class Colours:
    """The colours of everything that is not data."""

    paper: str
    ink: str
    faint: str
    grid: str
    hole: str  # of no number in a map
    zero: str  # of an exact 0 in a map


THEMES = {
    "light": Colours("#FFFFFF", "#1E1E1E", "#5C5C5C", "#E4E4E4", "#D4D4D4", "#000000"),
    "dark": Colours("#16181D", "#ECECEC", "#A9ADB5", "#33373F", "#4A4E57", "#FFFFFF"),
}


@dataclass(frozen=True)
class Canvas:
    """How a picture is to look; nothing here changes what it shows but `every`, which draws all panels.

    size: inches, ``8x4.5``, in place of the style's own. format: of the file, in place of the style's own.
    words: texts of a figure and what stands in their place, such as ``{"layer": "Schicht"}``; a `title` and
    a `subtitle` may be given there too.
    """

    style: Style = "screen"
    theme: Theme = "light"
    size: Size = ""
    format: Format | None = None
    every: bool = False
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> Type:
        """The sizes of the style."""
        return STYLES[self.style]

    @property
    def colours(self) -> Colours:
        """The colours of the theme."""
        return THEMES[self.theme]

    @property
    def inches(self) -> tuple[float | None, float | None]:
        """Width and height of the picture; None where they follow from its panels."""
        if self.size:
            wide, high = self.size.split("x")
            return float(wide), float(high)
        return self.type.width, self.type.height

    @property
    def kinds(self) -> tuple[Format, ...]:
        """The formats of the files."""
        return (self.format,) if self.format else self.type.formats

    def say(self, text: str) -> str:
        """Return a text in the reader's own words: the longest of `words` first, whole words only."""
        for old in sorted(self.words, key=len, reverse=True):
            if old not in ("title", "subtitle"):
                text = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _, old=old: self.words[old], text)
        return text

    def settings(self) -> dict[str, Any]:
        """Return matplotlib's settings for this canvas."""
        kind, colours = self.type, self.colours
        return {
            "font.size": kind.label, "axes.labelsize": kind.label, "axes.titlesize": kind.label,
            "xtick.labelsize": kind.small, "ytick.labelsize": kind.small, "legend.fontsize": kind.small,
            "xtick.major.pad": 0.42 * kind.small,  # the first number does not touch that of the other axis
            "figure.titlesize": kind.title, "axes.titlelocation": "left", "legend.frameon": False,
            "lines.linewidth": kind.line, "lines.markersize": 2.6 * kind.line,
            "hatch.linewidth": 0.4 * kind.line, "grid.linewidth": 0.4 * kind.line,
            "axes.linewidth": 0.5 * kind.line, "xtick.major.width": 0.5 * kind.line,
            "ytick.major.width": 0.5 * kind.line, "axes.grid": True, "axes.axisbelow": True,
            "axes.spines.top": False, "axes.spines.right": False, "grid.color": colours.grid,
            "figure.facecolor": colours.paper, "axes.facecolor": colours.paper,
            "savefig.facecolor": colours.paper, "text.color": colours.ink, "axes.labelcolor": colours.ink,
            "axes.titlecolor": colours.ink, "axes.edgecolor": colours.faint, "xtick.color": colours.faint,
            "ytick.color": colours.faint, "xtick.labelcolor": colours.ink, "ytick.labelcolor": colours.ink,
            "pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none",
            "figure.dpi": kind.dots, "savefig.dpi": kind.dots,
        }  # fmt: skip
