"""How far a sum over pairs of examples strays: beside a Monte Carlo of Gaussian units."""

import numpy as np
import pytest

from experiments.theory.columns import _sampling, _spread
from experiments.theory.inputs import Inputs

UNITS, DRAWS = 150, 4000


def all_of_them(count):
    y = np.zeros(count, np.int64)
    return Inputs(np.eye(count), y, np.ones(count), y, count, 1)


@pytest.mark.parametrize("together", [0.0, 1.0, 3.0, np.inf])
def test_sizes_and_angles_of_examples_are_counted_once(together, rng):
    """Σ F·(z zᵀ) of examples that share 0 to all of their direction."""
    own, shared = rng.normal(size=(6, 3)), np.outer(rng.uniform(0.5, 2, 6), rng.normal(size=3))
    products = own + together * shared if np.isfinite(together) else shared
    products = products @ products.T
    factors = rng.uniform(0.5, 2, (6, 6))
    factors = factors + factors.T
    values, vectors = np.linalg.eigh(products)
    root = vectors * np.sqrt(np.maximum(values, 0))
    z = root @ rng.normal(size=(DRAWS, 6, UNITS))
    measured = np.log((factors * (z @ z.mT)).sum(axis=(1, 2))).var()

    inputs, size = all_of_them(6), np.sqrt(np.diag(products))
    cosines = products / np.outer(size, size)
    by_size = _spread(inputs, (factors * products).sum(axis=1), 2 * cosines**2 / UNITS)
    by_angle = _sampling(inputs, factors, products, np.full((6, 6), 1 / UNITS))
    # A variance of 4,000 draws errs by 2 %, and first order in 1/units by as much.
    assert by_size + by_angle == pytest.approx(measured, rel=0.1)
    assert (by_angle < 1e-12) == np.isinf(together)
    assert by_size < 0.9 * measured or together > 1  # else there is nothing for the angles to add
