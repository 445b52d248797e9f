"""A page as HTML, one file that fetches nothing; jinja2 escapes every text that is put into it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.analysis import wording
from experiments.report.card import Card
from experiments.report.pictures import Picture, dark_lines

if TYPE_CHECKING:
    from jinja2 import Environment

number = partial(wording.number, padded=True)  # as all tables of a report write it

MARKS = {"supported": "✓", "conditional": "◐", "contradicted": "✗", "inconclusive": "?"}
HERE = Path(__file__).parent
SCRIPTS = ("bokeh.min.js", "bokeh-api.min.js")  # bokeh's own; its widgets are not used
MOST_BYTES = 5_000_000  # of a page


@dataclass(frozen=True)
class Table:
    """A table of texts; `names` are the columns that hold words and not numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """What the diagnosis says of one setting, the cause first."""

    setting: str
    healthy: bool
    sentences: Sequence[str]


@dataclass(frozen=True)
class Page:
    """All that a report shows; a part that is empty is left out.

    lead: paragraphs under the title, the answer first. cards: of the claims, with their verdicts.
    undiagnosed: why there are no findings. explorer: the data of `explorer.py`. facts: by name, in a line
    each. config: the whole config as YAML. commands: those that make everything again.
    """

    title: str
    lead: Sequence[str] = ()
    cards: Sequence[Card] = ()
    findings: Sequence[Finding] = ()
    undiagnosed: str = ""
    explorer: Mapping[str, Any] | None = None
    pictures: Sequence[Picture] = ()
    summary: Table | None = None
    facts: Mapping[str, Any] | None = None
    config: str = ""
    commands: Sequence[str] = ()


def render(page: Page) -> str:
    """Return a page as HTML."""
    cards = _with_ids(page.cards)
    drawn = page.pictures or any(card.pictures for card in cards)
    counts = Counter(card.verdict.status for card in cards)
    return _environment().get_template("page.html").render(
        page=replace(page, cards=cards), marks=MARKS, counts=counts, style=_own("page.css"),
        dark_lines=dark_lines() if drawn else {}, scripts=scripts() if page.explorer else (),
    )  # fmt: skip


@cache
def _environment() -> Environment:
    """Return what keeps the compiled template: compiling it takes longer than filling in a page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "interval": interval}
    return environment


def scripts() -> list[str]:
    """Return the scripts of a page with an explorer: BokehJS from the installed package, and our own.

    bokeh itself is not imported, which would take a second.
    """
    spec = find_spec("bokeh")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the report's explorer needs bokeh: pip install bokeh")
    folder = Path(next(iter(spec.submodule_search_locations))) / "server" / "static" / "js"
    return [*((folder / name).read_text(encoding="utf-8") for name in SCRIPTS), _own("explorer.js")]


def _own(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _with_ids(cards: Sequence[Card]) -> list[Card]:
    """The cards, each with an anchor of its own: a claim that is judged twice has ``W04`` and ``W04-2``."""
    seen: Counter[str] = Counter()
    found = []
    for card in cards:
        seen[card.id] += 1
        found.append(replace(card, id=f"{card.id}-{seen[card.id]}" if seen[card.id] > 1 else card.id))
    return found


def marked(status: str) -> str:
    """A verdict with its mark: ``✓ supported``."""
    return f"{MARKS[status]} {status}"


def interval(low: float, high: float) -> str:
    """``0.1 to 0.2``; one number where both ends agree to the digits shown."""
    ends = [number(low), number(high)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
