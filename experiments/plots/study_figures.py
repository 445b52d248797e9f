"""The picture of each study in results/studies, from its table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.plots.style import IN_TURN
from experiments.plots.wrapping import wrapped

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MARKS = {"gains": "#228833", "loses": "#CC3311", "does not matter": "#777777", "open": "#BBBBBB"}
BEARABLE = 0.02  # loss of training accuracy
OFTEN = 0.25  # of the networks that train well


def dead_units(table: pd.DataFrame) -> Figure:
    """Draw the loss of accuracy against what the dead units leave of the signal, a panel per data set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    names = list(dict.fromkeys(table["dataset"]))
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for panel, name in zip(panels, names, strict=True):
        rows = table[(table["dataset"] == name) & (table["share"] > 0)]
        for (width, depth), each in rows.groupby(["width", "depth"]):
            colour, marker = IN_TURN[sorted(rows["depth"].unique()).index(depth)]
            left = (1 - each["share"]) ** (depth / 2)
            spread = [each["cost"] - each["cost_low"], each["cost_high"] - each["cost"]]
            style = "-" if width == rows["width"].max() else ":"
            panel.errorbar(
                left, each["cost"], spread, color=colour, marker=marker, linestyle=style, capsize=2,
                label=f"depth {depth}, width {width}",
            )  # fmt: skip
        panel.axhline(BEARABLE, color="black", linewidth=1, linestyle="--")
        panel.set(xscale="log", title=name, xlabel="what arrives of the signal, (1 − share dead)^(depth/2)")
        panel.invert_xaxis()
    panels[0].set_ylabel("loss of training accuracy")
    panels[-1].legend(fontsize=10, frameon=False)
    costly = table[table["cost"] > BEARABLE]
    first = costly.groupby(["depth", "width", "dataset"])["share"].min()
    if len(first):
        begins = f"{first.min():.3g} to {first.max():.3g} of a layer's units dead"
        _title(figure, f"A loss over {BEARABLE:g} begins with {begins}")
    return figure


def alarms(table: pd.DataFrame) -> Figure:
    """Draw for each detector the share of healthy networks that it alarms on, and its commonest alarms."""
    from matplotlib.figure import Figure

    any_alarm = table[table["alarm"] == "any"].sort_values("share")
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    panel = figure.subplots()
    places = np.arange(len(any_alarm))
    spread = [any_alarm["share"] - any_alarm["low"], any_alarm["high"] - any_alarm["share"]]
    panel.barh(places, any_alarm["share"], xerr=spread, color="#88AACC", capsize=3)
    for place, row in zip(places, any_alarm.itertuples(), strict=True):
        kinds = table[(table["rules"] == row.rules) & (table["alarm"] != "any") & (table["share"] > 0)]
        kinds = kinds.sort_values("share", ascending=False).head(2)
        told = ", ".join(f"{each.alarm.replace('_', ' ')} {each.share:.2f}" for each in kinds.itertuples())
        panel.text(1.03, place, told, va="center", fontsize=10)
    panel.set_yticks(places, any_alarm["rules"])
    panel.set(xlim=(0, 1.0), xlabel="share of networks that train well on which it alarms (95 % interval)")
    often = int((any_alarm["share"] > OFTEN).sum())
    which = f"{often} of {len(any_alarm)} detectors"
    _title(figure, f"{which} alarm on over a quarter of the networks that train well")
    return figure


def advice(table: pd.DataFrame) -> Figure:
    """Draw the difference in test accuracy in every cell, a panel per comparison."""
    from matplotlib.figure import Figure

    pairs = list(dict.fromkeys(zip(table["take"], table["instead"], strict=True)))
    figure = Figure(figsize=(14, 5.5), layout="constrained")
    panels = figure.subplots(1, len(pairs), squeeze=False, sharex=True, sharey=True)[0]
    told = []
    for panel, (take, instead) in zip(panels, pairs, strict=True):
        one, other = take.split("(")[0], instead.split("(")[0]
        rows = table[(table["take"] == take) & (table["instead"] == instead)]
        rows = rows.sort_values(["depth", "dataset", "optimiser", "init"]).reset_index(drop=True)
        for place, row in rows.iterrows():
            panel.plot([row["low"], row["high"]], [place, place], color=MARKS[row["verdict"]], linewidth=2)
            panel.plot(row["difference"], place, "o", color=MARKS[row["verdict"]])
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set_title(f"{one} − {other}", fontsize=10)
        panel.set_yticks(range(len(rows)), [_named(row) for row in rows.itertuples()], fontsize=10)
        told.append(f"{one} over {other} in {int((rows['verdict'] == 'gains').sum())} of {len(rows)} cells")
    panels[0].invert_yaxis()
    figure.supxlabel("difference in test accuracy, median and range over six seeds", fontsize=10)
    handles = [panels[0].plot([], [], "o-", color=colour, label=word)[0] for word, colour in MARKS.items()]
    figure.legend(handles=handles, loc="outside lower right", ncols=4, fontsize=9, frameon=False)
    _title(figure, f"Accuracy gains: {', '.join(told)}")
    return figure


def _title(figure: Figure, finding: str) -> None:
    """Write what a picture shows over it, wrapped to its width."""
    size = 13
    lines = wrapped(finding, figure.get_figwidth() - 0.4, size, bold=True)
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=size, fontweight="bold")


def _named(row: Any) -> str:
    """Return a cell in words: ``8 · digits · adam · he``."""
    words = (str(row.depth), row.dataset.split("(")[0], row.optimiser, row.init.split("_")[0])
    return " · ".join(words)
