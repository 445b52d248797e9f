"""A user's .csv, .npz and .parquet: read as pandas and numpy read them, or refused with the place."""

from __future__ import annotations

import io
import os
import struct
import zipfile

import numpy as np
import pandas as pd
import pytest
from hostile import FUZZ, damaged, is_refused, memory_below
from hypothesis import given
from hypothesis import strategies as st

from experiments.datasets import delimited, readers, tables
from experiments.datasets.readers import DataError

FLOWERS = "length,width,kind\n5.1,3.5,1\n4.9,3.0,1\n6.3,-3.3e0,7\n"
X = [[5.1, 3.5], [4.9, 3.0], [6.3, -3.3]]
Y = [0, 0, 1]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file of the working folder; the path is relative, as a user would give it."""
    monkeypatch.chdir(tmp_path)

    def _write(name: str, contents: bytes | str) -> str:
        (tmp_path / name).write_bytes(contents.encode() if isinstance(contents, str) else contents)
        return name

    return _write


def read_table(path: str, target=None, drop=()):
    """The inputs and labels of a table, with NaN for a gap."""
    table = tables.read_table(path, target, drop).for_task(None, path)
    assert set(table.notes) <= set(table.decisions) | {
        n for n in table.notes if "is taken for the labels" in n
    }
    return table.x, table.y


def npz(save=np.savez, **arrays) -> bytes:
    """The bytes of an NPZ as numpy writes it."""
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    """The bytes of a Parquet file as pandas writes it."""
    return frame.to_parquet()


LEARNS = "task='regression' learns it as a number"
STRAY = ", as others of the column are; mend it, or say drop="
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


def message(path: str, target=None) -> str:
    """What `read_table` says of a file that it refuses."""
    with pytest.raises(DataError) as error:
        tables.read_table(path, target).for_task(None, path)
    return str(error.value)


def assert_flowers(examples) -> None:
    x, y = examples
    np.testing.assert_array_equal(x, np.array(X), strict=True)
    np.testing.assert_array_equal(y, np.array(Y), strict=True)


# CSV


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


# NPZ


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "f4", "f2", "i1", "u8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npz_of_any_kind_of_number(write, save, dtype, order):
    x = np.array([[0, 1, 1], [1, 0, 0]], dtype, order=order)
    read, y = read_table(write("a.npz", npz(save, x=x, y=np.array([5, 3]), other=np.array("text"))))
    np.testing.assert_array_equal(read, x.astype(float), strict=True)
    assert y.tolist() == [1, 0]


def test_npz_images_become_rows(write):
    x = np.arange(24.0).reshape(2, 3, 4)
    assert read_table(write("a.npz", npz(x=x, y=[0, 1])))[0].tolist() == x.reshape(2, 12).tolist()


def test_npz_by_other_names(write):
    path = write("a.npz", npz(pixels=np.array(X), kind=np.array([1, 1, 7])))
    assert_flowers(read_table(path, "kind"))
    said = "a.npz: needs the inputs in an array 'x' and the labels in 'y', or say target=; it has "
    assert message(path) == f"{said}'pixels', 'kind'"


def with_member(**entry) -> bytes:
    """An NPZ whose x is what the entry says and whose y is good."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", entry.get("packing", zipfile.ZIP_DEFLATED)) as archive:
        archive.writestr("x.npy", entry["x"])
        labels = io.BytesIO()
        np.save(labels, np.array([0, 1]))
        archive.writestr("y.npy", labels.getvalue())
    return stream.getvalue()


def header(text: str) -> bytes:
    """The beginning of an .npy file with a header of this text."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 9)}"
SMALL_ARRAY = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1)}"
LARGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (60000000, 1)}"


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"PK", "a.npz: is not an NPZ (a ZIP of arrays), or is cut short"),
        (npz(x=np.array(X), y=[0, 1, 1])[:-30], "a.npz: is not an NPZ (a ZIP of arrays), or is cut short"),
        (
            npz(y=[0, 1]),
            "a.npz: needs the inputs in an array 'x' and the labels in 'y', or say target=; it has 'y'",
        ),
        (npz(x=X, y=[0, 1]), "a.npz: inputs (3, 2), labels (2,); (n, d) and (n,) are needed"),
        (npz(x=[1, 2], y=[0, 1]), "a.npz: inputs (2,), labels (2,); (n, d) and (n,) are needed"),
        (npz(x=np.zeros((0, 2)), y=[]), "a.npz: x: holds no examples (shape 0 × 2)"),
        (npz(x=3.0, y=[0, 1]), "a.npz: x: holds no examples (shape ())"),
        (npz(x=[[1.0], [np.inf]], y=[0, 1]), "a.npz: x[1, 0]: inf is not a finite number"),
        (npz(x=[[1.0], [2.0]], y=[0, np.nan]), "a.npz: y[1]: the label nan is not a finite number"),
        (npz(x=[["a"], ["b"]], y=[0, 1]), "a.npz: x: holds <U1, not numbers"),
        (npz(x=[[1j], [2j]], y=[0, 1]), "a.npz: x: holds complex128, not numbers"),
        (
            with_member(x=header(HUGE)),
            "a.npz: x: declares 1,000,000,000,000 × 9 numbers; at most 67,108,864 are read",
        ),
        (
            with_member(x=header(LARGE)),
            "a.npz: x: declares 60,000,000 × 1 float64, 480,000,000 bytes, and has 0",
        ),
        (
            with_member(x=header(HUGE.replace("10", "-10"))),
            "a.npz: x: holds no examples (shape -1,000,000,000,000 × 9)",
        ),
        (
            with_member(x=b"text"),
            "a.npz: cannot be read as NPZ: EOF: reading magic string, expected 8 bytes got 4",
        ),
        (with_member(x=header("os.system('echo')")), None),
        (with_member(x=header("(" * 5000)), None),
        (
            with_member(x=b"", packing=zipfile.ZIP_LZMA),
            "a.npz: x: packed by method 14, which numpy does not write",
        ),
    ],
)
def test_npz_what_is_wrong_is_said(write, contents, said):
    heard = message(write("a.npz", contents))
    assert heard.isprintable()
    assert said is None or heard == said


class Trap:
    """Leaves a folder behind if it is ever unpickled."""

    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_npz_is_never_unpickled(write):
    stored = np.empty((2, 1), object)
    stored[0, 0] = Trap()
    path = write("a.npz", npz(x=stored, y=[0, 1]))
    assert message(path) == "a.npz: x: holds object, not numbers"
    assert not os.path.exists("sprung")
    with np.load(path, allow_pickle=True) as arrays:
        arrays["x"]
    assert os.path.exists("sprung")  # it would have


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1), "a.npz: x: is not an array of plain numbers"),
        (header(SMALL_ARRAY), "a.npz: x: declares 2 × 1 float64, 16 bytes, and has 52,428,800"),
    ],
)
def test_npz_bombs_are_not_unpacked(write, start, said):
    path = write("a.npz", with_member(x=start + b" " * (50 * 2**20)))
    with memory_below(5 * 2**20):
        assert message(path) == said


def test_npz_whose_table_of_contents_promises_too_much_is_refused(write):
    contents = bytearray(with_member(x=header(LARGE)))
    held, promised = len(header(LARGE)), len(header(LARGE)) + 480_000_000
    entry = contents.index(b"PK\1\2")
    assert struct.unpack_from("<I", contents, entry + 24) == (held,)
    struct.pack_into("<I", contents, entry + 24, promised)
    assert message(write("a.npz", bytes(contents))).startswith("a.npz: cannot be read as NPZ: ")


def test_npz_with_a_table_of_contents_beyond_measure(write):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for i in range(2000):
            archive.writestr(f"{i}.npy", b"")
    assert message(write("a.npz", stream.getvalue())) == "a.npz: lists too many arrays"


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


def npy(array: np.ndarray) -> bytes:
    """The bytes of one array as numpy writes it."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@FUZZ
@given(
    member=damaged(
        npy(np.eye(2)), npy(np.asfortranarray(np.eye(2, 3, dtype=">f4"))), header(HUGE), header(LARGE)
    )
)
def test_fuzz_arrays_within_a_sound_npz(write, member):
    """The ZIP's checksum would hide most damage to an array; here it is right."""
    path = write("a.npz", with_member(x=member))
    if not is_refused(lambda: read_table(path), DataError):
        assert not np.isinf(read_table(path)[0]).any()
