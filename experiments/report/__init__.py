"""Verdicts and figures -> one self-contained HTML file, and the table of verdicts for the README."""

from experiments.report.card import Card, Picture, cards
from experiments.report.page import render
from experiments.report.published_numbers import comparisons, numbers_page, totals
from experiments.report.readme import readme_table, with_table

__all__ = [
    "Card",
    "Picture",
    "cards",
    "comparisons",
    "numbers_page",
    "readme_table",
    "render",
    "totals",
    "with_table",
]
