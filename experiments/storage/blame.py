"""Which of a user's own parts an error comes from: its kind, its name, its file and its line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType

from experiments.config.kinds import TABLES
from experiments.datasets.user_code import Frame, frames_of, place_among
from experiments.storage.own_parts import functions_of, is_own

FRAME = re.compile(r'File "([^"]+)", line (\d+)')  # of a traceback that was printed


def blamed(error: BaseException) -> str:
    """Return the part that an error comes from: ``activation my_bump, my_parts.py, line 12``; else ""."""
    return _part(frames_of(error))


def blamed_in(printed: str) -> str:
    """Return the same of a printed traceback, as a worker sends it; without a part the place alone."""
    frames = [Frame(file, int(line)) for file, line in FRAME.findall(printed)]
    return _part(frames) or place_among(frames)


def _part(frames: Sequence[Frame]) -> str:
    """Name the innermost part that these frames lie in, and the innermost place in the user's code."""
    place = place_among(frames)
    for frame in reversed(frames) if place else ():
        for name, code in _own_code():
            if _is_in(frame, code):
                return f"{name}, {place}"
    return ""


def _is_in(frame: Frame, code: CodeType) -> bool:
    """Return whether a call is of this function or of one in it: by its code, or else by file and line."""
    if frame.code is not None and frame.code is not code:
        return any(_is_in(frame, each) for each in code.co_consts if isinstance(each, CodeType))
    is_its_file = Path(code.co_filename).name == Path(frame.file).name  # a worker knows no folder
    return frame.code is code or (is_its_file and frame.line in _lines(code))


def _own_code() -> Iterator[tuple[str, CodeType]]:
    """Yield the kind and name of each part of the user's, with the code of the functions it consists of."""
    for kind, (module, table) in TABLES.items():
        for name, part in getattr(sys.modules.get(module), table, {}).items():
            if is_own(part):
                words = kind.replace("_", " ")
                yield from ((f"{words} {name}", function.__code__) for function in functions_of(part))


def _lines(code: CodeType) -> set[int]:
    """Return the lines of a function, those of the functions in it included."""
    lines = {line for _, _, line in code.co_lines() if line is not None}
    return lines.union(*(_lines(each) for each in code.co_consts if isinstance(each, CodeType)))
