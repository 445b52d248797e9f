"""Plan and train what an experiment asks for and the store does not have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from experiments import datasets, plan
from experiments.config import Experiment, Run
from experiments.store import Store

if TYPE_CHECKING:
    from experiments.executors import Dask, Here, Outcome, Workers
    from experiments.records import Records
    from experiments.terminal import Terminal

EFFICIENCY = 0.5  # the part of a core's speed at matrix products that a training reaches
START_UP = 1.0  # seconds until worker processes are at work
WORTH_WORKERS = 3.0  # seconds of training from which it pays to start them
SHORTEST_LIMIT, SLACK = 600.0, 30.0  # a stack hangs after ten minutes, or 30 times what it should take

Stack = tuple[Run, ...]


@dataclass(frozen=True)
class How:
    """In what manner to train; nothing of it changes a number."""

    jobs: int | None = None  # worker processes; 1: this process; None: all cores, if they are worth it
    dask: str | None = None  # a scheduler's address, or local:4
    limit: float | None = None  # seconds after which a stack hangs; None: 30 times what it should take
    fail_fast: bool = False
    rerun_failed: bool = False
    fresh: bool = False


@dataclass(frozen=True)
class Sweep:
    """What an experiment asks for, and what of it is left to do."""

    experiment: Experiment
    runs: dict[str, Run]  # by id, in the grid's order
    done: Collection[str]  # the ids that need no training
    speed: float  # cost a second that a core is thought to manage
    workers: int  # processes; 0: this one
    stacks: Sequence[Stack] = ()  # to train, the costliest first
    prints: Mapping[str, str] | None = None  # of the data sets, as `runs` are named by them

    @property
    def missing(self) -> int:
        """Runs to train."""
        return sum(map(len, self.stacks))

    def cost(self, stacks: Iterable[Stack]) -> float:
        """The work of some stacks."""
        return sum(plan.cost(stack, self.experiment.recording) for stack in stacks)

    def seconds(self) -> float:
        """How long training what is missing should take."""
        longest, share = self.cost(self.stacks[:1]), self.cost(self.stacks) / max(1, self.workers)
        return max(longest, share) / self.speed + (START_UP if self.workers else 0.0)

    def limit(self) -> float:
        """Seconds after which a stack counts as hanging."""
        return max(SHORTEST_LIMIT, SLACK * self.cost(self.stacks[:1]) / self.speed)

    def without(self, done: Collection[str]) -> Sweep:
        """The same but for what is done, stacked anew."""
        missing = [run for name, run in self.runs.items() if name not in done]
        stacks = plan.stacks(missing, self.experiment.recording, max(1, self.workers)) if missing else []
        return replace(self, done=done, stacks=stacks)


def survey(experiment: Experiment, store: Store, how: How) -> Sweep:
    """What is left to do, and with how many processes; nothing is trained and nothing written.

    The data of what is left are read: errors: DataError, and ConfigError for a batch that they do not fill.
    """
    from experiments.runner import machine_speed

    grid = plan.grid(experiment)
    prints = plan.fingerprints(grid)
    runs = plan.named(grid, experiment.recording, prints)
    done = set() if how.fresh else store.finished(how.rerun_failed)
    missing = [run for name, run in runs.items() if name not in done]
    for text in dict.fromkeys(run.dataset for run in missing):
        datasets.load(text)
    plan.check_sizes(missing)
    speed = EFFICIENCY * machine_speed() if missing else 1.0
    sweep = Sweep(experiment, runs, done, speed, _workers(how), prints=prints).without(done)
    sweep = replace(sweep, workers=min(sweep.workers, len(sweep.stacks)))
    worth = how.jobs or how.dask or sweep.cost(sweep.stacks) / speed > WORTH_WORKERS
    return sweep if worth else replace(sweep, workers=0)


def _workers(how: How) -> int:
    """Processes to have; of a cluster that is elsewhere and was not asked yet, one, for an estimate."""
    from experiments.executors import cores

    if how.dask:
        count = how.dask.removeprefix("local:")
        return int(count) if count.isdecimal() else 1
    return 0 if how.jobs == 1 else how.jobs or cores()


def executor(sweep: Sweep, how: How) -> Here | Workers | Dask:
    """Who trains; errors: ConfigError."""
    from experiments.executors import Dask, Here, Workers

    if not sweep.stacks:
        return Here()
    limit = how.limit or sweep.limit()
    if how.dask:
        return Dask(how.dask, limit)
    return Workers(sweep.workers, limit) if sweep.workers else Here()


def train(
    sweep: Sweep, store: Store, pool: Here | Workers | Dask, voice: Terminal, *, fail_fast: bool = False
) -> None:
    """Train every stack and keep each as it completes; KeyboardInterrupt once what was running is kept."""
    from experiments.executors import outcomes
    from experiments.interrupts import patient
    from experiments.runner import run_stack
    from experiments.terminal import Forecast

    names = {run: name for name, run in sweep.runs.items()}
    work = partial(run_stack, recording=sweep.experiment.recording, prints=sweep.prints)
    forecast = Forecast(sweep.cost(sweep.stacks), pool.workers, sweep.speed)
    crashed: list[Stack] = []

    def stopped() -> bool:
        return asked() or bool(crashed and fail_fast)

    with patient() as asked, voice.progress(sweep.missing, forecast) as advance:
        for outcome in outcomes(sweep.stacks, work, pool, stopped):
            records = _records(outcome, [names[run] for run in outcome.stack])
            store.save(records)
            if outcome.error:
                crashed.append(outcome.stack)
            advance(len(outcome.stack), sweep.cost([outcome.stack]))
        if asked():
            raise KeyboardInterrupt


def _records(outcome: Outcome, ids: list[str]) -> Records:
    """What to keep of a stack: its records, or for each of its runs that it crashed and why."""
    from experiments.records import Records

    error = outcome.error
    if not error:
        records = outcome.result.of(ids)
        if len(records.runs) == len(ids):
            return records
        error = "the worker names runs otherwise: its code differs from that here\n"
    return Records.crashed(outcome.stack, ids, error)
