"""Atomic writing: a kill, a full disk or a power cut leaves either the old file or the new one.

A file is written under a name that no reader looks at, made durable (fsync), and renamed over its target;
then the folder that holds the new name is made durable too (`draft`, `write` and `sync`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import stat
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

try:
    import fcntl
except ImportError:  # no POSIX system
    fcntl = None  # type: ignore[assignment]


class StoreError(RuntimeError):
    """Results cannot be written or read; the message says where, why and what to do."""


class StoreWarning(UserWarning):
    """A file was not read, or a lock is not available; the message names it."""


_FULL = "Free some space and run the same command again: finished runs are kept."
_DENIED = "Set VG_RESULTS to a folder that you may write to, or change the permission."
_BLOCKED = "Something else stands where a file or a folder should be: move it away."
_OTHERWISE = "Run the same command again once the cause is gone: finished runs are kept."
ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _FULL),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), _DENIED),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.EINVAL), _BLOCKED),
}
NO_FILE = "a pipe, a device or a link to itself, not a file"
NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # refuse a lock file that is a link: writing would change its target
LONGEST_NAME = 200  # bytes; systems allow 255, and a draft's name is longer than its file's
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)  # errors of a file system without locks
_NO_FOLDER_SYNC = (errno.EINVAL, errno.EOPNOTSUPP)  # errors of a file system that cannot sync folders


@contextlib.contextmanager
def explained(doing: str, path: Path) -> Iterator[None]:
    """Turn an operating system's error into a StoreError: path, cause, what to do."""
    try:
        yield
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        advice = ADVICE.get(error.errno or 0, _OTHERWISE)
        raise StoreError(f"{path}: cannot {doing}: {cause}. {advice}") from error


def content(path: Path) -> bytes:
    """Return the bytes of a plain file; errors: OSError, also where a pipe or a device stands there.

    Reading a pipe would wait for ever, and a device such as /dev/zero has no end.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.EINVAL, NO_FILE, str(path)) from None
        raise
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, NO_FILE, str(path))
    return path.read_bytes()


def inside(root: Path, name: str | Path) -> Path:
    """Return the path of `name` under `root`; errors: StoreError if ``..`` or a link leads elsewhere."""
    path = root / name
    try:
        within = root.resolve() in path.resolve().parents and len(os.fsencode(path.name)) <= LONGEST_NAME
    except (OSError, ValueError, RuntimeError):  # for example a NUL in the name, or links in a circle
        within = False
    if not within:
        raise StoreError(f"{str(name)!r} does not name anything inside {root}; give a plain name")
    return path


def draft(data: bytes, path: Path, folder: Path) -> Path:
    """Write `data` durably under a name in `folder` that no reader looks at, to be renamed to `path`."""
    unseen = folder / f".{path.parent.name}-{path.name}.{os.getpid()}.partial"
    try:
        with open(unseen, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        remove(unseen)
        raise
    return unseen


def sync(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


def write(path: Path, data: bytes, folder: Path) -> None:
    """Put `data` at `path`, whole or not at all; `folder` is where it is drafted. Errors: StoreError."""
    with explained("write", path):
        for parent in (path.parent, folder):
            parent.mkdir(parents=True, exist_ok=True)
        unseen = draft(data, path, folder)
        try:
            os.replace(unseen, path)
        except BaseException:
            remove(unseen)
            raise
        sync(path.parent)


def remove(path: Path) -> None:
    """Delete a file if possible; a failure is ignored, because nothing depends on the deletion."""
    with contextlib.suppress(OSError):
        path.unlink()


_held: set[int] = set()  # handles of the locks this process holds


def _forget_in_child() -> None:
    """Close the locks in a forked worker, which would keep them alive after its parent was killed."""
    for handle in _held:
        os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock `path` for this process; readers are not blocked. Errors: StoreError, naming the holder.

    The system releases the lock when the process ends in any way, so that no lock is ever stale.
    """
    with explained("lock", path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
        _held.add(handle)
    try:
        _take(handle, path)
        with explained("write", path):
            _sign(handle)
        yield
    finally:
        if handle in _held:  # false in a child that was forked meanwhile
            _held.discard(handle)
            os.close(handle)


def _take(handle: int, path: Path) -> None:
    try:
        if fcntl is None:
            raise OSError(errno.ENOSYS, "no locks on this system")
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(
            f"{path.parent}: another sweep is writing here: {_holder(path)}. "
            "Wait until it has ended, or stop it; readers need not wait."
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise StoreError(f"{path}: cannot lock: {error.strerror}. {_OTHERWISE}") from error
        text = f"{path.parent}: no locks are to be had here: do not start a second sweep in this folder"
        warnings.warn(text, StoreWarning, stacklevel=4)


def _sign(handle: int) -> None:
    """Write into the lock file who holds the lock."""
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps(facts).encode())


def _holder(path: Path) -> str:
    """Return who holds the lock, as written in the lock file."""
    try:
        facts = json.loads(content(path))
        return f"process {facts['pid']} on {facts['host']}, since {facts['since']}"
    except (OSError, ValueError, TypeError, KeyError):
        return "a process that has only just started"
