"""How often the diagnosis is right: healthy configs, operators that break one thing, measured truth.

A broken setting counts as ill only if it hurts: its training accuracy lies under that of the setting it was
made from on every seed, by more than `HURTS` in the median. One that does not hurt is a further healthy case.
Operators and seeds are divided into a half that thresholds were chosen on and a half that is looked at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import share_interval
from experiments.config import Recording, Run
from experiments.diagnosis.findings import of_setting
from experiments.diagnosis.mechanisms import falls_short
from experiments.diagnosis.operators import OPERATORS
from experiments.diagnosis.rule_sets import PROBES_READ, RULE_SETS, RuleSet
from experiments.diagnosis.signals import NEEDED, Signals, signals
from experiments.diagnosis.yardstick import yardstick
from experiments.sweeps.in_memory import train_in_memory

if TYPE_CHECKING:
    import pandas as pd

HURTS = 0.05  # of training accuracy, in the median over seeds
SEEDS = 3
RECORDING = Recording(probes=tuple(dict.fromkeys([*NEEDED, *PROBES_READ])), watch=12, probe_set=512)
DATASETS = ("digits", "moons", "spirals", "circles", "blobs")
INITS = {
    "relu": "he_normal", "leaky_relu(slope=0.1)": "he_normal", "gelu": "he_normal", "silu": "he_normal",
    "mish": "he_normal", "tanh": "xavier_normal", "softsign": "xavier_normal", "elu": "xavier_normal",
    "selu": "lecun_normal", "sigmoid": "xavier_normal",
}  # fmt: skip
TRAININGS = (("sgd", 0.1), ("sgd", 0.3), ("momentum", 0.03), ("adam", 0.003), ("adam", 0.001))
HALVES = {"development": 0, "held-out": 1}


@dataclass(frozen=True)
class Case:
    """A setting as it was drawn (operator "") or broken by an operator; the same seeds for both."""

    base: Run
    operator: str
    run: Run

    def seeds(self, half: str) -> list[Run]:
        """The runs of this setting: other seeds in either half."""
        first = 100 * HALVES[half]
        return [replace(self.run, seed=first + k) for k in range(SEEDS)]


def draw(rng: np.random.Generator) -> Run:
    """Draw a setting that should be healthy: depth and training within what people use."""
    name = str(rng.choice(list(INITS)))
    norm, residual = [("none", 0.0)] * 4 + [("layer", 0.0), ("batch", 0.0), ("none", 1.0)], 0
    norm, residual = norm[rng.integers(len(norm))]
    depths = [1, 2, 3, 5, 8, 10] if norm == "none" and not residual else [5, 10, 20]
    optimiser, lr = TRAININGS[rng.integers(len(TRAININGS))]
    return Run(
        activation=name, init=INITS[name], depth=int(rng.choice(depths)),
        width=int(rng.choice([16, 32, 64, 128])), dataset=str(rng.choice(DATASETS)), norm=norm,
        residual=residual, optimiser=optimiser, lr=lr, steps=400,
        batch=64, dtype="float32",
    )  # fmt: skip


def operators(half: str) -> list[str]:
    """The operators of one half: every other one, in the order of the table."""
    return list(OPERATORS)[HALVES[half] :: 2]


def cases(bases: Sequence[Run], half: str) -> list[Case]:
    """Every base with itself and with each operator of this half that applies to it."""
    found = [Case(base, "", base) for base in bases]
    for base in bases:
        for name in operators(half):
            broken = OPERATORS[name].change(base)
            if broken is not None and broken != base:
                found.append(Case(base, name, broken))
    return found


def benchmark(
    bases: int, half: str, *, seed: int = 0, jobs: int = 0, advance: Callable[[int], None] = lambda runs: None
) -> pd.DataFrame:
    """Draw healthy settings, break them, diagnose all; one row per setting.

    `bases` is how many healthy settings are wanted; as many are drawn until so many learn as well as the
    yardstick on every seed. Columns: the fields of Run that vary, operator, ill (it hurts), drop (median loss
    of accuracy), first (the mechanism named first), named (all, separated by blanks), right.
    """
    import pandas as pd

    healthy = _healthy(bases, half, np.random.default_rng([seed, HALVES[half]]), jobs, advance)
    rows, accuracy = [], {}
    todo = cases(healthy, half)
    found = _signals([run for case in todo for run in case.seeds(half)], jobs, advance)
    for case in todo:
        runs = [found[run] for run in case.seeds(half)]
        reached = np.nan_to_num([s.final_accuracy for s in runs], nan=runs[0].data.majority)
        if not case.operator:
            accuracy[case.base] = reached
        rows.append(_row(case, runs, accuracy[case.base] - reached))
    return pd.DataFrame(rows)


def _healthy(
    wanted: int, half: str, rng: np.random.Generator, jobs: int, advance: Callable[[int], None]
) -> list[Run]:
    """Draw settings until so many learn as well as the yardstick on every seed."""
    kept: list[Run] = []
    while len(kept) < wanted:
        drawn = list(dict.fromkeys(draw(rng) for _ in range(2 * wanted)))
        new = [Case(run, "", run) for run in drawn if run not in kept]
        found = _signals([run for case in new for run in case.seeds(half)], jobs, advance)
        for case in new:
            best = yardstick(case.run.dataset, case.run.loss, case.run.batch)
            if not any(falls_short(found[run], best) for run in case.seeds(half)):
                kept.append(case.base)
    return kept[:wanted]


def _signals(runs: Sequence[Run], jobs: int, advance: Callable[[int], None]) -> dict[Run, Signals]:
    todo = list(dict.fromkeys(runs))
    return {s.run: s for s in signals(train_in_memory(todo, RECORDING, jobs=jobs, advance=advance))}


def _row(case: Case, runs: Sequence[Signals], drop: np.ndarray) -> dict[str, Any]:
    best = yardstick(case.run.dataset, case.run.loss, case.run.batch)
    named = [row["mechanism"] for row in of_setting(runs, best)]
    ill = bool(case.operator) and bool((drop > 0).all() and np.median(drop) > HURTS)
    truths = OPERATORS[case.operator].truths if ill else {"healthy"}
    fields = ("activation", "depth", "width", "dataset", "init", "norm", "residual", "optimiser", "lr")
    return {name: getattr(case.base, name) for name in fields} | {
        "operator": case.operator, "ill": ill, "drop": float(np.median(drop)), "first": named[0],
        "named": " ".join(named), "right": named[0] in truths,
    } | {rules.name: _first_alarm(rules, runs) for rules in RULE_SETS}  # fmt: skip


def _first_alarm(rules: RuleSet, runs: Sequence[Signals]) -> str:
    """What a rule set names first in most of the runs; healthy only where it is silent in most."""
    firsts = Counter(next(iter(rules.alarms(s)), "healthy") for s in runs)
    return firsts.most_common(1)[0][0]


def scores(table: pd.DataFrame) -> pd.DataFrame:
    """Return detection, false alarms and type@1 of ours and of every rule set.

    Columns: by, score, share, low and high (95 % interval), hits, n. A rule set's type counts as right where
    its first alarm, in our words, is one of the operator's truths.
    """
    import pandas as pd

    rows = []
    for by in ("first", *(rules.name for rules in RULE_SETS)):
        ill, alarmed = table["ill"], table[by] != "healthy"
        right = [name in OPERATORS[op].truths for name, op in table.loc[ill, [by, "operator"]].to_numpy()]
        counts = {
            "detection": (alarmed & ill).sum(), "false alarms": (alarmed & ~ill).sum(), "type@1": sum(right),
        }  # fmt: skip
        for name, hits in counts.items():
            n = int((~ill).sum() if name == "false alarms" else ill.sum())
            share = hits / n if n else np.nan
            ends = share_interval(int(hits), n)
            rows.append(("ours" if by == "first" else by, name, share, *ends, int(hits), n))
    return pd.DataFrame(rows, columns=["by", "score", "share", "low", "high", "hits", "n"])
