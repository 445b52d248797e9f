"""At every command's door: files that are none, folders that cannot be written, a strange environment."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doors import (
    CONFIG,
    LONG,
    NO_CONFIGS,
    NO_FILES,
    ONE_EACH,
    a_circle,
    a_pipe,
    binary,
    empty,
    named,
    refused,
)

from experiments.cli.entry import main

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("make", NO_CONFIGS)
def test_a_config_that_is_none_is_refused(capfd, make):
    Path("q.yaml").unlink()
    make(Path("q.yaml"))
    assert "q.yaml" in refused(capfd, "run", "q.yaml")
    assert "q.yaml" in refused(capfd, "diagnose", "q.yaml")
    assert "q.yaml" in refused(capfd, "reproduce", "--collection", ".")


@pytest.mark.parametrize("make", [*NO_FILES, empty, binary])
def test_a_manifest_that_is_none_is_refused(capfd, make):
    Path("results/x/runs").mkdir(parents=True)
    make(Path("results/x/manifest.json"))
    for name in ("plot", "verify", "diagnose"):
        assert main(name, ["x"]) == 2
        assert "results/x" in capfd.readouterr().err
    assert "results/x" in refused(capfd, "run", "--from", "results/x/manifest.json")


@pytest.mark.parametrize("words", [["run", "q.yaml"], ["plot", "x"], ["verify", "x"], ["diagnose", "x"],
                                   ["diagnose", "q.yaml"], ["reproduce", "--collection", "."]])  # fmt: skip
@pytest.mark.parametrize("make", [empty, a_pipe, a_circle])
def test_a_results_path_that_is_no_folder_is_refused(capfd, monkeypatch, words, make):
    make(Path("place"))
    monkeypatch.setenv("VG_RESULTS", "place")
    assert "place" in refused(capfd, *words)


@pytest.mark.parametrize("name", ["bench", "coverage"])
@pytest.mark.parametrize("place", ["q.yaml", "q.yaml/in", "/proc/nothing", "/dev/null", LONG])
def test_a_folder_that_cannot_be_written_is_refused_before_the_work(capfd, name, place):
    line = refused(capfd, name, *ONE_EACH[name], "--out", place)
    assert line.startswith(place[:80])
    assert "cannot write" in line


ENVIRONMENTS = [("VG_MEMORY", text) for text in ("nan", "-1", "0", "lots", LONG, "inf", "1e-9")]
ENVIRONMENTS += [("VG_RESULTS", text) for text in (LONG, "/proc/nothing", "/dev/null", "q.yaml")]
ENVIRONMENTS += [("SOURCE_DATE_EPOCH", text) for text in ("", "x", "1e3", "9" * 20, LONG)]
ENVIRONMENTS += [("VG_DATA", text) for text in ("q.yaml", "/nowhere", LONG, "\n", "/dev/zero")]


@pytest.mark.parametrize(("variable", "text"), ENVIRONMENTS, ids=named)
def test_nonsense_in_the_environment_is_refused(capfd, monkeypatch, variable, text, tmp_path):
    monkeypatch.setenv(variable, text)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # where no published data set lies
    if variable == "VG_DATA":
        Path("q.yaml").write_text(CONFIG.replace("'moons(n=60)'", "mnist"))
    line = refused(capfd, "run", "q.yaml")
    assert (text[:80] if variable == "VG_RESULTS" else variable) in line


DASK_SETTINGS = [("DASK_CONFIG", "q.csv"), ("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "x")]


@pytest.mark.slow
@pytest.mark.parametrize(("variable", "text"), DASK_SETTINGS)
def test_settings_that_dask_cannot_read_are_a_line(variable, text):
    pytest.importorskip("distributed")
    Path("q.csv").write_text("a,b")
    words = [sys.executable, str(ROOT / "scripts" / "run.py"), "q.yaml", "--dask", "local:1"]
    done = subprocess.run(
        words, env=os.environ | {variable: text}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("--dask")
    assert "Dask cannot use its own settings" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path("results/q/runs").exists()


# Parts that are none ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", NO_FILES)
@pytest.mark.parametrize("frame", ["runs", "layers"])
def test_what_stands_in_the_place_of_a_part_is_set_aside_and_trained_again(stored, capfd, frame, make):
    """It is neither waited for nor read without end; what only reads says which part it leaves out."""
    shutil.copytree(stored, "results")
    [part] = [path for path in Path("results/q", frame).glob("*.parquet") if path.stem != "0-columns"]
    part.unlink()
    make(part)
    assert main("plot", ["q", "gradient_by_layer"]) == 2
    out, lines = capfd.readouterr()
    assert "Traceback" not in lines
    assert main("run", ["q.yaml"]) == 0
    out, lines = capfd.readouterr()
    assert "set aside" in out
    assert "1 run, none stored" in out
    assert lines == ""


def test_a_part_that_may_not_be_read_is_said(stored, capfd, monkeypatch):
    shutil.copytree(stored, "results")

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    for words in (["plot", "q"], ["verify", "q"], ["diagnose", "q"]):
        assert "permission denied" in refused(capfd, *words)
