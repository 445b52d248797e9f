"""The store of an experiment: its finished runs in ``results/<experiment>/``, safe against interruptions.

The records of a stack are one part, a Parquet file in each of ``runs/``, ``steps/`` and ``layers/``, and in
``units/`` and ``bins/`` where a config asks for them. The file in ``runs/`` is written last: it is the commit
mark. Each folder also holds ``0-columns.parquet`` with all columns and no rows, so that
``pd.read_parquet("results/deep_sigmoid/layers")`` gives one table at any moment, even if the parts were
measured with different probes (a reader takes the columns from the file that sorts first).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from experiments.storage import files
from experiments.storage.files import StoreError, StoreWarning, explained
from experiments.storage.parts import (
    COLUMNS_ONLY,
    FRAMES,
    Part,
    columns_file,
    homes,
    is_ours,
    path_of,
    read,
    scan,
    seal,
)
from experiments.storage.records import COLUMNS, VARIABLE, Records, typed, with_defaults
from mlp.registry import did_you_mean

ASIDE = "set_aside"
DRAFTS = ".partial"
MANIFEST = "manifest.json"
# The tables of a sweep, which `fresh` deletes even if a killed sweep did not list them in the manifest:
TABLES = ("claims.csv", "summary.csv", "frontier.csv", "report.html")
NAMED = 5  # the most files that one message names


def results_root() -> Path:
    """Return the folder of all results: the environment variable VG_RESULTS, else ``results``."""
    return Path(os.environ.get("VG_RESULTS") or "results")


def name_of(place: str) -> str:
    """Return the name of the experiment that a user means by its name or its folder, as in results/q."""
    path = Path(place)
    try:
        is_folder = len(path.parts) > 1 and path.parent.resolve() == results_root().resolve()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or links in a circle
        return place
    return path.name if is_folder else place


class Store:
    """The results of one experiment. Reading needs no lock; writing needs ``with store.sweep():``."""

    def __init__(self, name: str | Path, root: Path | None = None) -> None:
        self.root = results_root() if root is None else Path(root)
        self.folder = files.inside(self.root, name)
        self._parts: dict[str, Part] | None = None  # by name; known while this store holds the lock
        self._home: dict[str, str] = {}  # run_id -> the name of its part
        self._probes: dict[str, tuple[str, ...]] = {}  # by frame, the columns that its 0-columns.parquet has
        self._written: set[str] = set()

    # Reading ----------------------------------------------------------------------------------------------

    def finished(self, rerun_failed: bool = False) -> set[str]:
        """Return the ids of the stored runs, without crashed ones if these are to be run again."""
        return {run for run, state in self.statuses().items() if not (rerun_failed and state == "crashed")}

    def statuses(self) -> dict[str, str]:
        """Return what became of each stored run, by its id: ok, diverged or crashed."""
        parts, home = self._parts, self._home
        if parts is None:
            parts = scan(self.folder)[0]
            home = homes(parts)
        return {run: parts[at].runs[run] for run, at in home.items()}

    def made_by(self) -> dict[str, tuple[str, Mapping[str, str]]]:
        """Return each stored run's status and its maker (empty where it was not noted), by its id."""
        parts = self._parts if self._parts is not None else scan(self.folder)[0]
        return {run: (parts[at].runs[run], parts[at].maker) for run, at in homes(parts).items()}

    def load(self, ids: Iterable[str] | None = None, probes: Collection[str] | None = None) -> Records:
        """Return the records of these runs in this order, or of all runs sorted by id.

        probes: the measured columns that are read, of whichever frame has them; None for all.
        A run that is not stored has no rows. How and when the runs were divided into files has no influence.
        An invalid file is left out, with a StoreWarning. Errors: StoreError if nothing was stored here.
        """
        if not (self.folder / "runs").is_dir():
            raise self.absent()
        with explained("read", self.folder):
            parts, bad = scan(self.folder)
            for reason, names in _by_reason(bad):
                warnings.warn(f"{self.folder}: part {names} not read: {reason}", StoreWarning, stacklevel=2)
            home = homes(parts)
            order = sorted(home) if ids is None else list(dict.fromkeys(ids))
            take: dict[Part, list[str]] = {}
            for run in order:
                if run in home:
                    take.setdefault(parts[home[run]], []).append(run)
            return self.read_parts(take, probes).of(order)

    def absent(self) -> StoreError:
        """Return the error that says that nothing is stored here, and what is stored beside it."""
        try:
            beside = sorted(path.parent.name for path in self.root.glob(f"*/{MANIFEST}"))
        except OSError:  # the folder of all results cannot be read
            beside = []
        names = ", ".join(beside[:NAMED]) + (", …" if len(beside) > NAMED else "")
        listed = f" Stored in {self.root}: {names}." if beside else ""
        hint = did_you_mean(self.folder.name, beside) or listed
        return StoreError(f"{self.folder}: nothing is stored here. Run the experiment first.{hint}")

    def manifest(self) -> dict[str, Any]:
        """Return the facts of the manifest; if its file is damaged, an empty dict, with a StoreWarning."""
        path = self.folder / MANIFEST
        try:
            with explained("read", path):
                facts = json.loads(files.content(path)) if path.exists() else {}
        except ValueError:
            facts = None
        if not isinstance(facts, dict):
            warnings.warn(f"{path}: not a whole JSON file: not read", StoreWarning, stacklevel=2)
            return {}
        return facts

    def read_parts(self, take: dict[Part, list[str]], probes: Collection[str] | None = None) -> Records:
        """Return the records of the listed runs of each of these parts, which are known to be valid."""
        frames = {}
        for frame in FRAMES:
            rows = read(self.folder, frame, take, probes).to_pandas()
            frames[frame] = typed(frame, with_defaults(rows)) if frame == "runs" else rows
        return Records(**frames)

    # Writing ----------------------------------------------------------------------------------------------

    @contextmanager
    def sweep(self) -> Iterator[list[str]]:
        """Lock and repair the folder; yield a line for each reason why files had to be set aside.

        Errors: StoreError if another sweep holds the lock, or if the folder cannot be written.
        """
        with explained("make", self.folder):
            for part in (*FRAMES, DRAFTS):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
        for part in (*FRAMES, DRAFTS, ASIDE, "figures"):
            if (self.folder / part).resolve() != self.folder.resolve() / part:
                raise StoreError(f"{self.folder / part} is a link; results go into plain folders only.")
        with files.locked(self.folder / ".lock"):
            try:
                with explained("write", self.folder):
                    messages = self._mend()
                yield messages
            finally:
                self._parts = None

    def save(self, records: Records, stack: str = "", maker: Mapping[str, str] | None = None) -> list[str]:
        """Store a stack's records as one part, which readers see only once all of it is durable.

        A run that is stored already is replaced, but a crashed run never replaces a finished one. `stack` is
        the part's name, by default a hash of its run ids. A replaced part with finished runs of another maker
        is set aside, not deleted; return where. Errors: StoreError; then nothing has changed.
        """
        held = self._holding()
        status = dict(zip(records.check().runs["run_id"], records.runs["status"], strict=True))
        done = self.finished(rerun_failed=True) if "crashed" in status.values() else set()
        ids = [run for run, state in status.items() if state != "crashed" or run not in done]
        before = {self._home[run] for run in ids if run in self._home}
        with explained("write", self.folder):
            if ids:
                for frame, measured in VARIABLE.items():
                    self._widen(frame, getattr(records, measured))
                self._add(records.of(ids), stack or _name(ids), maker or {})
            foreign = [name for name in sorted(before) if _is_lost(held[name], set(ids), maker or {})]
            for name in sorted(before):
                self._take_out(held[name], set(ids), keep=name in foreign)
        return foreign

    def write(self, name: str, data: bytes) -> Path:
        """Write a table, figure or report atomically and return its path; `fresh` will delete it."""
        path = files.inside(self.folder, name)
        files.write(path, data, self.folder / DRAFTS)
        self._written.add(Path(name).as_posix())
        return path

    def discard(self, name: str) -> None:
        """Delete a table or figure that is no longer true, if a sweep has written it here."""
        path = files.inside(self.folder, name)
        if Path(name).as_posix() in self._known():
            files.remove(path)

    def write_manifest(self, **facts: Any) -> None:
        """Add facts to the manifest; its ``written`` collects the names of all files that `write` wrote."""
        facts = self.manifest() | facts | {"written": sorted(self._known() | set(facts.get("written", ())))}
        text = json.dumps(facts, indent=2, ensure_ascii=False, default=str) + "\n"
        files.write(self.folder / MANIFEST, text.encode(), self.folder / DRAFTS)

    def fresh(self) -> None:
        """Delete the parts, tables, figures and manifest that sweeps have written here, and nothing else."""
        parts = list(self._holding().values())
        others = [files.inside(self.folder, name) for name in (*TABLES, *sorted(self._known()))]
        with explained("delete", self.folder):
            for part in parts:
                self._drop(part)
            for path in others:
                path.unlink(missing_ok=True)
                with suppress(OSError):  # the folder still holds other files
                    path.parent.rmdir()
            (self.folder / MANIFEST).unlink(missing_ok=True)  # last: it says what is left to delete
        self._written.clear()

    def _known(self) -> set[str]:
        """Return the names of the files, other than parts, that this and earlier sweeps have written here."""
        listed = self.manifest().get("written")
        return {*self._written, *map(str, listed if isinstance(listed, list) else ())}

    def _holding(self) -> dict[str, Part]:
        if self._parts is None:
            raise RuntimeError("results are written inside `with store.sweep():`")
        return self._parts

    def _mend(self) -> list[str]:
        """Delete the remains of a killed sweep and set invalid files aside; return a line for each reason."""
        for unfinished in (self.folder / DRAFTS).iterdir():
            unfinished.unlink()
        self._parts, bad = scan(self.folder)
        faults = {}
        for name, reason in bad.items():
            faults[f"part {name}"] = reason
            for frame in reversed(FRAMES):  # runs last: until then the next sweep finds the part as it was
                self._set_aside(path_of(self.folder, frame, name))
        for stray in self._strays():
            if stray.parent.name != "runs" and is_ours(stray):
                stray.unlink()  # its commit mark was never written
            else:
                faults[f"{stray.parent.name}/{stray.name}"] = "was not written by a sweep"
                self._set_aside(stray)
        self._settle()
        where = f"set aside in {self.folder / ASIDE}"
        return [f"{self.folder}: {names} {where}: {reason}" for reason, names in _by_reason(faults)]

    def _settle(self) -> None:
        """Keep each run in one part only, and write each folder's list of columns."""
        parts = self._holding()
        self._home = homes(parts)
        for frame in FRAMES:
            probes = dict.fromkeys(probe for part in parts.values() for probe in part.columns(frame))
            self._probes[frame] = tuple(probes)
            self._write_columns(frame, self._probes[frame])
        for part in list(parts.values()):
            if elsewhere := {run for run in part.runs if self._home[run] != part.name}:
                self._take_out(part, elsewhere)

    def _strays(self) -> list[Path]:
        """Return the files in the folders of the frames that belong to no valid part."""
        known = {(frame, COLUMNS_ONLY) for frame in FRAMES}
        known |= {(frame, part.name) for part in self._holding().values() for frame in part.frames}
        known = {f"{frame}/{name}.parquet" for frame, name in known}
        return [
            path
            for frame in FRAMES
            for path in sorted((self.folder / frame).iterdir())
            if f"{frame}/{path.name}" not in known and path.name[0] not in "._"  # those no reader reads
        ]

    def _set_aside(self, path: Path) -> None:
        target = self._place_aside(path)
        if os.path.lexists(path):
            os.rename(path, target)

    def _copy_aside(self, path: Path) -> None:
        """Write a copy durably, so that a kill in between leaves the part where it was."""
        files.write(self._place_aside(path), path.read_bytes(), self.folder / DRAFTS)

    def _place_aside(self, path: Path) -> Path:
        target = self.folder / ASIDE / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        count = 1
        while os.path.lexists(target):
            count += 1
            target = target.with_name(f"{path.stem}-{count}{path.suffix}")
        return target

    def _widen(self, frame: str, probes: Iterable[str]) -> None:
        """Add these columns to the list that readers of the folder of `frame` see."""
        held = self._probes[frame]
        if new := [probe for probe in probes if probe not in held]:
            self._write_columns(frame, (*held, *new))
            self._probes[frame] = (*held, *new)

    def _write_columns(self, frame: str, probes: tuple[str, ...]) -> None:
        raw, path = columns_file(frame, (*COLUMNS[frame], *probes)), path_of(self.folder, frame, COLUMNS_ONLY)
        if not path.is_file() or files.content(path) != raw:
            files.write(path, raw, self.folder / DRAFTS)

    def _add(self, records: Records, stack: str, maker: Mapping[str, str]) -> None:
        """Commit one new part."""
        if not re.fullmatch(r"[0-9A-Za-z]\w*", stack, re.ASCII):
            raise ValueError(f"{stack!r} is not a part's name: letters, digits and underscores")
        name, count = stack, 1
        while any(path_of(self.folder, frame, name).exists() for frame in FRAMES):
            count += 1
            name = f"{stack}-{count}"
        self._commit(name, seal(records, name, maker))
        runs = dict(zip(records.runs["run_id"], records.runs["status"], strict=True))
        measured = {key: getattr(records, key) for key in VARIABLE.values()}
        self._holding()[name] = Part(name, runs, **measured, maker=maker)
        self._home |= dict.fromkeys(runs, name)

    def _commit(self, name: str, raw: dict[str, bytes]) -> None:
        """Write a part's files and rename them into place, the runs last."""
        paths = {frame: path_of(self.folder, frame, name) for frame in raw}
        unseen: dict[str, Path] = {}
        try:
            for frame, path in paths.items():
                unseen[frame] = files.draft(raw[frame], path, self.folder / DRAFTS)
            for frame in list(paths)[:-1]:
                os.replace(unseen[frame], paths[frame])
                files.sync(paths[frame].parent)
            os.replace(unseen["runs"], paths["runs"])
        except BaseException:
            if not paths["runs"].exists():
                for path in (*unseen.values(), *list(paths.values())[:-1]):
                    files.remove(path)
            raise
        files.sync(paths["runs"].parent)

    def _take_out(self, part: Part, runs: set[str], *, keep: bool = False) -> None:
        """Remove some runs, which another part holds, from this one; keep: set the part as it was aside."""
        if rest := [run for run in part.runs if run not in runs]:
            self._add(self.read_parts({part: rest}).of(rest), part.name.split("-")[0], part.maker)
        if keep:
            for frame in part.frames[::-1]:
                self._copy_aside(path_of(self.folder, frame, part.name))
        self._drop(part)

    def _drop(self, part: Part) -> None:
        """Delete a part, its commit mark first."""
        path_of(self.folder, "runs", part.name).unlink()
        files.sync(self.folder / "runs")
        for frame in part.frames[1:]:
            path_of(self.folder, frame, part.name).unlink()
        del self._holding()[part.name]
        for run in part.runs:
            if self._home[run] == part.name:
                del self._home[run]


def _is_lost(part: Part, replaced: set[str], maker: Mapping[str, str]) -> bool:
    """Return whether another maker's finished numbers go with these runs of a part."""
    finished = {run for run, status in part.runs.items() if status != "crashed"}
    return bool(finished & replaced) and dict(part.maker) != dict(maker)


def _name(ids: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(sorted(ids)).encode()).hexdigest()[:12]


def _by_reason(faults: dict[str, str]) -> list[tuple[str, str]]:
    """Return each reason with the names that it applies to, at most NAMED of them in full."""
    reasons: dict[str, list[str]] = {}
    for name, reason in faults.items():
        reasons.setdefault(reason, []).append(name)
    lines = []
    for reason, names in reasons.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        lines.append((reason, ", ".join(names[:NAMED]) + more))
    return lines
