"""Losses: their value by the textbook, their gradient by three other ways, their scale, their extremes."""

from math import log

import naive
import numpy as np
import pytest
from autograd import grad

from experiments.verification import forward as autodiff
from mlp.losses import LOSSES, accuracy

DTYPES = [np.float32, np.float64]
LABELS = np.array([[0, 2, 1, 2], [1, 1, 0, 2]])


def logits(rng, runs=2, examples=4, classes=3, scale=2.0):
    return rng.normal(scale=scale, size=(runs, examples, classes))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_gradient_is_the_central_difference_of_every_logit(name, rng):
    z, h = logits(rng), 1e-5
    _, gradient = LOSSES[name](z.copy(), LABELS)
    for place in np.ndindex(z.shape):
        nudge = np.zeros_like(z)
        nudge[place] = h
        ahead, back = (LOSSES[name](z + sign * nudge, LABELS)[0] for sign in (1, -1))
        slope = (ahead - back) / (2 * h)  # h² and 1e-16/h are both 1e-10
        assert slope[place[0]] == pytest.approx(gradient[place], rel=1e-6, abs=1e-9)
        assert slope[1 - place[0]] == 0, "the other run's loss has moved"


@pytest.mark.parametrize("name", sorted(naive.LOSSES))
def test_value_and_gradient_are_the_textbooks(name, rng):
    z = logits(rng)
    value, gradient = LOSSES[name](z.copy(), LABELS)
    for r in range(2):
        expected = naive.LOSSES[name](z[r].tolist(), LABELS[r].tolist())
        assert value[r] == pytest.approx(expected[0], rel=1e-13)
        np.testing.assert_allclose(gradient[r], expected[1], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", sorted(autodiff.LOSSES))
def test_gradient_is_autograds(name, rng):
    z, one_hot = logits(rng), np.eye(3)[LABELS]
    _, gradient = LOSSES[name](z.copy(), LABELS)
    for r in range(2):
        expected = grad(lambda each, r=r: autodiff.LOSSES[name](each, one_hot[r]))(z[r])
        np.testing.assert_allclose(gradient[r], expected, rtol=1e-10, atol=1e-14)


def test_known_values():
    z = np.zeros((1, 5, 4))
    y = np.array([[0, 1, 2, 3, 0]])
    assert LOSSES["softmax_cross_entropy"](z, y)[0] == pytest.approx(log(4))  # nats
    assert LOSSES["sigmoid_cross_entropy"](z, y)[0] == pytest.approx(4 * log(2))  # summed over classes
    assert LOSSES["mean_squared_error"](z, y)[0] == pytest.approx(1 / 4)  # the mean over them, no ½


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_loss_is_a_mean_over_examples(name, rng):
    """Twice the same batch is the same loss, and half the gradient for each copy."""
    z = logits(rng)
    value, gradient = LOSSES[name](z.copy(), LABELS)
    twice, halves = LOSSES[name](np.concatenate([z, z], axis=1), np.concatenate([LABELS, LABELS], axis=1))
    np.testing.assert_allclose(twice, value, rtol=1e-14)
    np.testing.assert_allclose(halves[:, :4], gradient / 2, rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_one_row_of_labels_serves_all_runs(name, dtype, rng):
    z = logits(rng).astype(dtype)
    shared = LOSSES[name](z.copy(), LABELS[:1])
    repeated = LOSSES[name](z.copy(), np.repeat(LABELS[:1], 2, axis=0))
    for one, other in zip(shared, repeated, strict=True):
        assert np.array_equal(one, other)
    assert shared[1].dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("size", [0.0, 1e-30, 20.0, 90.0, 800.0, 1e15])
def test_stable_for_large_logits_without_a_warning(name, dtype, size):
    """pytest turns a warning into an error; the truth is worked out for a right and a wrong example."""
    z = np.array([[[size, -size]]], dtype)
    for label in (0, 1):
        value, gradient = LOSSES[name](z.copy(), np.array([[label]]))
        assert np.isfinite(value).all()
        assert np.isfinite(gradient).all()
        assert gradient.dtype == dtype
    wrong = {
        "softmax_cross_entropy": 2 * size,
        "sigmoid_cross_entropy": 2 * size,
        "mean_squared_error": size**2,
    }
    if size > 10 and name in wrong:
        assert value == pytest.approx(wrong[name], rel=0.2)
        assert LOSSES[name](z.copy(), np.array([[0]]))[0] <= value


def test_a_right_and_sure_example_has_almost_no_softmax_loss():
    """e⁻³⁰: three digits of it in the value, for 1 + e⁻³⁰ has no more, and all in the gradient."""
    z = np.array([[[30.0, 0.0]]])
    value, gradient = LOSSES["softmax_cross_entropy"](z.copy(), np.array([[0]]))
    assert value == pytest.approx(np.exp(-30), rel=1e-3)
    assert gradient[0, 0, 1] == pytest.approx(np.exp(-30), rel=1e-12)


def test_every_example_is_stable_at_its_own_level():
    """The largest logit of one example must not push those of another below every number."""
    z = np.array([[[1000.0, 999.0], [0.0, -1.0], [-1000.0, -1001.0]]])
    value, gradient = LOSSES["softmax_cross_entropy"](z.copy(), np.array([[0, 0, 0]]))
    assert value == pytest.approx(log(1 + np.exp(-1)))
    assert gradient == pytest.approx(np.full((1, 3, 2), [-1, 1]) / (1 + np.e) / 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_logit_that_is_no_number_makes_its_own_run_no_number(name, bad, rng):
    z = logits(rng)
    clean = LOSSES[name](z.copy(), LABELS)
    z[1] = bad
    with np.errstate(all="ignore"):
        value, gradient = LOSSES[name](z.copy(), LABELS)
    assert not np.isfinite(value[1])
    assert value[0] == clean[0][0]
    assert np.array_equal(gradient[0], clean[1][0])


def test_accuracy_counts_the_largest_logit():
    z = np.array([[[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [3.0, 0.0], [np.nan, 1.0]]])
    with np.errstate(invalid="ignore"):
        assert accuracy(z, np.array([[1, 0, 0]])) == pytest.approx([2 / 3, np.nan], nan_ok=True)
    assert accuracy(z[:1], np.array([[0, 1, 0]])) == [0]
