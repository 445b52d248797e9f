"""Run stacks in this process, in worker processes or on a Dask cluster.

All three are a `concurrent.futures.Executor`, and `outcomes` drives any of them. A stack that raises, whose
worker dies or that hangs past its limit loses nothing but itself: it is tried once more, then given up.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from experiments.config import ConfigError

ATTEMPTS = 2  # a second try costs one stack and cures what chance did: a killed worker, a lost machine
LONGEST_LIMIT = 1e6  # seconds, eleven days; the system counts milliseconds in 31 bits
PATIENCE = 5.0  # seconds that a killed process has to be gone
ANSWER = 10  # seconds that a Dask scheduler has to answer
TICK = 0.2  # seconds between two looks at whether to stop
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
PRELOAD = ("experiments.runner", "pandas")  # what every worker needs, imported once for all of them

Stack = Sequence[Any]
AnyExecutor = TypeVar("AnyExecutor", bound="Here | Workers | Dask")


class WorkerLost(RuntimeError):
    """A worker died or was ended with its stack unfinished."""


@dataclass(frozen=True)
class Outcome:
    """What became of a stack: its result, or the traceback of its last attempt."""

    stack: Stack
    result: Any = None
    error: str = ""


def cores() -> int:
    """The cores this process may use: not the machine's, where it was given fewer."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(count, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no control groups, or no quota ("max")
        return count


def outcomes(
    stacks: Sequence[Stack],
    work: Callable[[Stack], Any],
    executor: Executor,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Each stack's outcome as it completes; stacks start in the order given.

    At most `executor.capacity` stacks are in flight, so that memory does not grow with their number. Once
    `stopped()` is true none is started or tried again: those running are finished, the rest is left undone.
    """
    waiting = deque((stack, 1) for stack in stacks)
    flying: dict[Future[tuple[Any, str]], tuple[Stack, int]] = {}
    while True:
        if stopped():
            waiting.clear()
            flying = {future: job for future, job in flying.items() if not future.cancel()}
        while waiting and len(flying) < getattr(executor, "capacity", 1):
            stack, attempt = waiting.popleft()
            flying[executor.submit(_attempt, work, stack)] = stack, attempt
        if not flying:
            return
        for future in wait(flying, timeout=TICK, return_when=FIRST_COMPLETED).done:
            stack, attempt = flying.pop(future)
            result, error = _landed(future)
            if error and attempt < ATTEMPTS:
                waiting.appendleft((stack, attempt + 1))
            else:
                yield Outcome(stack, result, error)


def _attempt(work: Callable[[Stack], Any], stack: Stack) -> tuple[Any, str]:
    """The result or the traceback, which is written where it happened: it does not travel by itself."""
    try:
        return work(stack), ""
    except Exception:
        return None, traceback.format_exc()


def _landed(future: Future[tuple[Any, str]]) -> tuple[Any, str]:
    """What a future brought; one that brought nothing tells of its worker's end."""
    try:
        return future.result()
    except (Exception, CancelledError) as lost:
        return None, "".join(traceback.format_exception_only(lost))


@contextlib.contextmanager
def ending(executor: AnyExecutor) -> Iterator[AnyExecutor]:
    """Shut an executor down at the end; whatever is raised meanwhile ends its workers at once."""
    try:
        yield executor
    except BaseException:
        executor.kill()
        raise
    executor.shutdown()


class Here(Executor):
    """This process: `submit` returns when the work is done."""

    workers = capacity = 1

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do the work now; an exception is kept in the future, an interrupt is not."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(work(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def kill(self) -> None:
        """Nothing runs between two calls."""


class Workers(Executor):
    """Worker processes, each with one BLAS thread and one piece of work at a time.

    A thread drives each process, so that a death or a hang is known to belong to the work it happened in
    (a ProcessPoolExecutor fails everything in flight and does not say which of it was to blame).
    """

    def __init__(self, jobs: int, limit: float | None = None) -> None:
        self.workers = jobs
        self.capacity = jobs + 1  # one waits, so that no worker does while this process saves
        self._limit = limit and min(limit, LONGEST_LIMIT)
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="worker")
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._closed = False
        _start_server()

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The future raises what the work raised, or WorkerLost."""
        return self._threads.submit(self._run, work, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the work in flight end, then the workers."""
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        self._closed = True
        while self._idle:
            self._idle.pop().end()

    def kill(self) -> None:
        """End every worker now, whatever it is doing."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in [*self._busy, *self._idle]:
            worker.end()

    def _run(self, work: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = _Worker()
        self._busy.add(worker)
        try:
            if self._closed:  # asked after the worker is on the list that `kill` goes through, not before
                raise WorkerLost("the workers were ended")
            done, value = worker.ask((work, args, kwargs), self._limit)
        except BaseException:
            worker.end()
            raise
        finally:
            self._busy.discard(worker)
        self._idle.append(worker)
        if not done:
            raise value
        return value


class _Worker:
    """One process and this end of the pipe to it; the process ends when this one does."""

    def __init__(self) -> None:
        context = _context()
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # else this process holds the pipe open and a worker's death goes unseen

    def ask(self, question: tuple[Any, ...], limit: float | None) -> tuple[bool, Any]:
        """(True, what the work returned) or (False, what it raised); errors: WorkerLost."""
        try:
            self._pipe.send(question)
            if not self._pipe.poll(limit):
                raise WorkerLost(f"no result within the limit of {limit:.3g} s; the worker was ended")
            answer: tuple[bool, Any] = self._pipe.recv()
        except (EOFError, OSError):
            raise WorkerLost(f"the worker process died: {self._cause()}") from None
        return answer

    def end(self) -> None:
        """Kill the process and wait for it to be gone."""
        self.process.kill()
        self.process.join(PATIENCE)

    def _cause(self) -> str:
        self.process.join(PATIENCE)
        code = self.process.exitcode
        if code == -signal.SIGKILL:
            return "killed by SIGKILL (the system does so when memory runs out)"
        return f"killed by {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"


def _serve(pipe: Connection) -> None:
    """What a worker process does: answer questions until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    threading.Thread(target=_follow_driver, daemon=True).start()
    while True:
        try:
            work, args, kwargs = pipe.recv()
        except EOFError:
            return
        try:
            answer = True, work(*args, **kwargs)
        except Exception as error:
            answer = False, error
        try:
            pipe.send(answer)
        except BrokenPipeError:
            return


def _follow_driver() -> None:
    """A driver killed outright cannot end its workers: they notice by themselves, in mid-stack if need be."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def _context() -> Any:
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


def _start_server() -> None:
    """Start the process that workers are forked from, with the imports done.

    SIGINT is blocked in it from the first instant, before `_serve` can ask for that.
    """
    context = _context()
    if context.get_start_method() != "forkserver":
        os.environ.update(_of_worker())
        return
    from multiprocessing import forkserver

    context.set_forkserver_preload(list(PRELOAD))
    with _environment(_of_worker()):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _of_worker() -> dict[str, str]:
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
def _environment(changes: dict[str, str]) -> Iterator[None]:
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


class Dask(Executor):
    """A Dask cluster: a scheduler's address, or ``local:4`` for four workers on this machine."""

    def __init__(self, address: str, limit: float | None = None) -> None:
        self._limit = limit and min(limit, LONGEST_LIMIT)
        self._cluster, self._client = _connect(address)
        self._inner = self._client.get_executor(pure=False)

    @property
    def workers(self) -> int:
        """The threads there are at the moment."""
        return max(1, sum(self._client.nthreads().values()))

    capacity = workers  # not one more: Dask blames a worker's death on all that it had been given

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The future counts as running at once: what the cluster was given is not called back."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        there = self._inner.submit(_within, self._limit, work, *args, **kwargs)
        there.add_done_callback(lambda done: _pass_on(done, future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; one that was started here ends."""
        self._inner.shutdown(wait=wait and not cancel_futures)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def kill(self) -> None:
        """Take back what the cluster was given, and leave."""
        self.shutdown(wait=False, cancel_futures=True)


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
        # one death is one lost attempt: counting attempts is done above, the same for every executor
        dask.config.set({"distributed.scheduler.allowed-failures": 0})
        with _environment(_of_worker()):
            cluster = LocalCluster(
                n_workers=int(count), threads_per_worker=1, dashboard_address=None, silence_logs="ERROR"
            )
    try:
        client = Client(cluster or address, timeout=f"{ANSWER} s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError([f"--dask {address}: no Dask scheduler answers there ({error})"]) from None
    return cluster, client


def _within(limit: float | None, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Work that takes its process with it when it hangs: a watchdog in C, so that no lock can hold it up."""
    if limit is not None:
        faulthandler.dump_traceback_later(limit, exit=True)
    try:
        return work(*args, **kwargs)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _pass_on(done: Future[Any], future: Future[Any]) -> None:
    if done.cancelled():
        future.set_exception(WorkerLost("the cluster dropped the stack"))
    elif error := done.exception():
        future.set_exception(error)
    else:
        future.set_result(done.result())
