"""Every claim of both collections on records that no training would give: a verdict, with a true reason.

The thousand: ``pytest tests/experiments/claims/test_claims_thousand.py -m slow``.
"""

import re
from zlib import crc32

import numpy as np
import pytest
from random_records import NAMES, SPOILT, VALUES, experiment_of, world

from experiments import config
from experiments.analysis.ratios import fields, probe_column
from experiments.claims import CLAIMS, judge
from experiments.claims.literature import depth

TIMES = 40  # so that the 25 claims that look at records or at the settings of runs make a thousand
READS_NOTHING = {"write_up/w02_squashes", "write_up/w03_slope", "write_up/w15_pictures"}
DRAWS_ITS_OWN = {  # claims that need of a run no more than its settings, and networks of these
    "literature/l05_born_dead", "literature/l06_spread", "literature/l08_isometry",
    "literature/l09_shattering", "literature/l14a_dead_units",
}  # fmt: skip
READERS = sorted(set(NAMES) - READS_NOTHING - DRAWS_ITS_OWN)
STATUSES = {"supported", "conditional", "contradicted", "inconclusive"}


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    """L07 without the checks of its maps, which look at no record; test_claims_declarations has them."""
    monkeypatch.setattr(depth, "WIDE", 20)
    monkeypatch.setattr(depth, "POOLE", {})
    monkeypatch.setattr(depth, "SCALES", {1.0: depth.SCALES[1.0]})


def verdicts_on(name, rng, **fixed):
    """The verdicts on a random world and the world; skipped aloud where its data are not here."""
    try:
        claims = experiment_of(name).claims
    except config.ConfigError as error:
        pytest.skip(f"its data are not here: {error}")
    found = world(name, rng, **fixed)
    with np.errstate(all="raise"):  # whatever the caller has NumPy do
        return judge(claims, found.records), found


def check(name, verdicts, found):
    """A verdict that follows, and a reason that is true of the records."""
    records = found.records
    for verdict in verdicts:
        assert verdict.error == "", f"{name}, {found.shape}, {found.values}, {found.spoilt}"
        assert verdict.status in STATUSES
        assert verdict.rule
        words = verdict.condition
        assert words or verdict.status in ("supported", "contradicted")
        assert words.isprintable()
        assert not re.search(r"\bnan\b|\bNone\b|Traceback", words), words
        if re.search("seeds? of at least", words):
            assert fewest_seeds(records.runs) < 6, words
        for probe in re.findall(r"^(\w+) was not recorded", words):
            assert probe_column(records.layers, probe) is None
            assert probe not in records.unit_probes
            assert probe in CLAIMS[verdict.claim.partition("(")[0]].needs
        lost = dict(records.runs["status"].value_counts())
        for count, status in re.findall(r"(\d+) (diverged|crashed)", words):
            assert int(count) <= lost[status], words
        if "no run diverged" in words:
            assert set(lost) <= {"ok"}


def fewest_seeds(runs):
    """The seeds of the setting that has the fewest; 0 without runs."""
    names = [name for name in fields(runs) if name != "seed"]
    return int(runs.groupby(names, dropna=False)["seed"].nunique().min()) if len(runs) else 0


@pytest.mark.parametrize("name", READERS)
def test_a_claim_gives_a_verdict_with_a_true_reason_on_any_records(name):
    rng = np.random.default_rng(crc32(name.encode()))
    check(name, *verdicts_on(name, rng))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_thousand_claims_on_random_records(name):
    rng = np.random.default_rng(crc32(name.encode()) + 1)
    for _ in range(TIMES):
        check(name, *verdicts_on(name, rng))


@pytest.mark.slow
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("name", READERS)
def test_a_whole_grid_of_one_kind_of_number_is_judged(name, values):
    rng = np.random.default_rng(0)
    check(name, *verdicts_on(name, rng, shape="whole", values=(values,), spoilt=()))


@pytest.mark.slow
@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize("name", READERS)
def test_a_whole_grid_that_is_spoilt_in_one_way_is_judged(name, kind):
    rng = np.random.default_rng(1)
    for values in (("uniform",), ("yes or no",), ("of any size",)):
        check(name, *verdicts_on(name, rng, shape="whole", values=values, spoilt=(kind,)))


NOTHING_TO_TELL = {
    "no number": {"shape": "whole", "values": ("NaN",), "spoilt": ()},
    "no run": {"shape": "no runs", "spoilt": ()},
    "one seed": {"shape": "one seed", "values": ("uniform",), "spoilt": ()},
    "one run": {"shape": "one run", "values": ("uniform",), "spoilt": ()},
}


@pytest.mark.parametrize(
    "name",
    [
        "write_up/w05_weights_stay",
        "literature/l03b_jacobians",
        "literature/l04_he",
        "literature/l07_depth_scale",
    ],
)
@pytest.mark.parametrize("why", NOTHING_TO_TELL)
def test_what_tells_nothing_decides_nothing(name, why):
    verdicts, found = verdicts_on(name, np.random.default_rng(2), **NOTHING_TO_TELL[why])
    check(name, verdicts, found)
    assert {verdict.status for verdict in verdicts} == {"inconclusive"}


# Of runs these look at the settings alone, and so at networks of their own where no number was recorded.
BY_SETTINGS = {"literature/l16_finite_width", "literature/l18_normalised_branch"}
UNTOLD = [(w, n) for w in NOTHING_TO_TELL for n in READERS if w != "no number" or n not in BY_SETTINGS]


@pytest.mark.slow
@pytest.mark.parametrize(("why", "name"), UNTOLD)
def test_what_tells_nothing_decides_nothing_for_any_claim(name, why):
    test_what_tells_nothing_decides_nothing(name, why)
