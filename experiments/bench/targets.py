"""What the step is meant to reach, what it reaches, and what a profile says stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.bench.results import CELL, markdown
from experiments.bench.workload import Shape

if TYPE_CHECKING:
    import pandas as pd

OURS, RIVAL = "ours, 2 processes", "JAX vmap scan, 2 pinned processes"
NARROW, WIDE = (64, 0.60), (128, 0.85)  # width, and the share of the limit that is aimed at in float32

# The operations of `profile` by what they are.
KINDS = {
    "matrix products": ("x·w", "xᵀ·delta", "delta·wᵀ"),
    "activation and slope": ("f(z)", "·f'(z)"),
    "bias and its gradient": ("bias", "bias gradient"),
    "gather, loss and update": ("gather", "loss", "update"),
    "Python and rest": ("Python and rest",),
    "records of every step": ("records",),
}


def aim(shape: str, dtype: str) -> float:
    """The share of the limit aimed at; NaN where only the rival counts."""
    width = Shape.parse(shape).width
    if dtype == "float32" and width >= WIDE[0]:
        return WIDE[1]
    return NARROW[1] if dtype == "float32" and width == NARROW[0] else float("nan")


def reached(steps: pd.DataFrame) -> pd.DataFrame:
    """A row a case: share of the limit and its aim; how many times as fast as the rival, NaN if not timed."""
    times = steps.pivot_table(index=CELL, columns="engine", values="us", sort=False)
    ours = steps[steps["engine"] == OURS].set_index(CELL)
    table = ours[["us", "of_limit"]].reset_index()
    table["aim"] = [aim(shape, dtype) for shape, dtype in zip(table["shape"], table["dtype"], strict=True)]
    rival = times[RIVAL] / times[OURS] if RIVAL in times else float("nan") * times[OURS]
    table["x_jax"] = rival.reindex(ours.index).to_numpy()
    return table


def by_kind(profile: pd.DataFrame) -> pd.DataFrame:
    """A row a case of the profile: µs a step and run of each kind of operation."""
    kinds = {operation: kind for kind, operations in KINDS.items() for operation in operations}
    named = profile.assign(kind=profile["operation"].map(kinds))
    wide = named.pivot_table(index=CELL, columns="kind", values="us", aggfunc="sum", sort=False)
    return wide[list(KINDS)]


def statement(steps: pd.DataFrame, profile: pd.DataFrame | None) -> str:
    """The table of what was reached and, for each case that falls short, where its microseconds went."""
    table = reached(steps)
    lines = [markdown(table), ""]
    short = table[(table["of_limit"] < table["aim"]) | (table["x_jax"] < 1)]
    if short.empty:
        return "\n".join([*lines, "Every aim is reached."])
    kinds = None if profile is None else by_kind(profile)
    for row in short.itertuples(index=False):
        case = (row.shape, row.dtype, row.activation)
        where = f": {_where(kinds.loc[case])}" if kinds is not None and case in kinds.index else "."
        lines.append(f"- **{' '.join(case)}** {_missed(row)}{where}")
    return "\n".join(lines)


def _missed(row: Any) -> str:
    """What a case falls short of."""
    parts = []
    if row.of_limit < row.aim:
        parts.append(f"{row.of_limit:.0%} of the limit for {row.aim:.0%}")
    if row.x_jax < 1:
        parts.append(f"{row.x_jax:.2f} times as fast as JAX")
    return ", ".join(parts)


def _where(kinds: pd.Series[float]) -> str:
    """µs a step and run in one process that has a core's cache to itself."""
    us = float(kinds.sum())
    parts = [f"{name} {took:,.0f} ({took / us:.0%})" for name, took in kinds.items()]
    return f"of {us:,.0f} µs in one process {', '.join(parts)}."
