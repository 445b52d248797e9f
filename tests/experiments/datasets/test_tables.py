"""A user's .csv, .npz and .parquet: read as pandas and numpy read them, or refused with the place."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from flowers import FLOWERS, LEARNS, X, Y, assert_flowers, message, npz, parquet, read_table
from hostile import FUZZ, damaged, is_refused
from hypothesis import given
from hypothesis import strategies as st

from experiments.datasets import delimited, readers
from experiments.datasets.readers import DataError

MEASURED = [(i * i % 7 + 0.5, i % 5 + 0.25, i % 3) for i in range(30)]
COUNTED = [(i * i % 7, i % 5, i % 3) for i in range(30)]


def lines(rows, head=()) -> str:
    """Rows as CSV, below a first line if one is given."""
    return "".join(",".join(map(str, row)) + "\n" for row in ([head] if head else []) + list(rows))


@pytest.mark.parametrize("head", [(), (0, 1, 2), (1, 2, 3), ("0", "1", "kind"), ("a", "b", "y")])
def test_names_that_count_the_columns_are_no_example(write, head):
    x, y = read_table(write("a.csv", lines(MEASURED, head)))
    np.testing.assert_array_equal(x, np.array(MEASURED)[:, :2])
    np.testing.assert_array_equal(y, np.array(MEASURED)[:, 2].astype(int))


@pytest.mark.parametrize(
    ("text", "drop"),
    [
        ("\t", ()),
        ("a,b\n,\n,\n", ()),
        (",,\n,,\n", ()),
        ("a,b\n1.5,0\n2.5,1\n", ("a", "b")),
        ("a,b\n,0\n,1\n", ("b",)),
    ],
)
def test_a_table_without_any_column_that_says_something_is_refused(write, text, drop):
    with pytest.raises(DataError, match="no column is left"):
        read_table(write("a.csv", text), drop=drop)


@pytest.mark.parametrize(
    "comment", ['"a", "b" and more', 'of "men", in cm', '"a","b"\x01\x00', '"a,b', "it's, so"]
)
def test_a_comment_may_hold_quotation_marks_anywhere(write, comment):
    x, _ = read_table(write("a.csv", f"# {comment}\n{lines(MEASURED)}"))
    np.testing.assert_array_equal(x, np.array(MEASURED)[:, :2])


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
def test_a_line_longer_than_the_longest_cell_is_divided(write, separator):
    """Python's csv takes 131,072 characters for a cell, which the whole line is by another separator."""
    row = separator.join(["0.12345"] * 20_000)
    layout = delimited.survey(write("a.csv", f"{row}{separator}a\n{row}{separator}b\n"))
    assert (layout.separator, layout.width, layout.names) == (separator, 20_001, None)


@pytest.mark.parametrize("comment", ["x" * 140_000, '"' + "x," * 70_000, "x " * 70_000])
@pytest.mark.parametrize("head", ["", "a,b,y\n"])
def test_a_comment_may_be_long(write, comment, head):
    x, _ = read_table(write("a.csv", f"# {comment}\n{head}{lines(MEASURED)}"))
    np.testing.assert_array_equal(x, np.array(MEASURED)[:, :2])


def test_numbers_at_the_ends_of_the_format_are_read_without_a_warning(write):
    ends = [1.7976931348623157e308, -9.97e291, -1.7976931348623157e308, 0.0, -999.0] * 3
    x, _ = read_table(write("a.csv", "a,b,y\n" + "".join(f"{v!r},{i},{i % 2}\n" for i, v in enumerate(ends))))
    assert x[:, 0].tolist() == ends


def test_a_cell_that_is_too_long_is_said_with_its_line(write):
    for row in (2, 300):  # among the lines that are looked at first, and beyond
        text = "".join(f"{'x' * (140_000 if i == row else 3)},{i},{i % 2}\n" for i in range(1, 400))
        assert message(write("a.csv", text)) == (
            f"a.csv: cannot be read as CSV: line {row}: a cell has more than 131,072 characters"
        )


def test_a_column_of_a_word_and_a_gap_is_no_traceback(write):
    assert message(write("a.csv", "1,02\x1c\x001\n(\n,"))
    assert message(write("b.csv", "1,0\n(,\n,1\n"))
    assert message(write("c.csv", "1,0,\nC\nC"))  # no summary as scikit-learn writes it: no inputs


@pytest.mark.parametrize("columns", [4, 5, 17])
def test_what_pandas_writes_without_names_is_read_as_written(write, columns, rng):
    numbers = rng.integers(0, 3, (30, columns))
    x, y = read_table(write("a.csv", pd.DataFrame(numbers).to_csv(index=False)))
    np.testing.assert_array_equal(x, numbers[:, :-1])
    np.testing.assert_array_equal(y, numbers[:, -1])


@pytest.mark.parametrize("first", ["0,1,2\n", "1,2,3\n"])
def test_a_first_line_that_may_be_either_is_refused(write, first):
    assert message(write("a.csv", first + lines(COUNTED))) == (
        f"a.csv, line 1: {first.strip()} may be an example or count the columns; name the columns"
    )
    assert len(read_table(write("b.csv", lines([(0, 1, 1)]) + lines(COUNTED)))[1]) == 31  # this is an example


@pytest.mark.parametrize(("first", "found"), [("5.1,3.5,setosa", "'setosa'"), ("x,-,0", "'x'")])
def test_a_word_among_numbers_in_the_first_line_is_asked_about(write, first, found):
    assert message(write("a.csv", f"{first}\n{lines(MEASURED)}")) == (
        f"a.csv, line 1: {found} among numbers: a gap in an example, or a name? Fill it, or put names first"
    )


@pytest.mark.parametrize("first", ["?,1.5,0", "1.5,NA,0", "1.5,,0", ",1.5,0", "1.5,-,0"])
def test_a_gap_in_the_first_line_is_not_taken_for_a_name(write, first):
    x, y = read_table(write("a.csv", f"{first}\n{lines(MEASURED)}"))
    assert (len(y), np.isnan(x[0]).sum(), np.isnan(x).sum()) == (31, 1, 1)


@pytest.mark.parametrize("cell", ["1_0", "1_000.5", "0x10", "1,5", "ten"])
def test_a_number_is_spelled_as_files_spell_it(write, cell):
    assert "is not a number" in message(write("a.csv", f'a,b\n1.5,0\n"{cell}",1\n'))


@pytest.mark.parametrize("large", [2**53, -(2**53) - 1, 2**62])
def test_labels_that_float64_would_merge_are_told_apart(write, large):
    labels = np.array([0, 1, large, large + 1])
    x = np.arange(4.0)[:, None]
    expected = np.unique(labels.tolist(), return_inverse=True)[1]
    assert len(set(expected)) == 4
    write("a.csv", lines(zip(x[:, 0], labels.tolist(), strict=True)))
    write("a.npz", npz(x=x, y=labels))
    write("a.parquet", parquet(pd.DataFrame({"a": x[:, 0], "y": labels})))
    for path in ("a.csv", "a.npz", "a.parquet"):
        np.testing.assert_array_equal(read_table(path)[1], expected)
    said = "is not a whole number of less than 2^53"
    assert said in message(write("b.npz", npz(x=x, y=labels.astype(float))))


# Parquet


def test_parquet_leaves_the_index_out(write):
    frame = pd.DataFrame(
        {"a": [5.1, 4.9, 6.3], "b.c": [3.5, 3.0, -3.3], "kind": [1, 1, 7]}, index=list("xyz")
    )
    assert_flowers(read_table(write("a.parquet", parquet(frame))))
    frame = frame.rename_axis("name")
    assert_flowers(read_table(write("a.parquet", parquet(frame)), "kind"))


def test_parquet_of_truth_values(write):
    frame = pd.DataFrame({"a": [True, False], "kind": [False, True]})
    x, y = read_table(write("a.parquet", parquet(frame)))
    assert (x.tolist(), y.tolist()) == ([[1.0], [0.0]], [0, 1])


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"PAR1", None),
        (
            parquet(pd.DataFrame({"a": [1.0, np.inf], "b": [0, 1]})),
            "a.parquet, row 1 (the first is 0), column a: inf is not a finite number",
        ),
        (
            parquet(pd.DataFrame({"a": [[1], [2]], "b": [0, 1]})),
            "a.parquet: column a holds list<element: int64>, not numbers or texts; leave it out: drop='a'",
        ),
        (
            parquet(pd.DataFrame({"a": [], "b": []}, dtype=float)),
            "a.parquet: holds no examples (shape 0 × 2)",
        ),
        (
            parquet(pd.DataFrame({"a": [1.0, 2.5], "b": [0.0, 0.5]})),
            "a.parquet, row 1 (the first is 0), column b: the label 0.5 is not a whole number; " + LEARNS,
        ),
    ],
)
def test_parquet_what_is_wrong_is_said(write, contents, said):
    heard = message(write("a.parquet", contents))
    assert said is None or heard == said


# All three


def test_three_formats_one_table(write):
    frame = pd.read_csv(io.StringIO(FLOWERS))
    write("a.csv", FLOWERS)
    write("a.parquet", parquet(frame))
    write("a.npz", npz(x=frame[["length", "width"]].to_numpy(), y=frame["kind"].to_numpy()))
    for path in ("a.csv", "a.parquet", "a.npz"):
        assert_flowers(read_table(path))


def test_other_files_and_sizes_are_refused(write, monkeypatch):
    assert message("a.xlsx") == (
        "a.xlsx: its name ends in none of .csv, .tsv, .txt, .data, .tab, .dat, .npz, .parquet; a text may be "
        "packed, as in .csv.gz"
    )
    assert message("a.csv") == "a.csv: no such file"
    monkeypatch.setattr(readers, "LARGEST_FILE", 9)
    for name in ("a.csv", "a.npz", "a.parquet"):
        assert "at most 9 are read" in message(write(name, b"0" * 10))


SMALL = {
    "a.csv": [FLOWERS.encode(), FLOWERS.replace(",", ";").encode(), b'"a","b"\n1,0\n2,1\n'],
    "a.npz": [npz(s, x=np.array(X), y=np.array(Y)) for s in (np.savez, np.savez_compressed)],
    "a.parquet": [parquet(pd.read_csv(io.StringIO(FLOWERS)))],
}


@pytest.mark.parametrize("name", SMALL)
@FUZZ
@given(data=st.data())
def test_fuzz_tables(write, name, data):
    path = write(name, data.draw(damaged(*SMALL[name])))
    if not is_refused(lambda: read_table(path), DataError):
        x, y = read_table(path)
        assert not np.isinf(x).any()
        assert len(x) == len(y)
        assert set(np.unique(y)) == set(range(y.max() + 1))
