"""The package: what pyproject.toml promises is there, from any folder, and what hides it is said."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from experiments import config
from experiments.cli import collection, vanishing_gradients
from experiments.cli.citation import bibtex, citation_file
from experiments.cli.command_lines import Parser
from experiments.cli.entry import COMMANDS, main
from experiments.config import ConfigError
from experiments.config.shipped import shipped_configs

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]


def test_what_is_moved_into_the_wheel_is_there():
    assert all((ROOT / source).exists() for source in WHEEL["force-include"])
    assert PROJECT["project"]["scripts"] == {"vanishing-gradients": "vanishing_gradients:main"}
    moved = {target: source for source, target in WHEEL["force-include"].items()}
    assert moved["vanishing_gradients.py"] == "experiments/cli/vanishing_gradients.py"
    assert moved["experiments/shipped_configs"] == "configs"


def test_every_requirement_has_a_floor_and_no_ceiling():
    extras = PROJECT["project"]["optional-dependencies"].values()
    for text in [*PROJECT["project"]["dependencies"], *(text for extra in extras for text in extra)]:
        assert re.fullmatch(r"[a-z0-9-]+>=[0-9.]+", text), text


def test_every_command_has_its_script_and_its_parser():
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    assert set(COMMANDS) - {"cite"} == scripts
    for name in COMMANDS:
        assert Parser(prog=name).prog == name


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_shipped_configs_are_found_from_anywhere(elsewhere):
    assert config.load("configs/smoke.yaml").name == "smoke"
    for name in ("smoke.yaml", "smoke"):
        assert config.load(name).question == config.load("configs/smoke.yaml").question
    assert config.load("configs/write_up/w01_linear.yaml").name == "w01_linear"
    assert {path.stem for path in collection.configs("literature")} >= {"l01_theory", "l10_selu"}
    assert shipped_configs() == ROOT / "configs"


def test_a_config_where_the_user_stands_comes_first(elsewhere):
    Path("configs").mkdir()
    Path("configs/smoke.yaml").write_text("question: Mine?\n")
    for name in ("configs/smoke.yaml", "smoke"):
        assert config.load(name).question == "Mine?"
    Path("smoke.yaml").write_text("question: Nearer?\n")
    assert config.load("smoke").question == "Nearer?"


@pytest.mark.parametrize(
    "name", ["configs/smok.yaml", "../configs/smoke.yaml", "/configs/smoke.yaml", "smok", "configs/smoke"]
)
def test_a_path_of_which_nothing_is_shipped_is_refused(elsewhere, name):
    with pytest.raises(ConfigError, match="no such file"):
        config.load(name)


def test_the_citation_names_this_version(capsys):
    assert main("cite", []) == 0
    entry = capsys.readouterr().out
    assert entry.strip() == bibtex(citation_file())
    assert entry.startswith("@software{")
    assert f"version  = {{{PROJECT['project']['version']}}}" in entry
    assert entry.count("{") == entry.count("}")


@pytest.mark.parametrize("name", ["mlp", "experiments"])
@pytest.mark.parametrize("kind", ["package", "module"])
def test_a_folder_that_hides_ours_is_named(elsewhere, name, kind):
    path = elsewhere / (name if kind == "package" else f"{name}.py")
    if kind == "package":
        path.mkdir()
        (path / "__init__.py").touch()
    else:
        path.touch()
    front = vanishing_gradients.__file__
    given = os.environ | {"PYTHONPATH": os.pathsep.join([str(elsewhere), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-S", front, "cite"], env=given, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{path} has the name of our package {name!r} and stands before it" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_notebook_in_a_folder_that_hides_ours_is_told(elsewhere):
    (elsewhere / "mlp.py").touch()
    given = os.environ | {"PYTHONPATH": os.pathsep.join([str(elsewhere), str(ROOT)])}
    line = [sys.executable, "-S", "-c", "from experiments import run"]
    done = subprocess.run(line, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "named mlp stands before our package 'mlp' on Python's path" in done.stderr


@pytest.mark.slow
def test_an_installed_wheel_works_from_any_folder(elsewhere):
    """Unpacked beside the libraries that are here; to build it needs a package index."""
    wheel = ["wheel", "--quiet", "--no-deps", "--wheel-dir", "wheels", str(ROOT)]
    built = [sys.executable, "-m", "pip", *wheel]
    if subprocess.run(built, check=False).returncode:
        pytest.skip("no package index: hatchling is not to be had")
    [wheel] = Path("wheels").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {path.name for path in (ROOT / "configs").glob("*.yaml")}
    assert {f"experiments/shipped_configs/{name}" for name in shipped} <= names
    assert "experiments/report/page.html" in names
    zipfile.ZipFile(wheel).extractall("site")
    given = {k: v for k, v in os.environ.items() if k != "VG_RESULTS"} | {
        "PYTHONPATH": str(elsewhere / "site")
    }
    for words in (["run", "configs/smoke.yaml", "--quiet"], ["plot", "smoke"], ["verify", "smoke"], ["cite"]):
        command = [sys.executable, "-m", "vanishing_gradients", *words]
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    assert Path("results/smoke/summary.csv").is_file()
