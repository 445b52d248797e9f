"""The figures of an experiment: drawn if something has changed, and kept in its store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from experiments.config import Experiment
from experiments.plots import style
from experiments.plots.figure_table import FIGURES
from experiments.plots.picture import Picture
from experiments.plots.side_by_side import Made, Work, drawn_by_workers, workers_for
from experiments.storage.blame import blamed
from experiments.storage.drawn import Gallery, file_names
from experiments.storage.records import Records

Files = Callable[[str, Records, str], dict[str, bytes]]  # from a text, records and a stem: a figure's files


def draw(
    figures: Sequence[str],
    experiment: Experiment,
    records: Records,
    gallery: Gallery,
    say: Callable[[str], None] = lambda text: None,
    *,
    files: Files | None = None,
    jobs: int = 1,
    meanwhile: Callable[[], object] = lambda: None,
) -> tuple[list[Path], list[str]]:
    """Draw those of these figures that have changed; return the files of all, and a line for each failure.

    A figure may fail in any way: the others are drawn. files: what draws one, by default `for_report`. With
    several `jobs` worker processes draw where that is sooner, and this process calls `meanwhile` then.
    Errors: StoreError where a file cannot be written.
    """
    stems = file_names(dict.fromkeys([*experiment.figures, *figures]))
    kept = {text: gallery.files(text) for text in figures}
    stale = {text: stems[text] for text in figures if not kept[text]}
    work, failures = partial(attempted, files=files or for_report), list[str]()
    for text, (made, failure) in _each(stale, records, work, jobs, meanwhile, say):
        if made:
            kept[text] = gallery.keep(text, made)
        else:
            failures.append(failure)
    return [path for text in figures for path in kept[text]], failures


def _each(
    stale: Mapping[str, str], records: Records, work: Work, jobs: int, meanwhile: Callable[[], object],
    say: Callable[[str], None],
) -> Iterator[tuple[str, Made]]:  # fmt: skip
    """Yield each figure drawn, by workers or here; a figure whose worker was lost is drawn here."""
    lines = (f"drawing {number} of {len(stale)}: {text}" for number, text in enumerate(stale, 1))
    if workers := workers_for(stale, records, jobs):
        for text, made in drawn_by_workers(stale, records, work, workers, meanwhile):
            say(next(lines))
            yield text, made or work(text, records, stale[text])
        return
    for text, stem in stale.items():
        say(next(lines))
        yield text, work(text, records, stem)


def attempted(text: str, records: Records, stem: str, files: Files) -> Made:
    """Return the files of a figure, or a line that says why it cannot be drawn."""
    try:
        return files(text, records, stem), ""
    except Exception as error:
        return {}, f"figures: {text}: {_told(error)}"


def for_report(text: str, records: Records, stem: str) -> dict[str, bytes]:
    """Return the files of a figure as `drawn` does, and where there is an SVG one for a telephone's width."""
    with style.own_look():
        picture: Picture = FIGURES.bind(text)(records)
        made = picture.files(stem)
        if f"{stem}.svg" in made and not picture.finished:
            narrow = picture.on(style="paper", format="svg").files(f"{stem}_narrow")
            made |= {name: data for name, data in narrow.items() if name.endswith(".svg")}
    return {f"figures/{name}": data for name, data in made.items()}


def drawn(
    text: str, records: Records, stem: str, words: Mapping[str, str] = MappingProxyType({})
) -> dict[str, bytes]:
    """Return the files of a figure by their names, whatever the user's settings of matplotlib are.

    words: what stands in place of the figure's own words, as in `Canvas`.
    """
    with style.own_look():
        made = FIGURES.bind(text)(records).on(words=words).files(stem)
    return {f"figures/{name}": data for name, data in made.items()}


def _told(error: Exception) -> str:
    """Return what an error says; the type is said too, unless it is one that is raised on purpose."""
    is_on_purpose = isinstance(error, ValueError) and str(error)
    said = str(error) if is_on_purpose else f"{type(error).__name__}: {error}"
    where = blamed(error)
    return f"{said} ({where})" if where else said
