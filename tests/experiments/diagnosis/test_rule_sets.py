"""Each rule set says what its tool's description says, on either side of its constants."""

import numpy as np
import pytest
from made import STEPS, signals

from experiments.config import Run
from experiments.diagnosis.mechanisms import MECHANISMS
from experiments.diagnosis.rule_sets import PROBES_READ, RULE_SETS, alarmed_from, first_alarm
from mlp.probes import PROBES

SETS = {rules.name: rules for rules in RULE_SETS}
TANH = Run(depth=2, width=8, lr=0.005, activation="tanh")
CASES = [  # tool, alarm, what is changed, and the other side of the constant
    ("SageMaker Debugger", "vanishing_gradient", {"dw_mean_abs": 0.9e-7}, {"dw_mean_abs": 1.1e-7}),
    ("SageMaker Debugger", "exploding_gradient", {"diverged_at": 3}, {}),
    ("SageMaker Debugger", "dead_units", {"rarely_active_fraction": 0.51}, {"rarely_active_fraction": 0.5}),
    ("SageMaker Debugger", "learning_rate_too_large", {"update_ratio": 10.1}, {"update_ratio": 9.9}),
    ("SageMaker Debugger", "learning_rate_too_small", {"update_ratio": 0.9e-8}, {"update_ratio": 1.1e-8}),
    (
        "SageMaker Debugger",
        "saturated_units",
        {"run": TANH, "input_beyond_fraction(low=-9.4999, high=9.4999)": 0.51},
        {"run": TANH, "input_beyond_fraction(low=-9.4999, high=9.4999)": 0.5},
    ),
    ("SageMaker Debugger", "undecided", {"w_var": [0.02, 0.2, 0.21]}, {"w_var": [0.02, 0.19, 0.19]}),
    ("SageMaker Debugger", "undecided", {"dw_span": 0.9e-3}, {"dw_span": 1.1e-3}),
    (
        "SageMaker Debugger",
        "undecided",
        {"loss": [2.0] * 6 + [1.9, 1.8, 1.7, 1.6, 1.5, 1.4]},
        {"loss": [2.0] * 5 + [1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3]},
    ),
    ("AutoTrainer", "dead_units", {"zero_fraction": 0.71}, {"zero_fraction": 0.69}),
    ("AutoTrainer", "exploding_gradient", {"dw_norm": [71, 1, 1]}, {"dw_norm": [69, 1, 1]}),
    ("AutoTrainer", "vanishing_gradient", {"dw_norm": [0.9e-4, 1, 1]}, {"dw_norm": [1.1e-4, 1, 1]}),
    ("AutoTrainer", "vanishing_gradient", {"dw_norm": [0.9e-5, 1, 0.01]}, {"dw_norm": [1.1e-5, 1, 0.01]}),
    ("AutoTrainer", "learning_rate_too_large", {"accuracy": [0.5, 0.6] * 6}, {"accuracy": [0.5, 0.52] * 6}),
    ("AutoTrainer", "too_few_steps", {"accuracy": [0.69] * STEPS}, {"accuracy": [0.7] * STEPS}),
    ("DeepLocalize", "non_finite", {"diverged_at": 3}, {}),
    (
        "DeepLocalize",
        "dead_units",
        {"output_zero_fraction": [[1] * 3] * 6 + [[0.9] * 3] * 6},
        {"output_zero_fraction": [[1] * 3] * 5 + [[0.9] * 3] * 7},
    ),
    ("DeepDiagnosis", "vanishing_gradient", {"dw_mean_abs": 0.9e-7}, {"dw_mean_abs": 1.1e-7}),
    ("DeepDiagnosis", "exploding_gradient", {"dw_mean_abs": 0.0}, {"dw_mean_abs": 1e-6}),
    ("DeepDiagnosis", "saturated_units", {"input_beyond_fraction": 0.51}, {"input_beyond_fraction": 0.5}),
    ("DeepDiagnosis", "dead_units", {"output_zero_fraction": 0.7}, {"output_zero_fraction": 0.69}),
    ("DeepDiagnosis", "undecided", {"w_var": 0.9e-5}, {"w_var": 1.1e-5}),
    ("DeepDiagnosis", "learning_rate_too_large", {"dw_norm": 101.0}, {"dw_norm": 99.0}),  # 0.005·101/5
    ("DeepDiagnosis", "learning_rate_too_small", {"dw_norm": 0.0099}, {"dw_norm": 0.0101}),
    ("DeepDiagnosis", "unscaled_inputs", {"data": {"largest": 1.01}}, {"data": {"largest": 1.0}}),
    ("UMLAUT", "unscaled_inputs", {"data": {"largest": 1.01}}, {"data": {"largest": 1.0}}),
    ("UMLAUT", "learning_rate_too_large", {"run": Run(depth=2, lr=0.011)}, {"run": Run(depth=2, lr=0.01)}),
    ("UMLAUT", "learning_rate_too_small", {"run": Run(depth=2, lr=0.9e-7)}, {"run": Run(depth=2, lr=1.1e-7)}),
    ("UMLAUT", "overfitting", {"test_accuracy": [0.96] * STEPS}, {"test_accuracy": [0.95] * STEPS}),
    ("TheDeepChecker", "vanishing_gradient", {"dw_mean_abs": 0.9e-6}, {"dw_mean_abs": 1.1e-6}),
    ("TheDeepChecker", "exploding_gradient", {"dw_mean_abs": 1.1e6}, {"dw_mean_abs": 0.9e6}),
    (
        "TheDeepChecker",
        "vanishing_gradient",
        {"dw_mean_abs": np.r_[0.5 ** np.arange(6), np.full(6, 1 / 32)][:, None]},
        {"dw_mean_abs": np.r_[0.5 ** np.arange(5), np.full(7, 1 / 16)][:, None]},
    ),
    ("TheDeepChecker", "dead_units", {"quiet_fraction": 0.51}, {"quiet_fraction": 0.5}),
    ("TheDeepChecker", "saturated_units", {"binned_saturation_fraction": 0.51}, {}),
    ("TheDeepChecker", "undecided", {"a_var": 4.1}, {"a_var": 3.9}),
    ("TheDeepChecker", "undecided", {"a_var": 0.24}, {"a_var": 0.26}),
    ("TheDeepChecker", "learning_rate_too_large", {"update_ratio": 0.11}, {"update_ratio": 0.09}),
    ("TheDeepChecker", "too_few_steps", {"loss": 2 * 0.99 ** np.arange(STEPS)}, {}),  # 5 % in five checks
    ("TheDeepChecker", "learning_rate_too_small", {"update_ratio": 0.9e-4}, {"update_ratio": 1.1e-4}),
    ("DeepLocalize", "undecided", {"loss": [1.0] * STEPS}, {}),
    ("DeepDiagnosis", "too_few_steps", {"loss": [1.0] * STEPS}, {}),
    (
        "DeepDiagnosis",
        "too_few_steps",
        {"steps": 21, "accuracy": [0.2, *[0.3] * 20]},
        {"steps": 21, "accuracy": [0.2, 0.2, *[0.3] * 19]},
    ),
    ("UMLAUT", "non_finite", {"diverged_at": 3}, {}),
    ("DEFault", "vanishing_gradient", {"dw_mean_abs": 0.9e-4}, {"dw_mean_abs": 1.1e-4}),
    ("DEFault", "exploding_gradient", {"dw_max_abs": 71.0}, {"dw_max_abs": 69.0}),
    ("DEFault", "dead_units", {"output_zero_fraction": 0.71}, {"output_zero_fraction": 0.7}),
    ("DEFault", "saturated_units", {"output_beyond_fraction": 0.51}, {"output_beyond_fraction": 0.5}),
    ("DEFault", "undecided", {"w_max_abs": 10.1}, {"w_max_abs": 9.9}),
]


@pytest.mark.parametrize("name", SETS)
def test_a_network_within_every_range_raises_no_alarm(name):
    assert SETS[name].alarms(signals()) == []


@pytest.mark.parametrize(("tool", "alarm", "over", "under"), CASES)
def test_an_alarm_is_raised_on_one_side_of_its_constant_and_not_on_the_other(tool, alarm, over, under):
    assert alarm in SETS[tool].alarms(signals(**over))
    assert alarm not in SETS[tool].alarms(signals(**under))


def test_every_alarm_of_every_tool_is_tried():
    tried = {(tool, alarm) for tool, alarm, *_ in CASES}
    known = {(rules.name, alarm) for rules in RULE_SETS for alarm, _ in rules.rules}
    assert tried == known


def test_the_smallest_dial_at_which_a_tool_alarms_is_found():
    """1e-6 is ten times SageMaker's 1e-7, so it takes a dial over 10: 100. DeepLocalize has no dial."""
    above, below, dead = (
        signals(**each)
        for each in ({"dw_mean_abs": 1e-6}, {"dw_mean_abs": 1e-8}, {"rarely_active_fraction": 1.0})
    )
    debugger = SETS["SageMaker Debugger"]
    assert alarmed_from(debugger, [above]) == 100
    assert alarmed_from(debugger, [below]) == 1
    assert alarmed_from(debugger, [dead]) == 0  # whatever the dial
    assert alarmed_from(debugger, [dead, above, above]) == 100
    assert np.isnan(alarmed_from(SETS["DeepLocalize"], [above]))
    assert first_alarm(debugger, [below, below, signals()]) == "vanishing_gradient"
    assert first_alarm(debugger, [below, signals(), signals()]) == "healthy"


def test_a_tool_speaks_our_words_and_reads_our_probes():
    names = {alarm for rules in RULE_SETS for alarm, _ in rules.rules}
    assert names <= {*MECHANISMS, "undecided"}
    for text in PROBES_READ:
        PROBES.bind(text)


def test_the_dial_moves_the_constant_that_an_alarm_hangs_on():
    s = signals(dw_mean_abs=1e-6)
    assert SETS["SageMaker Debugger"].alarms(s) == []
    assert SETS["SageMaker Debugger"].alarms(s, dial=100) == ["vanishing_gradient"]


def test_the_tools_err_as_their_critics_say():
    """A ReLU net that halves delta per layer and keeps dw flat looks well; a converged one alarms."""
    flat = signals(delta_log10=[-8, -4, -1])
    assert "vanishing_gradient" not in SETS["AutoTrainer"].alarms(flat)
    converged = signals(dw_mean_abs=1e-8, accuracy=np.full(STEPS, 1.0))
    assert "vanishing_gradient" in SETS["DeepDiagnosis"].alarms(converged)
