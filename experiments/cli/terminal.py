"""The terminal's output: the question, the plan, progress, the summary and the files written.

On a terminal, progress is a bar; where the output goes to a file or a pipe, it is a line every few seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.analysis.wording import count, duration, number, printable

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from experiments.sweeps.forecast import Forecast
    from experiments.sweeps.plan import Sweep
    from experiments.sweeps.progress import Advance

BETWEEN_LINES = 5.0  # seconds between two plain lines of progress
PLAIN_WIDTH = 180  # characters of a line that goes to a file or a pipe, which has no width of its own
MOST_ROWS = 60  # rows of the summary that are shown; summary.csv has all
COUNTS = (
    "diverged",
    "crashed",
    "left_out",
    "zeros",
)  # columns of the summary, shown where they are not all 0
SHOWN = {  # the quantities of the summary that fit a terminal, and their headings
    "delta_ratio_start": "delta first/last, start",
    "decay_start": "decay per layer, start",
    "decay_theory": "theory",
    "dead": "dead, end",
    "saturated": "saturated, end",
    "accuracy": "accuracy, end",
}


class Terminal:
    """A `Progress` that writes to a rich console: a terminal, a pipe or, if quiet, nothing."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        """Show lines as they are: a text from a config is not markup and cannot move the cursor."""
        self.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def plan(self, sweep: Sweep) -> None:
        """Show how many runs there are, how many are stored, and how long the rest should take."""
        runs, missing = count(len(sweep.runs), "run"), sweep.missing
        if not missing:
            self.say(f"{runs}, all stored: nothing to train")
            return
        stored = len(sweep.runs) - missing
        state = f"{stored} stored, {missing} to train" if stored else "none stored"
        where = f"with {count(sweep.workers, 'worker')}" if sweep.workers else "in this process"
        time = f"about {duration(sweep.seconds())} {where}"
        self.say(f"{runs}, {state}: {count(len(sweep.stacks), 'stack')}, {time}")

    @contextmanager
    def training(self, runs: int, forecast: Forecast) -> Iterator[Advance]:
        """Yield the function to call with (runs, cost) for every finished stack."""
        if self.console.is_terminal and not self.console.quiet:
            with self._bar(runs, forecast) as advance:
                yield advance
        else:
            yield self._lines(runs, forecast)

    @contextmanager
    def _bar(self, runs: int, forecast: Forecast) -> Iterator[Advance]:
        from rich.progress import BarColumn, Progress, TextColumn

        count = TextColumn("{task.completed:.0f}/{task.total:.0f} runs")
        columns = BarColumn(bar_width=None), count, TextColumn("{task.fields[forecast]}")
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task("", total=runs, forecast=forecast)

            def advance(runs: int, cost: float) -> None:
                forecast.add(cost)
                progress.advance(task, runs)

            yield advance

    def _lines(self, total: int, forecast: Forecast) -> Advance:
        done, last = 0, time.monotonic()

        def advance(runs: int, cost: float) -> None:
            nonlocal done, last
            forecast.add(cost)
            done += runs
            if time.monotonic() - last >= BETWEEN_LINES:
                last = time.monotonic()
                self.say(f"{done}/{total} runs, {forecast}")

        return advance

    def summary(self, table: pd.DataFrame) -> None:
        """Show a row per group of runs that differ in the seed: median and range of each quantity."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        keys = list(table.columns[: table.columns.get_loc("n")])
        counts = [name for name in COUNTS if table[name].any()]
        quantities = [name for name in SHOWN if name in table and table[name].notna().any()]
        shown = Table(box=SIMPLE_HEAD, caption="median, range over n seeds", caption_justify="left")
        for name in [*keys, "n", *counts, *(SHOWN[name] for name in quantities)]:
            shown.add_column(name, justify="left" if name == "activation" else "right", overflow="fold")
        for row in table.head(MOST_ROWS).to_dict("records"):
            texts = [str(row[name]) for name in [*keys, "n", *counts]]
            cells = [_cell(row, name) for name in quantities]
            shown.add_row(*(Text(printable(text)) for text in [*texts, *cells]))
        self.console.print(shown)
        if len(table) > MOST_ROWS:
            self.say(f"… and {len(table) - MOST_ROWS} more rows in summary.csv")

    def frontier(self, table: pd.DataFrame, goal: str) -> None:
        """Show a row per setting: the depth that half of its seeds reach, theory's, and the run counts."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        keys = list(table.columns[: table.columns.get_loc("frontier")])
        shown = Table(box=SIMPLE_HEAD, caption=goal, caption_justify="left")
        for name in [*keys, "depth", "interval", "6 ξ, theory", "runs", "of a grid's"]:
            shown.add_column(name, justify="left" if name in keys else "right", overflow="fold")
        for row in table.head(MOST_ROWS).to_dict("records"):
            depth = number(row["frontier"]) if row["frontier"] == row["frontier"] else row["remark"]
            interval = f"{number(row['low'])} – {number(row['high'])}"
            counts = str(row["runs"]), str(row["grid_runs"])
            texts = [*(str(row[name]) for name in keys), depth, interval, number(row["theory"]), *counts]
            shown.add_row(*(Text(printable(text)) for text in texts))
        self.console.print(shown)

    def verdicts(self, table: pd.DataFrame) -> None:
        """Show a line per claim with its status, value and bound, and one for its condition, if any."""
        from experiments.claims.evidence import SIGNS

        for row in table.to_dict("records"):
            range_ = f"{number(row['value'])} ({number(row['low'])} – {number(row['high'])})"
            bound = f"{SIGNS[row['side']]} {number(row['bound'])}".strip()
            of = f"{row['unit']}: " if row["unit"] else ""
            measured = f": {of}{range_}, bound {bound}, n = {row['n']}" if row["n"] else ""
            self.say(f"{row['status']:13} {row['claim']}{measured}")
            if row["condition"]:
                self.say(f"{'':13} {row['condition']}")

    def wrote(self, folder: Path, names: Sequence[str]) -> None:
        """Show the folder and the names of the files written."""
        self.say(f"wrote {folder}/")
        for name in names:
            self.say(f"  {name}")


def terminal(*, quiet: bool = False) -> Terminal:
    """Return the `Progress` that writes to standard output."""
    from rich.console import Console

    console = Console(quiet=quiet)
    if not console.is_terminal:
        console = Console(quiet=quiet, width=PLAIN_WIDTH)
    console.on_broken_pipe = partial(_become_quiet, console)  # type: ignore[method-assign]
    return Terminal(console)


def _become_quiet(console: Console) -> None:
    """Continue the sweep without output when the reader of a pipe has ended (as ``| head`` does)."""
    console.quiet = True
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _cell(row: dict[str, Any], quantity: str) -> str:
    median = row[quantity]
    low, high = (
        row.get(f"{quantity}{end}", median) for end in ("_low", "_high")
    )  # theory's value has no range
    if low == high or median != median:
        return number(median)
    return f"{number(median)} {number(low, 2)}–{number(high, 2)}"
