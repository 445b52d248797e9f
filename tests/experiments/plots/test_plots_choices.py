"""Figures of what a study has to choose, and of what is normal: their numbers from records made by hand."""

import json

import numpy as np
import pytest
from synthetic import records

from experiments.config import from_mapping
from experiments.plots import FIGURES


def points(panel_of, name, place=0):
    """{x: y} of a named line of a panel of a picture."""
    from matplotlib.figure import Figure

    axes = panel_of.draw(Figure().subplots(1, len(panel_of.panels), squeeze=False)[0], panel_of.panels)
    line = next(line for line in axes[place].lines if line.get_label() in (name, "relu"))
    return dict(zip(np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float), strict=True))


def test_a_reference_range_is_drawn_behind_what_was_measured_and_told_in_full_in_a_table():
    r = records(activation=["sigmoid", "relu"], depth=3, seed=[0, 1, 2])
    r.layers["delta_norm"] = 0.05
    made = FIGURES.bind("reference_ranges(networks=20)")(r)
    assert made.finding.startswith("1 of 2 settings start where networks of their depth train")
    table = made.table.query("measure == 'delta_norm'")
    assert len(table) == 2 * 3
    assert table["percentile"].tolist() == [0.5] * 6  # of 0.01 … 0.09
    assert table["usual"].all()
    assert dict(table.groupby("activation")["healthy"].first()) == {"relu": True, "sigmoid": False}
    assert set(points(made, "_predicted").values()) == {0.05}
    far = records(activation="relu", depth=3, seed=[0])
    far.layers["delta_norm"] = 1.0
    table = FIGURES["reference_ranges"](far).table.query("measure == 'delta_norm'")
    assert not table["usual"].any()
    assert (table["percentile"] == 1).all()


def test_a_table_is_a_file_beside_the_picture():
    made = FIGURES["clip_choice"](records(activation="relu", depth=2, seed=[0, 1, 2]))
    files = made.files("clip")
    assert files["clip.csv"].decode().splitlines()[0] == "percentile,clip,clipped,lr_factor"
    assert "clip.csv" not in json.loads(files["clip.json"])["files"]  # those are the pictures


def test_a_value_of_clip_shortens_the_steps_whose_gradient_is_larger():
    """Norms 1 … 10 at ten watched steps: at the largest no step is shortened; far below all are."""
    r = records(activation="relu", depth=1, seed=[0, 1, 2])
    steps = np.sort(r.layers["step"].unique())
    rank = r.layers["step"].map({step: k + 1.0 for k, step in enumerate(steps)})
    r.layers["dw_norm"], r.layers["db_norm"] = rank.where(r.layers["layer"] == 1, 0.0), 0.0
    made = FIGURES["clip_choice"](r)
    shortened, factor = points(made, "median"), points(made, "median", 1)
    for at, share in shortened.items():
        assert share == pytest.approx((np.arange(1, len(steps) + 1) > at).mean())
        assert factor[at] == pytest.approx(np.median(np.minimum(1, at / np.arange(1, len(steps) + 1))))
    assert min(shortened) < 1 < max(shortened)


def test_the_seeds_needed_fall_with_the_square_of_the_difference():
    r = records(activation=["relu", "tanh"], depth=1, seed=[0, 1, 2])
    gain = r.steps["run_id"].map(dict(zip(r.runs["run_id"], [0, 0, 0, 0.01, 0.02, 0.03], strict=True)))
    r.steps["test_accuracy"] = 0.5 + gain
    made = FIGURES["seeds_choice"](r)
    needed = points(made, "relu")
    assert needed[0.005] == 32  # as worked out in test_advice
    assert needed[0.01] == 8  # 7.85
    assert made.finding == "8 seeds see a difference of 0.01 between ReLU and the best"
    assert "From 3 seeds in common." in made.alt
    alone = FIGURES["seeds_choice"](records(activation="relu", depth=1, seed=[0, 1, 2]))
    assert "Two settings with three seeds in common" in alone.finding


def doses(costs):
    """Records of runs with a share of dead units, and the accuracy that each share costs."""
    texts = ["zeros" if not share else f"dead(share={share})" for share in costs]
    r = records(activation="relu", depth=2, bias=texts, seed=[0, 1, 2])
    lost = (
        r.steps["run_id"]
        .map(r.runs.set_index("run_id")["bias"])
        .map(dict(zip(texts, costs.values(), strict=True)))
    )
    r.steps["accuracy"] = r.steps["test_accuracy"] = 0.9 - lost
    return r


def test_the_dose_from_which_dead_units_cost_accuracy_is_named():
    made = FIGURES["dead_units_choice"](doses({0: 0.0, 0.25: 0.01, 0.5: 0.1, 0.75: 0.0}))
    assert made.finding == "ReLU: a share of 0.5 of dead units costs 0.10 of accuracy, 0.25 next to nothing"
    assert points(made, "median") == pytest.approx({0: 0.9, 0.25: 0.89, 0.5: 0.8, 0.75: 0.9})
    harmless = FIGURES["dead_units_choice"](doses({0: 0.0, 0.5: 0.0}))
    assert harmless.finding == "ReLU bears a share of 0.5 of dead units, the largest tried"
    none = FIGURES["dead_units_choice"](records(activation="relu", depth=2, seed=[0]))
    assert none.finding.startswith("No dead units were imposed")


def test_a_config_can_ask_for_all_of_them():
    names = ["reference_ranges", "clip_choice", "seeds_choice", "dead_units_choice"]
    sweep = {"bias": ["zeros", "dead(share=0.25)"], "seed": [0, 1, 2]}
    found = from_mapping({"question": "q", "base": {"depth": 2}, "sweep": sweep, "figures": names})
    assert list(found.figures) == names
