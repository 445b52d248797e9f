"""The lines that tell which stacks crashed, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.analysis.ratios import varying
from experiments.analysis.wording import count
from experiments.storage.blame import blamed_in

if TYPE_CHECKING:
    from experiments.storage.records import Records


def crash_lines(records: Records) -> list[str]:
    """Return one line for each traceback: how many runs crashed, what they have in common, the last line."""
    crashed = records.runs[records.runs["status"] == "crashed"]
    lines = []
    for error, runs in crashed.groupby("error", sort=False):
        shared = [name for name in varying(records.runs) if len(runs[name].drop_duplicates()) == 1]
        settings = ", ".join(f"{name}={runs[name].iloc[0]}" for name in shared)
        last = str(error).strip().rpartition("\n")[2] or "no reason is known"
        where = blamed_in(str(error))
        said = f"{last} ({where})" if where else last
        lines.append(f"{count(len(runs), 'run')} crashed{f' ({settings})' if settings else ''}: {said}")
    return lines
