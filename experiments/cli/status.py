"""The end of every command: its exit status, and one line where something is in the way.

Nothing heavy is imported here before it is needed: `status_of` answers to Ctrl-C from its first line on.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO

OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130  # exit statuses
ENDLESS = re.compile(r"\S{200,}")  # a word of a message that nobody reads to its end
INTERRUPTED_LINE = "interrupted; what was finished is stored, the same command does the rest"


def status_of(work: Callable[[], int]) -> int:
    """Do a command's work and return its exit status; a user's error is one line, without a traceback.

    Whatever is raised after Ctrl-C counts as the interruption: a library that is interrupted while it is
    being imported may turn KeyboardInterrupt into an error of its own.
    """
    with ExitStack() as stack:
        for redirect, stream in ((redirect_stdout, sys.stdout), (redirect_stderr, sys.stderr)):
            if stream is None:  # closed by the caller, as `>&-` does in a shell
                stack.enter_context(redirect(stack.enter_context(open(os.devnull, "w", encoding="utf-8"))))
        any_encoding(sys.stdout)
        any_encoding(sys.stderr)
        pressed = stack.enter_context(_interruptible())
        try:
            with _plain_warnings():
                status = work()
        except BaseException as error:
            status = _status_after(error, interrupted=bool(pressed))
        return _flushed(status)


def any_encoding(stream: Any) -> None:
    """Let a stream that does not write UTF-8 write a question mark for what it has no sign for."""
    if not str(getattr(stream, "encoding", None) or "").lower().startswith("utf"):
        with suppress(AttributeError, ValueError):  # not a text file, or one that is closed
            stream.reconfigure(errors="replace")


def complain(text: str) -> None:
    """Print a line on standard error; where even that cannot be written, the exit status has to do."""
    from experiments.analysis.wording import printable

    shown = ENDLESS.sub(lambda word: f"{word[0][:80]}…{word[0][-20:]}", printable(text))
    with suppress(OSError, ValueError):
        print(shown, file=sys.stderr, flush=True)


def _status_after(error: BaseException, *, interrupted: bool) -> int:
    """Say what ended the work, and return its exit status; an error of the program itself is raised again."""
    if interrupted or isinstance(error, KeyboardInterrupt):
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # ignore further presses while Python shuts down
        complain(INTERRUPTED_LINE)
        return INTERRUPTED
    if isinstance(error, SystemExit):  # of argparse: it has said what there is to say
        return error.code if isinstance(error.code, int) else OK
    if isinstance(error, BrokenPipeError):  # the reader of the output has ended, as `| head` does
        return OK
    if isinstance(error, OSError):
        complain(_of_the_system(error))
    elif isinstance(error, MemoryError):
        complain("out of memory: make depth, width, batch or probe_set smaller, or use fewer --jobs")
    elif isinstance(error, _refusals()):
        complain(str(error))
    elif where := _of_the_user(error):
        complain(f"{where}: {type(error).__name__}: {' '.join(str(error).split())}")
    else:
        raise error
    return REFUSED


def _of_the_user(error: BaseException) -> str:
    """Return the user's own part that an error comes from, with its file and line; else an empty text."""
    from experiments.storage.blame import blamed

    return blamed(error)


def _refusals() -> tuple[type[Exception], ...]:
    """Return the errors whose message is written for the user."""
    from experiments.config import ConfigError
    from experiments.datasets import DataError
    from experiments.storage.files import StoreError
    from mlp.registry import RegistryError

    return ConfigError, DataError, RegistryError, StoreError


def _of_the_system(error: OSError) -> str:
    """Return the line for an error of the operating system: the file, the cause and what to do."""
    cause = (error.strerror or str(error)).lower()
    if error.filename is None and _is_stuck(sys.stdout):
        return f"the output cannot be written: {cause}; send it elsewhere or make room"
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return f"{where}{cause}; run the same command again once the cause is gone"


def _is_stuck(stream: TextIO) -> bool:
    """Return whether what a stream still holds cannot be written; a pipe whose reader has gone is none."""
    try:
        stream.flush()
    except BrokenPipeError:
        return False
    except (OSError, ValueError):
        return True
    return False


def _flushed(status: int) -> int:
    """Write out what is buffered; return the status, or REFUSED where the output cannot be written.

    Otherwise Python would try again while it shuts down, and print a traceback.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        if status == OK:
            complain(_of_the_system(error))
        _discard_output()
        return status or REFUSED
    except ValueError:  # closed meanwhile
        pass
    return status


def _discard_output() -> None:
    """Let what is left of the output go nowhere."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print each warning as one line, without its place in the code.

    What one library says to another that calls it in an old way is left out: the user cannot change it.
    """

    def show(message: Warning | str, *place: Any, **more: Any) -> None:
        complain(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        for old in (DeprecationWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", old)
        warnings.showwarning = show
        yield


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Yield the list of the signals received; SIGTERM stops the program as Ctrl-C does.

    So workers end and locks are released. Outside the main thread, which alone receives signals, nothing is
    changed.
    """
    received: list[int] = []

    def stop(number: int, _frame: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is stop:  # after an interruption further presses stay ignored
                signal.signal(number, handler)
