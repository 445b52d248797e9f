"""One BLAS thread, repeatable draws, and a generator of its own for every test."""

import gc
import os
import sys
from collections.abc import Iterator
from zlib import crc32

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is imported, and for every process that a test starts

# Compiled tests are kept for the next run and for the processes that tests start, whatever the caller's
# habit: pytest rewrites 3,000 asserts, which is half of what collecting the suite takes.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

gc.set_threshold(50_000, 20, 10)  # searching for garbage after every 700 objects takes 6 % of all tests' time

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Keep thousands of collected tests out of every later search for garbage."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Also where a plugin has imported NumPy before this file was read."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """The same draws at every call of a test, others for every test and parameter."""
    return np.random.default_rng(crc32(request.node.nodeid.encode()))
