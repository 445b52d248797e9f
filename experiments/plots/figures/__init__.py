"""The figures, one file per subject; importing this package fills the table `FIGURES`."""

# In this order they stand in configs/README.md.
from experiments.plots.figures import (  # isort: skip
    layers,
    over_training,
    lessons,
    activation_curves,
    activation_times,
    boundary,
    choices,
    compute,
    curvature,
    how_deep,
    judged,
    magnitudes,
    normal,
    residual,
    spectra,
    trainability,
    underflow,
    unit_lives,
)

__all__ = [
    "activation_curves", "activation_times", "boundary", "choices", "compute", "curvature", "how_deep",
    "judged", "layers", "lessons", "magnitudes", "normal", "over_training", "residual", "spectra",
    "trainability", "underflow", "unit_lives",
]  # fmt: skip
