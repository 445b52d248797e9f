"""Small stacks are stored together: fewer parts, the same records, and a kill costs only what was held."""

import pytest
from sweeps_in_small import same_but_for_time as same

import experiments
from experiments.cli.notebook import FailureWarning
from experiments.storage.store import Store
from experiments.sweeps import runner, sweep

ASKED = {
    "question": "Is it all there?",
    "base": {"dataset": "moons(n=200)", "width": 4, "steps": 3, "batch": 16},
    "sweep": {"depth": [1, 2, 3, 4, 5, 6], "seed": [0, 1]},
    "watch": 2,
    "figures": [],
}  # six stacks of two


@pytest.fixture(autouse=True)
def _small(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    monkeypatch.setattr(sweep, "MANY", 6)
    monkeypatch.setattr(sweep, "SMALL", 1e9)
    monkeypatch.setattr(sweep, "LONGEST_HELD", 1e9)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The records of a sweep whose stacks were stored one by one, and how many parts they made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VG_RESULTS", str(tmp_path_factory.mktemp("whole")))
        return experiments.run(ASKED, name="apart"), len(parts("apart"))


def parts(name):
    return {path.stem for path in (Store(name).folder / "runs").glob("[!0]*.parquet")} | {
        path.stem for path in (Store(name).folder / "runs").glob("0[!-]*.parquet")
    }


def test_they_are_one_part_with_the_same_records(whole):
    together = experiments.run(ASKED, name="together")
    apart, of_apart = whole
    assert (len(parts("together")), of_apart) == (1, 6)
    same(together, apart)


def test_nothing_is_held_longer_than_allowed_and_no_large_stack_at_all(monkeypatch):
    monkeypatch.setattr(sweep, "LONGEST_HELD", 0.0)
    experiments.run(ASKED, name="at_once")
    assert len(parts("at_once")) == 6
    monkeypatch.setattr(sweep, "LONGEST_HELD", 1e9)
    monkeypatch.setattr(sweep, "SMALL", 0.0)
    experiments.run(ASKED, name="large", fresh=True)
    assert len(parts("large")) == 6


def test_a_crash_among_them_is_a_part_of_its_own(monkeypatch):
    def some(runs, *given, **more):
        if runs[0].depth == 3:
            raise ZeroDivisionError
        return run_stack(runs, *given, **more)

    run_stack = runner.run_stack
    monkeypatch.setattr(runner, "run_stack", some)
    with pytest.warns(FailureWarning, match="crash"):
        records = experiments.run(ASKED, name="crashed")
    assert records.runs["status"].value_counts().to_dict() == {"ok": 10, "crashed": 2}
    assert len(parts("crashed")) == 3  # before, the crash, after


def test_a_kill_costs_what_was_held_and_the_next_call_trains_just_that(whole, monkeypatch):
    calls = []

    def until_the_fifth(runs, *given, **more):
        calls.append(runs[0].depth)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return run_stack(runs, *given, **more)

    run_stack = runner.run_stack
    monkeypatch.setattr(runner, "run_stack", until_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        experiments.run(ASKED, name="killed")
    assert not Store("killed").finished()  # all four were held
    again = experiments.run(ASKED, name="killed")
    assert calls == [6, 5, 4, 3, 2, 6, 5, 4, 3, 2, 1]
    same(again, whole[0])
