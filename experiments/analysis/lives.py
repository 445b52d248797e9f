"""The life table of hidden units: when they die, and whether they revive.

A unit is dead if its slope is 0 on every example measured (or, with `state="unit_inactive"`, if it is
inactive on each). Only watched steps count: a unit that dies and revives between two of them is not noticed.
Where the state is NaN, because the run has diverged, nothing is known of the unit and it has no row.
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

MOVED = ("bias", "w_norm", "z_mean")  # the unit probes (unit_bias, …) whose change over the shock is taken


def lives(records: Records, state: str = "unit_dead") -> pd.DataFrame:
    """Return for each unit and watched step whether it is dead, and how that changed since the last row.

    Columns: run_id, step, layer, unit and four booleans. dead: is dead; died: is dead and was not before;
    revived: is alive and was dead before; born: is dead for the first time (also at step 0).
    Errors: ValueError if the unit probe `state` was not recorded.
    """
    _require(records, [state])
    keys = ["run_id", "layer", "unit"]
    rows = hidden(records.units, records.runs).dropna(subset=[state])
    rows = rows.sort_values([*keys, "step"])[[*keys, "step", state]]
    dead = rows[state] == 1
    by_unit = dead.groupby([rows[key] for key in keys], sort=False)
    before = by_unit.shift(fill_value=False).astype(bool)
    rows = rows.assign(dead=dead, died=dead & ~before, revived=~dead & before)
    rows["born"] = rows["died"] & (by_unit.cumsum() == 1)
    return rows.drop(columns=state).reset_index(drop=True)


def _require(records: Records, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in records.units]
    if missing:
        raise ValueError(f"the units' lives need {missing[0]}: add it to the unit_probes")


def life_table(records: Records, state: str = "unit_dead") -> pd.DataFrame:
    """Return how many units of each layer are dead, died and revived, at every watched step with a number.

    Columns: the fields of Run, step, layer, units, dead, births (first deaths), deaths, revivals.
    """
    rows = lives(records, state)
    table = rows.groupby(["run_id", "step", "layer"], sort=False).agg(
        units=("dead", "size"), dead=("dead", "sum"), births=("born", "sum"), deaths=("died", "sum"),
        revivals=("revived", "sum"),
    )  # fmt: skip
    return join(table.reset_index(), records.runs)


def shock_step(records: Records) -> int:
    """Return the step whose update is multiplied; errors: ValueError unless all shocks are at one step."""
    calls = [parse_call(text) for text in records.runs["schedule"].unique()]
    steps = {options.get("at", 100) for name, options in calls if name == "shock"}
    if len(steps) != 1:
        raise ValueError("no run has a shock" if not steps else "the shocks come at different steps")
    return int(steps.pop())


def shock_factor(schedule: str) -> float:
    """Return the factor by which a schedule's shock multiplies the learning rate; 1 without a shock."""
    name, options = parse_call(schedule)
    return float(options.get("factor", 100.0)) if name == "shock" else 1.0


def survival(records: Records, since: int, state: str = "unit_dead") -> pd.DataFrame:
    """Return the fraction of the units alive at step `since` that have not died by each later step.

    The estimate is that of Kaplan & Meier 1958: a unit is at risk until it first dies, and censored at its
    run's end. Columns: the fields of Run, step, layer, alive (1 at `since`). A layer without a unit alive at
    `since` has no rows. Errors: ValueError if that step was not watched.
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


def still_dead(records: Records, at: int, state: str = "unit_dead") -> pd.DataFrame:
    """Return how many of the units that the update of step `at` killed are dead at each later watched step.

    Killed: alive at step `at` and dead at the next. Columns: the fields of Run, step, layer, killed (units)
    and dead (the share of them that is). A layer of a run in which none was killed has no rows. Errors:
    ValueError if one of the two steps was not watched.
    """
    rows = lives(records, state)
    keys = ["run_id", "layer", "unit"]
    if len(rows) and not {at, at + 1} <= set(rows["step"]):
        raise ValueError(f"steps {at} and {at + 1} were not both watched")
    alive = rows.loc[(rows["step"] == at) & ~rows["dead"], keys]
    killed = alive.merge(rows.loc[(rows["step"] == at + 1) & rows["dead"], keys], on=keys)
    later = rows[rows["step"] > at].merge(killed, on=keys)
    table = later.groupby(["run_id", "layer", "step"])["dead"].agg(killed="size", dead="mean").reset_index()
    return join(table[["run_id", "step", "layer", "killed", "dead"]], records.runs)


def died_and_lived(records: Records, at: int) -> pd.DataFrame:
    """Return what the update of step `at` changed in the units that were alive before it.

    Columns: the fields of Run, layer, unit, died (dead after the update), the changes d_bias, d_w_norm and
    d_z_mean, and moved, the norm of the step of the unit's weights. In layer 1, whose inputs are fixed,
    d_z_mean − d_bias is the effect of the weights. Errors: ValueError where a probe was not recorded or one
    of the two steps not watched.
    """
    names = ["unit_dead", *(f"unit_{name}" for name in MOVED), "unit_step_norm"]
    _require(records, names)
    keys = ["run_id", "layer", "unit"]
    rows = hidden(records.units, records.runs)
    before, after = (rows[rows["step"] == step][[*keys, *names]] for step in (at, at + 1))
    if not (len(before) and len(after)):
        raise ValueError(f"steps {at} and {at + 1} were not both watched")
    both = before[before["unit_dead"] == 0].merge(
        after.dropna(subset=["unit_dead"]), on=keys, validate="one_to_one", suffixes=("", "_after")
    )
    changes: dict[str, Any] = {
        f"d_{name}": both[f"unit_{name}_after"] - both[f"unit_{name}"] for name in MOVED
    }
    table = both[keys].assign(died=both["unit_dead_after"] == 1, moved=both["unit_step_norm"], **changes)
    return join(table, records.runs)


def bias_share(changes: pd.DataFrame) -> float:
    """Return the fraction of the change of these units' mean z that their biases cause; NaN without units."""
    total = changes["d_z_mean"].sum()
    return float(changes["d_bias"].sum() / total) if len(changes) and total else float(np.nan)
