"""Claims: records -> Verdict. One function a claim, one file a family; each file fills the one table."""

from experiments.claims import cost, instrument, learning, signs
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
    "instrument",
    "judge",
    "learning",
    "signs",
    "table",
]
