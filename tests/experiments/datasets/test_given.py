"""Data from Python: arrays, frames and scikit-learn's Bunches are data sets by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import experiments
from experiments.config import ConfigError
from experiments.datasets import DATASETS, DataError, catalogue, decisions, fingerprint, give, load
from mlp.registry import RegistryError

X = np.array([[i * i % 7 + 0.5, i * 3 % 5 + 0.25] for i in range(30)])
Y = np.arange(30) % 3
WORDS = np.array(["ant", "bee", "cat"])[Y]


@pytest.fixture(autouse=True)
def _tables():
    kept = set(DATASETS)
    yield
    for name in set(DATASETS) - kept:
        del DATASETS[name]
    catalogue._load.cache_clear()
    catalogue._fingerprint.cache_clear()


FORMS = {
    "arrays": (X, Y),
    "lists": (X.tolist(), Y.tolist()),
    "float labels": [X, Y.astype(float)],
    "words": (X, WORDS),
    "objects": (X, WORDS.astype(object)),
    "one-hot": (X, np.eye(3)[Y]),
    "images": (X.reshape(30, 2, 1), Y),
    "frame": pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "species": WORDS}, index=range(100, 130)),
    "frame and series": (pd.DataFrame(X, columns=["a", "b"], index=range(100, 130)), pd.Series(WORDS)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_examples(form):
    give("mine", FORMS[form])
    data = load("mine(scale=none, test=0.5)")
    assert (len(data.x), len(data.x_test), data.classes) == (15, 15, 3)
    rows = sorted(zip(*np.concatenate([data.x, data.x_test]).T, [*data.y, *data.y_test], strict=True))
    assert rows == sorted(zip(*X.T, Y, strict=True))
    assert any("33.3%" in sentence for sentence in decisions("mine"))


def test_what_scikit_learn_loads():
    from sklearn.datasets import load_wine

    give("wine", load_wine())
    data = load("wine")
    assert (data.x.shape[1], data.classes, len(data.x) + len(data.x_test)) == (13, 3, 178)


def test_other_contents_are_another_data_set():
    give("mine", (X, Y))
    before, data = fingerprint("mine"), load("mine")
    give("mine", (X, Y))
    assert fingerprint("mine") == before
    other = X.copy()
    other[3, 1] += 1e-12
    give("mine", (other, Y))
    assert fingerprint("mine") != before
    assert load("mine").x.tobytes() != data.x.tobytes()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (3, "data 'mine': int is none of what can be given: (x, y), a pandas frame, or what a loader"),
        ((X, Y[:5]), "data 'mine': inputs (30, 2), labels (5,); (n, d) and (n,) are needed"),
        ((X, X[:, 0]), "data 'mine': y[0]: the label 0.5 is not a whole number; task='regression' learns it"),
        ((WORDS[:, None], Y), "data 'mine': holds <U3 and int64, not numbers; a frame may have words"),
        ((X, np.zeros(30, int)), "data 'mine': every example has the label 0; two or more are needed"),
        (
            pd.DataFrame({"a": Y, "b": Y % 2, "c": X[:, 0]}),
            "data 'mine': which column holds the labels? Say target=, as in target='a'; these may: 'a' (3",
        ),
    ],
)
def test_what_is_wrong_is_said(data, said):
    def use() -> None:
        give("mine", data)
        load("mine")

    with pytest.raises(DataError) as error:
        use()
    assert said in str(error.value)


def test_a_name_of_this_project_is_not_replaced():
    with pytest.raises(RegistryError, match="'digits' is this project's own"):
        give("digits", (X, Y))


def test_a_notebook_trains_on_its_own_arrays_and_on_edited_ones_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    asked = {
        "question": "?", "name": "given", "figures": [],
        "base": {"dataset": "mine", "depth": 1, "width": 4, "steps": 2, "batch": 8},
    }  # fmt: skip
    first = experiments.run(asked, data={"mine": (X, Y)})
    again = experiments.run(asked, data={"mine": (X, Y)})
    other = experiments.run(asked, data={"mine": (X, 2 - Y)})
    assert list(first.runs["run_id"]) == list(again.runs["run_id"]) != list(other.runs["run_id"])
    assert set(other.runs["status"]) == {"ok"}
    with pytest.raises(ConfigError, match="data: no run uses yours; the runs use mine; say base: {dataset"):
        experiments.run(asked, data={"yours": (X, Y)})


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA], ids=str)
@pytest.mark.parametrize("labels", [WORDS.astype(object), Y.astype(object)], ids=["words", "numbers"])
def test_an_example_without_a_label_is_left_out_and_gives_no_class(labels, gap):
    labels = labels.copy()
    labels[[3, 7]] = gap  # of the classes 0 and 1
    give("mine", (X, labels))
    data = load("mine(scale=none)")
    rows = sorted(map(tuple, np.concatenate([data.x, data.x_test])))
    assert rows == sorted(map(tuple, np.delete(X, [3, 7], axis=0)))
    assert data.classes == 3
    assert "left out for want of a label: 2 rows" in data.notes


def test_a_number_that_lacks_is_no_target():
    target = X[:, 0] * 1.5
    give("mine", (X, np.where(Y == 0, np.nan, target)))
    data = load("mine(scale=none, task=regression)")
    assert len(data.y) + len(data.y_test) == 20
    assert "left out for want of a label: 10 rows" in data.notes


def test_an_input_that_is_called_target_stays_an_input():
    frame = pd.DataFrame({"a": X[:, 0], "target": X[:, 1], "target_": X[:, 0]})
    give("mine", (frame, Y))
    data = load("mine(scale=none)")
    rows = sorted(map(tuple, np.concatenate([data.x, data.x_test])))
    assert rows == sorted(map(tuple, X[:, [0, 1, 0]]))
