"""Records -> figures; never pyplot, never a file read, nothing trained.

The figures are in `figures/`, one file a subject, and `figure_table` names them. `views` chooses curves and
panels, `overlay` finds what theory expects of them, `panels` lays out the sheet, `lines` and `maps` fill it,
`captions` says what is seen, `axes` and `style` are how it looks.
"""

from experiments.plots import figures
from experiments.plots.figure_table import FIGURES
from experiments.plots.style import images, save

__all__ = ["FIGURES", "figures", "images", "save"]
