"""The page of the bench: the newest numbers in a few tables, made from the CSV files beside it.

``measured.json`` has when and on what machine each part was measured. The section of `WAY` is written by
hand and stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.bench.alternatives import LIMIT
from experiments.config.markdown import markdown_table
from experiments.storage import files

if TYPE_CHECKING:
    import pandas as pd

MEASURED = "measured.json"
WAY = "What stands in the way"
HEAD = """\
# How fast, beside the alternatives

`make bench` measures a part anew and writes this page; every cell with its range over the rounds is in the
CSV files beside it. Engines take turns in each round, and ratios are taken within a round. "The limit" is
what the matrix products of the same step take alone on as many cores.
"""
OURS = ("ours, 2 processes", "ours")  # the first of these that was timed stands for our engine


def write(folder: Path, about: str, parts: Iterable[str]) -> Path:
    """Note that these parts were measured just now, and write README.md anew; return its path."""
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")
    known = _measured(folder) | {part: {"when": now, "how": about.splitlines()} for part in parts}
    files.write(folder / MEASURED, (json.dumps(known, indent=1) + "\n").encode(), folder)
    path = folder / "README.md"
    files.write(path, page(folder, known, _by_hand(path)).encode(), folder)
    return path


def page(folder: Path, known: Mapping[str, Mapping[str, Any]], by_hand: str) -> str:
    """Return the page of the parts that have a CSV file in the folder."""
    import pandas as pd

    sections = [HEAD, f"## {WAY}\n\n{by_hand}\n"] if by_hand else [HEAD]
    for part, (title, told) in PARTS.items():
        path = folder / f"{part}.csv"
        filled = part in known and path.exists() and path.read_bytes().strip()
        if filled and (table := told(pd.read_csv(path))):
            date = str(known[part]["when"])[:10]
            sections.append(f"## {title}\n\nMeasured {date}.\n\n{table}\n")
    if known:
        sections.append(f"## Machine\n\n{_machines(known)}\n")
    return "\n".join(sections)


def _machines(known: Mapping[str, Mapping[str, Any]]) -> str:
    """What was the same for all parts, in a line each, and what was not, with the parts that had it."""
    common = [line for line in next(iter(known.values()))["how"]
              if all(line in facts["how"] for facts in known.values())]  # fmt: skip
    alike: dict[str, list[str]] = {}
    for part, facts in known.items():
        own = "; ".join(line.removeprefix("- ") for line in facts["how"] if line not in common)
        alike.setdefault(own, []).append(part.replace("_", "-"))
    return "\n".join([*common, *(f"- {', '.join(parts)}: {own}" for own, parts in alike.items() if own)])


def _measured(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MEASURED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _by_hand(path: Path) -> str:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return text.partition(f"\n## {WAY}\n")[2].partition("\n## ")[0].strip()


# Parts ----------------------------------------------------------------------------------------------------


def steps(table: pd.DataFrame) -> str:
    """A row for each shape and number format: our step, and how it stands, over the activations."""
    engine = next((name for name in OURS if name in set(table["engine"])), None)
    if engine is None:
        return ""
    rows = []
    for (shape, dtype), cells in table.groupby(["shape", "dtype"], sort=False):
        ours = cells[cells["engine"] == engine].set_index("activation")
        others = cells[~cells["engine"].str.startswith(("ours", LIMIT))]
        best = others.loc[others.groupby("activation", sort=False)["us"].idxmin()].set_index("activation")
        over = (best["us"] / ours["us"]).dropna()
        names = " or ".join(dict.fromkeys(best["engine"].map(lambda name: name.split(",")[0])))
        rows.append(
            [shape, dtype, _range(ours["us"], "{:,.0f}"), _range(over, "{:.2f}"), names or "–",
             _range(ours["x_plain"].dropna(), "{:.1f}"), _range(ours["of_limit"].dropna(), "{:.0%}")]
        )  # fmt: skip
    head = [
        "shape", "dtype", "ours, µs per step and run", "times as fast as the fastest other", "which is",
        "× PyTorch plain", "share of the limit",
    ]  # fmt: skip
    said = f"Our engine as `{engine}`; each cell is the range over {', '.join(table['activation'].unique())}."
    return f"{said}\n\n{markdown_table(head, rows)}"


def answers(table: pd.DataFrame) -> str:
    """Seconds to the answer."""
    rows = [
        [row.question, row.entrant, f"{row.median:,.1f} [{row.min:,.1f}–{row.max:,.1f}]", f"{row.cpu:,.1f}",
         f"{row.over_ours:.2f}"]
        for row in table.itertuples()
    ]  # fmt: skip
    said = "From the start of the program until its tables and one figure are on disk; each program cold."
    head = ["question", "who", "seconds", "processor seconds", "times as long as ours"]
    return f"{said}\n\n{markdown_table(head, rows)}"


def probes(table: pd.DataFrame) -> str:
    """What records cost: a step with them over a step without."""
    wide = table.pivot_table(index=["shape", "dtype"], columns="engine", values="over_off", sort=False)
    names = [name for name in wide if not name.endswith("off")]
    rows = [[*index, *(f"{row[name]:.2f}" for name in names)] for index, row in wide.iterrows()]  # type: ignore[misc]
    head = ["shape", "dtype", *(name.removeprefix("ours, ") for name in names)]
    said = (
        "A step with records, over one without: all default probes as often as by default, and three of them "
        "at every step."
    )
    return f"{said}\n\n{markdown_table(head, rows)}"


def start_up(table: pd.DataFrame) -> str:
    """How soon the program answers."""
    times = table.groupby("what", sort=False)["ms"].median()
    return "; ".join(f"`{what}` {ms:,.0f} ms" for what, ms in times.items()) + "."


def agreement(table: pd.DataFrame) -> str:
    """How closely the engines compute the same."""
    worst = table.groupby("dtype", sort=False)["gradient"].max()
    found = ", ".join(f"{size:.1e} in {dtype}" for dtype, size in worst.items())
    return f"The largest difference of any engine's gradient from ours, over its layer's largest: {found}."


def growth(table: pd.DataFrame) -> str:
    """Seconds and megabytes by size, with the exponent of the law they follow."""
    rows = [
        [row.along, f"{row.smallest:,.0f} to {row.largest:,.0f}", row.measure, f"{row.at_largest:,.3g}",
         f"{row.exponent:.2f}"]
        for row in table.itertuples()
    ]  # fmt: skip
    said = "Each measure grows as the size to this power, fitted to the upper half of the sizes."
    return f"{said}\n\n{markdown_table(['along', 'sizes', 'measure', 'at the largest', 'power'], rows)}"


PARTS: Mapping[str, tuple[str, Callable[[pd.DataFrame], str]]] = {
    "answer": ("Time to an answer", answers),
    "schedule": ("The step, recorded at the default schedule", steps),
    "steps": ("The step, with records at every step", steps),
    "probes": ("What records cost", probes),
    "growth": ("How it grows", growth),
    "start_up": ("Start", start_up),
    "agreement": ("Agreement", agreement),
}


def _range(values: Sequence[float] | pd.Series[float], form: str) -> str:
    """``0.8–1.1``; "–" for no value."""
    if not len(values):
        return "–"
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low}–{high}"
