"""What a claim asks of the records: runs with certain settings, a probe, enough seeds; or it is
undecided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from experiments.analysis import probe_column, varying
from experiments.claims.verdict import FEWEST_SEEDS, Undecided
from experiments.selection import at_last_step, own_best

if TYPE_CHECKING:
    import pandas as pd

    from experiments.records import Records


def only(records: Records, **wanted: Any) -> Records:
    """The runs whose fields have these values, each a value or a list of those allowed.

    Undecided if one of the values that is asked for occurs in no run left over.
    """
    runs = records.runs
    for field, values in wanted.items():
        for value in values if isinstance(values, list) else [values]:
            if not (runs[field] == value).any():
                raise Undecided(f"no run has {field} = {value}", f"{field}: [{value}] under sweep")
        runs = runs[runs[field].isin(values if isinstance(values, list) else [values])]
    return records.of(runs["run_id"])


def recorded(records: Records, probe: str) -> str:
    """The column of `layers` that holds a probe, whatever options it was recorded with."""
    column = probe_column(records.layers, probe)
    if column is None:
        raise Undecided(f"{probe} was not recorded", f"probes: add {probe}")
    return column


def alike(runs: pd.DataFrame, but: Sequence[str], which: str) -> None:
    """That runs differ in no field but `but` and the seed, and none is there twice; `which` names them."""
    others = [field for field in varying(runs) if field not in but]
    if others:
        values = ", ".join(map(str, runs[others[0]].drop_duplicates()))
        raise Undecided(f"{which}: runs differ in {others[0]}, too ({values})", f"{others[0]}: one value")
    if runs.duplicated([*but, "seed"]).any():
        raise Undecided(f"{which}: the same run is there twice", "seed: each once")


def judged(records: Records, column: str, by: Sequence[str], *, larger: bool) -> pd.DataFrame:
    """`column` of `steps` after training, as `value`, for each setting of `by` at its own best learning rate.

    The rows of `own_best`: those of the judging seeds. Undecided if they are too few.
    """
    enough(records.runs["seed"])
    return own_best(at_last_step(records, column), by, larger=larger)


def enough(seeds: Iterable[int]) -> None:
    """That one half of the seeds can choose a learning rate and the other still decide."""
    found, needed = len(set(seeds)), 2 * FEWEST_SEEDS
    if found < needed:
        listed = ", ".join(map(str, range(needed)))
        reason = f"{found} seeds of at least {needed}, for one half of them chooses the learning rate"
        raise Undecided(reason, f"seed: [{listed}]")


def on_edges(best: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """A remark on every setting whose own best lies at an end of its grid, and may lie beyond it."""
    rows = best[best["on_edge"]].drop_duplicates(list(by))
    return [
        f"{', '.join(str(row[field]) for field in by)}: its best lr, {row['lr']:g}, is at an end of the grid."
        for _, row in rows.iterrows()
    ]
