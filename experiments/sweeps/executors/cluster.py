"""A Dask cluster as an executor. Only this module imports Dask, which the extra `cluster` installs."""

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

ANY_PORT = "127.0.0.1:0"  # a scheduler serves pages even without a dashboard; a fixed port may be taken
ANSWER = 10  # seconds to wait for a scheduler's answer

_ALONE = threading.Lock()


class Dask(Executor):
    """A Dask cluster: a scheduler's address, or ``local:4`` for four workers on this machine."""

    def __init__(self, address: str, limit: float | None = None) -> None:
        self._address, self._limit = address, limit and min(limit, LONGEST_LIMIT)
        self._cluster, self._client = _connect(address)
        self._there: dict[Future[Any], Any] = {}  # kept because Dask drops a task without references

    @property
    def workers(self) -> int:
        """The number of worker threads at the moment; errors: ConfigError if the scheduler is gone."""
        try:
            return max(1, sum(self._client.nthreads().values()))
        except (OSError, RuntimeError):
            raise self._gone() from None

    capacity = workers  # no spare stack: when a worker dies, Dask blames every task that it had been given

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit work. Its future counts as running at once: a submitted task is not cancelled singly."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        there = self._client.submit(_within, self._limit, work, *args, pure=False, **kwargs)
        self._there[future] = there
        there.add_done_callback(partial(self._land, future))
        return future

    def _land(self, future: Future[Any], there: Any) -> None:
        """Pass on the result, or the reason why there is none, such as a lost worker."""
        try:
            future.set_result(there.result())
        except (Exception, CancelledError) as error:
            future.set_exception(error if self._client.status == "running" else self._gone())
        finally:
            self._there.pop(future, None)

    def _gone(self) -> ConfigError:
        rest = "finished runs are stored; run the same command again for the rest"
        return ConfigError([f"--dask {self._address}: the Dask scheduler is gone; {rest}"])

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Disconnect from the cluster; a cluster that was started here is closed."""
        if wait and not cancel_futures:
            concurrent.futures.wait(list(self._there))
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def kill(self) -> None:
        """Cancel the submitted work and disconnect."""
        if self._client.status == "running":
            self._client.cancel(list(self._there.values()), force=True)
        self.shutdown(wait=False)


def _connect(address: str) -> tuple[Any, Any]:
    """Return the cluster, if one was started here, and a client connected to it; errors: ConfigError."""
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            ["--dask needs the extra 'cluster': pip install 'vanishing-gradients[cluster]'"]
        ) from None
    for name in list(logging.root.manager.loggerDict):  # errors are raised here instead of logged
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
    """Start a cluster on this machine whose workers have the same environment as those of `Workers`."""
    import dask
    from distributed import LocalCluster

    count = address.partition(":")[2]
    if not (count.isdecimal() and int(count) > 0):
        raise ConfigError([f"--dask {address}: write local:4 for four workers on this machine"])
    # Dask must not retry: `outcomes` counts the attempts, for every executor in the same way.
    once = dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with once, environment(of_worker()):
        return LocalCluster(
            n_workers=int(count), threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL",
            scheduler_kwargs={"dashboard_address": ANY_PORT},
        )  # fmt: skip


def _within(limit: float | None, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Do the work; if it takes longer than `limit` seconds, the whole worker process ends.

    The watchdog is written in C, so that no lock can delay it. Watchdog and BLAS threads belong to the
    process, so a process does one piece of work at a time.
    """
    with _ALONE:
        if limit is not None:
            faulthandler.dump_traceback_later(limit, exit=True)
        try:
            return work(*args, **kwargs)
        finally:
            faulthandler.cancel_dump_traceback_later()
