"""The report: every claim's card, nothing fetched, everything escaped; the README's table is current."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from experiments.claims import CLAIMS, Evidence, Verdict, decide
from experiments.claims import table as verdict_table
from experiments.config import from_mapping
from experiments.report import Card, Page, Picture, cards, fitting, readme_table, render, with_table
from experiments.report.page import interval, number
from experiments.report.pictures import Drawing
from experiments.report.readme import BEGIN, END, PAGE, short_table

ROOT = Path(__file__).resolve().parents[3]
VERDICT = Verdict(
    "conditional",
    "below 1",
    "factor",
    "holds for a; fails for b",
    (
        Evidence("a", 0.2, 0.1, 0.3, 6, 1.0, True, side="below", unit="of the norm"),
        Evidence("b", 2.0, 1.5, 3.0, 6, 1.0, False, side="below"),
        Evidence("c", 2.5, 1.5, 3.0, 6, 2.0, None, role="control", side="above", why_open="both sides of 2"),
    ),
    ("Seen beside it.",),
    "W04_gradient_shrinks",
)
TABLE = {"title": "depth 2", "head": ["layer", "sigmoid"], "rows": [["1", "0.25"]]}
DRAWN = (Drawing("<g/>", 640, 480),)
PICTURE = Picture(DRAWN, "Norms", "Norms by layer", "Read it so.", "Norms by layer.", DRAWN, [TABLE])
CARD = Card(
    "W04", "W04_gradient_shrinks", "It shrinks.", "The norm.", "Not always.", VERDICT,
    "Does it?", "configs/write_up/w04.yaml", (PICTURE,),
)  # fmt: skip


class Read(HTMLParser):
    """Every tag's attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def page(*cards_):
    return Read(render(Page("Title", ["Intro"], cards_ or (CARD,), facts={"numpy": "2"})))


def test_a_card_has_all_that_belongs_to_it():
    text = page().text
    command = "python scripts/run.py configs/write_up/w04.yaml"
    told = ["It shrinks.", "The norm.", "below 1", "Not always.", "holds for a; fails for b"]
    for part in [*told, "Seen beside it.", "0.1 to 0.3", command]:
        assert part in text, part


def test_every_number_has_its_name_its_direction_and_its_role():
    text = " ".join(page().text.split())
    assert "factor: 0.2 (0.1 to 0.3, n = 6), where < 1 is asked" in text  # the head of the card
    assert "factor 0.2 0.1 to 0.3 6 < 1" in text  # the row of the overview
    assert "claim a (of the norm) 0.2 0.1 to 0.3 6 < 1 holds" in text
    assert "control c 2.5 1.5 to 3 6 > 2 open: both sides of 2" in text


def test_how_many_comparisons_a_verdict_rests_on_is_on_its_card():
    found = decide([Evidence.of("a", [0.2] * 6, "below", 1.0)], "factor")
    told = page(replace(CARD, verdict=replace(found, claim=VERDICT.claim))).text
    assert found.chance in told
    assert found.chance.startswith("It rests on 1 comparison of n = 6 values or more.")


def test_the_readme_names_the_direction_where_the_table_has_it():
    frame = verdict_table([VERDICT])
    assert "factor: 0.2 (0.1 to 0.3; n = 6), asked: < 1. Holds for a" in readme_table(frame)
    assert "factor: 0.2 (0.1 to 0.3; n = 6). Holds for a" in readme_table(frame.drop(columns="side"))


def test_nothing_is_fetched_from_anywhere():
    for tag, attributes in page().tags:
        for name in ("src", "href"):
            address = attributes.get(name, "#")
            assert address.startswith(("#", "data:")), (tag, address)
        assert tag not in ("script", "iframe", "object")


def test_every_picture_has_words_and_every_link_a_target():
    tags = page(CARD, replace(CARD, id="W05")).tags
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    assert all(a["aria-label"] for _, a in tags if a.get("role") == "img")
    assert [a["class"] for tag, a in tags if tag == "svg"] == ["wide", "narrow"] * 2
    targets = {a["href"][1:] for tag, a in tags if tag == "a"}
    assert targets <= ids
    assert {"W04", "W05", "verdicts"} <= targets


def test_text_from_a_config_is_escaped():
    html = render(Page("T", ["I"], [replace(CARD, question="<script>alert(1)</script>")]))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


SHOWN = [(0.0, "0"), (0.2361, "0.236"), (1.1e-31, "1.10e-31"), (float("nan"), "–"), (2e7, "2.00e7")]


@pytest.mark.parametrize(("value", "shown"), SHOWN)
def test_numbers_in_three_digits(value, shown):
    assert number(value) == shown


def test_an_interval_that_is_one_number_is_said_once():
    assert interval(0.25, 0.25) == "0.25"
    assert interval(0.1, 0.2) == "0.1 to 0.2"


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_every_claim_says_what_was_said_and_measured(name):
    experiment = from_mapping({"question": "?", "figures": []}, "x")
    card = cards(experiment, [replace(VERDICT, claim=name)])[0]
    assert card.says.endswith(".")
    assert card.measured
    assert card.nuance or name.startswith(("W12", "W15"))


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("W04_gradient_shrinks", "W04"),
        ("L03a_saturation", "L03a"),
        ("gradients_vanish", "gradients_vanish"),
        ("relu", "relu"),
    ],
)
def test_a_claim_of_any_name_has_an_id_of_its_own(monkeypatch, name, short):
    monkeypatch.setitem(CLAIMS, name, CLAIMS["W03_slope"])
    (card,) = cards(from_mapping({"question": "?", "figures": []}, "x"), [replace(VERDICT, claim=name)])
    assert (card.id, card.name) == (short, name)
    frame = verdict_table([replace(VERDICT, claim=name)])
    assert f"\n| {short} | The derivative of sigmoid" in readme_table(frame)


def test_the_readme_is_current():
    """`python scripts/reproduce.py --readme` writes it."""
    claims = pd.read_csv(ROOT / "results/write_up/claims.csv")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == with_table(text, short_table(claims))
    page = (ROOT / "results" / "write_up" / "README.md").read_text(encoding="utf-8")
    assert page == f"{PAGE}{readme_table(claims)}\n"
    assert len(re.findall(r"^\| W\d\d \|", text, re.MULTILINE)) == 15


def test_a_readme_without_marks_is_refused():
    with pytest.raises(ValueError, match="lacks the marks"):
        with_table("nothing here", "table")
    assert with_table(f"a {BEGIN} old {END} b", "new") == f"a {BEGIN}\nnew\n{END} b"


def test_the_largest_pictures_of_a_page_that_is_too_large_go_without_a_narrow_form():
    def card(size):
        big = (Drawing(f"<g>{'x' * size}</g>", 640, 480),)
        return replace(CARD, pictures=(replace(PICTURE, wide=big, narrow=big),))

    found = [card(1_000), card(50_000), card(20_000)]
    whole = sum(card.pictures[0].bytes for card in found)
    assert fitting(found, whole) == (found, 0)
    kept, lost = fitting(found, whole - 1)
    assert lost == 1
    assert [bool(card.pictures[0].narrow) for card in kept] == [True, False, True]
    assert all(card.pictures[0].wide for card in kept)
    kept, lost = fitting(found, whole - 60_000)
    assert [bool(card.pictures[0].narrow) for card in kept] == [True, False, False]
    assert fitting(found, 1)[1] == 3
