"""Everything that was found -> report.html in one file, and the table of verdicts for the README."""

from experiments.report.card import Card, cards, fitting
from experiments.report.page import Page, render
from experiments.report.pictures import Picture, pictures, preview
from experiments.report.published_numbers import comparisons, numbers_page, totals
from experiments.report.readme import readme_table, update_readme, with_table

__all__ = [
    "Card",
    "Page",
    "Picture",
    "cards",
    "comparisons",
    "fitting",
    "numbers_page",
    "pictures",
    "preview",
    "readme_table",
    "render",
    "totals",
    "update_readme",
    "with_table",
]
