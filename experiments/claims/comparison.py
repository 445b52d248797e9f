"""Evidence that is a comparison: a number measured here beside one that is printed, recalled or derived.

The tolerance that a comparison states is the one it is judged by. Where chance enters, the number comes out
if the interval that holds ours with 97 % certainty lies within the tolerance, it does not if the interval
lies outside, and it is open if the interval straddles an end: scatter never makes a comparison easier to
pass. The 97 % are those of the range of six seeds for their median. Where a claim makes several comparisons,
any of them may miss by chance alone, so that a number is said not to come out only if it misses by the wider
interval that holds all of them with that certainty (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.analysis.wording import number
from experiments.claims.evidence import FEWEST_SEEDS, MORE_SEEDS, Evidence, Role, Side

if TYPE_CHECKING:
    from experiments.storage.records import Records

# Where a number was found: read in the source itself (the paper, its authors' code or data), read in
# somebody's account of it, recalled and not found again, worked out here, or a line that we drew ourselves.
Tag = Literal["source", "account", "recalled", "derived", "threshold"]
# What is counted: whether anybody has printed the number.
KINDS: dict[str, tuple[Tag, ...]] = {
    "printed": ("source", "account"),
    "recalled": ("recalled",),
    "derived": ("derived",),
    "own threshold": ("threshold",),
}
ERRORS = 3.0  # standard errors of the mean of six seeds that hold it as certainly as their range the median
SCALES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {  # on which one value scatters as another
    "log": (lambda x: np.where(x > 0, np.log(x), np.nan), np.exp),
    "count": (lambda x: np.sqrt(x + 0.375), lambda y: max(0.0, round(max(y, 0) ** 2 - 0.375, 9))),
}
CHANCE = 0.03  # that an interval misses; the range of six seeds misses their median as often
CHANCES = 4.0  # binomial errors that a share may be away; by chance one in 16,000 is


@dataclass(frozen=True)
class Compared(Evidence):
    """Ours (value, low, high over n) beside a number; `within` says the tolerance in words."""

    published: float = np.nan
    within: str = ""
    tag: Tag = "source"

    @property
    def kind(self) -> str:
        """What the number counts as: a key of KINDS."""
        return next(kind for kind, tags in KINDS.items() if self.tag in tags)

    @property
    def is_bound(self) -> bool:
        """Whether the number is one to stay on a side of, and not one to come out again."""
        return self.side in ("below", "above")

    @property
    def by_chance(self) -> bool:
        """Whether ours is of several networks, and so by chance; what is computed is one value."""
        return self.n + self.missing > 1

    @property
    def gap(self) -> float:
        """How far ours is from the number: relative, absolute where that is 0, NaN of a bound."""
        return np.nan if self.is_bound else (self.value - self.published) / (abs(self.published) or 1.0)

    @property
    def demand(self) -> str:
        """What the rule asks: ``0.236 (± 2 %, the mean)``, ``> 0.5``."""
        return super().demand if self.is_bound else f"{number(self.published)} ({self.within})"


def given(role: Role, evidence: Iterable[Compared]) -> list[Compared]:
    """The same comparisons as controls, checks or asides."""
    return [replace(e, role=role) for e in evidence]


# Where every seed is asked ----------------------------------------------------------------------------------


def near(
    setting: str, values: Iterable[float], published: float, within: float, tag: Tag,
    *, relative: bool = False,
) -> Compared:  # fmt: skip
    """Every seed's value has to lie within ± `within` of the number (of its size if relative)."""
    allowed = within * abs(published) if relative else within
    found = between(setting, values, published - allowed, published + allowed, published, tag)
    return replace(found, within=f"{tolerance(within, relative=relative)}, every seed")


def between(
    setting: str, values: Iterable[float], low: float, high: float, published: float, tag: Tag
) -> Compared:
    """Every seed's value has to lie from `low` to `high`: what stands for the printed number or word.

    It does not come out if every seed's value lies outside, and is open if some do.
    """
    found = np.asarray(list(values), float)
    inside = (found >= low) & (found <= high)
    holds = bool(inside[0]) if len(found) and (inside == inside[0]).all() else None
    words = f"from {low:.4g} to {high:.4g}, every seed"
    return compared(setting, found, published, words, tag, holds, "the seeds lie on both sides of an end")


def bounded(setting: str, values: Iterable[float], side: Side, published: float, tag: Tag) -> Compared:
    """Every seed's value has to lie on this side of the number: a printed one, or what stands for a word."""
    found = np.asarray(list(values), float)
    judged = Evidence.of(setting, found, side, published)
    made = compared(setting, found, published, f"{side} it, every seed", tag, judged.holds, judged.why_open)
    return replace(made, side=side, sampled=True)


# Where the mean is asked ------------------------------------------------------------------------------------


def mean_near(
    setting: str, values: Iterable[float], published: float, within: float, tag: Tag,
    *, relative: bool = False, comparisons: int = 1,
) -> Compared:  # fmt: skip
    """The mean of the values, one per seed, has to lie within ± `within` of the number.

    `within` is a share of the number's size if relative; `comparisons` is how many numbers the claim compares
    means with (see the module).
    """
    found = np.asarray(list(values), float)
    allowed = within * abs(published) if relative else within
    gap, error = abs(mean(found) - published), standard_error(found)
    out = gap - errors(len(found), comparisons) * error > allowed
    holds = True if gap + errors(len(found)) * error <= allowed else False if out else None
    words = f"{tolerance(within, relative=relative)}, the mean{_one_of(comparisons)}"
    return _of_mean(compared(setting, found, published, words, tag, holds, _straddles(found)), found)


def mean_beyond(
    setting: str, values: Iterable[float], side: Side, published: float, tag: Tag, *, comparisons: int = 1
) -> Compared:
    """The mean of the values, one per seed, has to lie on this side of the number with its whole interval."""
    found = np.asarray(list(values), float)
    ahead, error = (mean(found) - published) * (1 if side == "above" else -1), standard_error(found)
    out = -ahead > errors(len(found), comparisons) * error
    holds = True if ahead > errors(len(found)) * error else False if out else None
    made = compared(
        setting, found, published, f"{side} it, the mean{_one_of(comparisons)}", tag, holds, _straddles(found)
    )
    return replace(_of_mean(made, found), side=side)


def share_near(
    setting: str, shares: Iterable[float], published: float, trials: int, tag: Tag, *, theirs: float = np.inf
) -> Compared:  # fmt: skip
    """A probability: ours, of `trials` a seed, has to lie within four of the errors that chance gives it.

    `theirs` is of how many trials the published one is itself; exact by default.
    """
    found = np.asarray(list(shares), float)
    error = binomial_error(published, trials * max(len(found), 1), theirs)
    holds = bool(abs(mean(found) - published) <= CHANCES * error)
    words = f"± {number(CHANCES * error, 2)}, {CHANCES:g} binomial errors"
    return _of_mean(compared(setting, found, published, words, tag, holds), found)


def share_beyond(
    setting: str, shares: Iterable[float], side: Side, published: float, trials: int, tag: Tag
) -> Compared:
    """A probability that cannot lie beyond a bound: ours may, but for four errors that chance gives it."""
    found = np.asarray(list(shares), float)
    error = binomial_error(published, trials * max(len(found), 1))
    ahead = (mean(found) - published) * (1 if side == "above" else -1)
    words = f"{side} it but for {number(CHANCES * error, 2)}, {CHANCES:g} binomial errors"
    made = compared(setting, found, published, words, tag, bool(ahead >= -CHANCES * error))
    return replace(_of_mean(made, found), side=side)


# One published network, and no chance at all ----------------------------------------------------------------


def one_more(
    setting: str, values: Iterable[float], published: float, tag: Tag,
    *, scale: Literal["log", "count"], comparisons: int = 1,
) -> Compared:  # fmt: skip
    """The number is of one network, and has to lie where one more network like ours would.

    That is within the prediction interval of our values, one per network: the interval that holds all of the
    claim's comparisons together. It is taken of their logs, or of counts as √(count + 3/8), whose scatter
    does not grow with the count (Anscombe's transform).
    """
    there, back = SCALES[scale]
    found = np.asarray(list(values), float)
    with np.errstate(invalid="ignore", divide="ignore"):  # what has no log is NaN, which decides nothing
        kept = there(found)
    reach = errors(len(kept), comparisons) * standard_error(kept) * np.sqrt(len(kept) + 1)
    low, high = (float(back(end)) for end in (mean(kept) - reach, mean(kept) + reach))
    words = f"from {number(low)} to {number(high)}, where one more of our networks lies{_one_of(comparisons)}"
    holds = bool(abs(there(np.asarray(published)) - mean(kept)) <= reach)
    made = compared(setting, found, published, words, tag, holds)
    return made if np.isfinite(reach) else replace(made, holds=None).opened()


def computed(setting: str, value: float, published: float, within: float, tag: Tag) -> Compared:
    """A number that no chance enters, within ± `within` of the published one's size."""
    holds = bool(abs(value - published) <= within * abs(published)) if np.isfinite(value) else None
    words = f"{tolerance(within, relative=True)}, computed"
    why = "" if np.isfinite(value) else "the quadrature has no finite value"
    return Compared(
        setting, value, value, value, 1, published, holds, published, words, tag, why_open=why
    )  # fmt: skip


def compared(
    setting: str, found: np.ndarray, published: float, within: str, tag: Tag, holds: bool | None,
    why_open: str = "",
) -> Compared:  # fmt: skip
    """Median and range of ours beside a number, for a rule that has been asked already.

    Open, with the reason, if seeds are too few or a value is missing, whatever the rule said.
    """
    kept = found[~np.isnan(found)]
    middle, low, high = (float(f(kept)) for f in (np.median, np.min, np.max)) if len(kept) else [np.nan] * 3
    made = Compared(
        setting, middle, low, high, len(kept), published, holds, published, within, tag,
        missing=len(found) - len(kept),
    )  # fmt: skip
    opened = made.opened()
    return (
        replace(opened, why_open=why_open, to_change=MORE_SEEDS)
        if made.n >= FEWEST_SEEDS and why_open and holds is None
        else opened
    )


# The arithmetic of chance -----------------------------------------------------------------------------------


def mean(found: np.ndarray) -> float:
    """The mean; NaN of no values."""
    return float(found.mean()) if len(found) else np.nan


def standard_error(found: np.ndarray) -> float:
    """The standard error of the mean of independent values; NaN of fewer than two."""
    return float(found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else np.nan


def errors(n: int, comparisons: int = 1) -> float:
    """How many standard errors the mean of n values may be away by chance; Student's t. 3.003 for six."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 1 - CHANCE / (2 * comparisons))) if n > 1 else np.nan


def binomial_error(share: float, trials: float, theirs: float = np.inf) -> float:
    """The standard deviation of the difference between two shares of so many trials."""
    return float(np.sqrt(share * (1 - share) * (1 / trials + 1 / theirs)))


def can_tell(share: float, trials: float, theirs: float = np.inf) -> bool:
    """Whether so many trials can tell a share from 0 and from 1: whether its tolerance admits neither."""
    return CHANCES * binomial_error(share, trials, theirs) < min(share, 1 - share)


def tolerance(within: float, *, relative: bool) -> str:
    """``± 2 %`` or ``± 0.02``."""
    return f"± {100 * within:g} %" if relative else f"± {within:g}"


def _one_of(comparisons: int) -> str:
    """``, one of 13 compared``; nothing of one alone."""
    return f", one of {comparisons} compared" if comparisons > 1 else ""


def _of_mean(made: Compared, found: np.ndarray) -> Compared:
    return replace(made, value=mean(found))


def _straddles(found: np.ndarray) -> str:
    """Say why the mean of these values tells nothing."""
    if infinite := int(np.isinf(found).sum()):
        return f"{infinite} of {len(found)} values are infinite, so that they have no mean"
    reach = errors(len(found)) * standard_error(found)
    return (
        f"the mean of its {len(found)} seeds, {number(mean(found))} ± {number(reach, 2)}, may lie on either "
        "side of an end of the tolerance"
    )


def by_seed(
    records: Records, by: list[str], measure: Callable[[Any], Any]
) -> Iterator[tuple[tuple[Any, ...], list[Any]]]:
    """For each setting of the fields `by`: what `measure` makes of every seed's run, in the seeds' order."""
    for key, runs in records.runs.groupby(by, sort=False):
        yield key, [measure(run) for run in runs.sort_values("seed").itertuples()]
