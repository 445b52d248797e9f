"""How many dead units are too many: kill a share of every layer's units and see what is still learnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.ratios import by_setting, fields_before, setting_in_words
from experiments.config import ConfigError, Run
from experiments.diagnosis.benchmark import HARMLESS
from experiments.diagnosis.confirmation import reached_by

if TYPE_CHECKING:
    import pandas as pd

SHARES = (0.0, 0.25, 0.5, 0.75, 0.875, 0.9375)


def dose_response(
    settings: Sequence[Run],
    shares: Sequence[float] = SHARES,
    *,
    jobs: int = 0,
    advance: Callable[[int], None] = lambda runs: None,
) -> pd.DataFrame:
    """Return what each setting learns with a share of the units of every hidden layer dead from the start.

    Columns: the fields that vary, dead (units per layer), share, seeds, accuracy (training, median over
    seeds), low, high (range over seeds), cost (median paired loss against no dead units), cost_low, cost_high
    (its range), narrower (median accuracy of a network that has only the living units, drawn for that width),
    beyond (median of narrower − accuracy, paired by seed: what dead units cost beyond the width that they
    take away, since the weights were drawn for the full width and the signal shrinks from layer to layer),
    beyond_low, beyond_high (its range). Settings that differ in the seed alone are
    one row. The same doses in a config, for its figures: ``bias: [zeros, dead(share=0.25), …]`` under
    `sweep`, and `dead_units_choice`. Errors: ConfigError for an activation without dead units, for
    normalisation, which undoes the biases, and for other biases.
    """
    import pandas as pd

    _check(settings)
    fields = [name for name in _fields(settings) if name != "seed"]
    rows = []
    for key in dict.fromkeys(tuple(getattr(run, name) for name in fields) for run in settings):
        runs = [run for run in settings if tuple(getattr(run, name) for name in fields) == key]
        rows += [(*key, *row) for row in _of_setting(runs, shares, jobs)]
        advance(len(runs) * 2 * len(shares))
    columns = (
        "dead", "share", "seeds", "accuracy", "low", "high", "cost", "cost_low", "cost_high", "narrower",
        "beyond", "beyond_low", "beyond_high",
    )  # fmt: skip
    return pd.DataFrame(rows, columns=[*fields, *columns])


def _of_setting(runs: Sequence[Run], shares: Sequence[float], jobs: int) -> list[tuple[float, ...]]:
    """The doses of runs that differ in the seed alone."""
    width = runs[0].width
    doses = sorted({0, *(min(round(share * width), width - 1) for share in shares)})
    narrow = [replace(run, width=width - dead) for dead in doses for run in runs]
    alone = reached_by(narrow, "accuracy", jobs=jobs)
    whole, rows = np.array([alone[run] for run in runs]), []
    for dead in doses:
        dosed = [replace(run, bias=f"dead(share={dead / width!r})") for run in runs]
        found = reached_by(dosed, "accuracy", jobs=jobs)
        got = np.array([found[run] for run in dosed])
        narrower = np.array([alone[replace(run, width=width - dead)] for run in runs])
        rows.append((
            dead, dead / width, len(runs), *_middle(got), *_middle(whole - got), np.median(narrower),
            *_middle(narrower - got),
        ))  # fmt: skip
    return rows


def _middle(values: np.ndarray) -> tuple[float, float, float]:
    """Return the median and the range."""
    return float(np.median(values)), float(values.min()), float(values.max())


def too_many(table: pd.DataFrame) -> list[str]:
    """Return a sentence per setting: how many dead units per layer it bears, and what more of them cost."""
    fields = fields_before(table, "dead")
    found = []
    for key, group in by_setting(table, fields):
        costly = group[group["cost"] > HARMLESS]
        name = setting_in_words(fields, key, "This setting")
        if costly.empty:
            last = group.iloc[-1]
            found.append(
                f"{name}: even {last['share']:.0%} of dead units per layer cost at most {HARMLESS:g} of "
                "accuracy."
            )
            continue
        first = costly.iloc[0]
        before = group[group["share"] < first["share"]].iloc[-1]
        less = f", {before['share']:.0%} cost {max(0, before['cost']):.2f}" if before["share"] else ""
        share = f"{first['share']:.0%}"
        found.append(
            f"{name}: {share} of dead units per layer cost {first['cost']:.2f} of accuracy{less}. With "
            f"{share} dead, {first['accuracy']:.2f} is left; a network of the living units alone reaches "
            f"{first['narrower']:.2f}."
        )
    return found


def _check(settings: Sequence[Run]) -> None:
    if not all(run.depth for run in settings):
        raise ConfigError(["depth=0: there is no hidden layer whose units could be dead"])
    bad = {run.norm for run in settings} - {"none"}
    if bad:
        raise ConfigError([f"norm={bad.pop()}: dead units cannot be imposed, because it undoes the biases"])
    biases = {run.bias for run in settings} - {"zeros"}
    if biases:
        raise ConfigError([f"bias={biases.pop()}: the dead units are imposed by the biases; leave bias out"])
    other = {run.activation for run in settings if run.activation.split("(")[0] != "relu"}
    if other:
        raise ConfigError(
            [f"activation={other.pop()}: only relu has dead units to impose; take activation=relu"]
        )


def _fields(settings: Sequence[Run]) -> list[str]:
    names = vars(settings[0])
    return [name for name in names if len({getattr(run, name) for run in settings}) > 1]
