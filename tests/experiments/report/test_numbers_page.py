"""The page of published numbers: each in the table and counted by its kind, what fails as well."""

from dataclasses import replace

import pytest
from made_up import grid

from experiments import config
from experiments.claims import judge
from experiments.claims.comparison import KINDS
from experiments.report import comparisons, numbers_page
from experiments.report.card import cards
from experiments.report.published_numbers import SAID
from experiments.sweeps.runner import run_stack

SIX = list(range(6))


@pytest.fixture(scope="module")
def isometry():
    """The cards of a real, small experiment: orthogonal and Gaussian linear networks."""
    runs = grid(
        activation="identity",
        init=["orthogonal", "lecun_normal"],
        width=64,
        depth=3,
        steps=0,
        seed=SIX,
        dataset="xor",
    )
    recording = config.Recording(("delta_norm",), 2)
    records = run_stack([r for r in runs if r.init == "orthogonal"], recording)
    records = type(records).concat(
        [records, run_stack([r for r in runs if r.init != "orthogonal"], recording)]
    )
    experiment = config.from_mapping(
        {"question": "How?", "claims": ["L08_isometry"], "figures": []}, "isometry"
    )
    return cards(experiment, judge(experiment.claims, records), seconds=1.5)


def test_every_number_is_in_the_table_and_on_the_page(isometry):
    table = comparisons(isometry)
    assert list(table["verdict"]) == ["✓ reproduced"] * 2
    assert table["published"].tolist() == pytest.approx([0.0, 3.0])
    assert list(table["kind"]) == ["derived"] * 2  # the formula is printed, its values are not
    page = numbers_page("Title", "Intro", isometry)
    for words in (
        "# Title",
        "Of 2 derived numbers 2 come out.",
        "Pennington, Schoenholz & Ganguli 2018",
        "2 of 2",
        "2 s |",
    ):
        assert words in page
    for quantity in table["quantity"]:
        assert quantity in page


def test_a_number_that_does_not_come_out_is_said(isometry):
    (card,) = isometry
    wrong = replace(card.verdict.evidence[1], holds=False)
    page = numbers_page("T", "I", [replace(card, verdict=replace(card.verdict, evidence=(wrong,)))])
    assert "Of 1 derived numbers 0 come out." in page
    assert "✗ not reproduced" in page


@pytest.mark.parametrize("tag", [tag for tags in KINDS.values() for tag in tags])
def test_kinds_of_numbers_are_counted_apart_in_every_total(isometry, tag):
    (card,) = isometry
    derived, other = card.verdict.evidence[0], replace(card.verdict.evidence[1], tag=tag, holds=None)
    both = [replace(card, verdict=replace(card.verdict, evidence=(derived, other)))]
    kind = other.kind
    assert set(SAID) == set(KINDS)
    assert comparisons(both)["kind"].tolist() == ["derived", kind]
    page = numbers_page("T", "I", both)
    if kind == "derived":
        assert "Of 2 derived numbers 1 come out." in page
        assert "| derived | 1 | 0 | 1 | 2 |" in page
    else:
        assert f"| {kind} | 0 | 0 | 1 | 1 |" in page
        noun, held = SAID[kind]
        assert f"f 1 {noun} 0 {held}" in page
        assert "| derived | 1 | 0 | 0 | 1 |" in page
    assert "2 numbers" not in page


def test_rounding_is_no_gap(isometry):
    (card,) = isometry
    wide = card.verdict.evidence[1]
    told = {1 - 1e-15: "| 0 % |", 1.5: "| +50 % |", 4.1: "| +310 % |", 1e-4: "| -100 % |"}
    for value, words in ((wide.published * times, words) for times, words in told.items()):
        found = replace(card.verdict, evidence=(replace(wide, value=value),))
        assert words in numbers_page("T", "I", [replace(card, verdict=found)])


def test_a_check_is_marked_and_does_not_lead(isometry):
    (card,) = isometry
    first, second = card.verdict.evidence
    checked = replace(card.verdict, evidence=(replace(first, role="check"), second))
    page = numbers_page("T", "I", [replace(card, verdict=checked)])
    assert f"{first.setting} (check)" in page
    overview = next(line for line in page.splitlines() if line.startswith("| [L08]"))
    assert second.setting in overview
