"""Bad input is refused in clear words before anything trains, with nothing written."""

import os
from pathlib import Path

import pytest
from asking import CONFIG, call, shell

from experiments.cli.commands import command
from experiments.storage.store import Store
from experiments.sweeps.plan import ExecutionOptions

BAD = {  # words on the command line or the text of a config -> what the message must say
    "misspelt key": ("base: {widht: 8}", "unknown key. Did you mean 'width'?"),
    "misspelt activation": ("base: {activation: rleu}", "unknown activation 'rleu'. Did you mean 'relu'?"),
    "misspelt option": (
        "base: {activation: leaky_relu(slop=0.1)}",
        "has no option 'slop'; it takes slope=0.01 (a number above 0 and up to 1). Did you mean 'slope'?",
    ),
    "misspelt probe": ("probes: [delta_nrom]", "unknown probe 'delta_nrom'. Did you mean 'delta_norm'?"),
    "misspelt figure": ("figures: [gradient_by_leyer]", "Did you mean 'gradient_by_layer'?"),
    "misspelt data set": ("base: {dataset: digts}", "unknown dataset 'digts'. Did you mean 'digits'?"),
    "misspelt claim": ("claims: [W04]", "unknown claim 'W04'"),
    "duplicate key": ("base: {width: 8, width: 9}", "width"),
    "negative depth": ("base: {depth: -1}", "-1 is not a whole number from 0"),
    "rate that is not a number": ("base: {lr: .nan}", "base.lr"),
    "rate as a text": ("base: {lr: fast}", "'fast' is not a number"),
    "batch too large": ("base: {batch: 10000}", "batch"),
    "empty grid": ("sweep: {depth: []}", "sweep.depth"),
    "figure without its probe": (
        "probes: [w_norm]\nfigures: [gradient_by_layer]",
        "gradient_by_layer draws delta_norm, dw_norm: add that to the probes",
    ),
    "data that is missing": ("base: {dataset: file(path=none.csv)}", "none.csv"),
    "images that are missing": ("base: {dataset: fashion_mnist}", "VG_DATA"),
    "alias bomb": ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nbase: {init: *c}", "alias"),
    "empty file": (b"", "empty"),
    "binary file": (b"\x00\x01\x02\xff\xfe" * 100, ""),
    "huge file": (b"# " + b"x" * 5_000_000, ""),
    "a list": ("- question", ""),
}
CALLS = {  # what is called -> its overrides, how, and what the message must say
    "nowhere.yaml": ([], {}, "nowhere.yaml"),
    ".": ([], {}, "folder"),
    "...yaml": ([], {}, "cannot be a folder of results"),
    "tiny.yaml": (["dept=3"], {}, "unknown key 'dept'. Did you mean 'depth'?"),
    "./tiny.yaml": (["depth=[1,-2]"], {}, "-2 is not a whole number from 0"),
    "././tiny.yaml": ([], {"dask": "local:none"}, "write local:4 for four workers"),
}


def write_bad(name, content):
    path = Path(name.replace(" ", "_") + ".yaml")
    if isinstance(content, str):
        content = f"question: Is it refused?\n{content}\n".encode()
    path.write_bytes(content)
    return str(path)


def test_bad_input_is_refused_with_one_clear_message_and_nothing_written(monkeypatch, capfd):
    monkeypatch.delenv("VG_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path.cwd() / "cache"))
    Path("...yaml").write_text(CONFIG)
    calls = {write_bad(name, content): ([], {}, said) for name, (content, said) in BAD.items()} | CALLS
    before = sorted(Path.cwd().rglob("*"))
    for name, (overrides, how, said) in calls.items():
        status = command(name, overrides, ExecutionOptions(**how), quiet=True)
        told, complaints = capfd.readouterr()
        assert (status, told) == (2, ""), name
        assert said in complaints, (name, complaints)
        assert 0 < len(complaints) < 2000, name
    assert sorted(Path.cwd().rglob("*")) == before


@pytest.mark.parametrize("words", [["nowhere.yaml"], ["tiny.yaml", "dept=3"], ["tiny.yaml", "--jobs", "0"]])
def test_what_is_refused_is_so_at_the_shell_too(words):
    done = shell(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert words[-1].removesuffix("=3") in done.stderr
    assert "Traceback" not in done.stderr


def test_all_errors_of_a_config_are_shown_at_once():
    Path("bad.yaml").write_text("question: x\nbase: {widht: 8, depth: -1}\nsweep: {activation: [rleu]}\n")
    done = shell("bad.yaml")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 3


def test_results_that_cannot_be_written_are_an_error_and_no_traceback(monkeypatch, capfd):
    Path("occupied").touch()
    monkeypatch.setenv("VG_RESULTS", "occupied")
    status, _, complaints = call(capfd, "tiny")
    assert status == 2
    assert "occupied" in complaints
    assert "Traceback" not in complaints


def test_two_sweeps_in_one_folder_the_second_is_told_who_has_it():
    with Store("tiny").sweep():
        done = shell("tiny.yaml")
    assert done.returncode == 2
    assert f"another sweep is writing here: process {os.getpid()}" in done.stderr
