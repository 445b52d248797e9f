"""Generated classes against scikit-learn's and against their own geometry."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.datasets import DATASETS, DataError, load
from experiments.datasets.generators import GENERATORS
from mlp.registry import RegistryError


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


# A user's own ----------------------------------------------------------------------------------------------


@pytest.fixture
def own(monkeypatch):
    """Register a generator of a user's with this body; the tables are put back."""
    for table in (DATASETS, GENERATORS):
        monkeypatch.setitem(table, "of_mine", None)  # so that it is taken out at the end
        del table["of_mine"]

    def register(result, head="rng, *, n: int = 40, width: float = 1.0"):
        space = {"np": np, "__name__": "parts_of_mine", "GENERATORS": GENERATORS}
        exec(f"@GENERATORS\ndef of_mine({head}):\n    y = np.arange(40) % 2\n    return {result}", space)

    return register


def test_a_generator_of_a_user_is_a_data_set_at_once(own):
    own("width * np.column_stack([y, 1 - y]), y.astype(np.uint8)")
    found = load("of_mine(scale=none, test=0.25, width=3)")
    assert (found.classes, len(found.x), len(found.x_test)) == (2, 30, 10)
    np.testing.assert_array_equal(found.x[:, 0], 3.0 * found.y)
    with pytest.raises(DataError, match="n=3: must be from 4"):
        load("of_mine(n=3)")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("1 / 0, y", r"^data set of_mine fails \(<string>, line 4\): ZeroDivisionError: division by zero$"),
        ("y", "^data set of_mine fails: ValueError: too many values"),
        ("y, y", r"^of_mine: x, int64 of shape \(40,\), is not \(40, features\) finite numbers$"),
        ("np.full((40, 2), np.nan), y", "is not .* finite numbers"),
        ("np.full((40, 2), 'a'), y", "x, <U1 of shape"),
        ("np.ones((40, 2)), y / 2", r"^of_mine: y, float64 of shape \(40,\), is not \(40,\) classes"),
        ("np.ones((40, 2)), y - 1", "classes, counted from 0"),
        ("np.ones((40, 2)), y[:7]", r"y, int64 of shape \(7,\)"),
    ],
)
def test_what_is_no_data_set_is_refused_in_a_line(own, result, said):
    own(result)
    with pytest.raises(DataError, match=said):
        load("of_mine")


def test_a_generator_needs_a_size_and_a_name_of_its_own(own):
    with pytest.raises(RegistryError, match="'of_mine' needs an option n, as in n: int = 1000"):
        own("y, y", head="rng, *, count: int = 40")
    space = {"GENERATORS": GENERATORS, "__name__": "parts_of_mine"}
    with pytest.raises(RegistryError, match="dataset 'moons' is this project's own"):
        exec("@GENERATORS\ndef moons(rng, *, n: int = 40):\n    return None", space)
