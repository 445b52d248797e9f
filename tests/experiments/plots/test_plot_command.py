"""`plot.py`: figures of a stored experiment in another look, in own words, of two experiments together."""

import json

import pytest

import experiments
from experiments.cli.entry import main

ASKED = {
    "question": "What is drawn?",
    "base": {"dataset": "moons(n=60)", "steps": 2, "batch": 8, "width": 3, "depth": 2},
    "watch": 2,
    "figures": ["learning_curves"],
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two small experiments, of which the second has a run of the first."""
    root = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VG_RESULTS", str(root))
        experiments.run({**ASKED, "name": "one", "sweep": {"activation": ["tanh"], "seed": [0, 1]}})
        more = {"name": "two", "sweep": {"activation": ["tanh", "relu"], "seed": [0, 1]}, "figures": []}
        experiments.run(ASKED | more)
    return root


@pytest.fixture(autouse=True)
def _there(stored, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(stored))


def test_a_look_is_asked_for_on_the_command_line(stored):
    assert main("plot", ["one", "--style", "slide", "--theme", "dark"]) == 0
    stem = "learning_curves_style_slide_theme_dark"
    assert (stored / "one" / "figures" / f"{stem}.png").exists()
    assert main("plot", ["one", "learning_curves", "--format", "pdf", "--size", "4x3"]) == 0
    assert (stored / "one" / "figures" / "learning_curves_format_pdf_size_4x3.pdf").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--style", "poster"], "option style is 'poster', which is not one of screen, slide, paper"),
        (["--size", "big"], "not a width and a height in inches"),
        (["learning_curve"], "unknown figure 'learning_curve'. Did you mean 'learning_curves'?"),
        (["--words", "nowhere.yaml"], "--words nowhere.yaml: cannot be read"),
        (["ratio_by_depth(hue=depth)"], "hue=depth: that is along an axis of this figure"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_line(words, said, capsys):
    assert main("plot", ["one", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_readers_own_words_stand_in_the_picture(stored, tmp_path):
    own = tmp_path / "de.yaml"
    own.write_text("{accuracy: Genauigkeit, title: Es lernt}")
    assert main("plot", ["one", "--words", str(own), "--format", "svg"]) == 0
    (told,) = (stored / "one" / "figures").glob("*_in_own_words.json")
    assert json.loads(told.read_text())["finding"] == "Es lernt"
    svg = told.with_suffix(".svg").read_text()
    assert "Genauigkeit" in svg
    assert ">accuracy<" not in svg


def test_two_experiments_are_drawn_in_one_figure_and_a_run_of_both_once(stored):
    assert main("plot", ["one", "two", "learning_curves(format=svg)"]) == 0
    folder = stored / "one_and_two" / "figures"
    told = json.loads((folder / "learning_curves_format_svg.json").read_text())
    assert "Line: median of 2 seeds" in told["alt"]
    svg = (folder / "learning_curves_format_svg.svg").read_text()
    assert ">tanh</text>" in svg
    assert ">relu</text>" in svg
