"""The plan: which runs there are, what they cost and who trains with whom."""

import time
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import datasets
from experiments.config import ConfigError, Experiment, Recording, Run, from_mapping
from experiments.storage.identity import named
from experiments.storage.store import Store
from experiments.sweeps import counting
from experiments.sweeps.forecast import cost
from experiments.sweeps.plan import ExecutionOptions, check_options, check_sizes, grid, survey
from experiments.sweeps.stacks import MOST_STACKED, STACKED, stacks

RECORDING = Recording(("delta_norm", "dw_norm"))


def swept(**sweep) -> list[Run]:
    return grid(from_mapping({"question": "q", "sweep": sweep}))


# -- the grid -------------------------------------------------------------------------------------------


def test_the_last_key_of_the_sweep_changes_fastest_and_zip_slowest():
    experiment = from_mapping(
        {
            "question": "q",
            "base": {"width": 8},
            "sweep": {"depth": [1, 2], "seed": [5, 6]},
            "zip": {"activation": ["tanh", "relu"], "init": ["xavier_normal", "he_normal"]},
        }
    )
    runs = grid(experiment)
    assert experiment.size() == len(runs) == 8
    assert [(r.activation, r.init, r.depth, r.seed) for r in runs] == [
        ("tanh", "xavier_normal", 1, 5),
        ("tanh", "xavier_normal", 1, 6),
        ("tanh", "xavier_normal", 2, 5),
        ("tanh", "xavier_normal", 2, 6),
        ("relu", "he_normal", 1, 5),
        ("relu", "he_normal", 1, 6),
        ("relu", "he_normal", 2, 5),
        ("relu", "he_normal", 2, 6),
    ]
    assert {r.width for r in runs} == {8}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"jobs": 0}, "jobs: 0 is not a whole number from 1"),
        ({"jobs": -1}, "jobs: -1 is"),
        ({"jobs": 1.5}, "jobs: 1.5 is"),
        ({"limit": 0}, "limit: 0 is not a number of seconds above 0"),
        ({"limit": -1}, "limit: -1 is"),
        ({"limit": float("nan")}, "limit: nan is"),
    ],
)
def test_options_without_sense_are_refused(options, said):
    with pytest.raises(ConfigError, match=f"^{said}"):
        check_options(ExecutionOptions(**options))


def test_a_config_without_lists_is_one_run():
    assert grid(Experiment(name="x", question="q", base=Run(depth=7))) == [Run(depth=7)]


# -- stacks ---------------------------------------------------------------------------------------------

SHAPES = st.fixed_dictionaries(
    {
        "activation": st.lists(st.sampled_from(["relu", "tanh", "sigmoid"]), min_size=1, unique=True),
        "depth": st.lists(st.integers(0, 30), min_size=1, max_size=3, unique=True),
        "width": st.lists(st.sampled_from([4, 64, 300]), min_size=1, unique=True),
        "lr": st.lists(st.sampled_from([0.1, 0.2]), min_size=1, unique=True),
        "seed": st.lists(st.integers(0, 99), min_size=1, max_size=9, unique=True),
    }
)


@given(SHAPES, st.integers(1, 9))
def test_every_run_is_in_one_stack_of_its_like(sweep, workers):
    runs = swept(**sweep)
    found = stacks(runs, RECORDING, workers)
    assert Counter(run for stack in found for run in stack) == Counter(runs)
    for stack in found:
        assert 1 <= len(stack) <= MOST_STACKED
        for f in fields(Run):
            assert f.name in STACKED or len({getattr(run, f.name) for run in stack}) == 1


@given(SHAPES, st.integers(1, 9))
def test_the_costliest_stack_comes_first(sweep, workers):
    costs = [cost(stack, RECORDING) for stack in stacks(swept(**sweep), RECORDING, workers)]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize(
    ("run", "expected"),  # by the cache, or by the memory that the traces take
    [
        (Run(depth=10, width=64, dtype="float32"), 20),
        (Run(depth=10, width=32, dtype="float32"), 20),
        (Run(depth=10, width=64), 12),
        (Run(depth=10, width=128), 6),
        (Run(depth=50, width=64), 2),
        (Run(depth=10, width=512), 1),
        (Run(depth=1, width=8), MOST_STACKED),
    ],
)
def test_a_stack_fills_the_cache(run, expected):
    found = stacks([replace(run, seed=seed) for seed in range(2 * expected)], RECORDING)
    assert [len(stack) for stack in found] == [expected, expected]


def test_a_group_is_cut_evenly():
    run = Run(depth=40)  # three to a stack
    sizes = [len(stack) for stack in stacks([replace(run, seed=seed) for seed in range(7)], RECORDING)]
    assert sorted(sizes) == [2, 2, 3]


def test_traces_of_many_examples_bound_a_stack():
    runs = [Run(depth=50, dataset="gaussian_noise(n=100000)", seed=seed) for seed in range(4)]
    few, many = Recording((), probe_set=100), Recording((), probe_set=50_000)
    assert max(map(len, stacks(runs, few))) > max(map(len, stacks(runs, many))) == 1


def finish(stacks, workers) -> float:
    """When the last worker ends, each taking the next stack as it is free."""
    free = np.zeros(workers)
    for stack in stacks:
        free[free.argmin()] += cost(stack, RECORDING)
    return free.max()


@pytest.mark.parametrize(
    ("runs", "workers", "sizes"),
    [
        (swept(seed=range(6)), 1, [6]),
        (swept(seed=range(6)), 2, [3, 3]),
        (swept(seed=range(6)), 3, [2, 2, 2]),
        (swept(seed=range(6)), 8, [1] * 6),
        (swept(seed=range(6), activation=["relu", "tanh"]), 2, [6, 6]),
        (swept(seed=range(6), activation=["relu", "tanh"]), 4, [3, 3, 3, 3]),
    ],
)
def test_all_cores_get_work(runs, workers, sizes):
    assert [len(stack) for stack in stacks(runs, RECORDING, workers)] == sizes


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 8, 16])
def test_all_cores_finish_together(workers):
    runs = swept(activation=["sigmoid", "tanh", "relu"], depth=[2, 5, 10, 20, 50], seed=range(6))
    found = stacks(runs, RECORDING, workers)
    ideal = sum(cost(stack, RECORDING) for stack in found) / workers
    longest = max(cost([run], RECORDING) for run in runs)  # what no cutting can divide
    assert finish(found, workers) <= max(1.1 * ideal, ideal + longest)


# -- sizes, and the time that planning takes ------------------------------------------------------------


def test_a_batch_larger_than_a_data_file_is_found_before_training(tmp_path):
    path = tmp_path / "small.csv"
    path.write_text("a,kind\n" + "1,0\n2,1\n" * 10)
    text = f"file(path={str(path)!r})"
    check_sizes([Run(dataset=text, batch=16), Run(batch=128)], Recording(()))
    with pytest.raises(ConfigError) as error:
        check_sizes([Run(dataset=text, batch=17), Run(dataset=text, batch=17, seed=1)], Recording(()))
    assert error.value.messages == [f"batch: 17 examples a batch, but {text} has 16 to train on"]


def test_a_long_plan_says_how_far_it_is(monkeypatch, tmp_path):
    """Every so many seconds; a short one is silent."""
    experiment = from_mapping({"question": "q", "sweep": {"seed": range(600)}})
    said: list[str] = []
    survey(experiment, Store("none", tmp_path), ExecutionOptions(jobs=1), say=said.append)
    assert said == []
    monkeypatch.setattr(counting, "BETWEEN_LINES", -1.0)
    survey(experiment, Store("none", tmp_path), ExecutionOptions(jobs=1), say=said.append)
    assert said[:3] == [f"planning: combinations, {n} of 600" for n in (0, 256, 512)]
    for what in (
        "names of runs, 512 of 600",
        "data sets, 0 of 1",
        "stacks, 512 of 600",
        "memory of the stacks",
    ):
        assert any(what in line for line in said), what
    assert not any(tmp_path.iterdir())


def test_data_sets_times_batches_are_looked_at_once_each(monkeypatch, tmp_path):
    """Forty of each: what is asked of a data set is asked forty times, not 1,600 times."""
    asked: Counter[str] = Counter()
    for name in ("fingerprint", "training_size", "load"):
        plain = getattr(datasets, name)
        monkeypatch.setattr(datasets, name, lambda text, n=name, f=plain: (asked.update([n]), f(text))[1])
    sweep = {
        "dataset": [f"gaussian_noise(n=60, split_seed={900 + i})" for i in range(40)],
        "batch": range(1, 41),
    }
    experiment = from_mapping({"question": "q", "base": {"steps": 1}, "sweep": sweep})
    assert survey(experiment, Store("none", tmp_path), ExecutionOptions(jobs=2)).missing == 1600
    assert asked["load"] == asked["fingerprint"] == 40
    assert asked["training_size"] <= 80  # once to check the config, once to plan


def test_the_plan_is_fitted_to_memory_again_when_it_changes(monkeypatch, tmp_path):
    """What another sweep has stored meanwhile leaves stacks that still fit."""
    experiment = from_mapping({"question": "q", "base": {"depth": 10}, "sweep": {"seed": range(8)}})
    monkeypatch.setenv("VG_MEMORY", "0.5")
    sweep = survey(experiment, Store("none", tmp_path), ExecutionOptions(jobs=2))
    assert max(map(len, sweep.stacks)) < 4
    again = sweep.without({next(iter(sweep.runs))})
    assert again.missing == 7
    assert max(map(len, again.stacks)) < 4


def test_ten_thousand_runs_are_planned_in_two_seconds():
    sweep = {"activation": ["relu", "tanh"], "depth": [2, 5], "seed": range(2500)}
    began = time.process_time()
    experiment = from_mapping({"question": "q", "sweep": sweep})
    runs = named(grid(experiment), experiment.recording)
    found = stacks(runs.values(), experiment.recording, 8)
    assert time.process_time() - began < 2
    assert len(runs) == sum(map(len, found)) == 10_000
