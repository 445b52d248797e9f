"""What training, the pipeline and the report tell a person while they work; the terminal implements it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from experiments.sweeps.forecast import Forecast
    from experiments.sweeps.plan import Sweep

Advance = Callable[[int, float], None]  # to be called with (runs, cost) for every stack that has come back


class Progress(Protocol):
    """What can be told; each method may show it, write it down or ignore it."""

    def say(self, text: str) -> None:
        """Tell one line or a few."""

    def plan(self, sweep: Sweep) -> None:
        """Tell how much there is to train and how long it should take."""

    def training(self, runs: int, forecast: Forecast) -> AbstractContextManager[Advance]:
        """Follow a training of so many runs; gives the function to call for every finished stack."""

    def summary(self, table: pd.DataFrame) -> None:
        """Show the summary: a row for each setting."""

    def frontier(self, table: pd.DataFrame, goal: str) -> None:
        """Show how deep each setting can go, by the goal that a success was judged by."""

    def verdicts(self, table: pd.DataFrame) -> None:
        """Show what became of each claim."""

    def wrote(self, folder: Path, names: Sequence[str]) -> None:
        """Tell which files were written."""


class Silent:
    """Tells nobody anything."""

    def say(self, text: str) -> None:
        """Nothing."""

    def plan(self, sweep: Sweep) -> None:
        """Nothing."""

    @contextmanager
    def training(self, runs: int, forecast: Forecast) -> Iterator[Advance]:
        """Nothing."""
        yield lambda runs, cost: None

    def summary(self, table: pd.DataFrame) -> None:
        """Nothing."""

    def frontier(self, table: pd.DataFrame, goal: str) -> None:
        """Nothing."""

    def verdicts(self, table: pd.DataFrame) -> None:
        """Nothing."""

    def wrote(self, folder: Path, names: Sequence[str]) -> None:
        """Nothing."""
