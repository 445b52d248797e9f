"""The protocol by which training, the pipeline and the report show progress; `Terminal` implements it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from experiments.sweeps.forecast import Forecast
    from experiments.sweeps.plan import Sweep

Advance = Callable[[int, float], None]  # to be called with (runs, cost) for every finished stack


class Progress(Protocol):
    """The events of a sweep; an implementation may show, log or ignore each of them."""

    def say(self, text: str) -> None:
        """Show one or more lines of text."""

    def plan(self, sweep: Sweep) -> None:
        """Show how much there is to train and how long it should take."""

    def training(self, runs: int, forecast: Forecast) -> AbstractContextManager[Advance]:
        """Follow the training of `runs` runs; yields the function to call for every finished stack."""

    def summary(self, table: pd.DataFrame) -> None:
        """Show the summary: a row for each setting."""

    def frontier(self, table: pd.DataFrame, goal: str) -> None:
        """Show how deep each setting can go, by the goal that a success was judged by."""

    def verdicts(self, table: pd.DataFrame) -> None:
        """Show the verdict on each claim."""

    def wrote(self, folder: Path, names: Sequence[str]) -> None:
        """Show which files were written."""


class Silent:
    """A `Progress` that shows nothing."""

    def say(self, text: str) -> None:
        """Show nothing."""

    def plan(self, sweep: Sweep) -> None:
        """Show nothing."""

    @contextmanager
    def training(self, runs: int, forecast: Forecast) -> Iterator[Advance]:
        """Show nothing."""
        yield lambda runs, cost: None

    def summary(self, table: pd.DataFrame) -> None:
        """Show nothing."""

    def frontier(self, table: pd.DataFrame, goal: str) -> None:
        """Show nothing."""

    def verdicts(self, table: pd.DataFrame) -> None:
        """Show nothing."""

    def wrote(self, folder: Path, names: Sequence[str]) -> None:
        """Show nothing."""
