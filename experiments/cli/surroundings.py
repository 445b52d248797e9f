"""A check of the user's environment: a setting there may make a library end with a traceback."""

from __future__ import annotations

import os
from datetime import UTC, datetime

EPOCH = "SOURCE_DATE_EPOCH"  # read by SciPy while it is imported, and by Matplotlib when it writes a figure


def check_environment() -> None:
    """Check the time at which built files are to say that they were made; errors: ConfigError."""
    text = os.environ.get(EPOCH, "0")
    try:
        datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        from experiments.config import ConfigError

        shown = repr(text if len(text) <= 40 else f"{text[:40]}…")
        raise ConfigError([f"{EPOCH}: {shown} is not a number of seconds since 1970; unset it"]) from None
