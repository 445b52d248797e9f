"""Which mechanisms a run shows, the cause first.

The first mechanism of the table that is found is named as the cause and the others as what follows from it.
In a run that learns as well as the yardstick only two mechanisms are looked for: whether its labels can be
predicted at all, and whether it has learnt them by heart.
"""

from __future__ import annotations

import numpy as np

from experiments.diagnosis.mechanisms import MECHANISMS
from experiments.diagnosis.sightings import Evidence
from experiments.diagnosis.signals import Signals
from experiments.diagnosis.yardstick import Yardstick, falls_short

OF_UNITS = ("dead_units", "saturated_units")
BEFORE_UNITS = (  # seen at the start, or done by one update: what units do later follows from it
    "vanishing_gradient", "exploding_gradient", "collapsed_signal", "learning_rate_too_large",
)  # fmt: skip
ALSO_OF_THE_LEARNT = ("unpredictable_labels", "overfitting")  # the only ones asked of a run as good as that


@np.errstate(all="ignore")  # a run that diverged is NaN; every rule says what it makes of it
def find(s: Signals, best: Yardstick) -> dict[str, Evidence]:
    """Return the mechanisms of a run by name, the cause first; empty for a run in which nothing is wrong."""
    if not falls_short(s, best):
        asked = ((name, MECHANISMS[name](s, best)) for name in ALSO_OF_THE_LEARNT)
        return next(({name: found} for name, found in asked if found), {})
    found = {name: rule(s, best) for name, rule in MECHANISMS.items()}
    kept = {name: evidence for name, evidence in found.items() if evidence is not None}
    for name in _pointless(s) if len(kept) > 1 else ():
        kept.pop(name, None)
    later = [name for name in OF_UNITS if name in kept and _is_no_cause(name, kept, s)]
    kept = {name: kept[name] for name in [*(n for n in kept if n not in later), *later]}
    return kept or {"undecided": _undecided(s)}


def _is_no_cause(name: str, kept: dict[str, Evidence], s: Signals) -> bool:
    """Whether dead or saturated units are named after the other findings, as what follows from them.

    So it is in a network with skip connections, which lead the signal past such units; and where the units
    have died or saturated during training while something else was wrong. Saturated units are also named
    after too few updates: they do no harm while the network still learns.
    """
    if s.run.residual:
        return True
    before = BEFORE_UNITS if name == "dead_units" else (*BEFORE_UNITS, "too_few_steps")
    return kept[name].step > 0 and any(cause in kept for cause in before)


def _pointless(s: Signals) -> tuple[str, ...]:
    """Return the mechanisms that are dropped where another was found.

    A network that has not learnt its examples cannot overfit them, nor be too simple for them; and one whose
    loss is above chance at the end needs no further updates of the same kind.
    """
    worse = not s.loss[-1] <= s.data.prior_loss
    return ("overfitting", "too_simple", "too_few_steps") if worse else ("overfitting", "too_simple")


def _undecided(s: Signals) -> Evidence:
    return Evidence(
        1, s.depth + 1, int(s.steps[-1]), s.learnt, -np.inf, np.inf, "share of the loss at chance",
        f"the loss fell by {s.learnt:.0%} of its value at chance, and no measure is out of its range",
    )  # fmt: skip
