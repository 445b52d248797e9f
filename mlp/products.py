"""Matrix products in the shapes that OpenBLAS is fast at."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mlp.activations import Array

# OpenBLAS (its AVX-512 kernels) does products of fewer multiplications than this without packing operands
# first. At n = 64 in float64 that is 115 GFLOP/s instead of 80, so larger products are cut into such pieces.
# That path has two weak spots. x·wᵀ is one (72 GFLOP/s there), slower than copying wᵀ and then x·w (102).
# The other is a second operand whose rows lie a multiple of 512 bytes apart, as those of a float32 w with
# n = 128 do: they fall on the same few sets of the cache (157 GFLOP/s cut, 187 whole). Figures: batches of
# 128, stacks of 5.
#
# OpenBLAS' AVX2 kernels have no such path: pieces and copies take 3 to 30 % longer there. So on a processor
# without AVX-512 they are left out, in float64 always and in float32 where nothing would be cut: there every
# way gives the same bits. Cut products of float32 differ from whole ones in the last place.
SMALL = 100**3
FEWEST_ROWS = 32  # a piece of fewer rows is not worth its call
EVEN = 16  # rows a piece has a multiple of: what a kernel does at a time
CLASH = 512  # bytes


def _has_avx2_kernels() -> bool:
    """Return whether NumPy multiplies by OpenBLAS on a processor that has AVX2 and no AVX-512."""
    config = np.show_config(mode="dicts")
    vectors = config["SIMD Extensions"]
    found = {*vectors.get("baseline", ()), *vectors.get("found", ())}
    wide = any(name.startswith(("AVX512", "X86_V4")) for name in found)
    blas = str(config["Build Dependencies"]["blas"].get("name"))
    return "openblas" in blas and bool(found & {"AVX2", "X86_V3"}) and not wide


AVX2_KERNELS = _has_avx2_kernels()


def product(x: Array, w: Array, out: Array) -> None:
    """Write x·w to out, for (R or 1, B, k) and (R, k, n)."""
    pieces = _pieces(x.shape[-2], w.shape[-2] * w.shape[-1])
    if len(pieces) == 1 or _needs_no_cut(w) or (w.itemsize == 4 and _clashes(w.shape[-1], 4)):
        np.matmul(x, w, out=out)
        return
    for rows in pieces:
        np.matmul(x[:, rows], w, out=out[:, rows])


def product_of_transposed(x: Array, delta: Array, out: Array) -> None:
    """Write xᵀ·delta to out, for (R or 1, B, k) and (R, B, n)."""
    pieces = _pieces(x.shape[-1], delta.shape[-2] * delta.shape[-1])
    if len(pieces) == 1 or _needs_no_cut(delta):
        np.matmul(x.mT, delta, out=out)
        return
    for rows in pieces:
        np.matmul(x[:, :, rows].mT, delta, out=out[:, rows])


def product_transposed(x: Array, w: Array, out: Array, scratch: Array) -> None:
    """Write x·wᵀ to out, for (R, B, n) and (R, k, n); scratch (R, n, k) takes wᵀ where that is faster."""
    examples, (k, n) = x.shape[-2], w.shape[-2:]
    small = examples * k * n <= SMALL
    whole = len(_pieces(examples, k * n)) == 1 or _clashes(k, w.itemsize)
    if _needs_no_cut(w) or (AVX2_KERNELS if small else whole):
        np.matmul(x, w.mT, out=out)
        return
    np.copyto(scratch, w.mT)
    product(x, scratch, out)


def _needs_no_cut(x: Array) -> bool:
    """Return whether a whole product is faster and, to the last bit, the one that pieces give."""
    return AVX2_KERNELS and x.itemsize == 8


def _clashes(n: int, itemsize: int) -> bool:
    """Return whether rows of n numbers lie so far apart that they share sets of the cache."""
    return n * itemsize % CLASH == 0


@lru_cache
def _pieces(rows: int, size: int) -> tuple[slice, ...]:
    """Return slices of the rows such that rows·size stays under SMALL; one slice where they were too fine."""
    most = SMALL // size
    if most < FEWEST_ROWS or rows <= most:
        return (slice(None),)
    count, units = -(-rows // (most // EVEN * EVEN)), -(-rows // EVEN)
    ends = [min(units * i // count * EVEN, rows) for i in range(count + 1)]
    return tuple(slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True))
