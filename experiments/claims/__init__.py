"""Claims: records -> Verdict. One function a claim, one file a family; each file fills the one table."""

from experiments.claims import literature, write_up
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
    "decide",
    "decide_parts",
    "judge",
    "literature",
    "table",
    "write_up",
]
