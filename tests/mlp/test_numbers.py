"""Norms, counts and moments over the whole range of the number format, against plain sums."""

import numpy as np
import pytest

from mlp.numbers import FIRST, column_norms, count, ever, frobenius, moments, share

DTYPES = [np.float32, np.float64]

# -- the norm -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 5), (3, 4, 5), (1, 1, 1), (2, 300, 100)], ids=str)
def test_frobenius_is_the_root_of_the_sum_of_squares(shape, dtype, rng):
    x = rng.normal(size=shape).astype(dtype)
    expected = [np.sqrt(sum(float(each) ** 2 for each in row.ravel())) for row in x]
    norm = frobenius(x)
    assert norm.dtype == np.float64
    rtol = 1e-13 if dtype == np.float64 else 5e-7  # squares of float32 are summed in float32 by chunks
    np.testing.assert_allclose(norm, expected, rtol=rtol)


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-200, 1e-160, 1e-30, 1.0, 1e150, 1e200, 1e306])
def test_frobenius_has_no_false_zero_and_no_overflow(size):
    """Squares leave float64 at 1e-162 and 1e154; the plain norm is then 0 or inf."""
    norm = frobenius(np.full((1, 4, 4), size))[0]
    assert norm == pytest.approx(4 * size, rel=1e-15)


def test_frobenius_of_float32_below_where_its_squares_are_zero():
    tiny = np.full((1, 25), 1e-30, np.float32)
    assert np.linalg.norm(tiny) == 0  # what others report
    assert frobenius(tiny)[0] == pytest.approx(5e-30, rel=1e-6)


def test_frobenius_of_runs_of_any_size_beside_each_other():
    x = np.zeros((5, 2, 2))
    x[1], x[2], x[3, 0, 0], x[4, 1, 1] = 1e-200, 1.0, np.inf, np.nan
    np.testing.assert_allclose(frobenius(x), [0, 2e-200, 2, np.inf, np.nan], rtol=1e-15)


@pytest.mark.parametrize("size", [5e-324, 1e-200, 1.0, 1e200])
def test_column_norms_have_no_false_zero_and_no_overflow(size):
    x = np.zeros((2, 4, 3))
    x[1, :, 2] = size
    assert column_norms(x)[1, 2] == pytest.approx(2 * size, rel=1e-15)
    assert np.count_nonzero(column_norms(x)) == 1


def test_counts_and_shares_are_those_of_a_loop(rng):
    mask = rng.random((3, 7, 5)) < 0.4
    by_example = [[sum(map(bool, row)) for row in block] for block in mask]
    assert count(mask).tolist() == by_example
    assert count(mask & False).tolist() == [[0] * 7] * 3
    assert share(mask).tolist() == [sum(map(sum, block)) / 35 for block in mask.tolist()]
    assert share(mask[:, 0]).tolist() == [sum(row) / 5 for row in mask[:, 0].tolist()]


@pytest.mark.parametrize("rows", [1, FIRST, FIRST + 1, 2 * FIRST, 5 * FIRST + 7])
def test_what_ever_occurs_in_a_column_is_found_in_whichever_row(rows, rng):
    """A column for each row, with a 1 in that row alone, and one of zeros; the second run has no 1 at all."""
    x = np.zeros((3, rows, rows + 1))
    x[0, :, :rows] = x[2, :, :rows] = np.eye(rows)[rng.permutation(rows)]
    found = ever(lambda block: block > 0, x)
    assert found.tolist() == [[True] * rows + [False], [False] * (rows + 1), [True] * rows + [False]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_moments_leave_what_they_measure_as_it_is(dtype, rng):
    """Also where it is float64 already, and where its rows do not lie side by side."""
    x = rng.normal(size=(2, 50, 9)).astype(dtype)
    before = x.copy()
    found = moments(x)
    assert np.array_equal(x, before)
    strided = np.ascontiguousarray(x.mT).mT
    np.testing.assert_array_equal(found, moments(strided))


@pytest.mark.parametrize("dtype", DTYPES)
def test_moments_are_taken_in_float64(dtype, rng):
    x = (rng.normal(size=(2, 50, 9)) + 1e3).astype(dtype)
    mean, variance, _ = moments(x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axis=(1, 2)), rtol=1e-14)
    np.testing.assert_allclose(variance, wide.var(axis=(1, 2)), rtol=1e-11)
