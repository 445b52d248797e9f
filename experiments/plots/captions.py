"""The words that go with a figure: title, reading guide, seeds and interval, what was left out and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from experiments.analysis.ratios import coverage, fields, varying
from experiments.config.vocabulary import Run
from experiments.plots.views import View, groups, name_of
from mlp.registry import doc_of

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

TOLD_UNTRAINED = ("dataset", "depth", "width", "init", "steps")
TOLD = (*TOLD_UNTRAINED, "optimiser", "lr")


def caption(
    figure: Callable[..., Any],
    view: View,
    frames: Sequence[pd.DataFrame],
    interval: bool = True,
    more: str = "",
) -> tuple[str, str]:
    """A figure's title, and what to read beside it: guide, seeds, interval, examples, lost runs, settings.

    `more` is appended as it is: what is left out, say.
    """
    title, guide = words(figure)
    seeds = "Every seed by itself." if "seed" in view.keys else _seeds(frames, interval)
    said = [guide, seeds, _measured_on(view.records), _lost(view), *view.remarks]
    return title, " ".join(filter(None, [*said, _fixed(view)])) + more


def words(figure: Callable[..., Any]) -> tuple[str, str]:
    """A figure's title and its reading guide: the first two paragraphs of its docstring."""
    title, guide, *_ = [*doc_of(figure).split("\n\n"), "", ""]
    return " ".join(title.split()).rstrip("."), " ".join(guide.split())


MOST_SURE = 0.999  # that is said: more digits of a probability are read by nobody, and 1 is none


def _seeds(frames: Sequence[pd.DataFrame], interval: bool) -> str:
    """How many seeds there are to a median, and what their range is worth."""
    counts = {int(n) for frame in frames for n in frame["n"].unique() if n > 0}
    if not counts:
        return "No finite value."
    least, most = min(counts), max(counts)
    if most == 1:
        return "One seed, hence no interval."
    number = f"{most}" if least == most else f"{least} to {most}"
    fewer = "" if least == most else " (fewer where a value is undefined)"
    if not interval:
        return f"Median of {number} seeds{fewer}."
    sure = " to ".join(dict.fromkeys(f"{min(coverage(n), MOST_SURE):.3g}" for n in (least, most)))
    band = "their range, which covers the median with probability"
    return f"Line: median of {number} seeds{fewer}; band: {band} {sure}."


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
    return f"Throughout: {name_of(told, first[told])}." if told else ""


def _measured_on(records: Records) -> str:
    """The examples that the layers were measured on, if the records say."""
    return f"Measured on {records.layers.attrs.get('measured_on', 'the probe set')}."
