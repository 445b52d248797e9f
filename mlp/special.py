"""σ(z) and Φ(z) by SciPy, which is imported when the first of them is computed.

The import takes 0.15 s, half of the time in which a misspelt config has to be answered; naming an activation
does not need it.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


def expit(z: Array) -> Array:
    """1/(1 + e⁻ᶻ), keeping full precision in both tails."""
    from scipy import special

    return special.expit(z)


def ndtr(z: Array) -> Array:
    """The distribution function of the standard normal."""
    from scipy import special

    return special.ndtr(z)
