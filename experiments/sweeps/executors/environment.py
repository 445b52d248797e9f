"""The environment in which a worker's numbers are this process's."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def of_worker() -> dict[str, str]:
    """Environment in which a worker's numbers are this process's, bit for bit.

    OpenBLAS reads its threads and its kernels when NumPy is first imported; left to itself it might choose
    other kernels than here, where it may have been asked otherwise.
    """
    from threadpoolctl import threadpool_info

    kernels = {pool["architecture"] for pool in threadpool_info() if pool["internal_api"] == "openblas"}
    chosen = {"OPENBLAS_CORETYPE": kernels.pop()} if len(kernels) == 1 else {}
    path = os.pathsep.join(folder for folder in sys.path if folder)
    return dict.fromkeys(ONE_THREAD, "1") | chosen | {"PYTHONPATH": path}


@contextlib.contextmanager
def environment(changes: dict[str, str]) -> Iterator[None]:
    """Variables set for a while, for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
