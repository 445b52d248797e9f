"""Numbers from the literature beside ours: a table of every comparison, and the page that leads with it.

What somebody has printed, what was recalled, what is derived here and what is a threshold of our own are
counted apart wherever a total is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.analysis import wording
from experiments.claims.comparison import KINDS, Compared
from experiments.config.markdown import ENTITY, markdown_table
from experiments.report.card import Card
from experiments.report.page import interval, marked, number

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "claim",
    "paper",
    "quantity",
    "published",
    "kind",
    "tag",
    "ours",
    "low",
    "high",
    "n",
    "gap",
    "within",
    "role",
    "verdict",
)
ROUNDING = 1e-10  # a gap that is nothing but the rounding of the arithmetic
HELD = {True: "✓ reproduced", False: "✗ not reproduced", None: "? open"}
SAID = {
    "printed": ("printed numbers", "come out"),
    "recalled": ("recalled numbers", "come out"),
    "derived": ("derived numbers", "come out"),
    "own threshold": ("thresholds of our own", "are met"),
}  # a kind of KINDS, and what becomes of it
TAGS = {
    "source": "printed, and read in the source itself: the paper, its authors' code or their data",
    "account": "printed, and read in someone else's account of it",
    "recalled": "recalled, and not found again: confirmed by simulation before it was compared with",
    "derived": "printed by nobody: computed here from a formula of theirs or ours, or simulated elsewhere",
    "threshold": "printed by nobody: where a rule of ours draws the line for a printed word",
}
JUDGED = (
    "A number is reproduced if ours lies within the tolerance that stands beside it: the value of every "
    "seed or of one at least, or the mean over seeds, as it says there; the number of a single network, if "
    "it lies where one more of ours would. Of a mean, the whole interval that holds it with 97 % certainty "
    "has to lie within; if it lies outside (for all the comparisons of a claim together), the number is not "
    "reproduced, and if it straddles an end, the comparison is open. A row marked *check* is a law or a "
    "theory that has to come out for the claim to be judged at all; it does not support the claim."
)


def comparisons(cards: Sequence[Card]) -> pd.DataFrame:
    """One row per compared number: the columns COLUMNS; gap is relative, absolute where 0 is published."""
    import pandas as pd

    rows = [_row(card, e) for card in cards for e in card.verdict.evidence if isinstance(e, Compared)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(card: Card, e: Compared) -> dict[str, Any]:
    return {
        "claim": card.name, "paper": card.paper, "quantity": e.setting, "published": e.published,
        "kind": e.kind, "tag": e.tag, "ours": e.value, "low": e.low, "high": e.high, "n": e.n, "gap": e.gap,
        "within": e.within, "role": e.role, "verdict": HELD[e.holds],
    }  # fmt: skip


def numbers_page(title: str, intro: str, cards: Sequence[Card]) -> str:
    """results/<collection>/README.md: a row per claim, then every compared number, as Markdown."""
    tags = "\n".join(f"* {tag}: {meaning}" for tag, meaning in TAGS.items())
    parts = [
        f"# {title}", intro, f"{totals(cards)} The whole report: [report.html](report.html).", _counts(cards),
        JUDGED, _overview(cards), f"Where a number comes from:\n\n{tags}",
    ]  # fmt: skip
    parts += [_section(card) for card in cards]
    return "\n\n".join(parts) + "\n"


def totals(cards: Sequence[Card]) -> str:
    """Each kind of number apart, in one sentence.

    ``Of 48 printed numbers 47 come out, of 10 recalled numbers 10 come out, …``
    """
    found = comparisons(cards)
    told = []
    for kind, (noun, held) in SAID.items():
        verdicts = found.loc[found["kind"] == kind, "verdict"]
        if len(verdicts):
            told.append(f"of {len(verdicts)} {noun} {(verdicts == HELD[True]).sum()} {held}")
    return f"{', '.join(told).capitalize()}." if told else "Nothing is compared."


def _counts(cards: Sequence[Card]) -> str:
    """A row per kind of number: how many are reproduced, not reproduced, open."""
    found = comparisons(cards)
    rows = []
    for kind in KINDS:
        held = found.loc[found["kind"] == kind, "verdict"]
        rows.append((kind, *(str((held == word).sum()) for word in HELD.values()), str(len(held))))
    return markdown_table(("kind of number", *HELD.values(), "in all"), rows, bar=ENTITY)


def _overview(cards: Sequence[Card]) -> str:
    kinds = tuple(f"{kind}" for kind in KINDS)
    head = ("", "paper", "quantity", "number", "ours", "gap", "verdict", *kinds, "training")
    rows = []
    for card in cards:
        compared = [e for e in card.verdict.evidence if isinstance(e, Compared)]
        lead = _cells(_lead(compared)) if compared else [""] * 4
        anchor = f"[{card.id}](#{card.name.lower()})"
        counted = [_held([e for e in compared if e.kind == kind]) for kind in KINDS]
        rows.append(
            (anchor, card.paper, *lead, marked(card.verdict.status), *counted, f"{card.seconds:.0f} s")
        )
    return markdown_table(head, rows, bar=ENTITY)


def _lead(compared: Sequence[Compared]) -> Compared:
    """The first comparison that the claim itself rests on."""
    return next((e for e in compared if e.role == "claim"), compared[0])


def _held(compared: Sequence[Compared]) -> str:
    """``5 of 6``; nothing where there are none."""
    return f"{sum(e.holds is True for e in compared)} of {len(compared)}" if compared else ""


def _section(card: Card) -> str:
    rows = []
    for e in (e for e in card.verdict.evidence if isinstance(e, Compared)):
        quantity, published, _, gap = _cells(e)
        ours = f"{number(e.value)} ({interval(e.low, e.high)}; {e.n})"
        role = "" if e.role == "claim" else f" ({e.role})"
        rows.append((f"{quantity}{role}", published, e.tag, ours, gap, e.within, HELD[e.holds]))
    head = ("quantity", "number", "", "ours (range; n)", "gap", "within", "")
    told = [f"## {card.name}", f"{card.says} *{card.source}*", markdown_table(head, rows, bar=ENTITY)]
    if rest := [e for e in card.verdict.evidence if not isinstance(e, Compared)]:
        more = f", and {len(rest) - 1} more" if len(rest) > 1 else ""
        beside = f"{rest[0].setting} ({rest[0].role}: {rest[0].numbers}, {rest[0].demand}){more}"
        told.append(f"Beside the table, in the [report](report.html#{card.id}): {beside}.")
    if card.verdict.condition:
        told.append(f"{card.verdict.status.capitalize()}: {card.verdict.condition}.")
    told += ["\n".join(f"* {remark}" for remark in card.verdict.remarks)] if card.verdict.remarks else []
    return "\n\n".join([*told, f"`{card.command}`"])


def _cells(e: Compared) -> list[str]:
    """Quantity, number, ours, gap."""
    if e.is_bound:
        return [e.setting, f"{e.side} {number(e.published)}", number(e.value), ""]
    gap = 0.0 if abs(e.gap) < ROUNDING else e.gap
    told = wording.percent(gap) if e.published else wording.number(gap, 2)
    return [e.setting, number(e.published), number(e.value), f"+{told}" if gap > 0 else told]
