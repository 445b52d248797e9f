"""A table for a paper or a page: LaTeX or Markdown, a median and its range in one cell."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Any

from experiments.analysis.wording import number, with_range
from experiments.config.markdown import markdown_table

if TYPE_CHECKING:
    import pandas as pd


def as_markdown(table: pd.DataFrame) -> str:
    """Return the table in Markdown, numbers to three digits."""
    cells = _cells(table)
    return markdown_table(list(cells.columns), cells.to_numpy().tolist()) + "\n"


def as_latex(table: pd.DataFrame) -> str:
    r"""Return the table as a LaTeX tabular with the rules of booktabs, numbers to three digits.

    All texts are escaped. The document needs ``\usepackage{booktabs}``.
    """
    return str(_cells(table).to_latex(index=False, escape=True))


FORMS: dict[str, tuple[str, Callable[[pd.DataFrame], str]]] = {
    "markdown": ("md", as_markdown),
    "latex": ("tex", as_latex),
}


def _cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as texts, with NAME_low and NAME_high in the cell of NAME: ``0.24 (0.23 to 0.25)``.

    A column without any number is left out.
    """
    import pandas as pd

    ranges = {f"{name}_{end}" for name in table for end in ("low", "high")} & set(table.columns)
    shown = [name for name in table if name not in ranges and table[name].notna().any()]
    rows = [[_cell(row, name) for name in shown] for row in table.to_dict("records")]
    return pd.DataFrame(rows, columns=shown, dtype="str")


def _cell(row: dict[Any, Any], name: str) -> str:
    value = row[name]
    if _is_missing(value):
        return "–"
    if not isinstance(value, Real) or isinstance(value, bool):
        return str(value)
    low, high = row.get(f"{name}_low", value), row.get(f"{name}_high", value)
    if not (_is_missing(low) or _is_missing(high)) and low < high:
        return with_range(value, low, high)
    return f"{int(value)}" if float(value).is_integer() else number(value)


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or value != value
