"""Claims: each is a function from records to a Verdict.

There is one file for each family of claims, and all of them fill the one table CLAIMS. The module
`declarations` shows how a claim is written.
"""

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
