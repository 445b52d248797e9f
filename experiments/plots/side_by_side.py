"""Figures drawn side by side by worker processes, to the same bytes as one after another in this process.

The records and the predictions that this process has made so far are written to a file once; each worker
reads it once and then draws one figure at a time.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from experiments.storage import shipping
from experiments.storage.records import COLUMNS, Records
from experiments.sweeps.executors import WorkerLost, Workers, ending
from experiments.theory import of_records

WORTH_WORKERS = 3  # figures to draw, from which workers save more time than they take to start
LARGEST = 2**28  # bytes of records, of which every worker has a copy

Made = tuple[dict[str, bytes], str]  # the files of a figure, or why there are none
Work = Callable[[str, Records, str], Made]  # draws a figure, given its text, the records and a stem
_read: tuple[str, Records] | None = None  # of a worker: the file that it has read, and its records


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
    with tempfile.TemporaryDirectory() as folder, ending(Workers(workers)) as pool:
        path = Path(folder) / "records"
        path.write_bytes(pickle.dumps((records, of_records.known()), protocol=5))
        asked = {text: pool.submit(_drawn, work, str(path), text, stem) for text, stem in texts.items()}
        meanwhile()
        for text, future in asked.items():
            try:
                yield text, future.result()
            except WorkerLost:
                yield text, None


def _drawn(work: Work, path: str, text: str, stem: str) -> Made:
    """Draw one figure in a worker."""
    global _read  # noqa: PLW0603 - what a worker keeps from one figure to the next
    if _read is None or _read[0] != path:
        records, predictions = pickle.loads(Path(path).read_bytes())
        of_records.adopt(predictions)
        _read = path, records
    return work(text, _read[1], stem)
