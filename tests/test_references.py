"""Every work that is cited by author and year stands in REFERENCES.bib, and every work there is cited."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "configs/README.md", "results/README.md", "results/GLOSSARY.md",
         "results/literature/README.md")  # fmt: skip

NAME = r"[A-Z][\w'-]*[a-zà-ÿ]"
CITATION = re.compile(rf"({NAME}(?: et al\.|(?:, {NAME})* & {NAME})?),? ((?:1[89]|20)\d\d)\b")
ENTRY = re.compile(r"^@\w+\{(\w+),\n(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)


@dataclass(frozen=True)
class Citation:
    """("Glorot", "Bengio"), "2010"; of "et al." the first author alone."""

    authors: tuple[str, ...]
    more: bool  # "et al."
    year: str

    def is_of(self, authors: list[str], year: str) -> bool:
        same = (
            authors[:1] == list(self.authors) and len(authors) > 2
            if self.more
            else authors == [*self.authors]
        )
        return same and year == self.year


def citations(text: str) -> set[Citation]:
    """All in a text, also those that go on in the next line, of a comment too."""
    joined = re.sub(r"\s*\n\s*(?:#\s*)?", " ", text)
    found = set()
    for who, year in CITATION.findall(joined):
        authors = tuple(re.split(r", | & ", who.removesuffix(" et al.")))
        found.add(Citation(authors, who.endswith("et al."), year))
    return found


def entries(text: str) -> dict[str, dict[str, str]]:
    """{key: {field: value}} of a BibTeX file with a field a line."""
    return {key: dict(FIELD.findall(body)) for key, body in ENTRY.findall(text)}


def surnames(entry: dict[str, str]) -> list[str]:
    return [author.partition(",")[0].strip("{} ") for author in entry["author"].split(" and ")]


def cited(entry: dict[str, str], found: set[Citation], text: str) -> bool:
    """By author and year; a work without a year by its author's name."""
    if "year" not in entry:
        return surnames(entry)[0] in text
    return any(each.is_of(surnames(entry), entry["year"]) for each in found)


@cache
def written() -> str:
    files = [path for folder in ("mlp", "experiments", "scripts") for path in (ROOT / folder).rglob("*.py")]
    files += [*(ROOT / "configs").rglob("*.yaml"), *(ROOT / page for page in PAGES)]
    return "\n\n".join(path.read_text(encoding="utf-8") for path in files if path.is_file())


@cache
def written_citations() -> set[Citation]:
    return citations(written())


WORKS = entries((ROOT / "REFERENCES.bib").read_text(encoding="utf-8"))


def test_every_citation_has_its_entry():
    known = [(surnames(entry), entry.get("year", "")) for entry in WORKS.values()]
    assert written_citations()
    assert not [
        citation for citation in written_citations() if not any(citation.is_of(*work) for work in known)
    ]


def test_every_entry_is_whole_and_cited():
    assert not [key for key, entry in WORKS.items() if not {"author", "title"} <= set(entry)]
    assert not [key for key, entry in WORKS.items() if not cited(entry, written_citations(), written())]


def test_every_note_is_a_sentence():
    notes = [entry["note"] for entry in WORKS.values() if "note" in entry]
    assert notes
    assert not [note for note in notes if not (note[0].isupper() and note.endswith("."))]


def test_the_file_is_read_whole_and_stands_in_order():
    assert len(WORKS) == (ROOT / "REFERENCES.bib").read_text(encoding="utf-8").count("\n@")
    assert list(WORKS) == sorted(WORKS)


MADE_UP = """Of Nair & Hinton 2010; Sutskever et
    al. 2013, and (LeCun, Bottou, Orr &
    # Müller 1998, eq. 16). UCI, Alpaydin & Kaynak 1998. Hanin 2018, Hanin & Rolnick 2018 say so.
"""


def test_a_citation_is_seen_however_it_is_written():
    assert citations(MADE_UP) == {
        Citation(("Nair", "Hinton"), False, "2010"),
        Citation(("Sutskever",), True, "2013"),
        Citation(("LeCun", "Bottou", "Orr", "Müller"), False, "1998"),
        Citation(("Alpaydin", "Kaynak"), False, "1998"),
        Citation(("Hanin",), False, "2018"),
        Citation(("Hanin", "Rolnick"), False, "2018"),
    }
    assert not citations("after 1200 updates, in 2019, of 2,048 examples, width=2000")


def test_a_work_that_is_missing_or_not_cited_is_found_out():
    (entry,) = entries(
        "@misc{a,\n  author = {Nair, Vinod and Hinton, G.},\n  title = {T},\n  year = {2010},\n}\n"
    ).values()
    assert cited(entry, citations(MADE_UP), MADE_UP)
    for other in ("Nair 2010", "Nair & Hinton 2011", "Hinton & Nair 2010", "Nair et al. 2010", "nothing"):
        assert not cited(entry, citations(other), other), other
    assert not cited({"author": "Lippe, Phillip"}, set(), MADE_UP)
