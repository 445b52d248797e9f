"""The table behind a picture says what is drawn in it."""

import numpy as np
from matplotlib.figure import Figure
from synthetic import records

from experiments.plots.axes import log_axis
from experiments.plots.panel_tables import MOST_ROWS, panel_tables


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


def test_a_long_table_is_thinned_and_says_so():
    figure, axes = panel()
    axes.plot(range(100), range(100), label="tanh")
    (table,) = panel_tables(figure)
    assert len(table["rows"]) == MOST_ROWS
    assert (table["rows"][0][0], table["rows"][-1][0]) == ("0", "99")
    assert table["title"].endswith(f"({MOST_ROWS} of 100 rows)")


def test_every_line_of_a_drawn_figure_has_its_column():
    from experiments.plots import FIGURES

    made = FIGURES.bind("learning_curves")(records(activation=["sigmoid", "relu"], seed=[0, 1], steps=20))
    sheets = made.sheets if hasattr(made, "sheets") else [made]
    tables = [table for sheet in sheets for table in panel_tables(sheet)]
    assert tables
    assert all({"sigmoid", "relu"} <= {name.lower() for name in table["head"]} for table in tables)
