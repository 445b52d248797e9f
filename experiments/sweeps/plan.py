"""What an experiment asks for, and what of it is left to do: the grid of runs and the plan of a sweep."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from experiments import datasets
from experiments.config import ConfigError, Experiment, Run
from experiments.storage.identity import fingerprints, named
from experiments.storage.store import Store
from experiments.sweeps.forecast import cost, machine_speed
from experiments.sweeps.stacks import stacks as cut_into_stacks

EFFICIENCY = 0.5  # the part of a core's speed at matrix products that a training reaches
START_UP = 1.0  # seconds until worker processes are at work
WORTH_WORKERS = 3.0  # seconds of training from which it pays to start them
SHORTEST_LIMIT, SLACK = 600.0, 30.0  # a stack hangs after ten minutes, or 30 times what it should take

Stack = tuple[Run, ...]


def grid(experiment: Experiment) -> list[Run]:
    """Every run of an experiment; zip is the slowest axis, the last key of sweep the fastest."""
    base = {f.name: getattr(experiment.base, f.name) for f in fields(Run)}
    return [Run(**(base | setting)) for setting in experiment.combinations()]


def check_sizes(runs: Iterable[Run]) -> None:
    """That each batch can be filled, where only reading the data tells; errors: ConfigError, DataError."""
    from experiments.datasets import load, training_size

    messages = []
    for dataset, batch in dict.fromkeys((run.dataset, run.batch) for run in runs):
        if training_size(dataset) is None and batch > (size := len(load(dataset).x)):
            messages.append(f"batch: {batch} examples a batch, but {dataset} has {size} to train on")
    if messages:
        raise ConfigError(messages)


@dataclass(frozen=True)
class ExecutionOptions:
    """How a sweep is executed. No option here may change a result."""

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
        return sum(cost(stack, self.experiment.recording) for stack in stacks)

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
        stacks = cut_into_stacks(missing, self.experiment.recording, max(1, self.workers)) if missing else []
        return replace(self, done=done, stacks=stacks)


def survey(experiment: Experiment, store: Store, options: ExecutionOptions) -> Sweep:
    """What is left to do, and with how many processes; nothing is trained and nothing written.

    The data of what is left are read: errors: DataError, and ConfigError for a batch that they do not fill.
    """
    every = grid(experiment)
    prints = fingerprints(every)
    runs = named(every, experiment.recording, prints)
    done = set() if options.fresh else store.finished(options.rerun_failed)
    missing = [run for name, run in runs.items() if name not in done]
    for text in dict.fromkeys(run.dataset for run in missing):
        datasets.load(text)
    check_sizes(missing)
    speed = EFFICIENCY * machine_speed() if missing else 1.0
    sweep = Sweep(experiment, runs, done, speed, _workers(options), prints=prints).without(done)
    sweep = replace(sweep, workers=min(sweep.workers, len(sweep.stacks)))
    worth = options.jobs or options.dask or sweep.cost(sweep.stacks) / speed > WORTH_WORKERS
    return sweep if worth else replace(sweep, workers=0)


def _workers(options: ExecutionOptions) -> int:
    """Processes to have; of a cluster that is elsewhere and was not asked yet, one, for an estimate."""
    from experiments.sweeps.executors import cores

    if options.dask:
        count = options.dask.removeprefix("local:")
        return int(count) if count.isdecimal() else 1
    return 0 if options.jobs == 1 else options.jobs or cores()
