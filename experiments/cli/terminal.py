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

from experiments.analysis.ratios import fields_before
from experiments.analysis.wording import count, duration, number, printable
from experiments.cli.narrow import Column, fitting, show
from experiments.cli.status import any_encoding

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from experiments.sweeps.forecast import Forecast
    from experiments.sweeps.plan import Sweep
    from experiments.sweeps.progress import Advance

BETWEEN_LINES = 5.0  # seconds between two plain lines of progress
PLAIN_WIDTH = 180  # characters of a line that goes to a file or a pipe, which has no width of its own
MOST_ROWS = 60  # rows of the summary that are shown; summary.csv has all
COUNTS = ("diverged", "crashed", "left_out", "zeros")  # columns of the summary, shown where not all are 0
SHOWN = {  # the quantities of the summary that fit a terminal, and their headings
    "delta_ratio_start": "delta first/last, start",
    "decay_start": "decay per layer, start",
    "decay_theory": "theory",
    "dead": "dead, end",
    "saturated": "saturated, end",
    "accuracy": "accuracy, end",
    "r2": "R², end",
    "test_r2": "test R², end",
}


class Terminal:
    """A `Progress` that writes to a rich console: a terminal, a pipe or, if quiet, nothing."""

    def __init__(self, console: Console, *, live: bool | None = None) -> None:
        self.console = console
        self.live = console.is_terminal if live is None else live  # whether a line can be written over

    def say(self, text: str) -> None:
        """Show lines as they are: a text from a config is not markup and cannot move the cursor."""
        text = fitting(printable(text), self.console.width) if self.live else printable(text)
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def plan(self, sweep: Sweep) -> None:
        """Show how many runs there are, how many are stored, and how long the rest should take."""
        if not sweep.runs:
            self.say("nothing to train: every claim is a check, of functions or of times")
            return
        runs, missing = count(len(sweep.runs), "run"), sweep.missing
        if taken := sum(map(len, sweep.elsewhere.values())):
            others = ", ".join(sorted({name for name, _ in sweep.elsewhere}))
            self.say(f"{count(taken, 'run')} taken over from {others}; --fresh trains everything anew")
        stored = len(sweep.runs) - missing - sweep.crashed
        if not missing and not sweep.crashed:
            self.say(f"{runs}, all stored: nothing to train")
            return
        crashed = f", {sweep.crashed} crashed before (--rerun-failed trains them again)"
        state = f"{stored or 'none'} stored{crashed if sweep.crashed else ''}"
        if not missing:
            self.say(f"{runs}, {state}: nothing else to train")
            return
        state += f", {missing} to train" if stored or sweep.crashed else ""
        alone = f", for {sweep.own}" if sweep.own else ""
        where = f"with {count(sweep.workers, 'worker')}" if sweep.workers else f"in this process{alone}"
        time = f"about {duration(sweep.seconds())} {where}"
        after = f"then about {duration(sweep.finishing_seconds())} for the summary, figures and claims"
        self.say(f"{runs}, {state}: {count(len(sweep.stacks), 'stack')}, {time}, {after}")

    @contextmanager
    def training(self, runs: int, forecast: Forecast) -> Iterator[Advance]:
        """Yield the function to call with (runs, cost) for every finished stack."""
        if self.live and not self.console.quiet:
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
        keys = fields_before(table, "n")
        counts = [name for name in COUNTS if table[name].any()]
        quantities = [name for name in SHOWN if name in table and table[name].notna().any()]
        rows = table.head(MOST_ROWS).to_dict("records")
        values = [Column(SHOWN[name], [_cell(row, name) for row in rows]) for name in quantities]
        show(self.console, _keys(rows, [*keys, "n", *counts]), values, "median, range over n seeds")
        if len(table) > MOST_ROWS:
            self.say(f"… and {len(table) - MOST_ROWS} more rows in summary.csv")

    def frontier(self, table: pd.DataFrame, goal: str) -> None:
        """Show a row per setting: the depth that half of its seeds reach, theory's, and the run counts."""
        keys = fields_before(table, "frontier")
        rows = table.head(MOST_ROWS).to_dict("records")
        cells: dict[str, list[str]] = {
            "depth": [number(r["frontier"]) if r["frontier"] == r["frontier"] else r["remark"] for r in rows],
            "interval": [f"{number(row['low'])} – {number(row['high'])}" for row in rows],
            "6 ξ, theory": [number(row["theory"]) for row in rows],
            "runs": [str(row["runs"]) for row in rows],
            "of a grid's": [str(row["grid_runs"]) for row in rows],
        }
        show(self.console, _keys(rows, keys), [Column(name, each) for name, each in cells.items()], goal)

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

    any_encoding(sys.stdout)
    live = sys.stdout.isatty()  # FORCE_COLOR makes rich take a pipe for a terminal
    console = Console(quiet=quiet, width=None if live else PLAIN_WIDTH)
    console.on_broken_pipe = partial(_become_quiet, console)  # type: ignore[method-assign]
    return Terminal(console, live=live and console.is_terminal)


def _become_quiet(console: Console) -> None:
    """Continue the sweep without output when the reader of a pipe has ended (as ``| head`` does)."""
    console.quiet = True
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _keys(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> list[Column]:
    """Return the columns that name a row; texts are told from numbers by their values."""
    texts = {name for name in names if any(isinstance(row[name], str) for row in rows)}
    return [Column(name, [str(row[name]) for row in rows], is_text=name in texts) for name in names]


def _cell(row: dict[str, Any], quantity: str) -> str:
    median = row[quantity]
    low, high = (
        row.get(f"{quantity}{end}", median) for end in ("_low", "_high")
    )  # theory's value has no range
    if low == high or median != median:
        return number(median)
    short = float(number(low, 2)) <= median <= float(number(high, 2))  # else rounding would put it outside
    digits = 2 if short else 3
    return f"{number(median)} {number(low, digits)}–{number(high, digits)}"
