"""Worker processes as an executor: each with one BLAS thread and one piece of work at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from experiments.sweeps.executors.attempts import LONGEST_LIMIT, WorkerLost
from experiments.sweeps.executors.environment import environment, of_worker

PATIENCE = 5.0  # seconds that a killed process has to be gone
PRELOAD = ("experiments.sweeps.runner", "pandas")  # what every worker needs, imported once for all of them


def cores() -> int:
    """The cores this process may use: not the machine's, where it was given fewer."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(count, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no control groups, or no quota ("max")
        return count


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
        if code is None:
            return "it was ended"  # and the thread that ended it has its exit code
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
        os.environ.update(of_worker())
        return
    from multiprocessing import forkserver

    context.set_forkserver_preload(list(PRELOAD))
    with environment(of_worker()):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
