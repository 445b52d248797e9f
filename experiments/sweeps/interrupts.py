"""Ctrl-C, once: finish and keep what is running. Twice, or SIGTERM: stop now."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

WAIT = b"\nfinishing and storing what is running; Ctrl-C again to stop now\n"


@contextmanager
def patient() -> Iterator[Callable[[], bool]]:
    """A function that tells whether to start nothing new; KeyboardInterrupt when nothing may be finished.

    Outside the main thread, which alone hears of signals, it always says to go on.
    """
    asked: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        if asked or number == signal.SIGTERM:
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, signal.SIG_IGN)  # what cleans up is not to be interrupted in turn
            raise KeyboardInterrupt
        asked.append(number)
        os.write(2, WAIT)  # no print: the signal may have come in the middle of one

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
