"""Figures drawn side by side by worker processes, to the same bytes as one after another in this process.

Each worker is sent the records once, with the predictions that this process has made so far, and then draws
one figure at a time. They go through its pipe and not through a file, which a killed process would leave.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping

from experiments.storage import shipping
from experiments.storage.records import COLUMNS, Records
from experiments.sweeps.executors import WorkerLost, Workers, ending
from experiments.theory import of_records

WORTH_WORKERS = 3  # figures to draw, from which workers save more time than they take to start
LARGEST = 2**28  # bytes of records, of which every worker has a copy

Made = tuple[dict[str, bytes], str]  # the files of a figure, or why there are none
Work = Callable[[str, Records, str], Made]  # draws a figure, given its text, the records and a stem
_sent: list[Records] = []  # of a worker: the records that it draws


def workers_for(texts: Mapping[str, str], records: Records, jobs: int) -> int:
    """Return how many worker processes are to draw these figures; 0: this process.

    A worker lacks the data, figures and other parts that a user has registered in this process alone.
    """
    if min(jobs, len(texts)) < 2 or len(texts) < WORTH_WORKERS:
        return 0
    size = sum(int(getattr(records, name).memory_usage().sum()) for name in COLUMNS)
    named = {str(value) for name in of_records.START for value in records.runs[name].unique()}
    if size > LARGEST or shipping.names([*texts, *named]):
        return 0
    return min(jobs, len(texts))


def drawn_by_workers(
    texts: Mapping[str, str], records: Records, work: Work, workers: int, meanwhile: Callable[[], object]
) -> Iterator[tuple[str, Made | None]]:
    """Yield each of these figures (text -> stem of its files) drawn; None where its worker was lost.

    `meanwhile` is called in this process once all figures have been asked for.
    """
    sent = pickle.dumps((records, of_records.known()), protocol=5)
    with ending(Workers(workers, first=(_receive, sent))) as pool:
        asked = {text: pool.submit(_drawn, work, text, stem) for text, stem in texts.items()}
        meanwhile()
        for text, future in asked.items():
            try:
                yield text, future.result()
            except WorkerLost:
                yield text, None


def _receive(sent: bytes) -> None:
    """Keep in a worker what it draws from."""
    records, predictions = pickle.loads(sent)
    of_records.adopt(predictions)
    _sent[:] = [records]


def _drawn(work: Work, text: str, stem: str) -> Made:
    """Draw one figure in a worker."""
    return work(text, _sent[0], stem)
