"""Matrix products in the shapes that OpenBLAS is fast at."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mlp.activations import Array

# OpenBLAS (its AVX-512 kernels) does products of fewer multiplications than this without packing operands
# first. At n = 64 in float64 an example then takes 69 ns instead of 151. That path has a weak spot, x·wᵀ
# (112 ns), which is slower than copying wᵀ and then x·w (81 ns). With its AVX2 kernels neither matters much.
SMALL = 100**3
FEWEST_ROWS = 32  # a block of fewer rows is not worth its call


def product(x: Array, w: Array, out: Array) -> None:
    """out = x·w for (R or 1, B, k) and (R, k, n), by blocks of examples that stay SMALL."""
    blocks = _blocks(x.shape[-2], w.shape[-2] * w.shape[-1])
    if len(blocks) == 1:
        np.matmul(x, w, out=out)
        return
    for rows in blocks:
        np.matmul(x[:, rows], w, out=out[:, rows])


def product_transposed(x: Array, w: Array, out: Array, scratch: Array) -> None:
    """out = x·wᵀ for (R, B, n) and (R, k, n); scratch (R, n, k) takes the copy of wᵀ where that is faster."""
    blocks = _blocks(x.shape[-2], w.shape[-2] * w.shape[-1])
    if len(blocks) == 1 and x.shape[-2] * w.shape[-2] * w.shape[-1] > SMALL:
        np.matmul(x, w.mT, out=out)
        return
    np.copyto(scratch, w.mT)
    product(x, scratch, out)


@lru_cache
def _blocks(examples: int, size: int) -> tuple[slice, ...]:
    """Equal cuts of the examples such that each product stays SMALL; one block where that cuts too fine."""
    most = SMALL // size
    if most < FEWEST_ROWS or examples <= most:
        return (slice(None),)
    count = -(-examples // most)
    ends = [examples * i // count for i in range(count + 1)]
    return tuple(slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True))
