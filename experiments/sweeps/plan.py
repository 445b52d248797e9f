"""The grid of an experiment's runs, and the plan of a sweep: which runs are missing and how to train them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from experiments import datasets
from experiments.config import ConfigError, Experiment, Recording, Run
from experiments.config.matching import only_checks
from experiments.storage.identity import fingerprints, named, recorded
from experiments.storage.makers import of_others
from experiments.storage.sharing import Place, held_elsewhere
from experiments.storage.shipping import NotSent, packed
from experiments.storage.store import Store
from experiments.sweeps.blas import maker_while_training, not_limited
from experiments.sweeps.counting import Say, counted
from experiments.sweeps.forecast import cost, finishing_cost, machine_speed
from experiments.sweeps.memory import fitted
from experiments.sweeps.shapes import shape_of
from experiments.sweeps.stacks import stacks as cut_into_stacks
from mlp.losses import LOSSES
from mlp.registry import parse_call

OF_NUMBERS = "mean_squared_error"  # the loss that can learn a number
MOST_JOBS = 1024  # worker processes: more is a slip of the keyboard
START_UP = 1.0  # seconds until worker processes are at work
WORTH_WORKERS = 3.0  # seconds of training from which worker processes save time

Stack = tuple[Run, ...]


def _silent(line: str) -> None:
    """Say nothing."""


def grid(experiment: Experiment, say: Say = _silent) -> list[Run]:
    """Return every run of an experiment, in order: `zip` varies slowest, the last key of `sweep` fastest.

    An experiment of checks alone has none.
    """
    if only_checks(experiment):
        return []
    base = {f.name: getattr(experiment.base, f.name) for f in fields(Run)}
    settings = counted(experiment.combinations(), experiment.size(), "combinations", say)
    return [Run(**(base | setting)) for setting in settings]


def check_sizes(runs: Iterable[Run], recording: Recording) -> None:
    """Check batch size, plane and loss against data sets that are known only once they are read.

    Errors: ConfigError where a batch has more examples than the data, where a plane is asked for of data that
    have not two features, or where a number is to be learnt by a loss for classes; DataError where they
    cannot be read.
    """
    runs = list(runs)
    messages, pairs = _wrong_losses(runs), dict.fromkeys((run.dataset, run.batch) for run in runs)
    unsized = {text for text in {text for text, _ in pairs} if datasets.training_size(text) is None}
    for dataset, batch in pairs:
        if dataset in unsized and batch > (size := shape_of(dataset).train):
            messages.append(f"batch: {batch} examples a batch, but {dataset} has {size} to train on")
    messages += _wrong_planes(runs) if recording.plane else []
    if messages:
        raise ConfigError(messages)


def _wrong_planes(runs: Iterable[Run]) -> list[str]:
    """A message for each data set that has no plane of two features with a boundary between classes."""
    shapes = {text: shape_of(text) for text in dict.fromkeys(run.dataset for run in runs)}
    reasons = {
        text: "a number as its target, and a boundary lies between classes"
        if shape.is_number
        else f"{shape.features} features, and a plane is drawn of two"
        for text, shape in shapes.items()
        if shape.is_number or shape.features != 2
    }
    return [f"plane: {text} has {reason}: choose moons, or plane: 0" for text, reason in reasons.items()]


def _wrong_losses(runs: Iterable[Run]) -> list[str]:
    """A message for each data set whose target is a number while the loss is one of classes."""
    pairs = dict.fromkeys((run.dataset, run.loss) for run in runs)
    return [
        f"loss: {loss} needs classes, and the target of {dataset} is a number: say loss: {OF_NUMBERS}"
        for dataset, loss in pairs
        if parse_call(LOSSES.canonical(loss))[0] != OF_NUMBERS
        and datasets.is_own(dataset)
        and shape_of(dataset).is_number
    ]


@dataclass(frozen=True)
class ExecutionOptions:
    """How a sweep is executed. No option here may change a result."""

    jobs: int | None = None  # worker processes; 1: this process; None: all cores, if they are worth it
    dask: str | None = None  # a scheduler's address, or local:4
    limit: float | None = None  # seconds after which a stack counts as hanging; None: by its own pace
    fail_fast: bool = False
    rerun_failed: bool = False
    fresh: bool = False
    only_mine: bool = False  # train anew what another maker has made (see `storage.makers`)


@dataclass(frozen=True)
class Sweep:
    """The plan of a sweep: all runs of an experiment, and the stacks of those that are not stored yet."""

    experiment: Experiment
    runs: dict[str, Run]  # by id, in the grid's order
    done: Collection[str]  # the ids that need no training
    speed: float  # FLOP per second of one core, as `cost` counts them
    workers: int  # worker processes; 0: train in this process
    stacks: Sequence[Stack] = ()  # to train, the costliest first
    prints: Mapping[str, str] | None = None  # fingerprints of the data sets, which are part of the run ids
    elsewhere: Mapping[Place, list[str]] = field(default_factory=dict)  # done runs of other experiments
    crashed: int = 0  # how many of the done runs have only crashed: they have no numbers
    packed: bytes = b""  # the parts that the user has registered in this process, for the workers
    own: str = ""  # which of them cannot be sent to a worker and why, so that this process trains
    cluster: bool = False  # whether a Dask cluster trains
    warning: str = ""  # why the numbers may differ in the last bits from one execution to another

    @property
    def missing(self) -> int:
        """The number of runs to train."""
        return sum(map(len, self.stacks))

    def cost(self, stacks: Iterable[Stack]) -> float:
        """Return the work of these stacks in FLOP."""
        return sum(cost(stack, self.experiment.recording) for stack in stacks)

    def seconds(self) -> float:
        """Return the estimated seconds that training the missing runs takes."""
        longest, share = self.cost(self.stacks[:1]), self.cost(self.stacks) / max(1, self.workers)
        return max(longest, share) / self.speed + (START_UP if self.workers else 0.0)

    def finishing_seconds(self) -> float:
        """Return the estimated seconds that the summary, the figures and the claims take after training."""
        return finishing_cost(self.experiment, self.runs.values()) / self.speed

    def without(self, done: Collection[str], say: Say = _silent) -> Sweep:
        """Return the same plan without the runs that are done; the others are stacked again."""
        missing = [run for name, run in self.runs.items() if name not in done]
        recording, workers = self.experiment.recording, self.workers
        runs = counted(missing, len(missing), "stacks", say)
        stacks = cut_into_stacks(runs, recording, max(1, workers)) if missing else []
        workers = min(workers, len(stacks))
        if not self.cluster:  # whose memory is its own
            counting = counted(stacks, len(stacks), "memory of the stacks", say)
            stacks, workers = fitted(counting, recording, workers)
        return replace(self, done=done, stacks=stacks, workers=workers)


def check_options(options: ExecutionOptions) -> None:
    """Check the numbers among the options; errors: ConfigError."""
    from experiments.sweeps.executors.cluster import check_address

    jobs, limit = options.jobs, options.limit
    if options.dask is not None:
        check_address(options.dask)
    if jobs is not None and not (isinstance(jobs, int) and 1 <= jobs <= MOST_JOBS):
        raise ConfigError([f"jobs: {jobs!r} is not a whole number from 1 to {MOST_JOBS}"])
    if limit is not None and not limit > 0:
        raise ConfigError([f"limit: {limit!r} is not a number of seconds above 0"])


def survey(
    experiment: Experiment,
    store: Store,
    options: ExecutionOptions,
    *,
    alone: bool = False,
    say: Say = _silent,
) -> Sweep:
    """Plan which runs to train, and with how many processes, without training or writing anything.

    Runs that another experiment has stored need no training, unless this one is to be trained `alone`. The
    data sets of the missing runs are read. Of a large plan, `say` is told every few seconds how far it is.
    Errors: DataError, and ConfigError for a batch larger than the data or a run that has no room in memory.
    """
    check_options(options)
    all_runs = grid(experiment, say)
    prints = fingerprints(all_runs)
    runs = named(counted(all_runs, len(all_runs), "names of runs", say), experiment.recording, prints)
    done, crashed, elsewhere = _stored(runs, store, options, alone)
    missing = [run for name, run in runs.items() if name not in done]
    data = dict.fromkeys(run.dataset for run in missing)
    for text in counted(data, len(data), "data sets", say):
        shape_of(text)
    check_sizes(missing, experiment.recording)
    speed = machine_speed() if missing else 1.0
    sweep = Sweep(experiment, runs, done, speed, _workers(options), prints=prints, elsewhere=elsewhere)
    sweep = replace(sweep, crashed=crashed, cluster=bool(options.dask)).without(done, say)
    sweep = replace(sweep, warning=not_limited() if missing else "")
    sweep = _with_parts(sweep, experiment, missing, options)
    if sweep.own:
        return replace(sweep, workers=0)
    worth = options.jobs or options.dask or sweep.cost(sweep.stacks) / speed > WORTH_WORKERS
    return sweep if worth else replace(sweep, workers=0)


def _stored(
    runs: Mapping[str, Run], store: Store, options: ExecutionOptions, alone: bool
) -> tuple[set[str], int, dict[Place, list[str]]]:
    """Return the runs that need no training, how many of them have crashed, and which are held elsewhere."""
    if options.fresh:
        return set(), 0, {}
    sound, crashed = settled(store, options)
    mine = maker_while_training() if options.only_mine else None
    lacking = [name for name in runs if name not in sound]
    elsewhere = {} if alone else held_elsewhere(store, lacking, mine)
    sound |= {name for names in elsewhere.values() for name in names}
    crashed -= sound
    return sound | crashed, len(crashed & runs.keys()), elsewhere


def settled(store: Store, options: ExecutionOptions) -> tuple[set[str], set[str]]:
    """Return the ids of the stored runs that need no training, and of those that crashed and are let be."""
    statuses = store.statuses()
    sound = {name for name, status in statuses.items() if status != "crashed"}
    crashed = set() if options.rerun_failed else statuses.keys() - sound
    if options.only_mine:
        sound -= of_others(store, maker_while_training())
    return sound, crashed


def _with_parts(
    sweep: Sweep, experiment: Experiment, missing: Iterable[Run], options: ExecutionOptions
) -> Sweep:
    """Return the plan with the user's parts packed for its workers, or with the reason why none is used.

    Errors: ConfigError where a part cannot be sent to a Dask cluster.
    """
    if not (sweep.workers or options.dask):
        return sweep
    texts = {str(value) for run in missing for value in vars(run).values()}
    try:
        return replace(sweep, packed=packed([*texts, *recorded(experiment.recording)]))
    except NotSent as error:
        if options.dask:
            raise ConfigError([f"--dask: {error}; leave out --dask"]) from None
        return replace(sweep, own=str(error))


def _workers(options: ExecutionOptions) -> int:
    """Return the number of worker processes; for a cluster not yet connected to, 1, for an estimate."""
    from experiments.sweeps.executors import cores

    if options.dask:
        count = options.dask.removeprefix("local:")
        return int(count) if count.isdecimal() else 1
    return 0 if options.jobs == 1 else options.jobs or cores()
