"""Every text of every figure is whole and alone in its place, in every style; no title takes four lines."""

from itertools import combinations

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from synthetic import records

from experiments.plots import FIGURES, Picture, style
from experiments.plots.canvas import STYLES
from experiments.plots.labels import _with
from experiments.plots.panels import Panel, Words
from experiments.plots.wrapping import evenly, halved, width_of, wrapped

TOUCH = 0.02  # inches by which the boxes of two texts may overlap: their letters do not fill them
UNDRAWN = {"activation_costs", "theory_residual"}  # timed, or with a theory: these have tests of their own
LONG = ["normal(std=0.01)", "pytorch_default", "lecun_normal", "he_normal", "orthogonal", "xavier_normal",
        "scaled_normal", "scaled_normal(gain=auto_gradient)"]  # fmt: skip
SHOCKED = [f"shock(at=5, factor={factor})" for factor in (50, 100, 200)]


def written(sheet):
    """The texts that are seen on a sheet, with their boxes in inches."""
    sheet.draw_without_rendering()  # which gives legends and the names beside lines their places
    seen = [*sheet.texts, *(text for legend in sheet.legends for text in legend.get_texts())]
    for axes in sheet.axes:
        seen += [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes._left_title]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            places = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
            seen += [label for place, label in places if low <= place <= high]
    seen = [text for text in seen if text.get_text().strip() and text.get_visible()]
    inches = sheet.dpi_scale_trans.inverted()
    return [
        (text.get_text(), Text.get_window_extent(text).transformed(inches)) for text in seen
    ]  # no leaders


def faults(picture):
    """What a reader would complain of."""
    found = []
    for sheet in picture.sheets:
        with style.own_look(**picture.canvas.settings()):
            texts = written(sheet)
        wide, high = sheet.get_size_inches()
        found += [
            f"{text!r} is cut off"
            for text, box in texts
            if min(box.x0, box.y0, wide - box.x1, high - box.y1) < -TOUCH / 2
        ]
        for (one, a), (two, b) in combinations(texts, 2):
            if min(min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)) > TOUCH:
                found.append(f"{one!r} lies over {two!r}")
        if (lines := sheet.texts[0].get_text().count("\n") + 1) > 3:
            found.append(f"the title has {lines} lines: {picture.finding}")
    return found


@pytest.fixture(scope="module")
def some():
    """Records with what is hard to draw: long names, an oversized step, many layers; made when asked for."""
    kinds = {
        "ordinary": {"activation": ["sigmoid", "tanh", "relu", "leaky_relu(slope=0.1)"], "depth": [2, 5, 8]},
        "long": {"activation": ["sigmoid", "relu"], "init": LONG, "depth": [5, 50], "steps": 0},
        "two": {
            "activation": ["relu"],
            "norm": ["none", "batch", "layer"],
            "residual": [0.0, 0.2],
            "depth": 8,
        },
        "shocked": {"activation": ["relu"], "schedule": ["constant", *SHOCKED], "depth": 3, "steps": 200},
        "deep": {"activation": "sigmoid", "dtype": ["float32", "float64"], "depth": [20, 500], "steps": 0},
    }
    kept = {}

    def made(kind):
        if kind not in kept:
            kept[kind] = records(**kinds[kind], seed=[0, 1])
        return kept[kind]

    return made


# Each was cut off, overprinted or four lines long once.
HARD = [
    ("long", "gradient_by_layer(hue=init, theory=false)"), ("long", "factors_by_setting"),
    ("shocked", "learning_curves(hue=schedule)"), ("shocked", "dead_and_saturated"),
    ("two", "learning_curves(hue=[norm, residual])"), ("deep", "gradient_by_layer(theory=false)"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), HARD)
def test_no_text_of_a_slide_is_cut_off_or_lies_over_another(some, kind, text):
    assert faults(FIGURES.bind(text)(some(kind)).on(style="slide")) == []


@pytest.mark.slow
@pytest.mark.parametrize("look", STYLES)
@pytest.mark.parametrize(
    ("kind", "text"), [("ordinary", name) for name in FIGURES if name not in UNDRAWN] + HARD
)
def test_no_text_of_any_figure_is_cut_off_or_lies_over_another(some, kind, text, look):
    try:
        picture = FIGURES.bind(text)(some(kind))
    except ValueError as error:
        pytest.skip(f"these records do not hold what it shows: {error}")
    assert faults(picture.on(style=look)) == []


def test_a_slide_has_one_panel_where_names_at_its_lines_are_long():
    one, two = (Panel("", print, beside=letters) for letters in (13, 12))
    assert len(Picture(Words("a", "b"), (one, two), (0, 1)).on(style="slide").chosen) == 1
    assert len(Picture(Words("a", "b"), (two, two), (0, 1)).on(style="slide").chosen) == 2
    assert len(Picture(Words("a", "b"), (one, two), (0, 1)).chosen) == 2


def test_rows_that_the_title_speaks_of_stay():
    assert _with([3], [0, 2, 5, 9]) == [0, 3, 5, 9]
    assert _with([0, 9], [0, 4, 9]) == [0, 4, 9]
    assert _with([8, 1], [0, 9]) == [1, 8]


def test_faults_are_found():
    """The world in which the checks above fail."""

    def draw(axes, scale):
        axes.text(0.5, 0.5, "one")
        axes.text(0.5, 0.5, "two")
        axes.text(0.9, 0.2, "a text that leaves the sheet at its right edge", in_layout=False)

    told = faults(
        Picture(Words("A title " + 20 * "of many words ", "subtitle"), (Panel("", draw),)).on(style="slide")
    )
    assert "'one' lies over 'two'" in told
    assert "'a text that leaves the sheet at its right edge' is cut off" in told
    assert any(text.startswith("the title has ") for text in told)


def test_the_width_of_a_text_is_that_in_which_it_is_drawn():
    figure = Figure(figsize=(10, 2), dpi=100)
    for size, weight in ((10, "normal"), (32, "bold")):
        drawn = figure.text(0, 0, "Sigmoid passes back 0.236", size=size, weight=weight).get_window_extent()
        found = width_of("Sigmoid passes back 0.236", size, bold=weight == "bold")
        assert found == pytest.approx(drawn.width / 100, rel=0.03)  # pixels round every letter's width


@pytest.mark.parametrize("inches", [1.5, 3.0, 6.0])
def test_lines_are_no_wider_than_the_room_and_lose_no_word(inches):
    text = "Sigmoid passes back 0.236 per layer; after 20 layers 10⁻¹² is left"
    for lines in (wrapped(text, inches, 16, bold=True), evenly(wrapped(text, inches, 16, bold=True))):
        assert " ".join(lines) == text
        assert max(width_of(line, 16, bold=True) for line in lines) <= inches


def test_the_name_of_an_axis_is_broken_in_its_middle():
    assert halved("first / last hidden layer") == "first / last\nhidden layer"
    assert halved("accuracy") == "accuracy"
