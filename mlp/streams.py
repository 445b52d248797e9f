"""Random streams keyed by what they are for, so that no number depends on a worker, a stack or an order."""

from __future__ import annotations

from zlib import crc32

import numpy as np


def stream(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Return the generator of one run's (purpose, index); equal keys give equal streams anywhere."""
    return np.random.default_rng(np.random.SeedSequence([seed, crc32(purpose.encode()), index]))
