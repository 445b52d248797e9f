"""Unit probes: a layer's trace -> one number per run and unit, (R, n_out) in float64."""

from __future__ import annotations

import numpy as np

from mlp.numbers import Measure, column_norms, ever, times_power
from mlp.probes.missing import known_units
from mlp.registry import Registry
from mlp.trace import LayerTrace

_quiet = np.errstate(all="ignore")  # a run that diverged is measured as NaN; the others must not hear of it

UNIT_PROBES = Registry("unit probe")


@UNIT_PROBES
def unit_dead(t: LayerTrace) -> Measure:
    """1 if the unit's slope is 0 on every example, so that it gets no gradient; else 0."""
    return known_units(t, t.dead, "slope")


@UNIT_PROBES
def unit_inactive(t: LayerTrace) -> Measure:
    """1 if z ≤ 0 on every example, else 0; a leaky unit that is still learns."""
    return known_units(t, ~ever(lambda z: z > 0, t.scaled_z))


@UNIT_PROBES
@_quiet
def unit_z_mean(t: LayerTrace) -> Measure:
    """Mean of the unit's pre-activation over examples."""
    return times_power(t.scaled_z.mean(axis=-2, dtype=np.float64), -t.z_exponent)


@UNIT_PROBES
def unit_bias(t: LayerTrace) -> Measure:
    """The unit's bias."""
    return np.asarray(t.b[:, 0], np.float64)


@UNIT_PROBES
def unit_w_norm(t: LayerTrace) -> Measure:
    """‖w‖ of the weights into the unit."""
    return column_norms(t.w)


@UNIT_PROBES
def unit_step_norm(t: LayerTrace) -> Measure:
    """‖step‖ of the update that follows, of the weights into the unit; NaN after the last update."""
    return times_power(column_norms(t.scaled_step), -t.step_exponent)


@UNIT_PROBES
def unit_gradient_norm(t: LayerTrace) -> Measure:
    """‖(dLoss/dw, dLoss/db)‖ of the mean loss: the weights into the unit and its bias together."""
    inputs = times_power(t.scaled_db.astype(np.float64), t.x_exponent)
    norms = column_norms(np.concatenate([t.scaled_dw.astype(np.float64), inputs], axis=-2))
    return times_power(norms, -t.dw_exponent)
