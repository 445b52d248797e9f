"""Where published detectors err, ours does not: each in a world made by hand, and in its opposite."""

import numpy as np
import pytest
from made import STEPS, signals

from experiments.config import Run
from experiments.diagnosis.causes import find
from experiments.diagnosis.findings import of_setting
from experiments.diagnosis.rule_sets import RULE_SETS
from experiments.diagnosis.yardstick import Yardstick

BEST = Yardstick(0.95, 0.95, 0.9)
ILL = {"loss": np.full(STEPS, 2.3), "accuracy": np.full(STEPS, 0.1), "test_accuracy": np.full(STEPS, 0.1)}
WELL = {"loss": np.full(STEPS, 0.01), "accuracy": np.full(STEPS, 1.0), "test_accuracy": np.full(STEPS, 0.95)}
SETS = {rules.name: rules for rules in RULE_SETS}


def names(**changes):
    return list(find(signals(**changes), BEST))


def test_1_a_gradient_that_vanishes_in_delta_alone_is_found():
    """As in a ReLU net with small weights: ‖dw‖ is flat over layers while ‖delta‖ falls by 10^7."""
    assert names(delta_log10=[-8, -1, -0.5], **ILL)[0] == "vanishing_gradient"
    assert "vanishing_gradient" not in SETS["AutoTrainer"].alarms(signals(delta_log10=[-8, -1, -0.5], **ILL))
    assert "vanishing_gradient" not in names(delta_log10=[-1.5, -1, -0.5], **ILL)


def test_2_a_network_that_has_converged_is_healthy_however_small_its_gradient():
    converged = {"dw_norm": 1e-9, "db_norm": 1e-9, "update_ratio": 1e-9, "dw_mean_abs": 1e-9}
    assert names(**converged, **WELL) == []
    assert "learning_rate_too_small" in names(**converged, **ILL)


def test_3_outputs_that_are_zero_on_a_batch_are_no_dead_units():
    assert "dead_units" not in names(output_zero_fraction=0.9, **ILL)
    assert "dead_units" in names(dead_fraction=[0.9, 0, 0], **ILL)


def test_4_gradient_entries_that_are_zero_are_no_dead_units():
    """Constant pixels alone make them."""
    assert "dead_units" not in names(zero_fraction=0.9, **ILL)
    assert "dead_units" in SETS["AutoTrainer"].alarms(signals(zero_fraction=0.9, **ILL))


def test_5_standardised_inputs_reach_beyond_1_and_are_scaled():
    data = {"largest": 6.0, "rms": 1.0, "sd": 1.0, "mean": 0.0}
    assert "unscaled_inputs" not in names(data=data, **ILL)
    assert "unscaled_inputs" in names(data=data | {"rms": 30.0, "sd": 30.0}, **ILL)
    assert "unscaled_inputs" in names(data=data | {"rms": 10.0, "mean": 10.0}, **ILL)
    assert names(data=data | {"rms": 30.0, "sd": 30.0}, **WELL) == []  # it learns, so nothing is wrong


def test_6_a_loss_that_no_longer_changes_is_no_alarm_once_it_is_low():
    assert names(**WELL) == []
    assert names(**ILL) != []


def test_7_the_cause_is_named_before_what_follows_from_it():
    """Units that die after a violent update, and saturate from the fifth step of a vanishing gradient."""
    late = np.zeros((STEPS, 3))
    late[5:, :2] = 0.9
    shocked = np.full((STEPS, 3), 0.01)
    shocked[3] = 9.0
    assert names(update_ratio=shocked, dead_fraction=late, **ILL)[0] == "learning_rate_too_large"
    assert names(delta_log10=[-9, -5, -1], dead_fraction=late, **ILL)[0] == "vanishing_gradient"
    assert names(dead_fraction=late, **ILL)[0] == "dead_units"


def test_8_units_that_die_in_half_of_the_repeats_are_counted_as_half():
    dying = signals(dead_fraction=[0.9, 0.9, 0], **ILL)
    first, second = of_setting([dying, dying, signals(**WELL), signals(**WELL)], BEST)
    assert (first["mechanism"], first["seeds_with"], first["seeds"]) == ("dead_units", 2, 4)
    assert (second["mechanism"], second["seeds_with"]) == ("healthy", 2)


def test_9_how_sure_it_is_stands_in_the_sentence():
    dying = signals(dead_fraction=[0.9, 0.9, 0], **ILL)
    assert "2 of 2 seeds (16% to 100% of networks)" in of_setting([dying] * 2, BEST)[0]["sentence"]
    assert "the one seed that was run" in of_setting([dying], BEST)[0]["sentence"]


def test_updates_as_large_as_small_weights_are_no_harm_unless_the_loss_rises():
    falling = 2.3 - 0.05 * np.arange(STEPS)
    rising = falling.copy()
    rising[4] = 3.0
    ill = ILL | {"loss": falling}
    assert "learning_rate_too_large" not in names(update_ratio=0.5, **ill)
    assert "learning_rate_too_large" in names(update_ratio=0.5, **ill | {"loss": rising})


def test_saturated_units_that_a_skip_connection_leads_past_are_not_the_cause():
    run = {name: Run(depth=2, width=8, lr=0.005, activation="tanh", residual=r) for name, r in
           (("plain", 0.0), ("skips", 1.0))}  # fmt: skip
    slow = {"saturated_fraction": [0.95, 0.95, 0], "update_ratio": 1e-5, **ILL}
    assert names(run=run["plain"], **slow)[0] == "saturated_units"
    assert names(run=run["skips"], **slow)[:2] == ["learning_rate_too_small", "saturated_units"]


def test_units_that_saturate_on_the_way_are_not_the_cause_while_the_network_still_learns():
    """A deep ReLU network under squared error: four fifths of its slopes are 0, and its loss falls on."""
    late = np.zeros((STEPS, 3))
    late[5:, :2] = 0.9
    falling = ILL | {"loss": 2.3 - 0.05 * np.arange(STEPS)}
    assert names(saturated_fraction=late, **falling)[:2] == ["too_few_steps", "saturated_units"]
    assert names(saturated_fraction=late, **ILL)[0] == "saturated_units"
    assert names(saturated_fraction=[0.9, 0.9, 0], **falling)[0] == "saturated_units"  # from the start
    assert names(dead_fraction=late, **falling)[0] == "dead_units"  # which learn nothing more


@pytest.mark.parametrize(
    ("delta", "layers"),
    [([-9.0, -8.9, -8.8, -1.1, -1.0], (3, 4)), ([-9.0, -7.0, -5.0, -3.0, -1.0], (1, 4))],
)  # fmt: skip
def test_where_a_gradient_is_lost_is_named_if_it_is_lost_in_one_place(delta, layers):
    """Depth 5: 10^-7.7 between layers 4 and 3; or a hundredth in each layer, so that 1 to 4 starve."""
    run = Run(depth=5, width=64, lr=0.005)
    s = signals(**ILL)
    wide = {name: np.ones((STEPS, 6)) * values[:, :1] for name, values in s.layers.items()}
    wide["delta_log10"] = np.broadcast_to([*delta, -0.9], (STEPS, 6))
    from dataclasses import replace

    from experiments.diagnosis.signals import Start

    five = replace(s, run=run, layers=wide, start=Start(np.full(5, 0.5), np.zeros(5)))
    found = find(five, BEST)["vanishing_gradient"]
    assert (found.layer_first, found.layer_last) == layers


def test_a_layer_whose_units_are_all_dead_is_named_alone_though_those_behind_it_get_nothing():
    silent = np.zeros((STEPS, 3))
    s = signals(dead_fraction=[1, 1, 0], a_rms=silent, **ILL)
    found = find(s, BEST)["dead_units"]
    assert (found.layer_first, found.layer_last) == (1, 1)
    assert "so that layer 2 gets no signal" in found.words


def test_a_loss_of_squares_is_far_from_chance_only_where_the_outputs_are():
    """Outputs of unit size make a squared error many times that of the classes' shares (0.09): no fault."""
    squares = Run(depth=2, width=8, lr=0.005, loss="mean_squared_error")
    falling = np.linspace(2.65, 0.2, STEPS)
    slow = {"run": squares, "data": {"prior_loss": 0.09}, "update_ratio": 1e-4}
    low = {"accuracy": np.full(STEPS, 0.1), "test_accuracy": np.full(STEPS, 0.1)}
    assert names(loss=falling, **slow, **low)[0] == "learning_rate_too_small"
    assert names(loss=10 * falling, **slow, **low)[0] == "exploding_gradient"


def test_a_linear_network_that_has_come_to_its_end_is_called_so_and_not_undecided():
    linear = {"run": Run(depth=2, width=64, lr=0.005, activation="identity"), **ILL}
    assert names(**linear) == ["too_simple"]
    assert names(run=Run(depth=2, width=4, lr=0.005), **ILL) == ["too_simple"]
    assert names(run=Run(depth=2, width=64, lr=0.005), **ILL) == ["undecided"]
    assert (
        names(**linear | {"update_ratio": 1e-5})[0] == "learning_rate_too_small"
    )  # it has not come to its end
    assert names(**WELL | {"run": linear["run"]}) == []
