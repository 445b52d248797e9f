"""Run stacks on any executor: yield each as it completes, try each twice, limit how many are in flight."""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from experiments.config import ConfigError

ATTEMPTS = 2  # a second attempt costs one stack and recovers from a killed worker or a lost machine
LONGEST_LIMIT = 1e6  # seconds, eleven days; the system counts milliseconds in 31 bits
TICK = 0.2  # seconds between two checks of whether to stop

Stack = Sequence[Any]


class WorkerLost(RuntimeError):
    """A worker process died, or was killed, before its work was finished."""


class Killable(Protocol):
    """An executor that can be ended in the middle of its work."""

    def kill(self) -> None:
        """Stop all running work at once."""

    def shutdown(self) -> None:
        """Wait for the running work, then end."""


AnyExecutor = TypeVar("AnyExecutor", bound=Killable)


@dataclass(frozen=True)
class Outcome:
    """The result of a stack, or the traceback of its last attempt."""

    stack: Stack
    result: Any = None
    error: str = ""


def outcomes(
    stacks: Sequence[Stack],
    work: Callable[[Stack], Any],
    executor: Executor,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Yield the outcome of each stack as it completes; stacks start in the order given.

    At most `executor.capacity` stacks are in flight, so that memory does not grow with their number. Once
    `stopped()` returns true no stack is started or tried again; those that are running are finished. An
    executor may have a method `check` that tells whether anybody is there to work: if nobody is, nothing is
    running, and a stop is at once.
    """
    is_manned = getattr(executor, "check", lambda: True)
    waiting = deque((stack, 1) for stack in stacks)
    in_flight: dict[Future[tuple[Any, str]], tuple[Stack, int]] = {}
    while waiting or in_flight:
        manned = is_manned()
        if stopped():
            waiting.clear()
            in_flight = {future: job for future, job in in_flight.items() if manned and not future.cancel()}
        while waiting and len(in_flight) < getattr(executor, "capacity", 1):
            stack, attempt = waiting.popleft()
            in_flight[executor.submit(_attempt, work, stack)] = stack, attempt
        if waiting and not in_flight:
            threading.Event().wait(TICK)  # for somebody to work
        for future in wait(in_flight, timeout=TICK, return_when=FIRST_COMPLETED).done:
            stack, attempt = in_flight.pop(future)
            result, error = _result_or_error(future)
            if error and attempt < ATTEMPTS:
                waiting.appendleft((stack, attempt + 1))
            else:
                yield Outcome(stack, result, error)


def _attempt(work: Callable[[Stack], Any], stack: Stack) -> tuple[Any, str]:
    """Return (result, traceback). The traceback is formatted in the worker: it cannot be sent as it is."""
    try:
        return work(stack), ""
    except Exception:
        return None, traceback.format_exc()


def _result_or_error(future: Future[tuple[Any, str]]) -> tuple[Any, str]:
    """Return (result, error text) of a finished future; the error also tells of a worker that was lost.

    Errors: ConfigError if the whole cluster is gone.
    """
    try:
        return future.result()
    except ConfigError:
        raise
    except (Exception, CancelledError) as lost:
        return None, "".join(traceback.format_exception_only(lost))


@contextlib.contextmanager
def ending(executor: AnyExecutor) -> Iterator[AnyExecutor]:
    """Shut an executor down at the end of the block; an exception in the block kills its workers at once."""
    try:
        yield executor
    except BaseException:
        executor.kill()
        raise
    executor.shutdown()
