"""Probes: a layer's trace -> one number per run. The first line of a docstring is the column's meaning.

`default` holds what every config measures, `detectors`, `jacobian`, `optional` and `whole_network` those that
a config has to name, `units` those that give one number per unit, and `distributions` counts numbers by order
of magnitude.
Everything is measured by the slope and the arrays, never by the activation's name, so a new activation is
measured rightly the day it is added. Norms are Frobenius norms. Ratios between layers are analysis.
"""

from mlp.probes import default, detectors, jacobian, optional, whole_network
from mlp.probes.distributions import DISTRIBUTIONS
from mlp.probes.table import PROBES, probe
from mlp.probes.units import UNIT_PROBES

DEFAULT_PROBES = PROBES.default

__all__ = [
    "DEFAULT_PROBES", "DISTRIBUTIONS", "PROBES", "UNIT_PROBES", "default", "detectors", "jacobian",
    "optional", "probe", "whole_network",
]  # fmt: skip
