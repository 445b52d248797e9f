"""Processes with a thread setting of their own, in which engines live while others take their turn.

Each is a pool of one process, so that it keeps its engine from one question to the next. (The workers of a
sweep will not do: they share one number of threads, and whichever is idle takes the next stack.)
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from experiments.bench.alternatives import Setting
from experiments.bench.workload import Case, Problem, Readings
from experiments.sweeps.executors import environment as variables

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
# What ties a library to other kernels or threads than it would choose. One such variable halves NumPy's
# speed and leaves PyTorch's as it was, which is no fair comparison.
TIES = ("OPENBLAS_", "GOTO_", "OMP_", "MKL_", "KMP_", "XLA_", "NPY_DISABLE", "NVPL_")
WARM_UP = 0.15  # seconds


class EngineError(RuntimeError):
    """What went wrong in a process, with its traceback."""


class Team:
    """The processes of one setting. They outlive a case, so that libraries are imported once."""

    def __init__(self, setting: Setting, *, keep_environment: bool = False) -> None:
        self.setting = setting
        self.members = [_member(setting, place) for place in range(setting.processes)]
        threads = dict.fromkeys(THREADS, str(setting.threads))
        with environment(threads, keep=keep_environment):
            self.processes: list[int] = self._all(*[("process",)] * len(self.members))

    def prepare(self, case: Case) -> float:
        """Build the engines and make their first steps; return the seconds, compilation included."""
        began = time.perf_counter()
        self._all(*(("prepare", case, place * case.runs) for place in range(len(self.members))))
        return time.perf_counter() - began

    def warm_up(self, seconds: float = WARM_UP) -> float:
        """Make steps for so long; return the seconds that the last unit of them took."""
        return float(max(self._all(*[("warm_up", seconds)] * len(self.members))))

    def unit(self) -> int:
        """Return the number of steps of which only multiples can be asked for."""
        return int(self._ask(0, "unit"))

    def time(self, steps: int) -> float:
        """Return the seconds until the last process has made its steps, all having begun together."""
        return float(max(self._all(*[("time", steps)] * len(self.members))))

    def check(self, case: Case) -> tuple[list[Any], Readings | None]:
        """Return (gradients, records) of the first step, by the first process."""
        found: tuple[list[Any], Readings | None] = self._ask(0, "check", case)
        return found

    def kernels(self) -> str:
        """Return what NumPy's BLAS computes with."""
        return str(self._ask(0, "kernels"))

    def close(self) -> None:
        """End the processes."""
        for member in self.members:
            member.shutdown()

    def _all(self, *questions: tuple[Any, ...]) -> list[Any]:
        """Ask each process its question, then wait for the answers; errors: EngineError."""
        asked = [member.submit(_answer, *each) for member, each in zip(self.members, questions, strict=True)]
        return [_result(each) for each in asked]

    def _ask(self, place: int, *question: Any) -> Any:
        return _result(self.members[place].submit(_answer, *question))


def _member(setting: Setting, place: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # a fresh interpreter, which reads the environment anew
    return ProcessPoolExecutor(1, context, initializer=_begin, initargs=(setting, place))


def _result(asked: Future[Any]) -> Any:
    try:
        return asked.result()
    except BrokenProcessPool:
        raise EngineError("the process ended") from None


def ties() -> dict[str, str]:
    """Return the variables of this environment that tie libraries, threads aside."""
    return {k: v for k, v in sorted(os.environ.items()) if k.startswith(TIES) and k not in THREADS}


@contextlib.contextmanager
def environment(changes: dict[str, str], *, keep: bool = False) -> Iterator[None]:
    """Change the environment that children inherit: by `changes`, and without `ties` unless they are kept."""
    removed: dict[str, str | None] = {} if keep else dict.fromkeys(ties())
    with variables.environment(removed | changes):
        yield


# In the process -------------------------------------------------------------------------------------------

_desk: _Desk


def _begin(setting: Setting, place: int) -> None:
    global _desk  # noqa: PLW0603 - the state of a process that holds one engine
    if setting.pinned and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[place % len(cores)]})
    _desk = _Desk(setting)


def _answer(name: str, *arguments: Any) -> Any:
    """Return what the desk answers; errors: EngineError, since not every error can be sent."""
    import traceback

    try:
        return getattr(_desk, name)(*arguments)
    except Exception:  # the bench goes on without this engine
        raise EngineError(traceback.format_exc()) from None


class _Desk:
    """What a process can be asked."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def process(self) -> int:
        return os.getpid()

    def prepare(self, case: Case, first_seed: int) -> None:
        self.engine = self.setting.build(Problem.of(case, first_seed))
        self.engine.run(self.engine.unit)

    def unit(self) -> int:
        return self.engine.unit

    def warm_up(self, seconds: float) -> float:
        began, last = time.perf_counter(), self.time(self.engine.unit)
        while time.perf_counter() - began < seconds:
            last = self.time(self.engine.unit)
        return last

    def time(self, steps: int) -> float:
        began = time.perf_counter()
        self.engine.run(steps)
        return time.perf_counter() - began

    def check(self, case: Case) -> tuple[list[Any], Readings | None]:
        from experiments.bench.agreement import first_step

        return first_step(self.setting, case)

    def kernels(self) -> str:
        import numpy as np  # noqa: F401  (loads the library that is asked about)
        from threadpoolctl import threadpool_info

        pools = [pool for pool in threadpool_info() if pool["internal_api"] == "openblas"]
        return ", ".join(f"OpenBLAS {p['version']} {p['architecture']}" for p in pools[:1]) or "unknown"
