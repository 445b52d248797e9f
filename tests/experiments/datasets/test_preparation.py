"""How examples are divided, ordered and scaled; above all, that test data changes nothing."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.datasets.preparation import Parts, Preparation, fair_order, held_out
from experiments.datasets.readers import DataError

SCALES = ["standard", "overall", "sphere", "unit", "range", "symmetric", "none"]


@pytest.fixture
def parts(rng):
    """Two hundred examples of five features of very different size, the last of them constant."""
    x = rng.normal([0, 3, -2, 1000, 7], [1, 10, 0.1, 300, 0], (250, 5))
    y = rng.integers(0, 3, 250)
    x[200:] += 5  # the test part is another kind, constant feature included
    return Parts(x[:200], y[:200], x[200:], y[200:], 3)


def apply(parts: Parts, scale: str, shift: float = 0.0):
    return Preparation(scale, shift, 0).apply(parts)


# Scaling


def test_standard_is_scikit_learns_and_a_constant_feature_becomes_zero(parts):
    from sklearn.preprocessing import StandardScaler

    x, x_test = apply(parts, "standard")
    scaler = StandardScaler().fit(parts.x[:, :4])
    np.testing.assert_allclose(x[:, :4], scaler.transform(parts.x[:, :4]), rtol=0, atol=1e-12)  # rounding
    np.testing.assert_allclose(x_test[:, :4], scaler.transform(parts.x_test[:, :4]), rtol=0, atol=1e-12)
    assert not x[:, 4].any()
    assert not x_test[:, 4].any()


@pytest.mark.parametrize("scale", ["standard", "unit"])
@pytest.mark.parametrize(
    ("low", "high"), [(0.3, 0.1 * 3), (1e16, 1e16 + 2), (-1e300, np.nextafter(-1e300, 0)), (5e-324, 5e-324)]
)
def test_a_feature_that_is_constant_but_for_rounding_becomes_zero(scale, low, high):
    x = np.where(np.arange(40) % 3 == 0, low, high)[:, None]
    scaled, tested = apply(Parts(x[:30], np.zeros(30, int), x[30:] * 1.5, np.zeros(10, int), 1), scale)
    assert not scaled.any()
    assert not tested.any()


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9, 1e12, -1e14])
def test_a_small_spread_far_from_zero_is_still_standard(rng, offset):
    """Against the mean and deviation of whole numbers, which Python keeps exactly."""
    steps = rng.integers(0, 50, 300)
    exact = [int(step) for step in steps]
    mean = sum(exact) / 300
    deviation = (sum((step - mean) ** 2 for step in exact) / 300) ** 0.5
    x = (offset + steps)[:, None]  # whole numbers, so that adding the offset rounds nothing
    scaled, _ = apply(Parts(x, np.zeros(300, int), x[:5], np.zeros(5, int), 1), "standard")
    np.testing.assert_allclose(scaled[:, 0], (steps - mean) / deviation, rtol=0, atol=1e-9)
    assert abs(scaled.mean()) < 1e-9
    assert scaled.std() == pytest.approx(1, abs=1e-9)


def test_overall_has_mean_zero_and_mean_square_one(parts):
    x, x_test = apply(parts, "overall")
    assert x.mean() == pytest.approx(0, abs=1e-15)
    assert np.square(x).mean() == pytest.approx(1, rel=1e-14)
    np.testing.assert_allclose(
        x_test, (parts.x_test - parts.x.mean()) / parts.x.std(), rtol=1e-12, atol=1e-12
    )


def test_sphere_has_mean_square_one_for_every_example_and_keeps_directions(parts):
    directions = apply(parts, "overall")
    for part, direction in zip(apply(parts, "sphere"), directions, strict=True):
        np.testing.assert_allclose(np.square(part).mean(axis=1), 1, rtol=1e-14)
        np.testing.assert_allclose(part / part[:, :1], direction / direction[:, :1], rtol=1e-12)


def test_sphere_leaves_an_example_without_direction_at_the_middle():
    x = np.array([[1.0, 1.0], [3.0, 3.0], [2.0, 2.0]])  # the last is the mean
    assert Preparation("sphere", 0.0, 0).apply(Parts(x, np.array([0, 1, 1]), x, np.array([0, 1, 1]), 2))[0][
        2
    ].tolist() == [0, 0]


def test_unit_spans_zero_to_one_on_the_training_part(parts):
    x, x_test = apply(parts, "unit")
    assert x[:, :4].min(axis=0).tolist() == [0] * 4
    assert x[:, :4].max(axis=0).tolist() == [1] * 4
    assert x_test.max() > 1
    assert not x[:, 4].any()


@pytest.mark.parametrize(("scale", "low"), [("range", 0.0), ("symmetric", -1.0)])
def test_range_and_symmetric_keep_features_in_proportion(parts, scale, low):
    x, x_test = apply(parts, scale)
    assert (x.min(), x.max()) == pytest.approx((low, 1.0), abs=1e-15)
    step = (1 - low) / (parts.x.max() - parts.x.min())
    np.testing.assert_allclose(x - x[:1], step * (parts.x - parts.x[:1]), rtol=0, atol=1e-12)  # rounding
    np.testing.assert_allclose(x_test - x[:1], step * (parts.x_test - parts.x[:1]), rtol=0, atol=1e-12)


def test_none_changes_no_number(parts):
    for given_part, part in zip((parts.x, parts.x_test), apply(parts, "none"), strict=True):
        np.testing.assert_array_equal(part, given_part)


@pytest.mark.parametrize("scale", SCALES)
def test_shift_moves_every_input_and_nothing_else(parts, scale):
    for still, moved in zip(apply(parts, scale), apply(parts, scale, shift=1.5), strict=True):
        np.testing.assert_array_equal(moved, still + 1.5)


def test_an_alternating_shift_moves_every_second_feature_the_other_way(parts):
    still = apply(parts, "none")[0]
    moved = Preparation("none", 2.0, 0, alternate=True).apply(parts)[0]
    for feature in range(still.shape[1]):
        np.testing.assert_allclose(moved[:, feature], still[:, feature] + 2.0 * (-1) ** feature, rtol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_test_data_changes_nothing(parts, scale):
    others = parts._replace(x_test=parts.x_test[:7] * 1e6 - 3)
    assert apply(parts, scale)[0].tobytes() == apply(others, scale)[0].tobytes()


@pytest.mark.parametrize("scale", SCALES)
def test_the_arrays_given_are_left_alone(parts, scale):
    before = parts.x.copy(), parts.x_test.copy()
    x, x_test = apply(parts, scale)
    np.testing.assert_array_equal(parts.x, before[0])
    np.testing.assert_array_equal(parts.x_test, before[1])
    assert not np.shares_memory(x, parts.x)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, ">f8"])
def test_result_is_float64_in_rows_whatever_came_in(rng, scale, dtype):
    x = np.asfortranarray(rng.integers(0, 255, (20, 3)).astype(dtype))
    for part in apply(Parts(x, np.arange(20) % 2, x, np.arange(20) % 2, 2), scale):
        assert part.dtype == np.float64
        assert part.flags.c_contiguous


@pytest.mark.parametrize("scale", SCALES)
def test_inputs_that_are_all_the_same_become_zero(scale):
    x = np.full((4, 2), 0.1)  # whose mean is not 0.1 to the last bit
    parts = Parts(x, np.array([0, 1, 0, 1]), x, np.array([0, 1, 0, 1]), 2)
    expected = 0.1 if scale == "none" else 0.0
    assert np.unique(apply(parts, scale)[0]) == [expected]


@pytest.mark.parametrize("values", [[1e308, -1e308], [1e200, 0.0], [5e-324, 0.0]])
def test_numbers_beyond_scaling_are_refused(values):
    x = np.array(values)[:, None]
    with pytest.raises(DataError, match="too large or too small to be scaled"):
        apply(Parts(x, np.array([0, 1]), x, np.array([0, 1]), 2), "standard")


# Dividing


@given(
    y=st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array),
    seed=st.integers(0, 2**64),
    share=st.floats(0, 1),
)
def test_any_first_part_of_a_fair_order_is_fair(y, seed, share):
    order = fair_order(y, Preparation("none", 0.0, seed).rng("split"))
    assert sorted(order) == list(range(len(y)))
    first = round(share * len(y))
    found, whole = Counter(y[order[:first]].tolist()), Counter(y.tolist())
    for label, size in whole.items():
        assert abs(found[label] - size * first / len(y)) <= 1 + 1e-9  # counts are whole


def test_those_that_stand_level_are_mixed():
    y = np.arange(1000) % 2
    order = fair_order(y, Preparation("none", 0.0, 0).rng("split"))
    assert 200 < np.count_nonzero(y[order[::2]]) < 300  # of 500 pairs; 4.5 deviations either way


@given(n=st.integers(2, 300), test=st.floats(0.01, 0.99), seed=st.integers(0, 2**64))
def test_division_loses_and_doubles_nothing(n, test, seed):
    number = int(np.ceil(round(test * n, 9)))
    if not 1 <= number < n:
        with pytest.raises(DataError):
            held_out(test, n)
        return
    x, y = np.arange(n)[:, None], np.arange(n) % 2
    parts = Preparation("none", 0.0, seed).divide(x, y, test)
    assert len(parts.x_test) == held_out(test, n) == number
    assert sorted([*parts.x[:, 0], *parts.x_test[:, 0]]) == list(range(n))
    assert (parts.y == parts.x[:, 0] % 2).all()
    assert (parts.y_test == parts.x_test[:, 0] % 2).all()


LITERAL = [5, 10, 0, 8, 2, 4, 3, 9, 7, 1, 11, 6]


def test_division_is_settled_by_its_seed_alone():
    """The literal guards stored results: another order, of NumPy's or ours, is another experiment."""
    x, y = np.arange(12)[:, None], np.repeat([0, 1, 2], 4)
    np.random.default_rng(1).random()
    parts = Preparation("none", 0.0, 7).divide(x, y, 0.25)
    assert [*parts.x_test[:, 0], *parts.x[:, 0]] == LITERAL
    other = Preparation("none", 0.0, 8).divide(x, y, 0.25)
    assert [*other.x_test[:, 0], *other.x[:, 0]] != LITERAL


@pytest.mark.parametrize(
    ("test", "n", "number"), [(0.2, 1797, 360), (0.07, 100, 7), (0.5, 3, 2), (0.1, 2, 1)]
)
def test_a_share_is_rounded_up(test, n, number):
    assert held_out(test, n) == number


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: held_out(0.9, 5), "test=0.9: leaves 0 of 5 examples to train on, 5 to test"),
        (lambda: held_out(0.0, 5), "test=0.0: leaves 5 of 5 examples to train on, 0 to test"),
    ],
)
def test_options_out_of_range(act, said):
    with pytest.raises(DataError) as error:
        act()
    assert str(error.value) == said
