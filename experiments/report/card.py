"""What the report says of one claim: gathered from its docstring, its verdict and its experiment."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from experiments.claims import CLAIMS, Verdict
from mlp.registry import doc_of, parse_call

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.config import Experiment
    from experiments.storage.records import Records

DOTS_PER_INCH = 80  # sharp at the width of a page, and fifteen claims' figures stay under 5 MB
COLOURS = 128  # of a figure's palette
PARTS = ("Measured", "Nuance", "Source")


@dataclass(frozen=True)
class Picture:
    """A figure as a PNG, its title and the text that is read out in its place."""

    png: bytes
    title: str
    alt: str

    @property
    def uri(self) -> str:
        """The picture itself as an address, so that the page fetches nothing."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


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
    seconds: float = float("nan")  # that the config and its claims took

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
    experiment: Experiment, records: Records, verdicts: Iterable[Verdict], seconds: float = float("nan")
) -> list[Card]:
    """One card a claim of an experiment; the figures are drawn once and go with the first of them."""
    pictures = tuple(_pictures(experiment, records))
    found = []
    for verdict in verdicts:
        name, _ = parse_call(verdict.claim)
        says, *rest = doc_of(CLAIMS[name]).split("\n\n")
        parts = _parts(rest)
        config = experiment.path.as_posix() if experiment.path else f"{experiment.name}.yaml"
        card = Card(
            label(name), name, _flat(says), parts.get("Measured", ""), parts.get("Nuance", ""), verdict,
            experiment.question, config, () if found else pictures, parts.get("Source", ""), seconds,
        )  # fmt: skip
        found.append(card)
    return found


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


def _pictures(experiment: Experiment, records: Records) -> Iterable[Picture]:
    """The config's figures; one that cannot be drawn is left out, as the pipeline has said."""
    from experiments.plots import FIGURES
    from experiments.plots.style import own_look

    for text in experiment.figures:
        try:
            with own_look():
                picture = FIGURES.bind(text)(records)
                png = _png(picture.sheets[0])
        except Exception:
            continue
        swept = ", ".join(f"{key} {_some(values)}" for key, values in experiment.sweep.items())
        yield Picture(png, picture.finding, f"{picture.alt} Shown: {swept}.")


def _some(values: Iterable[object]) -> str:
    shown = [str(value) for value in values]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:3], "…", shown[-1]])


def _png(figure: Figure) -> bytes:
    """The figure in a palette of its own colours: a third of the bytes, and no difference to the eye."""
    from PIL import Image  # matplotlib writes its own PNGs with it

    full, small = BytesIO(), BytesIO()
    figure.savefig(full, format="png", dpi=DOTS_PER_INCH, facecolor=figure.get_facecolor())
    Image.open(full).convert("RGB").quantize(COLOURS).save(small, format="png", optimize=True)
    return small.getvalue()
