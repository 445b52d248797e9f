"""Every mechanism is named first in a world that it rules, and not in the healthy one."""

from functools import cache

import numpy as np
import pytest

from experiments import config
from experiments.diagnosis.causes import find
from experiments.diagnosis.findings import NAMES, of_setting
from experiments.diagnosis.mechanisms import MECHANISMS
from experiments.diagnosis.signals import signals
from experiments.diagnosis.yardstick import yardstick
from experiments.sweeps.in_memory import train_in_memory
from experiments.sweeps.plan import grid

HEALTHY = {
    "activation": "relu", "init": "he_normal", "depth": 4, "width": 32, "dataset": "circles(n=400)",
    "lr": 0.1, "steps": 300, "batch": 32, "dtype": "float32",
}  # fmt: skip
BRIEF = {"steps": 60}  # in a network that cannot learn nothing changes later
WORLDS = {  # mechanism: what is changed in the healthy config
    "unpredictable_labels": {"dataset": "gaussian_noise(n=1000, classes=2)"} | BRIEF,
    "unscaled_inputs": {"dataset": "circles(n=400, shift=30)"},
    "symmetric_units": {"init": "normal(std=0)"} | BRIEF,
    "clipped_too_hard": {"clip": 1e-6} | BRIEF,
    "decay_too_strong": {"weight_decay": 1.0},
    "normalised_over_few": {"norm": "batch", "batch": 2} | BRIEF,
    "non_finite": {"init": "normal(std=1000000)", "depth": 10} | BRIEF,
    "dead_units": {"depth": 12, "width": 2} | BRIEF,
    "saturated_units": {"activation": "tanh", "init": "scaled_normal(gain=300)"} | BRIEF,
    "vanishing_gradient": {"activation": "sigmoid", "init": "xavier_normal", "depth": 8} | BRIEF,
    "exploding_gradient": {"init": "scaled_normal(gain=3)", "depth": 10} | BRIEF,
    "collapsed_signal": {
        "activation": "leaky_relu(slope=0.3)", "bias": "normal(std=300)", "depth": 8,
    } | BRIEF,
    "learning_rate_too_large": {"lr": 100.0} | BRIEF,
    "learning_rate_too_small": {"lr": 1e-5} | BRIEF,
    "too_few_steps": {"steps": 15},
    "too_simple": {"activation": "identity", "init": "lecun_normal", "depth": 1},
    "overfitting": {"dataset": "moons(n=200, noise=0.7, test=0.8)", "width": 64, "lr": 0.3, "steps": 600},
}  # fmt: skip


@cache
def first(**changes):
    """The mechanisms of one seed, the cause first, and its findings."""
    experiment = config.from_mapping({"question": "?", "base": HEALTHY | changes, "figures": [], "watch": 9})
    (found,) = signals(train_in_memory(list(grid(experiment)), experiment.recording))
    best = yardstick(found.run.dataset, found.run.loss, found.run.batch)
    return list(find(found, best)), of_setting([found], best)


def test_nothing_is_wrong_in_a_healthy_world():
    names, (row,) = first()
    assert names == []
    assert row["mechanism"] == "healthy"
    assert "Nothing is wrong" in row["sentence"]


@pytest.mark.parametrize("name", MECHANISMS)
def test_every_mechanism_is_named_first_where_it_rules(name):
    names, rows = first(**WORLDS[name])
    assert names[0] == name
    assert rows[0]["mechanism"] == name
    assert rows[0]["rank"] == 1
    assert rows[0]["sentence"].startswith(NAMES[name].capitalize())
    assert (
        np.isnan(rows[0]["value"])
        or not rows[0]["reference_low"] < rows[0]["value"] < rows[0]["reference_high"]
    )


@pytest.mark.parametrize(
    ("few", "enough"),
    [
        ({"norm": "batch", "batch": 1}, {"norm": "layer", "batch": 1}),
        ({"norm": "batch(eps=0.001)", "batch": 2}, {"norm": "batch", "batch": 16}),
        ({"norm": "layer", "width": 1}, {"norm": "none", "width": 1}),
        ({"norm": "layer", "width": 2}, {"norm": "layer", "width": 4}),
    ],
    ids=str,
)
def test_a_normalisation_over_few_values_is_named_with_its_size_and_nothing_else_is(few, enough):
    names, (row, *_) = first(**BRIEF | few)
    assert names[0] == "normalised_over_few"
    size = few.get("batch", few.get("width"))
    assert row["value"] == size
    assert f"over {size} {'example' if 'batch' in few else 'unit'}" in row["sentence"]
    assert "normalised_over_few" not in first(**BRIEF | enough)[0]


def test_labels_are_not_called_unpredictable_where_few_examples_cannot_tell_or_the_loss_says_otherwise():
    """Of 20 test examples guessing may get 0.5 + 3.5·√(0.25/20) = 0.89 right: nothing can be said."""
    assert yardstick("gaussian_noise(n=100, classes=2)", "softmax_cross_entropy", 16).tested == 0
    found = yardstick("gaussian_noise(n=1000, classes=2)", "softmax_cross_entropy", 32)
    assert found.tested == 200
    assert found.guessed == pytest.approx(0.5 + 3.5 * (0.25 / 200) ** 0.5, abs=0.01)
    assert yardstick("moons(n=1000, noise=0.3)", "softmax_cross_entropy", 32).tested == 0
