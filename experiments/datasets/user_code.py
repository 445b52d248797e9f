"""Which code is a user's, and where in it an error was raised."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import NamedTuple

PROJECT = tuple(str(Path(__file__).resolve().parents[2] / name) for name in ("mlp", "experiments"))
STANDARD = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
INSTALLED = {"site-packages", "dist-packages"}  # the folders of libraries
NAMELESS = ("<frozen", "<dynamic")  # the files of Python's own importing, and of what a library makes


class Frame(NamedTuple):
    """A call that an error came through: its file, the line, and its code where that is at hand."""

    file: str
    line: int
    code: CodeType | None = None


@lru_cache(maxsize=4096)
def is_of_library(file: str) -> bool:
    """Return whether a file belongs to this project, to Python or to an installed package."""
    path = Path(file)
    if not path.is_absolute():  # <stdin>, a cell of a notebook
        return False
    return bool(INSTALLED & set(path.parts)) or any(map(path.is_relative_to, (*PROJECT, *STANDARD)))


def is_of_user(file: str | None) -> bool:
    """Return whether a module's file is neither this project's, nor Python's, nor an installed package's."""
    return bool(file) and not is_of_library(str(file))


def frames_of(error: BaseException) -> list[Frame]:
    """Return each call that an error came through, the outermost first."""
    calls = traceback.walk_tb(error.__traceback__)
    return [Frame(frame.f_code.co_filename, line or 0, frame.f_code) for frame, line in calls]


def place_among(frames: Iterable[Frame]) -> str:
    """Return the innermost place that is in a user's code, as ``my_parts.py, line 12``; "" if none is."""
    found = [frame for frame in frames if is_of_user(frame.file) and not frame.file.startswith(NAMELESS)]
    return f"{Path(found[-1].file).name}, line {found[-1].line}" if found else ""


def failed(what: str, error: Exception) -> str:
    """Return a sentence on a user's part that failed: its name, where, and the error."""
    place = place_among(frames_of(error))
    return f"{what} fails{f' ({place})' if place else ''}: {type(error).__name__}: {error}"
