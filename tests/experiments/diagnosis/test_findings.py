"""Findings over seeds: the cause first, how many seeds, and sentences that say what to do."""

from dataclasses import replace

import numpy as np
import pytest
from made import signals

from experiments.config import Run
from experiments.diagnosis.cures import cures
from experiments.diagnosis.findings import COLUMNS, NAMES, of_setting
from experiments.diagnosis.mechanisms import MECHANISMS
from experiments.diagnosis.yardstick import Yardstick

BEST = Yardstick(0.95, 0.95, 0.9)
DEEP = Run(depth=2, width=64, activation="sigmoid", lr=0.005)
CHANCE = np.full(12, 2.3)


def vanishing():
    return signals(run=DEEP, delta_log10=[-9, -3, -2], loss=CHANCE, accuracy=np.full(12, 0.1))


def dying():
    dead = np.zeros((12, 3))
    dead[4:, :2] = 0.9
    return signals(dead_fraction=dead, loss=CHANCE, accuracy=np.full(12, 0.1))


def test_the_cause_that_most_seeds_have_comes_first_and_the_healthy_are_counted():
    rows = of_setting(
        [
            vanishing(),
            vanishing(),
            signals(accuracy=np.full(12, 0.97), loss=np.full(12, 0.1), test_accuracy=np.full(12, 0.95)),
        ],
        BEST,
    )
    assert [(row["mechanism"], row["rank"], row["seeds_with"], row["seeds"]) for row in rows] == [
        ("vanishing_gradient", 1, 2, 3),
        ("healthy", 2, 1, 3),
    ]
    assert rows[1]["value"] == pytest.approx(0.97)  # of the healthy seed alone
    sentence = rows[0]["sentence"]
    assert (
        "2 of 3 seeds (9% to 99% of networks)" in sentence
    )  # Clopper-Pearson of 2 in 3, from a printed table
    assert "1.00e-6 of the last hidden layer's" in sentence
    assert rows[0]["value"] == pytest.approx(1e-6)
    assert (rows[0]["layer_first"], rows[0]["layer_last"]) == (1, 1)


def test_a_tie_with_the_healthy_is_not_hidden():
    rows = of_setting(
        [
            vanishing(),
            signals(accuracy=np.full(12, 0.97), loss=np.full(12, 0.1), test_accuracy=np.full(12, 0.95)),
        ],
        BEST,
    )
    assert rows[0]["mechanism"] == "vanishing_gradient"


def test_units_that_die_under_way_are_named_with_their_step():
    (row, *_) = of_setting([dying()], BEST)
    assert (row["mechanism"], row["step"], row["layer_first"], row["layer_last"]) == ("dead_units", 4, 1, 2)
    assert "after 4 updates" in row["sentence"]
    assert "the one seed that was run" in row["sentence"]


def test_units_that_a_violent_update_killed_follow_from_it():
    ratio = np.full((12, 3), 0.01)
    ratio[2] = 5.0
    dead = np.zeros((12, 3))
    dead[3:] = 1.0
    s = signals(update_ratio=ratio, dead_fraction=dead, loss=CHANCE, accuracy=np.full(12, 0.1))
    cause, symptom = of_setting([s], BEST)
    assert (cause["mechanism"], cause["step"]) == ("learning_rate_too_large", 2)
    assert symptom["mechanism"] == "dead_units"
    assert "a consequence of too large a learning rate" in symptom["sentence"]


def test_a_row_has_every_column_and_every_mechanism_a_name():
    (row, *_) = of_setting([vanishing()], BEST)
    assert tuple(row) == COLUMNS
    assert set(NAMES) == {*MECHANISMS, "healthy", "undecided"}


@pytest.mark.parametrize("name", [*MECHANISMS, "undecided"])
def test_every_mechanism_has_a_cure_that_a_config_accepts_and_that_changes_the_run(name):
    from experiments.diagnosis.confirmation import changed

    run = Run(activation="sigmoid", depth=8, dataset="digits(shift=10)", clip=1e-6, weight_decay=0.1)
    found = cures(name, run)
    assert found or name == "unpredictable_labels"  # no setting mends the data
    assert len(set(found)) == len(found)
    for cure in found:
        assert changed(run, cure) != run


def test_with_skips_no_cure_enlarges_the_weights_that_made_the_signal_grow():
    """The critical size is that of plain layers: GELU's is 2, and ten layers with skips grow faster by it."""
    run = Run(activation="gelu", init="he_normal", depth=25, residual=1.0)
    found = cures("exploding_gradient", run)
    assert found[0] == "residual=0.2"  # 1/√25
    assert not any("init" in cure for cure in found if "activation" not in cure)
    assert cures("exploding_gradient", replace(run, residual=0.0))[0].startswith("init=")


@pytest.mark.parametrize("name", ["vanishing_gradient", "dead_units", "saturated_units"])
def test_biases_are_a_cure_only_where_they_are_a_notable_part_of_the_signal(name):
    """PyTorch's have the variance 1/(3·64), that of the weighted inputs is 1; N(0, 3²) has 9."""
    run = Run(activation="relu", init="xavier_normal", depth=8, width=64, bias="pytorch_default")
    assert "bias=zeros" not in cures(name, run)
    for bias in ("normal(std=3)", "dead(share=0.5)"):
        assert cures(name, replace(run, bias=bias))[0] == "bias=zeros"


def test_units_that_die_under_way_do_not_come_before_what_is_there_at_the_start():
    """In one seed units die after four updates, in one the gradient vanishes at the start: a tie."""
    for seeds in ([dying(), vanishing()], [vanishing(), dying()]):
        assert [row["mechanism"] for row in of_setting(seeds, BEST)][:2] == [
            "vanishing_gradient",
            "dead_units",
        ]


def test_a_run_that_learns_nearly_as_much_is_not_told_that_it_is_the_same_number():
    said = []
    for reached in (0.95, 0.92, 0.85):
        run = signals(accuracy=np.full(12, reached), test_accuracy=np.full(12, 0.9), loss=np.full(12, 0.05))
        said.append(of_setting([run], BEST)[0]["sentence"])
    assert "accuracy of 0.95 is what a shallow" in said[0]
    assert "accuracy of 0.92 is close to what a shallow" in said[1]
    assert "accuracy of 0.85 is below what a shallow network reaches on these data (0.95), but" in said[2]
    assert said[2].endswith("that of 0.90 on the test set is as good.")


def test_a_cure_with_two_options_is_one_override():
    """Blanks separate the overrides of a cure, so none stands within one."""
    from experiments.diagnosis.confirmation import changed

    run = Run(dataset="blobs(classes=10, features=10, shift=30)")
    (cure,) = cures("unscaled_inputs", run)
    assert " " not in cure
    assert changed(run, cure).dataset == "blobs(features=10, classes=10)"
