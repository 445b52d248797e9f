"""Processes with a thread setting of their own, in which engines live while others take their turn."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from experiments.bench.alternatives import Setting
from experiments.bench.workload import Case, Problem, Readings

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
        self.members = [_Member(setting, place, keep_environment) for place in range(setting.processes)]

    def prepare(self, case: Case) -> float:
        """Build the engines and make their first steps; seconds, compilation included."""
        began = time.perf_counter()
        self._all(*(("prepare", case, place * case.runs) for place in range(len(self.members))))
        return time.perf_counter() - began

    def warm_up(self) -> float:
        """Seconds that a unit of steps takes, the first few not counted."""
        return float(max(self._all(("warm_up",))))

    def unit(self) -> int:
        """Steps come in multiples of it."""
        return int(self._all(("unit",))[0])

    def time(self, steps: int) -> float:
        """Seconds until the last of them has made its steps, all having begun together."""
        return float(max(self._all(("time", steps))))

    def check(self, case: Case) -> tuple[list[Any], Readings | None]:
        """(gradients, records) of the first step, by the first process."""
        found: tuple[list[Any], Readings | None] = self.members[0].ask("check", case)
        return found

    def kernels(self) -> str:
        """What NumPy's BLAS computes with."""
        return str(self.members[0].ask("kernels"))

    def close(self) -> None:
        """End the processes."""
        for member in self.members:
            member.close()

    def _all(self, *messages: tuple[Any, ...]) -> list[Any]:
        """Send to each its message (or all the same one), then wait for the answers."""
        each = messages if len(messages) == len(self.members) else messages * len(self.members)
        for member, message in zip(self.members, each, strict=True):
            member.connection.send(message)
        return [member.answer() for member in self.members]


class _Member:
    def __init__(self, setting: Setting, place: int, keep_environment: bool) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=_serve, args=(theirs, setting, place), daemon=True)
        with environment(dict.fromkeys(THREADS, str(setting.threads)), keep=keep_environment):
            self.process.start()
        theirs.close()

    def ask(self, *message: Any) -> Any:
        self.connection.send(message)
        return self.answer()

    def answer(self) -> Any:
        try:
            worked, found = self.connection.recv()
        except EOFError:
            raise EngineError("the process ended") from None
        if not worked:
            raise EngineError(found)
        return found

    def close(self) -> None:
        self.connection.close()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def ties() -> dict[str, str]:
    """The variables of this environment that tie libraries, threads aside."""
    return {k: v for k, v in sorted(os.environ.items()) if k.startswith(TIES) and k not in THREADS}


@contextlib.contextmanager
def environment(changes: dict[str, str], *, keep: bool = False) -> Iterator[None]:
    """This process's environment, for children to inherit: with the changes, without `ties` unless kept."""
    before = dict(os.environ)
    for name in () if keep else ties():
        del os.environ[name]
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


# In the process -------------------------------------------------------------------------------------------


def _serve(connection: Connection, setting: Setting, place: int) -> None:
    """Answer messages until the other end is closed."""
    import traceback

    if setting.pinned and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[place % len(cores)]})
    desk = _Desk(setting)
    with contextlib.suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            name, *arguments = connection.recv()
            try:
                answer = (True, getattr(desk, name)(*arguments))
            except Exception:  # the bench goes on without this engine
                answer = (False, traceback.format_exc())
            connection.send(answer)


class _Desk:
    """What a process can be asked."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def prepare(self, case: Case, first_seed: int) -> None:
        self.engine = self.setting.build(Problem.of(case, first_seed))
        self.engine.run(self.engine.unit)

    def unit(self) -> int:
        return self.engine.unit

    def warm_up(self) -> float:
        began = time.perf_counter()
        while time.perf_counter() - began < WARM_UP:
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
