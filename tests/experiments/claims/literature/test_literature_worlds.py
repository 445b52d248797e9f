"""For each claim of the literature a world in which it is false, and one in which nothing can be said.

A claim that cannot come out *contradicted* says nothing when it is supported. Some worlds are real tiny
networks, drawn anew by the claim; the others are records made by hand.
"""

import re

import pytest
from literature_worlds import FALSE, SILENT, curved

from experiments.claims import CLAIMS, judge
from experiments.claims.literature import depth, tutorial

CLAIMED = sorted(name for name, claim in CLAIMS.items() if ".literature." in claim.__module__)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Without most of L07's checks, which are the same in every world, and L14a's networks in small."""
    monkeypatch.setattr(depth, "POOLE", {})
    monkeypatch.setattr(depth, "SCALES", {1.0: depth.SCALES[1.0]})
    monkeypatch.setattr(tutorial, "WIDTHS", tuple(width // 8 for width in tutorial.WIDTHS))
    monkeypatch.setattr(tutorial, "DEAD", tuple(dead // 8 for dead in tutorial.DEAD))


def verdict_in(worlds, name):
    world = worlds[name]
    (found,) = judge([f"{name}({world.options})" if world.options else name], world.records())
    assert not found.error
    return found, world


@pytest.mark.parametrize("name", CLAIMED)
def test_a_claim_is_contradicted_where_it_is_false(name):
    found, _ = verdict_in(FALSE, name)
    assert found.status == "contradicted", found.condition
    assert any(e.holds is False and e.role == "claim" for e in found.evidence)
    own = [e for e in found.evidence if e.role == "claim"]
    assert found.comparisons == sum(not e.within.endswith(", computed") for e in own)
    said = [re.search(r"one of (\d+) compared", e.within) for e in own]
    widened = {len([e for e in own if re.search("the mean|one more", e.within)])}
    assert {int(number[1]) for number in said if number} <= widened
    assert found.row()["unit"] == found.lead.setting  # which names the quantity, and not its unit alone


@pytest.mark.parametrize("name", CLAIMED)
def test_a_claim_says_why_nothing_can_be_said(name):
    found, world = verdict_in(SILENT, name)
    assert found.status == "inconclusive", found.condition
    assert world.words in found.condition


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"late": 1.65}, "supported", "1 control holds; 1 check holds"),
        ({"late": 1.52 - 6e-3}, "contradicted", "fails for"),  # 1.52 is 0.95 of the limit
        ({"late": 2.01}, "contradicted", "fails for"),  # 2 is 1.25 of it
        ({"late": 1.998}, "inconclusive", "on both sides of an end"),
        ({"late": 1.65, "largest": 21.0}, "inconclusive", "the control failed"),
        ({"late": 1.65, "batch": 64}, "inconclusive", "a batch is 64 of 1437 examples"),
        ({"late": 1.65, "lost": lambda run: run.seed == 3}, "inconclusive", "1 of 6 seeds have no value"),
    ],
)
def test_the_edge_of_stability_is_a_range_with_a_control(options, status, words):
    (found,) = judge(["L27_edge_of_stability"], curved(**options))
    assert found.status == status, found.condition
    assert words in found.condition


def test_the_worlds_are_those_of_the_claims():
    assert set(FALSE) == set(SILENT) == set(CLAIMED)
