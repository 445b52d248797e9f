"""Text tables (.csv, .tsv, .txt, .data, packed or plain) -> a pandas frame, whatever separates their cells.

A first pass looks at every line, within limits and in little memory: it finds the separator, the line that
names the columns and the decimal sign, and refuses lines that do not go together. Then pandas reads.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import IO, TYPE_CHECKING

from experiments.datasets.readers import CHUNK, GZIP, LARGEST_ARRAY, DataError, opened, reading, shown

if TYPE_CHECKING:
    import pandas as pd

LARGEST_LINE = 2**24  # characters of a line; a row of a million numbers fits
LARGEST_TEXT = 2**31  # characters of a whole file, which may be packed
SAMPLE = 200  # lines by which the separator, the header and the decimal sign are told
LARGEST_SAMPLE = 2**22  # characters of them
SURE_COUNT = 4  # columns, from which on 0, 1, 2, 3 is hardly an example
GAPS = {"", "?", "na", "n/a", "#n/a", "nan", "null", "none", "-"}  # what people write for a missing value
BLANKS = " "  # the separator that stands for any number of blanks and tabs
SEPARATORS = (";", "\t", "|", ",", BLANKS)  # the first of them that divides all lines alike is the one
COMMENT = "#"
EXCEL = re.compile(
    r'"?sep=(.|\\t)?"?', re.IGNORECASE
)  # the line by which a spreadsheet is told the separator
UTF_8 = "utf-8-sig"  # with the mark that some programs put first, or without
OLDER = {"cp1252": "Windows-1252", "latin-1": "Latin-1"}  # what texts were written in before
NOT_IN_1252 = b"\x81\x8d\x8f\x90\x9d"  # the bytes that stand for no letter of Windows-1252
CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a")) + b"\x7f"  # no text holds them
COMMA_NUMBER = re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d*),\d+([eE][-+]?\d+)?")

Row = tuple[int, list[str]]  # the number of the line on which it ends, and its cells


@dataclass(frozen=True)
class Layout:
    """How a text table is written; `names` is None where no line names the columns."""

    separator: str
    width: int  # cells of an example
    names: list[str] | None
    skipped: int  # lines before the first example
    decimal: str = "."
    notes: tuple[str, ...] = ()
    encoding: str = UTF_8

    @property
    def words(self) -> list[str]:
        """The columns as a message names them."""
        plain = [f"{i} (the first is 0)" for i in range(self.width)]
        return plain if self.names is None else [shown(name) or plain[i] for i, name in enumerate(self.names)]


def read_text(path: str) -> tuple[pd.DataFrame, Layout]:
    """Return the cells of a text table, with its columns numbered from 0, and its layout; errors: DataError.

    A column of numbers is of a number's type, with NaN for a gap; of truth values, bool; any other, text.
    """
    import pandas as pd

    layout = survey(path)
    gaps = sorted({form for gap in GAPS for form in (gap, gap.upper(), gap.capitalize(), "NaN", "N/a")})
    with _text(path, layout.encoding) as text:
        for _ in range(layout.skipped):
            text.readline()
        # "round_trip" is the only exact way in which pandas reads a number.
        exact = {"float_precision": "round_trip"}
        frame: pd.DataFrame = pd.read_csv(
            text, header=None, names=list(range(layout.width)), index_col=False, keep_default_na=False,
            na_values=gaps, decimal=layout.decimal,
            sep=r"\s+" if layout.separator == BLANKS else layout.separator, skipinitialspace=True,
            low_memory=False, **exact,
        )  # fmt: skip
    return frame, layout


def line_of(path: str, row: int, layout: Layout) -> int:
    """Return the number of the line on which an example ends, the first example being row 0."""
    with _text(path, layout.encoding) as text:
        rows = _rows(_lines(text, path), layout.separator, skipped=layout.skipped)
        return next(islice(rows, row, None))[0]


# The first pass -------------------------------------------------------------------------------------------


def survey(path: str) -> Layout:
    """Look at every line of a text table and return its layout; errors: DataError."""
    encoding = encoding_of(path)
    comments, sample = _beginning(path, encoding)
    separator = _separator(sample)
    with reading(path, "CSV"):
        head = [(line + len(comments), row) for line, row in _rows(iter(sample), separator, strict=False)]
    if not head:
        raise DataError(f"{shown(path)}: holds no examples")
    layout = replace(_layout(path, separator, head, comments), encoding=encoding)
    count = _check_widths(path, layout)
    if not count:
        raise DataError(f"{shown(path)}: holds no examples")
    first = head[0][1]
    if layout.names == first and _is_summary(first, layout.width, count):
        said = f"the first line counts {count:,} examples and names the classes {', '.join(first[2:])}"
        layout = replace(layout, names=None, notes=(shown(said),))
    if encoding in OLDER:
        said = f"the file is not in UTF-8 and is read as {OLDER[encoding]}, which may spell letters wrongly"
        layout = replace(layout, notes=(*layout.notes, said))
    return layout


def _beginning(path: str, encoding: str) -> tuple[list[str], list[str]]:
    """Return the lines of comment that a file begins with, and some of the lines that follow."""
    comments: list[str] = []
    sample: list[str] = []
    with _text(path, encoding) as text:
        for line in _lines(text, path):
            is_comment = not sample and (line.lstrip().startswith(COMMENT) or EXCEL.fullmatch(line.strip()))
            (comments if is_comment else sample).append(line)
            if len(sample) >= SAMPLE or sum(map(len, sample)) > LARGEST_SAMPLE:
                break
    return comments, sample


def _layout(path: str, separator: str, head: Sequence[Row], comments: Sequence[str]) -> Layout:
    """Return the layout as the first rows tell it."""
    (start, first), following = head[0], [row for _, row in head[1:]]
    width = len(following[0]) if following else len(first)
    decimal = _decimal(separator, [row for _, row in head])
    headed = Layout(separator, width, _stripped(first), start, decimal)
    if _is_summary(first, width):
        return headed
    if len(first) == width - 1 and not any(map(is_number, first)):  # as R writes it: rows have names too
        return replace(headed, names=["", *_stripped(first)])
    if len(first) == width and is_header(first, following, f"{shown(path)}, line {start:,}", decimal):
        return headed
    plain = Layout(separator, len(first), None, len(comments), decimal)
    last = [line.strip(f"{COMMENT} \t") for line in comments[-1:] if not EXCEL.fullmatch(line.strip())]
    for said in _divided(last, separator):
        if len(said) == len(first) and not any(map(is_number, said)):
            return replace(plain, names=_stripped(said))
    return plain


def _is_summary(first: Sequence[str], width: int, count: int | None = None) -> bool:
    """Return whether a line is the one that scikit-learn's files begin with: rows, inputs, class names."""
    whole = min(len(first) - 1, width) > 1 and first[0].isdecimal() and first[1] == str(width - 1)
    return whole and not any(map(is_number, first[2:])) and (count is None or first[0] == str(count))


def _check_widths(path: str, layout: Layout) -> int:
    """Check that every example has as many cells as the first line says; return how many there are."""
    count = 0
    with _text(path, layout.encoding) as text:
        for line, row in _rows(_lines(text, path), layout.separator, skipped=layout.skipped):
            if len(row) != layout.width:
                raise DataError(
                    f"{shown(path)}, line {line:,}: {len(row):,} cells, where the first line has "
                    f"{layout.width:,}"
                )
            count += 1
            if count * layout.width > LARGEST_ARRAY:
                raise DataError(
                    f"{shown(path)}, line {line:,}: more than {LARGEST_ARRAY:,} numbers; that many are read"
                )
    return count


def _separator(sample: Sequence[str]) -> str:
    """Return what separates the cells: the first separator that divides all lines but the first alike.

    The first line may have a name less, as R writes it, or count the examples. Where no separator divides the
    lines alike, the one that occurs most in the first line is taken, and the lines that differ are refused.
    """
    for separator in SEPARATORS:
        rows = _divided(sample[:-1] or sample, separator)  # the last line may be cut off
        first, *later = [len(row) for row in rows] or [0]
        alike = min([first, *later]) > 1 and len(set(later)) <= 1
        if alike and separator == "\t" and _hold_several_numbers(rows):
            continue
        if alike and (separator != BLANKS or not later or later[0] - 1 <= first <= later[0]):
            return separator
    return max(",;\t|", key=next((line for line in sample if line.strip()), "").count)


def _divided(lines: Sequence[str], separator: str) -> list[list[str]]:
    """Return the cells of some lines; none where a cell would be longer than any is.

    So it is with a line of 20,000 numbers and a separator that it has not, and with a long comment.
    Quotation marks may stand anywhere.
    """
    try:
        return [row for _, row in _rows(iter(lines), separator, strict=False)]
    except csv.Error:
        return []


def _hold_several_numbers(rows: Iterable[Sequence[str]]) -> bool:
    """Return whether single cells hold several numbers, as where blanks and a tab separate."""
    cells = (cell.split() for row in rows for cell in row)
    return any(len(words) > 1 and all(map(is_number, words)) for words in cells)


def _decimal(separator: str, rows: Iterable[Sequence[str]]) -> str:
    """Return the sign before the decimals: a comma if numbers are written with one and none with a point."""
    if separator == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    commas = any(COMMA_NUMBER.fullmatch(cell) for cell in cells)
    points = any("." in cell and "," not in cell and is_number(cell) for cell in cells)
    return "," if commas and not points else "."


def is_header(
    cells: Sequence[str], following: Sequence[Sequence[str]], place: str, decimal: str = "."
) -> bool:
    """Return whether a first line names the columns; errors: DataError where that cannot be told.

    It does if words stand over numbers, or if its numbers count the columns: pandas writes ``0,1,2,…`` for
    columns without names, and years count on from any number. A short count may be an example, unless the
    line that follows has fractions. Over texts alone, a first line is an example if one of its cells occurs
    again in its column.
    """
    cells = _stripped(cells)
    marks = [is_number(cell, decimal) for cell in cells]
    numbers = [cell for cell, is_so in zip(cells, marks, strict=True) if is_so]
    counts = _is_count(numbers)
    if all(marks):
        example = following[0] if following else []
        if counts and len(cells) < SURE_COUNT and all(map(str.isdecimal, example)):
            raise DataError(
                f"{place}: {','.join(cells)} may be an example or count the columns; name the columns"
            )
        return counts
    below = [_is_numeric(row[i] for row in following if len(row) > i) for i in range(len(cells))]
    gaps = [cell.lower() in GAPS for cell in cells]
    unlike = [
        (kind is True and not number and not gap) or (kind is False and number)
        for number, gap, kind in zip(marks, gaps, below, strict=True)
    ]
    if not any(unlike):
        if numbers or any(gaps[1:]):
            return counts and not any(gaps[1:])
        return True in below or not _occurs_again(cells, following)
    if numbers and not counts and (any(gaps[1:]) or 2 * len(numbers) > len(cells)):
        word = next(cell for cell, number in zip(cells, marks, strict=True) if not number)
        found = repr(word[:40]) if word else "an empty cell"
        raise DataError(
            f"{place}: {found} among numbers: a gap in an example, or a name? Fill it, or put names first"
        )
    return True


def _is_count(numbers: Sequence[str]) -> bool:
    """Return whether numbers count on by one: from 0 or 1, or four of them or more from any."""
    if len(numbers) < 2 or not re.fullmatch("[0-9]{1,4}", numbers[0]):
        return False
    start = int(numbers[0])
    is_sure = start in (0, 1) or len(numbers) >= SURE_COUNT
    return is_sure and list(numbers) == [str(start + i) for i in range(len(numbers))]


def _is_numeric(column: Iterable[str]) -> bool | None:
    """Return whether most of the cells that are no gaps are numbers; None where all are gaps."""
    known = [cell.strip() for cell in column if cell.strip().lower() not in GAPS]
    numbers = sum(is_number(cell, ",") for cell in known)
    return 2 * numbers > len(known) if known else None


def _occurs_again(cells: Sequence[str], following: Sequence[Sequence[str]]) -> bool:
    return any(
        cell and any(len(row) > i and row[i].strip() == cell for row in following)
        for i, cell in enumerate(cells)
    )


# Lines and cells ------------------------------------------------------------------------------------------


@contextmanager
def _unpacked(path: str) -> Iterator[IO[bytes]]:
    """Open a file's bytes, unpacked if they are packed; what fails inside the block is a DataError."""
    with opened(path, "CSV") as raw:
        begins = raw.read(2)
        raw.seek(0)
        yield gzip.GzipFile(fileobj=raw) if begins == GZIP else raw  # type: ignore[misc]


@contextmanager
def _text(path: str, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Open a text file, unpacked if it is packed; what fails inside the block is a DataError."""
    with _unpacked(path) as stream:
        yield io.TextIOWrapper(stream, encoding, newline="")


def encoding_of(path: str) -> str:
    """Return the encoding of a text file: UTF-16 by its mark, UTF-8, or what texts were written in before.

    Bytes that are no UTF-8 are Windows-1252, or Latin-1 where that has no letter for one of them. A file with
    control characters is no text in these either, and is left to be refused as UTF-8.
    """
    decoder, is_utf8, older = codecs.getincrementaldecoder("utf-8")(), True, "cp1252"
    with _unpacked(path) as stream:
        part, total = stream.read(CHUNK), 0
        if part[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):  # Excel's "Unicode text"
            return "utf-16"
        while part and total <= LARGEST_TEXT:
            if part.translate(None, CONTROLS) != part:
                return UTF_8
            is_utf8 = is_utf8 and _can_decode(decoder, part)
            older = "latin-1" if part.translate(None, NOT_IN_1252) != part else older
            total += len(part)
            part = stream.read(CHUNK)
    return UTF_8 if is_utf8 and _can_decode(decoder, b"", final=True) else older


def _can_decode(decoder: codecs.IncrementalDecoder, part: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(part, final)
    except UnicodeDecodeError:
        return False
    return True


def _rows(lines: Iterator[str], separator: str, *, strict: bool = True, skipped: int = 0) -> Iterator[Row]:
    """Yield the rows of cells with the number of the line on which each ends; a blank line holds none.

    skipped: as many lines are passed over before the first row.
    """
    lines = islice(lines, skipped, None)
    if separator == BLANKS:
        lines = (line.replace("\t", BLANKS).strip(" \r\n") + "\n" for line in lines)
    reader = csv.reader(lines, delimiter=separator, strict=strict, skipinitialspace=True)
    try:
        for row in reader:
            if len(row) > 1 or (row and row[0].strip()):
                yield skipped + reader.line_num, row
    except csv.Error as error:
        too_long = f"a cell has more than {csv.field_size_limit():,} characters"
        what = too_long if "limit" in str(error) else str(error)
        raise csv.Error(f"line {skipped + reader.line_num:,}: {what}") from None


def _lines(text: io.TextIOWrapper, path: str) -> Iterator[str]:
    """Yield the lines of a text, and refuse a line or a text that is long enough to fill the memory."""
    number, total = 1, 0
    while line := text.readline(LARGEST_LINE + 1):
        if len(line) > LARGEST_LINE:
            raise DataError(f"{shown(path)}, line {number:,}: longer than {LARGEST_LINE:,} characters")
        total += len(line)
        if total > LARGEST_TEXT:
            raise DataError(f"{shown(path)}: more than {LARGEST_TEXT:,} characters, unpacked")
        yield line
        number += 1


def number(cell: str, decimal: str = ".") -> float:
    """Return the number in a cell; ValueError for Python's own spellings such as 1_0, which no file means."""
    if decimal == "," and COMMA_NUMBER.fullmatch(cell):
        cell = cell.replace(".", "").replace(",", ".")
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def is_number(cell: str, decimal: str = ".") -> bool:
    """Return whether a cell holds a number; a gap does not."""
    try:
        number(cell, decimal)
    except ValueError:
        return False
    return cell.strip().lower() not in GAPS


def _stripped(cells: Iterable[str]) -> list[str]:
    return [cell.strip() for cell in cells]
