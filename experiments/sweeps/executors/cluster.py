"""A Dask cluster as an executor; the one place that knows Dask, which is the extra `cluster`."""

from __future__ import annotations

import concurrent.futures
import faulthandler
import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from functools import partial
from typing import Any

from experiments.config import ConfigError
from experiments.sweeps.executors.attempts import LONGEST_LIMIT
from experiments.sweeps.executors.environment import environment, of_worker

ANY_PORT = "127.0.0.1:0"  # without a dashboard too it serves pages, else on one port for all of a machine
ANSWER = 10  # seconds that a scheduler has to answer

_ALONE = threading.Lock()


class Dask(Executor):
    """A Dask cluster: a scheduler's address, or ``local:4`` for four workers on this machine."""

    def __init__(self, address: str, limit: float | None = None) -> None:
        self._address, self._limit = address, limit and min(limit, LONGEST_LIMIT)
        self._cluster, self._client = _connect(address)
        self._there: dict[Future[Any], Any] = {}  # Dask forgets a task that nobody holds the future of

    @property
    def workers(self) -> int:
        """The threads there are at the moment; errors: ConfigError if the scheduler is gone."""
        try:
            return max(1, sum(self._client.nthreads().values()))
        except (OSError, RuntimeError):
            raise self._gone() from None

    capacity = workers  # not one more: Dask blames a worker's death on all that it had been given

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The future counts as running at once: what the cluster was given is not called back."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        there = self._client.submit(_within, self._limit, work, *args, pure=False, **kwargs)
        self._there[future] = there
        there.add_done_callback(partial(self._land, future))
        return future

    def _land(self, future: Future[Any], there: Any) -> None:
        """Pass on what came, or why nothing did: a worker lost, a result that cannot be read here."""
        try:
            future.set_result(there.result())
        except (Exception, CancelledError) as error:
            future.set_exception(error if self._client.status == "running" else self._gone())
        finally:
            self._there.pop(future, None)

    def _gone(self) -> ConfigError:
        rest = "what came back is stored, the same command does the rest"
        return ConfigError([f"--dask {self._address}: the Dask scheduler is gone; {rest}"])

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; one that was started here ends."""
        if wait and not cancel_futures:
            concurrent.futures.wait(list(self._there))
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def kill(self) -> None:
        """Take back what the cluster was given, and leave."""
        if self._client.status == "running":
            self._client.cancel(list(self._there.values()), force=True)
        self.shutdown(wait=False)


def _connect(address: str) -> tuple[Any, Any]:
    """(the cluster if one was started here, a client); errors: ConfigError."""
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            ["--dask needs the extra 'cluster': pip install 'vanishing-gradients[cluster]'"]
        ) from None
    for name in list(logging.root.manager.loggerDict):  # what they would tell is told by what is raised here
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        cluster = _start(address) if address.partition(":")[0] == "local" else None
        client = Client(cluster or address, timeout=f"{ANSWER} s", set_as_default=False)
    except ConfigError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError([f"--dask {address}: no Dask scheduler answers there ({error})"]) from None
    return cluster, client


def _start(address: str) -> Any:
    """A cluster on this machine, its environment and its count of attempts as with `Workers`."""
    import dask
    from distributed import LocalCluster

    count = address.partition(":")[2]
    if not (count.isdecimal() and int(count) > 0):
        raise ConfigError([f"--dask {address}: write local:4 for four workers on this machine"])
    # a stack's attempts are counted by `outcomes`, for every executor in the same way
    once = dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with once, environment(of_worker()):
        return LocalCluster(
            n_workers=int(count), threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL",
            scheduler_kwargs={"dashboard_address": ANY_PORT},
        )  # fmt: skip


def _within(limit: float | None, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Work that takes its process with it when it hangs: a watchdog in C, so that no lock can hold it up.

    One at a time in a process: the watchdog and the number of BLAS threads are the process's.
    """
    with _ALONE:
        if limit is not None:
            faulthandler.dump_traceback_later(limit, exit=True)
        try:
            return work(*args, **kwargs)
        finally:
            faulthandler.cancel_dump_traceback_later()
