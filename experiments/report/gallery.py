"""results/GALLERY.md: every figure, its line in a config and what to read from it.

``python -m experiments.report.gallery`` writes the page from the table of figures and the shipped configs.
With ``--draw`` it first draws the small pictures anew, each from the records of its config in results/; where
these are not stored, the picture stays as it is.
"""

from __future__ import annotations

import sys
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.config.shipped import shipped_configs
from experiments.config.yaml_strict import read
from experiments.plots import FIGURES
from experiments.plots.figure_table import sentences
from experiments.storage.files import write
from experiments.storage.store import Store, results_root
from mlp.registry import parse_call

if TYPE_CHECKING:
    from experiments.plots.picture import Picture

PAGE, PICTURES = "GALLERY.md", "gallery"  # in results/
DRAWN_FROM = "configs/deep_sigmoid.yaml"  # the figures that no shipped config asks for
WIDTH, INKS = 840, 128  # pixels and colours of a small picture: all of them are under 2 MB
HEAD = """# Gallery

Every figure that a config can ask for: its line in a config, the options it has, and what to read from it.
Each picture shows the one to four panels that answer the question of the config named beside it;
`panels=all` draws all of them. Every figure also takes `style=slide`, `style=paper`, `theme=dark`, `format`
and `size`, and `scripts/plot.py NAME "figure(option=value)"` draws one from stored records without
training.

(This page is written by `make docs`, the pictures by `python -m experiments.report.gallery --draw`.)
"""


def examples() -> dict[str, tuple[str, str]]:
    """Return for each figure the first shipped config that asks for it, and its line there.

    Questions come before the write-up's and the literature's configs.
    """
    found: dict[str, tuple[str, str]] = {}
    for path, line in _lines():
        found.setdefault(parse_call(line)[0], (path, line))
    return {name: found.get(name, (DRAWN_FROM, name)) for name in FIGURES}


@cache
def _lines() -> list[tuple[str, str]]:
    """Every config with every line of its figures."""
    folder, found = shipped_configs(), []
    for path in sorted(folder.rglob("*.yaml"), key=lambda path: (len(path.parts), path)):
        root, _ = read(path.read_bytes(), str(path))
        figures = root.value.get("figures") if root else None
        config = f"configs/{path.relative_to(folder).as_posix()}"
        found += [(config, str(node.value)) for node in (figures.value if figures else ())]
    return found


def page() -> str:
    """Return the page as Markdown."""
    shown = examples()
    contents = ", ".join(f"[`{name}`](#{name})" for name in shown)
    return "\n".join([HEAD, contents, "", *(_entry(name, *shown[name]) for name in shown)])


def _entry(name: str, config: str, line: str) -> str:
    plotted, guide = sentences(FIGURES[name])
    options = [key for key in FIGURES.options(name) if key not in FIGURES.shared]
    written = f'"{line}"' if ", " in line or "=[" in line else line
    words = [
        f"## {name}", "", f"![{plotted}.]({PICTURES}/{name}.png)", "", f"*{plotted}.* {guide}", "",
        f"[`{config}`](../{config}) asks for it so:" if (config, line) in _lines() else "In any config:", "",
        "```yaml", "figures:", f"  - {written}", "```", "",
    ]  # fmt: skip
    if options:
        words += [f"Its own options: {', '.join(f'`{key}`' for key in options)}.", ""]
    return "\n".join(words)


# Small pictures -------------------------------------------------------------------------------------------


def draw(folder: Path) -> list[str]:
    """Draw a small picture of each figure whose records are stored; return the names of the others."""
    missing = []
    for name, (config, line) in examples().items():
        store = Store(Path(config).stem)
        figure = FIGURES.bind(line)
        if getattr(FIGURES[name], "without_records", False):
            records = None
        elif not store.statuses():
            missing.append(name)
            continue
        else:
            records = store.load()
        write(folder / f"{name}.png", small(figure(records)), folder)
    return missing


def small(picture: Picture) -> bytes:
    """A picture as a small PNG: so many pixels wide, and in a palette of few colours."""
    from PIL import Image

    png = next(iter(picture.on(format="png").files("small").values()))
    with Image.open(BytesIO(png)) as image:
        high = round(image.height * WIDTH / image.width)
        found = image.convert("RGB").resize((WIDTH, high), Image.Resampling.LANCZOS)
    # The method that spans the colours there are: others merge two thin lines into one colour.
    cover = Image.Quantize.MAXCOVERAGE
    found = found.quantize(INKS, method=cover, kmeans=1, dither=Image.Dither.NONE)
    out = BytesIO()
    found.save(out, "png", optimize=True)
    return out.getvalue()


def main(words: list[str]) -> None:
    """Write results/GALLERY.md; with --draw the pictures, too."""
    results = Path("results")
    if words == ["--draw"]:
        for name in draw(results / PICTURES):
            print(f"{name}: no records in {results_root()}; its picture stays as it is", file=sys.stderr)
    write(results / PAGE, page().encode(), results)


if __name__ == "__main__":
    main(sys.argv[1:])
