"""How titles say amounts, shares and settings, and how their lines are broken."""

from textwrap import wrap

import pytest
from made_up import grid, made
from synthetic import records

from experiments.plots import titles, value_names
from experiments.plots.axes import plainly
from experiments.plots.views import View, telling
from experiments.plots.wrapping import evenly

SEEDS = [0, 1, 2]


@pytest.mark.parametrize(
    ("value", "said"), [(0.236, "0.236"), (1.2e-12, "10⁻¹²"), (0.0, "nothing"), (0.05, "0.05"), (3e5, "10⁵")]
)
def test_amounts_are_short_and_zero_is_nothing(value, said):
    assert titles.amount(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (1.0, "1.00"), (0.999, "over 0.99"), (0.001, "under 0.01"), (0.123, "0.12"), (0.05, "0.05")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(value, said):
    assert titles.share(value) == said


@pytest.mark.parametrize(
    ("names", "values", "said"),
    [
        (["activation"], ["relu"], "ReLU"),
        (["depth", "activation"], [5, "tanh"], "tanh at depth 5"),
        (["activation", "init"], ["relu", "he_normal"], "ReLU with he_normal"),
        (["norm"], ["none"], "norm=none"),
        (["bias", "init"], ["zeros", "zeros"], "bias=zeros, init=zeros"),
        ([], [], "the network"),
    ],
)
def test_settings_are_spoken_as_a_sentence_names_them(names, values, said):
    assert titles.spoken(names, values) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0066, "0.0066"), (0.0147, "0.0147"), (2.4e-5, "2·10⁻⁵"), (3e-7, "10⁻⁷"), (2e31, "10³¹")],
)
def test_an_amount_has_digits_where_two_of_one_sentence_may_be_alike(value, said):
    assert titles.amount(value) == said


@pytest.mark.parametrize(
    ("name", "thing", "said"),
    [
        ("tanh", "gradient", "tanh’s gradient"),
        ("tanh", "", "tanh’s"),
        ("ReLU at depth 5", "gradient", "the gradient of ReLU at depth 5"),
        ("selu(alpha=2)", "", "that of selu(alpha=2)"),
    ],
)
def test_only_a_plain_name_has_a_genitive(name, thing, said):
    assert titles.owned(name, thing) == said


@pytest.mark.parametrize(("value", "said"), [(0, "none"), (1, "all"), (0.52, "0.52"), (0.999, "over 0.99")])
def test_a_portion_of_units_is_said_as_one_counts(value, said):
    assert titles.portion(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(1234.0, "1234"), (999.7, "1000"), (2.22449, "2.22"), (0.00099, "10⁻³")]
)
def test_a_number_that_is_said_plainly_has_no_e(value, said):
    assert plainly(value) == said


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (
            ["digits(test=0.8)", "digits(shift=1, test=0.8, scale=overall)"],
            ["digits", "digits(shift=1, scale=overall)"],
        ),
        (["digits(test=0.8)", "digits(scale=overall)"], ["digits(test=0.8)", "digits(scale=overall)"]),
        (["digits(test=0.8, shift=2)", "digits(test=0.8, shift=1)"], ["shift=2", "shift=1"]),
        (["digits(test=0.8)", "moons"], ["digits(test=0.8)", "moons"]),
        (["orthogonal(gain=1.5)", "he_normal", "orthogonal"], ["gain=1.5", "he_normal", "gain=1"]),
    ],
)
def test_options_that_all_texts_of_a_name_share_are_not_in_every_name(values, named):
    field = "init" if "he_normal" in values else "dataset"
    assert [*value_names.short(values, field).values()] == named


@pytest.mark.parametrize("most", range(14, 60, 5))
def test_a_title_has_lines_of_nearly_one_length_and_no_more_of_them(most):
    text = "Up to 0.52 of the units of init=pytorch_default are dead, in layer 10"
    first = wrap(text, most, break_long_words=False, break_on_hyphens=False)
    lines = evenly(first)
    assert " ".join(lines) == text
    assert len(lines) <= len(first)
    assert max(map(len, lines)) <= max(map(len, first))
    longest = max(map(len, text.split()))
    assert len(lines) == 1 or min(map(len, lines)) >= max(map(len, lines)) - longest - 1


def test_a_field_that_goes_with_another_does_not_name_a_setting_twice():
    runs = [
        *grid(init="he_normal", bias="zeros", seed=SEEDS),
        *grid(init="orthogonal", bias="pytorch_default", seed=SEEDS),
    ]
    view = View(made(runs), ("bias",), ("bias", "init"))
    assert telling(view) == ["init"]
    assert telling(View(records(init=["he_normal", "orthogonal"], depth=[2, 3]), (), ("depth", "init"))) == [
        "depth",
        "init",
    ]


def test_a_title_of_one_letter_or_none_is_itself():
    assert evenly(["A"]) == ["A"]
    assert evenly([]) == []
