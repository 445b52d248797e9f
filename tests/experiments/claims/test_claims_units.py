"""W13 and W14 on made-up lives in which they hold, fail and cannot be decided; the life table's counts."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up_lives import ALIVE, AT, BACK, KILLED, LEAKY, SHOCK, made_up, relus, run_of, shocked

from experiments.analysis import lives as life
from experiments.claims import CLAIMS, judge
from experiments.config import Recording, Run
from experiments.plots import FIGURES
from experiments.storage.records import Records
from experiments.sweeps.runner import run_stack


def verdict(claim, records):
    (found,) = judge([claim], records)
    return found


# -- the life table ----------------------------------------------------------------------------------------


def test_births_deaths_and_revivals_are_counted():
    """A second death is a death and no birth; dead from the start is a birth at step 0."""
    twice, always = (0, 0, 1, 0, 1), (1, 1, 1, 1, 1)
    table = life.life_table(relus({1: [twice, always, ALIVE], 2: [KILLED]}, seeds=[0])).set_index(
        ["layer", "step"]
    )
    first = table.loc[1]
    assert first["units"].tolist() == [3] * 5
    assert first["dead"].tolist() == [1, 1, 2, 1, 2]
    assert first["births"].tolist() == [1, 0, 1, 0, 0]
    assert first["deaths"].tolist() == [1, 0, 1, 0, 1]
    assert first["revivals"].tolist() == [0, 0, 0, 1, 0]
    assert table.loc[2, "deaths"].tolist() == [0, 0, 1, 0, 0]


def test_survival_is_that_of_the_units_alive_at_its_beginning():
    late, always = (0, 0, 0, 0, 1), (1, 1, 1, 1, 1)
    records = relus({1: [KILLED, BACK, late, ALIVE, always], 2: [always]}, seeds=[0])
    alive = life.survival(records, AT).set_index(["layer", "step"])["alive"]
    assert alive.loc[1].to_dict() == {2: 1.0, 3: 0.5, 4: 0.5, 6: 0.25}
    assert 2 not in alive.index.get_level_values("layer")


def test_what_censoring_hides_is_not_counted_as_surviving():
    """Kaplan & Meier by hand: one of two dies at 3; of a run cut short at 3 nothing later is known."""
    records = relus({1: [KILLED, (0, 0, 0, 0, 1)]}, seeds=[0])
    cut = replace(records, units=records.units[records.units["step"] <= 4].reset_index(drop=True))
    assert life.survival(cut, AT)["alive"].tolist() == [1.0, 0.5, 0.5]


def test_the_lives_of_a_real_run_are_its_dead_fractions():
    probes = ("unit_dead", "unit_bias", "unit_w_norm", "unit_z_mean", "unit_step_norm")
    asked = Recording(("dead_fraction",), (0, 5, 6, 8, 20), probe_set=160, unit_probes=probes)
    shocked = Run(dataset="moons(n=200)", width=16, depth=2, steps=20, batch=16, init="he_normal", lr=0.1,
                  schedule="shock(at=5, factor=200)")  # fmt: skip
    records = run_stack([replace(shocked, seed=seed) for seed in range(3)], asked)
    table = life.life_table(records)
    assert table["deaths"].sum() > 0
    share = (table["dead"] / table["units"]).set_axis(
        pd.MultiIndex.from_frame(table[["run_id", "step", "layer"]])
    )
    layers = records.layers[records.layers["layer"] <= 2].set_index(["run_id", "step", "layer"])
    assert share.to_dict() == layers["dead_fraction"].to_dict()
    changed = table["dead"].groupby([table["run_id"], table["layer"]]).diff().dropna()
    assert (changed == (table["deaths"] - table["revivals"])[changed.index]).all()
    assert table.loc[table["layer"] == 1, "revivals"].sum() == 0  # fixed inputs, no gradient: exact
    moved = life.died_and_lived(records, 5)
    first = moved[moved["layer"] == 1]
    # |Δz̄ − Δb| = |Δw·x̄| ≤ ‖Δw‖·‖x̄‖, and the standardised inputs of the training part have a mean of 0
    np.testing.assert_allclose(first["d_z_mean"], first["d_bias"], atol=1e-9 * moved["moved"].max())


def test_the_shock_is_found_and_more_than_one_is_refused():
    records = relus({1: [ALIVE]}, seeds=[0])
    assert life.shock_step(records) == 2
    assert [life.shock_factor(text) for text in ("constant", SHOCK, "shock(at=7)")] == [1, 50, 100]
    other = made_up(*(run_of("relu", 0, {1: [ALIVE]}, schedule=text) for text in (SHOCK, "shock(at=4)")))
    with pytest.raises(ValueError, match="different steps"):
        life.shock_step(other)


@pytest.mark.parametrize("state", ["dead", "inactive"])
def test_the_lives_are_drawn_whatever_happened(state):
    for units in ({1: [KILLED, ALIVE], 2: [BACK, ALIVE]}, {1: [(1, 1, 1, 1, 1)], 2: [ALIVE]}):
        sheet = FIGURES.bind(f"unit_life(state={state})")(relus(units))
        assert len(sheet.panels) % 3 == 0
        assert len(sheet.axes) == 2


# -- W13 ---------------------------------------------------------------------------------------------------


def test_units_that_die_for_good_by_their_bias_support_w13():
    found = verdict("W13_dying_relu", relus({1: [KILLED, ALIVE], 2: [KILLED, ALIVE]}))
    assert found.status == "supported"
    assert [e.value for e in found.evidence] == pytest.approx([0.5, 0, 0, 2 / 3])


def test_revivals_above_the_first_layer_and_weights_that_kill_are_its_condition():
    found = verdict("W13_dying_relu", relus({1: [KILLED, ALIVE], 2: [BACK, KILLED]}, bias=-0.1))
    assert found.status == "conditional"
    assert found.condition == (
        "in the largest shock, a share of 0.75 (0.75 to 0.75, n = 6) of the units die; of the units that "
        "a shock "
        "kills in layer 1, a share of 0 (0 to 0, n = 6) live again; of the units that a shock kills above "
        "layer "
        "1, a share of 0.5 (0.5 to 0.5, n = 6) live again; of the fall of the mean z that kills them, the "
        "bias "
        "makes a share of 0.0667 (0.0667 to 0.0667, n = 6); 1 check holds"
    )
    assert [(e.role, e.holds) for e in found.evidence] == [
        ("claim", True), ("check", True), ("claim", False), ("claim", False)
    ]  # fmt: skip


def test_units_born_dead_are_neither_killed_nor_revived():
    """One unit is dead from the start and wakes up long after the shock, which has killed another."""
    born = (1, 1, 1, 1, 0)
    found = verdict("W13_dying_relu", relus({1: [KILLED, ALIVE], 2: [born, KILLED, ALIVE]}))
    assert found.status == "supported"
    assert [e.value for e in found.evidence] == pytest.approx([0.5, 0, 0, 2 / 3])  # 2 of the 4 alive die
    assert found.remarks[-1] == (
        "Over all shocks and 6 seeds: in layer 1 0 units were dead before and are left out, 6 were killed "
        "and 0 "
        "of these lived again; in layer 2 6 units were dead before and are left out, 6 were killed and 0 "
        "of these "
        "lived again."
    )


def test_a_revival_in_layer_1_is_a_fault_of_the_instrument():
    found = verdict("W13_dying_relu", relus({1: [BACK, ALIVE], 2: [KILLED]}))
    assert found.status == "inconclusive"
    assert found.condition.startswith(
        "the check failed: units of layer 1 killed by a shock that live again: 1"
    )


def test_momentum_makes_a_revival_in_layer_1_possible_and_so_part_of_the_claim():
    whole = relus({1: [BACK, ALIVE], 2: [KILLED]})
    found = verdict("W13_dying_relu", replace(whole, runs=whole.runs.assign(optimiser="sgd(momentum=0.9)")))
    assert found.status == "conditional"
    assert [e.role for e in found.evidence] == ["claim"] * 4


def test_a_shock_that_some_run_did_not_outlive_is_left_out():
    """Of the larger shock one run has diverged: what it did to units is not known."""
    small = [run_of("relu", seed, {1: [KILLED, ALIVE], 2: [KILLED]}) for seed in range(6)]
    large = [
        run_of("relu", seed, {1: [ALIVE, ALIVE], 2: [ALIVE]}, schedule="shock(at=2, factor=900)",
               status="diverged" if seed == 3 else "ok")
        for seed in range(6)
    ]  # fmt: skip
    found = verdict("W13_dying_relu", made_up(*small, *large))
    assert found.status == "supported"
    assert found.evidence[0].setting == "units alive before that die in shock(at=2, factor=50)"
    gone = made_up(*(run_of("relu", seed, {1: [KILLED]}, status="diverged") for seed in range(6)))
    found = verdict("W13_dying_relu", gone)
    assert found.condition.startswith("no shock was outlived by all runs (6 diverged)")


def test_where_no_unit_dies_w13_is_false_and_of_what_comes_after_nothing_is_asked():
    found = verdict("W13_dying_relu", relus({1: [ALIVE, ALIVE], 2: [ALIVE, ALIVE]}))
    assert found.status == "contradicted"
    assert [e.holds for e in found.evidence] == [False]


def test_few_deaths_all_undone_contradict_w13():
    mostly = [BACK, *[ALIVE] * 19]
    found = verdict("W13_dying_relu", relus({1: [ALIVE] * 20, 2: mostly}, bias=0.1))
    assert found.status == "contradicted"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: replace(r, units=r.units.drop(columns="unit_bias")), "unit_probes: add unit_bias"),
        (lambda r: replace(r, units=None), "unit_probes: add unit_dead"),
        (lambda r: replace(r, units=r.units[r.units["step"] != 3]), "watch: [2, 3] among the steps"),
        (lambda r: replace(r, runs=r.runs.assign(schedule="constant")), "schedule: shock(at=20, factor=100)"),
        (lambda r: replace(r, runs=r.runs.assign(activation="tanh")), "activation: [relu]"),
        (lambda r: r.of(r.runs["run_id"][:5]), "seed: [0, 1, 2, 3, 4, 5]"),
    ],
)
def test_w13_says_what_it_lacks(change, said):
    found = verdict("W13_dying_relu", change(relus({1: [KILLED], 2: [KILLED]})))
    assert found.status == "inconclusive"
    assert said in found.condition


# -- W14 ---------------------------------------------------------------------------------------------------


def test_leaky_units_that_come_back_support_w14():
    assert verdict("W14_leaky_recovers", shocked(BACK)).status == "supported"


def test_leaky_units_that_get_a_gradient_and_stay_negative_contradict_w14_whatever_the_accuracy():
    found = verdict("W14_leaky_recovers", shocked(KILLED))
    assert found.status == "contradicted"
    failed = [e.setting for e in found.evidence if e.holds is False]
    again = "first-layer units never positive after a shock that are positive again"
    assert failed == [f"{text}: {again}" for text in LEAKY]
    assert "a share of 0 (0 to 0, n = 6) with leaky_relu" in found.condition


def test_w14_is_conditional_where_one_slope_lets_units_recover():
    whole, again = shocked(KILLED), shocked(BACK)
    steep = again.of(again.runs.loc[again.runs["activation"] == LEAKY[0], "run_id"])
    rest = whole.of(whole.runs.loc[whole.runs["activation"] != LEAKY[0], "run_id"])
    found = verdict("W14_leaky_recovers", Records.concat([steep, rest]))
    assert found.status == "conditional"


def test_a_leaky_unit_without_a_gradient_is_a_fault_of_the_instrument():
    found = verdict("W14_leaky_recovers", shocked(BACK, gradient=0.0))
    assert found.status == "inconclusive"
    assert found.condition.startswith(
        "the check failed: leaky_relu(slope=0.1): smallest ‖gradient‖ into units"
    )


def test_where_no_unit_goes_silent_nothing_can_recover():
    found = verdict("W14_leaky_recovers", shocked(ALIVE))
    reason = "no unit with leaky_relu(slope=0.1) is negative on every example after a shock"
    assert found.condition.startswith(reason)


def test_w14_says_what_it_lacks():
    whole = shocked(BACK)
    found = verdict(
        "W14_leaky_recovers", replace(whole, units=whole.units.drop(columns="unit_gradient_norm"))
    )
    assert (found.status, "unit_probes: add unit_gradient_norm" in found.condition) == ("inconclusive", True)
    found = verdict("W14_leaky_recovers", shocked(BACK, seeds=range(5)))
    assert (found.status, "seed: [0, 1, 2, 3, 4, 5]" in found.condition) == ("inconclusive", True)
    alone = whole.of(whole.runs.loc[whole.runs["activation"] != "relu", "run_id"])
    found = verdict("W14_leaky_recovers", alone)
    assert (found.status, "activation: [relu]" in found.condition) == ("inconclusive", True)


@pytest.mark.parametrize("claim", ["W13_dying_relu", "W14_leaky_recovers"])
def test_what_a_claim_declares_is_all_it_reads_of_units(claim):
    acts = ("relu", *LEAKY)
    whole = made_up(*(run_of(act, seed, {1: [KILLED, BACK], 2: [BACK]}) for act in acts for seed in range(6)))
    kept = ["run_id", "step", "layer", "unit", *CLAIMS[claim].needs]
    found = verdict(claim, replace(whole, units=whole.units[kept]))
    assert found.evidence == verdict(claim, whole).evidence
    assert len(found.evidence) > 3
