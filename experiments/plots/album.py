"""The figures of an experiment: drawn if something has changed, and kept in its store."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.config import Experiment
from experiments.plots import style
from experiments.plots.figure_table import FIGURES
from experiments.storage.drawn import Gallery, file_names
from experiments.storage.files import StoreError
from experiments.storage.records import Records


@dataclass(frozen=True)
class Drawn:
    """A figure of an experiment: its call-text, its files and its words, or why it could not be drawn."""

    text: str
    files: tuple[Path, ...] = ()  # pictures; of more than one where all panels are asked for
    words: Path | None = None  # the file that has the words below
    finding: str = ""
    subtitle: str = ""
    how_to_read: str = ""
    alt: str = ""
    failure: str = ""

    @property
    def written(self) -> list[Path]:
        """Every file of it."""
        return [*self.files, *([self.words] if self.words else [])]


def draw(
    figures: Sequence[str],
    experiment: Experiment,
    records: Records,
    gallery: Gallery,
    say: Callable[[str], None] = lambda text: None,
) -> list[Drawn]:
    """Draw those of these figures that have changed; return all of them, those that failed with the reason.

    A figure may fail in any way: the others are drawn. Errors: StoreError where a file cannot be written.
    """
    stems = file_names(dict.fromkeys([*experiment.figures, *figures]))
    found = []
    for number, text in enumerate(figures, 1):
        files = gallery.files(text)
        if not files:
            say(f"drawing {number} of {len(figures)}: {text}")
            try:
                files = gallery.keep(text, drawn(text, records, stems[text]))
            except StoreError:
                raise
            except Exception as error:
                found.append(Drawn(text, failure=_told(error)))
                continue
        found.append(_read(text, files))
    return found


def drawn(text: str, records: Records, stem: str) -> dict[str, bytes]:
    """Return the files of a figure by their names, whatever the user's settings of matplotlib are."""
    with style.own_look():
        images = FIGURES.bind(text)(records).files(stem)
    return {f"figures/{name}": data for name, data in images.items()}


def _read(text: str, files: Sequence[Path]) -> Drawn:
    """Return a figure from its files, of which one has its words."""
    words = next(path for path in files if path.suffix == ".json")
    told = json.loads(words.read_text(encoding="utf-8"))
    told.pop("files")
    return Drawn(text, tuple(path for path in files if path != words), words, **told)


def _told(error: Exception) -> str:
    """Return what an error says; the type is said too, unless it is one that is raised on purpose."""
    return str(error) if isinstance(error, ValueError) and str(error) else f"{type(error).__name__}: {error}"
