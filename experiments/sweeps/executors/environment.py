"""The environment variables with which a worker computes the same bits as this process."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def of_worker() -> dict[str, str]:
    """Return the environment with which a worker computes the same numbers as this process, bit for bit.

    OpenBLAS reads its number of threads and its kernels when NumPy is first imported. Without these
    variables a worker might choose other kernels than this process.
    """
    from threadpoolctl import threadpool_info

    kernels = {pool["architecture"] for pool in threadpool_info() if pool["internal_api"] == "openblas"}
    chosen = {"OPENBLAS_CORETYPE": kernels.pop()} if len(kernels) == 1 else {}
    path = os.pathsep.join(folder for folder in sys.path if folder)
    return dict.fromkeys(ONE_THREAD, "1") | chosen | {"PYTHONPATH": path}


@contextlib.contextmanager
def environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables, or remove them (None), for the processes that are started in the block."""
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
