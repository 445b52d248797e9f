"""Claims about what is learnt: each where it holds, where it fails and where it cannot be decided."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import grid, made, without

from experiments.claims import judge
from experiments.claims.write_up.learning import W05_weights_stay, W09_always_avoid, W10_tanh_better

RATES = [0.1, 1.0]
SEEDS = list(range(6))


def holds(verdict):
    """{setting: whether the rule holds there}."""
    return {e.setting: e.holds for e in verdict.evidence}


def undecided(claim, records):
    """Why the claim is inconclusive, which it has to be."""
    (verdict,) = judge([claim], records)
    assert verdict.status == "inconclusive"
    return verdict.condition


# W05


def moved(first, output=0.5, probe="displacement", gradient=1e-6, **fixed):
    """Runs whose first and output layer have moved by so much: numbers, or functions of the run.

    The gradient of the first layer is `gradient` times that of the output layer.
    """

    def layers(run, step, layer):
        amount = first if layer == 1 else output if layer == run.depth + 1 else 0.1
        way = (amount(run) if callable(amount) else amount) * (step > 0)
        return {probe: way, "dw_norm": gradient if layer == 1 else 1.0}

    usual = {"activation": "sigmoid", "depth": [2, 10], "lr": RATES, "seed": SEEDS}
    return made(grid(**(usual | fixed)), lambda run, step: {"loss": run.lr, "test_accuracy": 0.25}, layers)


def test_w05_holds_where_the_first_layer_stays_and_the_last_moves():
    verdict = W05_weights_stay(moved(1e-4))
    assert verdict.status == "supported"
    parts = ["‖w − w₀‖/‖w₀‖ of layer 1", "‖dw‖ of layer 1 over that of the output layer at the start",
             "‖w − w₀‖/‖w₀‖ of the output layer"]  # fmt: skip
    expected = [f"depth {depth} with sgd: {part}" for depth in (10, 2) for part in parts]
    assert [e.setting for e in verdict.evidence] == expected
    assert {e.n for e in verdict.evidence} == {6}
    accuracies = "training accuracy 0 (0 to 0, n = 6), test accuracy 0.25 (0.25 to 0.25, n = 6)"
    assert f"depth 2 with sgd: {accuracies}, at lr 0.1." in verdict.remarks


def test_w05_the_gradient_has_to_be_why():
    verdict = W05_weights_stay(moved(1e-4, gradient=0.5))
    assert verdict.status == "conditional"
    assert "is stuck at depth 10 with sgd: 1.00e-4 (1.00e-4 to 1.00e-4, n = 6)" in verdict.condition
    assert "where it is stuck at depth 10 with sgd, its gradient has not vanished" in verdict.condition


def test_w05_fails_where_the_first_layer_moves():
    assert W05_weights_stay(moved(0.3)).status == "contradicted"
    assert W05_weights_stay(moved(0.01)).status == "contradicted"  # 1 % is not under 1 %


def test_w05_is_conditional_on_depth_and_optimiser():
    deep_sgd = lambda run: 1e-5 if run.depth == 10 and run.optimiser == "sgd" else 0.5  # noqa: E731
    verdict = W05_weights_stay(moved(deep_sgd, optimiser=["sgd", "adam"]))
    assert verdict.status == "conditional"
    assert verdict.condition.startswith(
        "layer 1 by its ‖w − w₀‖/‖w₀‖ is stuck at depth 10 with sgd: 1.00e-5 (1.00e-5 to 1.00e-5, n = 6); "
        "not stuck at "
    )
    for moving in ("depth 10 with adam", "depth 2 with sgd", "depth 2 with adam"):
        assert f"at {moving}: 0.5 (0.5 to 0.5, n = 6)" in verdict.condition


def test_w05_is_judged_at_the_rate_with_the_smallest_loss():
    assert W05_weights_stay(moved(lambda run: 0.5 if run.lr == 1.0 else 1e-4)).status == "supported"
    assert W05_weights_stay(moved(lambda run: 0.5 if run.lr == 0.1 else 1e-4)).status == "contradicted"


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (
            lambda: moved(1e-4, output=1e-3),
            "the control failed: depth 10 with sgd: ‖w − w₀‖/‖w₀‖ of the output",
        ),
        (lambda: moved(1e-4, probe="w_norm"), "displacement was not recorded; change the config: probes:"),
        (lambda: moved(1e-4, activation="tanh"), "no run has activation = sigmoid"),
        (lambda: moved(1e-4, lr=0.1), "change the config: lr: a list"),
        (lambda: moved(1e-4, seed=[0, 1, 2, 3, 4]), "5 seeds of at least 6; change the config: seed: [0, 1,"),
        (lambda: moved(1e-4, width=[8, 16]), "differ in width, too (8, 16); change the config: width: one"),
        (
            lambda: moved(lambda run: 1e-4 if run.seed else 0.5),
            "from 1.00e-4 to 0.5, lie on both sides of 0.01",
        ),
        (lambda: moved(lambda run: np.nan if run.seed == 3 else 1e-4), "1 of 6 seeds have no value"),
    ],
)
def test_w05_is_undecided_and_says_what_to_change(records, reason):
    assert reason in undecided("W05_weights_stay", records())


# W09


def networks(accuracy, seeds=SEEDS, rates=RATES, lost=(), **fixed):
    """ReLU and sigmoid at depths 1 and 8 and sigmoid at 8 with batch norm; `accuracy(run)` at the end."""
    rows = [("relu", 1, "none"), ("relu", 8, "none"), ("sigmoid", 1, "none"), ("sigmoid", 8, "none"),
            ("sigmoid", 8, "batch")]  # fmt: skip
    runs = [
        run
        for act, depth, norm in rows
        for run in grid(activation=act, depth=depth, norm=norm, lr=list(rates), seed=list(seeds), **fixed)
    ]
    return made(runs, lambda run, step: {"test_accuracy": accuracy(run) if step else 0.1}, lost=lost)


def deep_plain_sigmoid(run):
    return run.activation == "sigmoid" and run.depth == 8 and run.norm == "none"


def test_w09_holds_where_every_sigmoid_is_worse():
    verdict = W09_always_avoid(networks(lambda run: 0.9 if run.activation == "relu" else 0.5))
    assert verdict.status == "supported"
    own = [e for e in verdict.evidence if e.role == "claim"]
    places = ["depth 8", "depth 8 with norm=batch", "depth 1"]
    assert [e.setting for e in own] == [
        f"sigmoid at {p}: test accuracy with relu less its own" for p in places
    ]
    assert all(e.value == pytest.approx(0.4) for e in own)
    assert {e.role for e in verdict.evidence} == {"claim", "control"}


def test_w09_says_nothing_where_relu_does_not_learn():
    reason = undecided("W09_always_avoid", networks(lambda run: 0.1 if run.activation == "relu" else 0.05))
    assert reason.startswith(
        "the control failed: relu at depth 1: test accuracy gained by training: 0 (0 to 0"
    )


def test_w09_fails_where_no_sigmoid_is():
    assert W09_always_avoid(networks(lambda run: 0.9)).status == "contradicted"
    a_little = W09_always_avoid(networks(lambda run: 0.9 if run.activation == "relu" else 0.89))
    assert a_little.status == "contradicted"


def test_w09_is_conditional_where_a_remedy_or_a_shallow_network_rescues_it():
    verdict = W09_always_avoid(networks(lambda run: 0.1 if deep_plain_sigmoid(run) else 0.95))
    assert verdict.status == "conditional"
    assert verdict.condition == (
        "relu's lead in test accuracy is above 0.02 over sigmoid at depth 8: 0.85 (0.85 to 0.85, n = 6); "
        "not above 0.02 over sigmoid at depth 8 with norm=batch: 0 (0 to 0, n = 6), over sigmoid at depth 1: "
        "0 (0 to 0, n = 6); 2 controls hold"
    )
    assert "sigmoid at depth 8: test accuracy 0.1 (0.1 to 0.1, n = 6) at lr 0.1." in verdict.remarks


def test_w09_gives_each_side_its_own_best_rate():
    best = {"relu": 0.1, "sigmoid": 1.0}
    verdict = W09_always_avoid(networks(lambda run: 0.9 if run.lr == best[run.activation] else 0.2))
    assert verdict.status == "contradicted"
    assert {e.value for e in verdict.evidence if e.role == "claim"} == {0}


def test_w09_compares_equal_seeds():
    by_seed = lambda run: 0.5 + 0.08 * run.seed - 0.03 * (run.activation == "sigmoid")  # noqa: E731
    assert W09_always_avoid(networks(by_seed)).status == "supported"  # the seeds differ by more than the gap


def test_w09_one_setting_that_cannot_tell_does_not_hide_two_that_can():
    def accuracy(run):
        doubtful = run.activation == "sigmoid" and run.norm == "batch" and run.seed % 2
        return 0.1 if deep_plain_sigmoid(run) or doubtful else 0.9

    verdict = W09_always_avoid(networks(accuracy))
    assert verdict.status == "conditional"
    assert "perhaps above 0.02 over sigmoid at depth 8 with norm=batch" in verdict.condition


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (lambda: networks(lambda run: 0.5, seeds=range(4)), "4 seeds of at least 6"),
        (lambda: networks(lambda run: 0.5, rates=[0.1]), "lr: a list"),
        (lambda: networks(lambda run: 0.5, batch=[8, 16]), "differ in batch, too (8, 16)"),
        (lambda: made(grid(activation="sigmoid", lr=RATES, seed=SEEDS)), "no run has activation = relu"),
        (lambda: made(grid(activation="relu", lr=RATES, seed=SEEDS)), "no run has activation = sigmoid"),
        (lambda: networks(lambda run: 0.5, lost=lambda run: run.activation == "relu"), "6 of 6 seeds have"),
        (lambda: made([*grid(activation="relu", depth=1, lr=RATES, seed=SEEDS),
                       *grid(activation="sigmoid", depth=2, lr=RATES, seed=SEEDS)]),
         "no plain relu of depth 2; change the config: activation relu, depth 2"),
        (lambda: networks(lambda run: 0.9 - (run.activation != "relu") * (run.seed % 2)), "sides of 0.02"),
    ],
)  # fmt: skip
def test_w09_is_undecided_and_says_what_to_change(records, reason):
    assert reason in undecided("W09_always_avoid", records())


def test_w09_two_baselines_of_one_depth_are_ambiguous():
    runs = [
        *grid(activation="relu", depth=1, init=["he_normal", "normal"], lr=RATES, seed=SEEDS),
        *grid(activation="sigmoid", depth=1, lr=RATES, seed=SEEDS),
    ]
    reason = undecided("W09_always_avoid", made(runs))
    assert "plain networks with relu of one depth: runs differ in init" in reason


# W10

THREE = ["tanh", "sigmoid", "sigmoid(shift=-0.5)"]
FACTOR = {"tanh": 0.9, "sigmoid": 0.24, "sigmoid(shift=-0.5)": 0.25}
MEAN = {"tanh": 0.0, "sigmoid": 0.5, "sigmoid(shift=-0.5)": 0.0}


def compared(
    accuracy, factor=FACTOR, mean=MEAN, depths=(3, 8), acts=THREE, seeds=SEEDS, rates=RATES, **fixed
):
    """Runs of three activations: accuracy(run), or by activation; delta falls by `factor` a layer."""

    def layers(run, step, layer):
        delta = factor[run.activation] ** (run.depth + 1 - layer)
        return {"delta_norm": delta, "a_mean": mean[run.activation]}

    of = accuracy if callable(accuracy) else lambda run: accuracy[run.activation]
    runs = grid(activation=list(acts), depth=list(depths), lr=list(rates), seed=list(seeds), **fixed)
    return made(runs, lambda run, step: {"test_accuracy": of(run) if step else 0.1}, layers)


CENTRED_HELPS = {"tanh": 0.9, "sigmoid": 0.3, "sigmoid(shift=-0.5)": 0.8}
SLOPE_HELPS = {"tanh": 0.9, "sigmoid": 0.3, "sigmoid(shift=-0.5)": 0.35}
WORSE = {"tanh": 0.3, "sigmoid": 0.9, "sigmoid(shift=-0.5)": 0.9}


def test_w10_holds_where_tanh_is_better_and_centring_is_why():
    verdict = W10_tanh_better(compared(CENTRED_HELPS))
    assert verdict.status == "supported"
    found = {e.setting: e.value for e in verdict.evidence}
    assert found["depth 8: test accuracy with tanh less that with sigmoid"] == pytest.approx(0.6)
    factor = "depth 3: factor per layer of ‖delta‖ at the start with tanh less that with sigmoid"
    assert found[factor] == pytest.approx(0.9 - 0.24)
    cause = "depth 8: test accuracy gained by centring alone, less half of what tanh gains"
    assert found[cause] == pytest.approx(0.5 - 0.3)
    assert found["size of the mean of tanh's outputs"] == 0
    roles = {e.setting: e.role for e in verdict.evidence}
    assert (roles[factor], roles[cause], roles["size of the mean of tanh's outputs"]) == (
        "aside",
        "claim",
        "check",
    )


def test_w10_is_conditional_where_tanh_is_better_but_not_by_being_centred():
    verdict = W10_tanh_better(compared(SLOPE_HELPS))
    assert verdict.status == "conditional"
    assert verdict.condition.startswith(
        "at depth 8 better, by 0.6 (0.6 to 0.6, n = 6) in test accuracy, and not because it is centred: "
        "centring alone brings 0.05 (0.05 to 0.05, n = 6); at depth 3 better"
    )


def test_w10_fails_where_tanh_is_not_better_though_its_gradient_and_its_mean_are():
    for accuracy in (WORSE, dict.fromkeys(THREE, 0.5)):
        verdict = W10_tanh_better(compared(accuracy))
        assert verdict.status == "contradicted"
        held = holds(verdict)
        assert held["depth 3: test accuracy with tanh less that with sigmoid"] is False
        assert not any("by centring alone" in name for name in held)  # of an advantage that there is not


def test_w10_says_nothing_where_a_check_of_the_functions_fails():
    reason = undecided("W10_tanh_better", compared(CENTRED_HELPS, mean=dict.fromkeys(THREE, 0.5)))
    assert reason.startswith("the check failed: size of the mean of tanh's outputs: 0.5 (0.5 to 0.5, n = 6)")
    swapped = "W10_tanh_better(tanh=sigmoid(shift=-0.5), sigmoid=tanh, centred=sigmoid)"
    reason = undecided(swapped, compared({"tanh": 0.5, "sigmoid": 0.5, "sigmoid(shift=-0.5)": 0.6}))
    assert "the check failed: largest error of sigmoid(shift=-0.5)(x) = 2tanh(2x) − 1" in reason


def test_w10_asks_for_the_cause_of_a_small_advantage_too():
    little = {"tanh": 0.95, "sigmoid": 0.9, "sigmoid(shift=-0.5)": 0.9}
    assert W10_tanh_better(compared(little)).status == "conditional"


def test_w10_leaves_out_the_depths_at_which_nothing_learns():
    deep_fail = lambda run: 0.1 if run.depth == 8 else CENTRED_HELPS[run.activation]  # noqa: E731
    verdict = W10_tanh_better(compared(deep_fail))
    assert verdict.status == "supported"
    assert not any("depth 8" in e.setting for e in verdict.evidence)
    reason = undecided("W10_tanh_better", compared(dict.fromkeys(THREE, 0.15)))
    assert reason.startswith("nothing learns: where the training loss falls, the test accuracy rises by 0.05")


def test_w10_an_accuracy_that_comes_with_a_larger_loss_is_not_learnt():
    """As of networks whose weights one enormous step has made enormous."""
    records = compared(CENTRED_HELPS)
    wild = records.steps.assign(loss=1e8 * (records.steps["step"] > 0))
    reason = undecided("W10_tanh_better", replace(records, steps=wild))
    assert reason.startswith("nothing learns: where the training loss falls, the test accuracy rises by 0 at")


def test_w10_leaves_out_what_is_shallower_than_the_claim():
    held = holds(W10_tanh_better(compared(CENTRED_HELPS, depths=(1, 2, 5))))
    assert {name.partition(":")[0] for name in held if "accuracy" in name} == {"depth 5"}


def test_w10_the_identities_are_those_of_the_functions():
    errors = {e.setting: e.value for e in W10_tanh_better(compared(CENTRED_HELPS)).evidence[-2:]}
    equations = ["tanh(x) = 2sigmoid(2x) − 1", "tanh' = 1 − tanh²"]
    assert list(errors) == [f"largest error of {equation}" for equation in equations]
    assert all(0 < error <= 4 for error in errors.values())  # in units of the last digit of 1


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (lambda: compared(CENTRED_HELPS, acts=THREE[:2]), "no run has activation = sigmoid(shift=-0.5)"),
        (lambda: compared(CENTRED_HELPS, depths=(1, 2)), "no network is 3 layers deep; change the config"),
        (lambda: compared(CENTRED_HELPS, seeds=[0, 1]), "2 seeds of at least 6"),
        (lambda: compared(CENTRED_HELPS, rates=[0.1]), "lr: a list"),
        (lambda: compared(CENTRED_HELPS, width=[8, 16]), "differ in width, too"),
        (lambda: without(compared(CENTRED_HELPS), "a_mean"), "a_mean was not recorded; change the config"),
        (lambda: without(compared(CENTRED_HELPS), "delta_norm"), "delta_norm was not recorded"),
        (
            lambda: compared(lambda run: np.nan if run.activation == "tanh" else 0.5),
            "6 of 6 seeds have no value",
        ),
    ],
)
def test_w10_is_undecided_and_says_what_to_change(records, reason):
    assert reason in undecided("W10_tanh_better", records())
