"""How the diagnosis and published rule sets trade false alarms for detection, drawn from the benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from experiments.diagnosis.rule_sets import RULE_SETS
from experiments.diagnosis.scores import judged, roc
from experiments.plots.style import IN_TURN

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS = "black"


def roc_figure(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw detection against false alarms, a panel per half: curves over the dials, points as they stand."""
    from matplotlib.figure import Figure

    halves = list(tables)
    figure = Figure(figsize=(5.5 * len(halves) + 2.5, 5), layout="constrained")
    panels = figure.subplots(1, len(halves), squeeze=False, sharey=True)[0]
    for half, panel in zip(halves, panels, strict=True):
        _panel(panel, tables[half])
        panel.set_title(f"The {half} half", fontsize=12)
    panels[0].set_ylabel("share of ill settings with an alarm", fontsize=11)
    panels[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9, frameon=False)
    return figure


def _panel(panel: Axes, table: pd.DataFrame) -> None:
    curves = roc(table).sort_values(["by", "detection", "false_alarms"])
    for name, (colour, marker) in _looks().items():
        points = curves[curves["by"] == name]
        panel.plot(points["false_alarms"], points["detection"], color=colour, linewidth=1.5)
        hits = judged(table, "first" if name == "ours" else name)
        panel.plot(
            hits["false alarms"].mean(), hits["detection"].mean(), marker, color=colour, markersize=9,
            label=name, linestyle="none",
        )  # fmt: skip
    panel.plot([0, 1], [0, 1], color="#BBBBBB", linewidth=1, linestyle=":")
    panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    panel.set_xlabel("share of healthy settings with an alarm", fontsize=11)


def _looks() -> dict[str, tuple[str, str]]:
    """A colour and a marker for ours and each rule set."""
    others = zip((rules.name for rules in RULE_SETS), IN_TURN, strict=False)
    return {"ours": (OURS, "*")} | {name: (colour, marker) for name, (colour, marker) in others}
