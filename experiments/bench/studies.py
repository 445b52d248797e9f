"""The studies: lists of cells, and the cells of a list are timed in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from experiments.bench.alternatives import LIMIT, SETTINGS, Setting
from experiments.bench.timing import Budget, Cell, Say, Teams, interleaved, variant
from experiments.bench.workload import Case, Shape

SHAPES = ("10x64", "50x128", "10x512", "784-10x256")
DTYPES = ("float32", "float64")
ACTIVATIONS = ("relu", "tanh", "sigmoid")

SCHEDULED = (f"{LIMIT}, 2 processes", "ours, 2 processes", "JAX vmap scan, 2 pinned processes")

STACKS = (1, 2, 3, 5, 8, 12)
STACKED_SHAPES = ("10x32", "10x64", "50x64", "10x128", "50x128", "784-10x256")

Rows = list[dict[str, Any]]


def steps(cases: Sequence[Case], settings: Sequence[Setting], teams: Teams, budget: Budget, say: Say) -> Rows:
    """Return every engine at every case."""
    rows: Rows = []
    for number, case in enumerate(cases, start=1):
        say(f"step {number}/{len(cases)}: {case.shape} {case.dtype} {case.activation}")
        cells = [Cell(setting, case) for setting in settings if setting.can(case.activation)]
        rows += interleaved(cells, teams, budget, say)
    return rows


def probes(cases: Sequence[Case], teams: Teams, budget: Budget, say: Say) -> Rows:
    """Return our step without records, with the default schedule's, and with the batch's at every step."""
    ours = SETTINGS["ours"]
    kinds = [variant(ours, f"ours, records {kind}", records=kind) for kind in ("off", "default", "every")]
    return steps(cases, kinds, teams, budget, say)


def schedule(
    cases: Sequence[Case], settings: Sequence[Setting], teams: Teams, budget: Budget, say: Say
) -> Rows:
    """Return steps with records on the probe set at the default schedule: ours, the limit, the best rival."""
    kinds = [variant(s, s.name, records="schedule") for s in settings if s.name in SCHEDULED]
    return steps(cases, kinds, teams, budget, say)


def stack_sizes(shapes: Sequence[str], dtypes: Sequence[str], teams: Teams, budget: Budget, say: Say) -> Rows:
    """Return our step with records at every step, in stacks of several sizes."""
    rows: Rows = []
    for text, dtype in product(shapes, dtypes):
        say(f"stacks: {text} {dtype}")
        case = Case(Shape.parse(text), dtype, "tanh")
        cells = [
            Cell(variant(SETTINGS["ours"], f"ours, stacks of {r}", stack=r), replace(case, runs=r))
            for r in STACKS
        ]
        rows += interleaved(cells, teams, budget, say)
    return rows
