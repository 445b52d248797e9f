"""The boundary in the plane of two features: of whom, which panels, and what is drawn at a point."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from synthetic import records

from experiments.config import ConfigError, load
from experiments.plots import FIGURES
from experiments.plots.figures.boundary import _shades


@pytest.fixture(scope="module")
def three():
    made = records(activation=["sigmoid", "tanh", "relu"], depth=3, seed=[1, 2], dataset="moons(n=200)")
    runs = made.runs.set_index("run_id")["activation"]
    worse = made.steps["run_id"].map(runs) == "sigmoid"
    better = made.steps["run_id"].map(runs) == "relu"
    made.steps.loc[worse, "accuracy"] = 0.5
    made.steps.loc[better, "accuracy"] = 0.97
    return made


def test_the_best_and_the_worst_end_stand_beside_loss_and_gradient(three):
    found = FIGURES["boundary"](three)
    assert [(panel.setting, panel.title) for panel in found.chosen] == [
        ("relu", "seed 1, step 300"),
        ("sigmoid", "seed 1, step 300"),
        ("", "training loss"),
        ("", "‖delta‖ in layer 1"),
    ]
    assert found.finding.startswith("ReLU gets 0.97 of the training examples right, sigmoid 0.50: ")
    assert found.finding.endswith("of its gradient reaches layer 1 at first")


def test_all_panels_have_every_watched_step_of_every_setting(three):
    found = FIGURES["boundary"](three)
    steps = three.plane["step"].nunique()
    assert len([panel for panel in found.panels if panel.title.startswith("seed")]) == 3 * steps


def test_one_setting_is_shown_at_the_start_and_at_the_end():
    found = FIGURES["boundary"](records(activation="tanh", depth=3, seed=[0, 1], dataset="moons(n=200)"))
    assert [panel.title for panel in found.chosen[:2]] == ["seed 0, step 0", "seed 0, step 300"]


def test_the_border_lies_where_the_answer_changes(three):
    found = FIGURES["boundary"](three)
    axes = Figure().subplots()
    found.draw(axes, found.chosen[:1])
    (border,) = [each for each in axes.collections if hasattr(each, "levels")]
    (line,) = border.get_paths()
    assert (line.vertices[:, 0] > 0).all()  # answers: class 1 at x1 = 1, class 0 at x1 = 0 and −1
    assert (line.vertices[:, 0] < 1).all()
    assert axes.get_xlabel() == "feature x₁"


def test_an_answer_is_the_fainter_the_nearer_to_a_guess_and_none_is_no_colour():
    axes = Figure().subplots()
    answer, sure = np.array([[0, 1], [1, np.nan]]), np.array([[0.5, 0.75], [1.0, np.nan]])
    opaque = _shades(answer, sure, 2, axes)[..., 3]
    assert 0 < opaque[0, 0] < opaque[0, 1] < opaque[1, 0] < 1
    assert opaque[1, 1] == 0


def test_a_config_that_records_no_plane_is_told_so(tmp_path):
    path = tmp_path / "flat.yaml"
    path.write_text("question: Where is it?\nbase: {dataset: moons}\nfigures: [boundary]\n")
    with pytest.raises(ConfigError, match="boundary draws plane: add plane: 40"):
        load(path)
