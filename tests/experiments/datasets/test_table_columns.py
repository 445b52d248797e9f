"""Tables as people keep them: which column is the label, and what becomes of words, gaps and row numbers.

Each small table has the shape of a public one, which its comment names; the numbers are made up.
"""

from __future__ import annotations

import gzip
import io

import numpy as np
import pandas as pd
import pytest

from experiments.datasets import DataError, catalogue, decisions, load
from experiments.datasets.preparation import Parts, without_gaps
from experiments.datasets.tables import read_table

KINDS = ["ant", "bee", "cat"]
ROWS = [(f"{i * i % 7}.5", f"{i * 3 % 5}.25", KINDS[i % 3]) for i in range(30)]
X = np.array([[float(a), float(b)] for a, b, _ in ROWS])
Y = np.arange(30) % 3


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file of the working folder and return its name."""
    monkeypatch.chdir(tmp_path)
    catalogue._load.cache_clear()
    catalogue._fingerprint.cache_clear()

    def _write(name: str, contents: bytes | str) -> str:
        (tmp_path / name).write_bytes(contents.encode() if isinstance(contents, str) else contents)
        return name

    return _write


def text(rows=ROWS, head: str = "", separator: str = ",") -> str:
    """Rows as text, below a first line."""
    return head + "".join(separator.join(map(str, row)) + "\n" for row in rows)


def message(path: str, **options) -> str:
    with pytest.raises(DataError) as error:
        read(path, **options)
    return str(error.value)


def read(path: str, **options):
    """The table with its target settled, as nothing says whether it is a class."""
    return read_table(path, **options).for_task(None, path)


PACKED = text(head="a,b,kind\n").encode()
NUMBERED = [(a, b, i % 3) for i, (a, b, _) in enumerate(ROWS)]
SHAPES = {
    "headless.data": text(),  # UCI's iris.data: the classes in words, in the last column
    "named.csv": text(head="a,b,kind\n"),
    "tabs.TSV": text(head="a\tb\tkind\n", separator="\t"),
    "pipes.txt": text(head="a|b|kind\n", separator="|"),
    "blanks.dat": text([("  " + a, b, kind) for a, b, kind in ROWS], separator="   "),  # UCI's seeds
    "comma.csv": text(head="a;b;kind\n", separator=";").replace(".", ","),  # a German spreadsheet's
    "v1.2.final.CSV": text(head="a,b,kind\n"),
    "packed.csv.gz": gzip.compress(PACKED),
    "members.csv.gz": gzip.compress(PACKED[:100]) + gzip.compress(PACKED[100:]),
    "index.csv": pd.DataFrame(ROWS, columns=["a", "b", "kind"]).to_csv(),  # pandas without index=False
    "r.csv": text([(f'"row {i}"', *row) for i, row in enumerate(ROWS)], head='"a","b","kind"\n'),  # R
    "r.txt": text([(f"obs{i}", *row) for i, row in enumerate(ROWS)], "a b kind\n", " "),  # R's write.table
    "summary.csv": text(NUMBERED, head="30,2,ant,bee,cat\n"),  # scikit-learn's wine_data.csv
    "savetxt.txt": text(NUMBERED, head="# measured in May\n# a b y\n", separator=" "),  # numpy.savetxt
    "first.csv": text([(kind, a, b) for a, b, kind in ROWS], head="diagnosis,a,b\n"),  # UCI's wdbc
    "id.csv": text([(i + 1, *row) for i, row in enumerate(ROWS)], head="Id,a,b,Species\n"),  # Kaggle's iris
    "empty.csv": text([(*row, "") for row in ROWS], head="a,b,species,\n"),  # a trailing separator
    "bom.csv": "\ufeff" + text(head="a,b,kind\n").replace("\n", "\r\n"),
    "utf16.txt": text(head="a\tb\tkind\n", separator="\t").encode("utf-16"),  # Excel's "Unicode text"
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_of_a_table_is_the_same_examples(write, name):
    table = read(write(name, SHAPES[name]))
    np.testing.assert_array_equal(table.x, X, strict=True)
    np.testing.assert_array_equal(table.y, Y)
    assert table.classes in (tuple(KINDS), ("0", "1", "2"))
    assert any(sentence.startswith("classes and their examples: 0 = ") for sentence in table.decisions)
    assert any("33.3%" in sentence for sentence in table.decisions)
    left_out = name in ("index.csv", "r.csv", "r.txt", "id.csv", "empty.csv")
    assert any("is left out" in sentence for sentence in table.notes) == left_out
    assert set(table.notes) <= {*table.decisions, *(n for n in table.notes if "is taken for" in n)}


OLDER = {"cp1252": "Windows-1252", "latin-1": "Latin-1"}


@pytest.mark.parametrize(
    ("encoding", "letter", "end"),
    [(encoding, "é", end) for encoding in ("utf-8", "utf-8-sig", "utf-16") for end in (".csv", ".csv.gz")]
    + [("cp1252", "œ", ".csv"), ("cp1252", "œ", ".csv.gz"), ("latin-1", "é\x81", ".csv")],
)
def test_a_table_is_read_in_the_encoding_that_it_was_written_in(write, encoding, letter, end):
    kinds = [kind.replace("a", letter).replace("e", letter) for kind in KINDS]
    rows = [(*row[:2], kinds[i % 3]) for i, row in enumerate(ROWS)]
    raw = text(rows, head="a,b,kind\n").encode(encoding)
    table = read(write(f"a{end}", gzip.compress(raw) if end.endswith("gz") else raw))
    assert set(table.classes) == set(kinds)
    said = [note for note in table.decisions if "is not in UTF-8" in note]
    assert [OLDER[encoding] in note for note in said] == [True] * (encoding in OLDER)


def test_a_text_that_turns_out_not_to_be_utf_8_after_a_megabyte_is_read(write):
    raw = text(ROWS, head="a,b,kind\n") + "1.0,2.0,ant\n" * 100_000 + "1.0,2.0,b\xe9e\n" * 3
    table = read(write("a.csv", raw.encode("latin-1")))
    assert "b\xe9e" in table.classes


def test_blanks_and_a_tab_may_separate_the_cells_of_one_line(write):
    """As in UCI's auto-mpg.data: numbers between blanks, then a tab and a name in quotes."""
    lines = [
        f'{i % 7 + 0.5}   {i % 3}   {"?" if i == 4 else i % 5}      \t"a car {i % 4}"' for i in range(40)
    ]
    table = read_table(write("a.data", "\n".join(lines) + "\n"), target=1)
    np.testing.assert_array_equal(table.x[:, 0], [i % 7 + 0.5 for i in range(40)])
    assert np.isnan(table.x[4, 1])
    assert table.classes == ("0", "1", "2")
    assert table.x.shape == (40, 6)  # two numbers, and an input for each of four names


def test_a_share_in_per_cent_is_a_number(write):
    table = read_table(write("a.csv", "a,kind\n" + "".join(f"{i} %,{KINDS[i % 3]}\n" for i in range(30))))
    np.testing.assert_array_equal(table.x[:, 0], range(30))


@pytest.mark.parametrize(("value", "told"), [(-999, True), (-1, False), (3, False)])
def test_a_number_that_may_stand_for_a_gap_is_told(write, value, told):
    rows = [(value if i % 10 == 0 else i % 7 + 0.5, KINDS[i % 3]) for i in range(30)]
    notes = read_table(write("a.csv", text(rows, head="a,kind\n"))).notes
    assert any("column 'a' holds -999 3 times, far from its other numbers" in note for note in notes) == told


def test_words_become_inputs_of_0_and_1_and_a_gap_a_value_of_its_own(write):
    colours = ["red", "blue", "NA", "red", "blue", "red"] * 5
    rows = [(colour, i % 4 + 0.5, i % 2 == 0, KINDS[i % 3]) for i, colour in enumerate(colours)]
    table = read(write("a.csv", text(rows, head="colour,size,male,kind\n")), target="kind")
    expected = [[c == "blue", c == "red", c == "NA", size, male] for c, size, male, _ in rows]
    np.testing.assert_array_equal(table.x, np.array(expected, float))
    assert "texts become inputs of 0 or 1, one for each value: 'colour' (3)" in table.decisions


@pytest.mark.parametrize("labels", [("yes", "no"), ("True", "False"), (1, -1), (1.0, 2.0), ("b", "g")])
def test_labels_of_every_kind_are_numbered_in_their_order(write, labels):
    rows = [(i * 7 % 11 + 0.5, labels[i % 2]) for i in range(20)]
    y = read(write("a.csv", text(rows, head="a,b\n"))).y
    order = sorted(labels)
    np.testing.assert_array_equal(y, [order.index(labels[i % 2]) for i in range(20)])


def test_columns_are_left_out_by_name_and_position(write):
    path = write("a.csv", text([(i % 7, *row) for i, row in enumerate(ROWS)], head="batch,a,b,kind\n"))
    assert read_table(path).x.shape == (30, 3)
    for drop in (["batch"], [0], [-4]):
        np.testing.assert_array_equal(read_table(path, drop=drop).x, X)
    assert message(path, drop=["bach"]).startswith("a.csv: has no column 'bach'. Did you mean 'batch'?")
    assert message(path, target="kind", drop=["kind"]) == "a.csv: column 'kind' is both target and dropped"
    assert len(load("file(path=a.csv, drop=[batch, b])").x[0]) == 1


# What is asked back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "rows", "said"),
    [
        (  # seaborn's titanic: several columns of words, the label in none of the usual places
            "survives,sex,alone\n",
            [(i % 2, "mf"[i % 2], ["yes", "no"][i % 3 == 0]) for i in range(30)],
            "a.csv: which column holds the labels? Say target=, as in target='survives'; these "
            "may: 'survives' (2 values), 'sex' (2 values), 'alone' (2 values)",
        ),
        (  # UCI's mushrooms: nothing but words, and no names
            "",
            [("pe"[i % 2], "xbf"[i % 3], "sy"[i // 2 % 2]) for i in range(30)],
            "a.csv: which column holds the labels? Say target=, as in target=0; these may: "
            "0 (the first is 0) (2 values), 1 (the first is 0) (3 values), 2 (the first is 0) (2 values)",
        ),
        (  # a table for regression
            "a,price\n",
            [(i * 1.5, i * i * 0.25) for i in range(30)],
            "a.csv: no column looks like labels: the last, 'price', has 30 different values in 30 rows, as a "
            "measurement has. Say target= if another or this one is meant; a measurement is learnt as a "
            "number (a regression)",
        ),
    ],
)  # fmt: skip
def test_which_column_is_the_label_is_asked_where_several_may_be(write, head, rows, said):
    path = write("a.csv", text(rows, head=head))
    assert message(path) == said
    if "price" not in head:
        assert read_table(path, target=0).classes in (("0", "1"), ("e", "p"))


def test_a_column_of_too_many_words_is_asked_about(write):
    rows = [(f"town {i % 110}", i % 4 + 0.5, i % 2) for i in range(330)]
    assert message(write("a.csv", text(rows, head="town,size,y\n"))) == (
        "a.csv: column 'town' holds 110 different texts; at most 100 become inputs. Leave it out: drop='town'"
    )


def test_a_stray_word_in_a_column_of_numbers_is_no_category(write):
    rows = [*ROWS[:20], ("7.5o", *ROWS[20][1:]), *ROWS[20:]]
    path = write("a.csv", text(rows, head="a,b,kind\n\n"))
    assert message(path) == (
        "a.csv, line 23, column a: '7.5o' is not a number, as others of the column are; mend it, or say "
        "drop='a'"
    )
    assert read_table(path, drop=["a"]).x.shape == (31, 1)


# Gaps -----------------------------------------------------------------------------------------------------


def with_gaps() -> str:
    rows = [list(row) for row in ROWS]
    rows[3][0], rows[8][1], rows[9][1], rows[12][2] = "", "?", "NaN", "NA"
    return text(rows, head="a,b,kind\n")


def test_gaps_are_filled_with_the_median_of_the_training_part(write):
    write("a.csv", with_gaps())
    data = load("file(path=a.csv, scale=none)")
    assert len(data.x) + len(data.x_test) == 29
    assert np.isfinite(data.x).all()
    assert np.isfinite(data.x_test).all()
    assert "left out for want of a label: 1 row" in data.notes
    assert "3 gaps in 2 of 2 inputs are filled with the median of the training examples" in data.notes


def test_the_median_is_that_of_the_training_part():
    nan = np.nan
    x, x_test = np.array([[1, nan, nan], [3, 5, nan], [8, 7, nan]]), np.array([[nan, 100, 4.0]])
    parts = without_gaps(Parts(x, np.array([0, 1, 1]), x_test, np.array([0]), 2))
    np.testing.assert_array_equal(parts.x, [[1, 6, 0], [3, 5, 0], [8, 7, 0]])
    np.testing.assert_array_equal(parts.x_test, [[3, 100, 4]])
    assert parts.notes[0].startswith("5 gaps in 3 of 3 inputs are filled")


def test_gaps_may_be_dropped_or_refused(write):
    write("a.csv", with_gaps())
    data = load("file(path=a.csv, gaps=drop)")
    assert len(data.x) + len(data.x_test) == 26
    assert "3 of 29 examples are left out for their gaps" in data.notes
    with pytest.raises(
        DataError, match="a.csv: 3 examples have a gap; gaps=median fills them, gaps=drop leaves"
    ):
        load("file(path=a.csv, gaps=refuse)")


def test_decisions_are_said_of_a_users_data_alone(write):
    write("a.csv", with_gaps())
    assert "the labels are column 'kind', by its name" in decisions("file(path=a.csv)")
    assert set(load("file(path=a.csv)").notes.split("; ")) & set(decisions("file(path=a.csv)"))
    assert any(
        said.startswith("the inputs are scaled by scale=unit: ")
        for said in decisions("file(path=a.csv, scale=unit)")
    )
    assert decisions("digits") == ()


# NPZ ------------------------------------------------------------------------------------------------------


def npz(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("inputs", "labels"),
    [("x", "y"), ("X", "Y"), ("data", "target"), ("features", "labels"), ("arr_0", "arr_1"),
     ("X_train", "y_train"), ("train_x", "train_y"), ("train_images", "train_labels")],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(30,), (30, 1), "one-hot", "words"])
def test_npz_by_the_names_people_give(write, inputs, labels, shape):
    named = {"one-hot": np.eye(3)[Y], "words": np.array(KINDS)[Y]}
    y = named[shape] if isinstance(shape, str) else Y.reshape(shape)
    table = read(write("a.npz", npz(**{inputs: X, labels: y})))
    np.testing.assert_array_equal(table.x, X)
    np.testing.assert_array_equal(table.y, Y)


def test_npz_keeps_the_publishers_division(write):
    """As of Keras' mnist.npz; a validation part, as in MedMNIST, is named and left."""
    write("a.npz", npz(x_train=X[:20], y_train=Y[:20], x_test=X[20:], y_test=Y[20:], x_val=X, y_val=Y))
    data = load("file(path=a.npz, scale=none, test=0.5)")
    assert (len(data.x), len(data.x_test)) == (20, 10)
    assert {tuple(row) for row in data.x_test} <= {tuple(row) for row in X[20:]}
    said = decisions("file(path=a.npz, scale=none, test=0.5)")
    assert "arrays that are not read: x_val, y_val" in said
    assert "the test examples are 'x_test': test= divides nothing" in said


def test_parquet_of_words_and_categories(write):
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": pd.Categorical(np.array(KINDS)[Y])})
    table = read(write("a.parquet", frame.to_parquet()))
    np.testing.assert_array_equal(table.x, X)
    assert table.classes == tuple(KINDS)


# Numbers with signs and commas, indices out of order, times -------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "numbers", "told"),
    [
        (["1,200", "999", "1,234,567", "12.5"], [1200, 999, 1234567, 12.5], "1,234 is 1234"),  # incomes
        (["1,5", "20", "0,25", "-3,125"], [1.5, 20, 0.25, -3.125], "1,5 is 1.5"),  # of a German spreadsheet
        (["$1,200.50", "$7.00", "$12", "$1,000"], [1200.5, 7, 12, 1000], "1,234 is 1234"),
        (["5 €", "7 €", "5 €", "9 €"], [5, 7, 5, 9], ""),
    ],
)
def test_numbers_with_a_comma_or_the_sign_of_a_currency_are_numbers_and_it_is_said(
    write, cells, numbers, told
):
    rows = [(f'"{cell}"', KINDS[i % 2]) for i, cell in enumerate(cells * 3)]
    table = read(write("a.csv", text(rows, head="a,kind\n")))
    np.testing.assert_array_equal(table.x[:, 0], numbers * 3)
    assert [note.partition(": ")[2] for note in table.notes] == ([told] if told else [])


@pytest.mark.parametrize("stray", ["1,5a", "a,b", "1,,5"])
def test_texts_with_a_comma_stay_texts(write, stray):
    rows = [(f'"{cell}"', KINDS[i % 2]) for i, cell in enumerate([stray, "x,y", "1,5"] * 4)]
    table = read(write("a.csv", text(rows, head="a,kind\n")))
    assert table.x.shape == (12, 3)
    assert set(table.x.ravel()) == {0, 1}


ORDER = [(7 * i) % 30 for i in range(30)]  # every number below 30 once, for 7 and 30 share no factor


@pytest.mark.parametrize("name", ["", "id", "ID", "index", "Unnamed: 0", "rownames"])
@pytest.mark.parametrize("make", [lambda i: i, lambda i: 842302 + 91 * i, lambda i: f"{i}.5"])
def test_an_index_that_is_out_of_order_is_left_out_as_one_in_order_is(write, name, make):
    """As of a table that was shuffled, or of a part of one, before it was saved."""
    rows = [(make(i), *row) for i, row in zip(ORDER, NUMBERED, strict=True)]
    table = read(write("a.csv", text(rows, head=f"{name},a,b,y\n")))
    np.testing.assert_array_equal(table.x, X)
    assert any("left out: it has another number in each row" in note for note in table.notes)


@pytest.mark.parametrize(
    ("name", "is_noted"),
    [("customer_id", True), ("PassengerId", True), ("Sample ID", True), ("paid", False), ("humid", False)],
)
def test_a_number_of_each_row_under_another_name_is_an_input_and_noted_by_that_name(write, name, is_noted):
    rows = [(i, *row) for i, row in zip(ORDER, NUMBERED, strict=True)]
    table = read(write("a.csv", text(rows, head=f"{name},a,b,y\n")))
    assert table.x.shape == (30, 3)
    assert any(repr(name) in note and "say drop=" in note for note in table.notes) == is_noted
    twice = [(i // 2, *row) for i, row in zip(ORDER, NUMBERED, strict=True)]
    assert not read(write("b.csv", text(twice, head=f"{name},a,b,y\n"))).notes


def test_times_and_decimals_of_parquet_are_read_as_those_of_a_text(write):
    from decimal import Decimal

    days = pd.date_range("2020-01-01", periods=30)
    frame = pd.DataFrame({
        "day": days, "month": (days.month - 1).map(["2020-01-01", "2020-02-01"].__getitem__),
        "price": [Decimal(i) / 4 for i in range(30)], "y": Y,
    })  # fmt: skip
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    table = read(write("a.parquet", buffer.getvalue()), target="y", drop=["month"])
    np.testing.assert_array_equal(table.x, np.arange(30)[:, None] / 4)
    assert table.notes == ("column 'day' is left out: its 30 different texts name the rows",)


def test_what_parquet_holds_and_is_no_table_can_be_dropped(write):
    buffer = io.BytesIO()
    pd.DataFrame({"a": X[:, 0], "many": [[1, 2]] * 30, "y": Y}).to_parquet(buffer)
    write("a.parquet", buffer.getvalue())
    assert message("a.parquet") == (
        "a.parquet: column many holds list<element: int64>, not numbers or texts; leave it out: drop='many'"
    )
    for drop in ("many", 1, -2):
        np.testing.assert_array_equal(read("a.parquet", drop=[drop]).x, X[:, :1])


@pytest.mark.parametrize(("line", "separator"), [("sep=;", ";"), ('"sep=,"', ","), ("SEP=\t", "\t")])
@pytest.mark.parametrize("head", ["a{0}b{0}kind\n", ""])
def test_the_line_that_tells_a_spreadsheet_the_separator_is_passed_over(write, line, separator, head):
    path = write("a.csv", f"{line}\n" + text(head=head.format(separator), separator=separator))
    np.testing.assert_array_equal(read(path).x, X)
    bare = text([row[1:] for row in ROWS], separator=separator)  # two columns: "sep=" and "" are no names
    np.testing.assert_array_equal(read(write("b.csv", f"{line}\n{bare}")).x, X[:, 1:])
