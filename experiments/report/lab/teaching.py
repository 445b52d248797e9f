"""results/TEACHING.md: the three lessons on paper, with the links that set the lab.

``python -m experiments.report.lab.teaching`` writes it.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from experiments.report.lab import address
from experiments.report.lab.presets import PRESETS, Preset
from experiments.storage.files import write

PORT = 5100  # of the lab, unless it is told otherwise
HEAD = """# Notes for teachers

Three lessons of about ten minutes, each with a picture to show, something to do live, and a question for
the class. The lab is a page on your own machine: `make live` opens it, and nothing but that machine can
reach it. The real engine trains in it while the class watches, at the size of type that the back row reads.

* **Run** and **Pause**, **Step** for one update, **Back** to undo whatever was done last, **Start again**
  for step 0.
* A and B begin on the same seed: the same data in the same order, and the same random numbers for the
  weights.
* The link in the address bar holds every control. Keep it, or mail it: it opens the lab as it was.
* *Dead* means slope 0 on every example that is measured, here the first 256 of the training set; the dashed
  line is theory before the first update. The other words are in the [glossary](GLOSSARY.md).

What the notes below promise is run by the tests. Students who want to go on alone can take the 20 minutes
of [the tutorial](tutorial.ipynb); [the gallery](GALLERY.md) has every figure.

(This page is written by `make docs`.)
"""


def page() -> str:
    """Return the page as Markdown."""
    lessons = [_lesson(i, key, lesson) for i, (key, lesson) in enumerate(PRESETS.items(), 1)]
    return "\n".join([HEAD, *lessons])


def _lesson(place: int, key: str, lesson: Preset) -> str:
    link = f"http://127.0.0.1:{PORT}/?{address.query(address.read([('preset', key)]))}"
    drawn = f"python scripts/plot.py {lesson.experiment} '{lesson.slide}(style=slide)'"
    return f"""## {place}. {lesson.name}

**{lesson.question}**

![The slide of this lesson](gallery/{lesson.slide}.png)

*Before:* `python scripts/run.py configs/{lesson.experiment}.yaml` trains what the picture shows, once, and
`{drawn}` draws it as a slide.

*Live:* `make live ARGS={key}`, or in a lab that is open: [{lesson.name}]({link}).

{_wrapped(lesson.note)}

{_wrapped("*For the class:* " + lesson.exercise)}
"""


def _wrapped(text: str) -> str:
    return fill(text, 116, break_long_words=False, break_on_hyphens=False)


def main() -> None:
    """Write results/TEACHING.md."""
    results = Path("results")
    write(results / "TEACHING.md", page().encode(), results)


if __name__ == "__main__":
    main()
