"""What is normal: drawn ranges hold what other networks show; healthy is where networks train."""

from math import exp

import numpy as np
import pytest

from experiments.config import Run
from experiments.diagnosis.reference import FIRST_SEED, healthy_ratio, reference
from experiments.theory.of_records import predicted

RELU = Run(activation="relu", init="he_normal", depth=6, width=32, dataset="circles(n=200)")
SIGMOID = Run(activation="sigmoid", depth=6, width=32, dataset="circles(n=200)")


@pytest.fixture(scope="module")
def relu():
    return reference(RELU, networks=100)


def test_other_networks_lie_in_the_range_as_often_as_it_says(relu):
    """Of 100 further networks 95 are expected within; 88 is four standard deviations of both draws away."""
    other = reference(Run(**{**RELU.__dict__, "width": 32}), networks=200).values
    other = other[other["seed"] >= FIRST_SEED + 100]
    table = relu.table().set_index(["layer", "measure"])
    for layer in (1, 6):
        low, high = table.loc[(layer, "delta_norm"), ["low", "high"]]
        drawn = other.loc[other["layer"] == layer, "delta_norm"]
        assert 0.85 <= ((drawn >= low) & (drawn <= high)).mean() <= 1
        assert (
            (drawn >= low) & (drawn <= (low + high) / 4)
        ).mean() < 0.85  # a narrower range does not hold them


def test_the_median_is_theorys(relu):
    theory = predicted("relu", 6, 32, RELU.dataset, "he_normal", "zeros", "none", 0.0, RELU.loss)
    table = relu.table().set_index(["layer", "measure"])
    for layer in range(1, 7):
        measured = table.loc[(layer, "delta_norm"), "median"]
        assert measured == pytest.approx(
            theory.centre("delta_norm")[layer - 1], rel=0.25
        )  # 100 nets of width 32


def test_a_percentile_is_where_a_value_lies(relu):
    drawn = np.sort(relu.values.loc[relu.values["layer"] == 3, "delta_norm"])
    assert relu.percentile("delta_norm", 3, drawn[0] / 2) == 0
    assert relu.percentile("delta_norm", 3, drawn[-1] * 2) == 1
    assert relu.percentile("delta_norm", 3, drawn[49]) == pytest.approx(0.495)


def test_healthy_and_ill_settings_are_called_so(relu):
    assert "That is healthy" in relu.verdict
    assert "the gradient vanishes" in reference(SIGMOID, networks=20).verdict
    large = Run(**{**RELU.__dict__, "init": "scaled_normal(gain=8)"})
    assert "the gradient explodes" in reference(large, networks=20).verdict
    assert "fewer than two" in reference(Run(**{**RELU.__dict__, "depth": 1}), networks=2).verdict


def test_the_healthy_range_is_three_e_folds_and_twice_the_spread_over_networks():
    """C of ReLU is 5 and a line's 2 (`closed_forms.spread`)."""
    low, high = healthy_ratio("relu", 21, 100)
    assert high == pytest.approx(exp(3 + (5 * 20 / 100) ** 0.5))
    assert low == pytest.approx(1 / high)
    assert healthy_ratio("identity", 1, 10)[1] == pytest.approx(exp(3))
