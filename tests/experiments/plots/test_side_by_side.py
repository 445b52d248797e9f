"""Figures drawn by worker processes: the same bytes and failures, and here what a worker cannot draw."""

import tempfile

import pytest
from matplotlib.figure import Figure
from synthetic import records

from experiments.config import Experiment
from experiments.plots import FIGURES, album, side_by_side
from experiments.plots.figure_table import with_look
from experiments.storage.drawn import Gallery
from experiments.storage.store import Store

# The last two cannot be drawn: depth lies along the axis.
ASKED = ("ratio_by_depth", "ratio_by_depth(hue=depth)", "ratio_by_depth(hue=depth, theme=dark)")
STEMS = dict(zip(ASKED, "abc", strict=True))


@pytest.fixture(scope="module")
def few():
    return records(activation=["sigmoid", "relu"], depth=[2], seed=[0, 1])


@pytest.fixture
def draw(few, tmp_path):
    """Draw what is asked for into a folder of this name; return the files by name, and the failures."""

    def drawn(name, **how):
        gallery = Gallery(Store(name, tmp_path), few)
        paths, failures = album.draw(ASKED, Experiment("?", name), few, gallery, **how)
        return {path.name: path.read_bytes() for path in paths}, failures

    return drawn


def test_workers_draw_the_same_bytes_and_tell_the_same_failures(draw, tmp_path, monkeypatch):
    seen = []  # what lies in the temporary folder meanwhile, which a killed process would leave
    (tmp_path / "space").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "space"))
    files, failures = draw("there", jobs=2, meanwhile=lambda: seen.append(list(tmp_path.glob("space/**/*"))))
    assert not [path for path in seen[0] if path.is_file()]
    assert (files, failures) == draw("here")
    assert {"ratio_by_depth.svg", "ratio_by_depth_narrow.svg", "ratio_by_depth.json"} == files.keys()
    assert len(failures) == 2
    assert all("that is along an axis" in line for line in failures)


def test_a_figure_whose_worker_was_lost_is_drawn_here(draw, monkeypatch):
    monkeypatch.setattr(album, "drawn_by_workers", lambda texts, *_: ((text, None) for text in texts))
    files, failures = draw("lost", jobs=2)
    assert "ratio_by_depth.svg" in files
    assert len(failures) == 2


def test_without_a_report_nothing_is_drawn_for_a_telephone(draw):
    files, _ = draw("plain", files=album.drawn)
    assert "ratio_by_depth.svg" in files
    assert "ratio_by_depth_narrow.svg" not in files


def test_this_process_draws_few_figures_large_records_and_what_is_registered_in_it_alone(few, monkeypatch):
    assert side_by_side.workers_for(STEMS, few, 4) == 3
    assert side_by_side.workers_for(STEMS, few, 2) == 2
    assert side_by_side.workers_for(STEMS, few, 1) == 0
    assert side_by_side.workers_for({"learning_curves": "a", "ratio_by_depth": "b"}, few, 4) == 0

    def of_mine(records):
        """Mine."""
        return Figure()

    with monkeypatch.context() as patch:
        patch.setitem(FIGURES, "of_mine", with_look(of_mine))
        assert side_by_side.workers_for(STEMS | {"of_mine": "c"}, few, 4) == 0
    monkeypatch.setattr(side_by_side, "LARGEST", 100)
    assert side_by_side.workers_for(STEMS, few, 4) == 0
