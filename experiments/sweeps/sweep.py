"""Train the stacks of a plan, and store each as it completes."""

from __future__ import annotations

import time
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


MANY = 64  # stacks, from which small ones are stored together
SMALL = 0.25  # estimated seconds of a stack whose records may be held
LONGEST_HELD = 0.25  # seconds
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
    held = _Held(sweep, store)
    own = b"" if isinstance(pool, Here) else sweep.packed
    work = partial(run_stack, recording=sweep.experiment.recording, prints=sweep.prints, own=own)
    if not (options.limit or isinstance(pool, Here)):
        work = partial(supervised, work)
    forecast = Forecast(sweep.cost(sweep.stacks), pool.workers, sweep.speed)
    crashed: list[Stack] = []

    def stopped() -> bool:
        return interrupted() or bool(crashed and options.fail_fast)

    cheapest = _cheapest(sweep) if first_look else 0
    first = len(sweep.stacks) - cheapest
    stacks = [*sweep.stacks[first:], *sweep.stacks[:first]]
    with patient() as interrupted, progress.training(sweep.missing, forecast) as advance:
        for number, outcome in enumerate(outcomes(stacks, work, pool, stopped), 1):
            held.add(_records(outcome, [names[run] for run in outcome.stack]), outcome.stack)
            if outcome.error:
                crashed.append(outcome.stack)
            advance(len(outcome.stack), sweep.cost([outcome.stack]))
            if first_look and number == cheapest and not interrupted():
                held.save()
                first_look()
        held.save()
        if held.aside:
            progress.say(
                f"{count(len(held.aside), 'part')} of other makers set aside in {store.folder / ASIDE}"
            )
        if interrupted():
            raise KeyboardInterrupt


class _Held:
    """The records of small stacks that are stored together, so that a part's six syncs are paid for once.

    Of a sweep of few stacks, or of large ones, each is stored at once. A kill costs what was held, which is
    at most `LONGEST_HELD` seconds of results and is trained again.
    """

    def __init__(self, sweep: Sweep, store: Store) -> None:
        self._sweep, self._store = sweep, store
        self._many = len(sweep.stacks) >= MANY
        self._records: list[Records] = []
        self._since = 0.0
        self.aside: list[str] = []  # parts of other makers that were set aside

    def add(self, records: Records, stack: Stack) -> None:
        """Store the records of a stack, now or together with the next."""
        if not self._records:
            self._since = time.monotonic()
        elif _maker(self._records[-1]) != _maker(records):
            self.save()
        self._records.append(records)
        small = self._many and self._sweep.cost([stack]) <= SMALL * self._sweep.speed
        if not small or time.monotonic() - self._since >= LONGEST_HELD:
            self.save()

    def save(self) -> None:
        """Store what is held."""
        from experiments.storage.records import Records

        if self._records:
            whole = self._records[0] if len(self._records) == 1 else Records.concat(self._records)
            self.aside += self._store.save(whole, maker=_maker(self._records[0]))
            self._records = []


def _maker(records: Records) -> dict[str, str] | None:
    return records.runs.attrs.get("maker")


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
