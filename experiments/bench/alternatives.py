"""The competitors: which engine runs the training step, on how many processes and threads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from experiments.bench.workload import Engine, Problem

PLAIN, LIMIT = "PyTorch plain", "limit"  # what ratios are taken to


@dataclass(frozen=True)
class Setting:
    """One competitor: a function of a module beside this one, and what it runs on.

    Several processes train `runs` networks each, none of them twice. pinned: each process is bound to one
    core, since XLA takes all the cores that it sees; for a fair race every setting of several processes is.
    """

    name: str
    function: str
    processes: int = 1
    threads: int = 1
    pinned: bool = False
    needs: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def cores(self) -> int:
        """The number of cores that it may use."""
        return self.processes * self.threads

    @property
    def of_the_limit(self) -> str:
        """The setting of the matrix products alone on as many cores, which is the limit of its speed."""
        return f"{LIMIT}, {self.cores} processes" if self.cores > 1 else LIMIT

    def build(self, problem: Problem) -> Engine:
        """Return the engine itself, after importing the library that it needs."""
        module, _, name = self.function.partition(":")
        return getattr(import_module(f"experiments.bench.{module}"), name)(problem, **self.options)

    def can(self, activation: str) -> bool:
        """Return whether it has the activation of the case: scikit-learn has no leaky ReLU."""
        return self.needs != "sklearn" or activation != "leaky_relu"


def _table() -> Iterable[Setting]:
    one_and_two = (1, 2)
    for n in one_and_two:
        two, own = (", 2 processes", True) if n > 1 else ("", False)
        yield Setting(f"{LIMIT}{two}", "ours:limit", n, pinned=own)
        yield Setting(f"ours{two}", "ours:engine", n, pinned=own)
        yield Setting(
            f"ours, default records{two}", "ours:engine", n, pinned=own, options={"records": "default"}
        )
        yield Setting(f"NumPy tutorial{two}", "loops:engine", n, pinned=own)
        yield Setting(f"{PLAIN}{two}", "torch_one:plain", n, pinned=own, needs="torch")
        yield Setting(f"PyTorch stacked bmm{two}", "torch_stacked:bmm", n, pinned=own, needs="torch")
    yield Setting(f"{PLAIN}, 2 threads", "torch_one:plain", 1, 2, needs="torch")
    yield Setting("PyTorch stacked bmm, 2 threads", "torch_stacked:bmm", 1, 2, needs="torch")
    yield Setting("JAX vmap scan, 2 cores", "jax_scan:engine", 1, 2, needs="jax")
    yield Setting("JAX vmap scan, 2 pinned processes", "jax_scan:engine", 2, 1, pinned=True, needs="jax")
    yield Setting("scikit-learn partial_fit", "sklearn_fit:engine", 1, needs="sklearn")


SETTINGS = {setting.name: setting for setting in _table()}
# What a run has unless asked for others: slower forms of what it has anyway would double its time, and what
# the default records cost is a part of its own.
USUAL = tuple(
    name for name in SETTINGS
    if "default records" not in name
    and name not in {"NumPy tutorial, 2 processes", "PyTorch stacked bmm, 2 threads"}
)  # fmt: skip
QUICK = (
    LIMIT, "limit, 2 processes", "ours", "ours, 2 processes", PLAIN, "PyTorch stacked bmm, 2 processes",
    "JAX vmap scan, 2 pinned processes",
)  # fmt: skip


def installed(settings: Iterable[Setting]) -> tuple[list[Setting], list[str]]:
    """Return the settings that can run here, and the names of the libraries that are missing."""
    settings = list(settings)
    missing = sorted({s.needs for s in settings if s.needs and find_spec(s.needs) is None})
    return [s for s in settings if s.needs not in missing], missing
