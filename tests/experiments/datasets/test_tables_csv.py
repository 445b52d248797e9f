"""Text tables: every dialect, what is wrong with its line, and no more memory than a line takes."""

from __future__ import annotations

import numpy as np
import pytest
from flowers import FLOWERS, LEARNS, assert_flowers, message, read_table
from hostile import FUZZ, memory_below
from hypothesis import given
from hypothesis import strategies as st

from experiments.datasets import delimited

STRAY = ", as others of the column are; mend it, or say drop="


@pytest.mark.parametrize(
    "text",
    [
        FLOWERS,
        FLOWERS.replace(",", ";"),
        FLOWERS.replace(",", "\t"),
        FLOWERS.replace("\n", "\r\n"),
        FLOWERS.replace("\n", "\n\n"),
        "\ufeff" + FLOWERS,
        FLOWERS.removesuffix("\n"),
        FLOWERS.replace("length", '"length"').replace("3.5", '" 3.5 "'),
        FLOWERS.partition("\n")[2],
        "\ufeff" + FLOWERS.partition("\n")[2],
        "\n" + FLOWERS,
    ],
)
def test_csv_dialects(write, text):
    assert_flowers(read_table(write("a.csv", text)))


@pytest.mark.parametrize("target", ["kind", " kind ", 0, -3])
def test_csv_target_by_name_or_position(write, target):
    path = write("a.csv", "kind,length,width\n1,5.1,3.5\n1,4.9,3\n7,6.3,-3.3\n")
    assert_flowers(read_table(path, target.strip() if isinstance(target, str) else target))


@FUZZ
@given(
    rows=st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2)), min_size=9)
)
def test_csv_gives_back_every_bit(write, rows):
    rows = [*rows, (0.0, 0), (-0.0, 1)]  # two labels at the least
    path = write("a.csv", "".join(f"{value!r},{label}\n" for value, label in rows))
    assert read_table(path)[0].tobytes() == np.array([[value] for value, _ in rows]).tobytes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,0\nx,1\n", f"a.csv, line 3, column a: 'x' is not a number{STRAY}'a'"),
        ("1,0\n2,yes\n", f"a.csv, line 2, column 1 (the first is 0): 'yes' is not a number{STRAY}1"),
        ('"a\nb",c\n1,0\n\nx,1\n', f"a.csv, line 5, column 'a\\nb': 'x' is not a number{STRAY}'a\\nb'"),
        ("a,b\n1,0\n-1e999,1\n", "a.csv, line 3, column a: -inf is not a finite number"),
        ("a,b\n1,0\n1,1,1\n", "a.csv, line 3: 3 cells, where the first line has 2"),
        ("a,b\n1,0\n1\n", "a.csv, line 3: 1 cells, where the first line has 2"),
        (
            "a,b\n1,0\n1,0.5\n",
            "a.csv, line 3, column b: the label 0.5 is not a whole number; " + LEARNS,
        ),
        (
            "a,b\n1,0\n1,1e300\n",
            "a.csv, line 3, column b: the label 1e+300 is not a whole number of less than 2^53; " + LEARNS,
        ),
        ("a,b\n1,3\n1,3\n", "a.csv: every example has the label 3; two or more are needed"),
        ("a,b\n", "a.csv: holds no examples"),
        ("\n\n", "a.csv: holds no examples"),
        ("", "a.csv: is empty"),
        (
            "0\n1\n",
            "a.csv, line 1, column 0 (the first is 0): is the only column; inputs and a label are needed",
        ),
        ('a,b\n1,"0\n', "a.csv: cannot be read as CSV: line 2: unexpected end of data"),
        (b"a,b\n1,\xff\0\n", "a.csv: is not text in UTF-8 (byte 6)"),
    ],
)
def test_csv_what_is_wrong_is_said(write, text, said):
    assert message(write("a.csv", text)) == said


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("knd", "a.csv: has no column 'knd'. Did you mean 'kind'? It has length, width, kind"),
        (3, "a.csv: has no column 3, only 0 to 2"),
        (-4, "a.csv: has no column -4, only 0 to 2"),
    ],
)
def test_csv_no_such_target(write, target, said):
    assert message(write("a.csv", FLOWERS), target) == said


def test_csv_two_columns_of_the_targets_name(write):
    assert message(write("a.csv", "a,a\n1,0\n2,1\n"), "a") == "a.csv: has 2 columns 'a'; give a position"


def test_csv_too_many_labels_are_a_measurement(write):
    path = write("a.csv", "".join(f"0,{i}\n" for i in range(1001)))
    assert message(path) == (
        "a.csv: no column looks like labels: the last, 1 (the first is 0), has 1,001 different values in "
        "1,001 rows, as a measurement has. Say target= if another or this one is meant"
        "; a measurement is learnt as a number (a regression)"
    )
    assert message(path, 1) == (
        "a.csv: 1,001 different labels; at most 1,000 are read. Is the target a measurement? "
        "task='regression' learns it as a number"
    )


def test_csv_limits(write, monkeypatch):
    monkeypatch.setattr(delimited, "LARGEST_ARRAY", 8)
    assert message(write("a.csv", FLOWERS)).endswith("line 4: more than 8 numbers; that many are read")
    monkeypatch.setattr(delimited, "LARGEST_LINE", 10)
    assert message(write("a.csv", FLOWERS)).endswith("line 1: longer than 10 characters")


def test_csv_of_one_endless_line_takes_no_more_memory_than_a_line(write):
    path = write("a.csv", b"1" * (4 * delimited.LARGEST_LINE))
    with memory_below(4 * delimited.LARGEST_LINE):
        assert "longer than" in message(path)
