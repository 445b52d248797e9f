"""Tables for a terminal of any width: what does not fit beside the rest goes into a further table below.

A number, a name or an option is never broken: a long text is wrapped after a bracket, a comma or a blank.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

from experiments.analysis.wording import in_lines, printable

if TYPE_CHECKING:
    from rich.console import Console

BETWEEN = 3  # characters between two columns
WIDEST_TEXT = 24  # characters, where a text can be wrapped
BREAK = re.compile(r"(?<=[( ])(?=.)|(?<=,)(?=[^ ])")


@dataclass(frozen=True)
class Column:
    """A heading and a cell for each row; a text stands at the left and is wrapped, a number at the right."""

    heading: str
    cells: Sequence[str]
    is_text: bool = False

    def lines(self, *, whole_heading: bool) -> Column:
        """Return the same column with its texts in lines and, unless it is to be whole, its heading too."""
        cells = [printable(cell) for cell in self.cells]
        if self.is_text:
            cells = [_wrapped(cell, WIDEST_TEXT) for cell in cells]
        longest = max(map(_width, cells), default=0)
        heading = self.heading if whole_heading else _wrapped(self.heading, longest)
        return Column(heading, cells, self.is_text)

    @property
    def width(self) -> int:
        """The characters that the column takes, with the space to the next."""
        return max(map(_width, [self.heading, *self.cells])) + BETWEEN


def show(console: Console, keys: Sequence[Column], values: Sequence[Column], caption: str) -> None:
    """Print tables of the keys with as many of the values beside them as fit."""
    for whole_heading in (True, False):  # a heading is wrapped only where the table would not fit otherwise
        left, right = ([each.lines(whole_heading=whole_heading) for each in some] for some in (keys, values))
        counts = blocks(_total(left), [value.width for value in right], console.width)
        if len(counts) == 1:
            break
    for count in counts:
        _print(console, [*left, *right[:count]])
        right = right[count:]
    console.print(f"\n{caption}", highlight=False, markup=False, soft_wrap=True)


def _print(console: Console, columns: Sequence[Column]) -> None:
    heads = [column.heading for column in columns]
    rule = "─" if console.encoding.startswith("utf") else "-"
    rows = zip(*(column.cells for column in columns), strict=True)
    lines = ["", *_lines(heads, columns, upwards=True), f" {rule * (_total(columns) - 2)}"]
    lines += [line for row in rows for line in _lines(row, columns)]
    for line in lines:
        console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)


def _lines(row: Sequence[str], columns: Sequence[Column], *, upwards: bool = False) -> list[str]:
    """Return the lines of a row; cells of fewer lines stand at its top or, upwards, at its bottom."""
    cells = [cell.split("\n") for cell in row]
    height = max(map(len, cells))
    empty = ([""] * (height - len(cell)) for cell in cells)
    full = [[*none, *cell] if upwards else [*cell, *none] for cell, none in zip(cells, empty, strict=True)]
    sides = [("<" if column.is_text else ">", column.width - BETWEEN) for column in columns]
    padded = (
        [f"{text:{side}{wide}}" for text, (side, wide) in zip(line, sides, strict=True)]
        for line in zip(*full, strict=True)
    )
    return [f"  {(' ' * BETWEEN).join(line)}" for line in padded]


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + BETWEEN


def blocks(keys: int, values: Sequence[int], width: int) -> list[int]:
    """Return how many of the values' columns, of these widths, stand in each table beside the keys."""
    counts, left = [0], width - keys
    for value in values:
        if value > left and counts[-1]:
            counts.append(0)
            left = width - keys
        counts[-1] += 1
        left -= value
    return counts


def _wrapped(text: str, width: int) -> str:
    """Return a text in lines of this width, wider where it cannot be broken."""
    return in_lines(BREAK.split(text), width)


def _width(text: str) -> int:
    return max(map(len, text.split("\n")))


def fitting(text: str, width: int) -> str:
    """Return lines of text in lines of this width, broken at blanks alone and indented as they were."""
    return "\n".join(_fitting(line, width) for line in text.split("\n"))


def _fitting(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = " " * (len(line) - len(line.lstrip()))
    return fill(
        line.strip(), width, initial_indent=indent, subsequent_indent=indent, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
