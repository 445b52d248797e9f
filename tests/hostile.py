"""Broken and hostile input for the readers: how it is made and what may come of it."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# VG_FUZZ=100000 pytest tests/experiments/datasets -k fuzz   asks for more than the usual few
FUZZ = settings(
    max_examples=int(os.environ.get("VG_FUZZ", "40")),
    derandomize="VG_FUZZ" not in os.environ,  # asked for more, it searches elsewhere each time
    deadline=None,  # a busy machine is no hang
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

_SPLICE = st.one_of(
    st.binary(max_size=8), st.sampled_from([b"\xff" * 4, b"\0" * 4, b"nan", b"1e999", b"\n", b",", b'"'])
)
_EDIT = st.tuples(st.floats(0, 1), st.integers(0, 16), _SPLICE)


def damaged(*valid: bytes) -> st.SearchStrategy[bytes]:
    """Valid files with a few places cut out, overwritten or spliced into, and files of any bytes."""
    edits = st.lists(_EDIT, max_size=4)
    return st.one_of(st.builds(_apply, st.sampled_from(valid), edits), st.binary(max_size=200))


def _apply(valid: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for where, cut, splice in edits:
        at = int(where * len(valid))
        valid = valid[:at] + splice + valid[at + cut :]
    return valid


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    """Fail if Python and numpy take more than `most` bytes at any moment of the block."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak:,} bytes"


def is_refused(action: Callable[[], object], error: type[Exception]) -> bool:
    """Whether an action fails with this error, in one printable line; any other error goes through."""
    try:
        action()
    except error as refusal:
        message = str(refusal)
    else:
        return False
    assert message.isprintable()
    assert "typing." not in message
    return True
