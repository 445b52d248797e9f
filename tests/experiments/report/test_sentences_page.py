"""The page beside the write-up: every claim stands in it, phrases are short, numbers are the table's."""

from pathlib import Path

import pandas as pd
import pytest

from experiments.claims import CLAIMS
from experiments.report.card import label
from experiments.report.sentences_page import SECTIONS, sentences_page

CLAIMS_CSV = Path(__file__).resolve().parents[3] / "results" / "write_up" / "claims.csv"
PHRASES = [pair for _, phrases in SECTIONS for pair in phrases]


def test_every_claim_of_the_write_up_is_beside_a_sentence():
    judged = {label(name) for name, claim in CLAIMS.items() if ".write_up." in claim.__module__}
    assert {name for _, name in PHRASES} == judged


@pytest.mark.parametrize(("phrase", "name"), PHRASES)
def test_a_phrase_is_short_and_leads_to_its_claim_and_picture(phrase, name):
    assert len(phrase.split()) <= 10
    page = sentences_page(pd.read_csv(CLAIMS_CSV))
    (line, *_) = [line for line in page.splitlines() if phrase in line]
    assert f"(report.html#{name})" in line
    assert (CLAIMS_CSV.parent / "figures" / f"{name}.png").exists()


def test_another_verdict_makes_another_page():
    claims = pd.read_csv(CLAIMS_CSV)
    before, after = (sentences_page(each) for each in (claims, claims.assign(status="contradicted")))
    assert after.count("contradicted") >= len(PHRASES) > before.count("contradicted")
