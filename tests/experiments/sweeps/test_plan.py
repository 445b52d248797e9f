"""The plan: which runs there are, what they cost and who trains with whom."""

import time
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config import ConfigError, Experiment, Recording, Run, from_mapping
from experiments.storage.identity import named
from experiments.sweeps.forecast import OVERHEAD, PASS, cost
from experiments.sweeps.plan import ExecutionOptions, check_options, check_sizes, grid
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


# -- cost -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "times"), [("float32", 1), ("float64", 2)])
def test_a_run_more_in_a_stack_costs_its_matrix_products(dtype, times):
    recording = Recording((), watch=2, probe_set=100)
    products = times * 2 * 3 * (64 * 64 + 64 * 10)  # forward, and backward to the weights and the input
    for steps, looks in ((0, 1), (1000, 2)):
        run = Run(depth=1, width=64, batch=10, steps=steps, dtype=dtype)
        one_more = cost([run] * 2, recording) - cost([run], recording)
        assert one_more == pytest.approx(products * (steps * 10 + looks * PASS * 100))
        calls = 2 * OVERHEAD * (steps + looks)  # of two layers, in each step and look, whatever the stack
        assert cost([run], recording) == pytest.approx(one_more + calls)


def test_cost_grows_with_everything_that_takes_time():
    base = cost([Run()], RECORDING)
    for change in ({"depth": 3}, {"width": 65}, {"batch": 129}, {"steps": 301}):
        assert cost([replace(Run(), **change)], RECORDING) > base
    assert cost([Run(dtype="float32")], RECORDING) < base < cost([Run()] * 2, RECORDING) < 2 * base


def test_what_is_measured_costs_too():
    run = [Run(steps=0)]
    bare = cost(run, Recording(()))
    for more in (
        Recording(("dw_norm",)),
        Recording((), unit_probes=("unit_dead",)),
        Recording((), distributions=("a",)),
    ):
        assert bare < cost(run, more) < cost(run, Recording(("effective_rank",))) < 1.5 * bare


# -- sizes, and the time that planning takes ------------------------------------------------------------


def test_a_batch_larger_than_a_data_file_is_found_before_training(tmp_path):
    path = tmp_path / "small.csv"
    path.write_text("a,kind\n" + "1,0\n2,1\n" * 10)
    text = f"file(path={str(path)!r})"
    check_sizes([Run(dataset=text, batch=16), Run(batch=128)])
    with pytest.raises(ConfigError) as error:
        check_sizes([Run(dataset=text, batch=17), Run(dataset=text, batch=17, seed=1)])
    assert error.value.messages == [f"batch: 17 examples a batch, but {text} has 16 to train on"]


def test_ten_thousand_runs_are_planned_in_two_seconds():
    sweep = {"activation": ["relu", "tanh"], "depth": [2, 5], "seed": range(2500)}
    began = time.process_time()
    experiment = from_mapping({"question": "q", "sweep": sweep})
    runs = named(grid(experiment), experiment.recording)
    found = stacks(runs.values(), experiment.recording, 8)
    assert time.process_time() - began < 2
    assert len(runs) == sum(map(len, found)) == 10_000
