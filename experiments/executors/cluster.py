"""A Dask cluster as an executor; the one place that knows Dask, which is the extra `cluster`."""

from __future__ import annotations

import concurrent.futures
import faulthandler
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from functools import partial
from typing import Any

from experiments.config import ConfigError
from experiments.executors.attempts import LONGEST_LIMIT
from experiments.executors.environment import environment, of_worker

ANSWER = 10  # seconds that a scheduler has to answer

_ALONE = threading.Lock()


class Dask(Executor):
    """A Dask cluster: a scheduler's address, or ``local:4`` for four workers on this machine."""

    def __init__(self, address: str, limit: float | None = None) -> None:
        self._limit = limit and min(limit, LONGEST_LIMIT)
        self._cluster, self._client = _connect(address)
        self._there: dict[Future[Any], Any] = {}  # Dask forgets a task that nobody holds the future of

    @property
    def workers(self) -> int:
        """The threads there are at the moment."""
        return max(1, sum(self._client.nthreads().values()))

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
            future.set_exception(error)
        finally:
            self._there.pop(future, None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; one that was started here ends."""
        if wait and not cancel_futures:
            concurrent.futures.wait(list(self._there))
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def kill(self) -> None:
        """Take back what the cluster was given, and leave."""
        self._client.cancel(list(self._there.values()), force=True)
        self.shutdown(wait=False)


def _connect(address: str) -> tuple[Any, Any]:
    """(the cluster if one was started here, a client); errors: ConfigError."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigError(
            ["--dask needs the extra 'cluster': pip install 'vanishing-gradients[cluster]'"]
        ) from None
    kind, _, count = address.partition(":")
    cluster = None
    if kind == "local":
        if not (count.isdigit() and int(count) > 0):
            raise ConfigError([f"--dask {address}: write local:4 for four workers on this machine"])
        # attempts are counted above, for every executor in the same way: to Dask one death is one too many
        once = dask.config.set({"distributed.scheduler.allowed-failures": 0})
        with once, environment(of_worker()):
            cluster = LocalCluster(
                n_workers=int(count), threads_per_worker=1, dashboard_address=None, silence_logs="ERROR"
            )
    try:
        client = Client(cluster or address, timeout=f"{ANSWER} s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError([f"--dask {address}: no Dask scheduler answers there ({error})"]) from None
    return cluster, client


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
