"""Claims: records -> Verdict. One function a claim, one file a family; each file fills the one table."""

from experiments.claims import literature, write_up
from experiments.claims.declarations import CLAIMS, check, needs, rule, rule_of
from experiments.claims.verdict import (
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
    "check",
    "decide",
    "decide_parts",
    "judge",
    "literature",
    "needs",
    "rule",
    "rule_of",
    "table",
    "write_up",
]
