"""Figures in a page: their SVG made part of it, in the page's colours, with words and numbers behind them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from experiments.plots import style
from experiments.plots.canvas import THEMES
from experiments.storage.drawn import file_names

# Colours of a light figure that are the page's, and so change with it; those of maps stay what they are.
LIGHT = THEMES["light"]
PAGE_COLOURS = {
    LIGHT.ink: "--text", "#000000": "--text", LIGHT.faint: "--soft", LIGHT.grid: "--line",
    LIGHT.paper: "--card",
}  # fmt: skip
OF_PAGE = {colour.lower(): name for colour, name in PAGE_COLOURS.items()}
COLOUR = re.compile(r"#[0-9a-f]{6}\b", re.IGNORECASE)
MOST_SHADES = 24  # colours of numbers in one figure: where there are more, most have no name beside them
PLACES = re.compile(r'(?<= )(?:d|x|y|points)="[^"]*"')
NEEDLESS = re.compile(r"(\.\d)\d+")  # digits of a place, in points, beyond a tenth, an eighth of a pixel
PREVIEW_WIDTH, PREVIEW_COLOURS = 1200, 256
PIXELS = 4 / 3  # of a page, in a point


@dataclass(frozen=True)
class Drawing:
    """A part of a page that is drawn: `svg` is markup of our own making, width and height are in pixels."""

    svg: str
    width: int
    height: int


@dataclass(frozen=True)
class Picture:
    """A figure as part of a page, drawn for wide screens and, if it can be, for narrow ones.

    tables: the numbers behind it, each with a title, a head and rows of texts.
    """

    wide: Sequence[Drawing]
    finding: str
    subtitle: str = ""
    how_to_read: str = ""
    alt: str = ""
    narrow: Sequence[Drawing] = ()
    tables: Sequence[dict[str, Any]] = ()

    @property
    def bytes(self) -> int:
        """About as many as it takes in the page."""
        drawn = sum(len(each.svg.encode()) for each in (*self.wide, *self.narrow))
        return drawn + len(str(self.tables)) + 3 * len(self.alt)


def pictures(folder: Path, figures: Sequence[str], prefix: str = "") -> list[Picture]:
    """Return the pictures of an experiment's folder in the order of its figures.

    A figure that is not there could not be drawn, which the run has said. `prefix` makes the ids of their
    parts differ from those of other experiments in the same page.
    """
    found = []
    for place, stem in enumerate(file_names(dict.fromkeys(figures)).values()):
        home = folder / "figures"
        told = _told(home / f"{stem}.json")
        wide = [name for name in told.get("files", ()) if name.endswith(".svg")]
        narrow = [name.replace(stem, f"{stem}_narrow", 1) for name in wide]  # as `album` calls them
        narrow = [name for name in narrow if (home / name).exists()]
        if wide:
            words = {key: told.get(key, "") for key in ("finding", "subtitle", "how_to_read", "alt")}
            sides = {
                side: [_drawing(home / name, f"{prefix}{place}{side[0]}{i}-") for i, name in enumerate(names)]
                for side, names in (("wide", wide), ("narrow", narrow))
            }
            found.append(Picture(**words, **sides, tables=told.get("tables", ())))
    return found


def _told(path: Path) -> dict[str, Any]:
    """What a file says of a figure; nothing where it was not drawn."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _drawing(path: Path, ids: str) -> Drawing:
    """Make a file that matplotlib wrote a part of a page; errors: ValueError where it is no such file."""
    drawn = path.read_text(encoding="utf-8")
    head = re.search(r"<svg\b[^>]*>", drawn)
    box = re.search(r'viewBox="([-\d. ]+)"', head[0]) if head else None
    if head is None or box is None:
        raise ValueError("a figure's file is not an SVG with a viewBox")
    width, height = (round(PIXELS * float(part)) for part in box[1].split()[2:])
    return Drawing(_as_part(drawn[head.end() : drawn.rindex("</svg>")], ids), width, height)


def _as_part(body: str, ids: str) -> str:
    """The inside of an SVG for a page that holds others: ids of its own, the page's colours, no remarks."""
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{ids}', body)
    body = re.sub(r'(xlink:href="|url\()#', rf"\1#{ids}", body)
    body = PLACES.sub(lambda found: NEEDLESS.sub(r"\1", found[0]), body)
    body = COLOUR.sub(lambda found: _of_page(found[0]), body)
    return re.sub(r"\n\s*", "\n", body)


def _of_page(colour: str) -> str:
    """The page's own colour; that of a line is itself where the page does not set another, in dark."""
    if name := OF_PAGE.get(colour.lower()):
        return f"var({name})"
    return f"var({_variable(colour)}, {colour})" if colour.lower() in _lines() else colour


@cache
def _lines() -> dict[str, str]:
    """The colours of lines on a light background, those of numbers too, and what each is on a dark one."""
    looks = [look for count in range(1, MOST_SHADES) for look in style.looks([*range(count)]).values()]
    shades = {style.colour_on(look, dark=False): style.colour_on(look, dark=True) for look in looks}
    return {light.lower(): dark for light, dark in (style.ON_DARK | shades).items() if light != "#000000"}


def _variable(colour: str) -> str:
    return f"--on{colour[1:].lower()}"


def dark_lines() -> dict[str, str]:
    """The colours of lines where the page is dark, by the variables of the drawings in it."""
    return {_variable(light): dark for light, dark in _lines().items()}


def preview(drawn: bytes) -> bytes:
    """Return a PNG as a small one in a palette of its own colours, for a page in Markdown."""
    from io import BytesIO

    from PIL import Image  # matplotlib writes its own PNGs with it

    image, small = Image.open(BytesIO(drawn)).convert("RGB"), BytesIO()
    image.thumbnail((PREVIEW_WIDTH, 10 * PREVIEW_WIDTH))
    image.quantize(PREVIEW_COLOURS).save(small, format="png", optimize=True)
    return small.getvalue()
