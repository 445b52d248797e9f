"""The threads of NumPy's matrix products."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def blas() -> Any:
    """Return what limits the BLAS threads of this process; finding the library costs 3 ms."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
