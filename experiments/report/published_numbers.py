"""Published numbers beside ours: a table of every comparison, and the page that leads with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.claims.comparison import Compared
from experiments.config.markdown import ENTITY, markdown_table
from experiments.report.card import Card
from experiments.report.page import MARKS, interval, number

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "claim",
    "paper",
    "quantity",
    "published",
    "tag",
    "ours",
    "low",
    "high",
    "n",
    "gap",
    "within",
    "verdict",
)
HELD = {True: "✓ reproduced", False: "✗ not reproduced", None: "? open"}
TAGS = {
    "source": "read in the source itself",
    "account": "read in someone else's account of it",
    "derived": "derived in closed form or by quadrature, or simulated elsewhere",
    "recalled": "recalled, and confirmed by simulation before it was compared with",
    "threshold": "printed by nobody: where a rule of ours draws the line for a printed word",
}


def comparisons(cards: Sequence[Card]) -> pd.DataFrame:
    """One row a compared number: the columns COLUMNS; gap is relative, absolute where 0 is published."""
    import pandas as pd

    rows = [_row(card, e) for card in cards for e in card.verdict.evidence if isinstance(e, Compared)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(card: Card, e: Compared) -> dict[str, Any]:
    return {
        "claim": card.name, "paper": card.paper, "quantity": e.setting, "published": e.published,
        "tag": e.tag, "ours": e.value, "low": e.low, "high": e.high, "n": e.n, "gap": e.gap,
        "within": e.within, "verdict": HELD[e.holds],
    }  # fmt: skip


def numbers_page(title: str, intro: str, cards: Sequence[Card]) -> str:
    """results/<collection>/README.md: a row a claim, then every compared number, as Markdown."""
    found = comparisons(cards)
    counts = found["verdict"].value_counts()
    summary = ", ".join(f"{counts[held]} {held[2:]}" for held in HELD.values() if held in counts)
    tags = "\n".join(f"* {tag}: {meaning}" for tag, meaning in TAGS.items())
    parts = [
        f"# {title}", intro,
        f"{len(found)} numbers compared: {summary}. The whole report: [report.html](report.html).",
        _overview(cards), f"Where a published number comes from:\n\n{tags}",
    ]  # fmt: skip
    parts += [_section(card) for card in cards]
    return "\n\n".join(parts) + "\n"


def _overview(cards: Sequence[Card]) -> str:
    head = ("", "paper", "quantity", "published", "ours", "gap", "verdict", "numbers", "time")
    rows = []
    for card in cards:
        compared = [e for e in card.verdict.evidence if isinstance(e, Compared)]
        held = sum(e.holds is True for e in compared)
        lead = _cells(compared[0]) if compared else [""] * 4
        status = card.verdict.status
        anchor = f"[{card.id}](#{card.name.lower()})"
        counted = f"{held} of {len(compared)}"
        rows.append(
            (anchor, card.paper, *lead, f"{MARKS[status]} {status}", counted, f"{card.seconds:.0f} s")
        )
    return markdown_table(head, rows, bar=ENTITY)


def _section(card: Card) -> str:
    rows = []
    for e in (e for e in card.verdict.evidence if isinstance(e, Compared)):
        quantity, published, _, gap = _cells(e)
        ours = f"{number(e.value)} ({interval(e.low, e.high)}; {e.n})"
        within = "" if e.is_bound else e.within
        rows.append((quantity, f"{published} ({e.tag})", ours, gap, within, HELD[e.holds]))
    table = markdown_table(
        ("quantity", "published", "ours (range; n)", "gap", "within", ""), rows, bar=ENTITY
    )
    told = [f"## {card.name}", f"{card.says} *{card.source}*", table]
    told += ["\n".join(f"* {remark}" for remark in card.verdict.remarks)] if card.verdict.remarks else []
    return "\n\n".join([*told, f"`{card.command}`"])


def _cells(e: Compared) -> list[str]:
    """Quantity, published, ours, gap."""
    if e.is_bound:
        side, _, _ = e.within.partition(" ")
        return [e.setting, f"{side} {number(e.published)}", number(e.value), ""]
    gap = f"{100 * e.gap:+.2g} %" if e.published else f"{e.gap:+.2g}"
    return [e.setting, number(e.published), number(e.value), gap]
