"""The bench compares like with like: alternatives compute what we do, and the harness times and writes right.

No speed is asserted: that is the bench's own business, on a machine that does nothing else.
"""

import os
import signal
import warnings
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.bench import agreement, alternatives, ours, short_page, studies
from experiments.bench import results as report
from experiments.bench.alternatives import LIMIT, PLAIN, SETTINGS, USUAL, Setting, installed
from experiments.bench.command import Asked, command
from experiments.bench.timing import Budget, Cell, Teams, interleaved
from experiments.bench.workers import EngineError, Team, environment, ties
from experiments.bench.workload import BETWEEN, SLOPES, Case, Problem, Shape

TINY = Case(Shape(2, 8), "float64", "tanh", runs=2, batch=16)
ALTERNATIVES = {s.function: s for s in SETTINGS.values() if not s.function.startswith("ours")}
CAN_RUN = [s for s in ALTERNATIVES.values() if not s.needs or find_spec(s.needs)]


# -- the same computation -------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", CAN_RUN, ids=lambda s: s.function)
@pytest.mark.parametrize(("dtype", "activation"), [*product(["float64"], SLOPES), ("float32", "tanh")])
def test_an_alternative_applies_our_gradient_and_keeps_our_records(setting, dtype, activation):
    if not setting.can(activation):
        assert setting.needs == "sklearn"
        return
    case = Case(agreement.CHECKED, dtype, activation, runs=2, batch=32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other libraries, about themselves
        theirs = agreement.first_step(setting, case)
    found = agreement.compare(setting.name, case, theirs, agreement.reference(case))
    assert found.agrees, found
    assert (theirs[1] is None) == (setting.needs == "sklearn")


def test_the_gradient_is_the_gradient():
    """Of the bench's way to find it: against our own tape's."""
    from small import gradients

    from mlp.network import create

    problem = Problem.of(TINY)
    first = next(problem.indices())
    net = create(TINY.shape.sizes, "tanh", seeds=problem.seeds, init=[TINY.init] * 2, dtype="float64")
    found, _ = agreement.reference(TINY)
    for r in range(2):
        expected = net.views(gradients(net, problem.data.x[first[r]], problem.data.y[first[r]]))
        for layer, dw in zip(expected, found, strict=True):
            np.testing.assert_allclose(dw[r], layer.w[r], rtol=1e-12, atol=1e-15)


def test_a_wrong_gradient_and_a_wrong_record_are_found_out():
    grads, records = agreement.reference(TINY)
    assert agreement.compare("us", TINY, (grads, records), (grads, records)).agrees
    bent = [g.copy() for g in grads]
    bent[1][0, 0, 0] += 1e-8 * abs(bent[1]).max()
    assert not agreement.compare("bent", TINY, (bent, records), (grads, records)).agrees
    for name, by in (("loss", 1e-8), ("dw_norm", 1e-8), ("dead", 0.01), ("saturated", 0.01)):
        wrong = replace(records, **{name: getattr(records, name) * (1 + by) + by})
        assert not agreement.compare(name, TINY, (grads, wrong), (grads, records)).agrees


@pytest.mark.parametrize("activation", SLOPES)
def test_trainings_stay_together(activation):
    """Thirty steps: data, batches and updates are the same, not the first gradient alone."""
    case = replace(TINY, activation=activation, lr=0.1)
    here, there = (SETTINGS[name].build(Problem.of(case)).run(30) for name in ("ours", "NumPy tutorial"))
    for name, values in vars(here).items():  # rounding grows in a training; it starts at 1e-16
        np.testing.assert_allclose(getattr(there, name), values, rtol=1e-9, atol=1e-12, err_msg=name)


def test_stacks_do_not_change_what_is_recorded():
    runs = replace(TINY, runs=3)
    together, apart = (ours.engine(Problem.of(runs), stack=n).run(3) for n in (3, 1))
    for name, values in vars(together).items():
        assert np.array_equal(getattr(apart, name), values), name


SCHEDULED = [s for s in CAN_RUN if s.function == "jax_scan:engine"] + [SETTINGS["ours"]]


@pytest.mark.parametrize("setting", SCHEDULED, ids=lambda s: s.function)
def test_what_is_recorded_does_not_change_the_training(setting):
    case = replace(TINY, dtype="float32")
    weights = []
    for records in ("every", "schedule"):
        engine = replace(setting, options={"records": records}).build(Problem.of(case))
        engine.run(2 * BETWEEN)
        weights.append(engine.weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)  # XLA compiles other sums


def test_the_limit_makes_the_products_of_a_step():
    call = ours._Products(Problem.of(TINY), slice(0, 2), TINY.batch)
    x, w = call.x[0].copy(), [p.w.copy() for p in call.net.layers]
    deltas = [dict(block) for block in call.delta]
    top = deltas[0][10].copy()
    call.step()
    np.testing.assert_allclose(call.x[1], x @ w[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(call.x[3], call.x[2] @ w[2], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(call.grads[2].w, call.x[2].mT @ top, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(call.delta[1][8], top @ w[2].mT, rtol=1e-12, atol=1e-12)
    assert all(g.w.any() for g in call.grads)


@pytest.mark.parametrize("text", ["10x64", "784-10x256", "1x1"])
def test_a_shape_is_read_as_it_is_written(text):
    assert str(Shape.parse(text)) == text


@pytest.mark.parametrize("text", ["10", "x64", "10x64x3", "-1x2", ""])
def test_what_is_no_shape_is_refused(text):
    with pytest.raises(ValueError, match="is not DEPTHxWIDTH"):
        Shape.parse(text)


# -- processes and timing -------------------------------------------------------------------------------


def test_children_are_not_tied_and_this_process_is_left_as_it_was(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    before = dict(os.environ)
    with environment({"OMP_NUM_THREADS": "1"}):
        assert "OPENBLAS_CORETYPE" not in os.environ
        assert os.environ["OMP_NUM_THREADS"] == "1"
    assert dict(os.environ) == before
    assert "OPENBLAS_CORETYPE" in ties()
    with environment({}, keep=True):
        assert os.environ["OPENBLAS_CORETYPE"] == "Haswell"


@pytest.fixture(scope="module")
def teams():
    """Processes that several tests ask; each starts once."""
    with Teams() as teams:
        yield teams


@pytest.fixture
def started(teams, monkeypatch):
    """The bench asks these processes."""
    monkeypatch.setattr("experiments.bench.command.Teams", lambda **options: nullcontext(teams))


def test_cells_take_turns_and_a_broken_engine_is_named_and_left_out(teams):
    said = []
    settings = [SETTINGS["ours"], SETTINGS["NumPy tutorial"], Setting("broken", "loops:no_such_thing")]
    cells = [Cell(setting, TINY) for setting in settings]
    rows = interleaved(cells, teams, Budget(rounds=2, seconds=0.005), said.append)
    assert [(row["round"], row["engine"]) for row in rows] == [
        (0, "ours"), (0, "NumPy tutorial"), (1, "ours"), (1, "NumPy tutorial"),
    ]  # fmt: skip
    for row in rows:
        assert row["us"] == pytest.approx(row["seconds"] / row["steps"] / 2 * 1e6)
        assert row["seconds"] > 0
    assert len(said) == 1
    assert "broken: left out" in said[0]
    assert "no_such_thing" in said[0]


def test_two_processes_train_runs_of_their_own_at_once():
    team = Team(SETTINGS["ours, 2 processes"])
    try:
        team.prepare(TINY)
        assert len({*team.processes, os.getpid()}) == 3
        assert team.time(2) > 0
        gradients, _ = team.check(TINY)
        assert len(gradients) == 3
        assert "OpenBLAS" in team.kernels() or team.kernels() == "unknown"
    finally:
        team.close()
    assert not any(Path(f"/proc/{process}").exists() for process in team.processes)
    with pytest.raises(RuntimeError, match="after shutdown"):
        team.time(1)


def test_a_process_that_dies_is_an_engine_that_failed():
    team = Team(SETTINGS["ours"])
    try:
        os.kill(team.processes[0], signal.SIGKILL)
        with pytest.raises(EngineError, match="the process ended"):
            team.prepare(TINY)
    finally:
        team.close()


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(alternatives, "find_spec", lambda name: None if name == "jax" else object())
    settings, missing = installed(SETTINGS.values())
    assert missing == ["jax"]
    assert {s.needs for s in SETTINGS.values()} - {s.needs for s in settings} == {"jax"}


def test_every_setting_of_several_cores_has_a_limit_of_as_many():
    for setting in SETTINGS.values():
        assert SETTINGS[setting.of_the_limit].cores == setting.cores


# -- the report -----------------------------------------------------------------------------------------


def rows(**times):
    """Rounds of one cell: engine=[µs a round]."""
    return [
        {"engine": engine, "shape": "2x8", "dtype": "float32", "activation": "relu", "runs": 2, "round": n,
         "us": us, "depth": 2, "preparing": 1.0}
        for engine, each in times.items() for n, us in enumerate(each)
    ]  # fmt: skip


def test_ratios_are_taken_within_a_round():
    """The machine is twice as slow in the second round; the ratios do not notice."""
    table = report.ratios(rows(**{PLAIN: [100, 200, 100], LIMIT: [10, 20, 10], "ours": [20, 40, 25]}))
    mine = table.set_index("engine").loc["ours"]
    assert (mine["us"], mine["us_low"], mine["us_high"]) == (25, 20, 40)
    assert (mine["x_plain"], mine["x_plain_low"], mine["x_plain_high"]) == (5, 4, 5)
    assert (mine["of_limit"], mine["of_limit_low"]) == (0.5, 0.4)
    alone = report.ratios(rows(ours=[20.0]))
    assert alone["x_plain"].isna().all()


def test_the_page_is_made_of_the_tables_and_keeps_what_was_written_by_hand(tmp_path):
    def starts(ms):
        report.write_csv(tmp_path, "start_up", [{"what": "python", "round": 0, "ms": ms}])

    starts(20.0)
    report.write_csv(tmp_path, "agreement", [{"dtype": "float64", "gradient": 2e-15}])
    short_page.write(tmp_path, "- machine one\n- commit a", ["start_up", "agreement"])
    path = tmp_path / "README.md"
    by_hand = "## What stands in the way\n\nThe tails of tanh.\n\n## Machine"
    path.write_text(path.read_text().replace("## Machine", by_hand))
    starts(30.0)
    short_page.write(tmp_path, "- machine one\n- commit b", ["start_up"])
    text = path.read_text()
    assert text.count("The tails of tanh.") == 1
    assert "`python` 30 ms." in text
    assert "20 ms" not in text
    assert "from ours, over its layer's largest: 2.0e-15 in float64." in text
    assert text.endswith("## Machine\n\n- machine one\n- start-up: commit b\n- agreement: commit a\n")


def test_the_page_says_how_our_step_stands_against_the_fastest_other():
    """Over plain 100/20 and 100/25: a median of 4.5; the fastest other takes 45 µs, ours 22.5."""
    table = report.ratios(rows(**{PLAIN: [100, 100], "ours": [20, 25], "NumPy tutorial": [45, 45]}))
    assert short_page.steps(table).splitlines()[-1] == (
        "| 2x8 | float32 | 22 | 2.00 | NumPy tutorial | 4.5 | – |"
    )


def test_the_figure_shows_every_engine_where_its_ratio_is():
    table = report.ratios(rows(**{PLAIN: [100, 100], "ours": [20, 25]}))
    axes = report.figure(table).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [PLAIN, "ours"]
    marks = [line for line in axes.lines if line.get_marker() == "^"]
    assert sorted(marks[0].get_xdata()) == [1, 4.5]


def test_the_whole_bench_on_a_tiny_shape(tmp_path):
    said = []
    asked = Asked(
        parts=("agreement", "steps", "schedule", "probes"), shapes=("2x8",), dtypes=("float64",),
        activations=("tanh",), engines=(LIMIT, "ours", "NumPy tutorial"), rounds=2, seconds=0.005, runs=2,
        out=tmp_path,
    )  # fmt: skip
    assert command(asked, said.append) == 0
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {
        "README.md", "measured.json", "agreement.csv", "steps.csv", "steps_rounds.csv", "probes.csv",
    }  # fmt: skip
    steps = pd.read_csv(tmp_path / "steps.csv").set_index("engine")
    assert set(steps.index) == {LIMIT, "ours", "NumPy tutorial"}
    assert steps.loc[LIMIT, "of_limit"] == 1
    assert pd.read_csv(tmp_path / "agreement.csv")["agrees"].all()
    assert "NumPy" in (tmp_path / "README.md").read_text()
    assert any("left out" in line for line in said) is False


def test_the_bench_runs_where_no_alternative_is_installed(tmp_path, started):
    said = []
    asked = Asked(
        parts=("agreement", "steps"), shapes=("1x4",), dtypes=("float64",), activations=("relu",),
        engines=(LIMIT, "ours"), rounds=1, seconds=0.005, runs=1, out=tmp_path,
    )  # fmt: skip
    assert command(asked, said.append) == 0
    assert any("No alternative" in text for text in said)
    assert "Our engine as `ours`" in (tmp_path / "README.md").read_text()


def test_an_engine_that_disagrees_is_not_timed(monkeypatch, started):
    monkeypatch.setitem(agreement.TOLERANCE, "float64", -1.0)  # nothing is as close as that
    said = []
    asked = Asked(
        parts=("agreement", "steps"), shapes=("1x4",), dtypes=("float64",), activations=("relu",),
        engines=("ours", "NumPy tutorial"), rounds=1, seconds=0.005, runs=1,
    )  # fmt: skip
    assert command(asked, said.append) == 1
    table = next(text for text in said if text.startswith("\nsteps"))
    assert "| ours |" in table
    assert "NumPy tutorial" not in table


def test_quick_asks_for_known_engines_and_less():
    quick = Asked().quick()
    assert set(quick.engines) <= set(USUAL) <= set(SETTINGS)
    assert quick.out is None
    assert set(studies.SCHEDULED) <= set(SETTINGS)
