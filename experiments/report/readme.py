"""The table of verdicts in the README, written from claims.csv between two marks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.claims import CLAIMS
from experiments.claims.evidence import SIGNS
from experiments.config.markdown import ENTITY, markdown_table
from experiments.report.card import label
from experiments.report.page import MARKS, interval, number
from experiments.storage.files import write
from mlp.registry import doc_of, parse_call

if TYPE_CHECKING:
    import pandas as pd

BEGIN, END = "<!-- verdicts: written by scripts/reproduce.py -->", "<!-- end of verdicts -->"


def readme_table(claims: pd.DataFrame) -> str:
    """claims.csv as a Markdown table: what the write-up says, the verdict, the number with its range."""
    rows = []
    for row in claims.fillna({"unit": "", "condition": "", "side": ""}).to_dict("records"):
        name, _ = parse_call(row["claim"])
        says = " ".join(doc_of(CLAIMS[name]).split("\n\n")[0].split())
        asked = f", asked: {SIGNS[row['side']]} {number(row['bound'])}" if row.get("side") else ""
        measured = f"{number(row['value'])} ({interval(row['low'], row['high'])}; n = {row['n']}){asked}"
        if row["unit"]:
            measured = f"{row['unit']}: {measured}"
        if row["condition"]:
            measured = f"{measured}. {row['condition'][:1].upper()}{row['condition'][1:]}"
        rows.append((label(name), says, f"{MARKS[row['status']]} {row['status']}", measured))
    return markdown_table(("", "the write-up says", "verdict", "measured (range over n)"), rows, bar=ENTITY)


def with_table(text: str, table: str) -> str:
    """The README with the table put between its marks; errors: ValueError where they are missing."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"the README lacks the marks {BEGIN} and {END}")
    return pattern.sub(lambda _: f"{BEGIN}\n{table}\n{END}", text)


def update_readme(claims: Path, readme: Path = Path("README.md")) -> None:
    """Put the table of a claims.csv into the README."""
    import pandas as pd

    text = with_table(readme.read_text(encoding="utf-8"), readme_table(pd.read_csv(claims)))
    write(readme, text.encode(), readme.parent)
