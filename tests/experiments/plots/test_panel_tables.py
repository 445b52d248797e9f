"""The table behind a picture says what is drawn in it."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from synthetic import records

from experiments.plots import FIGURES
from experiments.plots.axes import log_axis
from experiments.plots.panel_tables import MOST_ROWS, panel_tables, tell


def panel():
    figure = Figure()
    axes = figure.subplots()
    axes.set_title("depth 3", loc="left")
    axes.set_xlabel("layer  (1 = input)")
    axes.set_ylabel("norm")
    return figure, axes


def test_lines_by_their_names_with_zero_where_they_lie_on_the_floor():
    figure, axes = panel()
    floor = log_axis(axes, np.array([0.0, 1e-3, 0.25]))
    axes.plot([1, 2, 3], [0.25, 1e-3, floor], label="relu")
    axes.plot([1, 2], [0.5, 0.125], label="_predicted")
    axes.plot([0, 9], [1, 1])  # a guide, which has no name
    assert panel_tables(figure) == [
        {
            "title": "depth 3: norm",
            "head": ["layer (1 = input)", "relu", "theory, relu"],
            "rows": [["1", "0.25", "0.5"], ["2", "0.001", "0.125"], ["3", "0", "–"]],
        }
    ]


def test_an_axis_of_exponents_is_told_in_numbers():
    figure, axes = panel()
    log_axis(axes, np.array([-400.0, -2.0]), exponents=True)
    axes.plot([1, 2], [-2.0, -400.0], label="sigmoid")
    assert panel_tables(figure)[0]["rows"] == [["1", "0.01"], ["2", "1.00e-400"]]


def test_a_map_by_its_rows_and_columns():
    figure, axes = panel()
    drawn = axes.pcolormesh([0.5, 1.5, 2.5], [0, 1, 2], [[0.1, 0.2], [0.3, np.nan]])
    figure.colorbar(drawn)
    (table,) = panel_tables(figure)
    assert table["head"] == ["norm by layer (1 = input)", "1", "2"]
    assert table["rows"] == [["0.5", "0.1", "0.2"], ["1.5", "0.3", "–"]]


def test_what_a_panel_is_told_of_comes_before_its_lines():
    figure, axes = panel()
    axes.plot([0.25, 0.5], [0, 1], label="relu")
    tell(axes, "factor", ["setting", "relu"], [["he_normal", 0.25], ["lecun_normal", np.nan]])
    (table,) = panel_tables(figure)
    assert table["title"] == "depth 3: factor"
    assert table["rows"] == [["he_normal", "0.25"], ["lecun_normal", "–"]]


def test_places_that_are_no_numbers_have_no_rows():
    figure, axes = panel()
    axes.plot([1, np.nan, np.nan], [1, 2, 3], label="relu")
    assert panel_tables(figure)[0]["rows"] == [["1", "1"]]


def test_settings_in_rows_are_told_by_their_names_with_their_factors():
    """By hand: ‖delta‖ falls by the same factor per layer at every step from the last layer to the first."""
    r = records(activation=["sigmoid", "relu"], depth=6, init=["he_normal", "xavier_normal"], seed=[0])
    made = FIGURES.bind("factors_by_setting")(r)
    table = panel_tables(made.sheets[0])[0]
    assert [row[0] for row in table["rows"]] == ["he_normal", "xavier_normal"]
    first, last = (r.layers[(r.layers["layer"] == layer) & (r.layers["step"] == 0)] for layer in (1, 6))
    logs = np.log(last["delta_norm"].to_numpy() / first["delta_norm"].to_numpy()) / -5
    wanted = dict(zip(zip(r.runs["init"], r.runs["activation"], strict=True), np.exp(logs), strict=True))
    for name, *cells in table["rows"]:
        for act, cell in zip(table["head"][1:], cells, strict=True):
            assert float(cell) == pytest.approx(wanted[name, act], rel=0.15)  # a fit, not the two ends


def test_a_map_tells_each_layer_and_step_in_numbers():
    r = records(activation="relu", depth=3, seed=[0], steps=20)
    table = panel_tables(FIGURES.bind("gradient_over_training")(r).sheets[0])[0]
    steps = sorted(r.layers["step"].unique())
    assert table["head"] == ["layer by step", *map(str, steps)]
    for name, *cells in table["rows"]:
        rows = r.layers[r.layers["layer"] == int(name)].sort_values("step")
        assert [float(cell) for cell in cells] == pytest.approx(rows["delta_norm"].to_numpy(), rel=0.005)


def test_a_long_table_is_thinned_and_says_so():
    figure, axes = panel()
    axes.plot(range(100), range(100), label="tanh")
    (table,) = panel_tables(figure)
    assert len(table["rows"]) == MOST_ROWS
    assert (table["rows"][0][0], table["rows"][-1][0]) == ("0", "99")
    assert table["title"].endswith(f"({MOST_ROWS} of 100 rows)")


def test_every_line_of_a_drawn_figure_has_its_column():
    made = FIGURES.bind("learning_curves")(records(activation=["sigmoid", "relu"], seed=[0, 1], steps=20))
    sheets = made.sheets if hasattr(made, "sheets") else [made]
    tables = [table for sheet in sheets for table in panel_tables(sheet)]
    assert tables
    assert all({"sigmoid", "relu"} <= {name.lower() for name in table["head"]} for table in tables)
