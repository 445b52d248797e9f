"""Drive any executor: stacks as they complete, each tried twice, no more in flight than there is room for."""

from __future__ import annotations

import contextlib
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from experiments.config import ConfigError

ATTEMPTS = 2  # a second try costs one stack and cures what chance did: a killed worker, a lost machine
LONGEST_LIMIT = 1e6  # seconds, eleven days; the system counts milliseconds in 31 bits
TICK = 0.2  # seconds between two looks at whether to stop

Stack = Sequence[Any]


class WorkerLost(RuntimeError):
    """A worker died or was ended with its work unfinished."""


class Killable(Protocol):
    """An executor that can be ended in the middle of its work."""

    def kill(self) -> None:
        """End what runs, now."""

    def shutdown(self) -> None:
        """End once what runs is done."""


AnyExecutor = TypeVar("AnyExecutor", bound=Killable)


@dataclass(frozen=True)
class Outcome:
    """What became of a stack: its result, or the traceback of its last attempt."""

    stack: Stack
    result: Any = None
    error: str = ""


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
    """What a future brought; one that brought nothing tells of its worker's end.

    Errors: ConfigError if it is not a worker that is lost but the cluster.
    """
    try:
        return future.result()
    except ConfigError:
        raise
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
