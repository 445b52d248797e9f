"""results/write_up/SENTENCES.md: the write-up sentence by sentence, beside verdict, number and picture.

The write-up is quoted by short phrases in its own order; what claims nothing measurable is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.config.markdown import ENTITY, markdown_table
from experiments.report.card import label, says
from experiments.report.page import interval, marked, number
from mlp.registry import parse_call

if TYPE_CHECKING:
    import pandas as pd

PAGE = "SENTENCES.md"
HEAD = """# The write-up, sentence by sentence

Beside each sentence of the write-up that says something measurable: the verdict, the number, and where it
was measured. The phrases are the write-up's own, in its order; read the two side by side. The link leads to
the claim in the report, with its rule, its settings and its picture. The words are explained in the
[glossary](../GLOSSARY.md).

(This page is written by `make docs` from `claims.csv`.)
"""
# (section of the write-up, phrases with the claim that judges each)
SECTIONS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Activation functions", (("would be a linear combination of the inputs", "W01"),)),
    (
        "Sigmoid",
        (
            ("squash every input to [0, 1]", "W02"),
            ("the first figure: sigmoid and its derivative", "W15"),
            ("close to 0 and 1, the derivate is nearly zero", "W03"),
            ("stuck with the initial weights", "W05"),
            ("the maximum value is 0.25", "W03"),
            ("every gradient will shrink", "W04"),
            ("always has the same sign", "W06"),
            ("will take time to converge", "W07"),
            ("sigmoid is computationally expensive", "W08"),
            ("always avoid using Sigmoid", "W09"),
        ),
    ),
    (
        "Hyperbolic tangent",
        (
            ("squash the output to [-1, 1]", "W02"),
            ("zero centered, hence, is better than sigmoid", "W10"),
            ("tanh is just a scaled version of sigmoid", "W10"),
            ("the second figure: tanh and its derivative", "W15"),
        ),
    ),
    (
        "Rectified linear unit",
        (
            ("Solves vanishing gradient problem", "W11"),
            ("Computationally cheap & simple to implement", "W12"),
            ("won’t recover from this state", "W13"),
            ("the third figure: ReLU and its derivative", "W15"),
        ),
    ),
    (
        "Leaky ReLU",
        (
            ("the network will be able to recover", "W14"),
            ("the fourth figure: leaky ReLU and its derivative", "W15"),
        ),
    ),
)


# What the claim's verdict does not say of this one sentence.
NOTES = {"tanh is just a scaled version of sigmoid": " The identity itself is exact: a check that holds."}


def sentences_page(claims: pd.DataFrame) -> str:
    """Return the page; `claims` is claims.csv. Errors: KeyError if a claim of SECTIONS is not in it."""
    rows = {label(parse_call(row["claim"])[0]): row for row in claims.fillna("").to_dict("records")}
    parts = [HEAD]
    heads = ("the write-up", "verdict", "number", "claim")
    for title, phrases in SECTIONS:
        table = [_row(phrase, name, rows[name]) for phrase, name in phrases]
        parts += [f"## {title}\n", markdown_table(heads, table, bar=ENTITY), ""]
    parts += [
        "## The four pictures\n",
        "The write-up's curves and slopes, drawn again from its formulas over ours:\n",
        "![The four activation functions and their slopes](figures/W15.png)\n",
    ]
    return "\n".join(parts)


def _row(phrase: str, name: str, row: dict[Any, Any]) -> tuple[str, ...]:
    said = says(parse_call(row["claim"])[0])
    measured = f"{row['unit']}: {number(row['value'])} ({interval(row['low'], row['high'])}; n = {row['n']})"
    links = f"[{name}](report.html#{name}): {said}{NOTES.get(phrase, '')} [Picture](figures/{name}.png)"
    quoted = phrase if "figure:" in phrase else f"“{phrase}”"
    return quoted, marked(row["status"]), measured, links
