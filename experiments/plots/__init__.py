"""Records -> figures; never pyplot, never a file read, nothing trained.

The figures are in `figures/`, one file a subject. `views` chooses curves and panels, `overlay` finds what
theory expects of them, `lines` and `maps` draw them, `captions` says what is seen, `axes` and `style` are how
it looks.
"""

from experiments.plots.figures import FIGURES
from experiments.plots.style import images, save

__all__ = ["FIGURES", "images", "save"]
