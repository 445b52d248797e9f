"""How often published detectors alarm on networks that train well: the study results/studies/alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np

from experiments.config import Run
from experiments.diagnosis.benchmark import FIELDS, HARMLESS, INITS, RECORDING
from experiments.diagnosis.rule_sets import RULE_SETS
from experiments.diagnosis.signals import Signals, signals
from experiments.diagnosis.yardstick import yardstick
from experiments.sweeps.executors import cores
from experiments.sweeps.in_memory import in_order, train_in_memory

if TYPE_CHECKING:
    import pandas as pd

STREAM = 17  # of the draws, which no other result uses
FIRST_SEED = 1000
SEEDS = 4  # networks of each setting, which are trained together
AT_ONCE = 5  # settings that a worker is given
RESAMPLES = 2000
# What settings are drawn from. These stay as they were when the study was made, whatever the benchmark draws.
DATASETS = ("digits", "moons", "spirals", "circles", "blobs")
TRAININGS = (("sgd", 0.1), ("sgd", 0.3), ("momentum", 0.03), ("adam", 0.003), ("adam", 0.001))
NORMS = [("none", 0.0)] * 4 + [("layer", 0.0), ("batch", 0.0), ("none", 1.0)]  # and skip connections
PLAIN, HELPED = (1, 2, 3, 5, 8, 10), (5, 10)  # hidden layers without and with a norm or skips
WIDTHS = (16, 32, 64)


def healthy_networks(
    wanted: int, *, jobs: int = 0, advance: Callable[[int], None] = lambda networks: None
) -> tuple[pd.DataFrame, int]:
    """Return a row for each network that trains well of the first settings drawn, and how many were drawn.

    Settings are drawn until `wanted` networks or more train well. Columns: setting (a number), the fields
    that vary, seed, accuracy, test_accuracy, then for each rule set the mechanisms that it names, separated
    by blanks; "" is silence.
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    drawn, workers, settings = 0, jobs or cores(), _settings()
    parts = ((list(islice(settings, AT_ONCE)),) for _ in count())
    for part in in_order(of_settings, parts, workers, 2 * workers):
        drawn += SEEDS * AT_ONCE
        rows += part
        if len(rows) >= wanted:
            return pd.DataFrame(rows), drawn
        advance(len(rows))
    raise AssertionError  # the draws have no end


def _settings() -> Iterator[tuple[int, Run]]:
    """Yield different settings without end, numbered."""
    rng, seen = np.random.default_rng(STREAM), set()
    while True:
        if (run := _drawn(rng)) not in seen:
            seen.add(run)
            yield len(seen), run


def _drawn(rng: np.random.Generator) -> Run:
    """Draw a setting that should train well. The order of the draws is part of the study."""
    name = str(rng.choice(list(INITS)))
    norm, residual = NORMS[rng.integers(len(NORMS))]
    optimiser, lr = TRAININGS[rng.integers(len(TRAININGS))]
    depths = PLAIN if norm == "none" and not residual else HELPED
    return Run(
        activation=name, init=INITS[name], depth=int(rng.choice(depths)), width=int(rng.choice(WIDTHS)),
        dataset=str(rng.choice(DATASETS)), norm=norm, residual=residual, optimiser=optimiser, lr=lr,
        steps=300, batch=64, dtype="float32",
    )  # fmt: skip


def of_settings(settings: list[tuple[int, Run]]) -> list[dict[str, object]]:
    """Return the rows of the networks of these settings that train well."""
    numbers = {
        replace(run, seed=FIRST_SEED + SEEDS * number + k): number
        for number, run in settings
        for k in range(SEEDS)
    }
    found = {s.run: s for s in signals(train_in_memory(list(numbers), RECORDING))}
    return [{"setting": numbers[run]} | _row(found[run]) for run in numbers if trains_well(found[run])]


def trains_well(s: Signals) -> bool:
    """Whether both accuracies are at most HARMLESS under those of a shallow network that trains."""
    best = yardstick(s.run.dataset, s.run.loss, s.run.batch)
    test = float(np.nanmax(s.test_accuracy)) if np.isfinite(s.test_accuracy).any() else np.nan
    return bool(
        s.final_accuracy >= best.accuracy - HARMLESS and test >= best.test_accuracy - HARMLESS
    )  # NaN, of a network that diverged, is not


def _row(s: Signals) -> dict[str, object]:
    told = {rules.name: " ".join(rules.alarms(s)) for rules in RULE_SETS}
    reached = {"accuracy": s.final_accuracy, "test_accuracy": float(np.nanmax(s.test_accuracy))}
    return {name: getattr(s.run, name) for name in FIELDS} | {"seed": s.run.seed} | reached | told


def alarm_shares(networks: pd.DataFrame) -> pd.DataFrame:
    """Return for each rule set and kind of alarm ("any" first) the share of networks that it is raised on.

    Columns: rules, alarm, networks, alarmed, share, low, high: the 95 % interval over resamples of whole
    settings, since networks of one setting are alike.
    """
    import pandas as pd

    weights = _resampled(networks["setting"])
    rows = []
    for rules in RULE_SETS:
        told = networks[rules.name].fillna("").str.split()
        for kind in ("any", *dict.fromkeys(name for name, _ in rules.rules)):
            hit = np.array([bool(each) if kind == "any" else kind in each for each in told])
            shares = (weights * hit).sum(axis=1) / weights.sum(axis=1)
            low, high = np.percentile(shares, [2.5, 97.5])
            rows.append(
                (rules.name, kind, len(hit), int(hit.sum()), float(hit.mean()), float(low), float(high))
            )
    return pd.DataFrame(rows, columns=["rules", "alarm", "networks", "alarmed", "share", "low", "high"])


def _resampled(setting: pd.Series) -> np.ndarray:
    """Return (RESAMPLES, networks): how often each network is in each resample of whole settings."""
    names, which = np.unique(setting.to_numpy(), return_inverse=True)
    rng = np.random.default_rng(STREAM)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    return np.asarray(drawn[:, which])
