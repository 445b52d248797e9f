"""Records -> figures; never pyplot, never a file read, nothing trained.

The figures themselves are in `figures`, `budget`, `residual`, `trainability`, `underflow`, `units`, `judged`;
`views` chooses curves and panels, `overlay` finds what theory expects of them, `lines` and `maps` draw them,
`captions` says what is seen, `axes` and `style` are how it looks.
"""

from experiments.plots import budget, judged, residual, trainability, underflow, units
from experiments.plots.figures import FIGURES
from experiments.plots.style import images, save

__all__ = ["FIGURES", "budget", "images", "judged", "residual", "save", "trainability", "underflow", "units"]
