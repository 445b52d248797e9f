"""Train the stacks of a plan, and store each as it completes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from experiments.analysis.wording import count
from experiments.storage import shipping
from experiments.storage.store import ASIDE, Store
from experiments.sweeps.forecast import Forecast
from experiments.sweeps.plan import ExecutionOptions, Stack, Sweep
from experiments.sweeps.progress import Progress

if TYPE_CHECKING:
    from experiments.storage.records import Records
    from experiments.sweeps.executors import Dask, Here, Outcome, Workers


FIRST_PART = 0.03  # of a sweep's work: what is trained before the first look at it


def executor(sweep: Sweep, options: ExecutionOptions) -> Here | Workers | Dask:
    """Return what trains: this process, worker processes or a Dask cluster; errors: ConfigError."""
    from experiments.sweeps.executors import Dask, Here, Workers

    if not sweep.stacks:
        return Here()
    if options.dask:
        shared = {text: known for text, known in (sweep.prints or {}).items() if not shipping.names([text])}
        return Dask(options.dask, options.limit, shared)
    return Workers(sweep.workers, options.limit) if sweep.workers else Here()


def train(
    sweep: Sweep, store: Store, pool: Here | Workers | Dask, progress: Progress, options: ExecutionOptions,
    first_look: Callable[[], None] | None = None,
) -> None:  # fmt: skip
    """Train every stack and store each as it completes.

    first_look: what is called once, as soon as the cheapest few stacks are stored, which are trained first
    then. A worker whose stack hangs is ended: at the user's limit, or without one when its own pace says so.
    After Ctrl-C the running stacks are finished and stored; then KeyboardInterrupt is raised.
    """
    from experiments.sweeps.executors import Here, outcomes
    from experiments.sweeps.executors.watchdog import supervised
    from experiments.sweeps.interrupts import patient
    from experiments.sweeps.runner import run_stack

    names = {run: name for name, run in sweep.runs.items()}
    own = b"" if isinstance(pool, Here) else sweep.packed
    work = partial(run_stack, recording=sweep.experiment.recording, prints=sweep.prints, own=own)
    if not (options.limit or isinstance(pool, Here)):
        work = partial(supervised, work)
    forecast = Forecast(sweep.cost(sweep.stacks), pool.workers, sweep.speed)
    crashed: list[Stack] = []
    aside: list[str] = []

    def stopped() -> bool:
        return interrupted() or bool(crashed and options.fail_fast)

    cheapest = _cheapest(sweep) if first_look else 0
    first = len(sweep.stacks) - cheapest
    stacks = [*sweep.stacks[first:], *sweep.stacks[:first]]
    with patient() as interrupted, progress.training(sweep.missing, forecast) as advance:
        for number, outcome in enumerate(outcomes(stacks, work, pool, stopped), 1):
            records = _records(outcome, [names[run] for run in outcome.stack])
            aside += store.save(records, maker=records.runs.attrs.get("maker"))
            if outcome.error:
                crashed.append(outcome.stack)
            advance(len(outcome.stack), sweep.cost([outcome.stack]))
            if first_look and number == cheapest and not interrupted():
                first_look()
        if aside:
            progress.say(f"{count(len(aside), 'part')} of other makers set aside in {store.folder / ASIDE}")
        if interrupted():
            raise KeyboardInterrupt


def _cheapest(sweep: Sweep) -> int:
    """Return how many stacks, from the cheapest, make up a small part of the work; at least 1."""
    costs = [sweep.cost([stack]) for stack in reversed(sweep.stacks)]
    return max(1, sum(done <= FIRST_PART * sum(costs) for done in accumulate(costs)))


def _records(outcome: Outcome, ids: list[str]) -> Records:
    """Return the records of a stack; of a stack that crashed, its runs with their traceback."""
    from experiments.storage.records import Records

    error = outcome.error
    if not error:
        records = outcome.result.of(ids)
        records.runs.attrs |= outcome.result.runs.attrs
        if len(records.runs) == len(ids):
            return records
        error = "the worker's run ids differ from those here: it runs another version of the code\n"
    return Records.crashed(outcome.stack, ids, error)
