"""The verdicts on pages, from claims.csv: in short between two marks of the README, whole beside the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.claims.evidence import SIGNS
from experiments.config import ConfigError
from experiments.config.markdown import ENTITY, markdown_table
from experiments.report import sentences_page
from experiments.report.card import label, says
from experiments.report.page import interval, marked, number
from experiments.storage.files import write
from mlp.registry import parse_call

if TYPE_CHECKING:
    import pandas as pd

BEGIN, END = "<!-- verdicts: written by scripts/reproduce.py -->", "<!-- end of verdicts -->"


PAGE = """# What of the write-up holds

Every claim with its verdict, its number and the settings at which it holds. *n* is the number of seeds,
runs or values, as the [report](report.html) of each claim says. The words are explained in the
[glossary](../GLOSSARY.md). `scaled_normal(gain=10.15)` means weights of standard deviation 10.15/√n_in:
at that size mean-field theory has the gradient of a deep sigmoid network neither vanish nor explode.

[Sentence by sentence](SENTENCES.md) has them in the order of the write-up.

(This page is written by `make docs` from `claims.csv`.)

"""


def short_table(claims: pd.DataFrame) -> str:
    """claims.csv as a Markdown table: what the write-up says, and the verdict."""
    rows = [
        (label(name), says(name), marked(status))
        for name, status in zip((parse_call(c)[0] for c in claims["claim"]), claims["status"], strict=True)
    ]
    return markdown_table(("", "the write-up says", "verdict"), rows, bar=ENTITY)


def readme_table(claims: pd.DataFrame) -> str:
    """claims.csv as a Markdown table: what the write-up says, the verdict, the number with its range."""
    rows = []
    for row in claims.fillna({"unit": "", "condition": "", "side": ""}).to_dict("records"):
        name, _ = parse_call(row["claim"])
        asked = f", asked: {SIGNS[row['side']]} {number(row['bound'])}" if row.get("side") else ""
        measured = f"{number(row['value'])} ({interval(row['low'], row['high'])}; n = {row['n']}){asked}"
        if row["unit"]:
            measured = f"{row['unit']}: {measured}"
        if row["condition"]:
            measured = f"{measured}. {row['condition'][:1].upper()}{row['condition'][1:]}"
        rows.append((label(name), says(name), marked(row["status"]), measured))
    return markdown_table(("", "the write-up says", "verdict", "measured (range over n)"), rows, bar=ENTITY)


def with_table(text: str, table: str) -> str:
    """The README with the table put between its marks; errors: ValueError where they are missing."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"the README lacks the marks {BEGIN} and {END}")
    return pattern.sub(lambda _: f"{BEGIN}\n{table}\n{END}", text)


def check_readme(readme: Path = Path("README.md")) -> None:
    """Check that a README has the marks between which the verdicts are put; errors: ConfigError."""
    try:
        with_table(readme.read_text(encoding="utf-8"), "")
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise ConfigError([f"--readme: {readme} where you stand: {said}"]) from None


def update_readme(claims: Path, readme: Path = Path("README.md")) -> None:
    """Put the verdicts of a claims.csv into the README, and all about them into two pages beside the file."""
    import pandas as pd

    frame = pd.read_csv(claims)
    text = with_table(readme.read_text(encoding="utf-8"), short_table(frame))
    write(readme, text.encode(), readme.parent)
    page = claims.parent / "README.md"
    write(page, f"{PAGE}{readme_table(frame)}\n".encode(), page.parent)
    write(page.parent / sentences_page.PAGE, sentences_page.sentences_page(frame).encode(), page.parent)


def renew() -> None:
    """Write every generated page anew, as `make docs` does: from the code, verdicts from claims.csv."""
    from experiments.config import schema
    from experiments.report import gallery
    from experiments.report.lab import teaching
    from experiments.storage import records

    schema.main()
    records.main()
    update_readme(Path("results/write_up/claims.csv"))
    gallery.main([])
    teaching.main()
