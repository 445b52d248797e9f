"""The rounds of an experiment: the grid itself or, for a search, one small experiment after another.

A round is an ordinary experiment, which is planned, stacked, trained and stored like any other. The next
round follows from the stored results of those before. So an interrupted search continues where it stopped,
and a complete one is replayed without training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from experiments.config import Experiment, Run
from experiments.storage.identity import named
from experiments.storage.recorded import recorded_facts, recorded_runs
from experiments.storage.store import Store
from experiments.sweeps.plan import grid
from experiments.sweeps.search.bisection import SEARCHES, Search

Setting = tuple[tuple[str, Any], ...]  # the swept fields and their values, without seed and depth


def search_of(experiment: Experiment) -> Search | None:
    """Return the search of an experiment, or None for a plain grid."""
    search: Search | None = SEARCHES.bind(experiment.search)()
    return search


def rounds(
    experiment: Experiment, store: Store, prints: Mapping[str, str] | None = None
) -> Iterator[Experiment]:
    """Yield the experiment itself or the rounds of its search. Store each round before asking for the next.

    `prints` are the fingerprints of the data sets; without them the data sets are looked at.
    """
    search = search_of(experiment)
    if search is None:
        yield experiment
        return
    tried: dict[Setting, dict[int, float]] = {setting: {} for setting in _settings(experiment)}
    while True:
        following = {setting: search.next_depth(depths) for setting, depths in tried.items()}
        to_try = {setting: depth for setting, depth in following.items() if depth is not None}
        if not to_try:
            return
        part = _round(experiment, to_try)
        yield part
        shares = _shares(part, search, store, prints)
        for setting, depth in to_try.items():
            tried[setting][depth] = shares[(*setting, ("depth", depth))]


def asked_for(experiment: Experiment, store: Store) -> dict[str, Run]:
    """Return all runs of the experiment by id. For a search: of every round that the store determines.

    Of recorded networks, all that are stored.

    The data fingerprints are taken from the manifest of the last call where it has them.
    """
    if recorded := recorded_facts(store):
        return recorded_runs(recorded)
    data = store.manifest().get("data")
    used = {run.dataset for run in grid(experiment)}
    known = isinstance(data, dict) and all(isinstance(data.get(text), str) for text in used)
    prints = data if known else None
    runs: dict[str, Run] = {}
    for part in rounds(experiment, store, prints):
        runs |= named(grid(part), part.recording, prints)
    return runs


def _settings(experiment: Experiment) -> list[Setting]:
    """Return every combination of the swept fields, without the seed."""
    settings = [
        tuple((name, value) for name, value in setting.items() if name != "seed")
        for setting in experiment.combinations()
    ]
    return list(dict.fromkeys(settings))


def _round(experiment: Experiment, depths: dict[Setting, int]) -> Experiment:
    """Return the experiment that trains each setting at its depth, with all seeds."""
    rows = [dict(setting) | {"depth": depth} for setting, depth in depths.items()]
    together = {name: tuple(row[name] for row in rows) for name in rows[0]}
    seeds = experiment.sweep.get("seed", (experiment.base.seed,))
    return replace(experiment, search="none", zip=together, sweep={"seed": seeds})


def _shares(
    part: Experiment, search: Search, store: Store, prints: Mapping[str, str] | None
) -> dict[Setting, float]:
    """Return the share of seeds that succeed, by setting and depth; NaN where no result is stored."""
    from experiments.sweeps.search.frontier import successes

    names = named(grid(part), part.recording, prints)
    success = successes(store.load(names), search.accuracy, search.on).set_index("run_id")["success"]
    by_setting: dict[Setting, list[float]] = {}
    for setting, name in zip(part.combinations(), names, strict=True):
        key = tuple((field, value) for field, value in setting.items() if field != "seed")
        by_setting.setdefault(key, []).append(success.get(name, float("nan")))
    known = {key: [value for value in values if value == value] for key, values in by_setting.items()}
    return {key: sum(values) / len(values) if values else float("nan") for key, values in known.items()}
