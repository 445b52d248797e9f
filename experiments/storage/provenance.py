"""The facts of a manifest: the question, and the versions, processor and commit that answered it.

Nothing here names a machine, a person or a path, so that a manifest can be published as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments import config
from experiments.config import Experiment
from experiments.datasets import decisions, fingerprint
from experiments.storage.files import StoreError, content, explained
from experiments.storage.identity import SCHEMA
from experiments.storage.recorded import RECORDED, recorded_experiment, refuse_recorded
from experiments.storage.store import MANIFEST, Store, results_root

PACKAGES = ("numpy", "scipy", "pandas", "pyarrow", "matplotlib", "scikit-learn", "pyyaml")
CODE = ("mlp", "experiments")  # the folders whose code determines the numbers
PATIENCE = 10  # seconds to wait for git


def question_facts(experiment: Experiment, runs: int, prints: Mapping[str, str] | None) -> dict[str, Any]:
    """Return what the manifest says of the question: its config, its number of runs and its data.

    `prints` are the fingerprints of the data sets. "data_decisions" has a sentence for everything that was
    decided in reading a user's own data: the label, the classes, words, gaps, what is left out. Of a search,
    `runs` counts the first round.
    """
    keys = config.to_mapping(experiment)
    return {
        "name": experiment.name,
        "schema": SCHEMA,
        "question": experiment.question,
        "config": keys,
        "config_sha256": hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest(),
        "runs": runs,
        "data": dict(prints or {}),
        "data_decisions": {text: said for text in prints or {} if (said := decisions(text))},
    }


def stored_experiment(store: Store) -> Experiment:
    """Return the experiment that a store's manifest describes; errors: StoreError."""
    path = store.folder / MANIFEST
    if not path.exists():
        raise store.absent()
    facts = _manifest_facts(path, "Run the experiment again: finished runs are kept.")
    if facts.get(RECORDED):
        return recorded_experiment(facts, store.folder.name)
    return replace(_valid(path, facts), name=store.folder.name)


def _manifest_facts(file: Path, advice: str) -> dict[str, Any]:
    """Return the facts of a manifest that holds a config; errors: StoreError, which tells a torn file."""
    with explained("read", file):
        raw = content(file)
    try:
        facts = json.loads(raw)
    except (ValueError, RecursionError):
        raise StoreError(f"{file}: cut off or damaged: not a whole JSON file. {advice}") from None
    if not isinstance(facts, dict) or not isinstance(facts.get("config"), dict):
        raise StoreError(f"{file}: not the manifest of an experiment: it holds no config. {advice}")
    return facts


def _valid(file: Path, facts: Mapping[str, Any]) -> Experiment:
    """Return the experiment of a manifest's config; errors: StoreError, which says who has written it."""
    try:
        return config.from_mapping(facts["config"], name=str(facts.get("name", "notebook")))
    except config.ConfigError as error:
        cause = "another version has written it, or it uses parts of your own: then say --with FILE"
        schema = facts.get("schema")
        if isinstance(schema, int) and schema != SCHEMA:
            age = "newer" if schema > SCHEMA else "older"
            cause = f"a program {age} than this one has written it: its numbers are of version {schema}"
        raise StoreError(f"{file}: its config is not valid here ({cause}):\n{error}") from None


def manifest_experiment(path: Path) -> tuple[Experiment, list[str]]:
    """Return the experiment of a manifest, and a line for each reason why its numbers may not come out again.

    `path` is a manifest or the folder of one. Errors: StoreError where there is none or its config is not
    valid here, ConfigError where the data are not those that it was made with.
    """
    if not path.exists():
        beside = results_root() / path
        hint = f" Did you mean {beside}?" if (beside / MANIFEST).exists() else ""
        raise StoreError(f"{path}: no such file; give a folder of results/ or a manifest.{hint}")
    file = path / MANIFEST if path.is_dir() else path
    facts = _manifest_facts(file, "Give another manifest, or the config file itself.")
    refuse_recorded(facts, file.parent, "trained")
    experiment = _valid(file, facts)
    _check_data(file, facts.get("data"))
    return experiment, list(_differences(facts))


def _check_data(file: Path, data: Any) -> None:
    """Check that the data sets are those of a manifest; errors: ConfigError."""
    if isinstance(data, dict):
        now = {name: fingerprint(name) for name in data}
        changed = ", ".join(name for name, was in data.items() if now[name] != was)
        if changed:
            raise config.ConfigError([f"{file}: the data have changed since: {changed}"])


def _differences(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each thing that numbers depend on and that is not as it was."""
    if facts.get("schema") not in (None, SCHEMA):
        yield f"made by version {facts['schema']} of the numbers; this is {SCHEMA}: some will differ"
    then, now = facts.get("versions"), versions()
    for name in ("numpy", "scipy", "scikit-learn"):
        if isinstance(then, dict) and name in then and then[name] != now.get(name):
            yield f"made with {name} {then[name]}; this is {now.get(name)}: the last bits may differ"
    kernels = [{each.get("architecture") for each in found} for found in (facts.get("blas") or (), blas())]
    if facts.get("blas") and kernels[0] != kernels[1]:
        names = [", ".join(sorted(map(str, each))) for each in kernels]
        yield f"made on a processor of kind {names[0]}; this is {names[1]}: the last bits may differ"


def training_facts(runs: int, seconds: float, workers: int, threads: str) -> dict[str, Any]:
    """Return what the manifest says of a training that has just ended: its size, its time and `facts`.

    threads: those of the matrix products of a run as they were found, "unknown" where nothing tells.
    """
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    training = {"runs": runs, "seconds": round(seconds, 2), "workers": workers, "ended": now}
    training["blas_threads_a_run"] = int(threads) if threads.isdecimal() else threads
    return {"last_training": training, **facts()}


def facts() -> dict[str, Any]:
    """Return everything about this process that its numbers may depend on, for the manifest."""
    return {"versions": versions(), "blas": blas(), "machine": machine(), "git": git()}


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def blas() -> list[dict[str, Any]]:
    """Return the loaded linear algebra and OpenMP libraries with their numbers of threads, by name."""
    import numpy as np  # noqa: F401  (loads the library that is asked about)
    from threadpoolctl import threadpool_info

    wanted = ("internal_api", "version", "architecture", "threading_layer", "num_threads")
    found = [{key: pool[key] for key in wanted if key in pool} for pool in threadpool_info()]
    return sorted(found, key=lambda pool: [str(value) for value in pool.values()])


def machine() -> dict[str, Any]:
    """Return the kind of machine: processor, cores that this process may use, memory in GB, system."""
    return {
        "cpu": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def git(folder: Path | None = None) -> dict[str, Any] | None:
    """Return the commit, whether the code differs from it, and a hash of the difference; None outside git.

    Only the folders in CODE are compared, including files not yet added: a new config or result does not make
    the code dirty.
    """
    root = folder or Path(__file__).resolve().parents[2]
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None or not (root / ".git").exists():
        return None
    difference = _git(root, "diff", "--no-ext-diff", "HEAD", "--", *CODE)
    added = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *CODE)
    if difference is None or added is None:
        return None
    for name in filter(None, added.split(b"\0")):
        difference += name + (root / os.fsdecode(name)).read_bytes()
    digest = hashlib.sha256(difference).hexdigest()[:12] if difference else ""
    return {"commit": commit.decode().strip(), "dirty": bool(difference), "diff": digest}


def _git(root: Path, *arguments: str) -> bytes | None:
    """Return the output of a git command, or None if it fails."""
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def processor() -> str:
    """Return the processor's name, from /proc/cpuinfo on Linux and from `platform` elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None
