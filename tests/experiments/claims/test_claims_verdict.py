"""A verdict follows from its evidence, and from nothing else."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import made

from experiments.claims import CLAIMS, Evidence, Undecided, Verdict, decide, decide_parts, judge, table

SIX = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
TRUE = Evidence.of("here", SIX, "above", 0.5)
FALSE = Evidence.of("there", SIX, "above", 6.0)
OPEN = Evidence.of("elsewhere", SIX, "above", 3.0)
FEW = Evidence.of("nearby", SIX[:5], "above", 0.5)


@pytest.mark.parametrize(
    ("side", "bound", "holds"),
    [
        ("above", 0.9, True), ("above", 1.0, None), ("above", 3.0, None), ("above", 6.0, False),
        ("above", 9.0, False), ("below", 6.1, True), ("below", 6.0, None), ("below", 3.0, None),
        ("below", 1.0, False), ("below", 0.0, False),
    ],
)  # fmt: skip
def test_the_rule_holds_if_the_whole_range_is_on_its_side_and_fails_if_none_is(side, bound, holds):
    evidence = Evidence.of("", SIX, side, bound)
    assert evidence.holds is holds
    assert (evidence.value, evidence.low, evidence.high, evidence.n) == (3.5, 1, 6, 6)


@given(st.lists(st.floats(-10, 10), min_size=6, max_size=9), st.floats(-10, 10))
def test_what_holds_above_a_bound_fails_below_it(values, bound):
    above, below = (Evidence.of("", values, side, bound).holds for side in ("above", "below"))
    if above:
        assert below is False
    if below:
        assert above is False


@pytest.mark.parametrize("values", [[], [1.0], SIX[:5], [*SIX, math.nan], [math.nan] * 6])
def test_too_few_values_or_one_missing_leave_it_open(values):
    evidence = Evidence.of("", values, "above", 0.5)
    assert evidence.holds is None
    assert evidence.n == np.count_nonzero(~np.isnan(values))
    assert Evidence.exact("", values, 1.0).holds is None


def test_infinite_values_are_values():
    assert Evidence.of("", [math.inf] * 6, "above", 1e300).holds is True
    both = Evidence.of("", [math.inf, -math.inf] * 3, "above", 0.0)
    assert both.holds is None
    assert math.isnan(both.value)


@pytest.mark.parametrize(("last", "holds"), [(1.0, True), (np.nextafter(1.0, 0.0), False), (0.5, False)])
def test_exact_is_to_the_last_digit(last, holds):
    assert Evidence.exact("", [*[1.0] * 5, last], 1.0).holds is holds


@pytest.mark.parametrize(
    ("evidence", "status"),
    [
        ([TRUE], "supported"),
        ([TRUE, TRUE], "supported"),
        ([FALSE], "contradicted"),
        ([TRUE, FALSE], "conditional"),
        ([TRUE, FALSE, OPEN], "conditional"),  # whatever the open one is, it holds here and not there
        ([OPEN], "inconclusive"),
        ([TRUE, OPEN], "inconclusive"),
        ([FALSE, OPEN], "inconclusive"),
        ([TRUE, FALSE, FEW], "inconclusive"),
        ([FEW], "inconclusive"),
        ([], "inconclusive"),
    ],
)
def test_the_status_of_a_claim_about_every_setting(evidence, status):
    verdict = decide(evidence, "the unit")
    assert verdict.status == status
    assert verdict.evidence == tuple(evidence)
    assert verdict.unit == "the unit"
    assert bool(verdict.condition) == (status in {"conditional", "inconclusive"})


@pytest.mark.parametrize(
    ("evidence", "status"),
    [
        ([TRUE, TRUE], "supported"),
        ([TRUE, FALSE], "contradicted"),
        ([FALSE, OPEN], "contradicted"),  # a part that fails is enough
        ([TRUE, OPEN], "inconclusive"),
        ([FALSE, FEW], "inconclusive"),
        ([], "inconclusive"),
    ],
)
def test_the_status_of_a_statement_in_parts(evidence, status):
    assert decide_parts(evidence).status == status


@given(st.lists(st.sampled_from([TRUE, FALSE, OPEN, FEW]), max_size=6), st.randoms())
def test_the_order_of_the_evidence_changes_nothing(evidence, random):
    shuffled = random.sample(evidence, len(evidence))
    assert decide(evidence).status == decide(shuffled).status
    assert decide_parts(evidence).status == decide_parts(shuffled).status


@given(st.lists(st.sampled_from([TRUE, FALSE, OPEN, FEW]), max_size=6))
def test_nothing_open_is_ever_passed(evidence):
    for verdict in (decide(evidence), decide_parts(evidence)):
        if verdict.status == "supported":
            assert evidence
            assert all(e.holds for e in evidence)
        if verdict.status == "contradicted":
            assert not any(e is FEW for e in evidence)


def test_a_condition_lists_where_it_holds_where_it_fails_and_where_it_is_open():
    assert decide([TRUE, FALSE, OPEN]).condition == "holds for here; fails for there; open for elsewhere"
    assert decide([TRUE, FALSE], condition="in other words").condition == "in other words"
    assert decide([TRUE], condition="in other words").condition == ""


def test_an_open_verdict_says_why_and_what_to_change():
    assert decide([TRUE, FEW]).condition == (
        "nearby: 5 seeds of at least 6 have a value, which one that diverged has not; "
        "change the config: seed: [0, 1, 2, 3, 4, 5]"
    )
    assert decide([OPEN]).condition == (
        "elsewhere: over 6 seeds from 1 to 6, around 3 or with a value missing; "
        "change the config: seed: more of them"
    )
    assert decide([]).condition.startswith("nothing was measured; change the config")


def test_the_row_is_that_of_the_leading_evidence():
    row = replace(decide([FALSE, TRUE], "the unit"), rule="the rule").row()
    assert row == {
        "claim": "", "status": "conditional", "value": 3.5, "low": 1.0, "high": 6.0, "bound": 6.0, "n": 6,
        "unit": "the unit", "condition": "holds for here; fails for there", "rule": "the rule",
    }  # fmt: skip
    empty = Verdict("inconclusive").row()
    assert empty["n"] == 0
    assert math.isnan(empty["value"])


@pytest.fixture
def claims(monkeypatch):
    """Two claims of a table of their own."""

    def true(records, *, bound: float = 0.5):
        return decide([Evidence.of("", SIX, "above", bound)], remarks=["a remark"])

    def puzzled(records):
        raise Undecided("no depth is deep", "depth: [50] under sweep")

    for claim in (true, puzzled):
        monkeypatch.setitem(CLAIMS, claim.__name__, claim)


def test_judge_binds_options_and_names_the_verdict_by_the_claims_text(claims):
    verdicts = judge(["true", "true(bound=9)", "puzzled"], made([]))
    assert [v.status for v in verdicts] == ["supported", "contradicted", "inconclusive"]
    assert [v.claim for v in verdicts] == ["true", "true(bound=9)", "puzzled"]
    assert verdicts[0].remarks == ("a remark",)
    assert verdicts[2].condition == "no depth is deep; change the config: depth: [50] under sweep"


def test_the_table_has_a_row_a_verdict_and_the_columns_others_rely_on(claims):
    frame = table(judge(["true", "puzzled"], made([])))
    assert list(frame["claim"]) == ["true", "puzzled"]
    relied_on = ["claim", "status", "value", "low", "high", "bound", "n", "unit", "condition"]
    assert list(frame.columns)[: len(relied_on)] == relied_on
    assert len(table([])) == 0
    assert list(table([]).columns) == list(frame.columns)
