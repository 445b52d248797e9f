"""Timing cells in turn: A B C … A B C …, so that a machine's changes of speed affect all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from experiments.bench.alternatives import Setting
from experiments.bench.workers import WARM_UP, EngineError, Team
from experiments.bench.workload import Case

REST = 0.1  # seconds between two engines: a BLAS' threads go on spinning for a while

Say = Callable[[str], None]


@dataclass(frozen=True)
class Budget:
    """How long to measure: the number of rounds, and the seconds per cell and round."""

    rounds: int = 5
    seconds: float = 1.0  # a cell and round

    def steps(self, unit: int, seconds: float) -> int:
        """Return how many steps fill a cell, in multiples of a unit of steps that takes `seconds`."""
        return unit * max(1, round(self.seconds / seconds))


@dataclass(frozen=True)
class Cell:
    """A setting at a case; `label` tells apart what a table compares."""

    setting: Setting
    case: Case
    label: str = ""


class Teams:
    """All settings' processes, started when first needed and kept."""

    def __init__(self, *, keep_environment: bool = False) -> None:
        self.keep_environment = keep_environment
        self._teams: dict[str, Team] = {}

    def __enter__(self) -> Teams:
        return self

    def __exit__(self, *reason: object) -> None:
        for team in self._teams.values():
            team.close()

    def of(self, setting: Setting) -> Team:
        """Return the processes of a setting."""
        key = repr(setting)
        if key not in self._teams:
            self._teams[key] = Team(setting, keep_environment=self.keep_environment)
        return self._teams[key]


def interleaved(cells: Sequence[Cell], teams: Teams, budget: Budget, say: Say) -> list[dict[str, Any]]:
    """Return a row for each cell and round; a cell whose engine fails is named and left out.

    No two cells may have the same setting: its processes hold one engine at a time.
    """
    ready = list(_prepared(cells, teams, budget, say))
    rows = []
    for round_ in range(budget.rounds):
        for cell, team, steps, preparing in ready:
            time.sleep(REST)
            seconds = team.time(steps)
            runs = cell.case.runs * cell.setting.processes
            rows.append(
                _described(cell)
                | {"round": round_, "steps": steps, "seconds": seconds, "preparing": preparing}
                | {"us": seconds / steps / runs * 1e6}
            )
    return rows


def _prepared(
    cells: Sequence[Cell], teams: Teams, budget: Budget, say: Say
) -> Iterable[tuple[Cell, Team, int, float]]:
    for cell in cells:
        team = teams.of(cell.setting)
        try:
            preparing = team.prepare(cell.case)
            steps = budget.steps(team.unit(), team.warm_up(min(WARM_UP, 2 * budget.seconds)))
        except EngineError as error:
            say(f"{cell.setting.name}: left out: {str(error).strip().splitlines()[-1]}")
            continue
        yield cell, team, steps, preparing


def _described(cell: Cell) -> dict[str, Any]:
    case, setting = cell.case, cell.setting
    return {
        "engine": setting.name,
        "label": cell.label,
        "processes": setting.processes,
        "threads": setting.threads,
        "shape": str(case.shape),
        "depth": case.shape.depth,
        "width": case.shape.width,
        "dtype": case.dtype,
        "activation": case.activation,
        "runs": case.runs,
    }


def variant(setting: Setting, label: str, **options: Any) -> Setting:
    """Return the same engine with other options, under another name and so in a process of its own."""
    return replace(setting, name=label, options=setting.options | options)
