"""The identity of a run: its id, and the steps at which it is measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache

from experiments.config import Recording, Run
from experiments.storage.own_parts import look_again, used_by
from mlp.probes import DEFAULT_PROBES, PROBES
from mlp.registry import call_text, parse_call

# Raised whenever the same Run would give other numbers than before; part of every run_id.
# 2: the first numbers that were published.
# 3: cross-entropies are right for sure predictions; exponents are followed forwards, so that no number format
#    makes up a zero or a death; NaN is no share and no count; root mean squares and steps are right at every
#    size; there is no lr and no step after the last update; a shifted sigmoid is right near 0.
SCHEMA = 3

# A config that names no probes measures the default set. Its version is part of a run's id, not the names in
# it, so that a probe may be added to the set without training again what is stored. The word for version 1 is
# the names that stood there when versions were introduced. A version is raised when a default probe's numbers
# change, or when one is taken out of the set.
DEFAULT_SET = (
    "a_mean", "a_rms", "a_var", "db_norm", "db_rms", "dead_fraction", "delta_log10", "delta_norm",
    "delta_rms", "displacement", "dw_log10", "dw_norm", "dw_rms", "inactive_fraction", "one_sign_fraction",
    "one_sign_fraction_batch", "saturated_fraction", "sign_agreement", "sign_agreement_batch", "slope_rms",
    "subnormal_fraction", "update_ratio", "w_norm", "z_mean", "z_rms", "z_var", "zero_fraction",
)  # fmt: skip
_DEFAULT = Run()


def run_id(run: Run, recording: Recording, data: str | None = None) -> str:
    """Return twelve hex digits, a hash of everything that a run's numbers depend on and of nothing else.

    That is: the fields that differ from their default, what is recorded and when, the contents (not the path)
    of a user's data file, the code of parts that the user has registered, and SCHEMA. A new field of Run with
    a default changes no id.
    `data` is the data set's fingerprint; without it the data set is looked at.
    """
    if data is None:
        from experiments.datasets import fingerprint

        data = fingerprint(run.dataset)
    chosen = {name: value for name, value in vars(run).items() if value != getattr(_DEFAULT, name)}
    if own := used_by([*map(str, chosen.values()), *recorded(recording)]):
        chosen["own parts"] = own
    if data:
        chosen["dataset"] = f"{_without_path(run.dataset)} {data}"
    text = json.dumps([SCHEMA, chosen, _measured(recording, run.steps)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def recorded(recording: Recording) -> tuple[str, ...]:
    """Return all that is measured, by call-text."""
    return (*recording.probes, *recording.unit_probes, *recording.distributions)


def named(
    runs: Iterable[Run], recording: Recording, prints: Mapping[str, str] | None = None
) -> dict[str, Run]:
    """Return the runs by their `run_id`.

    `prints` are the fingerprints of the data sets; without them each data set is looked at once.
    """
    look_again()
    if prints is None:
        runs = list(runs)
        prints = fingerprints(runs)
    return {run_id(run, recording, prints[run.dataset]): run for run in runs}


def fingerprints(runs: Iterable[Run]) -> dict[str, str]:
    """Return the fingerprint of each data set as it is now."""
    from experiments.datasets import fingerprint

    return {text: fingerprint(text) for text in dict.fromkeys(run.dataset for run in runs)}


def watched_steps(watch: int | tuple[int, ...], steps: int) -> tuple[int, ...]:
    """Return the steps at which to measure: `watch` of them from 0 to `steps`, evenly spaced by logarithm.

    Early steps that would coincide are moved up, so that the count is kept. A tuple lists the steps itself;
    0 and `steps` are added and those beyond the end are left out.
    """
    if not isinstance(watch, int):
        return tuple(sorted({0, steps, *(step for step in watch if step <= steps)}))
    if watch > steps:
        return tuple(range(steps + 1))
    found = [0, 1][: watch - 1]
    while len(found) < watch:
        left = watch - len(found)
        last = max(found[-1], 1)
        found.append(max(found[-1] + 1, round(last * (steps / last) ** (1 / left))))
    return tuple(found)


def costly_steps(recording: Recording, steps: int) -> tuple[int, ...]:
    """Return the watched steps at which costly probes are measured: the first, the last, some between."""
    watched = watched_steps(recording.watch, steps)
    gaps = min(recording.watch_costly, len(watched)) - 1
    return tuple(watched[round(i * (len(watched) - 1) / max(gaps, 1))] for i in range(gaps + 1))


def is_costly(probe: str) -> bool:
    """Return whether a probe, given by its call-text, is costly and so measured at few steps only."""
    return PROBES.facts(parse_call(probe)[0]).costly


@lru_cache
def _measured(recording: Recording, steps: int) -> dict[str, object]:
    """Return what of a recording the numbers depend on: the watched steps, not how `watch` gives them."""
    on = "batch" if recording.trace == "batch" else recording.probe_set
    watched = watched_steps(recording.watch, steps)
    more: dict[str, object] = {}
    for key in ("unit_probes", "distributions"):
        if names := getattr(recording, key):
            more[key] = sorted(names)
    if recording.plane:
        more["plane"] = recording.plane
    is_default = set(recording.probes) == set(DEFAULT_PROBES)
    if not is_default and any(map(is_costly, recording.probes)):
        more["costly"] = costly_steps(recording, steps)
    probes = list(DEFAULT_SET) if is_default else sorted(recording.probes)
    return {"probes": probes, "watched": watched, "on": on, **more}


def _without_path(dataset: str) -> str:
    name, options = parse_call(dataset)
    return call_text(name, {key: value for key, value in options.items() if key != "path"})
