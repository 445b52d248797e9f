"""Generated classes against scikit-learn's and against their own geometry."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.datasets.generators import GENERATORS


def draw(name: str, rng, **options):
    return GENERATORS[name](rng, **options)


@pytest.mark.parametrize("n", [4, 101, 1000])
def test_circles_and_moons_are_scikit_learns(rng, n):
    from sklearn.datasets import make_circles, make_moons

    for (x, y), theirs in (
        (draw("circles", rng, n=n, noise=0.0, factor=0.3), make_circles(n, shuffle=False, factor=0.3)),
        (draw("moons", rng, n=n, noise=0.0), make_moons(n, shuffle=False)),
    ):
        np.testing.assert_allclose(x, theirs[0], rtol=0, atol=1e-15)  # one rounding
        np.testing.assert_array_equal(y, theirs[1])


@pytest.mark.parametrize("name", GENERATORS)
def test_classes_are_balanced_and_draws_repeatable(name):
    x, y = draw(name, np.random.default_rng(1))
    counts = np.bincount(y)
    assert counts.max() - counts.min() <= 1
    assert (x.dtype, y.dtype, x.ndim, len(x)) == (np.float64, np.int64, 2, len(y))
    again, _ = draw(name, np.random.default_rng(1))
    other, _ = draw(name, np.random.default_rng(2))
    assert x.tobytes() == again.tobytes()
    assert x.tobytes() != other.tobytes()


@pytest.mark.parametrize("name", ["circles", "moons", "spirals", "xor", "blobs"])
def test_noise_is_normal_of_its_deviation(name):
    n = 4000
    still, _ = draw(name, np.random.default_rng(3), n=n, noise=0.0)
    noisy, _ = draw(name, np.random.default_rng(3), n=n, noise=0.5)
    off = noisy - still
    assert off.std() == pytest.approx(0.5, rel=0.05)  # the estimate's own deviation is 0.8 %
    assert np.abs(off.mean()) < 5 * 0.5 / np.sqrt(2 * n)


def test_spirals_wind_as_often_as_asked_and_never_meet(rng):
    x, y = draw("spirals", rng, n=900, noise=0.0, classes=3, turns=2.0)
    radius = np.hypot(*x.T)
    assert radius.max() == pytest.approx(1.0)
    for label in range(3):
        angle = np.unwrap(np.arctan2(*x[y == label].T[::-1]))
        assert (angle[-1] - angle[0]) / (2 * np.pi) == pytest.approx(2.0 * 299 / 300)
    at_middle = x[np.isclose(radius, 0.5)]
    apart = np.linalg.norm(at_middle[:, None] - at_middle, axis=-1)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(apart, 0.5 * np.sqrt(3))  # a third of a turn from each other


def test_xor_is_not_told_apart_by_either_coordinate_but_by_their_product(rng):
    x, y = draw("xor", rng, n=400, noise=0.0)
    assert set(map(tuple, x)) == {(-1, -1), (-1, 1), (1, -1), (1, 1)}
    np.testing.assert_array_equal(y, x[:, 0] * x[:, 1] < 0)
    assert np.abs(x.T @ (2 * y - 1)).max() == 0


def test_blobs_lie_around_a_centre_each(rng):
    x, y = draw("blobs", rng, n=600, noise=0.0, features=5, classes=4)
    centres = np.unique(x, axis=0)
    assert centres.shape == (4, 5)
    assert np.abs(centres).max() <= 10
    assert len({(tuple(point), label) for point, label in zip(x, y, strict=True)}) == 4


def test_gaussian_noise_says_nothing_of_its_labels(rng):
    x, y = draw("gaussian_noise", rng, n=5000, features=8, classes=4)
    means = np.array([x[y == label].mean(axis=0) for label in range(4)])
    assert np.abs(means).max() < 5 / np.sqrt(5000 / 4)  # five deviations of a mean of 1,250
    assert x.var() == pytest.approx(1, rel=0.05)
