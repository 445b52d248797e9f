"""The cells of a column -> numbers, truth values, or texts without blanks around them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from experiments.datasets.delimited import COMMA_NUMBER, GAPS, is_number, number

if TYPE_CHECKING:
    import pandas as pd

SIGNS = ("%", "$", "€", "£")  # that may stand at every number of a column
THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?")


def tidied(values: pd.Series, decimal: str) -> pd.Series:
    """Return a column of numbers, of truth values, or of texts without blanks around them; a gap is missing.

    A column whose every cell is a number, in whatever spelling, becomes a column of numbers.
    """
    import pandas as pd

    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return values
    texts = values.astype(object).map(lambda cell: None if pd.isna(cell) else str(cell).strip())
    texts = texts.astype(object).where(~texts.str.lower().isin(GAPS), None)
    known = texts.dropna()
    if len(known) and all(is_number(cell, decimal) for cell in known):
        return texts.map(lambda cell: number(cell, decimal) if isinstance(cell, str) else np.nan).astype(
            np.float64
        )
    for sign in SIGNS:
        if len(known) and (known.str.startswith(sign) | known.str.endswith(sign)).all():
            return tidied(texts.str.removeprefix(sign).str.removesuffix(sign), decimal)
    return texts


def without_commas(values: pd.Series, decimal: str) -> tuple[pd.Series, str]:
    """Return texts that are all numbers, some of them with a comma, as numbers, and how they were read.

    Commas that all stand before three digits divide thousands; else they are decimal commas, unless another
    number of the column has a point. Other columns are returned as they are, with "".
    """
    known = values.dropna() if is_text(values) else values[:0]
    has_comma = np.array(["," in cell for cell in known], bool)
    commas, plain = known[has_comma], known[~has_comma]
    is_thousands = all(map(THOUSANDS.fullmatch, commas))
    is_decimal = all(map(COMMA_NUMBER.fullmatch, commas)) and not any("." in cell for cell in plain)
    if (
        commas.empty
        or not (is_thousands or is_decimal)
        or not all(is_number(cell, decimal) for cell in plain)
    ):
        return values, ""
    read = {cell: number(cell.replace(",", "") if is_thousands else cell, ",") for cell in known}
    how = "a comma between thousands: 1,234 is 1234" if is_thousands else "a decimal comma: 1,5 is 1.5"
    return values.map(read).astype(np.float64), how


def is_text(values: pd.Series) -> bool:
    """Return whether a column holds texts."""
    return values.dtype.kind not in "biuf"
