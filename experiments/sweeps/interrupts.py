"""The handling of Ctrl-C: the first lets running stacks finish; a second one, or SIGTERM, stops at once."""

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
    """Yield a function that tells whether Ctrl-C was pressed, after which no new stack should be started.

    A second Ctrl-C, or SIGTERM, raises KeyboardInterrupt. Outside the main thread, the only one that
    receives signals, the function always returns False.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if received or number == signal.SIGTERM:
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, signal.SIG_IGN)  # the clean-up must not be interrupted
            raise KeyboardInterrupt
        received.append(number)
        os.write(2, WAIT)  # print is not safe here: the signal may have interrupted another print

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
