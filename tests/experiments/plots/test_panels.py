"""The sheet that all figures are laid out on: its panels, their names, and the places that stay empty."""

from experiments.plots.panels import in_rows, panel_sheet

from experiments.plots import style

HEAD = ("title", "caption")


def test_every_title_has_a_panel_and_places_left_over_are_hidden():
    _, grid = panel_sheet(HEAD, in_rows(["a", "b", "c"], 2))
    assert [panel.get_title(loc="left") for panel in grid.flat] == ["a", "b", "c", ""]
    assert [panel.get_visible() for panel in grid.flat] == [True, True, True, False]


def test_columns_asked_for_are_there_even_if_no_row_fills_them():
    _, grid = panel_sheet(HEAD, [["only"]], columns=3)
    assert [panel.get_visible() for panel in grid.flat] == [True, False, False]


def test_names_of_rows_and_long_titles_get_room():
    short, _ = panel_sheet(HEAD, [["a"] * 3])
    named, _ = panel_sheet(HEAD, [["a"] * 3], row_names=["row"])
    tall, _ = panel_sheet(HEAD, [["word " * 12] * 3])
    assert named.get_figwidth() > short.get_figwidth()
    assert any(text.get_text() == "row" for text in named.texts)
    assert tall.get_figheight() > short.get_figheight() + 0.2
    roomy, _ = panel_sheet(HEAD, [["a"] * 3], title_lines=len(style.wrap("word " * 12, style.PANEL_WIDTH)))
    assert roomy.get_figheight() == tall.get_figheight()
