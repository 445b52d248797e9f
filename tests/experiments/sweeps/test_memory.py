"""Memory estimates hold what Python's own allocator counts; what is free is read from the system."""

import gc
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import config
from experiments.config import Run
from experiments.datasets import catalogue
from experiments.sweeps import memory
from experiments.sweeps.memory import available, stack_bytes
from experiments.sweeps.runner import run_stack
from experiments.sweeps.shapes import Shape, shape_of

QUICK = {"float32", "one layer", "on the batch"}  # the others take Python's allocator seconds each
RECORDING = config.from_mapping({"question": "?"}).recording
CASES = {  # settings, runs in the stack, what of the recording differs
    "float32": ({"depth": 10, "dtype": "float32"}, 5, {}),
    "float64": ({"depth": 10}, 3, {}),
    "adam and wide": ({"depth": 4, "width": 256, "optimiser": "adam"}, 1, {}),
    "one layer": ({"depth": 1, "width": 512}, 1, {}),
    "many rows": (
        {"depth": 20, "width": 16, "steps": 20, "dataset": "circles(n=100)", "batch": 16},
        1,
        {"watch": 20},
    ),
    "normalised": ({"depth": 6, "norm": "batch"}, 2, {}),
    "skips": ({"depth": 6, "residual": 1.0}, 2, {}),
    "without a fast form": ({"depth": 6, "activation": "gelu"}, 2, {}),
    "on the batch": ({"depth": 6, "activation": "tanh", "steps": 9}, 3, {"trace": "batch", "watch": 9}),
    "deep": ({"depth": 100, "width": 16}, 1, {}),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in CASES]
)
def test_a_stack_takes_as_much_as_is_said(name):
    """Within a factor of two: what is refused could not run, what is let through can."""
    settings, count, recorded = CASES[name]
    runs = [Run(**{"steps": 2} | settings, seed=seed) for seed in range(count)]
    recording = replace(RECORDING, **recorded)
    run_stack([Run(steps=1)], RECORDING)  # whatever is imported or cached once
    catalogue._load.cache_clear()
    gc.collect()
    tracemalloc.start()
    run_stack(runs, recording)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.9 < stack_bytes(runs, recording, shape_of(runs[0].dataset)) / peak < 2


def test_the_shape_of_the_data_counts():
    run = Run(dtype="float32")
    small, large = Shape(64, 10, 1437, 360), Shape(20_000, 500, 1437, 360)
    less, more = (stack_bytes([run], RECORDING, shape) for shape in (small, large))
    inputs = (1437 + 360) * 20_000 * (8 + 4)  # as read, and in the run's own format
    assert more - less > inputs
    assert less < 30e6


GB = 10**9
V1_GROUPS = "3:cpu,cpuacct:/job\n9:memory:/job\n"
GROUPS = {  # what the system's files say: what is free of a machine of 100 GB
    "no groups": ({}, 100),
    "no limit": ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n"}, 100),
    "a container": (
        {
            "/proc/self/cgroup": "0::/\n",
            "/sys/fs/cgroup/memory.max": 4 * GB,
            "/sys/fs/cgroup/memory.current": GB,
        },
        3,
    ),
    "a container whose cache can be given back": (
        {
            "/proc/self/cgroup": "0::/\n",
            "/sys/fs/cgroup/memory.max": 4 * GB,
            "/sys/fs/cgroup/memory.current": 4 * GB,
            "/sys/fs/cgroup/memory.stat": f"anon 5\nfile {3 * GB}\ninactive_file {2 * GB}\n",
        },
        2,
    ),
    "a job below a limited one": (
        {
            "/proc/self/cgroup": "0::/slurm/job_7/step\n",
            "/sys/fs/cgroup/slurm/job_7/step/memory.max": "max",
            "/sys/fs/cgroup/slurm/job_7/step/memory.current": GB,
            "/sys/fs/cgroup/slurm/job_7/memory.max": 8 * GB,
            "/sys/fs/cgroup/slurm/job_7/memory.current": 3 * GB,
        },
        5,
    ),
    "a container that sees its path from outside": (
        {
            "/proc/self/cgroup": "0::/docker/4f2a\n",
            "/sys/fs/cgroup/memory.max": 2 * GB,
            "/sys/fs/cgroup/memory.current": 0,
        },
        2,
    ),
    "version 1": (
        {
            "/proc/self/cgroup": V1_GROUPS,
            "/sys/fs/cgroup/memory/job/memory.limit_in_bytes": 6 * GB,
            "/sys/fs/cgroup/memory/job/memory.usage_in_bytes": 5 * GB,
            "/sys/fs/cgroup/memory/job/memory.stat": f"inactive_file 7\ntotal_inactive_file {3 * GB}\n",
        },
        4,
    ),
    "version 1 without a limit": (
        {
            "/proc/self/cgroup": V1_GROUPS,
            "/sys/fs/cgroup/memory/job/memory.limit_in_bytes": 9223372036854771712,
            "/sys/fs/cgroup/memory/job/memory.usage_in_bytes": 5,
        },
        100,
    ),
}


@pytest.mark.parametrize("name", GROUPS)
def test_a_container_with_less_than_the_machine_counts(name, monkeypatch):
    assert available() > 0  # here
    said, free = GROUPS[name]
    said = {"/proc/meminfo": f"MemTotal: 1 kB\nMemAvailable: {100 * GB // 1024} kB\n"} | said

    def read(path):
        if str(path) not in said:
            raise FileNotFoundError(path)
        return str(said[str(path)])

    monkeypatch.delenv("VG_MEMORY", raising=False)
    monkeypatch.setattr(Path, "read_text", read)
    assert available() == pytest.approx(free * GB, abs=1024)


def grid(count, **settings):
    return tuple(Run(**settings, seed=seed) for seed in range(count))


def test_stacks_are_cut_and_workers_left_out_where_memory_is_short(monkeypatch):
    stack = grid(8, depth=10)
    shape = shape_of("digits")
    two = stack_bytes(stack[:2], RECORDING, shape) + memory.PROCESS
    monkeypatch.setattr(memory, "available", lambda: int(two / memory.RESERVE) + 1000)
    parts, workers = memory.fitted([stack], RECORDING, 2)
    assert [len(part) for part in parts] == [2, 2, 2, 2]
    assert [run for part in parts for run in part] == list(stack)
    assert workers == 1
    monkeypatch.setattr(memory, "available", lambda: 10**12)
    assert memory.fitted([stack, stack], RECORDING, 2) == ([stack, stack], 2)


def test_what_no_machine_holds_is_refused_with_what_to_change():
    """Ten thousand layers of 65,536 units: 344 TB of weights alone."""
    with pytest.raises(
        config.ConfigError,
        match=r"depth 10000, width 65536.* GB while it trains.*make the data, depth, width",
    ):
        memory.fitted([grid(1, depth=10_000, width=65_536)], RECORDING, 1)


def test_the_environment_may_say_how_much_there_is(monkeypatch):
    monkeypatch.setenv("VG_MEMORY", "16")
    assert available() == 16 * 10**9
    for text in ("much", "0", "-3", "nan"):
        monkeypatch.setenv("VG_MEMORY", text)
        with pytest.raises(config.ConfigError, match=f"VG_MEMORY is '{text}'; it is a number of GB"):
            available()
