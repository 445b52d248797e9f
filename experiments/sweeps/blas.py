"""The threads of NumPy's matrix products: one per process that trains, so that sums keep their order."""

from __future__ import annotations

from functools import cache
from typing import Any

from experiments.storage.makers import maker


@cache
def blas() -> Any:
    """Return what limits the BLAS threads of this process; finding the library costs 3 ms."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def maker_while_training() -> dict[str, str]:
    """Return this process as a maker, with the number of threads that it trains with."""
    with blas().limit(limits=1, user_api="blas"):
        return maker(blas().info())


def not_limited() -> str:
    """Return why NumPy's products may use other than one thread here; empty where one thread is sure.

    Then the last bits of a number may depend on the number of processes and on what else the machine does.
    """
    with blas().limit(limits=1, user_api="blas"):
        pools = [pool for pool in blas().info() if pool["user_api"] == "blas"]
    free = [
        f"{pool['internal_api']} keeps {pool['num_threads']}" for pool in pools if pool["num_threads"] != 1
    ]
    if pools and not free:
        return ""
    cause = f"{', '.join(free)} threads" if free else "no BLAS was found whose threads can be set"
    return (
        f"the matrix products cannot be limited to one thread here: {cause}. The last bits of a number may "
        "differ between --jobs 1 and --jobs 2; set OMP_NUM_THREADS=1 and VECLIB_MAXIMUM_THREADS=1 before the "
        "start, or install NumPy from PyPI"
    )
