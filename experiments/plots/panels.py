"""What a picture is made of: its panels, the scales that they share, and its words."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Bar:
    """A colour bar that panels share: what it measures, its colour map (on dark paper or not), its ends."""

    label: str
    colours: Callable[[bool], Any]
    ends: tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """One panel: its name and what draws it.

    setting: what holds in this panel and not in others, as in ``depth=20``; "" where nothing differs.
    group: panels of one group are drawn on one scale, which `scale` finds from all their `data`.
    draw: called with axes and that scale; label: called with them once the axes have their place and size.
    rows: lines of text that the panel needs the height of. names: those of its rows, where they may be long.
    beside: letters of the longest line of a name that stands beside what is drawn.
    """

    title: str
    draw: Callable[[Axes, Any], None]
    setting: str = ""
    group: Hashable = None
    data: Any = None
    scale: Callable[[Sequence[Any]], Any] | None = None
    rows: float = 0
    names: Sequence[str] = ()
    beside: int = 0
    bar: Bar | None = None
    label: Callable[[Axes], None] | None = None


@dataclass(frozen=True)
class Words:
    """What a figure says.

    finding: the title, a sentence with its number, computed from the records. subtitle: what is plotted.
    how_to_read: a sentence or two. notes: seeds, examples, settings, lost runs, what is left out and why.
    """

    finding: str
    subtitle: str
    how_to_read: str = ""
    notes: tuple[str, ...] = ()

    @property
    def alt(self) -> str:
        """All of it, to be read out in place of the picture."""
        parts = (self.finding, self.subtitle, self.how_to_read, *self.notes)
        return " ".join(part if part[-1] in ".!?" else f"{part}." for part in parts if part)


@dataclass(frozen=True)
class Content:
    """What stands on the sheets of a picture, in the reader's own words."""

    finding: str
    subtitle: str
    how_to_read: str
    notes: tuple[str, ...]
    panels: tuple[Panel, ...]
    across: int  # panels that belong side by side, where all are drawn
    legend: Callable[[], Sequence[Artist]]


def scales(panels: Iterable[Panel]) -> dict[Hashable, Any]:
    """Return the scale of each group of panels."""
    groups: dict[Hashable, list[Panel]] = {}
    for panel in panels:
        groups.setdefault(panel.group, []).append(panel)
    return {
        group: found[0].scale([panel.data for panel in found]) if found[0].scale else None
        for group, found in groups.items()
    }
