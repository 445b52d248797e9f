"""Runs that another experiment of the same results folder has stored, which need no training again.

A run's id is a hash of all that changes its numbers, so a run of this id is the same in every experiment. It
is copied, not linked: each folder holds all of its own runs, and deleting one harms no other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from experiments.storage.files import content
from experiments.storage.identity import SCHEMA
from experiments.storage.parts import COLUMNS_ONLY, BadPart, facts_of, open_part
from experiments.storage.store import Store

Place = tuple[str, str]  # an experiment's name and the name of one of its parts


def held_elsewhere(
    store: Store, ids: Collection[str], mine: Mapping[str, str] | None = None
) -> dict[Place, list[str]]:
    """Return which of these runs other experiments beside `store` have finished, by where they are.

    mine: only runs of this maker count. Only the footers of the parts are read here; `take_over` checks a
    part whole.
    """
    wanted = set(ids)
    found: dict[Place, list[str]] = {}
    for folder in _others(store) if wanted else ():
        for path in sorted((folder / "runs").glob("[!._]*.parquet")):
            if path.stem == COLUMNS_ONLY:
                continue
            status, maker = _status(path)
            if mine is not None and maker != mine:
                continue
            here = [name for name, state in status.items() if name in wanted and state != "crashed"]
            if here:
                found[folder.name, path.stem] = here
                wanted.difference_update(here)
    return found


def take_over(store: Store, found: Mapping[Place, Collection[str]]) -> int:
    """Copy these runs into `store`, which holds its lock; return how many. A damaged part is left out."""
    count = 0
    for (experiment, part), ids in found.items():
        other = Store(experiment, store.root)
        try:
            sound = open_part(other.folder, part)
            records = other.read_parts({sound: list(ids)}).of(ids)
        except (BadPart, OSError):
            continue
        store.save(records, maker=sound.maker)
        count += len(records.runs)
    return count


def _others(store: Store) -> list[Path]:
    """Return the folders of the other experiments, those that may be read."""
    try:
        folders = sorted(store.folder.parent.iterdir())
    except OSError:
        return []
    return [path for path in folders if path.name != store.folder.name and not path.is_symlink()]


def _status(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return a part's runs with their status, and its maker; empty if it is damaged or of other numbers."""
    try:
        facts = facts_of(content(path)) if path.is_file() else {}
    except (BadPart, OSError):
        return {}, {}
    runs = facts.get("runs") if facts.get("schema") == SCHEMA else None
    return (runs if isinstance(runs, dict) else {}), facts.get("maker") or {}
