"""The few examples that stand for all of a data set: their weights, their pairs, their centring."""

import numpy as np
import pytest

from experiments.theory import Inputs, predict
from experiments.theory.inputs import EXAMPLES


def test_chosen_examples_keep_every_class_and_its_square(digits, inputs):
    size = np.square(digits.x).mean(axis=1)
    assert inputs.total == len(digits.x)
    assert len(inputs.weights) <= EXAMPLES + digits.classes
    for label in range(digits.classes):
        mine = inputs.y == label
        assert inputs.weights[mine].sum() == (digits.y == label).sum()
        squares = np.diag(inputs.gram)[mine]
        assert squares @ inputs.weights[mine] == pytest.approx(size[digits.y == label].sum())


def test_pairs_count_every_pair_once(inputs):
    n = inputs.total
    assert inputs.pairs.sum() == pytest.approx(n * n, rel=1e-9)
    np.testing.assert_allclose(inputs.pairs.sum(axis=1), n * inputs.weights, rtol=1e-9)
    np.testing.assert_array_equal(np.diag(inputs.pairs), inputs.weights)
    np.testing.assert_allclose(inputs.pairs, inputs.pairs.T)


def test_products_have_the_mean_and_mean_square_of_all_pairs(rng):
    """Of uncorrelated inputs, whose N² products add up to as much as the N squares: class by class."""
    x, y = rng.standard_normal((400, 30)), np.arange(400) % 4
    found = Inputs.measured(x, y, 4)
    for a in range(4):
        for b in range(4):
            here = np.ix_(found.y == a, found.y == b)
            products = x[y == a] @ x[y == b].T / 30
            assert (found.pairs[here] * found.gram[here]).sum() == pytest.approx(products.sum(), rel=1e-9)
            squares = (found.pairs[here] * found.gram[here] ** 2).sum()
            # one input's own square is that of a bin of ten
            assert squares == pytest.approx(np.square(products).sum(), rel=0.02)


def test_all_examples_stand_for_themselves(rng):
    x, y = rng.standard_normal((40, 7)), np.arange(40) % 3
    every = Inputs.measured(x, y, 3, examples=10**6)
    np.testing.assert_allclose(every.pairs, 1, rtol=1e-9)
    assert np.linalg.norm(every.gram) == pytest.approx(np.linalg.norm(x @ x.T / 7))
    centred = x - x.mean(axis=0)
    assert np.linalg.norm(every.centred(every.gram)) == pytest.approx(np.linalg.norm(centred @ centred.T / 7))


def test_few_examples_of_many_classes_are_not_kept_apart(rng):
    x, y = rng.standard_normal((300, 5)), np.arange(300) % 100
    found = Inputs.measured(x, y, 100)
    assert (found.strata == 0).all()
    assert found.pairs.sum() == pytest.approx(300**2)
    assert predict("tanh", 2, 32, found).applies
