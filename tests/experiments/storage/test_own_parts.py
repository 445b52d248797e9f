"""A part that a user has registered in Python is known by what it computes."""

from functools import partial

import numpy as np
import pytest

import experiments
from experiments.config import Recording, Run
from experiments.storage import own_parts
from experiments.storage.identity import named
from mlp.activations import ACTIVATIONS, Activation
from mlp.probes import PROBES

LINE = '''
FACTOR = {factor}
TABLE = {table}

def by(z):
    """{doc}"""
    return {helper} * z  # {doc}

@ACTIVATIONS
def line_of_mine(slope: float = {slope}) -> Activation:
    """{doc}"""
    inside = {inside}
    return Activation(f=lambda z: FACTOR * by(z), df=lambda z, a: np.full_like(z, slope), max_slope=9)
'''
USUAL = {"factor": 1.0, "table": "[1, 2]", "helper": 2, "slope": 1.0, "inside": 3, "doc": "A line."}


@pytest.fixture(autouse=True)
def _tables():
    """Leave the tables as they were."""
    kept = dict(ACTIVATIONS), dict(PROBES)
    yield
    for table, before in zip((ACTIVATIONS, PROBES), kept, strict=True):
        for name in set(table) - set(before):
            del table[name]
    own_parts.look_again()


def register(**changes):
    """As a user's script or cell does; run again, it is an edit."""
    exec(LINE.format(**USUAL | changes), {"ACTIVATIONS": ACTIVATIONS, "Activation": Activation, "np": np})


def name_of(activation="line_of_mine", probes=("w_norm",)):
    return next(iter(named([Run(activation=activation, dataset="moons")], Recording(probes))))


@pytest.mark.parametrize("change", [{"factor": 2.0}, {"helper": 3}, {"slope": 0.5}, {"inside": 4}])
def test_an_edit_of_the_part_or_of_what_it_uses_is_another_run(change):
    register()
    before = name_of()
    register(**change)
    assert name_of() != before
    register()
    assert name_of() == before


def test_what_changes_no_number_is_the_same_run():
    register()
    before = name_of()
    register(doc="Another text.", table="[3]")  # which no function reads
    assert name_of() == before


def test_parts_of_this_project_are_known_by_name_alone():
    before = name_of("relu")
    assert own_parts.digests() == {}
    register()
    assert name_of("relu") == before
    assert list(own_parts.digests()) == ["line_of_mine"]


def test_a_probe_of_the_users_counts_where_it_is_measured():
    def probe_of(power):
        def my_probe(t):
            return (t.w**power).sum(axis=(1, 2)).astype(np.float64)

        return my_probe

    before = name_of("relu")
    PROBES(probe_of(2))
    squares = name_of("relu", ("my_probe",))
    PROBES(probe_of(3))
    assert name_of("relu", ("my_probe",)) != squares
    assert name_of("relu") == before


class Scaled:
    """A callable object."""

    def __init__(self, by):
        self.by = by

    def __call__(self, t):
        return t * self.by


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (partial(max, 1), partial(max, 2)),
        (Scaled(1), Scaled(2)),
        (Scaled(1).__call__, Scaled(2).__call__),
        (partial(Scaled, np.arange(3)), partial(Scaled, np.arange(3.0))),
        (lambda t: np.tanh(t), lambda t: np.arctan(t)),
        (lambda t: t in {"a", "b"}, lambda t: t in {"a", "c"}),
        (lambda t, *, s=1: t, lambda t, *, s=2: t),
    ],
)
def test_every_kind_of_callable_is_told_apart(one, other):
    assert own_parts.digest(one) == own_parts.digest(one)
    assert own_parts.digest(one) != own_parts.digest(other)


def test_a_ring_of_functions_has_an_end():
    def one(n):
        return other(n - 1) if n else 0

    def other(n):
        return one(n)

    assert len(own_parts.digest(one)) == 12


def test_an_edited_part_is_trained_anew_and_the_plan_says_who_trains(tmp_path, monkeypatch, capfd):
    """And workers are sent it, as it is now."""
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    asked = {
        "question": "?", "name": "mine", "figures": [], "sweep": {"depth": [1, 2]},
        "base": {"activation": "line_of_mine", "dataset": "moons(n=200)", "steps": 2, "batch": 8},
    }  # fmt: skip
    register()
    before = experiments.run(asked, jobs=2, quiet=False)
    assert "in this process, for" not in capfd.readouterr().out
    register(helper=4)
    after = experiments.run(asked, jobs=2)
    assert set(after.runs["status"]) == {"ok"}
    assert (after.steps["loss"] != before.steps["loss"]).any()
    assert not set(after.runs["run_id"]) & set(before.runs["run_id"])
