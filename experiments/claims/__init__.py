"""Claims: records -> Verdict. One function a claim, one file a family; each file fills the one table."""

from experiments.claims import cost, gradient, instrument, learning, literature, signs, units
from experiments.claims.verdict import (
    CLAIMS,
    Evidence,
    Undecided,
    Verdict,
    decide,
    decide_parts,
    judge,
    table,
)

__all__ = [
    "CLAIMS",
    "Evidence",
    "Undecided",
    "Verdict",
    "cost",
    "decide",
    "decide_parts",
    "gradient",
    "instrument",
    "judge",
    "learning",
    "literature",
    "signs",
    "table",
    "units",
]
