"""How often the diagnosis is right: healthy settings, operators and lesions that break them, measured truth.

Healthy settings are drawn, and kept if they learn as well as the yardstick on seeds of their own. A broken
setting is *ill* if it hurts: its training accuracy lies under that of the setting it was made from on every
seed, by more than `HURTS` in the median. One that costs at most `HARMLESS` is a further healthy setting; what
lies between is counted as neither. Operators and seeds are divided into a half that thresholds were chosen on
and a half that is looked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.config import Recording, Run
from experiments.diagnosis.confirmation import changed, helps, reached_by
from experiments.diagnosis.cures import cures
from experiments.diagnosis.findings import of_setting
from experiments.diagnosis.lesions import LESIONS, Lesion
from experiments.diagnosis.operators import OPERATORS
from experiments.diagnosis.rule_sets import PROBES_READ, RULE_SETS, alarmed_from, first_alarm
from experiments.diagnosis.signals import NEEDED, Signals, signals
from experiments.diagnosis.yardstick import falls_short, shortfall, yardstick
from experiments.sweeps.executors import cores
from experiments.sweeps.in_memory import in_order, train_in_memory

if TYPE_CHECKING:
    import pandas as pd

HURTS, HARMLESS = 0.05, 0.02  # of training accuracy, in the median over seeds
SEEDS = 3
CURED = 1  # ill setting of each base whose cures are tried, on the same and then on fresh seeds
MOST_TRIED = 4  # cures of one setting
CURED_DEPTH = 10  # deeper networks are left out of that: it would take most of the time
RECORDING = Recording(probes=tuple(dict.fromkeys([*NEEDED, *PROBES_READ])), watch=12, probe_set=256)
DATASETS = ("digits", "moons", "spirals", "circles", "blobs", "xor", "blobs(classes=10, features=10)")
INITS = {
    "relu": "he_normal", "leaky_relu(slope=0.1)": "he_normal", "gelu": "he_normal", "silu": "he_normal",
    "mish": "he_normal", "tanh": "xavier_normal", "softsign": "xavier_normal", "elu": "xavier_normal",
    "selu": "lecun_normal", "sigmoid": "xavier_normal",
}  # fmt: skip
TRAININGS = (
    ("sgd", 0.1), ("sgd", 0.3), ("momentum", 0.03), ("nesterov", 0.03), ("adam", 0.003), ("adam", 0.001),
    ("rmsprop", 0.001),
)  # fmt: skip
PLAIN, HELPED = (1, 2, 3, 5, 8, 10, 15), (5, 10, 20, 50)  # hidden layers without and with a norm or skips
WIDTHS = {16: 0.3, 32: 0.3, 64: 0.25, 128: 0.1, 256: 0.05}  # and how often each
LARGEST = 3 * 256**2  # weights of the hidden layers: larger networks would take most of the time
HALVES = {"development": 0, "held-out": 1}
PURPOSES = {"diagnosed": 0, "screened": 20, "fresh": 40}  # first seed of each, plus 100 in the second half
FIELDS = ("activation", "depth", "width", "dataset", "init", "norm", "residual", "optimiser", "lr")


@dataclass(frozen=True)
class Case:
    """A setting as it was drawn (operator ""), broken by an operator, or with a lesion."""

    operator: str
    run: Run
    lesion: Lesion | None = None

    @property
    def truths(self) -> frozenset[str]:
        """The mechanisms that name what was done."""
        return self.lesion.truths if self.lesion else OPERATORS[self.operator].truths


def seeds(run: Run, half: str, purpose: str = "diagnosed") -> list[Run]:
    """Return the runs of a setting; no seed serves two halves or purposes."""
    first = 100 * HALVES[half] + PURPOSES[purpose]
    return [replace(run, seed=first + k) for k in range(SEEDS)]


def draw(rng: np.random.Generator) -> Run:
    """Draw a setting that should be healthy: depth and training within what people use."""
    name = str(rng.choice(list(INITS)))
    norms = [("none", 0.0)] * 4 + [("layer", 0.0), ("batch", 0.0), ("none", 1.0)]
    norm, residual = norms[rng.integers(len(norms))]
    depth = int(rng.choice(PLAIN if norm == "none" and not residual else HELPED))
    widths = [width for width in WIDTHS if depth * width**2 <= LARGEST]
    often = np.array([WIDTHS[width] for width in widths])
    optimiser, lr = TRAININGS[rng.integers(len(TRAININGS))]
    return Run(
        activation=name, init=INITS[name], depth=depth,
        width=int(rng.choice(widths, p=often / often.sum())), dataset=str(rng.choice(DATASETS)), norm=norm,
        residual=residual, optimiser=optimiser, lr=lr, steps=300,
        batch=64, dtype="float32",
    )  # fmt: skip


def operators(half: str) -> list[str]:
    """The operators of one half: every other one, in the order of the table."""
    return list(OPERATORS)[HALVES[half] :: 2]


def lesions(half: str) -> list[str]:
    """The kinds of lesion of one half."""
    return list(LESIONS)[HALVES[half] :: 2]


def cases(base: Run, half: str) -> list[Case]:
    """Return the base itself and what each operator and lesion of this half makes of it.

    A lesion is put into the second layer, the last, and all of them; where neither a normalisation nor skip
    connections make up for it.
    """
    broken = [Case(name, run) for name in operators(half) if (run := OPERATORS[name].change(base))]
    found = [Case("", base), *(case for case in broken if case.run != base)]
    if base.norm == "none" and not base.residual and base.depth >= 3:
        places = (2, base.depth, 0)
        found += [Case(kind, base, Lesion(kind, layer)) for kind in lesions(half) for layer in places]
    return found


# One base ---------------------------------------------------------------------------------------------------


def of_base(base: Run, half: str) -> list[dict[str, Any]]:
    """Return a row for each case of a base; none if it is not healthy on the seeds kept for asking that."""
    if not _is_healthy(base, half):
        return []
    todo = cases(base, half)
    found = _of_cases(todo, half)
    whole = _accuracy(found[todo[0]])
    rows = [_row(case, found[case], whole - _accuracy(found[case])) for case in todo]
    ill = [k for k, row in enumerate(rows) if row["ill"] and row["first"] != "healthy"]
    ill = [k for k in ill if not todo[k].lesion and todo[k].run.depth <= CURED_DEPTH]
    for k in np.random.default_rng(base.depth + base.width).permutation(ill)[:CURED]:
        rows[k] |= _cured(rows[k]["first"], rows[k]["value"], todo[k].run, found[todo[k]], half)
    return rows


def _signals(runs: Sequence[Run], lesion: Lesion | None) -> list[Signals]:
    found = {s.run: s for s in signals(train_in_memory(runs, RECORDING, lesion=lesion), lesion)}
    return [found[run] for run in runs]


def _of_cases(todo: Sequence[Case], half: str) -> dict[Case, list[Signals]]:
    """The signals of every case on its seeds; what has no lesion is trained together."""
    plain = [case for case in todo if case.lesion is None]
    flat = _signals([run for case in plain for run in seeds(case.run, half)], None)
    found = {case: flat[SEEDS * k : SEEDS * (k + 1)] for k, case in enumerate(plain)}
    return found | {case: _signals(seeds(case.run, half), case.lesion) for case in todo if case.lesion}


def _accuracy(runs: Sequence[Signals]) -> np.ndarray:
    """Training accuracy of each run; one that diverged guesses the commonest class."""
    return np.nan_to_num([s.final_accuracy for s in runs], nan=runs[0].data.majority)


def _row(case: Case, runs: Sequence[Signals], drop: np.ndarray) -> dict[str, Any]:
    best = yardstick(case.run.dataset, case.run.loss, case.run.batch)
    findings = of_setting(runs, best)
    lost = float(np.median(drop)) if case.operator else 0.0
    ill = bool(lost > HURTS and (drop > 0).all())
    first = findings[0]["mechanism"]
    row = {name: getattr(case.run, name) for name in FIELDS} | {
        "operator": case.operator, "ill": ill, "healthy": lost <= HARMLESS, "drop": lost,
        "first": first, "value": findings[0]["value"],
        "named": " ".join(each["mechanism"] for each in findings),
        "right": first in case.truths if ill else first == "healthy",
        "shortfall": float(np.median([shortfall(s, best) for s in runs])),
        "layer": case.lesion.layer if case.lesion else None, "layer_found": _near(case, findings),
        "confirmed": "", "fresh_gain": np.nan, "fresh_helps": "",
    }  # fmt: skip
    for rules in RULE_SETS:
        row |= {rules.name: first_alarm(rules, runs), f"{rules.name} dial": alarmed_from(rules, runs)}
    return row


def _near(case: Case, findings: Sequence[dict[str, Any]]) -> str:
    """Whether the layers of the first finding all lie within one of the lesion's: "yes", "no" or ""."""
    if not case.lesion or not case.lesion.layer or findings[0]["mechanism"] == "healthy":
        return ""
    first, last = findings[0]["layer_first"], findings[0]["layer_last"]
    return "yes" if abs(first - case.lesion.layer) <= 1 and abs(last - case.lesion.layer) <= 1 else "no"


def _cured(mechanism: str, value: float, run: Run, diagnosed: Sequence[Signals], half: str) -> dict[str, Any]:
    """Try the cures in turn on the seeds that were diagnosed, and the first that helps on fresh ones."""
    before = _accuracy(diagnosed)
    missing = yardstick(run.dataset, run.loss, run.batch).accuracy - float(np.median(before))
    for cure in cures(mechanism, run, value)[:MOST_TRIED]:
        better = changed(run, cure)
        if helps(_reached(better, half, "diagnosed") - before, missing):
            gain = _reached(better, half, "fresh") - _reached(run, half, "fresh")
            outcome = "yes" if helps(gain) else "no"
            return {"confirmed": cure, "fresh_gain": float(np.median(gain)), "fresh_helps": outcome}
    return {"confirmed": "none"}


def _reached(run: Run, half: str, purpose: str) -> np.ndarray:
    """The accuracy that a setting reaches, seed by seed."""
    runs = seeds(run, half, purpose)
    found = reached_by(runs, "accuracy", jobs=1)
    return np.array([found[each] for each in runs])


# All bases --------------------------------------------------------------------------------------------------


def benchmark(
    bases: int, half: str, *, seed: int = 0, jobs: int = 0, advance: Callable[[int], None] = lambda runs: None
) -> pd.DataFrame:
    """Draw healthy settings, break them, diagnose all; one row per setting.

    `bases` is how many healthy settings are wanted: the first that are healthy in the order of drawing.
    `advance` is called with the number of networks diagnosed with each of them. Columns: the fields of Run
    that vary, operator, ill (it hurts), healthy (it does not; both False: in between), drop (median loss of
    accuracy), first (the mechanism named first), value (its number), named (all, separated by blanks), right,
    shortfall (median over seeds; ours alarms above 1), layer (of a lesion; 0: all) and layer_found (yes, no),
    confirmed (the first cure that helped, or none), fresh_gain and fresh_helps (that cure on fresh seeds),
    then each rule set's first alarm and the smallest of its dials at which it alarms.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    found, workers = 0, jobs or cores()
    ahead = 1 if workers == 1 else 4 * workers  # so that no worker waits for a slow setting
    for each in in_order(of_base, ((run, half) for run in _drawn(seed, half)), workers, ahead):
        if each:
            rows += [{"base": found} | row for row in each]
            found += 1
            advance(SEEDS * len(each))
        if found == bases:
            break
    return pd.DataFrame(rows)


def _drawn(seed: int, half: str) -> Iterator[Run]:
    """Different settings, without end."""
    rng, seen = np.random.default_rng([seed, HALVES[half]]), set()
    while True:
        if (run := draw(rng)) not in seen:
            seen.add(run)
            yield run


def healthy_settings(wanted: int, seed: int = 0) -> list[Run]:
    """Return the first settings drawn for the development half that are healthy on seeds kept for that."""
    found: list[Run] = []
    for run in _drawn(seed, "development"):
        if _is_healthy(run, "development"):
            found.append(run)
        if len(found) == wanted:
            break
    return found


def _is_healthy(base: Run, half: str) -> bool:
    best = yardstick(base.dataset, base.loss, base.batch)
    return not any(falls_short(s, best) for s in _signals(seeds(base, half, "screened"), None))
