"""Nothing of the caller's reaches in: settings of NumPy, Python, matplotlib and the shell change no byte."""

import os
import subprocess
import sys
import warnings
from collections import deque
from contextlib import nullcontext
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import experiments
from experiments.cli.notebook import FailureWarning
from experiments.pipeline import undisturbed
from experiments.plots import FIGURES
from experiments.plots.album import drawn
from experiments.plots.figure_table import with_look
from experiments.report import experiment_page
from experiments.sweeps.blas import blas

ROOT = Path(__file__).resolve().parents[2]
ASKED = {
    "question": "Does anything reach in?",
    "name": "quiet",
    "base": {
        "dataset": "moons(n=200)",
        "steps": 20,
        "batch": 16,
        "dtype": "float32",
        "width": 4,
        "depth": 12,
    },
    "sweep": {
        "activation": ["sigmoid", "relu"],
        "seed": [0],
    },
    "watch": 3,
    "figures": ["gradient_by_layer"],
    "claims": ["W02_squashes"],
}
LOOK = {
    "text.usetex": True,
    "text.color": "white",
    "font.size": 30,
    "savefig.dpi": 20,
    "savefig.facecolor": "red",
    "figure.autolayout": True,
    "axes.facecolor": "black",
    "lines.linewidth": 9,
    "path.sketch": (1, 2, 3),
    "svg.fonttype": "none",
    "legend.frameon": True,
}


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return written(tmp_path_factory.mktemp("usual"))


def written(root, run=experiments.run):
    """Every file of a run that does not tell the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VG_RESULTS", str(root))
        patch.setattr(experiment_page, "write_report", experiment_page.write_report.__wrapped__)
        run(ASKED)
        records = experiments.load("quiet")
    kinds = (".csv", ".svg")
    found = {path.name: path.read_bytes() for path in (root / "quiet").rglob("*") if path.suffix in kinds}
    assert {"summary.csv", "claims.csv", "gradient_by_layer.svg"} <= found.keys()
    return found | {"records": records, "layers": records.layers.to_csv(), "steps": records.steps.to_csv()}


def same(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if name != "records" and one[name] != other[name]] == []


def test_nothing_of_this_process_reaches_in(usual, tmp_path):
    backend = dict.__getitem__(mpl.rcParams, "backend")  # as it is: asking for it would choose one
    with warnings.catch_warnings(), np.errstate(all="raise"), mpl.rc_context(LOOK):
        warnings.simplefilter("error")
        same(written(tmp_path), usual)
        assert mpl.rcParams["text.color"] == "white"
    assert dict.__getitem__(mpl.rcParams, "backend") == backend


def test_a_look_that_reaches_in_would_be_seen(usual, monkeypatch):
    monkeypatch.setattr("experiments.plots.style.own_look", lambda **settings: nullcontext())
    with mpl.rc_context({"axes.facecolor": "black"}):
        seen = drawn("gradient_by_layer", usual["records"], "gradient_by_layer")
    assert seen["figures/gradient_by_layer.svg"] != usual["gradient_by_layer.svg"]


CODE = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import experiments; experiments.run({ASKED!r})"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (["-OO"], {}),
        (["-W", "error"], {}),
        ([], {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}),
        ([], {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}),
        ([], {"PYTHONHASHSEED": "3", "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"}),
        ([], {"TZ": "Pacific/Auckland", "COLUMNS": "20", "NO_COLOR": "1"}),
    ],
)
def test_nothing_of_the_shells_reaches_in(usual, tmp_path, options, environment):
    def run(asked):
        subprocess.run([sys.executable, *options, "-c", CODE], env=os.environ | environment, check=True)

    same(written(tmp_path, run), usual)


def test_theory_and_diagnosis_use_one_thread_whatever_the_caller_has_set():
    """Two threads took 240 times as long over the small products of theory while another process ran."""
    with blas().limit(limits=2, user_api="blas"):
        with undisturbed():
            assert threads() == {1}
        assert threads() == {2}


def threads() -> set[int]:
    return {pool["num_threads"] for pool in blas().info() if pool["user_api"] == "blas"}


def test_a_warning_that_is_an_error_is_raised_when_nothing_can_be_lost_by_it():
    done = []

    def work():
        with undisturbed():
            warnings.warn("look at this", stacklevel=1)
            done.append("all")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="look at this"):
            work()
    assert done == ["all"]


# Figures ------------------------------------------------------------------------------------------------


def blank(records):
    figure = Figure(figsize=(1, 1))
    figure.text(0, 0, str(len(records.runs)))
    return figure


@pytest.fixture
def album(tmp_path, monkeypatch):
    """Figures that are drawn at once, those drawn by name, and one that fails in an unforeseen way."""
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    album = deque()  # the figures' own data, unlike a list, is no part of what they are known by

    def plain(records, *, size: float = 1.0):
        """Plain."""
        album.append(f"plain {size}")
        return blank(records)

    def other(records):
        """Other."""
        album.append("other")
        return blank(records)

    def broken(records):
        """Broken."""
        raise ZeroDivisionError("no such luck")

    for name, figure in {"plain": plain, "other": other, "broken": broken}.items():
        monkeypatch.setitem(FIGURES, name, with_look(figure))
    return album


SMALL = {"question": "?", "name": "album", "base": {"dataset": "moons(n=200)", "steps": 2, "batch": 8}}


def files(root):
    """The pictures; their words lie beside them."""
    found = {path.name for path in (root / "album" / "figures").iterdir()}
    words = {name for name in found if name.endswith(".json")}
    assert {name.removesuffix(".json") for name in words} == {name.split(".")[0] for name in found}
    return found - words


def test_a_figure_that_fails_in_any_way_is_named_and_costs_nothing_else(album, tmp_path):
    asked = {**SMALL, "figures": ["plain", "broken", "other"], "claims": ["W02_squashes"]}
    with pytest.warns(FailureWarning, match="figures: broken: ZeroDivisionError: no such luck"):
        experiments.run(asked)
    assert files(tmp_path) == {"plain.svg", "other.svg"}
    assert (tmp_path / "album" / "claims.csv").exists()


def test_only_what_has_changed_is_drawn_again_and_what_is_no_longer_true_is_deleted(album, tmp_path):
    asked = {**SMALL, "figures": ["plain", "other"]}
    experiments.run(asked)
    experiments.run(asked)
    assert list(album) == ["plain 1.0", "other"]
    (tmp_path / "album" / "figures" / "other.svg").unlink()
    experiments.run(asked)
    assert list(album) == ["plain 1.0", "other", "other"]
    (tmp_path / "album" / "figures" / "plain.svg").write_bytes(b"torn")
    experiments.run(asked)
    assert list(album)[3:] == ["plain 1.0"]
    experiments.run({**asked, "sweep": {"seed": [0, 1]}, "figures": ["other"]})  # other records
    assert list(album)[4:] == ["other"]
    assert files(tmp_path) == {"other.svg"}


def test_figures_of_two_texts_have_two_names(album, tmp_path):
    experiments.run({**SMALL, "figures": ["plain(size=0.5)", "plain(size=-0.5)", "plain(size=5)"]})
    assert len(files(tmp_path)) == 3
    assert "plain_size_5.svg" in files(tmp_path)


def test_verdicts_of_claims_that_are_no_longer_asked_for_are_deleted(album, tmp_path):
    experiments.run({**SMALL, "figures": [], "claims": ["W02_squashes"]})
    assert (tmp_path / "album" / "claims.csv").exists()
    experiments.run({**SMALL, "figures": []})
    assert not (tmp_path / "album" / "claims.csv").exists()


def test_progress_tells_which_figure_is_drawn(album, capsys):
    experiments.run({**SMALL, "figures": ["plain", "other"]}, quiet=False)
    said = capsys.readouterr().out
    assert "drawing 1 of 2: plain\ndrawing 2 of 2: other\n" in said
