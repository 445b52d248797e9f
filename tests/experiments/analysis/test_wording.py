"""Numbers in words."""

from math import inf, nan

import pytest

from experiments.analysis.wording import ten_to


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
