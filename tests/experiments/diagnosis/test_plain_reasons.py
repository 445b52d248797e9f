"""The reasons for an exact zero, a number that is not finite and a loss at chance, from made signals."""

import numpy as np
import pytest
from made import STEPS, signals

from experiments.config import Run
from experiments.diagnosis.plain_reasons import at_chance, first_non_finite, reasons, zero_gradient

ZERO = np.full((STEPS, 3), 0.1)
ZERO[:, 0] = 0.0  # the weight gradient of layer 1
FORTH, SECOND = np.zeros((STEPS, 3)), np.full((STEPS, 3), 5.0)
FORTH[:, 1] = 1.0
SECOND[:, 1] = 0.0
SILENT = np.ones((STEPS, 3))
SILENT[:, 0] = 0.0
WORLDS = {
    "the loss is 0": {"dw_norm": 0.0, "loss": np.zeros(STEPS)},
    "what enters it is 0": {"dw_norm": ZERO, "data": {"rms": 0.0}},
    "every unit of layer 2 is dead": {"dw_norm": ZERO, "dead_fraction": FORTH},
    "the weights of layer 2 are 0": {"dw_norm": ZERO, "w_norm": SECOND},
    "too small for float32 (underflow)": {"dw_norm": ZERO, "run": Run(depth=2, dtype="float32")},
}


@pytest.mark.parametrize("reason", WORLDS)
def test_a_zero_gradient_comes_with_its_reason(reason):
    words = zero_gradient(signals(**WORLDS[reason]))
    assert reason in words
    assert words.startswith("The weight gradient of layer")


def test_a_layer_behind_silent_units_is_not_called_dead():
    second = np.full((STEPS, 3), 0.1)
    second[:, 1] = 0.0
    words = zero_gradient(signals(dw_norm=second, a_rms=SILENT))
    assert (
        words
        == "The weight gradient of layer 2 is exactly 0 at step 0: what enters it is 0 on every example."
    )


def test_a_gradient_that_is_small_is_not_zero():
    assert zero_gradient(signals(dw_norm=1e-300)) == ""


@pytest.mark.parametrize(
    ("column", "layer", "words"),
    [("z_rms", 2, "pre-activation of layer 2"), ("a_rms", 1, "output of layer 1"),
     ("dw_norm", 3, "weight gradient of layer 3")],
)  # fmt: skip
def test_the_first_number_that_is_not_finite_is_named_by_layer_and_step(column, layer, words):
    """Later layers and steps are infinite too, as they are once one is."""
    values = np.ones((STEPS, 3))
    values[4, layer - 1] = np.inf if column != "dw_norm" else np.nan
    values[5:] = np.nan
    found = first_non_finite(signals(diverged_at=4, **{column: values}))
    assert found == f"The first numbers that are not finite are in the {words}, at step 4."
    assert first_non_finite(signals()) == ""


def test_a_loss_at_chance_is_said_with_its_logarithm():
    """ln 10 = 2.303."""
    stuck = signals(loss=np.full(STEPS, 2.302), data={"prior_loss": 2.3026})
    assert "near ln 10 = 2.303" in at_chance(stuck)
    assert "answers with the classes' shares" in at_chance(stuck)
    assert at_chance(signals(loss=np.full(STEPS, 2.2))) == ""
    uneven = signals(loss=np.full(STEPS, 1.0), data={"prior_loss": 1.0})
    assert "ln" not in at_chance(uneven)


def test_a_reason_is_taken_from_the_first_run_in_which_it_is_true():
    stuck = signals(loss=np.full(STEPS, 2.3))
    assert reasons([stuck, stuck]) == [at_chance(stuck)]
    other = signals(run=Run(depth=2, seed=7), loss=np.full(STEPS, 2.3))
    assert reasons([signals(), other]) == ["In 1 of 2 seeds, as in seed 7, t" + at_chance(other)[1:]]
    assert reasons([signals()]) == []
