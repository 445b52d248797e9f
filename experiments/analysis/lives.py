"""The life table of units: when they die, whether they come back, and what becomes of those that do not.

Dead is a unit whose slope is 0 on every example measured (or, if asked for, one that is inactive on each).
All counts are of watched steps: what dies and revives between two of them is not seen to. Hidden layers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import hidden, join
from mlp.registry import parse_call

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

MOVED = ("bias", "w_norm", "z_mean")  # of unit_bias and so on, the change over the shock


def lives(records: Records, state: str = "unit_dead") -> pd.DataFrame:
    """run_id, step, layer, unit, dead, and how that differs from the watched step before.

    born: dead for the first time (also at step 0); died: dead, and was not; revived: not dead, and was.
    Raises ValueError if the unit probe that `state` names was not recorded.
    """
    _require(records, [state])
    keys = ["run_id", "layer", "unit"]
    rows = hidden(records.units, records.runs).sort_values([*keys, "step"])[[*keys, "step", state]]
    dead = rows[state] == 1
    by_unit = dead.groupby([rows[key] for key in keys], sort=False)
    before = by_unit.shift(fill_value=False).astype(bool)
    rows = rows.assign(dead=dead, died=dead & ~before, revived=~dead & before)
    rows["born"] = rows["died"] & (by_unit.cumsum() == 1)
    return rows.drop(columns=state).reset_index(drop=True)


def _require(records: Records, names: Sequence[str]) -> None:
    lacking = [name for name in names if name not in records.units]
    if lacking:
        raise ValueError(f"the units' lives need {lacking[0]}: add it to the unit_probes")


def life_table(records: Records, state: str = "unit_dead") -> pd.DataFrame:
    """How many units of each layer are dead, died and revived, at every watched step.

    Columns: the fields of Run, step, layer, units, dead, births (first deaths), deaths, revivals.
    """
    rows = lives(records, state)
    table = rows.groupby(["run_id", "step", "layer"], sort=False).agg(
        units=("dead", "size"), dead=("dead", "sum"), births=("born", "sum"), deaths=("died", "sum"),
        revivals=("revived", "sum"),
    )  # fmt: skip
    return join(table.reset_index(), records.runs)


def shock_step(records: Records) -> int:
    """The step whose update is the oversized one; ValueError unless all shocks come at one step."""
    calls = [parse_call(text) for text in records.runs["schedule"].unique()]
    steps = {options.get("at", 100) for name, options in calls if name == "shock"}
    if len(steps) != 1:
        raise ValueError("no run has a shock" if not steps else "the shocks come at different steps")
    return int(steps.pop())


def shock_factor(schedule: str) -> float:
    """By what a schedule multiplies the learning rate of the one update; 1 for none."""
    name, options = parse_call(schedule)
    return float(options.get("factor", 100.0)) if name == "shock" else 1.0


def survival(records: Records, since: int, state: str = "unit_dead") -> pd.DataFrame:
    """The share of the units alive at step `since` that have not died by each later one.

    Kaplan & Meier 1958: a unit is at risk until it is dead for the first time since; what a run's end hides
    is censored. Columns: the fields of Run, step, layer, alive; at `since` it is 1. A layer in which no unit
    is alive then has no rows.
    """
    rows = lives(records, state)
    if len(rows) and not (rows["step"] == since).any():
        raise ValueError(f"step {since} was not watched")
    rows = rows[rows["step"] >= since].sort_values("step")
    keys = ["run_id", "layer", "unit"]
    ever = rows.groupby(keys, sort=False)["dead"].cummax()
    at_risk = ~ever.groupby([rows[key] for key in keys], sort=False).shift(fill_value=False).astype(bool)
    started = rows.groupby(keys, sort=False)["dead"].transform("first")
    rows = rows.assign(at_risk=at_risk & ~started, dies=ever & at_risk & ~started)
    table = rows.groupby(["run_id", "layer", "step"])[["at_risk", "dies"]].sum().reset_index()
    table = table[table["at_risk"] > 0]
    table["alive"] = 1 - table["dies"] / table["at_risk"]
    table["alive"] = table.groupby(["run_id", "layer"])["alive"].cumprod()
    return join(table[["run_id", "step", "layer", "alive"]], records.runs)


def died_and_lived(records: Records, at: int) -> pd.DataFrame:
    """What one update, that of step `at`, did to the units alive before it.

    Columns: the fields of Run, layer, unit, died (dead after it), the changes d_bias, d_w_norm and d_z_mean,
    and moved, the size of the step of its weights. In layer 1, whose inputs are fixed, what of d_z_mean is
    not d_bias is the weights'. Raises ValueError where that was not recorded or watched.
    """
    names = ["unit_dead", *(f"unit_{name}" for name in MOVED), "unit_step_norm"]
    _require(records, names)
    keys = ["run_id", "layer", "unit"]
    rows = hidden(records.units, records.runs)
    before, after = (rows[rows["step"] == step][[*keys, *names]] for step in (at, at + 1))
    if not (len(before) and len(after)):
        raise ValueError(f"steps {at} and {at + 1} were not both watched")
    both = before[before["unit_dead"] == 0].merge(
        after, on=keys, validate="one_to_one", suffixes=("", "_after")
    )
    changes: dict[str, Any] = {
        f"d_{name}": both[f"unit_{name}_after"] - both[f"unit_{name}"] for name in MOVED
    }
    found = both[keys].assign(died=both["unit_dead_after"] == 1, moved=both["unit_step_norm"], **changes)
    return join(found, records.runs)


def bias_share(changes: pd.DataFrame) -> float:
    """Of the change of these units' mean z, the part that is their biases'; NaN without units."""
    total = changes["d_z_mean"].sum()
    return float(changes["d_bias"].sum() / total) if len(changes) and total else float(np.nan)
