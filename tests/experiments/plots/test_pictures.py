"""How pictures look and what files they become: nothing cut off, type large enough, text as text."""

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from synthetic import records

from experiments.plots import FIGURES, Picture, sheets, style
from experiments.plots.canvas import STYLES, Canvas
from experiments.plots.labels import Line, broken, label_lines, row_names, spaced
from experiments.plots.panels import Panel, Words
from mlp.registry import RegistryError

ROOT = Path(__file__).resolve().parents[3]
FOUR = ["sigmoid", "tanh", "relu", "leaky_relu(slope=0.1)"]


@pytest.fixture(scope="session")
def ordinary():
    return records(activation=FOUR, depth=[2, 5, 8], seed=[0, 1, 2], dead=[("activation", "relu")])


@pytest.fixture(scope="session")
def made(ordinary):
    """Each picture once, drawn where it is looked at."""
    kept = {}

    def picture(text) -> Picture:
        if text not in kept:
            kept[text] = FIGURES.bind(text)(ordinary)
        return kept[text]

    return picture


# Sheets ---------------------------------------------------------------------------------------------------

UNDRAWN = {"activation_costs", "theory_residual", "deaths_and_recoveries"}  # these have tests of their own
ON_SCREEN = [name for name in FIGURES if name not in UNDRAWN]
ELSEWHERE = [
    "gradient_by_layer(style=slide)", "gradient_over_training(style=slide)", "ratio_by_depth(style=paper)",
    "learning_curves(panels=all, where=runs(depth=[2, 5]))",
]  # fmt: skip


@pytest.mark.parametrize("text", [pytest.param(n, marks=pytest.mark.slow) for n in ON_SCREEN] + ELSEWHERE)
def test_nothing_is_cut_off_and_nothing_lies_over_anything_else(made, text):
    for sheet in made(text).sheets:
        boxes = [(axes.get_title("left") or axes.get_label(), axes.get_tightbbox()) for axes in sheet.axes]
        boxes += [(text.get_text(), text.get_window_extent()) for text in sheet.texts if text.get_text()]
        boxes += [("legend", legend.get_window_extent()) for legend in sheet.legends]
        for (one, a), (two, b) in combinations(boxes, 2):
            common = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert min(common) <= 2, f"{one!r} lies over {two!r}"
        for what, box in boxes:
            inside = (
                box.x0 >= 0 and box.y0 >= 0 and box.x1 <= sheet.bbox.width and box.y1 <= sheet.bbox.height
            )
            assert inside, f"{what!r} is cut off"


def texts(sheet):
    return [text for text in sheet.findobj(Text) if text.get_text() and text.get_visible()]


def test_a_slide_has_the_shape_of_a_screen_and_no_type_under_24_points(made):
    (sheet,) = made("gradient_by_layer(style=slide)").sheets
    assert tuple(sheet.get_size_inches() * sheet.dpi) == pytest.approx((1920, 1080))
    assert min(text.get_fontsize() for text in texts(sheet)) >= 24
    assert len(sheet.axes) == 2


def test_a_paper_is_one_column_wide_and_a_pdf_with_text(made):
    picture = made("ratio_by_depth(style=paper)")
    assert picture.sheets[0].get_figwidth() == 3.4
    data = picture.files("ratio")["ratio.pdf"]
    assert data[:5] == b"%PDF-"
    assert b"/FontFile2" in data  # TrueType, fonttype 42: text that can be searched and edited
    assert b"/Subtype /Type3" not in data


def test_all_panels_come_in_sheets_that_keep_settings_whole():
    r = records(activation=["sigmoid", "relu"], depth=[1, 2, 3, 4, 5], seed=[0, 1], steps=5)
    picture = FIGURES.bind("learning_curves(panels=all)")(r)
    parts = sheets._parts(picture.chosen, picture.across)
    assert [len(part) for part in parts] == [12, 3]
    for part in parts:
        assert len(part) == 3 * len({panel.setting for panel in part})


def test_numbers_under_a_panel_do_not_touch():
    def draw(axes, scale):
        axes.set_xticks(range(40), [f"{1000 + i}" for i in range(40)])
        axes.set_xlabel("x")

    (sheet,) = Picture(Words("finding", "subtitle"), (Panel("a", draw),)).sheets
    boxes = [label.get_window_extent() for label in sheet.axes[0].get_xticklabels()]
    assert 3 < len(boxes) < 40
    assert all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:], strict=False))
    assert sheet.axes[0].get_xticklabels()[-1].get_text() == "1039"


# Labels ---------------------------------------------------------------------------------------------------


def test_every_line_is_named_beside_it_in_its_colour(made):
    for axes in made("gradient_by_layer(style=slide)").axes:
        lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
        labels = {text.get_text().replace("\n", ""): text for text in axes.texts if text.get_gid() == "label"}
        assert labels.keys() == lines.keys() == set(FOUR)
        assert all(labels[name].get_color() == line.get_color() for name, line in lines.items())
    assert not made("gradient_by_layer(theory=false, style=slide)").sheets[0].legends


def test_names_are_where_lines_lie_farthest_apart_and_in_their_order():
    axes = Figure().subplots()
    x = np.array([1.0, 2.0])
    lines = [Line(f"{i}", style.Look("#000000"), x, np.array([float(i), 0.0])) for i in range(3)]
    for line in lines:
        axes.plot(line.x, line.y, label=line.name)
    axes.set_ylim(-1, 3)
    axes.set_xlim(0.9, 2.1)
    label_lines(axes, lines)
    assert axes.get_xlim()[0] < 0.85  # room at the left, where the lines fan out
    assert axes.get_xlim()[1] == pytest.approx(2.1)
    heights = [text.xyann[1] for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == ["2", "1", "0"]
    assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize(
    ("wanted", "heights", "found"),
    [
        ([0.5], [0.1], [0.5]),
        ([0.9, 0.1], [0.1, 0.1], [0.9, 0.1]),
        ([0.5, 0.5], [0.1, 0.1], [0.55, 0.45]),
        ([0.5, 0.5, 0.5], [0.1, 0.1, 0.1], [0.6, 0.5, 0.4]),
        ([0.0, 0.0], [0.1, 0.1], [0.15, 0.05]),
        ([1.0, 1.0], [0.1, 0.2], [0.95, 0.8]),
    ],
)
def test_names_that_would_touch_form_a_block_around_their_places(wanted, heights, found):
    assert spaced(wanted, heights) == pytest.approx(found)


def test_more_lines_than_a_panel_has_room_for_go_grey_and_are_counted():
    axes = Figure(figsize=(4, 2)).subplots()
    x = np.array([1.0, 2.0])
    lines = [Line(f"line {i}", style.Look("#000000"), x, np.array([i, i], float)) for i in range(30)]
    for line in lines:
        axes.plot(line.x, line.y, label=line.name)
    label_lines(axes, lines)
    labels = [text.get_text() for text in axes.texts]
    named = [text for text in labels if text.startswith("line")]
    assert named[0] == "line 29"
    assert named[-1] == "line 0"
    assert f"{30 - len(named)} more, in grey" in labels
    assert sum(line.get_alpha() is not None for line in axes.lines) == 30 - len(named)


def test_a_long_name_is_broken_where_its_options_begin_and_never_in_a_word():
    assert broken("leaky_relu(slope=0.1)") == "leaky_relu\n(slope=0.1)"
    assert broken("scaled_normal(gain=10.15)") == "scaled_normal\n(gain=10.15)"
    assert broken("sigmoid") == "sigmoid"
    assert broken("a_very_long_name_without_options") == "a_very_long_name_without_options"


def test_names_of_rows_are_wrapped_only_where_they_would_leave_a_panel_no_width():
    """7 points, 0.57 of that a character: 5 inches hold 90 characters, 3.4 inches hold 61, of which 28."""
    long = "sigmoid, depth=8, init=scaled_normal(gain=10.15), lr=0.3"
    assert row_names([long, "relu"], 8.0, 7.0) == [long, "relu"]
    assert row_names([long, "relu"], 3.4, 7.0) == [
        "sigmoid, depth=8,\ninit=scaled_normal\n(gain=10.15), lr=0.3",
        "relu",
    ]


@pytest.mark.parametrize("style", ["screen", "paper"])
def test_long_names_of_rows_leave_a_panel_its_width_and_all_its_rows(style):
    """matplotlib warned that the layout "collapsed to zero", and drew the panel over the names."""
    inits = ["scaled_normal(gain=10.15)", "truncated_normal(sd=0.123456)"]
    some = records(activation=["sigmoid", "relu"], depth=[8], init=inits, norm=["none", "batch"], seed=[0, 1])
    picture = FIGURES["accuracy_by_setting"](some, style=style)
    (axes,) = picture.axes
    assert axes.get_position().width > 0.3
    assert len(axes.get_yticklabels()) == 8


# Themes, words, sizes -------------------------------------------------------------------------------------


def test_a_dark_picture_is_dark_and_its_text_and_lines_are_light(made):
    light, dark = (made(f"ratio_by_depth(theme={theme})").sheets[0] for theme in ("light", "dark"))

    def brightness(colour):
        return np.dot(to_rgb(colour), [0.2, 0.7, 0.1])

    assert brightness(dark.get_facecolor()) < 0.1 < 0.95 < brightness(light.get_facecolor())
    for sheet, is_readable in ((light, lambda b: b < 0.7), (dark, lambda b: b > 0.3)):
        assert all(is_readable(brightness(text.get_color())) for text in texts(sheet))
    colours = [[line.get_color() for line in sheet.axes[0].lines] for sheet in (light, dark)]
    assert colours[0] != colours[1]


def test_own_words_stand_in_place_of_the_figures(made):
    words = {
        "depth": "Tiefe",
        "first / last hidden layer": "erste / letzte Schicht",
        "title": "Es verschwindet",
    }
    picture = made("ratio_by_depth").on(words=words)
    said = [text.get_text() for text in texts(picture.sheets[0])]
    assert said[0] == picture.finding == "Es verschwindet" or "Es verschwindet" in said
    assert "erste / letzte Schicht" in said
    assert any(text.startswith("Tiefe") for text in said)
    assert not any(re.search(r"\bdepth\b", text) for text in said)
    assert "Tiefe" in picture.alt


def test_only_whole_words_are_replaced_the_longest_first():
    canvas = Canvas(words={"step": "Schritt", "steps": "Schritte", "layer 1": "Schicht 1"})
    assert (
        canvas.say("step, steps, layer 1, layer 10, footstep")
        == "Schritt, Schritte, Schicht 1, layer 10, footstep"
    )


def test_a_size_that_is_asked_for_is_the_size(made):
    (sheet,) = made("ratio_by_depth(size='6x4')").sheets
    assert tuple(sheet.get_size_inches()) == (6, 4)
    for wrong in ("'big'", "'0x4'", "'600x4'"):
        with pytest.raises(RegistryError, match="not a width and a height in inches"):
            FIGURES.bind(f"ratio_by_depth(size={wrong})")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_takes_the_options_of_look(name):
    text = f"{name}(panels=all, style=slide, theme=dark, format=svg, size='8x5')"
    assert FIGURES.canonical(text).endswith("(panels=all, style=slide, theme=dark, format=svg, size='8x5')")
    assert FIGURES.canonical(f"{name}(panels=few, style=screen)") == name


def test_a_slide_has_room_for_two_panels_at_most():
    assert STYLES["slide"].most == 2


# On axes of one's own -------------------------------------------------------------------------------------


def test_a_panel_is_drawn_on_axes_of_ones_own(made):
    figure = Figure()
    axes = figure.subplots()
    assert made("ratio_by_depth").draw(axes) == [axes]
    assert {line.get_label() for line in axes.lines} >= set(FOUR)
    two = Figure().subplots(1, 2)
    assert made("ratio_by_depth").draw(two) == list(two)


def test_a_figure_that_a_user_draws_with_matplotlib_is_a_picture_too():
    from experiments.plots.figure_table import with_look

    def mine(records):
        """My figure.

        How to read it.
        """
        figure = Figure(figsize=(2, 1))
        figure.text(0, 0, "mine")
        return figure

    found = with_look(mine)(None)
    assert found.finding == "My figure"
    assert found.how_to_read == "How to read it."
    assert set(found.files("mine")) == {"mine.svg", "mine.json"}


# Files ----------------------------------------------------------------------------------------------------


def test_files_are_one_picture_and_its_words_without_dates(made):
    found = made("ratio_by_depth(format=svg)").files("ratio")
    assert list(found) == ["ratio.svg", "ratio.json"]
    svg = found["ratio.svg"].decode()
    assert "<dc:date>" not in svg
    assert "Matplotlib" not in svg.split("<defs>")[0]
    assert ">sigmoid</text>" in svg  # text as text
    told = json.loads(found["ratio.json"])
    assert told["files"] == ["ratio.svg"]
    picture = made("ratio_by_depth(format=svg)")
    assert [told[key] for key in ("finding", "subtitle", "how_to_read", "alt")] == [
        picture.finding, picture.subtitle, picture.how_to_read, picture.alt,
    ]  # fmt: skip


def test_saving_writes_them(made, tmp_path):
    paths = made("ratio_by_depth").on(format="png").save(tmp_path / "figures", "ratio")
    assert [path.name for path in paths] == ["ratio.png", "ratio.json"]
    assert paths[0].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["ratio.json", "ratio.png"]


DRAWN = """
from hashlib import sha256
from experiments.plots import FIGURES
from synthetic import records
r = records(activation=["sigmoid", "relu"], depth=[3], seed=[0, 1], steps=0)
ratio, heat = (FIGURES[name](r) for name in ("ratio_by_depth", "gradient_over_training"))
files = {}
for picture, kind in ((ratio, "png"), (ratio, "pdf"), (heat, "svg")):
    files |= picture.on(format=kind).files(kind)
digests = {name: sha256(data).hexdigest() for name, data in files.items()}
"""
SAID = "import json, sys; print(json.dumps([digests, 'matplotlib.pyplot' in sys.modules]))"


def test_another_process_draws_the_same_bytes_and_never_loads_pyplot():
    here = {}
    exec(DRAWN, here)
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, "-c", DRAWN + SAID]
    there = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=path)
    digests, pyplot = json.loads(there.stdout)
    assert digests == here["digests"]
    assert not pyplot
