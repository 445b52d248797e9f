"""Folders of results/: an override or another dict has one of its own, under a name that can be read."""

import pytest

from experiments.config import from_mapping
from experiments.storage import names
from experiments.storage.names import experiment_of

CONFIG = """
question: Which?
base: {dataset: 'moons(n=200)', lr: 0.1, batch: 16}
sweep: {activation: [sigmoid, relu], depth: [1, 3]}
zip: {width: [4, 8], steps: [10, 20]}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "tiny"),
        (["lr=0.1", "depth=[1, 3]"], "tiny"),  # as it stands there: nothing is changed
        (["depth=[2,4]", "lr=0.01"], "tiny+lr=0.01+depth=2,4"),
        (["lr=1e-2", "sweep.depth=[2, 4]"], "tiny+lr=0.01+depth=2,4"),  # another spelling and order
        (["lr=2.0"], "tiny+lr=2"),
        (["lr=1e-30"], "tiny+lr=1e-30"),
        (["clip=1"], "tiny+clip=1"),
        (["width=[4,9]"], "tiny+zip.width=4,9"),
        (["sweep.width=[4,9]"], "tiny+width=4,9"),
        (["activation=tanh"], "tiny+activation=tanh"),
        (["watch=[1,2]"], "tiny+watch=1,2"),
        (["lr=0.01", "name=mine"], "mine"),
    ],
)
def test_a_variant_is_named_by_what_it_changes(config, overrides, name):
    assert experiment_of(config, overrides).name == name


DIFFERENT = [
    ["depth=2"],
    ["depth=[2]"],
    ["depth=[2,4]"],
    ["depth=[4,2]"],
    ["activation=leaky_relu(slope=0.1)"],
    ["activation=leaky_relu(slope=0.2)"],
    ["activation=[leaky_relu(slope=0.1)]"],
    ["activation=['leaky_relu(slope=0.1)', tanh]"],
    ["question=Why?"],
    ["question=Why not?"],
    [f"seed={list(range(60))}"],
    [f"seed={list(range(61))}"],
    ["probes=[w_norm]", "figures=[]"],
    ["probes=[delta_norm]", "figures=[]"],
]


def test_different_variants_have_different_names_that_a_config_may_have_itself(config):
    found = [experiment_of(config, overrides).name for overrides in DIFFERENT]
    assert len(set(found)) == len(DIFFERENT)
    for name in found:
        assert from_mapping({"question": "?", "name": name}).name == name
        assert name.startswith("tiny+")
        assert len(name) < 80


def test_a_config_that_is_not_valid_without_its_overrides_has_a_name_too(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text("question: q\nbase: {activation: nonsense, dataset: moons}")
    assert experiment_of(path, ["activation=relu"]).name == "tiny+activation=relu"


def test_a_dict_is_named_by_its_contents_or_by_itself():
    asked = {"question": "?", "base": {"dataset": "moons"}}
    found = {
        experiment_of(asked).name,
        experiment_of({**asked, "question": "??"}).name,
        experiment_of(asked, ["depth=3"]).name,
    }
    assert len(found) == 3
    assert experiment_of(dict(reversed(asked.items()))).name in found
    assert all(name.startswith("notebook-") for name in found)
    assert experiment_of({**asked, "name": "mine"}).name == "mine"
    assert experiment_of({**asked, "name": "mine"}, ["depth=3"]).name == "mine+depth=3"
    assert experiment_of(asked, name="yours").name == "yours"
    assert experiment_of(from_mapping(asked)).name == experiment_of(asked).name
    assert experiment_of(from_mapping(asked, name="a"), ["depth=3"]).name == "a+depth=3"


def test_the_settings_are_all_that_may_differ():
    """What `of_variant` compares is the whole of a config but its name."""
    experiment = from_mapping({"question": "?", "base": {"dataset": "moons"}})
    assert "name" not in names._settings(experiment)
    assert {"question", "depth", "figures", "watch"} <= names._settings(experiment).keys()
