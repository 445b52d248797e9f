"""End a worker process whose stack hangs, judged by that stack's own pace and never by an estimate.

While a stack trains, the runner tells the watchdog of each watched step (`Pace.beat`). The worker process
ends itself where the next one is overdue by far, or where the process has stopped computing. The driver sees
the process's exit status, tries the stack again, and goes on with the others.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

HUNG = 75  # exit status of a worker that ends itself
SLACK = 30.0  # times the pace so far; a machine that is shared by many is up to ten times slower at times
SHORTEST = 600.0  # seconds: nothing counts as hanging sooner
COMPUTING = 0.01  # of the time spent on the processor; less for SHORTEST seconds: it waits for something
TICK = 5.0  # seconds between two looks at the pace
WHY = (
    f"the stack hung: no watched step came within {SLACK:g} times the pace of this stack so far, or the "
    f"process did not compute for {SHORTEST / 60:g} minutes; its worker ended itself"
)


class Pace:
    """The slowest step and the longest measurement of a stack so far, and how long to wait for the next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._since = clock, clock()
        self._step = self._look = 0.0  # seconds
        self._steps = -1  # in the current period: 0 while measuring, −1 before the first measurement
        self.beats = 0

    def beat(self, steps: int) -> None:
        """Note that a period has ended; the next one has so many training steps, or 0: it measures."""
        now = self._clock()
        took, self._since = now - self._since, now
        if self._steps > 0:
            self._step = max(self._step, took / self._steps)
        elif self._steps == 0:
            self._look = max(self._look, took)
        self._steps = steps
        self.beats += 1

    def longest(self) -> float:
        """Return how many seconds the current period may take; infinite while there is no pace to go by."""
        known = self._step if self._steps > 0 else self._look
        if self._steps < 0 or not known:
            return float("inf")
        return max(SHORTEST, SLACK * known * max(1, self._steps))


class Watch:
    """Judge a process at each tick: whether it hangs by its pace, or by waiting without computing.

    Time counts in ticks, so that a machine that slept, or a worker that was stopped for a while, is not
    taken for one that hangs.
    """

    def __init__(self, pace: Pace, cpu: Callable[[], float] = time.process_time) -> None:
        self._pace, self._cpu = pace, cpu
        self._beats, self._waited = pace.beats, 0.0
        self._idle, self._used = 0.0, cpu()

    def hangs(self, seconds: float) -> bool:
        """Return whether the stack hangs, `seconds` of running time after the last call."""
        if self._pace.beats != self._beats:
            self._beats, self._waited = self._pace.beats, 0.0
        self._waited += seconds
        used = self._cpu()
        self._idle = 0.0 if used - self._used > COMPUTING * seconds else self._idle + seconds
        self._used = used
        return self._waited > self._pace.longest() or self._idle > SHORTEST


def supervised(work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Do the work, which calls its argument `beat` as `Pace.beat` is called; a hang ends this process."""
    pace, done = Pace(), threading.Event()
    threading.Thread(target=_follow, args=(Watch(pace), done), daemon=True).start()
    try:
        return work(*args, beat=pace.beat, **kwargs)
    finally:
        done.set()


def _follow(watch: Watch, done: threading.Event) -> None:
    before = time.monotonic()
    while not done.wait(TICK):
        now = time.monotonic()
        if watch.hangs(min(now - before, 2 * TICK)):
            print(WHY, file=sys.stderr, flush=True)
            os._exit(HUNG)
        before = now
