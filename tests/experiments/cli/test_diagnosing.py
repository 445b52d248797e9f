"""What `diagnose` prints and writes for each of its options."""

import pandas as pd
import pytest

from experiments.cli.entry import main

CONFIG = """
question: What is wrong?
base: {activation: relu, init: he_normal, dataset: "circles(n=200)", width: 8, steps: 40, batch: 32, lr: 0.1}
sweep: {depth: [1, 2], seed: [0, 1, 2]}
watch: 6
figures: []
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path / "results"))
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_a_config_is_advised_on_clip_seeds_and_how_usual_it_is(config, tmp_path, capsys):
    words = [str(config), "--clip", "--seeds", "--reference", "--networks", "20", "--jobs", "1", "--quiet"]
    assert main("diagnose", words) == 0
    said = " ".join(capsys.readouterr().out.split())
    for text in (
        "clip=",
        "To see a difference of 0.01",
        "values before training are usual",
        "What is usual here is",
    ):
        assert text in said
    folder = tmp_path / "results" / "small"
    assert set(pd.read_csv(folder / "clip.csv")["percentile"]) == {50, 90, 95, 99, 100}
    assert list(pd.read_csv(folder / "seeds.csv")["a"]) == ["depth 1"]
    usual = pd.read_csv(folder / "reference.csv")
    assert {"depth", "layer", "measure", "value", "percentile", "usual", "healthy"} <= set(usual)


def test_what_is_normal_and_how_many_dead_units_are_too_many_need_no_config(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    setting = ["activation=relu", "init=he_normal", "dataset=circles(n=200)", "width=8", "lr=0.1"]
    assert main("diagnose", ["--normal", "depth=2", "--networks", "10", *setting]) == 0
    assert "update_ratio by layer" in capsys.readouterr().out
    words = ["--dead-units", "depth=1", "steps=30", "batch=32", "seed=[0,1]", "--jobs", "1", *setting]
    assert main("diagnose", words) == 0
    assert "of dead units per layer cost" in " ".join(capsys.readouterr().out.split())
    assert not list(tmp_path.iterdir())  # nothing is written


def test_what_cannot_have_dead_units_is_refused_in_a_line(capsys):
    assert main("diagnose", ["--dead-units", "activation=tanh", "steps=10"]) == 2
    assert "only relu has dead units" in " ".join(capsys.readouterr().err.split())
