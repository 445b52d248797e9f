"""What workers are asked to do: be fine, raise, die or hang. Each imports this file, so it imports little."""

import os
import signal
import threading
from pathlib import Path


def behave(folder, stack):
    """Do what the stack says, and leave one file for each attempt."""
    attempt = 1 + len(list(Path(folder).glob(f"{stack[0]}.*")))
    Path(folder, f"{stack[0]}.{attempt}").touch()
    what = stack[1] if attempt == 1 else stack[-1]
    if what == "raise":
        raise ZeroDivisionError(f"in {stack[0]}")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang":
        signal.pause()
    return f"{what} {stack[0]}"


def attempts(folder, name):
    """How often a stack was begun."""
    return len(list(Path(folder).glob(f"{name}.*")))


def note(folder):
    """Leave a file that is named after this process."""
    Path(folder, str(os.getpid())).touch()


def note_and_hang(folder):
    """The same, and never end."""
    note(folder)
    threading.Event().wait()


def blas_threads():
    """The numbers of threads of the BLAS libraries in this process."""
    import numpy  # noqa: F401  (the library whose threads are counted)
    from threadpoolctl import threadpool_info

    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
