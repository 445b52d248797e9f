"""The table `FIGURES`: every figure by its name in a config, each a function records -> Picture.

To add a figure, write such a function under ``@FIGURES`` in a file of `figures/`. The first paragraph of
its docstring is the subtitle, what is plotted, and the second says how to read it; the title is its
finding, which it computes from the records. Its keyword-only parameters are the options that a config may
set, as in ``gradient_by_layer(hue=init, where=runs(depth=[10, 50]))``. Most figures of records have these:

* hue: the field, or list of fields, that the colour tells (by default the activation);
* facet: the field, or list of fields, whose values get panels of their own; what else varies is added;
* where: the runs that are shown;
* theory (figures by layer): whether its prediction for the initialisation is drawn over the start.

All figures have `panels`, `style`, `theme`, `format` and `size` besides, see `LOOK`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Literal

from experiments.analysis.ratios import is_recorded
from experiments.plots.canvas import Canvas, Format, Size, Style, Theme
from experiments.plots.panels import Panel, Words
from experiments.plots.picture import Picture
from experiments.plots.views import require
from experiments.storage.records import Records
from mlp.registry import Registry, RegistryError, doc_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The options that every figure has: their types and what they are when they are not given.
LOOK: dict[str, tuple[Any, Any]] = {
    "panels": (Literal["few", "all"], "few"),  # those that answer the question, or all, on as many sheets
    "style": (Style, "screen"),
    "theme": (Theme, "light"),
    "format": (Format | None, None),  # null: the style's own, PNG or, on paper, PDF
    "size": (Size, ""),  # inches, '8x4.5'; "": the style's own
}


class _Figures(Registry):
    """Adds the options of `LOOK` to each figure."""

    shared = frozenset(LOOK)  # options that every entry has, and that a table of entries need not repeat

    def __call__(self, function: Callable[..., Picture | Figure]) -> Callable[..., Any]:
        return super().__call__(with_look(function))


def with_look(function: Callable[..., Picture | Figure]) -> Callable[..., Picture]:
    """Return the figure with the options of `LOOK`, which say on what canvas its picture is.

    An option of its own by one of these names stays its own.
    """
    own = signature(function)
    added = {key: option for key, option in LOOK.items() if key not in own.parameters}

    @wraps(function)
    def figure(records: Records | None, **options: Any) -> Picture:
        look = {key: default for key, (_, default) in LOOK.items()}
        look |= {key: options.pop(key) for key in added if key in options}
        canvas = Canvas(look["style"], look["theme"], look["size"], look["format"], look["panels"] == "all")
        made = function(records, **options)
        if isinstance(made, Picture):
            return replace(made, canvas=canvas)
        return _finished(made, function, canvas)

    parameters = [
        Parameter(key, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for key, (kind, default) in added.items()
    ]
    figure.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*own.parameters.values(), *parameters]
    )
    return figure


def _finished(drawn: Figure, function: Callable[..., Any], canvas: Canvas) -> Picture:
    """Return a picture of a matplotlib Figure that a function of a user's own has drawn."""
    panels = (Panel("", _untouched),)
    return Picture(words_of(function, ""), panels, canvas=canvas, finished=(drawn,))


def _untouched(axes: Axes, scale: Any) -> None:
    raise RegistryError("this figure is drawn by its own function: its panels cannot be put on other axes")


def sentences(figure: Callable[..., Any]) -> tuple[str, str]:
    """What a figure plots and how to read it: the first two paragraphs of its docstring."""
    subtitle, guide, *_ = [*doc_of(figure).split("\n\n"), "", ""]
    return " ".join(subtitle.split()).rstrip("."), " ".join(guide.split())


def words_of(figure: Callable[..., Any], finding: str, notes: Iterable[str] = ()) -> Words:
    """Return what a figure says: a finding, or where there is none what is plotted, the rest under it."""
    subtitle, guide = sentences(figure)
    return Words(finding or subtitle, subtitle if finding else "", guide, tuple(notes))


FIGURES = _Figures("figure")


def without_records(figure: Callable[..., Picture]) -> Callable[..., Picture]:
    """Declare that a figure can be drawn where nothing was trained: it shows functions or times."""
    figure.without_records = True  # type: ignore[attr-defined]
    return figure


def needs(*probes: str) -> Callable[[Callable[..., Picture]], Callable[..., Picture]]:
    """Declare the probes without which a figure cannot be drawn, as its attribute `needs`.

    A config that asks for the figure and not for a probe is refused before anything trains. Records that
    lack a probe are a ValueError that names it.
    """

    def declared(figure: Callable[..., Picture]) -> Callable[..., Picture]:
        @wraps(figure)
        def checked(records: Records, **options: Any) -> Picture:
            for probe in probes:
                if not is_recorded(records, probe):
                    require(records.layers, probe)
            return figure(records, **options)

        checked.needs = probes  # type: ignore[attr-defined]
        return checked

    return declared


def along(*axes: str) -> Callable[[Callable[..., Picture]], Callable[..., Picture]]:
    """Declare the fields that a figure has along an axis, as its attribute `along`: no colour may tell
    them.
    """

    def declared(figure: Callable[..., Picture]) -> Callable[..., Picture]:
        figure.along = axes  # type: ignore[attr-defined]
        return figure

    return declared
