"""What figures show, by their artists and never by pixels; every figure of FIGURES is tested unasked."""

import re
from dataclasses import replace
from inspect import Parameter, signature

import pytest
from figure_cases import CASES, caption, case, picture
from matplotlib.figure import Figure

from experiments.config.kinds import resolve
from experiments.plots import FIGURES
from experiments.plots.figure_table import sentences
from experiments.plots.panel_tables import panel_tables
from mlp.probes import PROBES, UNIT_PROBES
from mlp.registry import RegistryError

# Every figure

# Measured when it is drawn, and of records with a shock alone: these have tests of their own.
UNTIMED = {"activation_costs", "deaths_and_recoveries"}
OTHERS = [c for c in CASES if c != "ordinary"]
SLOW = {"many activations", "long names", "untrained", "single run", "one layer", "none finished"}


@pytest.mark.parametrize("name", [pytest.param(c, marks=[pytest.mark.slow] * (c in SLOW)) for c in OTHERS])
@pytest.mark.parametrize("figure", [name for name in FIGURES if name not in UNTIMED])
def test_every_figure_of_any_records_is_drawn_names_its_axes_and_has_words(figure, name):
    """Without a warning, for these are errors; what there is nothing of is left out or said."""
    found = picture(figure, name)
    drawn = shown(found)
    for axes in drawn:
        assert axes.has_data() or axes.texts
        assert axes.get_xlabel() or not axes.has_data()
        for label in (axes.get_xlabel(), axes.get_ylabel()):
            assert "1 = nearest the input" in label or not label.startswith("layer")
    tables = panel_tables(drawn[0].figure)
    pictures_alone = sum(axes.has_data() for axes in drawn[2:]) if figure == "boundary" else 0  # of the plane
    assert len(tables) == sum(axes.has_data() for axes in drawn) - pictures_alone
    for table in tables:
        assert table["rows"]
        assert {len(row) for row in table["rows"]} == {len(table["head"])}
        assert len({row[0] for row in table["rows"]}) == len(table["rows"]), (
            "rows are told apart by their names"
        )
        assert "–" not in {row[0] for row in table["rows"]}
    assert found.finding
    assert "nan" not in found.alt


# theory_residual shows nothing without theory, which is not asked here, and seeds_choice no medians of seeds.
UNTOLD = {"theory_residual", "seeds_choice", *UNTIMED}


@pytest.mark.parametrize("figure", [n for n in FIGURES if "where" in FIGURES.options(n) and n not in UNTOLD])
def test_every_figure_of_records_states_seeds_examples_and_lost_runs(figure):
    case("lost").layers.attrs["measured_on"] = "1437 training examples"
    found = picture(figure, "lost")
    words = caption(found)
    subtitle, guide = sentences(FIGURES[figure])
    assert subtitle in (found.subtitle, found.finding)
    assert found.how_to_read == guide
    assert guide in words
    assert "edian of 6 seeds" in words
    assert "Measured on 1437 training examples." in words
    lost = "(6 of 12|18 of 36) runs diverged, left out from that step on \\(sigmoid: (6|18)\\)\\."
    assert re.search(lost, words), "of all depths, or of the deepest networks alone"
    assert re.search("Throughout: (depth=20, )?width=64, dataset=digits, ", words)
    assert "optimiser=sgd, lr=0.05, steps=300." in words


def test_a_figure_of_one_seed_says_so():
    assert "One seed, hence no interval." in caption(picture("gradient_by_layer", "single run"))


def shown(found):
    """The axes of the panels that answer the question."""
    grid = Figure(figsize=(4 * len(found.chosen), 3)).subplots(1, len(found.chosen), squeeze=False)[0]
    return found.draw(grid)


@pytest.mark.parametrize("figure", [name for name in FIGURES if name not in UNTIMED])
def test_every_figure_has_one_to_four_panels_unless_all_are_asked_for(figure):
    found = picture(figure, "lost")
    assert 1 <= len(found.chosen) <= 4
    assert len(found.on(style="slide").chosen) <= 2
    assert found.on(every=True).chosen == list(found.panels)
    assert {panel.title for panel in found.chosen} <= {panel.title for panel in found.panels}


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_resolves_in_a_config_without_being_drawn(figure):
    assert resolve("figure", figure) == figure
    records_first = next(iter(signature(FIGURES[figure]).parameters.values()))
    assert records_first.default is Parameter.empty


NEEDS = [(name, probe) for name, figure in FIGURES.items() for probe in getattr(figure, "needs", ())]


@pytest.mark.parametrize(("figure", "probe"), NEEDS)
def test_every_figure_says_which_probe_it_lacks(figure, probe):
    r = case("ordinary")
    if probe == "plane":
        without = replace(r, plane=r.plane[:0])
    else:
        frame = "layers" if probe in PROBES else "units" if probe in UNIT_PROBES else "bins"
        without = replace(r, **{frame: getattr(r, frame).drop(columns=probe)})
    with pytest.raises(ValueError, match=f"needs {probe}, which was not recorded"):
        FIGURES[figure](without)


@pytest.mark.parametrize("text", ["gradient_by_layer(hue=actvation)", "gradient_by_layer(colour=init)"])
def test_a_misspelt_option_or_field_is_found_before_anything_is_drawn(text):
    with pytest.raises(RegistryError):
        FIGURES.bind(text)
