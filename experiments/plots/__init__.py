"""Records -> pictures; never pyplot, never a file read, nothing trained (reference networks are drawn anew).

For a report, `draw` keeps figures in the store of an experiment and draws none again that has not changed.
Each has its pictures (SVG, and a narrow SVG for a telephone; PNG or PDF with ``format=``) and beside them
`STEM.json` with these keys:

* finding: the title, a sentence with its number, computed from the records; subtitle: what is plotted;
* how_to_read: a sentence or two; alt: all of it, with seeds, settings and what is left out, to be read out;
* files: the pictures, more than one of a kind where all panels are asked for;
* tables: the numbers behind them.

Where the panels show a part of a table, the whole of it is `STEM.csv`.

Without a store, from records alone, in memory:

```python
from experiments.plots import FIGURES

picture = FIGURES.bind("gradient_by_layer(hue=init, theme=dark)")(records)   # nothing is drawn yet
picture.finding, picture.subtitle, picture.how_to_read, picture.alt
picture.files("gradient")                     # {"gradient.svg": bytes, "gradient.json": the words}
picture.on(theme="dark", format="png").files("gradient_dark")
picture.sheets[0]                             # a matplotlib Figure; picture.axes are its axes
picture.draw(ax)                              # the first panel on axes of one's own
```

Every figure takes, besides its own options, `panels` (few, all), `style` (screen, slide, paper), `theme`
(light, dark), `format` (png, svg, pdf) and `size` (inches, '8x4.5').

The figures are in `figures/`, one file per subject, and `figure_table` names them. `views` chooses curves and
panels, `overlay` finds what theory expects of them, `lines` and `maps` fill panels, `labels` names lines
where they end, `titles` and `captions` say what is seen, `sheets` lays panels out, `picture` and `canvas`
are what comes out and how it looks.
"""

from experiments.plots import figures
from experiments.plots.album import draw
from experiments.plots.canvas import Canvas
from experiments.plots.figure_table import FIGURES
from experiments.plots.panels import Words
from experiments.plots.picture import Picture

__all__ = ["FIGURES", "Canvas", "Picture", "Words", "draw", "figures"]
