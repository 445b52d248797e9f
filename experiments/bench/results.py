"""The results of timing: tables of medians, ranges and ratios, CSV files and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.bench.alternatives import PLAIN, SETTINGS
from experiments.report.printed_tables import as_markdown
from experiments.storage import files

if TYPE_CHECKING:
    import pandas as pd

    from experiments.plots import Picture

CELL = ["shape", "dtype", "activation"]


def ratios(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row per cell and engine: µs per step and run, × plain and share of the limit, with ranges.

    "× plain" is how many times as fast as plain PyTorch. A ratio is taken within each round, and the
    median over rounds is given. NaN where plain PyTorch or the limit is not among the rows.
    """
    import pandas as pd

    times = pd.DataFrame(list(rows))
    wide = times.pivot_table(index=[*CELL, "runs", "round"], columns="engine", values="us", sort=False)
    found = []
    for engine in times["engine"].unique():
        us = wide[engine].dropna()
        limit = SETTINGS[engine].of_the_limit if engine in SETTINGS else "limit"
        columns = {"us": us, "x_plain": _over(wide, PLAIN, us), "of_limit": _over(wide, limit, us)}
        found.append(_medians(pd.DataFrame(columns)).assign(engine=engine))
    table = pd.concat(found).reset_index().set_index([*CELL, "runs", "engine"]).reset_index()
    order = {name: place for place, name in enumerate(SETTINGS)}
    return table.sort_values(
        "engine", kind="stable", key=lambda names: names.map(lambda n: order.get(n, len(order)))
    ).reset_index(drop=True)


def _over(wide: pd.DataFrame, reference: str, us: pd.Series[float]) -> pd.Series[float]:
    import numpy as np

    return wide[reference].reindex(us.index) / us if reference in wide else us * np.nan


def _medians(times: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    groups = times.groupby(level=[*CELL, "runs"], sort=False)
    kinds = {"": groups.median(), "_low": groups.min(), "_high": groups.max()}
    return pd.concat([frame.add_suffix(suffix) for suffix, frame in kinds.items()], axis=1)


# Text -----------------------------------------------------------------------------------------------------


def by_shape(table: pd.DataFrame) -> str:
    """Return a table for each shape and dtype: a row per engine, a column per activation."""
    parts = []
    for (shape, dtype), group in table.groupby(["shape", "dtype"], sort=False):
        cells = group.assign(text=group.apply(_cell, axis=1))
        wide = cells.set_index(["engine", "activation"])["text"].unstack("activation")  # noqa: PD010  (texts)
        wide = wide.reindex(index=cells["engine"].unique(), columns=cells["activation"].unique()).fillna("–")
        parts.append(f"**{shape}, {dtype}**: µs a step and run, × plain, share of the limit\n")
        parts.append(as_markdown(wide.reset_index()))
    return "\n".join(parts)


def _cell(row: pd.Series[Any]) -> str:
    text = f"{row['us']:,.0f} [{row['us_low']:,.0f}–{row['us_high']:,.0f}]"
    if row["x_plain"] == row["x_plain"]:
        text += f", {row['x_plain']:.2f}×"
    if row["of_limit"] == row["of_limit"]:
        text += f", {row['of_limit']:.0%}"
    return text


def write_csv(folder: Path, name: str, rows: Sequence[Mapping[str, Any]] | pd.DataFrame) -> Path:
    """Write one table as a CSV file."""
    import pandas as pd

    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    path = folder / f"{name}.csv"
    files.write(path, table.to_csv(index=False, float_format="%.6g").encode(), folder)
    return path


# Figure ---------------------------------------------------------------------------------------------------


def figure(table: pd.DataFrame) -> Picture:
    """× plain of every engine, a panel for each shape and dtype, a mark for each activation."""
    from experiments.plots import Picture, Words
    from experiments.plots.panels import Panel
    from experiments.plots.style import key, looks

    shown = table[table["x_plain"].notna()]
    shapes = list(shown["shape"].unique())
    engines = list(shown["engine"].unique())[::-1]
    marks = looks(list(shown["activation"].unique()), "activation")
    panels = [
        Panel(
            f"{shape}, {dtype}",
            partial(_draw, part=part, engines=engines, marks=marks),
            rows=1.3 * len(engines),
        )
        for dtype in shown["dtype"].unique()
        for shape in shapes
        for part in [shown[(shown["shape"] == shape) & (shown["dtype"] == dtype)]]
        if len(part)
    ]
    best = shown.loc[shown["x_plain"].idxmax()]
    words = Words(
        f"{best['engine']} is up to {best['x_plain']:.1f} times as fast as PyTorch as a user writes it",
        "Speed of the same training step with the same records, over plain PyTorch's",
        "Mark: the median of paired rounds; line: their range. Further right is faster.",
    )
    return Picture(
        words,
        tuple(panels),
        across=min(len(shapes), 3),
        legend=lambda: [key(name, look) for name, look in marks.items()],
    )


def _draw(axes: Any, scale: Any, *, part: pd.DataFrame, engines: list[str], marks: Mapping[str, Any]) -> None:
    """One panel; activations of one engine lie a little apart."""
    from experiments.plots.axes import log_ticks
    from experiments.plots.style import faint, shown

    axes.set_xscale("log")
    axes.set_ylim(-0.7, len(engines) - 0.3)
    axes.axvline(1, color=faint(axes), linewidth=0.8)
    for number, (name, look) in enumerate(marks.items()):
        lines, look = part[part["activation"] == name], shown(look, axes)
        y = [engines.index(e) + 0.2 * (number - (len(marks) - 1) / 2) for e in lines["engine"]]
        axes.hlines(y, lines["x_plain_low"], lines["x_plain_high"], color=look.colour, linewidth=1.5)
        axes.plot(lines["x_plain"], y, linestyle="", marker=look.marker, color=look.colour, markersize=5)
    exponents, labels = log_ticks(*map(log10, axes.get_xlim()))
    axes.set_xticks([10.0**e for e in exponents], labels)
    axes.set_yticks(range(len(engines)), engines)
    axes.minorticks_off()
