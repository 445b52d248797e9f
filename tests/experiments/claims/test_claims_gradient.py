"""W04 and W11 on made-up gradients in which they hold, fail and cannot be decided; the budget adds up."""

import re
from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from experiments.analysis.budget import TERMS, budget
from experiments.analysis.ratios import at_start, first_to_last
from experiments.claims import judge
from experiments.claims.write_up.gradient import _expected, _log_ratios
from experiments.config import Recording, Run
from experiments.plots import FIGURES
from experiments.storage.records import Records
from experiments.sweeps.runner import run_stack

SIX = range(6)
DEPTHS = (5, 20)
CONTROLS = {("tanh", "xavier_normal"): 1.0, ("relu", "he_normal"): 1.0}


def made_up(factors, *, depths=DEPTHS, seeds=SIX, steps=10, scatter=0.003, width=10_000, **fields):
    """Records in which ‖delta‖, ‖dw‖ and the outputs change by given factors a layer; `width` of no matter.

    factors: {(activation, init): factor, or the three of delta, dw and outputs}.
    """
    runs, layers = [], []
    for ((act, init), factor), depth, seed in product(factors.items(), depths, seeds):
        run = Run(activation=act, init=init, depth=depth, seed=seed, steps=steps, width=width, **fields)
        name = f"{len(runs):06x}"
        runs.append(
            {"run_id": name, **asdict(run), "status": "ok", "diverged_at": None, "seconds": 0.0, "error": ""}
        )
        three = np.broadcast_to(factor, 3) * np.exp(scatter * (seed - 2.5))
        for step, layer in product(sorted({0, steps}), range(1, depth + 2)):
            delta, dw = (-(layer - depth - 1) * np.log10(f) for f in three[:2])
            layers.append(
                {"run_id": name, "step": step, "layer": layer, "delta_norm": 10**delta, "delta_log10": delta,
                 "dw_norm": 10**dw, "dw_log10": dw, "z_rms": 1.0, "a_rms": three[2] ** layer}
            )  # fmt: skip
    return Records.build(runs=pd.DataFrame(runs), layers=pd.DataFrame(layers))


def verdict(claim, records):
    (found,) = judge([claim], records)
    return found


def theory_aside(found):
    """The evidence but for the agreement with theory, of which made-up numbers know nothing."""
    return [e for e in found.evidence if "theory" not in e.setting]


# -- W04 ---------------------------------------------------------------------------------------------------

SIGMOID = ("sigmoid", "xavier_normal")
LARGE = ("sigmoid", "scaled_normal(gain=10.15)")


def test_a_gradient_that_shrinks_to_a_quarter_supports_w04():
    found = verdict("W04_gradient_shrinks", made_up({SIGMOID: 0.2} | CONTROLS))
    assert all(e.holds for e in theory_aside(found))
    assert (
        found.evidence[0].setting
        == "xavier_normal: factor per layer of ‖delta‖ at the start, at the worst depth"
    )
    assert found.evidence[0].value == pytest.approx(0.2, rel=1e-5)  # of made-up seeds


@pytest.mark.parametrize("factor", [1.2, (1.2, 1.2, 1.0)])
def test_a_gradient_that_grows_fails_w04(factor):
    found = verdict("W04_gradient_shrinks", made_up({SIGMOID: factor} | CONTROLS))
    about_it = [e for e in theory_aside(found) if "tanh" not in e.setting and "relu" not in e.setting]
    assert not any(e.holds for e in about_it)
    assert found.status != "supported"


def test_controls_that_vanish_as_well_take_the_verdict_away():
    found = verdict("W04_gradient_shrinks", made_up({SIGMOID: 0.24} | dict.fromkeys(CONTROLS, 0.24)))
    assert [(e.role, e.setting) for e in theory_aside(found) if not e.holds] == [
        ("control", "xavier_normal: ‖delta‖ of the first over that of the last of 20 hidden layers, tanh"),
        ("control", "he_normal: ‖delta‖ of the first over that of the last of 20 hidden layers, relu"),
    ]
    assert found.status == "inconclusive"
    assert found.condition.startswith("the control failed: xavier_normal: ‖delta‖ of the first over that")


def test_weights_that_undo_the_bound_are_the_condition():
    found = verdict("W04_gradient_shrinks", made_up({SIGMOID: 0.236, LARGE: 1.02} | CONTROLS))
    assert found.status == "conditional"
    for part, shrinks, grows in (
        ("the factor per layer of ‖delta‖ at the start is below 0.25", "0.236", "1.02"),
        ("the largest factor per layer of ‖delta‖ throughout training is below 1", "0.236", "1.02"),
        ("that of ‖dw‖ is below 1", "", ""),
        ("‖delta‖ of the first over that of the last layer is below 0.001", "", ""),
    ):
        small, large = (re.escape(each) or r"\S+" for each in (shrinks, grows))
        bound = part.rpartition(" ")[2]
        assert re.search(
            rf"{re.escape(part)} with xavier_normal: {small} \(.*n = 6\), is not below {bound} with "
            rf"scaled_normal\(gain=10.15\): {large} \(", found.condition,
        )  # fmt: skip


def test_larger_weights_alone_contradict_it_whatever_the_controls_do():
    found = verdict("W04_gradient_shrinks", made_up({LARGE: 1.02} | CONTROLS))
    assert found.status == "contradicted"
    assert found.condition.endswith("; 2 controls hold; 3 checks hold")


def test_one_part_that_fails_is_enough_for_an_initialiser():
    """To a third per layer the gradient vanishes, but not to a quarter: false of these weights."""
    he = ("sigmoid", "he_normal")
    found = verdict("W04_gradient_shrinks", made_up({he: 0.32} | CONTROLS))
    assert {e.holds for e in theory_aside(found) if e.role == "claim"} == {True, False}
    assert found.status == "contradicted"


def test_a_factor_that_straddles_the_bound_is_open():
    found = verdict("W04_gradient_shrinks", made_up({SIGMOID: 0.25} | CONTROLS))
    assert found.evidence[0].holds is None
    assert (found.status, "lie on both sides of 0.25" in found.condition) == ("inconclusive", True)


def test_without_a_control_nothing_is_judged():
    with pytest.raises(ValueError, match="an empty list: it needs one item or more"):
        verdict("W04_gradient_shrinks(controls=[])", made_up({SIGMOID: 0.2} | CONTROLS))


def test_numbers_that_theory_contradicts_are_no_verdict():
    found = verdict("W04_gradient_shrinks", made_up({SIGMOID: 0.12} | CONTROLS))
    assert found.status == "inconclusive"
    assert found.condition.startswith("the check failed: sigmoid, xavier_normal: theory's factor per layer")


def test_a_run_that_diverged_in_training_leaves_what_it_would_have_come_to_open():
    whole = made_up({SIGMOID: 0.2} | CONTROLS)
    lost = whole.runs["run_id"] == whole.runs["run_id"].iloc[0]
    status = whole.runs["status"].mask(lost, "diverged")
    found = verdict("W04_gradient_shrinks", replace(whole, runs=whole.runs.assign(status=status)))
    held = {e.setting: (e.holds, e.missing) for e in theory_aside(found)}
    assert held["xavier_normal: factor per layer of ‖delta‖ at the start, at the worst depth"] == (True, 0)
    assert held["xavier_normal: factor per layer of ‖delta‖, the largest of all depths and steps"] == (
        None,
        1,
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"depths": (2, 5)}, "depth: [10]"),
        ({"depths": (1, 20)}, "depth: 2 or more"),
        ({"steps": 0}, "steps: more than 0"),
    ],
)
def test_a_grid_that_lacks_what_w04_needs_is_inconclusive(options, said):
    found = verdict("W04_gradient_shrinks", made_up({SIGMOID: 0.2} | CONTROLS, **options))
    assert found.status == "inconclusive"
    assert said in found.condition


@pytest.mark.parametrize("claim", ["W04_gradient_shrinks", "W11_relu_no_vanishing"])
def test_missing_probes_runs_and_seeds_are_inconclusive(claim):
    whole = made_up({SIGMOID: 0.2} | CONTROLS)
    for probe in ("delta_log10", "dw_norm", "z_rms"):
        found = verdict(claim, replace(whole, layers=whole.layers.drop(columns=probe)))
        assert (found.status, f"probes: add {probe}" in found.condition) == ("inconclusive", True)
    found = verdict(claim, made_up({("elu", "he_normal"): 1.0}))
    assert found.status == "inconclusive"
    assert "activation: [" in found.condition
    found = verdict(claim, made_up({SIGMOID: 0.2} | CONTROLS, seeds=range(5)))
    assert (found.status, "seed: [0, 1, 2, 3, 4, 5]" in found.condition) == ("inconclusive", True)


def test_runs_that_differ_in_something_else_are_not_mixed():
    parts = [made_up({SIGMOID: 0.2} | CONTROLS, lr=lr) for lr in (0.1, 0.2)]
    renamed = [
        replace(part, runs=part.runs.assign(run_id=part.runs["run_id"] + end),
                layers=part.layers.assign(run_id=part.layers["run_id"] + end))
        for part, end in zip(parts, "ab", strict=True)
    ]  # fmt: skip
    found = verdict("W04_gradient_shrinks", Records.concat(renamed))
    assert found.status == "inconclusive"
    assert "lr: one value" in found.condition


# -- W11 ---------------------------------------------------------------------------------------------------

HE, XAVIER = ("relu", "he_normal"), ("relu", "xavier_normal")


def test_signals_that_keep_their_size_support_w11():
    found = verdict("W11_relu_no_vanishing", made_up({HE: 1.0}, steps=0))
    assert found.status == "supported"
    assert found.evidence[0].value == pytest.approx(1, abs=0.01)


def test_weight_gradients_alone_do_not_support_w11():
    """‖dw‖ flat over layers, delta and the outputs falling: what a plot of dw alone would hide."""
    found = verdict("W11_relu_no_vanishing", made_up({XAVIER: (0.7, 1.0, 0.7)}, steps=0))
    assert found.status != "supported"
    failed = {e.setting for e in found.evidence if e.holds is False}
    assert {
        "xavier_normal: factor per layer of ‖delta‖ towards the input, at the worst depth",
        "xavier_normal: factor per layer of the outputs' rms towards the output, at the worst depth",
    } <= failed


def test_the_condition_of_w11_names_the_weights():
    found = verdict("W11_relu_no_vanishing", made_up({HE: 1.0, XAVIER: 0.5**0.5}, steps=0))
    assert found.status == "conditional"
    assert found.condition == (
        "holds with he_normal, fails with xavier_normal; the factor per layer of ‖delta‖ at the start is "
        "1 (0.993 to 1.01, n = 6) with he_normal, 0.707 (0.702 to 0.712, n = 6) with xavier_normal; 2 checks "
        "hold"
    )


def test_small_weights_alone_contradict_w11():
    assert verdict("W11_relu_no_vanishing", made_up({XAVIER: 0.5**0.5}, steps=0)).status == "contradicted"


def test_theory_is_missed_by_made_up_numbers_that_are_not_its():
    found = verdict("W11_relu_no_vanishing", made_up({HE: 0.8}, steps=0))
    (agreement,) = [e for e in found.evidence if "theory" in e.setting]
    assert (agreement.holds, agreement.role) == (False, "check")
    assert agreement.value == pytest.approx(1 / 0.8 - 1, abs=0.01)  # He's factor is 1


# -- real networks -----------------------------------------------------------------------------------------

PROBES = ("delta_norm", "delta_log10", "dw_norm", "w_norm", "slope_rms", "z_rms")
RECORDING = Recording(probes=PROBES, watch=(0,), probe_set=64)


def trained(**fields):
    runs = [Run(width=32, batch=16, steps=2, seed=seed, **fields) for seed in range(3)]
    return run_stack(runs, RECORDING)


@pytest.mark.parametrize(
    ("act", "init"), [("sigmoid", "xavier_normal"), ("relu", "he_normal"), ("relu", "normal")]
)
def test_the_budget_adds_up_to_the_ratio(act, init):
    """Over layers, to rounding: also where ‖delta‖ is 10^-90 and less (relu, normal)."""
    records = trained(activation=act, init=init, depth=60)
    account = budget(records)
    assert set(account["layer"]) == set(range(1, 60))
    ratios = first_to_last(records).set_index(["run_id", "step"])["ratio"]
    total = account.groupby(["run_id", "step"])["total"].sum()
    # logs of up to 200 are kept to 1e-13 of themselves; a ratio may be smaller than any number
    usable = ratios[ratios > 0]
    np.testing.assert_allclose(total[usable.index], np.log(usable), rtol=1e-9, atol=1e-9)
    parts = account[list(TERMS)].sum(axis=1)
    np.testing.assert_allclose(parts, account["total"], rtol=1e-9, atol=1e-9)


def test_the_budget_s_terms_are_the_means_they_say():
    """Xavier's weights of equal layers pass on what they get; sigmoid's slope is under ¼."""
    start = at_start(budget(trained(activation="sigmoid", init="xavier_normal", depth=10)))
    assert start["weights"].mean() == pytest.approx(0, abs=0.02)  # ln of a norm over 1024 draws: sd 0.02
    assert (start["slope"] < np.log(0.25)).all()
    assert start["slope"].mean() == pytest.approx(np.log(0.236), abs=0.03)
    assert start["rest"].abs().mean() < 0.15  # a layer's finite-width noise: ½√(2/32) = 0.13


@pytest.mark.parametrize("fields", [{"norm": "layer"}, {"residual": 0.5}])
def test_the_budget_refuses_what_it_is_not_of(fields):
    with pytest.raises(ValueError, match="plain layers"):
        budget(trained(depth=3, **fields))


def test_the_budget_says_which_probe_it_lacks():
    records = trained(depth=3)
    with pytest.raises(ValueError, match="slope_rms"):
        budget(replace(records, layers=records.layers.drop(columns="slope_rms")))


def test_the_budget_is_drawn():
    sheet = FIGURES.bind("gradient_budget")(trained(activation="tanh", depth=6))
    (panel,) = sheet.axes
    assert len(panel.patches) == 5 * len(TERMS)
    one_layer = FIGURES.bind("gradient_budget")(trained(depth=1))
    assert "one layer has no budget" in [text.get_text() for axes in one_layer.axes for text in axes.texts]


def test_what_is_expected_of_sigmoid_is_the_rate_of_the_literature():
    """Beyond the first layers 0.23605 a layer, the fixed point.s √χ; here with −C/(4n) a layer, C = 2.06."""
    rows = _log_ratios(trained(activation="sigmoid", init="xavier_normal", depth=30))
    deep = _expected(rows)[0]
    shallow = _expected(rows.assign(depth=10))[0]
    assert (deep - shallow) / 20 == pytest.approx(np.log(0.23605) - 2.06 / (4 * 32), abs=1e-3)
