"""Products by blocks are the product, and of one run whatever stands beside it."""

import numpy as np
import pytest

from mlp import products
from mlp.products import SMALL, _pieces, product, product_of_transposed, product_transposed

# (B, k, n), below and above what is multiplied at once
SHAPES = [(1, 1, 1), (5, 4, 3), (128, 64, 64), (64, 64, 10), (128, 1, 64), (700, 64, 64), (300, 200, 200),
          (2048, 100, 100), (33, 400, 400), (128, 128, 128), (100, 160, 160)]  # fmt: skip


def assert_product(got, left, right):
    """Within what as many roundings as there are terms do in a random order."""
    exact = left.astype(np.float64) @ right.astype(np.float64)
    bound = 8 * np.finfo(got.dtype).eps * np.sqrt(left.shape[-1]) * abs(exact).max()
    np.testing.assert_allclose(got, exact, rtol=0, atol=bound)


@pytest.mark.parametrize("avx2", [False, True], ids=["any kernels", "AVX2 kernels"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_product_is_the_product(shape, shared, dtype, avx2, rng, monkeypatch):
    monkeypatch.setattr(products, "AVX2_KERNELS", avx2)
    examples, k, n = shape
    x = rng.normal(size=(1 if shared else 3, examples, k)).astype(dtype)
    w, delta = (rng.normal(size=(3, *rest)).astype(dtype) for rest in ((k, n), (examples, n)))
    straight, transposed = np.full((2, 3, examples, n), np.nan, dtype)
    product(x, w, straight)
    product_transposed(np.broadcast_to(x, (3, examples, k)), w.mT.copy(), transposed, np.empty_like(w))
    assert_product(straight, x, w)
    assert_product(transposed, x, w)
    dw = np.full((3, k, n), np.nan, dtype)
    product_of_transposed(x, delta, dw)
    assert_product(dw, x.mT, delta)


def all_three(x, w, wt):
    """x·w, the product of that and wᵀ's transpose, and the gradient of w: each kind of product once."""
    out = np.empty((2, len(w), x.shape[-2], w.shape[-1]), w.dtype)
    product(x, w, out[0])
    product_transposed(x, wt, out[1], np.empty_like(w))
    dw = np.empty_like(w)
    product_of_transposed(x, out[0], dw)
    return *out, dw


@pytest.mark.parametrize("avx2", [False, True], ids=["any kernels", "AVX2 kernels"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_run_is_the_same_bits_alone(shape, dtype, avx2, rng, monkeypatch):
    monkeypatch.setattr(products, "AVX2_KERNELS", avx2)
    examples, k, n = shape
    x, w = (rng.normal(size=(3, *rest)).astype(dtype) for rest in ((examples, k), (k, n)))
    wt = w.mT.copy()
    together = all_three(x, w, wt)
    for r in range(3):
        only = slice(r, r + 1)
        for alone, beside in zip(all_three(x[only], w[only], wt[only]), together, strict=True):
            assert np.array_equal(alone[0], beside[r])


@pytest.mark.skipif(not products.AVX2_KERNELS, reason="this processor's kernels are not OpenBLAS' for AVX2")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_avx2_kernels_give_the_same_bits_without_pieces_and_copies(shape, dtype, rng, monkeypatch):
    """So a store is the same whether its numbers are from before or after they were left out."""
    examples, k, n = shape
    x, w = (rng.normal(size=(2, *rest)).astype(dtype) for rest in ((examples, k), (k, n)))
    wt = w.mT.copy()
    without = all_three(x, w, wt)
    monkeypatch.setattr(products, "AVX2_KERNELS", False)
    for ours, before in zip(without, all_three(x, w, wt), strict=True):
        assert np.array_equal(ours, before)


@pytest.mark.parametrize("rows", [33, 100, 128, 143, 1000, 1437])
@pytest.mark.parametrize("size", [64 * 64, 100 * 100, 128 * 128, 160 * 160, 170 * 170])
def test_pieces_are_all_rows_once_and_stay_small(rows, size):
    pieces = _pieces(rows, size)
    assert [i for piece in pieces for i in range(rows)[piece]] == list(range(rows))
    assert len(pieces) == 1 or max(piece.stop - piece.start for piece in pieces) * size <= SMALL
