"""The page of the diagnosis benchmark: results/diagnosis/README.md, with its tables beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from experiments.config.markdown import markdown_table
from experiments.diagnosis.benchmark import HURTS, SEEDS, scores
from experiments.diagnosis.operators import OPERATORS
from mlp.registry import doc_of

if TYPE_CHECKING:
    import pandas as pd

HEAD = f"""\
# How often the diagnosis is right

Written by `make benchmark-diagnosis`. Healthy settings were drawn at random and broken by operators that
change one thing. A broken setting counts as *ill* if its training accuracy lies under that of the setting it
was made from on each of {SEEDS} seeds, by more than {HURTS:g} in the median; one that does not hurt counts as
healthy. *Detection* is the share of ill settings in which anything is found, *false alarms* the same share of
healthy settings, *type@1* the share of ill settings in which the first mechanism named is one that the
operator may rightly be called. The thresholds were chosen on the development half (half of the operators, its
own seeds and settings). Published rule sets are judged on the same networks, by the first alarm that they
raise; see `experiments/diagnosis/rule_sets.py` for what each of them asks.
"""


def benchmark_page(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the page for the benchmark's table of each half."""
    parts = [HEAD]
    for half, table in tables.items():
        networks = SEEDS * len(table)
        ill = int(table["ill"].sum())
        parts.append(
            f"## The {half} half\n\n{len(table)} settings ({ill} ill), {networks} networks, "
            f"operators: {', '.join(sorted(set(table['operator']) - {''}))}.\n"
        )
        parts.append(_scores(scores(table)))
        parts.append(f"By operator, ours:\n\n{_by_operator(table)}")
    return "\n".join(parts)


def _scores(found: pd.DataFrame) -> str:
    wide = found.set_index(["by", "score"])
    names = ("detection", "false alarms", "type@1")
    rows = [[by, *(_share(wide.loc[(by, name)]) for name in names)] for by in found["by"].unique()]
    return markdown_table(("", *names), rows) + "\n"


def _share(row: pd.Series) -> str:
    return f"{row['share']:.0%} ({row['low']:.0%} to {row['high']:.0%}; {row['hits']} of {row['n']})"


def _by_operator(table: pd.DataFrame) -> str:
    rows = []
    for name, group in table.groupby("operator", sort=False):
        if not name:
            continue
        ill = group[group["ill"]]
        firsts = ill["first"].value_counts()
        named = ", ".join(f"{count}× {mechanism}" for mechanism, count in firsts.items())
        what = doc_of(OPERATORS[name].change).splitlines()[0]
        rows.append((name, what, len(group), len(ill), int(ill["right"].sum()), named))
    return (
        markdown_table(("operator", "what it does", "settings", "ill", "right", "named first"), rows) + "\n"
    )
