"""Products by blocks are the product, and of one run whatever stands beside it."""

import numpy as np
import pytest

from mlp.products import product, product_transposed

# (B, k, n), below and above what is multiplied at once
SHAPES = [(1, 1, 1), (5, 4, 3), (128, 64, 64), (64, 64, 10), (128, 1, 64), (700, 64, 64), (300, 200, 200),
          (2048, 100, 100), (33, 400, 400)]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_products_are_the_product(shape, shared, dtype, rng):
    examples, k, n = shape
    x = rng.normal(size=(1 if shared else 3, examples, k)).astype(dtype)
    w = rng.normal(size=(3, k, n)).astype(dtype)
    straight = np.full((3, examples, n), np.nan, dtype)
    product(x, w, straight)
    transposed = np.full((3, examples, n), np.nan, dtype)
    product_transposed(np.broadcast_to(x, (3, examples, k)), w.mT.copy(), transposed, np.empty_like(w))
    exact = x.astype(np.float64) @ w.astype(np.float64)
    bound = 8 * np.finfo(dtype).eps * np.sqrt(k) * abs(exact).max()  # k roundings in a random order
    for got in (straight, transposed):
        np.testing.assert_allclose(got, exact, rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_run_is_the_same_bits_alone(shape, dtype, rng):
    examples, k, n = shape
    x, w = (rng.normal(size=(3, *rest)).astype(dtype) for rest in ((examples, k), (k, n)))
    wt = w.mT.copy()

    def both(runs):
        out = np.empty((2, len(w[runs]), examples, n), dtype)
        product(x[runs], w[runs], out[0])
        product_transposed(x[runs], wt[runs], out[1], np.empty_like(w[runs]))
        return out

    together = both(slice(None))
    for r in range(3):
        assert np.array_equal(both(slice(r, r + 1))[:, 0], together[:, r])
