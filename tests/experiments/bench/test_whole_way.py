"""The part `answer` of the bench: everyone's program measures what ours does, and the whole way is timed."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.bench import answer_task, whole_way
from experiments.bench.answer_task import LAYERS, STEPS, Digits, Group, Task
from experiments.bench.workload import TEXTS, Case, Problem, Shape
from mlp.network import create
from mlp.probes import PROBES
from mlp.train import train

ROOT = Path(__file__).resolve().parents[3]
CAN_RUN = [module for needs, module in whole_way.ENTRANTS.values() if not needs or find_spec(needs)]
TASK = Task(("tanh",), (3,), (0, 1), 8, 6, 16, 0.1, "float64", (0, 1, 4, 6), 100)


def group(activation):
    """The networks of `TASK` with our own first weights and batches."""
    case = Case(Shape(3, 8), "float64", activation, runs=2, batch=16, lr=0.1)
    problem = Problem.of(case)
    batches = np.stack(list(islice(problem.indices(), TASK.steps)), axis=1)
    data = problem.data
    given = Digits(data.x, data.y, data.x_test, data.y_test)
    return problem, Group(TASK, activation, 3, given, problem.weights, batches)


def our_looks(problem):
    case = problem.case
    net = create(case.shape.sizes, case.text, seeds=(0, 1), init=[case.init] * 2, dtype="float64")
    for snap in train(
        net, problem.data, seeds=(0, 1), lr=[0.1, 0.1], steps=6, batch=16, watch=TASK.watched, probe_set=100
    ):
        layers = np.full((len(LAYERS), 2, 4), np.nan)
        for trace in snap.layers:
            for place, name in enumerate(LAYERS):
                layers[place, trace.runs, trace.layer - 1] = PROBES[name](trace)
        yield snap.step, [getattr(snap, name) for name in STEPS], layers


@pytest.mark.filterwarnings("ignore")  # of other libraries, about themselves
@pytest.mark.parametrize("module", CAN_RUN)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu"])
def test_a_program_measures_what_ours_does_from_the_same_weights_and_batches(module, activation):
    """To 1e-9: six updates of networks this small leave rounding at 1e-13."""
    problem, asked = group(activation)
    entrant = import_module(f"experiments.bench.{module}").train
    for look, (step, steps, layers) in zip(entrant(asked), our_looks(problem), strict=True):
        assert look.step == step
        for name, expected in zip(STEPS, steps, strict=True):
            np.testing.assert_allclose(look.steps[name], expected, rtol=1e-9, err_msg=name)
        for name, expected in zip(LAYERS, layers, strict=True):
            np.testing.assert_allclose(look.layers[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_wrong_program_would_be_seen():
    problem, asked = group("tanh")
    asked.weights[1][:] *= 1.001
    entrant = import_module("experiments.bench.answer_numpy").train
    look, (_, _, layers) = next(iter(entrant(asked))), next(our_looks(problem))
    assert not np.allclose(look.layers["delta_norm"], layers[LAYERS.index("delta_norm")], rtol=1e-5)


@pytest.mark.slow
def test_a_program_writes_both_tables_and_a_figure(tmp_path):
    (tmp_path / "task.json").write_text(json.dumps(asdict(TASK)))
    words = [sys.executable, "-m", "experiments.bench.answer_numpy", tmp_path / "task.json", tmp_path / "out"]
    subprocess.run(words, cwd=ROOT, check=True)
    layers = pd.read_parquet(tmp_path / "out" / "layers.parquet")
    assert list(layers) == ["activation", "depth", "step", "seed", "layer", *LAYERS]
    assert len(layers) == 2 * 4 * 4  # seeds, watched steps, layers
    assert len(pd.read_parquet(tmp_path / "out" / "steps.parquet")) == 2 * 4
    assert (tmp_path / "out" / "gradient_by_layer.png").stat().st_size


def test_the_tables_have_a_row_for_each_run_step_and_layer():
    _, asked = group("tanh")
    entrant = import_module("experiments.bench.answer_numpy").train
    found = answer_task.tables(TASK, entrant, [asked])
    assert {len(column) for column in found["layers"].values()} == {2 * 4 * 4}
    assert found["layers"]["layer"][:5].tolist() == [1, 2, 3, 4, 1]
    assert found["layers"]["seed"][:8].tolist() == [0] * 4 + [1] * 4
    assert {len(column) for column in found["steps"].values()} == {2 * 4}


def test_a_task_is_what_the_question_asks():
    found = {name: whole_way.task_of(asked) for name, asked in whole_way.questions().items()}
    assert {name: task.runs for name, task in found.items()} == {"deep_sigmoid": 120, "grid of 100": 100}
    task = found["deep_sigmoid"]
    assert (task.probe_set, task.steps, task.dtype) == (512, 300, "float64")
    assert task.watched[0] == 0
    assert task.watched[-1] == 300
    assert set(task.activations) <= {*TEXTS, "sigmoid", "tanh", "relu"}


def test_who_is_not_installed_is_named_and_the_others_are_timed(monkeypatch):
    monkeypatch.setattr(whole_way, "find_spec", lambda name: None)
    monkeypatch.setattr(whole_way, "_one", lambda entrant, *_: {"seconds": 2.0, "ended": 3.0, "cpu": 4.0})
    rows, missing = whole_way.measure(whole_way.Asked(rounds=2, small=True), lambda line: None)
    assert missing == ["jax", "torch"]
    ours = {whole_way.LIMIT, whole_way.OURS, whole_way.ALL}
    assert {row["entrant"] for row in rows} == {*ours, "NumPy tutorial"}
    table = whole_way.table(rows)
    assert table["over_ours"].tolist() == [1.0] * 4
    assert table["ended"].tolist() == [3.0] * 4
    picture = whole_way.figure(table)
    assert picture.finding == "small: ours answers in 2 s; NumPy tutorial 1.0 times as long"
    assert [label.get_text() for label in picture.axes[0].get_yticklabels()] == table["entrant"].tolist()


def test_the_time_of_a_program_is_that_of_its_last_file(tmp_path):
    first, last = tmp_path / "a", tmp_path / "b"
    for path, when in ((first, 102.0), (last, 105.5)):
        path.touch()
        os.utime(path, (when, when))
    assert whole_way.until(100.0, 107.0, [last, first]) == {"seconds": 5.5, "ended": 7.0}
