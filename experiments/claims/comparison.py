"""Evidence that is a comparison: a number measured here beside one that is published or derived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.claims.verdict import FEWEST_SEEDS, Evidence, Side

if TYPE_CHECKING:
    from experiments.storage.records import Records

# Where a number was read: in the source itself, in someone else's account of it, derived here, or recalled
# (and then confirmed by simulation, or it would not be compared with); or a threshold of our own.
Tag = Literal["source", "account", "derived", "recalled", "threshold"]
ERRORS = 3.0  # standard errors of a mean that a number may be away
CHANCES = 4.0  # binomial errors of a share
SDS = 2.5  # standard deviations that one network may lie from the mean of ours
SIDES: dict[Side, str] = {"below": "below it", "above": "above it"}


@dataclass(frozen=True)
class Compared(Evidence):
    """Ours (value, low, high over n) against a published number; `within` says the tolerance in words."""

    published: float = np.nan
    within: str = ""
    tag: Tag = "source"

    @property
    def is_bound(self) -> bool:
        """Whether the number is one to stay on a side of, and not one to come out again."""
        return self.within in SIDES.values()

    @property
    def gap(self) -> float:
        """How far ours is from the published number: relative, absolute where that is 0, NaN of a bound."""
        return np.nan if self.is_bound else (self.value - self.published) / (abs(self.published) or 1.0)


def near(
    setting: str, values: Iterable[float], published: float, within: float, tag: Tag = "source",
    *, relative: bool = False,
) -> Compared:  # fmt: skip
    """Every seed's value has to lie within ± `within` of the published number (of its size if relative)."""
    found = np.asarray(list(values), float)
    allowed = within * abs(published) if relative else within
    away = Evidence.of(setting, np.abs(found - published), "below", allowed)
    words = f"± {100 * within:g} %" if relative else f"± {within:g}"
    return compared(setting, found, published, words, tag, away.holds)


def mean_near(
    setting: str, values: Iterable[float], published: float, tag: Tag = "source", *, within: float = 0.0
) -> Compared:
    """The mean over seeds has to lie within three of its standard errors (and `within`, if that is more)."""
    found = np.asarray(list(values), float)
    enough = len(found) >= FEWEST_SEEDS and np.isfinite(found).all()
    holds = None
    if enough:
        error = ERRORS * found.std(ddof=1) / np.sqrt(len(found))
        holds = bool(abs(found.mean() - published) <= max(error, within))
    words = f"{ERRORS:g} standard errors of the mean" + (f" or ± {within:g}" if within else "")
    return replace(compared(setting, found, published, words, tag, holds), value=float(found.mean()))


def share_near(
    setting: str, shares: Iterable[float], published: float, trials: int, tag: Tag = "source",
    *, theirs: float = np.inf,
) -> Compared:  # fmt: skip
    """A probability: ours, of `trials` a seed, within four of the errors that chance gives it.

    `theirs` is of how many trials the published one is itself; exact by default.
    """
    found = np.asarray(list(shares), float)
    scatter = 1 / (trials * max(len(found), 1)) + 1 / theirs
    error = np.sqrt(published * (1 - published) * scatter)
    enough = len(found) >= FEWEST_SEEDS and np.isfinite(found).all()
    holds = bool(abs(found.mean() - published) <= CHANCES * error) if enough else None
    words = f"{CHANCES:g} binomial errors of {error:.2g}"
    mean = float(found.mean()) if len(found) else np.nan
    return replace(compared(setting, found, published, words, tag, holds), value=mean)


def among(setting: str, values: Iterable[float], published: float, tag: Tag = "source") -> Compared:
    """The published number, of one network, has to be one of ours: its log within SDS of our logs' mean."""
    found = np.asarray(list(values), float)
    holds = None
    if len(found) >= FEWEST_SEEDS and (found > 0).all() and np.isfinite(found).all():
        logs = np.log(found)
        holds = bool(abs(np.log(published) - logs.mean()) <= SDS * logs.std(ddof=1))
    return compared(setting, found, published, f"{SDS:g} sd of our networks' logs", tag, holds)


def bounded(
    setting: str, values: Iterable[float], side: Side, published: float, tag: Tag = "threshold"
) -> Compared:
    """Every seed's value has to lie on this side of the number: a printed one, or what stands for a word."""
    found = np.asarray(list(values), float)
    judged = Evidence.of(setting, found, side, published)
    return compared(setting, found, published, SIDES[side], tag, judged.holds)


def computed(setting: str, value: float, published: float, within: float, tag: Tag = "source") -> Compared:
    """A number that no chance enters, within ± `within` of the published one's size."""
    holds = bool(abs(value - published) <= within * abs(published)) if np.isfinite(value) else None
    return Compared(
        setting, value, value, value, FEWEST_SEEDS, published, holds, published, f"± {100 * within:g} %", tag
    )


def compared(
    setting: str, found: np.ndarray, published: float, within: str, tag: Tag, holds: bool | None
) -> Compared:
    """Median and range of ours beside a published number, for a rule that has been asked already."""
    kept = found[~np.isnan(found)]
    middle, low, high = (float(f(kept)) for f in (np.median, np.min, np.max)) if len(kept) else [np.nan] * 3
    made = Compared(
        setting, middle, low, high, len(kept), published, holds, published, within, tag,
        missing=len(found) - len(kept),
    )  # fmt: skip
    return made if holds is not None else made.opened()


def by_seed(
    records: Records, by: list[str], measure: Callable[[Any], Any]
) -> Iterator[tuple[tuple[Any, ...], list[Any]]]:
    """For each setting of the fields `by`: what `measure` makes of every seed's run, in the seeds' order."""
    for key, runs in records.runs.groupby(by, sort=False):
        yield key, [measure(run) for run in runs.sort_values("seed").itertuples()]
