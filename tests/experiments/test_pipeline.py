"""The whole program through its door: files promised, exit statuses, bad input, nothing trained twice."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

import experiments
from experiments import pipeline
from experiments.claims import CLAIMS, needs
from experiments.cli.commands import command
from experiments.config import ConfigError, Experiment, Run, keys_of, load
from experiments.config.run_filter import Where
from experiments.pipeline import plan_only, plot
from experiments.plots import FIGURES
from experiments.plots.figure_table import with_look
from experiments.plots.views import arrange
from experiments.storage.files import StoreError, StoreWarning
from experiments.storage.records import COLUMNS
from experiments.storage.store import Store
from experiments.sweeps import runner
from experiments.sweeps.plan import ExecutionOptions
from experiments.sweeps.runner import run_stack

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
question: Does it work?
base: {dataset: 'moons(n=200)', width: 8, steps: 10, batch: 16, lr: 0.1}
sweep:
  activation: [sigmoid, relu]
  depth: [1, 3]
  seed: [0, 1]
watch: 4
figures: []
"""
DRAWN = CONFIG.replace("figures: []", "figures: [accuracy_by_depth]")
COUNTED = CONFIG.replace("figures: []", "figures: [count]")


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


def shell(*words, before=()):
    """`python scripts/run.py …` as a user types it; `before`: the words before that."""
    command = [*before, sys.executable, str(ROOT / "scripts" / "run.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def call(capfd, config, *overrides, name=None, quiet=True, yes=False, **how):
    """The same without a process of its own: (exit status, standard output, standard error)."""
    capfd.readouterr()
    how = ExecutionOptions(**how)
    status = command(f"{config}.yaml", list(overrides), how, name=name, quiet=quiet, yes=yes)
    return status, *capfd.readouterr()


def stored(name="tiny"):
    """When each part was written."""
    return {path: path.stat().st_mtime_ns for path in Path("results", name, "runs").glob("*.parquet")}


# The program ----------------------------------------------------------------------------------------------


def test_a_question_becomes_tables_figures_and_a_manifest_and_a_second_call_trains_nothing(capfd):
    first = shell("drawn.yaml")
    assert (first.returncode, first.stderr) == (0, "")
    lines = first.stdout.splitlines()
    assert lines[0] == "drawn: Does it work?"
    assert lines[1].startswith("8 runs, none stored: 4 stacks, about ")
    assert "delta first/last, start" in first.stdout
    results = Path("results/drawn")
    figure = [f"figures/accuracy_by_depth.{kind}" for kind in ("svg", "json")]
    figure.append("figures/accuracy_by_depth_narrow.svg")
    written = ["summary.csv", *figure, "report.html", "diagnosis.csv"]
    assert lines[-7:] == [f"wrote {results.resolve()}/", *(f"  {name}" for name in written)]
    assert all((results / name).stat().st_size for name in written)
    assert len(pd.read_parquet(results / "runs")) == 8
    assert len(pd.read_parquet(results / "steps")) == 8 * 4
    assert len(pd.read_parquet(results / "layers")) == 2 * 2 * 4 * (2 + 4)
    assert len(pd.read_csv(results / "summary.csv")) == 4
    before, facts = stored("drawn"), json.loads((results / "manifest.json").read_text())
    assert facts["last_training"]["runs"] == 8
    assert facts["config"]["sweep"]["depth"] == [1, 3]

    status, said, complaints = call(capfd, "drawn", quiet=False)
    assert (status, complaints) == (0, "")
    assert "8 runs, all stored: nothing to train" in said
    assert stored("drawn") == before
    assert json.loads((results / "manifest.json").read_text())["last_training"] == facts["last_training"]


def test_python_gives_the_same_frames_and_says_nothing(capfd):
    records = experiments.run("tiny.yaml")
    assert capfd.readouterr() == ("", "")
    assert len(records.runs) == 8
    again = experiments.load("tiny")
    same(records, again)


def test_a_changed_config_trains_only_what_is_new(tiny):
    before = stored()
    Path("tiny.yaml").write_text(CONFIG.replace("[1, 3]", "[1, 3, 5]"))
    assert len(experiments.run("tiny.yaml").runs) == 12
    assert before.items() < stored().items()
    Path("tiny.yaml").write_text(CONFIG.replace("[1, 3]", "[3]"))
    assert set(experiments.run("tiny.yaml").runs["depth"]) == {3}
    assert set(experiments.load("tiny").runs["depth"]) == {3}
    assert len(Store("tiny").load().runs) == 12


def test_an_override_makes_another_experiment_and_trains_only_what_no_other_has(tiny, capfd):
    """Both folders hold all of their runs, in either order, and what is in the first stays as it was."""
    files = {path: path.read_bytes() for path in Path("results/tiny").rglob("*") if path.is_file()}
    status, said, _ = call(capfd, "tiny", "depth=[3,5]", quiet=False)
    assert (status, said.splitlines()[0]) == (0, "tiny+depth=3,5: Does it work?")
    assert "4 runs taken over from tiny; --fresh trains everything anew\n8 runs, 4 stored, 4 to train" in said
    assert {path: path.read_bytes() for path in files} == files
    same(experiments.load("tiny"), tiny)
    other = experiments.load("tiny+depth=3,5")
    assert list(other.runs["depth"]) == [3, 3, 5, 5] * 2
    assert len(pd.read_parquet("results/tiny/runs")) == 8
    assert len(pd.read_parquet("results/tiny+depth=3,5/layers")) == 2 * 2 * 4 * (4 + 6)
    both = other.runs["run_id"][other.runs["depth"] == 3].tolist()
    same(other.of(both), tiny.of(both))
    assert other.runs["seconds"][0] == tiny.of(both).runs["seconds"][0]  # copied, not trained
    assert "8 runs, all stored: nothing to train" in call(capfd, "tiny", "depth=[5,1]", quiet=False)[1]
    assert "8 runs, none stored" in call(capfd, "tiny", "depth=[5,3]", quiet=False, fresh=True, yes=True)[1]


def test_dicts_never_overwrite_one_another():
    asked = {"question": "?", "base": {"dataset": "moons(n=200)", "steps": 2, "batch": 8}, "figures": []}
    one = experiments.run(asked)
    other = experiments.run({**asked, "sweep": {"seed": [0, 1]}})
    names = [records.runs.attrs["experiment"] for records in (one, other)]
    assert len({*names}) == 2
    same(experiments.load(names[0]), one)
    same(experiments.load(names[1]), other)
    assert experiments.run(asked, name="mine").runs.attrs["experiment"] == "mine"
    same(experiments.load("mine"), one)
    assert {path.name for path in Path("results").iterdir()} == {*names, "mine"}


def test_a_manifest_holds_the_whole_config_and_is_run_again_to_the_bit(tmp_path, capfd, monkeypatch):
    Path("mine.csv").write_text(MEASURED)
    words = ["dataset=file(path='mine.csv')", "width=[4,5]", "depth=1", "seed=3"]
    before = experiments.run("tiny.yaml", words, name="first")
    manifest = Path("results/first/manifest.json").rename("manifest.json")
    facts = json.loads(manifest.read_text())
    assert {*facts["config"]["base"], *facts["config"]["sweep"]} == {*keys_of(Run)}
    assert {*facts["config"]} == {*keys_of(Experiment)}
    shutil.rmtree("results")
    Path("tiny.yaml").unlink()
    monkeypatch.setattr(experiments.config.vocabulary.Run.__dataclass_fields__["lr"], "default", 7.0)
    assert again(capfd, "manifest.json") == (0, "", "")
    same(experiments.load("first"), before)
    assert again(capfd, "results/first", "width=[4]")[0] == 0  # the folder will do, and so will overrides
    assert len(experiments.load("first+width=4-" + tail("first+width=4-")).runs) == 2

    Path("mine.csv").write_text(EDITED)
    status, _, complaints = again(capfd, "manifest.json")
    assert status == 2
    assert "the data have changed since: file(path='mine.csv')" in complaints


def again(capfd, manifest, *overrides):
    """(exit status, standard output, standard error) of `run.py --from`."""
    capfd.readouterr()
    status = command(None, list(overrides), ExecutionOptions(), manifest=manifest, quiet=True)
    return status, *capfd.readouterr()


def tail(start):
    """What the name of the only folder that begins like this ends with."""
    (folder,) = Path("results").glob(f"{start}*")
    return folder.name.removeprefix(start)


def test_what_may_change_the_numbers_since_a_manifest_is_said(tiny, capfd):
    path = Path("results/tiny/manifest.json")
    facts = json.loads(path.read_text())
    facts |= {"schema": 1, "versions": facts["versions"] | {"numpy": "1.0"}}
    path.write_text(json.dumps(facts))
    status, _, complaints = again(capfd, "results/tiny")
    assert status == 0
    assert "made by version 1 of the numbers" in complaints
    assert "made with numpy 1.0; this is" in complaints
    for text, said in (("{}", "it holds no config"), ("[1", "cut off or damaged"), (None, "no such file")):
        path.unlink() if text is None else path.write_text(text)
        status, _, complaints = again(capfd, str(path))
        assert (status, said in complaints, complaints.count("\n")) == (2, True, 1), complaints


def test_what_is_damaged_elsewhere_or_has_crashed_there_is_trained_here(tiny):
    part = sorted(Path("results/tiny/layers").glob("[!0]*.parquet"))[0]
    part.write_bytes(part.read_bytes()[:-100])
    same(experiments.run("tiny.yaml", name="again"), tiny)
    with pytest.warns(StoreWarning, match="changed after they were written"):
        assert len(experiments.load("tiny").runs) < 8


def test_worker_processes_give_the_same_numbers_bit_for_bit(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path / "elsewhere"))
    same(experiments.run("tiny.yaml", jobs=2), tiny)


def same(a, b):
    """All but the time it took."""
    for name in COLUMNS:
        left, right = (getattr(records, name).drop(columns="seconds", errors="ignore") for records in (a, b))
        pd.testing.assert_frame_equal(left, right, check_exact=True)


@pytest.mark.filterwarnings("ignore:Creating scratch")  # Dask, of a machine that is busy
def test_a_dask_cluster_gives_the_same_numbers_bit_for_bit(tiny, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setenv("VG_RESULTS", str(tmp_path / "elsewhere"))
    same(experiments.run("tiny.yaml", dask="local:1"), tiny)


def test_plan_only_trains_and_writes_nothing(capfd):
    assert command("tiny.yaml", [], ExecutionOptions(), plan=True) == 0
    assert "8 runs, none stored: 4 stacks, about " in capfd.readouterr().out
    assert plan_only("tiny.yaml", options=ExecutionOptions(jobs=2)).workers == 2
    assert not Path("results").exists()


def test_figures_are_drawn_again_from_what_is_stored():
    experiments.run("drawn.yaml")
    picture = Path("results/drawn/figures/accuracy_by_depth.svg")
    bytes_before = picture.read_bytes()
    picture.unlink()
    names = {f"accuracy_by_depth{end}" for end in (".svg", ".json", "_narrow.svg")}
    assert {path.name for path in plot("drawn")} == names
    assert picture.read_bytes() == bytes_before
    assert [path.name for path in plot("drawn", ["learning_curves"])][0] == "learning_curves.svg"


@pytest.fixture
def counted(monkeypatch):
    """The config of a figure that is drawn at once: the number of the runs that it is asked for."""

    def count(records, *, where: Where = ""):
        """Runs, counted."""
        figure = Figure(figsize=(1, 1))
        figure.text(0, 0, str(len(arrange(records, where=where).records.runs)))
        return figure

    monkeypatch.setitem(FIGURES, "count", with_look(count))
    Path("counted.yaml").write_text(COUNTED)


def test_a_long_sweep_shows_its_first_picture_while_it_trains(counted, monkeypatch, capfd):
    from experiments.report import experiment_page

    seen = []

    def write(experiment, records, store):
        page = first_page(experiment, records, store)
        seen.append((records.runs["depth"].tolist(), page.read_text(encoding="utf-8")))
        return page

    first_page = experiment_page.write_first_page
    monkeypatch.setattr(experiment_page, "write_first_page", write)
    monkeypatch.setattr(pipeline, "LONG", 0.0)
    experiments.run("counted.yaml", quiet=False)
    ((depths, page),) = seen
    assert depths == [1, 1]  # a stack of the cheapest
    assert "this is seen in the 2 of 8 runs stored so far" in page
    assert '<figure class="picture">' in page
    said = capfd.readouterr().out
    assert f"a first picture, of 2 of 8 runs, is in {Path('results/counted/report.html').resolve()}" in said
    picture = Path("results/counted/figures/count.svg").read_bytes()
    experiments.run("counted.yaml", name="again")  # whose runs are stored: nothing is long
    assert len(seen) == 1
    assert Path("results/again/figures/count.svg").read_bytes() == picture


def test_a_first_picture_that_cannot_be_drawn_yet_is_drawn_at_the_end(counted, monkeypatch, capfd):
    monkeypatch.setattr(pipeline, "LONG", 0.0)
    figure = "count(where=runs(depth=3))"  # which are trained after those of depth 1
    experiments.run("tiny.yaml", [f"figures=[{figure}]"], name="later", quiet=False)
    assert "a first picture" not in capfd.readouterr().out
    assert list(Path("results/later/figures").glob("*.svg"))


def test_an_experiment_that_was_never_run_has_nothing_to_load():
    with pytest.raises(StoreError, match="nothing is stored here"):
        experiments.load("never")


def test_fresh_forgets_what_was_stored_but_asks_first(tiny, capfd, monkeypatch):
    before = stored()
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # no terminal
    status, _, complaints = call(capfd, "tiny", fresh=True)
    assert status == 2
    assert "--fresh deletes the 8 runs that are stored in" in complaints
    assert "add --yes if that is meant" in complaints
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    for answer, expected in (("", 130), ("n", 130), ("y", 0)):
        assert stored() == before
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        assert call(capfd, "tiny", fresh=True)[0] == expected
    for again in (stored(), call(capfd, "tiny", fresh=True, yes=True) and stored()):
        when = {path: time for path, time in again.items() if "columns" not in path.name}
        assert len(when) == 4
        assert min(when.values()) > max(before.values())
        before = again


# Failures -------------------------------------------------------------------------------------------------

TOO_LARGE = """
question: Does a stack that cannot be had spoil the others?
base: {dataset: 'moons(n=200)', steps: 0, batch: 16}
zip: {width: [4, 65536, 8], depth: [1, 2, 2]}
figures: []
"""


@pytest.fixture
def large(monkeypatch):
    """Runs one of which needs 34 GB and a machine that has 4, which the plan is told are plenty."""
    monkeypatch.setenv("VG_MEMORY", "1e6")
    Path("large.yaml").write_text(TOO_LARGE)
    limit = f'ulimit -v {4 * 2**20}; exec "$@"'  # KiB; a preexec_fn would fork, which JAX's threads forbid
    return partial(shell, "large.yaml", before=["sh", "-c", limit, "sh"])


def test_a_stack_that_crashes_is_recorded_and_the_sweep_goes_on(large, capfd):
    done = large("--quiet", "--jobs", "2")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("1 run crashed (depth=2, width=65536): ")
    assert "Unable to allocate" in line
    runs = experiments.load("large").runs
    assert list(runs["status"]) == ["ok", "crashed", "ok"]
    assert "Traceback" in runs["error"][1]
    assert "run_stack" in runs["error"][1]
    before = stored("large")
    assert call(capfd, "large") == (1, "", done.stderr)
    assert stored("large") == before


def test_what_is_gone_at_the_end_is_said(monkeypatch, capfd):
    """The first part is deleted as soon as it is there."""
    save, lost = Store.save, []

    def save_and_lose(store, records, **more):
        aside = save(store, records, **more)
        if not lost:
            (part,) = store.folder.glob("runs/[!0]*.parquet")
            part.unlink()
            lost.append(len(records.runs))
        return aside

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", save_and_lose)
        status, _, complaints = call(capfd, "tiny")
    assert (status, complaints) == (1, f"{lost[0]} of 8 runs are not stored: run the same command again\n")
    assert call(capfd, "tiny") == (0, "", "")


def test_what_has_crashed_is_trained_again_when_asked_for(capfd, monkeypatch):
    """In this process, which crashes, too, and goes on."""

    def crash_or_train(stack, **how):
        if stack[0].depth == 3 and failing:
            raise MemoryError("Unable to allocate")
        return run_stack(stack, **how)

    failing = [True]
    monkeypatch.setattr(runner, "run_stack", crash_or_train)
    changes = ["activation=relu", "seed=0", "name=tiny"]  # a run of either depth
    status, _, complaints = call(capfd, "tiny", *changes, jobs=1, fail_fast=True)
    assert list(experiments.load("tiny").runs["status"]) == ["crashed"]  # the costliest comes first
    assert status == 1
    assert complaints.startswith("1 run crashed: MemoryError: Unable to allocate (")
    assert "1 of 2 runs are not stored" in complaints
    status, said, again = call(capfd, "tiny", *changes, jobs=1, rerun_failed=True, quiet=False)
    assert status == 1
    assert again.startswith("1 run crashed (depth=3): MemoryError: Unable to allocate (")
    assert "2 runs, none stored: 2 stacks" in said
    assert list(experiments.load("tiny").runs["status"]) == ["ok", "crashed"]
    failing.clear()
    assert call(capfd, "tiny", *changes, jobs=1)[0] == 1
    assert call(capfd, "tiny", *changes, jobs=1, rerun_failed=True) == (0, "", "")
    assert list(experiments.load("tiny").runs["status"]) == ["ok", "ok"]


def test_a_claim_whose_code_fails_is_a_line_and_status_1_and_the_others_are_judged(capfd, monkeypatch):
    @needs("delta_norm")
    def torn(records):
        return {}["relu"]

    monkeypatch.setitem(CLAIMS, "torn", torn)
    claims = "claims=[torn, W03_slope, W11_relu_no_vanishing]"
    status, out, err = call(
        capfd,
        "tiny",
        claims,
        "probes=[delta_norm, delta_log10, dw_norm, dw_log10, z_rms, a_rms]",
        name="torn",
        quiet=False,
    )
    assert status == 1
    assert err.startswith("claims: torn: KeyError: 'relu' (claim torn, test_pipeline.py, line ")
    assert "the claim's own code failed: KeyError: 'relu'" in out
    table = pd.read_csv("results/torn/claims.csv").set_index("claim")
    assert table["status"].to_dict() == {
        "torn": "inconclusive", "W03_slope": "supported", "W11_relu_no_vanishing": "inconclusive"
    }  # fmt: skip


def test_a_run_that_diverges_is_a_result(capfd):
    changes = ["lr=1e12", "activation=[identity]", "depth=[10]", "steps=40"]
    status, said, complaints = call(capfd, "tiny", *changes, quiet=False, name="wild")
    assert (status, complaints) == (0, "")
    assert set(experiments.load("wild").runs["status"]) == {"diverged"}
    assert "diverged" in said


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


# Data that change meanwhile -------------------------------------------------------------------------------

MEASURED = "a,b,kind\n" + "1,2,0\n3,4,1\n5,6,0\n" * 20
EDITED = MEASURED.replace("5", "7")


def test_data_edited_during_a_sweep_are_not_trained_under_the_old_names(monkeypatch, capfd):
    """The file changes once a stack is stored; the stacks after it crash in clear words, once for all."""
    Path("mine.csv").write_text(MEASURED)
    changes = ["dataset=file(path='mine.csv')", "depth=[1,2,3]", "activation=relu", "name=tiny"]
    save = Store.save

    def edit_and_save(store, records, **more):
        Path("mine.csv").write_text(EDITED)
        return save(store, records, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", edit_and_save)
        status, _, complaints = call(capfd, "tiny", *changes, jobs=1)
    assert status == 1
    assert "the data differ from those that this sweep was planned with" in complaints
    assert "Traceback" not in complaints
    assert list(pd.read_parquet("results/tiny/runs").groupby("status").size().items()) == [
        ("crashed", 4), ("ok", 2),
    ]  # fmt: skip

    assert call(capfd, "tiny", *changes, jobs=1) == (0, "", "")  # named anew, by the data as they are
    assert len(experiments.load("tiny").runs) == 6
    Path("mine.csv").write_text(MEASURED)
    assert call(capfd, "tiny", *changes, jobs=1, rerun_failed=True) == (0, "", "")
    assert set(pd.read_parquet("results/tiny/runs")["status"]) == {"ok"}


# Interrupts -----------------------------------------------------------------------------------------------

LONG = ["name=tiny", "depth=[1,2]", "width=[8,9]", "steps=250", "seed=0"]  # 8 runs, each a stack


@contextmanager
def started(*words):
    """The program, running; it ends with the test."""
    command = [sys.executable, str(ROOT / "scripts" / "run.py"), "tiny.yaml", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as sweep:
        try:
            yield sweep
        finally:
            sweep.kill()


def until_stored(count, seconds=60.0):
    gate = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if len(stored()) > count:  # one more, the file that names the columns
            return
        gate.wait(0.01)
    pytest.fail(f"no {count} parts within {seconds} s")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_finishes_and_stores_what_is_running(jobs):
    with started(*LONG, "--jobs", jobs) as sweep:
        until_stored(2)
        sweep.send_signal(signal.SIGINT)
        _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    assert "finishing and storing what is running; Ctrl-C again to stop now" in said
    assert "interrupted; what was finished is stored" in said
    assert "Traceback" not in said
    finished = stored()
    assert 2 < len(finished) < 9
    experiments.run("tiny.yaml", LONG)
    assert finished.items() <= stored().items()
    assert len(experiments.load("tiny").runs) == 8


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_a_second_ctrl_c_or_sigterm_stops_now(signals):
    with started(
        "name=tiny", "activation=[relu]", "depth=[1]", "seed=[0]", "steps=[9,8,1000000]", "--jobs", "2"
    ) as sweep:
        until_stored(1)  # a short stack: the other worker is at the long one
        for number in signals:
            sweep.send_signal(number)
            threading.Event().wait(0.5)  # signals sent at once are one
        _, said = sweep.communicate(timeout=30)
    assert sweep.returncode == 130
    assert "interrupted; what was finished is stored" in said
    assert "Traceback" not in said


def test_a_sweep_runs_in_any_thread():
    with ThreadPoolExecutor(1) as thread:  # where no signal is heard, and none may be asked for
        assert len(thread.submit(experiments.run, "tiny.yaml", ["depth=1"]).result().runs) == 4


def test_output_that_nobody_reads_stops_no_training():
    words = [sys.executable, str(ROOT / "scripts" / "run.py"), "tiny.yaml", "name=tiny", "depth=1", "seed=0"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert len(experiments.load("tiny").runs) == 2


# The package ----------------------------------------------------------------------------------------------


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, experiments; print([m for m in ('numpy', 'pandas', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        experiments.nothing  # noqa: B018


def test_help_and_a_config_error_import_nothing_heavy():
    heavy = {"pandas", "pyarrow", "matplotlib", "sklearn", "rich", "jinja2", "dask", "scipy.stats"}
    code = "import sys, runpy; sys.argv = {argv!r}\ntry: runpy.run_path(sys.argv[0], run_name='__main__')\n"
    code += "except SystemExit: print(sorted({heavy!r} & set(sys.modules)))"
    for words in (["--help"], ["tiny.yaml", "widht=3"]):
        argv = [str(ROOT / "scripts" / "run.py"), *words]
        text = code.format(argv=argv, heavy=heavy)
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


def test_a_dict_or_an_experiment_will_do_for_a_file(tiny):
    experiment = load("tiny.yaml")
    assert pipeline.experiment_of(experiment) is experiment
    records = experiments.run(experiment)
    asked = {"question": "?", "base": {"dataset": "moons(n=200)", "steps": 2, "batch": 8}, "figures": []}
    assert len(experiments.run(asked).runs) == 1
    assert len(records.runs) == 8
    with pytest.raises(ConfigError, match="unknown key"):
        experiments.run({**asked, "quesiton": "?"})
