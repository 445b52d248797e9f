"""Tables as Markdown, for every page that the program writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

BAR = "\\|"  # how a bar is written inside a cell, which it would end
ENTITY = "&#124;"  # the same where the text may be read as HTML, too


def markdown_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, rule: str = "---", bar: str = BAR
) -> str:
    """The names of columns and rows of cells as a Markdown table.

    `rule` stands under the name of each column, and `bar` for every bar inside a cell.
    """
    names = "|".join(f" {name} " if name else " " for name in head)
    lines = [f"|{names}|", f"|{'|'.join([rule] * len(head))}|"]
    lines += [f"| {' | '.join(cell.replace('|', bar) for cell in row)} |" for row in rows]
    return "\n".join(lines)
