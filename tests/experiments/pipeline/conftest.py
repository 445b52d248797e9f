"""A working folder with small configs in it, and the results of two of them, made once."""

import shutil
from pathlib import Path

import pytest
from asking import CONFIG, DRAWN, shell

import experiments


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a config in it; results go beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VG_RESULTS", str(tmp_path / "results"))
    Path("tiny.yaml").write_text(CONFIG)
    Path("drawn.yaml").write_text(DRAWN)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The results of tiny.yaml, trained once for all tests that go on from there."""
    made = tmp_path_factory.mktemp("trained")
    (made / "tiny.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VG_RESULTS", str(made / "results"))
        experiments.run(made / "tiny.yaml")
    return made / "results"


@pytest.fixture
def tiny(trained, folder):
    """The records of tiny.yaml, whose results lie in the working folder."""
    shutil.copytree(trained, "results")
    return experiments.load("tiny")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """drawn.yaml asked at the shell, once: what the program said, in a folder with its results."""
    made = tmp_path_factory.mktemp("asked")
    (made / "drawn.yaml").write_text(DRAWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        patch.setenv("VG_RESULTS", str(made / "results"))
        return made, shell("drawn.yaml")


@pytest.fixture
def drawn(asked):
    """The results of drawn.yaml, copied into the working folder."""
    shutil.copytree(asked[0] / "results", "results")
