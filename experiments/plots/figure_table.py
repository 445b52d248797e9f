"""The table `FIGURES`: every figure by its name in a config, each a function records -> Figure.

To add a figure, write such a function under ``@FIGURES`` in a file of `figures/`. The first paragraph of its
docstring is the title and the second the reading guide in the caption. Its keyword-only parameters are the
options that a config may set, as in ``gradient_by_layer(hue=init, where=runs(depth=[10, 50]))``. Most figures
of records have these:

* hue: the field, or list of fields, that the colour tells (by default the activation);
* facet: the field, or list of fields, whose values get panels of their own; what else varies is added;
* where: the runs that are shown;
* theory (figures by layer): whether its prediction for the initialisation is drawn over the start.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from experiments.analysis.ratios import probe_column
from experiments.plots.views import require
from experiments.storage.records import Records
from mlp.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = Registry("figure")


def without_records(figure: Callable[..., Figure]) -> Callable[..., Figure]:
    """Declare that a figure can be drawn where nothing was trained: it shows functions or times."""
    figure.without_records = True  # type: ignore[attr-defined]
    return figure


def needs(*probes: str) -> Callable[[Callable[..., Figure]], Callable[..., Figure]]:
    """Declare the probes without which a figure cannot be drawn, as its attribute `needs`.

    A config that asks for the figure and not for a probe is refused before anything trains. Records that
    lack a probe are a ValueError that names it.
    """

    def declared(figure: Callable[..., Figure]) -> Callable[..., Figure]:
        @wraps(figure)
        def checked(records: Records, **options: Any) -> Figure:
            for probe in probes:
                others = (*records.unit_probes, *records.distributions)
                if probe_column(records.layers, probe) is None and probe not in others:
                    require(records.layers, probe)
            return figure(records, **options)

        checked.needs = probes
        return checked

    return declared
