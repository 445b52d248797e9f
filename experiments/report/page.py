"""Cards -> the HTML page. jinja2 escapes every text; nothing on the page is fetched from anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report.card import Card

MARKS = {"supported": "✓", "conditional": "◐", "contradicted": "✗", "inconclusive": "?"}


def render(title: str, intro: str, cards: Sequence[Card], facts: Mapping[str, Any]) -> str:
    """One self-contained page: the table of verdicts, then a card a claim; `facts` stand at its foot."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("experiments.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "interval": interval}
    counts = Counter(card.verdict.status for card in cards)
    return environment.get_template("page.html").render(
        title=title, intro=intro, cards=cards, facts=facts, marks=MARKS, counts=counts
    )


def number(value: float) -> str:
    """Three significant digits; a dash for what is not defined."""
    if value != value:
        return "–"
    plain = 1e-3 <= abs(value) < 1e4 or value == 0
    return f"{value:.3g}" if plain else f"{value:.2e}".replace("e-0", "e-").replace("e+0", "e")


def interval(low: float, high: float) -> str:
    """``0.1 to 0.2``; one number where both ends agree to the digits shown."""
    ends = [number(low), number(high)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
