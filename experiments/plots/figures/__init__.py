"""The figures, one file a subject; importing this package fills the table `FIGURES`."""

from experiments.plots.figures import (
    compute,
    how_deep,
    judged,
    magnitudes,
    residual,
    spectra,
    trainability,
    underflow,
    unit_lives,
)
from experiments.plots.figures.layers import FIGURES

__all__ = [
    "FIGURES", "compute", "how_deep", "judged", "magnitudes", "residual", "spectra", "trainability",
    "underflow", "unit_lives",
]  # fmt: skip
