"""Train runs and keep their records in memory: for measurements that need no store of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from experiments.config import Recording, Run
from experiments.storage.records import Records
from experiments.sweeps.executors import Here, Workers, cores, ending
from experiments.sweeps.runner import run_stack
from experiments.sweeps.stacks import stacks
from mlp.network import Network

T = TypeVar("T")


def train_in_memory(
    runs: Sequence[Run],
    recording: Recording,
    *,
    jobs: int = 1,
    advance: Callable[[int], None] = lambda runs: None,
    lesion: Callable[[Network], None] | None = None,
    until: int | None = None,
) -> Records:
    """Train the runs and return their records; the numbers are those of a stored sweep, bit for bit.

    A `lesion` changes the drawn networks in place before they are trained; with several jobs it is pickled.
    `until` is the last watched step that is measured, where the others are not needed.

    jobs: worker processes, 0 for one per core. `advance` is called with the number of runs of every stack
    that has ended. An exception of a run is raised.
    """
    workers = jobs or cores()
    parts = stacks(runs, recording, workers)
    pool = Here() if workers == 1 or len(parts) == 1 else Workers(workers)
    work = partial(run_stack, lesion=lesion, until=until)
    found = []
    with ending(pool):
        for part, future in [(part, pool.submit(work, part, recording)) for part in parts]:
            found.append(future.result())
            advance(len(part))
    return Records.concat(found)


def in_order(
    work: Callable[..., T], arguments: Iterator[tuple[Any, ...]], workers: int, ahead: int
) -> Iterator[T]:
    """Yield ``work(*each)`` of endless arguments in their order; `ahead` of them are worked on at a time."""
    with ending(Here() if workers == 1 else Workers(workers)) as pool:
        waiting: list[Future[T]] = []
        while True:
            while len(waiting) < ahead:
                waiting.append(pool.submit(work, *next(arguments)))
            yield waiting.pop(0).result()
