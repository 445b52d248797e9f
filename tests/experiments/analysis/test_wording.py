"""Numbers in words."""

from math import inf, nan

import pytest

from experiments.analysis.wording import percent, ten_to, within_sentence


@pytest.mark.parametrize(
    ("exponent", "said"),
    [
        (-5.7, "2.00e-6"),
        (-400, "1.00e-400"),
        (400.301, "2.00e400"),
        (-0.0001, "1.00e0"),  # rounded up to the next power
        (nan, "–"),
        (-inf, "0"),
        (inf, "inf"),
    ],
)
def test_a_power_of_ten_is_written_beyond_the_range_of_floats(exponent, said):
    assert ten_to(exponent) == said


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (-0.000332897, "-0.033 %"),
        (0.11, "11 %"),
        (-0.99994, "-100 %"),
        (1.0857, "109 %"),
        (9.0, "900 %"),
        (1.5e-9, "1.5e-7 %"),
        (0.0, "0 %"),
        (nan, "– %"),
    ],
)
def test_a_share_in_per_cent_has_no_exponent_where_it_is_large(share, said):
    assert percent(share) == said


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("Sigmoid passes back 0.2", "sigmoid passes back 0.2"),
        ("ReLU passes back 0.7", "ReLU passes back 0.7"),
        ("GELU’s norm rises", "GELU’s norm rises"),
        ("", ""),
    ],
)
def test_a_name_keeps_its_capitals_within_a_sentence(sentence, said):
    assert within_sentence(sentence) == said
