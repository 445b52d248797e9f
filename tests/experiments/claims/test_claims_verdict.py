"""A verdict follows from its evidence, and from nothing else."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import made

from experiments.claims import CLAIMS, Evidence, Undecided, Verdict, decide, decide_parts, judge, table
from experiments.claims.evidence import margin
from experiments.config import Run

SIX = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
TRUE = Evidence.of("here", SIX, "above", -4.0)  # a range away from its bound
FALSE = Evidence.of("there", SIX, "above", 11.0)
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
    assert bool(verdict.condition) == (status != "supported")


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
        "nearby: 5 seeds of at least 6; change the config: seed: [0, 1, 2, 3, 4, 5]"
    )
    assert decide([OPEN]).condition == (
        "elsewhere: its 6 values, from 1 to 6, lie on both sides of 3; change the config: seed: more of them"
    )
    assert decide([]).condition.startswith("nothing was measured; change the config")


def test_what_more_seeds_cannot_close_does_not_ask_for_them():
    """A claim that knows what would help says that; one whose number no config changes gives no advice."""
    cut = replace(OPEN, why_open="all networks learn", to_change="depth: deeper ones")
    assert decide([cut]).condition == "elsewhere: all networks learn; change the config: depth: deeper ones"
    assert decide([cut, replace(cut, setting="there")]).condition.count("depth: deeper ones") == 1
    undefined = Evidence.single("x", math.nan, 9, 0.0, None, why_open="no value at 3 of 9 numbers")
    assert decide([undefined]).condition == "x: no value at 3 of 9 numbers"


def test_the_row_is_that_of_the_leading_evidence():
    row = replace(decide([replace(TRUE, role="aside"), FALSE, TRUE], "the unit"), rule="the rule").row()
    assert row == {
        "claim": "", "status": "conditional", "value": 3.5, "low": 1.0, "high": 6.0, "bound": 11.0, "n": 6,
        "unit": "the unit", "condition": "holds for here; fails for there", "rule": "the rule",
        "side": "above", "comparisons": 2,
    }  # fmt: skip
    empty = Verdict("inconclusive").row()
    assert empty["n"] == 0
    assert math.isnan(empty["value"])


@pytest.fixture
def claims(monkeypatch):
    """Three claims of a table of their own."""

    def true(records, *, bound: float = 0.5):
        return decide([Evidence.of("", SIX, "above", bound)], remarks=["a remark"])

    def puzzled(records):
        raise Undecided("no depth is deep", "depth: [50] under sweep")

    def broken(records):
        return {}["relu"]

    for claim in (true, puzzled, broken):
        monkeypatch.setitem(CLAIMS, claim.__name__, claim)


def test_judge_binds_options_and_names_the_verdict_by_the_claims_text(claims):
    verdicts = judge(["true", "true(bound=9)", "broken", "puzzled"], made([]))
    assert [v.status for v in verdicts] == ["supported", "contradicted", "inconclusive", "inconclusive"]
    assert [v.claim for v in verdicts] == ["true", "true(bound=9)", "broken", "puzzled"]
    assert verdicts[0].remarks == ("a remark",)
    assert verdicts[3].condition == "no depth is deep; change the config: depth: [50] under sweep"


def test_the_table_has_a_row_a_verdict_and_the_columns_others_rely_on(claims):
    frame = table(judge(["true", "puzzled"], made([])))
    assert list(frame["claim"]) == ["true", "puzzled"]
    relied_on = ["claim", "status", "value", "low", "high", "bound", "n", "unit", "condition"]
    assert list(frame.columns)[: len(relied_on)] == relied_on
    assert len(table([])) == 0
    assert list(table([]).columns) == list(frame.columns)


def test_a_claim_whose_code_fails_is_told_and_takes_no_other_along(claims):
    broken, true = judge(["broken", "true"], made([]))
    assert re.fullmatch(r"KeyError: 'relu' \(claim broken, test_claims_verdict\.py, line \d+\)", broken.error)
    assert broken.condition == f"the claim's own code failed: {broken.error}"
    assert (true.status, true.error) == ("supported", "")


# Roles ------------------------------------------------------------------------------------------------------


def with_role(evidence, role):
    return replace(evidence, role=role)


@pytest.mark.parametrize("decided", [decide, decide_parts])
@pytest.mark.parametrize("role", ["control", "check"])
@pytest.mark.parametrize("claimed", [TRUE, FALSE])
def test_a_control_that_holds_changes_no_verdict_and_one_that_does_not_takes_it_away(decided, role, claimed):
    alone = decided([claimed])
    beside = decided([claimed, with_role(TRUE, role)])
    assert beside.status == alone.status
    assert beside.condition.endswith(f"1 {role} holds")
    assert beside.comparisons == 1  # its own
    failed = decided([claimed, with_role(FALSE, role)])
    assert failed.status == "inconclusive"
    assert failed.condition == (f"the {role} failed: there: 3.5 (1 to 6, n = 6), where > 11 is asked")
    left_open = decided([claimed, with_role(OPEN, role)])
    assert left_open.status == "inconclusive"
    assert left_open.condition.startswith(f"the {role} is open: elsewhere: its 6 values, from 1")


@pytest.mark.parametrize("decided", [decide, decide_parts])
def test_nothing_but_controls_measures_nothing_of_the_claim(decided):
    for role in ("control", "check", "aside"):
        found = decided([with_role(TRUE, role)])
        assert (found.status, found.condition.split(";")[0]) == ("inconclusive", "nothing was measured")


@given(st.lists(st.sampled_from([TRUE, FALSE, OPEN, FEW]), max_size=3))
def test_nothing_follows_from_what_stands_aside(aside):
    for claimed in (TRUE, FALSE):
        beside = decide([claimed, *(with_role(e, "aside") for e in aside)])
        assert (beside.status, beside.condition) == (decide([claimed]).status, decide([claimed]).condition)


# Chance -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "n", "c"), [(1, 6, 0), (4, 8, 0), (10, 6, 200**0.2 / 2 - 1), (40, 6, 0.9036)])
def test_the_margin_is_that_of_the_text(k, n, c):
    assert margin(k, n) == pytest.approx(c, rel=1e-4)


@pytest.mark.parametrize("draw", ["uniform", "normal", "laplace"])
@pytest.mark.parametrize("comparisons", [1, 5, 20])
def test_chance_decides_no_more_often_than_is_said(draw, comparisons):
    """Monte Carlo of six seeds whose median is the bound; the uniform distribution is the worst case."""
    trials = 200_000
    options = {"low": -1} if draw == "uniform" else {}
    values = getattr(np.random.default_rng(0), draw)(size=(trials, 6), **options)
    low, high, c = values.min(axis=1), values.max(axis=1), margin(comparisons, 6)
    away = np.maximum(low, -high)
    decided = np.mean((away > 0) & (away >= c * (high - low)))
    said = (2 * (1 + c)) ** -5.0
    error = 4 * np.sqrt(said * (1 - said) / trials)  # four standard errors of the estimate
    assert said <= 0.05 / comparisons * (1 + 1e-9)
    assert decided <= said + error
    if draw == "uniform":
        assert decided >= said - error


def test_among_many_comparisons_a_setting_near_its_bound_is_open():
    near = Evidence.of("near", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "above", 0.0)
    assert decide([near]).status == "supported"
    found = decide([near] * 8)  # 0.1 is less than 0.38 times the range of 0.5 away
    assert found.status == "inconclusive"
    assert "are all on one side of 0, but closer to it than 0.38 times their range" in found.condition
    assert decide([Evidence.exact("law", [1.0] * 6, 1.0)] * 8).comparisons == 0  # chance makes nothing equal


def test_distances_may_be_those_of_logarithms():
    """From 1e-9 to 1e-6 under 1e-3: three decades apart and three away, or nothing of the range away."""
    values = [1e-9, 1e-8, 1e-8, 1e-7, 1e-7, 1e-6]
    over = [1 / value for value in values]
    for side, bound, given_ in (("below", 1e-3, values), ("above", 1e3, over)):
        in_logs = Evidence.of("", given_, side, bound, in_logs=True)
        assert in_logs.clear_by(0.99).holds is True
        assert in_logs.clear_by(1.01).holds is None
    assert Evidence.of("", over, "above", 1e3).clear_by(0.01).holds is None
    assert Evidence.of("", [0.0] * 6, "below", 1.0, in_logs=True).clear_by(9).holds is True


def test_a_verdict_says_how_many_comparisons_it_rests_on():
    at_the_bound = (
        "of n = 6 values or more. If a median lay exactly at its bound, all values would fall on one side "
        "with probability 3.1 %"
    )
    assert decide([TRUE]).chance == (
        f"It rests on 1 comparison {at_the_bound}; in all, chance decides with less than 5 %."
    )
    assert decide([TRUE] * 3).chance == (
        f"It rests on 3 comparisons {at_the_bound}. So that chance decides any of them with less than 5 % in "
        "all, every value has to be away from its bound by at least 0.13 times the values' range."
    )
    assert decide([]).chance == ""
    assert decide([FEW]).chance == ""


# Reasons ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (SIX[:5], "x: 5 seeds of at least 6; change the config: seed: [0, 1, 2, 3, 4, 5]"),
        ([], "x: there is no such run; change the config: sweep: every setting that the claim compares"),
        ([*SIX, math.nan], "x: 1 of 7 seeds have no value; change the config: lr, init or steps: such that "
                           "every run has a value"),
        ([*SIX[:5], math.nan], "x: 1 of 6 seeds have no value; change"),
        (SIX, "x: its 6 values, from 1 to 6, lie on both sides of 3; change "),
    ],
)  # fmt: skip
def test_each_reason_to_be_open_is_told_for_what_it_is(values, reason):
    assert decide([Evidence.of("x", values, "above", 3.0)]).condition.startswith(reason)


def test_what_became_of_the_runs_is_told_only_where_seeds_lack_a_value(monkeypatch):
    def lacking(records):
        return decide([Evidence.of("x", [*SIX, math.nan], "above", 3.0)])

    def straddling(records):
        return decide([OPEN])

    for claim in (lacking, straddling):
        monkeypatch.setitem(CLAIMS, claim.__name__, claim)
    whole, lost = (made([Run(seed=0), Run(seed=1)], lost=lost) for lost in ((), [Run(seed=1)]))
    told = [judge(["lacking"], records)[0].condition for records in (whole, lost)]
    assert told[0].endswith(
        "(no run diverged or crashed: the quantity was not measured or is not defined there)"
    )
    assert told[1].endswith("(of all 2 runs 1 diverged)")
    assert "diverged" not in judge(["straddling"], lost)[0].condition
