"""Worker processes as an executor: each with one BLAS thread and one piece of work at a time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

from experiments.sweeps.executors.attempts import LONGEST_LIMIT, WorkerLost
from experiments.sweeps.executors.environment import environment, of_worker
from experiments.sweeps.executors.watchdog import HUNG, WHY

PATIENCE = 5.0  # seconds to wait for a killed process to end
LONGEST_SOCKET = 70  # bytes of the folder: a socket's whole path has at most 107, of macOS 103
_STARTING = threading.Lock()
PRELOAD = ("experiments.sweeps.runner", "pandas")  # imported once, before the workers are forked


def cores() -> int:
    """Return the number of cores that this process may use, which may be fewer than the machine has."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(count, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no control groups, or no quota ("max")
        return count


class Workers(Executor):
    """Worker processes, each with one BLAS thread and one piece of work at a time.

    A thread drives each process, so that it is known which piece of work a process died or hung in. (A
    ProcessPoolExecutor fails everything in flight and does not say which work was to blame.)
    """

    def __init__(
        self, jobs: int, limit: float | None = None, first: tuple[Callable[..., Any], ...] | None = None
    ) -> None:
        """Start none yet. first: a function and its arguments, which each process calls before any work."""
        self.workers, self._first = jobs, first
        self.capacity = jobs + 1  # one stack waits, so that no worker is idle while this process saves
        self._limit = limit and min(limit, LONGEST_LIMIT)
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="worker")
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._closed = False
        _start_server()

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit work; its future raises what the work raised, or WorkerLost."""
        return self._threads.submit(self._run, work, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the work in flight, then end the workers."""
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        self._closed = True
        while self._idle:
            self._idle.pop().end()

    def kill(self) -> None:
        """Kill every worker at once."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in [*self._busy, *self._idle]:
            worker.end()

    def _run(self, work: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            worker, first = self._idle.pop(), None
        except IndexError:
            worker, first = _Worker(), self._first
        self._busy.add(worker)
        try:
            if self._closed:  # checked only now that `kill` can see the worker in `_busy`
                raise WorkerLost("the workers were ended")
            if first:
                ready, fault = worker.ask((first[0], first[1:], {}), self._limit)
                if not ready:
                    raise fault
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
    """One worker process and this end of the pipe to it; it ends when this process ends."""

    def __init__(self) -> None:
        context = _context()
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with without_main():
            self.process.start()
        theirs.close()  # otherwise the pipe stays open and a worker's death goes unnoticed

    def ask(self, question: tuple[Any, ...], limit: float | None) -> tuple[bool, Any]:
        """Return (True, the result of the work) or (False, its exception); errors: WorkerLost."""
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
        if code is None:
            return "it was ended"  # the thread that ended it has collected its exit code
        if code == HUNG:
            return WHY
        if code == -signal.SIGKILL:
            return "killed by SIGKILL (the system does so when memory runs out)"
        return f"killed by {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Start a process that does not run the caller's main module again.

    A worker needs nothing of it, and could not run it where it is a notebook, comes from standard input, or
    is a script that starts a sweep without asking whether it is the main module.
    """
    with _STARTING:  # one at a time, or one would put back what another has put there
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _serve(pipe: Connection) -> None:
    """Do the work of a worker process until the driver is gone."""
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
    """End this worker, even in the middle of a stack, when the driver was killed and cannot end it."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def _context() -> Any:
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


@contextlib.contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """Put the socket of the server into /tmp where TMPDIR is too long for the path of a socket."""
    chosen = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_SOCKET and os.path.isdir("/tmp"):
        tempfile.tempdir = "/tmp"
    try:
        yield
    finally:
        tempfile.tempdir = chosen


def _start_server() -> None:
    """Start the process that workers are forked from, with the imports done.

    SIGINT is blocked in it from the first instant, before `_serve` can ask for that.
    """
    context = _context()
    if context.get_start_method() != "forkserver":
        os.environ.update(of_worker())
        return
    from multiprocessing import forkserver

    context.set_forkserver_preload(list(PRELOAD))
    with environment(of_worker()), _short_temporary_folder():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
