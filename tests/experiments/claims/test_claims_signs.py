"""Claims about outputs that are all positive: each where it holds, where it fails and undecided."""

import numpy as np
import pytest
from made_up import grid, made, without

from experiments.claims import judge
from experiments.claims.write_up.signs import INPUTS, UNITS, W06_one_sign, W07_slow_convergence

SEEDS = list(range(6))


def undecided(claim, records):
    """Why the claim is inconclusive, which it has to be."""
    (verdict,) = judge([claim], records)
    assert verdict.status == "inconclusive"
    return verdict.condition


# W06


def signed(one, mean, layer=None, **fixed):
    """Shares of one sign, by activation for one example, and for a batch's mean a function of its size."""

    def layers(run, step, at):
        share = mean(run.batch) if run.activation == "sigmoid" else 0.0
        value = {"one_sign_fraction": one[run.activation], "one_sign_fraction_batch": share}
        value |= {"sign_agreement_batch": 0.75}
        return value if layer is None or at != layer else dict.fromkeys(value, 0.5)

    usual = {"activation": ["sigmoid", "tanh"], "depth": 2, "batch": [1, 8, 32], "seed": SEEDS}
    return made(grid(**(usual | fixed)), layers=layers)


RIGHT = {"sigmoid": 1.0, "tanh": 0.0, "relu": 1.0}


def test_w06_holds_where_every_gradient_of_a_unit_has_one_sign():
    verdict = W06_one_sign(signed(RIGHT, lambda batch: 1.0))
    assert verdict.status == "supported"
    assert [e.setting for e in verdict.evidence] == [
        "one example, sigmoid", "one example, tanh", "the mean of a batch of 8", "the mean of a batch of 32",
    ]  # fmt: skip


def test_w06_is_conditional_where_it_is_so_for_one_example_only():
    verdict = W06_one_sign(signed(RIGHT, lambda batch: 1 / batch))
    assert verdict.status == "conditional"
    shares = "0.12 for the mean of a batch of 8, 0.031 for the mean of a batch of 32"
    assert verdict.condition == f"for one example; the share is {shares}"


def test_w06_is_conditional_where_the_control_has_one_sign_too():
    verdict = W06_one_sign(signed(RIGHT | {"tanh": 1.0}, lambda batch: 1.0))
    assert verdict.status == "conditional"
    assert "fails for one example, tanh" in verdict.condition


def test_w06_fails_where_signs_are_mixed():
    mixed = {"sigmoid": 0.99, "tanh": 0.5}  # almost all is not all
    assert W06_one_sign(signed(mixed, lambda batch: 0.99)).status == "contradicted"


def test_w06_looks_at_the_layer_where_it_is_worst_but_not_at_the_first():
    assert W06_one_sign(signed(RIGHT, lambda batch: 1.0, layer=1)).status == "supported"  # fed by the data
    worst = {e.setting: e.holds for e in W06_one_sign(signed(RIGHT, lambda batch: 1.0, layer=3)).evidence}
    assert not any(worst.values())


def test_w06_tells_of_every_activation_what_a_batch_leaves():
    verdict = W06_one_sign(signed(RIGHT, lambda batch: 1.0, activation=["sigmoid", "tanh", "relu"]))
    assert "relu: for one example 1 of the units; sign agreement of the mean of a batch of 32: 0.75." in (
        verdict.remarks
    )


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (lambda: without(signed(RIGHT, lambda b: 1.0), "one_sign_fraction"), "one_sign_fraction was not"),
        (lambda: without(signed(RIGHT, lambda b: 1.0), "one_sign_fraction_batch"), "add one_sign_fraction_b"),
        (lambda: signed(RIGHT, lambda b: 1.0, activation="sigmoid"), "no run has activation = tanh"),
        (lambda: signed(RIGHT, lambda b: 1.0, depth=0), "no layer is fed by the activation"),
        (lambda: signed(RIGHT, lambda b: 1.0, seed=[0, 1]), "2 seeds of at least 6"),
        (lambda: signed(RIGHT, lambda b: 1.0, lr=[0.1, 0.2]), "differ in lr, too"),
        (lambda: signed(RIGHT | {"sigmoid": np.nan}, lambda b: 1.0), "0 seeds of at least 6"),
    ],
)
def test_w06_is_undecided_and_says_what_to_change(records, reason):
    assert reason in undecided("W06_one_sign", records())


# W07

ROWS = [("tanh", INPUTS[0]), ("tanh", INPUTS[1]), (UNITS[0], INPUTS[0]), (UNITS[1], INPUTS[0])]
STEPS = 12


def descents(arrive, rows=ROWS, seeds=SEEDS, rates=(0.1, 1.0), watched=range(STEPS), probes=True, **more):
    """Runs whose loss falls to the target at step arrive(run) and stays there."""
    shared = {"lr": list(rates), "seed": list(seeds), "steps": STEPS} | more
    runs = [run for act, dataset in rows for run in grid(activation=act, dataset=dataset, **shared)]

    def layers(run, step, layer):
        return {"update_ratio": 0.1, "w_norm": 2.0, "displacement": 0.05 * step}

    losses = lambda run, step: {"loss": 0.1 if step >= arrive(run) else 2.0}  # noqa: E731
    return made(runs, losses, layers if probes else None, watched)


def is_positive(run):
    return run.dataset == INPUTS[1] or run.activation == UNITS[1]


def test_w07_holds_where_it_takes_more_steps_when_not_centred():
    verdict = W07_slow_convergence(descents(lambda run: 8 if is_positive(run) else 4))
    assert verdict.status == "supported"
    assert [e.value for e in verdict.evidence] == [2, 2]
    assert [e.setting for e in verdict.evidence] == [
        "inputs not centred (tanh)",
        f"units not centred ({INPUTS[0]})",
    ]


def test_w07_fails_where_it_does_not():
    assert W07_slow_convergence(descents(lambda run: 4)).status == "contradicted"
    assert W07_slow_convergence(descents(lambda run: 3 if is_positive(run) else 6)).status == "contradicted"


def test_w07_is_conditional_where_inputs_matter_and_units_do_not():
    verdict = W07_slow_convergence(descents(lambda run: 8 if run.dataset == INPUTS[1] else 4))
    assert verdict.status == "conditional"


def test_w07_gives_each_side_the_rate_that_gets_there_first():
    def arrive(run):  # each is fast at a rate of its own
        return 3 if (run.lr == 0.1) == is_positive(run) else 9

    verdict = W07_slow_convergence(descents(arrive))
    assert verdict.status == "contradicted"
    assert {e.value for e in verdict.evidence} == {1}
    name = verdict.evidence[0].setting
    assert f"{name}: best lr 0.1 against 1." in verdict.remarks
    assert f"{name}: at lr 0.1 for both, 0.33 times the steps." in verdict.remarks


def test_w07_a_run_that_never_arrives_counts_as_what_it_was_given():
    verdict = W07_slow_convergence(descents(lambda run: np.inf if is_positive(run) else 4))
    assert verdict.status == "supported"
    assert verdict.evidence[0].value == (STEPS + 1) / 4


def test_w07_the_path_is_the_sum_of_its_steps_over_the_distance():
    verdict = W07_slow_convergence(descents(lambda run: 8 if is_positive(run) else 4, depth=1))
    # each step is 0.1·2 in both layers, the distance 0.05·step·2: the path is twice as long
    (remark,) = [text for text in verdict.remarks if "path" in text and "inputs" in text]
    assert remark.endswith("path over distance 2.00 against 2.00.")


def test_w07_needs_no_probes_for_its_verdict():
    verdict = W07_slow_convergence(descents(lambda run: 8 if is_positive(run) else 4, probes=False))
    assert verdict.status == "supported"
    assert not any("path" in text for text in verdict.remarks)


@pytest.mark.parametrize(
    ("claim", "records", "reason"),
    [
        ("", lambda: descents(lambda run: 4, watched=(2, 4)), "at every step; change the config: watch: 13"),
        ("", lambda: descents(lambda run: 4, rows=ROWS[:1]), "no two settings differ in being centred only"),
        ("", lambda: made([]), "no two settings differ in being centred only"),
        ("", lambda: descents(lambda run: 4, seeds=[0, 1, 2]), "3 seeds of at least 6"),
        ("", lambda: descents(lambda run: 4, rates=[0.1]), "lr: a list"),
        ("", lambda: descents(lambda run: 4, width=[8, 16]), "differ in width, too"),
        ("", lambda: descents(lambda run: 8 if is_positive(run) else np.inf), "0 seeds of at least 6"),
        ("", lambda: descents(lambda run: 5 if is_positive(run) or run.seed % 2 else 4), "around 1"),
        ("(units=[sigmoid])", lambda: descents(lambda run: 4), "sigmoid: not a pair"),
        ("(units=[sigmoid, sigmod])", lambda: descents(lambda run: 4), "unknown activation 'sigmod'"),
    ],
)  # fmt: skip
def test_w07_is_undecided_and_says_what_to_change(claim, records, reason):
    assert reason in undecided(f"W07_slow_convergence{claim}", records())
