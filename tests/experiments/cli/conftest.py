"""An empty folder with one config in it, and the results of that config."""

from pathlib import Path

import pytest
from doors import CONFIG

import experiments


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Stand in an empty folder with one config in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("VG_RESULTS", "VG_DATA", "VG_MEMORY", "VG_DOWNLOAD"):
        monkeypatch.delenv(name, raising=False)
    Path("q.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture(scope="session")
def stored(tmp_path_factory):
    """The results folder of one finished experiment."""
    place = tmp_path_factory.mktemp("stored")
    (place / "q.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VG_RESULTS", str(place / "results"))
        experiments.run(place / "q.yaml")
    return place / "results"
