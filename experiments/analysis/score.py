"""How well runs answer, as one pair of columns: accuracy where they learn classes, R² where a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records


@dataclass(frozen=True)
class Score:
    """The columns of `steps` for the training and the test examples, what they are called, and their axis."""

    train: str
    test: str
    name: str
    scale: Literal["share", "linear"]
    chance: str  # what the score of an answer that looks at no example is called
    loss: str  # the label of the loss

    def of(self, column: str) -> str:
        """Return this score's column in the place of `accuracy` or `test_accuracy`."""
        return {ACCURACY.train: self.train, ACCURACY.test: self.test}[column]

    def known(self, steps: pd.DataFrame) -> str:
        """Return the column for the test examples, or for those of training where there are none to test."""
        return self.test if steps[self.test].notna().any() else self.train

    def words(self, column: str) -> str:
        """Return a column's name in words: ``test accuracy``."""
        return f"{'test' if column == self.test else 'training'} {self.name}"


ACCURACY = Score("accuracy", "test_accuracy", "accuracy", "share", "chance", "loss (nats)")
R2 = Score("r2", "test_r2", "R²", "linear", "predicting the mean", "mean squared error")


def score_of(records: Records) -> Score:
    """Return R² where every measured run learns a number, else accuracy."""
    steps = records.steps
    return R2 if R2.train in steps and steps[ACCURACY.train].isna().all() else ACCURACY
