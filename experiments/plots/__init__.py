"""Records -> figures; never pyplot, never a file read, nothing trained.

The figures are in `figures`, `budget`, `distributions`, `frontier`, `judged`, `residual`, `spectra`,
`trainability`, `underflow` and `units`; `views` chooses curves and panels, `overlay` finds what theory
expects of them, `lines` and `maps` draw them, `captions` says what is seen, `axes` and `style` are how it
looks.
"""

from experiments.plots import (
    budget,
    distributions,
    frontier,
    judged,
    residual,
    spectra,
    trainability,
    underflow,
    units,
)
from experiments.plots.figures import FIGURES
from experiments.plots.style import images, save

__all__ = [
    "FIGURES", "budget", "distributions", "frontier", "images", "judged", "residual", "save", "spectra",
    "trainability", "underflow", "units",
]  # fmt: skip
