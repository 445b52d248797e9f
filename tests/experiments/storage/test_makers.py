"""Who made which runs: noted in every part, said where there are several, never lost when made anew."""

import json
from contextlib import nullcontext

import pytest
from threadpoolctl import threadpool_info

from experiments.cli.notebook import run
from experiments.storage import makers as storage_makers
from experiments.storage.makers import FACTS, UNKNOWN, maker, makers, makers_line
from experiments.storage.parts import MARK, facts_of
from experiments.storage.store import Store
from experiments.sweeps import blas, plan, runner
from experiments.sweeps.blas import maker_while_training, not_limited
from experiments.sweeps.plan import ExecutionOptions, survey

CONFIG = {"question": "?", "base": {"depth": 1, "width": 4, "steps": 2}, "probes": ["dw_norm"], "figures": []}


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def on(monkeypatch):
    """Be another maker from now on, in training and in planning."""

    def become(**facts):
        other = maker_while_training() | facts
        monkeypatch.setattr(runner, "maker_while_training", lambda: other)
        monkeypatch.setattr(plan, "maker_while_training", lambda: other)
        return other

    return become


def swept(seeds, **more):
    return run(CONFIG | {"sweep": {"seed": list(seeds)}}, name="made", **more)


def test_a_maker_is_named_by_all_that_the_last_bits_depend_on():
    by = maker(threadpool_info())
    assert tuple(by) == FACTS
    assert all(isinstance(value, str) and value for value in by.values())
    assert by["blas"].startswith("openblas")  # of the wheels that the tests run with
    assert by["threads"] == "1"  # as conftest has set it


def test_each_fact_makes_another_maker(on):
    facts, mine = ("numpy", "kernel", "cpu"), maker_while_training()
    swept(range(2))
    for count, fact in enumerate(facts, start=3):
        on(**{fact: "another"})
        swept(range(count))
    table = makers(Store("made"))
    assert list(table["runs"]) == [2, 1, 1, 1]
    noted = json.loads((Store("made").folder / "manifest.json").read_text())["makers"]
    assert {fact for by in noted for fact in facts if by[fact] == "another"} == set(facts)
    for fact in facts:  # each has made one run
        assert [*table[fact]].count("another") == 1
    names = [
        ", ".join(f"{f} {'another' if f == other else mine[f]}" for f in facts) for other in (None, *facts)
    ]
    assert f"2 of {names[0]}; 1 of " in makers_line(table)
    assert all(f"1 of {each}" in makers_line(table) for each in names[1:])


def test_one_maker_is_nothing_to_speak_of():
    swept(range(2))
    table = makers(Store("made"))
    assert table.to_dict("records") == [{"runs": 2} | maker_while_training()]
    assert makers_line(table) == ""


def test_a_choice_of_runs_has_its_makers_alone(on):
    first = swept(range(2))
    on(kernel="Nehalem")
    swept(range(3))
    assert list(makers(Store("made"), first.runs["run_id"])["runs"]) == [2]


def test_a_part_from_before_makers_were_noted_says_so(monkeypatch):
    monkeypatch.setattr(runner, "maker_while_training", dict)
    swept(range(1))
    table = makers(Store("made"))
    assert set(table[list(FACTS)].iloc[0]) == {UNKNOWN}


def test_only_mine_trains_anew_and_sets_the_others_aside_whole(on, results):
    before = swept(range(3))
    on(kernel="Nehalem")
    swept(range(5))
    parts = {path.name: path.read_bytes() for path in (results / "made/runs").glob("[!0]*.parquet")}
    mine = maker_while_training()
    on(kernel=mine["kernel"], cpu="this one")
    after = swept(range(4), only_mine=True)  # four of five: what is not asked for stays
    assert list(after.runs["run_id"])[:3] == list(before.runs["run_id"])
    table = makers(Store("made"))
    assert {row["cpu"]: row["runs"] for row in table.to_dict("records")} == {"this one": 4, mine["cpu"]: 1}
    aside = {path.name: path.read_bytes() for path in (results / "made/set_aside/runs").iterdir()}
    assert aside == parts
    for frame in ("steps", "layers"):
        assert {path.name for path in (results / "made/set_aside" / frame).iterdir()} == set(parts)
    experiment = survey_of(range(4))
    assert survey(experiment, Store("made"), ExecutionOptions(only_mine=True)).missing == 0


def survey_of(seeds):
    from experiments.pipeline import experiment_of

    return experiment_of(CONFIG | {"sweep": {"seed": list(seeds)}}, name="made")


def test_only_mine_takes_nothing_over_that_another_made(on):
    run(CONFIG | {"sweep": {"seed": [0, 1]}}, name="elsewhere")
    on(kernel="Nehalem")
    experiment = survey_of(range(2))
    assert survey(experiment, Store("made"), ExecutionOptions()).missing == 0
    assert survey(experiment, Store("made"), ExecutionOptions(only_mine=True)).missing == 2


def test_what_is_taken_over_keeps_its_maker(on):
    run(CONFIG | {"sweep": {"seed": [0, 1]}}, name="elsewhere")
    on(kernel="Nehalem")
    swept(range(3))
    assert sorted(makers(Store("made"))["kernel"]) == sorted([maker_while_training()["kernel"], "Nehalem"])


def test_the_maker_is_sealed_with_the_part(results):
    swept(range(1))
    path = next((results / "made/runs").glob("[!0]*.parquet"))
    raw = path.read_bytes()
    assert facts_of(raw)["maker"] == maker_while_training()
    assert MARK in raw
    path.write_bytes(
        raw.replace(b'"threads\\": \\"1', b'"threads\\": \\"8').replace(b'"threads": "1', b'"threads": "8')
    )
    assert path.read_bytes() != raw
    with pytest.warns(match="was changed after it was written"):
        assert len(Store("made").load().runs) == 0


# -- one thread ---------------------------------------------------------------------------------------------


class Pools:
    def __init__(self, *pools):
        self.pools = pools

    def limit(self, **what):
        return nullcontext()

    def info(self):
        names = ("user_api", "internal_api", "num_threads", "filepath")
        return [dict(zip(names, (*pool, "libs/one.so"), strict=True)) for pool in self.pools]


@pytest.mark.parametrize(
    ("pools", "said"),
    [
        ([("blas", "openblas", 1)], ""),
        ([("blas", "openblas", 1), ("openmp", "openmp", 8)], ""),
        ([], "no BLAS was found whose threads can be set"),
        ([("openmp", "openmp", 1)], "no BLAS was found"),
        ([("blas", "openblas", 2)], "openblas keeps 2 threads"),
        ([("blas", "openblas", 1), ("blas", "blis", None)], "blis keeps None threads"),
    ],
)
def test_what_cannot_be_limited_is_found(pools, said, monkeypatch):
    monkeypatch.setattr(blas, "blas", lambda: Pools(*pools))
    assert said in not_limited()
    assert bool(not_limited()) == bool(said)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_cannot_be_limited_is_said_before_the_start(threads, monkeypatch, capfd):
    monkeypatch.setattr(blas, "blas", lambda: Pools(("blas", "openblas", threads)))
    swept(range(1), quiet=False)
    out = capfd.readouterr().out
    told = out.find("cannot be limited to one thread here: openblas keeps 2 threads")
    assert (0 <= told < out.find("wrote")) == (threads == 2), out


def test_here_the_threads_can_be_limited():
    assert not_limited() == ""


def test_the_manifest_says_what_was_found(monkeypatch):
    found = storage_makers.versions() | {"numpy": "1.2.3"}
    monkeypatch.setattr(storage_makers, "versions", lambda: found)
    swept(range(1))
    facts = Store("made").manifest()
    assert facts["last_training"]["blas_threads_a_run"] == 1
    assert facts["makers"][0]["numpy"] == "1.2.3"
