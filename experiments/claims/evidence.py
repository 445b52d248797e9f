"""Evidence: one number at one setting, and whether the rule holds there.

Each piece of evidence has a role. What the *claim* says decides the verdict. A *control* is a comparison that
has to come out for the claim's numbers to mean anything; a *check* is a law, an identity or a theory that the
instrument has to reproduce. Controls and checks can make a verdict inconclusive, never supported. An *aside*
is shown, and nothing follows from it.

Chance. Of n seeds whose median lies exactly at the bound all fall on one side with probability 2^(1−n): then
chance has decided the setting. Among k settings that happens more often, so that each has to be clear of its
bound by a margin: the nearest seed is at least c times the seeds' range away from it. For any distribution
with a single peak, at the bound, the n distances on one side have a falling density, so the smallest exceeds
the fraction c/(1 + c) of the largest with probability (1 + c)^(1−n) at most. Both together have probability
(2(1 + c))^(1−n), and `margin` gives the c for which k times that is 5 %.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import numpy as np

from experiments.analysis.wording import count, number

Side = Literal["below", "above"]
Role = Literal["claim", "control", "check", "aside"]

FEWEST_SEEDS = 6  # their range covers the median with probability 1 − 2⁻⁵ = 97 %
BY_CHANCE = 0.05  # how probable it may be that chance decides any of a verdict's settings
MORE_SEEDS = "seed: more of them"
SEEDS = f"seed: [{', '.join(map(str, range(FEWEST_SEEDS)))}]"  # a config's line with enough of them
ALL_RUNS = "sweep: every setting that the claim compares"
ALL_VALUES = "lr, init or steps: such that every run has a value"
SIGNS = {"below": "<", "above": ">", "exactly": "=", "": ""}


@dataclass(frozen=True)
class Evidence:
    """The number at one setting: median and range over n seeds, and whether the rule holds there.

    holds: None where it is open; `why_open` then says the reason, and `to_change` what in the config would
    close it, if anything there can. side: where the number has to lie of
    the bound. missing: seeds without a value, which n leaves out. sampled: the seeds' range has decided, so
    that chance can have. in_logs: their range and their distance from the bound are those of the logarithms.
    """

    setting: str
    value: float
    low: float
    high: float
    n: int
    bound: float
    holds: bool | None
    role: Role = field(default="claim", kw_only=True)
    unit: str = field(default="", kw_only=True)
    side: Literal["below", "above", "exactly", ""] = field(default="", kw_only=True)
    missing: int = field(default=0, kw_only=True)
    sampled: bool = field(default=False, kw_only=True)
    in_logs: bool = field(default=False, kw_only=True)
    why_open: str = field(default="", kw_only=True)
    to_change: str = field(default="", kw_only=True)

    @classmethod
    def of(
        cls, setting: str, values: Iterable[float], side: Side, bound: float, *, role: Role = "claim",
        unit: str = "", in_logs: bool = False, fewest: int = FEWEST_SEEDS,
    ) -> Evidence:  # fmt: skip
        """Hold the values, one per seed, against a bound. A value that is NaN leaves the setting open."""
        found = np.asarray(list(values), float)
        middle, low, high = _range(found)
        inside, outside = (high < bound, low >= bound) if side == "below" else (low > bound, high <= bound)
        holds = bool(inside) if inside or outside else None
        made = cls(
            setting, middle, low, high, int((~np.isnan(found)).sum()), bound, holds, role=role, unit=unit,
            side=side, missing=int(np.isnan(found).sum()), sampled=True, in_logs=in_logs,
        )  # fmt: skip
        return made.opened(fewest)

    @classmethod
    def exact(
        cls, setting: str, values: Iterable[float], target: float, *, role: Role = "claim", unit: str = "",
        fewest: int = FEWEST_SEEDS,
    ) -> Evidence:  # fmt: skip
        """Hold the values against a number that each has to equal to the last digit."""
        found = np.asarray(list(values), float)
        middle, low, high = _range(found)
        missing, holds = int(np.isnan(found).sum()), bool((found == target).all())
        made = cls(
            setting, middle, low, high, len(found) - missing, target, holds, role=role, unit=unit,
            side="exactly", missing=missing,
        )  # fmt: skip
        return made.opened(fewest)

    @classmethod
    def single(
        cls, setting: str, value: float, n: int, bound: float, holds: bool | None, *, role: Role = "claim",
        unit: str = "", side: Literal["below", "above", "exactly", ""] = "", why_open: str = "",
    ) -> Evidence:  # fmt: skip
        """One value found over n points or seeds, for a rule that has been asked already."""
        one = float(value)
        return cls(
            setting, one, one, one, n, bound, holds, role=role, unit=unit, side=side, why_open=why_open
        )

    def opened(self, fewest: int = FEWEST_SEEDS) -> Self:
        """The same, open and with the reason, where seeds are too few, lack a value or straddle the bound."""
        if not self.n + self.missing:
            return replace(self, holds=None, why_open="there is no such run", to_change=ALL_RUNS)
        if self.n + self.missing < fewest:
            seeds = count(self.n + self.missing, "seed")
            return replace(self, holds=None, why_open=f"{seeds} of at least {fewest}")
        if self.missing:
            total = self.n + self.missing
            words = f"{self.missing} of {total} seeds have no value"
            return replace(self, holds=None, why_open=words, to_change=ALL_VALUES)
        if self.holds is None:
            words = f"{self.spread()}, lie on both sides of {number(self.bound)}"
            return replace(self, why_open=words, to_change=MORE_SEEDS)
        return self

    def clear_by(self, times: float) -> Self:
        """The same, left open if its seeds are nearer to the bound than so many times their range."""
        if self.holds is None or not self.sampled or self._distance() >= times * self._width():
            return self
        words = (
            f"{self.spread()}, are all on one side of {number(self.bound)}, but closer to it than "
            f"{times:.2g} times their range"
        )
        return replace(self, holds=None, why_open=words, to_change=MORE_SEEDS)

    def _ends(self) -> tuple[float, float, float]:
        """Low, high and bound on the scale on which distances are taken."""
        ends = self.low, self.high, self.bound
        low, high, bound = np.log(ends) if self.in_logs and min(ends) > 0 else ends
        return float(low), float(high), float(bound)

    def _distance(self) -> float:
        low, high, bound = self._ends()
        return max(low - bound, bound - high)

    def _width(self) -> float:
        """high − low; 0 where a value is infinite, which no margin can be a multiple of."""
        low, high, _ = self._ends()
        return high - low if np.isfinite(high) and np.isfinite(low) else 0.0

    def spread(self) -> str:
        """``its 6 values, from 0.1 to 0.3``."""
        return f"its {self.n} values, from {number(self.low)} to {number(self.high)}"

    @property
    def numbers(self) -> str:
        """Median, range and number of values, as `told` has them."""
        return f"{number(self.value)} ({number(self.low)} to {number(self.high)}, n = {self.n})"

    @property
    def demand(self) -> str:
        """What the rule asks of the number: ``< 0.25``, ``> 0.02``, ``= 1``."""
        return f"{SIGNS[self.side]} {number(self.bound)}".strip()

    @property
    def outcome(self) -> str:
        """In a word, whether the rule holds."""
        return "open" if self.holds is None else "holds" if self.holds else "fails"

    @property
    def by_chance(self) -> bool:
        """Whether chance can decide it, so that it counts among a verdict's comparisons."""
        return self.sampled

    @property
    def few(self) -> bool:
        """Whether there were too few seeds to decide anything."""
        return self.holds is None and self.n + self.missing < FEWEST_SEEDS

    def sentence(self) -> str:
        """``first over last: 3.1e-12 (2e-12 to 5e-12, n = 6), where > 0.001 is asked``."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.setting}: {self.numbers}{unit}, where {self.demand} is asked"


def _range(values: np.ndarray) -> tuple[float, float, float]:
    """Median, smallest and largest of the values that are not NaN; NaN without any."""
    values = values[~np.isnan(values)]
    if not len(values):
        return np.nan, np.nan, np.nan
    with np.errstate(invalid="ignore"):  # between −inf and inf there is no middle: NaN
        return float(np.median(values)), float(values.min()), float(values.max())


def claimed(evidence: Iterable[Evidence]) -> list[Evidence]:
    """Return the evidence of what the claim itself says."""
    return [e for e in evidence if e.role == "claim"]


def told(values: Iterable[float]) -> str:
    """Median, range and number of values for a sentence: ``0.236 (0.233 to 0.239, n = 6)``.

    Values that are NaN are left out and counted.
    """
    found = np.asarray(list(values), float)
    middle, low, high = _range(found)
    missing = int(np.isnan(found).sum())
    n = f"n = {len(found) - missing}{f', {missing} missing' if missing else ''}"
    return f"{number(middle)} ({number(low)} to {number(high)}, {n})"


def margin(comparisons: int, n: int) -> float:
    """Return the c of the module's text: how many ranges of n seeds a bound has to be away.

    0 where the side alone is improbable enough: one comparison of six seeds, four of eight.
    """
    return max(0.0, (comparisons / BY_CHANCE) ** (1 / (n - 1)) / 2 - 1) if n > 1 else np.inf


def corrected(evidence: Iterable[Evidence]) -> tuple[tuple[Evidence, ...], int]:
    """The evidence with what is too close to its bound left open, and how many comparisons decide."""
    found = tuple(evidence)
    comparisons = sum(e.by_chance for e in claimed(found))
    return (
        tuple(e.clear_by(margin(comparisons, e.n)) if e.role == "claim" else e for e in found),
        comparisons,
    )
