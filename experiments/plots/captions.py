"""The words that go with a figure besides its finding: seeds, examples, settings, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from experiments.analysis.ratios import coverage, fields, varying
from experiments.config.vocabulary import Run
from experiments.plots.views import View, groups, name_of

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

TOLD_UNTRAINED = ("dataset", "depth", "width", "init", "steps")
TOLD = (*TOLD_UNTRAINED, "optimiser", "lr")
MOST_SURE = 0.999  # that is said: more digits of a probability are read by nobody, and 1 is none


def notes(
    view: View, frames: Sequence[pd.DataFrame], interval: str = "Line: median of {}; band: their range"
) -> list[str]:
    """What is to be said beside any figure: lost runs, seeds, settings, examples, remarks; the gravest first.

    frames: the medians that are drawn, none where what is drawn is not over seeds. interval: how the seeds
    are drawn; "" where only their median is.
    """
    seeds = "Every seed by itself." if "seed" in view.keys else _seeds(frames, interval) if frames else ""
    return [
        text for text in (_lost(view), seeds, _fixed(view), _measured_on(view.records), *view.remarks) if text
    ]


def _seeds(frames: Sequence[pd.DataFrame], interval: str) -> str:
    """How many seeds there are to a median, and what their range is worth."""
    counts = {int(n) for frame in frames for n in frame["n"].unique() if n > 0}
    if not counts:
        return "No finite value."
    least, most = min(counts), max(counts)
    if most == 1:
        return "One seed, hence no interval."
    number = f"{most}" if least == most else f"{least} to {most}"
    seeds = f"{number} seeds" if least == most else f"{number} seeds (fewer where a value is undefined)"
    if not interval:
        return f"Median of {seeds}."
    sure = " to ".join(dict.fromkeys(f"{min(coverage(n), MOST_SURE):.3g}" for n in (least, most)))
    return f"{interval.format(seeds)}, which covers the median with probability {sure}."


def _lost(view: View) -> str:
    """How many runs are not, or not to the end, in the picture, and whose they are."""
    runs = view.records.runs
    said = []
    for status, what in (("diverged", "diverged, left out from that step on"), ("crashed", "crashed")):
        lost = runs[runs["status"] == status]
        names = [f"{name_of(['activation'], key)}: {len(rows)}" for key, rows in groups(lost, ["activation"])]
        if names:
            said.append(f"{len(lost)} of {len(runs)} runs {what} ({', '.join(names)}).")
    return " ".join(said)


def _fixed(view: View) -> str:
    """What all runs of the figure share: the main fields, and every other that is not at its default."""
    runs, defaults = view.records.runs, asdict(Run())
    apart = {"seed", *view.keys, *varying(runs)}
    shared = [name for name in fields(runs) if name not in apart]
    first = runs.iloc[0]
    main = TOLD if (runs["steps"] > 0).any() else TOLD_UNTRAINED
    told = [name for name in shared if name in main or first[name] not in (defaults[name], "none")]
    return f"Throughout: {name_of(told, first[told], bare=('activation',))}." if told else ""


def _measured_on(records: Records) -> str:
    """The examples that the layers were measured on, if the records say."""
    return f"Measured on {records.layers.attrs.get('measured_on', 'the probe set')}."
