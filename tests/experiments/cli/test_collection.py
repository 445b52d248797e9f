"""Any folder of configs is a collection, and its report has a folder that nothing else has."""

from pathlib import Path

import pytest

from experiments.cli import collection
from experiments.cli.collection import collection_of, configs, reproduce
from experiments.config import ConfigError
from experiments.sweeps.plan import ExecutionOptions
from experiments.sweeps.progress import Silent

TINY = "question: Which?\nbase: {dataset: 'moons(n=200)', steps: 0, batch: 16, width: 4}\nfigures: []\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VG_RESULTS", str(tmp_path / "results"))
    for path in ("configs/mine/one.yaml", "configs/mine/two.yaml", "elsewhere/three.yaml", "same/same.yaml"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(TINY)
    return tmp_path


def test_a_folder_of_configs_or_any_other_is_a_collection(folder):
    assert [path.stem for path in configs("mine")] == ["one", "two"]
    assert [path.stem for path in configs("elsewhere")] == ["three"]
    assert [path.stem for path in configs(str(folder / "elsewhere"))] == ["three"]
    assert collection_of(str(folder / "elsewhere")).name == "elsewhere"
    assert collection_of("write_up").title == "A tutorial's claims about activation functions, measured"


def test_a_folder_without_configs_is_refused_with_those_that_have_some():
    with pytest.raises(ConfigError, match=r"--collection mien: .* Did you mean 'mine'\? In configs: .*mine"):
        configs("mien")


def test_a_report_never_takes_the_place_of_an_experiment():
    with pytest.raises(ConfigError, match="same is an experiment's; give the folder another name"):
        reproduce("same", ExecutionOptions(1), Silent())


def test_a_collection_with_overrides_is_reported_in_a_folder_of_its_own(monkeypatch):
    written = []
    monkeypatch.setattr(collection, "_write", lambda folder, *rest: written.append(folder.name))
    done = reproduce("elsewhere", ExecutionOptions(1), Silent(), overrides=["seed=[1,2]"])
    assert reproduce("elsewhere", ExecutionOptions(1), Silent()).failures == done.failures == []
    assert written == ["elsewhere+seed=1,2", "elsewhere"]
    assert {path.name for path in Path("results").iterdir()} == {"three+seed=1,2", "three"}
