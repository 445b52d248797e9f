"""The workers of a Dask scheduler that may be used: each is asked what it has before it gets any work."""

from __future__ import annotations

import inspect
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.config import ConfigError
from experiments.sweeps.executors import enquiry

FIRST_WAIT = 30.0  # seconds until the first worker has to be there
LATER_WAIT = 120.0  # seconds for which a sweep goes on without any: a worker that died may be started again
SOON = 2.0  # seconds after which it is said that no worker is there yet
BETWEEN = 0.25  # seconds between two looks while none is there
KEPT = "finished runs are stored; run the same command again for the rest"


class CrewWarning(UserWarning):
    """Workers of a cluster are missing or left out; the message says why."""


class Crew:
    """The workers that have the versions, the project and the data of this process."""

    def __init__(self, client: Any, address: str, prints: Mapping[str, str]) -> None:
        self._client, self._address = client, address
        self._here = enquiry.facts(prints)
        self._question = enquiry.question(inspect.getsource(enquiry), prints)
        self._faults: dict[str, str] = {}  # what is wrong with each worker that was asked: '' if nothing
        self._all: dict[str, int] = {}  # the threads of every worker when it was last looked
        self._manned = float("-inf")  # when there was last one that can be used

    def gather(self) -> None:
        """Wait for the first worker that can be used; errors: ConfigError if none is there in time."""
        began, told = time.monotonic(), False
        while not self.threads():
            waited = time.monotonic() - began
            if self._faults and len(self._faults) == len(self._all):
                raise ConfigError([f"--dask {self._address}: no worker can be used: {self._reasons()}"])
            if waited >= FIRST_WAIT:
                how = f"start one with: dask worker {self._address} --nthreads 1"
                raise ConfigError([f"--dask {self._address}: no worker within {FIRST_WAIT:g} s; {how}"])
            if waited >= SOON and not told:
                told = True
                self._warn(f"no worker is there yet; waiting for up to {FIRST_WAIT:g} s")
            threading.Event().wait(BETWEEN)

    def threads(self) -> dict[str, int]:
        """Return the number of threads of each worker that can be used at the moment."""
        self._all = self._client.nthreads()
        if new := [worker for worker in self._all if worker not in self._faults]:
            self._ask(new)
        threads = {at: count for at, count in self._all.items() if self._faults.get(at) == ""}
        if threads:
            self._manned = time.monotonic()
        return threads

    def allowed(self) -> list[str] | None:
        """Return the workers that may be used; None where all may."""
        threads = self.threads()
        return None if len(threads) == len(self._all) else sorted(threads)

    def check(self) -> bool:
        """Return whether any worker can be used; errors: ConfigError if there has been none for long."""
        if self.threads():
            return True
        if time.monotonic() - self._manned > LATER_WAIT:
            text = f"no worker has been there for {LATER_WAIT:g} s; {KEPT}"
            raise ConfigError([f"--dask {self._address}: {text}"])
        return False

    def _ask(self, new: Sequence[str]) -> None:
        answers = self._client.run(eval, self._question, workers=list(new), on_error="return")
        left_out = defaultdict(list)
        for worker in new:
            answer = answers.get(worker)
            if answer is None or isinstance(answer, OSError):  # it has left in the meantime
                continue
            if isinstance(answer, Exception):
                self._faults[worker] = f"it cannot answer ({type(answer).__name__}: {answer})"
            else:
                self._faults[worker] = enquiry.difference(answer, self._here)
            if reason := self._faults[worker]:
                left_out[reason].append(worker)
        for reason, workers in left_out.items():
            self._warn(f"{', '.join(workers)} left out: {reason}")

    def _reasons(self) -> str:
        return "; ".join(dict.fromkeys(filter(None, self._faults.values())))

    def _warn(self, text: str) -> None:
        warnings.warn(f"--dask {self._address}: {text}", CrewWarning, stacklevel=2)
