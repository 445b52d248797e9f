"""Which numbers are stored under which name, and the steps at which a run is measured."""

from dataclasses import fields, make_dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config import Recording, Run, from_mapping
from experiments.storage.identity import SCHEMA, _measured, costly_steps, named, run_id, watched_steps
from experiments.sweeps.plan import grid
from mlp.probes import DEFAULT_PROBES

RECORDING = Recording(("delta_norm", "dw_norm"))
OTHER = {  # for every field of Run another value than its default
    "activation": "tanh", "depth": 3, "width": 32, "dataset": "xor", "init": "he_normal", "bias": "normal",
    "loss": "mean_squared_error", "optimiser": "adam", "lr": 0.1, "schedule": "cosine", "batch": 64,
    "steps": 10, "norm": "layer", "residual": 1.0, "clip": 1.0, "weight_decay": 0.01,
    "layer_lr": 2.0, "dropout": 0.1, "dtype": "float32", "seed": 1,
}  # fmt: skip


# -- names ----------------------------------------------------------------------------------------------


def test_the_name_of_a_run_is_this_very_text():
    # If this fails, stored results no longer answer to their names. Where the numbers of a run have changed,
    # raise SCHEMA and write down the new names; where they have not, the change is a mistake.
    assert SCHEMA == 3
    assert run_id(Run(), Recording(("delta_norm",))) == "e0ba9efe4b38"
    other = Run(activation="leaky_relu(slope=0.1)", depth=5, lr=0.1, seed=3)
    assert run_id(other, RECORDING) == "2959bef919cf"


@pytest.mark.parametrize("name", [f.name for f in fields(Run)])
def test_every_field_is_part_of_the_name(name):
    assert OTHER[name] != getattr(Run(), name)
    assert run_id(replace(Run(), **{name: OTHER[name]}), RECORDING) != run_id(Run(), RECORDING)


def test_a_new_field_with_a_default_leaves_all_names_as_they_are(monkeypatch):
    wider = make_dataclass("Wider", [("moon", str, "full")], bases=(Run,), frozen=True)
    before = run_id(Run(depth=3), RECORDING)
    monkeypatch.setattr("experiments.storage.identity._DEFAULT", wider())
    assert run_id(wider(depth=3), RECORDING) == before
    assert run_id(wider(depth=3, moon="new"), RECORDING) != before


def test_a_new_schema_renames_every_run(monkeypatch):
    before = run_id(Run(), RECORDING)
    monkeypatch.setattr("experiments.storage.identity.SCHEMA", SCHEMA + 1)
    assert run_id(Run(), RECORDING) != before


@pytest.mark.parametrize(
    "change",
    [
        {"probes": ("dw_norm",)},
        {"unit_probes": ("unit_dead",)},
        {"watch": 5},
        {"distributions": ("a",)},
        {"watch": (0, 7)},
        {"trace": "batch"},
        {"probe_set": 100},
    ],
)
def test_what_is_recorded_is_part_of_the_name(change):
    assert run_id(Run(), replace(RECORDING, **change)) != run_id(Run(), RECORDING)


@pytest.mark.parametrize(
    ("run", "one", "other"),
    [
        (Run(), {"probes": ("dw_norm", "delta_norm")}, {}),  # the order of the columns
        (Run(steps=4), {"watch": 5}, {"watch": 100}),  # all five steps either way
        (Run(steps=4), {"watch": (1, 3)}, {"watch": (0, 1, 3, 4, 9)}),
        (Run(), {"trace": "batch"}, {"trace": "batch", "probe_set": 7}),  # which is then not used
    ],
)
def test_what_makes_no_difference_to_the_numbers_is_no_part_of_the_name(run, one, other):
    assert run_id(run, replace(RECORDING, **one)) == run_id(run, replace(RECORDING, **other))


def test_when_costly_probes_are_measured_is_part_of_the_name_where_there_are_any():
    costly = Recording(("jacobian_mean(examples=2)",))
    assert run_id(Run(), replace(costly, watch_costly=5)) != run_id(Run(), costly)
    assert run_id(Run(), replace(RECORDING, watch_costly=5)) == run_id(Run(), RECORDING)
    assert run_id(Run(steps=2), replace(costly, watch_costly=5)) == run_id(Run(steps=2), costly)


@pytest.mark.parametrize(
    ("watch", "costly", "steps", "expected"),
    [
        ((1, 2, 3, 4, 5), 3, 8, (0, 3, 8)),
        ((1, 2, 3, 4, 5), 2, 8, (0, 8)),
        ((1, 2, 3), 9, 4, (0, 1, 2, 3, 4)),
        (20, 3, 0, (0,)),
        (20, 20, 300, watched_steps(20, 300)),
    ],
)
def test_costly_steps_are_some_of_the_watched_with_the_first_and_the_last(watch, costly, steps, expected):
    assert costly_steps(Recording((), watch=watch, watch_costly=costly), steps) == expected


def test_what_is_made_of_the_numbers_is_no_part_of_the_name():
    one = from_mapping({"question": "q", "figures": []}, name="one")
    other = from_mapping({"question": "Another?", "sweep": {"depth": [2]}}, name="other")
    assert list(named(grid(one), one.recording)) == list(named(grid(other), other.recording))


def test_a_data_file_is_known_by_its_contents_and_not_its_path(tmp_path):
    content = "a,b,kind\n" + "1,2,x\n3,4,y\n" * 10
    for name in ("one.csv", "copy.csv", "edited.csv"):
        (tmp_path / name).write_text(content.replace("3", "5") if name == "edited.csv" else content)

    def id_of(name, options=""):
        return run_id(Run(dataset=f"file(path={str(tmp_path / name)!r}{options})"), RECORDING)

    assert id_of("one.csv") == id_of("copy.csv") != id_of("edited.csv")
    assert id_of("one.csv", ", target=a") != id_of("one.csv")


def test_many_runs_are_named_as_each_alone():
    runs = grid(from_mapping({"question": "q", "sweep": {"activation": ["relu", "tanh"], "seed": [0, 1, 2]}}))
    assert named(runs, RECORDING) == {run_id(run, RECORDING): run for run in runs}
    assert len(named(runs, RECORDING)) == 6


# The ids of a default recording, of one on the batch and of a clipped run.
KNOWN = {"default": "57cd38baa2b6", "batch": "d935658ac07f", "clip": "3d9d16ee08e7"}


def test_the_names_of_marked_runs_are_these_very_texts():
    whole = Recording(DEFAULT_PROBES)
    found = {
        "default": run_id(Run(), whole),
        "batch": run_id(Run(), replace(whole, trace="batch")),
        "clip": run_id(Run(clip=1.0), whole),
    }
    assert found == KNOWN


def test_a_probe_may_join_the_default_set_and_no_stored_run_is_renamed(monkeypatch):
    before = run_id(Run(), Recording(DEFAULT_PROBES))
    wider = (*DEFAULT_PROBES, "effective_rank")
    monkeypatch.setattr("experiments.storage.identity.DEFAULT_PROBES", wider)
    _measured.cache_clear()
    assert run_id(Run(), Recording(wider)) == before
    _measured.cache_clear()


def test_a_new_version_of_the_default_set_renames_what_measures_it_and_nothing_else(monkeypatch):
    named_probes = run_id(Run(), RECORDING)
    before = run_id(Run(), Recording(DEFAULT_PROBES))
    monkeypatch.setattr("experiments.storage.identity.DEFAULT_SET", ("version 2",))
    _measured.cache_clear()
    assert run_id(Run(), Recording(DEFAULT_PROBES)) != before
    assert run_id(Run(), RECORDING) == named_probes
    _measured.cache_clear()


# -- watched steps --------------------------------------------------------------------------------------


def test_watched_steps_are_spaced_by_their_logarithm():
    assert watched_steps(8, 1000) == (0, 1, 3, 10, 32, 101, 318, 1000)


@given(st.integers(2, 200), st.integers(0, 5000))
def test_as_many_steps_as_asked_for_first_and_last_included(watch, steps):
    found = watched_steps(watch, steps)
    assert len(found) == min(watch, steps + 1)
    assert (found[0], found[-1]) == (0, steps)
    assert list(found) == sorted(set(found))


@given(st.integers(2, 40), st.integers(50, 5000))
def test_gaps_never_shrink(watch, steps):
    gaps = np.diff(watched_steps(watch, steps))
    assert (np.diff(gaps) >= -1).all()  # rounding may take one step from a gap and give it to the one before


def test_named_steps_are_watched_with_the_ends():
    assert watched_steps((5, 7, 400), 300) == (0, 5, 7, 300)
