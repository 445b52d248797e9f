"""A Dask cluster as an executor. Only this module imports Dask, which the extra `cluster` installs."""

from __future__ import annotations

import concurrent.futures
import contextlib
import faulthandler
import logging
import re
import threading
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from functools import partial
from typing import Any

from experiments.config import ConfigError
from experiments.sweeps.executors.attempts import LONGEST_LIMIT, WorkerLost
from experiments.sweeps.executors.crew import KEPT, Crew
from experiments.sweeps.executors.environment import environment, of_worker
from experiments.sweeps.executors.processes import without_main

LOCAL = re.compile(r"local:(\d{1,9})", re.ASCII)
ADDRESS = re.compile(
    r"(?:(?:tcp|tls|ws|wss|ucx)://)?(?:\[[0-9a-fA-F:.]+(?:%\w+)?\]|[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}):(\d{1,5})",
    re.ASCII,
)
MOST_LOCAL, LAST_PORT, SHOWN = 1024, 65_535, 60
ANY_PORT = "127.0.0.1:0"  # a scheduler serves pages even without a dashboard; a fixed port may be taken
ANSWER = 10  # seconds to wait for a scheduler's answer

_ALONE = threading.Lock()


class Dask(Executor):
    """A Dask cluster: a scheduler's address, or ``local:4`` for four workers on this machine."""

    def __init__(
        self, address: str, limit: float | None = None, prints: Mapping[str, str] | None = None
    ) -> None:
        """Connect, and wait for a worker with our versions and data; errors: ConfigError.

        `prints` are the fingerprints of the data sets that the work needs.
        """
        check_address(address)
        self._address, self._limit = address, limit and min(limit, LONGEST_LIMIT)
        self._there: dict[Future[Any], Any] = {}  # kept because Dask drops a task without references
        self._where: dict[Future[Any], list[str] | None] = {}  # the workers that it may run on
        self._cluster, self._client = _connect(address)
        try:
            self._crew = Crew(self._client, address, prints or {})
            self._crew.gather()
        except BaseException:
            self.shutdown(wait=False)
            raise

    @property
    def workers(self) -> int:
        """The number of threads of usable workers at the moment; errors: ConfigError if none can be asked."""
        try:
            return sum(self._crew.threads().values())
        except (OSError, RuntimeError):
            raise self._gone() from None

    def check(self) -> bool:
        """Return whether anybody can work; pieces of work whose workers have all left are given up.

        Errors: ConfigError if the scheduler is gone, or if no worker has been there for long.
        """
        try:
            manned, present = self._crew.check(), set(self._crew.threads())
        except (OSError, RuntimeError):
            raise self._gone() from None
        for future, workers in list(self._where.items()):
            if workers is not None and not present.intersection(workers) and not future.done():
                self._where.pop(future, None)
                future.set_exception(WorkerLost("all workers that could do it have left"))
        return manned

    capacity = workers  # no spare stack: when a worker dies, Dask blames every task that it had been given

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit work. Its future counts as running at once: a submitted task is not cancelled singly."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        where = self._crew.allowed()
        there = self._client.submit(_within, self._limit, work, *args, pure=False, workers=where, **kwargs)
        self._there[future], self._where[future] = there, where
        there.add_done_callback(partial(self._land, future))
        return future

    def _land(self, future: Future[Any], there: Any) -> None:
        """Pass on the result, or the reason why there is none, such as a lost worker."""
        try:
            future.set_result(there.result())
        except InvalidStateError:  # given up in the meantime
            pass
        except (Exception, CancelledError) as error:
            with contextlib.suppress(InvalidStateError):
                future.set_exception(error if self._client.status == "running" else self._gone())
        finally:
            self._there.pop(future, None)
            self._where.pop(future, None)

    def _gone(self) -> ConfigError:
        return ConfigError([f"--dask {self._address}: the Dask scheduler is gone; {KEPT}"])

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


def check_address(address: str) -> None:
    """Check how an address is written, before anything is asked of anybody; errors: ConfigError."""
    local, other = LOCAL.fullmatch(address), ADDRESS.fullmatch(address)
    if local and 0 < int(local[1]) <= MOST_LOCAL:
        return
    if other and 0 < int(other[1]) <= LAST_PORT and address.partition(":")[0] != "local":
        return
    shown = repr(address if len(address) <= SHOWN else f"{address[:SHOWN]}…")
    if address.startswith("local") and not address.startswith("localhost"):
        ways = f"write local:4 for four workers on this machine, at most {MOST_LOCAL}"
    else:
        ways = "write tcp://host:port as the scheduler says it, or local:4 for four workers on this machine"
    raise ConfigError([f"--dask {shown}: not an address; {ways}"])


def _connect(address: str) -> tuple[Any, Any]:
    """Return the cluster, if one was started here, and a client connected to it; errors: ConfigError."""
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            ["--dask needs the extra 'cluster': pip install 'vanishing-gradients[cluster]'"]
        ) from None
    except Exception as error:  # of a file of settings that is none, as DASK_CONFIG may name
        raise ConfigError([f"--dask: {_unreadable(error)}"]) from None
    for name in list(logging.root.manager.loggerDict):  # errors are raised here instead of logged
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        cluster = _start(address) if address.partition(":")[0] == "local" else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a table of versions: `Crew` asks for those that matter
            client = Client(cluster or address, timeout=f"{ANSWER} s", set_as_default=False)
    except ConfigError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError([f"--dask {address}: no Dask scheduler answers there ({error})"]) from None
    except Exception as error:  # of a setting that Dask cannot read, as DASK_DISTRIBUTED__… may be
        raise ConfigError([f"--dask {address}: {_unreadable(error)}"]) from None
    return cluster, client


def _unreadable(error: Exception) -> str:
    """Say that it is Dask's own settings which cannot be read."""
    said = str(error.args[0]) if error.args else type(error).__name__
    return f"Dask cannot use its own settings, of DASK_… or DASK_CONFIG ({said})"


def _start(address: str) -> Any:
    """Start a cluster on this machine whose workers have the same environment as those of `Workers`."""
    import dask
    from distributed import LocalCluster

    count = address.partition(":")[2]
    # Dask must not retry: `outcomes` counts the attempts, for every executor in the same way.
    once = dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with once, environment(of_worker()), without_main():
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
