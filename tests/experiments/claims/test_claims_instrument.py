"""Claims about functions, networks and what they cost: each where it holds, where it fails and undecided."""

import numpy as np
import pytest
from made_up import grid, made

from experiments.analysis import cost as timing
from experiments.analysis import write_up_code as tutorial
from experiments.claims import CLAIMS, judge
from experiments.claims.write_up.instrument import W01_linear, W02_squashes, W03_slope, W15_pictures
from experiments.plots.figures.activation_curves import WRITE_UP
from mlp.activations import activation

NOTHING = made([])  # what these claims are about is not in the records


def holds(verdict):
    """{setting: whether the rule holds there}."""
    return {e.setting: e.holds for e in verdict.evidence}


# W01


def trained(
    acts=("identity", "tanh"), depths=(0, 1, 2), seeds=6, accuracy=None, lost=(), deviation=None, **fixed
):
    """Runs on circles; linear ones are at 0.5, others (but at depth 0) at 1, or `accuracy(run)`.

    The outputs of linear ones are off by rounding, those of others by half, or by `deviation(run, step)`.
    """
    fixed = {"dataset": "circles(n=100)", "width": 4, "bias": "normal(std=0.5)"} | fixed
    runs = grid(activation=list(acts), depth=list(depths), seed=list(range(seeds)), **fixed)
    usual = lambda run: 0.5 if run.activation == "identity" or run.depth == 0 else 1.0  # noqa: E731
    off = deviation or (lambda run, step: 1e-15 if run.activation == "identity" else 0.5)
    return made(
        runs,
        lambda run, step: {"test_accuracy": (accuracy or usual)(run)},
        lambda run, step, layer: {"linear_deviation": off(run, step) if layer == run.depth + 1 else 9.0},
        lost=lost,
    )


def test_w01_holds_where_linear_networks_do_as_logistic_regression_does():
    verdict = W01_linear(trained())
    assert verdict.status == "supported"
    assert [e.value for e in verdict.evidence] == [1e-15, 0, 0.5]
    assert [e.role for e in verdict.evidence] == ["claim", "claim", "control"]
    assert verdict.evidence[0].n == 6


def is_linear(run):
    return run.activation == "identity"


def test_w01_fails_where_the_network_is_not_linear_at_any_step():
    late = lambda run, step: 1e-9 if is_linear(run) and step and run.depth == 2 else 1e-15  # noqa: E731
    verdict = W01_linear(trained(deviation=late))
    assert verdict.status == "contradicted"
    assert verdict.condition.startswith("holds for circles(n=100): difference in test accuracy from logistic")
    assert [e.holds for e in verdict.evidence] == [False, True, True]


@pytest.mark.parametrize(
    "accuracy",
    [
        lambda run: 0.6 if run.depth == 2 and is_linear(run) else 0.5 if is_linear(run) else 0.9,
        lambda run: 0.4 if run.depth == 2 and is_linear(run) else 0.5 if is_linear(run) else 0.9,
    ],
)
def test_w01_fails_where_depth_changes_a_linear_network(accuracy):
    verdict = W01_linear(trained(accuracy=accuracy))
    assert verdict.status == "contradicted"
    assert holds(verdict)["circles(n=100): difference in test accuracy from logistic regression"] is False


def test_w01_says_nothing_where_an_activation_does_not_help_at_the_worst_depth():
    verdict = W01_linear(trained(accuracy=lambda run: 0.5 if is_linear(run) else 0.5 + 0.2 * run.depth))
    assert verdict.status == "inconclusive"
    assert verdict.condition == (  # 0.2 at depth 1, which is not above 0.2
        "the control failed: circles(n=100): test accuracy with tanh less that with identity: 0.2 (0.2 to "
        "0.2, n = 6), where > 0.2 is asked"
    )


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (lambda: trained(depths=(1, 2)), "no run has depth = 0; change the config: depth: [0] under sweep"),
        (lambda: trained(acts=("tanh",)), "activation: [identity] under sweep"),
        (lambda: trained(acts=("identity",)), "no hidden layers, or none with an activation"),
        (lambda: trained(depths=(0,)), "no hidden layers, or none with an activation"),
        (lambda: trained(seeds=5), "5 seeds of at least 6"),
        (lambda: trained(width=[3, 4]), "differ in width, too (3, 4); change the config: width: one value"),
        (lambda: trained(norm="batch"), "norm: [none] under sweep"),
        (lambda: trained(dtype="float32"), "dtype: [float64] under sweep"),
        (lambda: trained(accuracy=lambda run: 0.99), "a line separates these classes: on circles(n=100)"),
        (lambda: NOTHING, "linear_deviation was not recorded"),
    ],
)
def test_w01_without_its_settings_is_undecided_and_says_what_to_change(records, reason):
    (verdict,) = judge(["W01_linear"], records())
    assert verdict.status == "inconclusive"
    assert reason in verdict.condition


@pytest.mark.parametrize("linear", [True, False])
def test_w01_a_run_that_diverged_leaves_it_open(linear):
    def lost(run):
        return is_linear(run) is linear and run.depth == 1 and run.seed == 0

    (verdict,) = judge(["W01_linear"], trained(lost=lost))
    assert verdict.status == "inconclusive"
    assert "1 of 6 seeds have no value" in verdict.condition
    assert verdict.condition.endswith("(of all 36 runs 1 diverged)")


# W02, W03, W15


def test_w02_holds_and_says_where_the_ends_are_reached():
    verdict = W02_squashes(NOTHING)
    assert verdict.status == "supported"
    assert {e.value for e in verdict.evidence} == {0}
    assert min(e.n for e in verdict.evidence) > 400_000
    remarks = " ".join(verdict.remarks)
    assert "sigmoid, float64 is exactly 1 from z = 36.7" in remarks
    assert "tanh, float32 is exactly 1 from z = " in remarks
    assert "and exactly -1 up to z = -" in remarks


@pytest.mark.parametrize("unfit", ["relu", "identity", "softplus", "gelu"])
def test_w02_fails_for_what_is_not_bounded_or_not_monotone(unfit):
    verdict = W02_squashes(NOTHING, sigmoid=unfit, tanh=unfit)
    assert verdict.status == "contradicted"
    assert min(e.value for e in verdict.evidence) > 0


def test_w02_is_false_where_one_of_the_two_is_wrong():
    verdict = W02_squashes(NOTHING, tanh="relu")
    assert verdict.status == "contradicted"
    assert verdict.condition.startswith("holds for sigmoid, float32")


def test_w02_finds_a_sigmoid_that_overflows(monkeypatch):
    class Naive:
        @staticmethod
        def f(z):
            return 1 / (1 + np.exp(-z))

    monkeypatch.setattr("experiments.claims.write_up.instrument.curve", lambda text: Naive)
    verdict = W02_squashes(NOTHING)
    assert {e.value for e in verdict.evidence[:2]} == {1}  # right in value, but not without a warning


def test_w03_holds_for_sigmoid_and_fails_for_others():
    assert W03_slope(NOTHING).status == "supported"
    assert [e.value for e in W03_slope(NOTHING).evidence[:2]] == [0.25, 0.25]
    for text in ("tanh", "relu", "hard_sigmoid", "identity"):
        assert W03_slope(NOTHING, activation=text).status == "contradicted"


def test_w03_says_where_the_write_ups_own_slope_is_lost():
    (remark,) = W03_slope(NOTHING).remarks
    assert "exactly 0 from z = 36.7" in remark
    assert tutorial.grad_sigmoid(np.array([36.6, 36.8])).tolist()[1] == 0 < tutorial.grad_sigmoid(36.6)


def test_w15_holds_for_the_four_functions():
    verdict = W15_pictures(NOTHING)
    assert verdict.status == "supported"
    assert [e.n for e in verdict.evidence] == [200, 2000, 600, 600]


def test_w15_fails_for_other_functions():
    assert W15_pictures(NOTHING, relu="leaky_relu").status == "contradicted"
    others = {"sigmoid": "hard_sigmoid", "tanh": "hard_tanh", "relu": "gelu", "leaky": "leaky_relu"}
    assert W15_pictures(NOTHING, **others).status == "contradicted"


def test_the_figure_draws_the_write_ups_functions_over_its_ranges():
    assert {text: shown[:2] for text, shown in WRITE_UP.items()} == {
        text: limits[:2] for text, limits in tutorial.RANGES.items()
    }
    assert list(tutorial.FUNCTIONS) == list(WRITE_UP)


@pytest.mark.parametrize("name", tutorial.FUNCTIONS)
def test_the_write_ups_derivative_is_that_of_its_function(name):
    function, slope = tutorial.FUNCTIONS[name]
    x, h = np.array([-2.3, -0.7, 0.4, 1.9]), 1e-6
    np.testing.assert_allclose(slope(x), (function(x + h) - function(x - h)) / (2 * h), rtol=1e-7)


# W08, W12: rules on times that are made up


@pytest.fixture
def times(monkeypatch):
    """Set what is timed: nanoseconds per element by activation, seconds of a step, the write-up's own.

    A value may be a list, one for each process.
    """

    def processes(value):
        return np.resize(value, timing.PROCESSES)[:, None] * np.ones(timing.ROUNDS)

    def set_to(element, step=1.0, printed=None):
        others = {"tanh": 2.0, "leaky_relu(slope=0.1)": 2.0}
        each = {text: processes(value) for text, value in (others | element).items()}
        within = {text: 0.01 * value for text, value in each.items()}
        of_step = timing.StepTimes(dict.fromkeys(each, processes(step)), within)
        own = {text: processes(value) for text, value in (printed or {"": 1.0}).items()}
        found = timing.Costs({("float64", "in cache"): each}, dict.fromkeys(timing.WIDTHS, of_step), own)
        monkeypatch.setattr("experiments.claims.write_up.expense.costs", lambda texts: found)

    return set_to


ELEMENT = "sigmoid over relu, one element (float64 in cache)"


@pytest.mark.parametrize(
    ("element", "step", "status"),
    [
        ({"sigmoid": 9.0, "relu": 1.0}, 0.01, "supported"),  # the activation is all there is to a step
        ({"sigmoid": 3.0, "relu": 1.0}, 1.0, "conditional"),
        ({"sigmoid": 1.0, "relu": 1.0}, 1.0, "contradicted"),
        ({"sigmoid": 0.5, "relu": 1.0}, 0.01, "contradicted"),
    ],
)
def test_w08_follows_the_times(times, element, step, status):
    times(element, step)
    (verdict,) = judge(["W08_sigmoid_expensive"], NOTHING)
    assert verdict.status == status
    assert {e.n for e in verdict.evidence} == {timing.PROCESSES}


def test_w08_says_where_it_is_expensive_what_of_a_step_it_takes_and_on_what_machine(times):
    times({"sigmoid": [2.9, 3.0, 3.1], "relu": 1.0}, step=1.0)
    (verdict,) = judge(["W08_sigmoid_expensive"], NOTHING)
    assert verdict.condition == (
        "holds for one element by itself, which takes up to 3 (2.9 to 3.1, n = 6) times as long; not for a "
        "whole training step, which takes at most 1.02 (1.02 to 1.02, n = 6) times as long"
    )
    assert verdict.remarks[0] == (
        "sigmoid takes 3 % (2.9 to 3.1 %, n = 6 processes) of the time of a training step of 3 hidden layers "
        "of width 32."
    )
    assert verdict.remarks[-1].startswith("Timed in 6 fresh processes of one thread, 3 rounds in each")


def test_w08_is_undecided_where_its_processes_disagree(times):
    """One process in six that finds the other side takes the status away."""
    times({"sigmoid": [3.0] * 5 + [1.2], "relu": 1.0}, step=0.01)
    (verdict,) = judge(["W08_sigmoid_expensive"], NOTHING)
    assert verdict.status == "inconclusive"
    assert f"{ELEMENT}: its 6 values, from 1.2 to 3, lie on both sides of 1.5" in verdict.condition


def test_what_is_just_at_the_bound_is_not_over_it(times):
    times({"sigmoid": 1.5, "relu": 1.0}, step=0.01)
    assert holds(judge(["W08_sigmoid_expensive"], NOTHING)[0])[ELEMENT] is False


def test_an_activation_that_a_fresh_process_does_not_know_is_undecided(monkeypatch):
    def failing(texts):
        raise ValueError("a process that was to time mine failed: unknown activation 'mine'")

    monkeypatch.setattr("experiments.claims.write_up.expense.costs", failing)
    (verdict,) = judge(["W08_sigmoid_expensive"], NOTHING)
    assert verdict.condition.startswith("a process that was to time mine failed")
    assert verdict.error == ""


@pytest.mark.parametrize(
    ("element", "step", "printed", "status"),
    [
        ({"sigmoid": 3.0, "relu": 1.0}, 1.0, {}, "supported"),
        ({"sigmoid": 3.0, "relu": 1.0}, 1.0, {"sigmoid": 1.0, "relu": 10.0}, "conditional"),
        ({"sigmoid": 3.0, "relu": 4.0}, 0.01, {}, "contradicted"),  # tanh takes half of it
    ],
)
def test_w12_follows_the_times(times, element, step, printed, status):
    times(element, step, printed)
    (verdict,) = judge(["W12_relu_cheap"], NOTHING)
    assert verdict.status == status
    if status == "conditional":
        assert verdict.condition == (
            "holds as one operation on an array; the write-up's own loop takes 10 (10 to 10, n = 6) times as "
            "long as its sigmoid"
        )


def test_an_activation_without_a_form_in_place_is_timed_too():
    z = np.linspace(-2, 2, 12).reshape(1, 3, 4)
    delta, act = np.ones_like(z), activation("gelu")
    timing.forward_and_back(act, z, delta, np.empty_like(z), np.empty_like(z))
    np.testing.assert_array_equal(delta, act.df(z, act.f(z)))


# All of them


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_every_claim_says_what_the_write_up_says_and_what_is_measured(name):
    says, *rest = CLAIMS[name].__doc__.split("\n\n")
    assert says.strip().endswith(".")
    labels = [part.strip().partition(":")[0] for part in rest]
    published = ".literature." in CLAIMS[name].__module__
    assert labels == ["Measured", "Nuance", *(["Source"] if published else [])]
