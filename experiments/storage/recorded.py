"""Experiments that were recorded from another program's network, and not trained here.

Their folder is like any other, so `load`, `plot.py` and `diagnose.py` work on it. Their manifest has the key
``recorded``: what was stated and found of each run, by its id. Nothing in it can be trained again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.config import ConfigError, Experiment, Run
from experiments.storage.records import Records
from experiments.storage.store import Store

RECORDED = "recorded"  # the key of the manifest; and the value of a text field that was not stated


def recorded_facts(store: Store) -> dict[str, Any]:
    """Return the facts of each recorded run by its id; an empty dict for an experiment trained here."""
    found = store.manifest().get(RECORDED)
    return found if isinstance(found, dict) else {}


def recorded_runs(facts: Mapping[str, Any]) -> dict[str, Run]:
    """Return each recorded run by its id, from `recorded_facts`."""
    return {name: Run(**each["settings"]) for name, each in facts.items()}


def recorded_experiment(manifest: Mapping[str, Any], name: str) -> Experiment:
    """Return what figures and reports need to know of a recorded experiment, from its manifest."""
    given, runs = manifest["config"], recorded_runs(manifest[RECORDED])
    return Experiment(
        question=str(manifest.get("question", "")),
        name=name,
        base=next(iter(runs.values())),
        probes=tuple(given["probes"]),
        figures=tuple(given["figures"]),
        trace="batch",
    )


def refuse_recorded(manifest: Mapping[str, Any], folder: Path, done: str) -> None:
    """Check that a manifest is not of recorded networks; errors: ConfigError, with what cannot be done."""
    if manifest.get(RECORDED):
        told = (
            f"{folder}: holds a network that was recorded from another program, so it cannot be {done} here"
        )
        raise ConfigError([f"{told}; plot.py, diagnose.py and load() work on it"])


def with_notes(records: Records, facts: Mapping[str, Any]) -> Records:
    """Put into the frames' attrs what is known of the networks: what was left out, and measured on what."""
    kept = {name: facts[name] for name in records.runs["run_id"]}
    left_out = {probe: why for each in kept.values() for probe, why in each["left_out"].items()}
    records.runs.attrs[RECORDED] = kept
    told = dict.fromkeys(each["measured_on"] for each in kept.values())
    records.layers.attrs |= {"measured_on": "; ".join(told), "left_out": left_out}
    return records
