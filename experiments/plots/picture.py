"""A picture: what a figure found, in words and in panels, and how it becomes sheets and files.

A figure of the table makes a `Picture` and draws nothing. `Picture.sheets` draws it; `Picture.draw` puts its
panels on axes of one's own, with whatever settings of matplotlib are in force there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.plots.canvas import Canvas
from experiments.plots.panels import Content, Panel, Words, scales
from experiments.plots.sheets import sheets_of
from experiments.storage import files

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """The words and panels of a figure.

    few: places in `panels` of those that answer the question, the most important first; the others are drawn
    where all are asked for (``panels=all``). across: how many panels belong side by side then, a setting's.
    finished: what a function of a user's own has drawn already; nothing can be changed in it.
    legend: its entries, for what no label beside a line can name.
    """

    words: Words
    panels: tuple[Panel, ...]
    few: tuple[int, ...] = ()
    across: int = 2
    legend: Callable[[], Sequence[Artist]] = tuple
    canvas: Canvas = Canvas()
    finished: tuple[Figure, ...] = ()
    table: pd.DataFrame | None = None  # written beside the picture as a CSV, where the panels show part of it

    @property
    def finding(self) -> str:
        """The title: a sentence with its number."""
        return self.canvas.words.get("title") or self.canvas.say(self.words.finding)

    @property
    def subtitle(self) -> str:
        """What is plotted."""
        return self.canvas.words.get("subtitle") or self.canvas.say(self.words.subtitle)

    @property
    def how_to_read(self) -> str:
        """A sentence or two on what to look at."""
        return self.canvas.say(self.words.how_to_read)

    @property
    def alt(self) -> str:
        """What is read out in place of the picture."""
        return self.canvas.say(self.words.alt)

    def of(self, table: pd.DataFrame) -> Picture:
        """Return the picture with a table that is written beside it."""
        return replace(self, table=table)

    def on(self, **look: Any) -> Picture:
        """Return the picture on another canvas: ``picture.on(style="slide", theme="dark")``."""
        return replace(self, canvas=replace(self.canvas, **look))

    @property
    def chosen(self) -> list[Panel]:
        """The panels that are drawn: those that answer the question, or all of them.

        A slide has room for two at most, and for one where the names of its lines are long.
        """
        if self.canvas.every or not self.few:
            return list(self.panels)
        kind = self.canvas.type
        found = [self.panels[place] for place in self.few[: kind.most]]
        alone = kind.height is not None and max(panel.beside for panel in found) > kind.beside
        return found[:1] if alone else found

    def draw(self, axes: Axes | Iterable[Axes], panels: Sequence[Panel] | None = None) -> list[Axes]:
        """Draw panels, by default those that answer the question, on axes of one's own; return the axes.

        Panels for which there are no axes are left out.
        """
        found = [axes] if hasattr(axes, "plot") else list(axes)
        shown = list(zip(found, self.chosen if panels is None else panels, strict=False))
        shared = scales(self.chosen if panels is None else panels)
        for each, panel in shown:
            panel.draw(each, shared[panel.group])
            if panel.label:
                panel.label(each)
        return found[: len(shown)]

    @cached_property
    def sheets(self) -> list[Figure]:
        """The picture drawn: one figure, or several where all panels are asked for."""
        if self.finished:
            return list(self.finished)
        content = Content(
            self.finding, self.subtitle, self.how_to_read, tuple(map(self.canvas.say, self.words.notes)),
            tuple(self.chosen), self.across, self.legend,
        )  # fmt: skip
        return sheets_of(content, self.canvas)

    @property
    def axes(self) -> list[Axes]:
        """The axes of the panels, as drawn."""
        return [axes for sheet in self.sheets for axes in sheet.axes if axes.get_label() != "colour bar"]

    def files(self, name: str) -> dict[str, bytes]:
        """Return the picture as files by file name, its words as `name`.json, its table as `name`.csv.

        Equal pictures give equal bytes: no date, no version, and SVG ids drawn from the name.
        """
        from experiments.plots.panel_tables import panel_tables

        stems = [name, *(f"{name}_{number}" for number in range(2, len(self.sheets) + 1))]
        found = {
            f"{stem}.{kind}": image(sheet, kind, stem)
            for stem, sheet in zip(stems, self.sheets, strict=True)
            for kind in self.canvas.kinds
        }
        told = {
            "finding": self.finding, "subtitle": self.subtitle, "how_to_read": self.how_to_read,
            "alt": self.alt, "files": list(found),
            "tables": [table for sheet in self.sheets for table in panel_tables(sheet)],
        }  # fmt: skip
        if self.table is not None:
            found[f"{name}.csv"] = self.table.to_csv(index=False, lineterminator="\n").encode()
        return found | {f"{name}.json": (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode()}

    def save(self, folder: str | Path, name: str) -> list[Path]:
        """Write `files` into a folder, each whole or not at all; return their paths. Errors: StoreError."""
        paths = {Path(folder) / file: data for file, data in self.files(name).items()}
        for path, data in paths.items():
            files.write(path, data, path.parent)
        return list(paths)

    def _repr_png_(self) -> bytes:
        """Show the first sheet in a notebook."""
        return image(self.sheets[0], "png", "figure")


def beside(words: Words, *pictures: Picture) -> Picture:
    """One picture of the first panels of several, in turn, and then of all their others."""
    few = [picture.panels[place] for picture in pictures for place in picture.few[:1]]
    others = [
        panel for picture in pictures for panel in picture.panels if not any(panel is one for one in few)
    ]
    legend = lambda: [key for picture in pictures for key in picture.legend()]  # noqa: E731
    return Picture(words, (*few, *others), tuple(range(len(few))), legend=legend)


METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
}


def image(sheet: Figure, kind: str, name: str) -> bytes:
    """Return a drawn figure as the bytes of a file.

    The canvas is asked itself: `savefig` draws everything twice, in case a margin has to be found.
    """
    from matplotlib.backend_bases import get_registered_canvas_class

    from experiments.plots.style import own_look

    data, shown_on, dots = BytesIO(), sheet.canvas, sheet.get_dpi()
    with own_look(**{"svg.hashsalt": name, "svg.fonttype": "none", "pdf.fonttype": 42}):
        canvas: Any = get_registered_canvas_class(kind)(sheet)
        try:
            getattr(canvas, f"print_{kind}")(data, metadata=METADATA[kind])
        finally:
            sheet.set_canvas(shown_on)
            sheet.set_dpi(dots)  # which the SVG and PDF writers change
    return data.getvalue()
