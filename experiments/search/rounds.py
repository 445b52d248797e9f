"""The runs that an experiment asks for: its grid, or of a search one round after the other.

A round is an ordinary experiment, so that it is planned, stacked, trained and stored as any other. Which one
comes next follows from the stored outcomes of those before: a search that was interrupted goes on where it
was, and one that is complete is replayed without training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from experiments.config import Experiment, Run
from experiments.search.bisection import SEARCHES, Search
from experiments.storage.identity import named
from experiments.storage.store import Store
from experiments.sweeps.plan import grid

Setting = tuple[tuple[str, Any], ...]  # what a setting sets on top of the base, but for seed and depth


def search_of(experiment: Experiment) -> Search | None:
    """What is searched for, if anything."""
    found: Search | None = SEARCHES.bind(experiment.search)()
    return found


def rounds(
    experiment: Experiment, store: Store, prints: Mapping[str, str] | None = None
) -> Iterator[Experiment]:
    """The experiment itself; or the rounds of its search, each to be stored before the next is asked for.

    prints: the fingerprints of the data sets, where they are not to be looked at.
    """
    search = search_of(experiment)
    if search is None:
        yield experiment
        return
    tried: dict[Setting, dict[int, float]] = {setting: {} for setting in _settings(experiment)}
    while True:
        asked = {setting: search.next_depth(depths) for setting, depths in tried.items()}
        found = {setting: depth for setting, depth in asked.items() if depth is not None}
        if not found:
            return
        part = _round(experiment, found)
        yield part
        shares = _shares(part, search, store, prints)
        for setting, depth in found.items():
            tried[setting][depth] = shares[(*setting, ("depth", depth))]


def asked_for(experiment: Experiment, store: Store) -> dict[str, Run]:
    """Every run that an experiment asks for, by id; of a search, as far as the store knows the way.

    The data are those of the last call, by its manifest, where it knows them.
    """
    data = store.manifest().get("data")
    used = {run.dataset for run in grid(experiment)}
    known = isinstance(data, dict) and all(isinstance(data.get(text), str) for text in used)
    prints = data if known else None
    found: dict[str, Run] = {}
    for part in rounds(experiment, store, prints):
        found |= named(grid(part), part.recording, prints)
    return found


def _settings(experiment: Experiment) -> list[Setting]:
    """Every combination but for the seeds, once."""
    found = [
        tuple((name, value) for name, value in setting.items() if name != "seed")
        for setting in experiment.combinations()
    ]
    return list(dict.fromkeys(found))


def _round(experiment: Experiment, depths: dict[Setting, int]) -> Experiment:
    """Each setting at its depth, with all seeds."""
    rows = [dict(setting) | {"depth": depth} for setting, depth in depths.items()]
    together = {name: tuple(row[name] for row in rows) for name in rows[0]}
    seeds = experiment.sweep.get("seed", (experiment.base.seed,))
    return replace(experiment, search="none", zip=together, sweep={"seed": seeds})


def _shares(
    part: Experiment, search: Search, store: Store, prints: Mapping[str, str] | None
) -> dict[Setting, float]:
    """The share of seeds that succeed, by setting and depth; NaN where no run is known."""
    from experiments.search.frontier import successes

    names = named(grid(part), part.recording, prints)
    found = successes(store.load(names), search.accuracy, search.on).set_index("run_id")["success"]
    by_setting: dict[Setting, list[float]] = {}
    for setting, name in zip(part.combinations(), names, strict=True):
        key = tuple((field, value) for field, value in setting.items() if field != "seed")
        by_setting.setdefault(key, []).append(found.get(name, float("nan")))
    known = {key: [value for value in values if value == value] for key, values in by_setting.items()}
    return {key: sum(values) / len(values) if values else float("nan") for key, values in known.items()}
