"""What goes forward and back through the same weights, in theory and in networks."""

import dataclasses

import numpy as np
import pytest
from measured_nets import NORMS, measured

from experiments.theory import Inputs, kernels, predict


def linear_squared_error(rng, width=24, depth=5):
    """A linear net under squared error: dLoss/dlogits is 2(z − t)/C, and z came through the same weights."""
    x, y = rng.standard_normal((40, 32)), np.arange(40) % 10
    options = {"init": "he_normal", "loss": "mean_squared_error"}
    found = measured("identity", depth, width, x, y, 10, range(200), **options)["delta_norm"]
    inputs = Inputs.measured(x, y, 10, examples=40)
    return np.log(found).mean(axis=0), lambda: predict("identity", depth, width, inputs, **options)


def test_a_gradient_that_depends_on_its_weights_is_larger(rng, monkeypatch):
    """C/n of its square a layer: 5 layers of 24 units nearly triple it. 200 nets err by 0.04."""
    found, expected = linear_squared_error(rng)
    np.testing.assert_allclose(found - expected().logs["delta_norm"], 0, atol=0.15)
    plain = kernels.output_of

    def unbent(*given):
        output = plain(*given)
        return dataclasses.replace(output, bend=0 * output.bend)

    monkeypatch.setattr("experiments.theory.prediction.output_of", unbent)
    assert (found - expected().logs["delta_norm"])[0] > 0.3


def test_many_examples_of_few_units_are_alike_by_chance(rng, monkeypatch):
    """N ≫ n uncorrelated inputs: the kernel's chance fluctuations add up to more than half of ‖dw‖²."""
    x, y = rng.standard_normal((400, 48)), np.arange(400) % 10
    found = measured("tanh", 2, 24, x, y, 10, range(30), init="scaled_normal")["dw_norm"]
    inputs = Inputs.measured(x, y, 10)
    p = predict("tanh", 2, 24, inputs, init="scaled_normal")
    off = np.log(found).mean(axis=0) - p.logs["dw_norm"]
    np.testing.assert_allclose(off, 0, atol=0.15)
    monkeypatch.setattr("experiments.theory.columns.pair_noise", lambda layers: [0 * inputs.gram] * 3)
    bare = predict("tanh", 2, 24, inputs, init="scaled_normal").logs["dw_norm"]
    assert (np.log(found).mean(axis=0) - bare)[1:].min() > 0.25


def test_orthogonal_weights_of_a_linear_net_let_nothing_stray(rng):
    x, y = rng.standard_normal((12, 64)), np.arange(12) % 10
    options = {"init": "orthogonal", "loss": "softmax_cross_entropy"}
    found = np.log(measured("identity", 6, 64, x, y, 10, range(5), **options)["delta_norm"])
    p = predict("identity", 6, 64, Inputs.measured(x, y, 10), **options)
    assert (found[:, 0] - found[:, 5]).std() < 1e-6
    assert p.first_to_last_sd() < 0.02  # the draws of the logits, and what shared weights may add
    free = predict("identity", 6, 64, Inputs.measured(x, y, 10), init="lecun_normal")
    assert free.first_to_last_sd() > 0.05


def test_few_logits_of_uniform_weights_stray_less_than_of_gaussian_ones(rng):
    """The last hidden layer's delta: half the variance of |delta·w|², as one class has most of delta."""
    x, y = rng.standard_normal((1, 32)), np.zeros(1, np.int64)
    for init in ("lecun_uniform", "lecun_normal"):
        found = measured("identity", 1, 32, x, y, 10, range(400), init=init)["delta_norm"][:, 0]
        p = predict("identity", 1, 32, Inputs.measured(x, y, 10), init=init)
        assert p.sds["delta_norm"][0] == pytest.approx(np.log(found).std(), rel=0.15)  # its error is 3.5 %


def test_the_sd_of_the_ratio_is_that_over_the_examples(digits):
    """Not that of one example, which is three times as much: strays of 200 examples average out."""
    x, y = digits.x[:200], digits.y[:200]
    found = measured("tanh", 6, 64, x, y, 10, range(60))["delta_norm"]
    p = predict("tanh", 6, 64, Inputs.measured(x, y, 10))
    sd = np.log(found[:, 0] / found[:, 5]).std(ddof=1)
    assert sd == pytest.approx(p.first_to_last_sd(), rel=0.3)  # its own error is 9 %
    one = predict("tanh", 6, 64, Inputs.one(64, 10))
    assert one.first_to_last_sd() > 2 * sd


def test_the_linear_classifier_is_predicted_from_all_its_examples(rng):
    """Depth 0: one layer, whose gradient is exact sums over examples for logits ~ N(0, gram)."""
    x, y = rng.standard_normal((60, 20)), np.arange(60) % 4
    p = predict("relu", 0, 8, Inputs.measured(x, y, 4, examples=10**6))
    found = measured("relu", 0, 8, x, y, 4, range(200))
    for column in NORMS:
        error = 4 * p.sds[column] * np.sqrt(1 / 200 + 1 / 64)  # 64 draws of the logits; seeds
        assert np.log(found[column]).mean() == pytest.approx(p.logs[column][0], abs=error[0] + 0.01)
