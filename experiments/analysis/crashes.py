"""The lines that tell which stacks crashed, and how."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.analysis.ratios import varying
from experiments.analysis.wording import count
from experiments.storage.own_parts import is_of_user

if TYPE_CHECKING:
    from experiments.storage.records import Records

NAMELESS = ("<frozen", "<dynamic")  # the files of Python's own importing, and of what was sent to a worker
FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def crash_lines(records: Records) -> list[str]:
    """Return one line for each traceback: how many runs crashed, what they have in common, the last line."""
    crashed = records.runs[records.runs["status"] == "crashed"]
    lines = []
    for error, runs in crashed.groupby("error", sort=False):
        shared = [name for name in varying(records.runs) if len(runs[name].drop_duplicates()) == 1]
        settings = ", ".join(f"{name}={runs[name].iloc[0]}" for name in shared)
        last = str(error).strip().rpartition("\n")[2] or "no reason is known"
        said = f"{last}{_place(str(error))}"
        lines.append(f"{count(len(runs), 'run')} crashed{f' ({settings})' if settings else ''}: {said}")
    return lines


def _place(error: str) -> str:
    """Return the place in a part of the user's own that a traceback names: `` (my_parts.py, line 12)``."""
    named = FRAME.findall(error)
    frames = [(file, line) for file, line in named if is_of_user(file) and not file.startswith(NAMELESS)]
    return f" ({Path(frames[-1][0]).name}, line {frames[-1][1]})" if frames else ""
