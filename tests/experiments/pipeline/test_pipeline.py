"""The whole program through its door: the files that are promised, exit statuses, nothing trained twice."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from asking import CONFIG, EDITED, MEASURED, ROOT, call, stored
from matplotlib.figure import Figure
from sweeps_in_small import same_but_for_time as same

import experiments
from experiments import pipeline
from experiments.cli.commands import command
from experiments.config import ConfigError, Experiment, Run, keys_of, load
from experiments.config.run_filter import Where
from experiments.pipeline import plan_only, plot
from experiments.plots import FIGURES
from experiments.plots.figure_table import with_look
from experiments.plots.views import arrange
from experiments.storage.files import StoreError, StoreWarning
from experiments.storage.store import Store
from experiments.sweeps.plan import ExecutionOptions

COUNTED = CONFIG.replace("figures: []", "figures: [count]")

# The program ----------------------------------------------------------------------------------------------


def test_a_question_becomes_tables_figures_and_a_manifest_and_a_second_call_trains_nothing(
    asked, drawn, capfd
):
    first = asked[1]
    assert (first.returncode, first.stderr) == (0, "")
    lines = first.stdout.splitlines()
    assert lines[0] == "drawn: Does it work?"
    assert lines[1].startswith("8 runs, none stored: 4 stacks, about ")
    assert "delta first/last, start" in first.stdout
    results = Path("results/drawn")
    figure = [f"figures/accuracy_by_depth.{kind}" for kind in ("svg", "json")]
    figure.append("figures/accuracy_by_depth_narrow.svg")
    written = ["summary.csv", *figure, "report.html", "diagnosis.csv"]
    assert lines[-7:] == [f"wrote {asked[0] / results}/", *(f"  {name}" for name in written)]
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


def test_figures_are_drawn_again_from_what_is_stored(drawn):
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
