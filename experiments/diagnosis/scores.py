"""The scores of the benchmark: ours and those of the published rule sets, each share with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.ratios import share_interval
from experiments.diagnosis.lesions import LESIONS
from experiments.diagnosis.operators import OPERATORS
from experiments.diagnosis.rule_sets import DIALS, RULE_SETS

if TYPE_CHECKING:
    import pandas as pd


def scores(table: pd.DataFrame) -> pd.DataFrame:
    """Return detection, false alarms, type@1, layers and cures of ours, and the first three of rule sets.

    Columns: by, score, share, low and high (95 % interval, Clopper & Pearson 1934), hits, n. Detection and
    type@1 are shares of all ill settings, false alarms of all healthy ones. A rule set's type is right where
    its first alarm, in our words, names what was done.
    """
    import pandas as pd

    rows = []
    for by in ("first", *(rules.name for rules in RULE_SETS)):
        name = "ours" if by == "first" else by
        for score, hits in judged(table, by).items():
            rows.append((name, score, *_share(hits)))
    near, cures = table["layer_found"], table["fresh_helps"]
    rows.append(("ours", "layer within one", *_share(near[near.isin(["yes", "no"])] == "yes")))
    rows.append(("ours", "confirmed cures help", *_share(cures[cures.isin(["yes", "no"])] == "yes")))
    return pd.DataFrame(rows, columns=["by", "score", "share", "low", "high", "hits", "n"])


def judged(table: pd.DataFrame, by: str) -> dict[str, pd.Series]:
    """Return, for each score, a boolean per setting that counts for it; `by` is a column of first names."""
    import pandas as pd

    ill, healthy = table[table["ill"]], table[table["healthy"]]
    right = [name in _truths(op) for name, op in ill[[by, "operator"]].to_numpy()]
    return {
        "detection": ill[by] != "healthy",
        "false alarms": healthy[by] != "healthy",
        "type@1": pd.Series(right, index=ill.index, dtype=bool),
    }


def _truths(operator: str) -> frozenset[str]:
    return OPERATORS[operator].truths if operator in OPERATORS else LESIONS[operator].truths


def _share(hits: pd.Series) -> tuple[float, float, float, int, int]:
    """Share, ends of its interval, hits and number."""
    k, n = int(hits.sum()), len(hits)
    return (k / n if n else np.nan, *share_interval(k, n), k, n)


def roc(table: pd.DataFrame) -> pd.DataFrame:
    """Return detection and false alarms of ours and of each rule set that has a dial, at every dial.

    Ours is the shortfall above which a setting is called ill (1 is where it stands). Columns: by, dial,
    false_alarms, detection, type_at_1 (ours alone: the type does not depend on the dial).
    """
    import pandas as pd

    ill, healthy = table["ill"], table["healthy"]
    right = table["right"].astype(bool) & ill
    rows = []
    for dial in sorted({0.0, 1.0, *table["shortfall"].round(3)}):
        alarmed = table["shortfall"] > dial
        shares = (alarmed[healthy].mean(), alarmed[ill].mean(), (alarmed & right)[ill].mean())
        rows.append(("ours", dial, *shares))
    for rules in RULE_SETS:
        for dial in DIALS if rules.has_dial else ():
            alarmed = table[f"{rules.name} dial"] <= dial
            rows.append((rules.name, dial, alarmed[healthy].mean(), alarmed[ill].mean(), np.nan))
    return pd.DataFrame(rows, columns=["by", "dial", "false_alarms", "detection", "type_at_1"])


def beaten(table: pd.DataFrame) -> pd.DataFrame:
    """Return each rule set beside ours, with our dial turned until it raises no more false alarms.

    Columns: by, false_alarms, detection, type_at_1 (of the rule set), ours_false_alarms, ours_detection,
    ours_type_at_1, beaten: both of ours are higher, or theirs is not.
    """
    import pandas as pd

    ours = roc(table).query("by == 'ours'")
    rows = []
    for rules in RULE_SETS:
        theirs = {name: float(hits.mean()) for name, hits in judged(table, rules.name).items()}
        best = ours[ours["false_alarms"] <= theirs["false alarms"]].sort_values("detection").iloc[-1]
        wins = best["type_at_1"] > theirs["type@1"] and best["detection"] >= theirs["detection"]
        rows.append((
            rules.name, theirs["false alarms"], theirs["detection"], theirs["type@1"], best["false_alarms"],
            best["detection"], best["type_at_1"], bool(wins),
        ))  # fmt: skip
    columns = ["by", "false_alarms", "detection", "type_at_1"]
    return pd.DataFrame(rows, columns=[*columns, *(f"ours_{name}" for name in columns[1:]), "beaten"])
