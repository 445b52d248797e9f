"""Cards -> the HTML page. jinja2 escapes every text; nothing on the page is fetched from anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from experiments.analysis import wording
from experiments.report.card import Card

number = partial(wording.number, padded=True)  # as all tables of a report write it

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


def interval(low: float, high: float) -> str:
    """``0.1 to 0.2``; one number where both ends agree to the digits shown."""
    ends = [number(low), number(high)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
