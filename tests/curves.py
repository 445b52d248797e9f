"""The activations that are tested, and the places at which they are."""

from math import inf, sqrt

import naive
import numpy as np

from mlp.activations import ACTIVATIONS

TEXTS = [*sorted(ACTIVATIONS), *sorted(set(naive.ACTIVATIONS) - set(ACTIVATIONS)), "elu(alpha=0.5)"]
DTYPES = [np.float32, np.float64]
EXTREMES = (
    0.0, 1e-30, 1e-8, 0.1, 1.0, 3.0, 10.0, 17.3, 19.1, 37.0, 40.0, 88.0, 104.0, 300.0, 710.0, 745.0, 1e10,
    1e30,
)  # fmt: skip


def values(dtype):
    """Every class of number of a format: both zeros, subnormal, tiny, ordinary, huge, infinite."""
    info = np.finfo(dtype)
    sizes = [
        *EXTREMES,
        info.smallest_subnormal,
        info.tiny,
        info.eps,
        sqrt(info.max),
        info.max / 2,
        info.max,
        inf,
    ]
    positive = np.array(sizes, dtype)
    return np.concatenate([-positive[::-1], positive])


def grid(act, dtype=np.float64, reach=12.0, away=5e-3):
    """Places all over the curve, none within `away` of a kink."""
    z = np.linspace(-reach, reach, 4801, dtype=dtype) + dtype(1e-4)
    return z[np.all([abs(z - kink) > away for kink in act.kinks], axis=0)] if act.kinks else z


def everywhere(act, dtype):
    """All of the above and the kinks with their neighbours."""
    kinks = np.array(act.kinks, dtype)
    near = [kinks, np.nextafter(kinks, dtype(-inf)), np.nextafter(kinks, dtype(inf))]
    return np.concatenate([values(dtype), grid(act, dtype), *near])
