"""Say how far a long loop is, in a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Say = Callable[[str], None]  # to be called with a line of text
BETWEEN_LINES = 5.0  # seconds between two lines on how far the planning is
Item = TypeVar("Item")


def counted(items: Iterable[Item], total: int, doing: str, say: Say) -> Iterator[Item]:
    """Yield the items, and every few seconds say how many of them are done."""
    last = time.monotonic()
    for done, item in enumerate(items):
        if not done % 256 and time.monotonic() - last > BETWEEN_LINES:
            last = time.monotonic()
            say(f"planning: {doing}, {done:,} of {total:,}")
        yield item
