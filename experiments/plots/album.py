"""The figures of an experiment: drawn if something has changed, and kept in its store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from experiments.config import Experiment
from experiments.plots import style
from experiments.plots.figure_table import FIGURES
from experiments.plots.picture import Picture
from experiments.storage.drawn import Gallery, file_names
from experiments.storage.files import StoreError
from experiments.storage.records import Records


def draw(
    figures: Sequence[str],
    experiment: Experiment,
    records: Records,
    gallery: Gallery,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[list[Path], list[str]]:
    """Draw those of these figures that have changed; return the files of all, and a line for each failure.

    A figure may fail in any way: the others are drawn. Errors: StoreError where a file cannot be written.
    """
    stems = file_names(dict.fromkeys([*experiment.figures, *figures]))
    written: list[Path] = []
    failures: list[str] = []
    for number, text in enumerate(figures, 1):
        files = gallery.files(text)
        if not files:
            say(f"drawing {number} of {len(figures)}: {text}")
            try:
                files = gallery.keep(text, drawn(text, records, stems[text]))
            except StoreError:
                raise
            except Exception as error:
                failures.append(f"figures: {text}: {_told(error)}")
        written += files
    return written, failures


def drawn(
    text: str, records: Records, stem: str, words: Mapping[str, str] = MappingProxyType({})
) -> dict[str, bytes]:
    """Return the files of a figure by their names, whatever the user's settings of matplotlib are.

    words: what stands in place of the figure's own words, as in `Canvas`.
    """
    with style.own_look():
        picture: Picture = FIGURES.bind(text)(records).on(words=words)
        made = picture.files(stem)
        if f"{stem}.svg" in made and not picture.finished:  # for the report, also read on a telephone
            narrow = picture.on(style="paper", format="svg").files(f"{stem}_narrow")
            made |= {name: data for name, data in narrow.items() if name.endswith(".svg")}
    return {f"figures/{name}": data for name, data in made.items()}


def _told(error: Exception) -> str:
    """Return what an error says; the type is said too, unless it is one that is raised on purpose."""
    return str(error) if isinstance(error, ValueError) and str(error) else f"{type(error).__name__}: {error}"
