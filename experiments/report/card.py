"""What the report says of one claim: gathered from its docstring, its verdict and its experiment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from experiments.claims import CLAIMS, Verdict
from mlp.registry import doc_of, parse_call

if TYPE_CHECKING:
    from experiments.config import Experiment
    from experiments.report.pictures import Picture

PARTS = ("Measured", "Nuance", "Source")


@dataclass(frozen=True)
class Card:
    """A claim with all that belongs to it; `id` is its anchor in the page."""

    id: str
    name: str
    says: str
    measured: str
    nuance: str
    verdict: Verdict
    question: str
    config: str
    pictures: tuple[Picture, ...]
    source: str = ""
    seconds: float = float("nan")  # of one core that training the runs took, whenever that was

    @property
    def is_check(self) -> bool:
        """Whether the claim looks at functions or measures times by itself, and reads no records."""
        return bool(getattr(CLAIMS[self.name], "is_check", False))

    @property
    def paper(self) -> str:
        """The first work that the source names, with its year if it has one."""
        dated = re.match(r".*?\b\d{4}\b", self.source)
        return dated[0] if dated else self.source.partition(";")[0].rstrip(".")

    @property
    def command(self) -> str:
        """What makes this verdict again."""
        return f"python scripts/run.py {self.config}"


def cards(
    experiment: Experiment, verdicts: Iterable[Verdict], pictures: Sequence[Picture] = (),
    seconds: float = float("nan"),
) -> list[Card]:  # fmt: skip
    """One card per claim of an experiment; the pictures, if they belong to the claims, go with the first."""
    found = []
    for verdict in verdicts:
        name, _ = parse_call(verdict.claim)
        parts = _parts(doc_of(CLAIMS[name]).split("\n\n"))
        config = experiment.path.as_posix() if experiment.path else f"{experiment.name}.yaml"
        card = Card(
            label(name), name, says(name), parts.get("Measured", ""), parts.get("Nuance", ""), verdict,
            experiment.question, config, () if found else tuple(pictures), parts.get("Source", ""), seconds,
        )  # fmt: skip
        found.append(card)
    return found


def says(name: str) -> str:
    """What a claim of this name says: the first paragraph of its docstring, in one line."""
    return _flat(doc_of(CLAIMS[name]).split("\n\n")[0])


def label(name: str) -> str:
    """A claim's short name: ``W04`` of ``W04_gradient_shrinks``; of a name without a number all of it."""
    numbered = re.match(r"[A-Z]\d+[a-z]?(?=_)", name)
    return numbered[0] if numbered else name


def _parts(paragraphs: Iterable[str]) -> dict[str, str]:
    """The docstring's paragraphs by their label: ``Measured: …``."""
    split = (paragraph.partition(":") for paragraph in paragraphs)
    return {label: _flat(text) for label, _, text in split if label in PARTS}


def _flat(text: str) -> str:
    return " ".join(text.split())


def fitting(found: Sequence[Card], most: int) -> tuple[list[Card], int]:
    """Return the cards with pictures of so many bytes at most, and how many of these have lost a form.

    The largest pictures go without their second drawing for narrow screens, which then show the wide one.
    """
    drawn = [it for card in found for it in card.pictures]
    narrow = {id(it): sum(len(each.svg.encode()) for each in it.narrow) for it in drawn}
    total, lost = sum(it.bytes for it in drawn), set[int]()
    for key in sorted(narrow, key=lambda key: -narrow[key]):
        if total <= most or not narrow[key]:
            break
        lost.add(key)
        total -= narrow[key]
    if not lost:
        return list(found), 0
    kept = [[replace(it, narrow=()) if id(it) in lost else it for it in card.pictures] for card in found]
    return [replace(card, pictures=tuple(its)) for card, its in zip(found, kept, strict=True)], len(lost)
