"""One new entry in every table of the engine, and a wrong one beside it. Loaded by `pytest -p newcomers`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlp.activations import ACTIVATIONS, Activation
from mlp.initialisers import BIASES, INITIALISERS, Initialiser
from mlp.losses import LOSSES
from mlp.norms import NORMS, Norm
from mlp.optimisers import OPTIMISERS, Optimiser
from mlp.probes import PROBES
from mlp.schedules import SCHEDULES


def _finite(z):
    return np.clip(z, np.finfo(z.dtype).min, np.finfo(z.dtype).max)


def _curve(error: float) -> Activation:
    """z/√(1 + z²), and a slope that is off by a share of itself."""
    return Activation(
        f=lambda z: _finite(z) / np.hypot(_finite(z), 1),
        df=lambda z, a: (1 + error) * (1 / np.hypot(z, 1)) ** 3,
        low=-1,
        high=1,
    )


def newcomer_curve() -> Activation:
    """z/√(1 + z²)."""
    return _curve(0)


def newcomer_curve_wrong() -> Activation:
    """The same with a slope that is off by one part in ten thousand."""
    return _curve(-1e-4)


def _coins(rng, n_in, n_out):
    return 2.0 * rng.integers(0, 2, (n_in, n_out)) - 1


def newcomer_draw() -> Initialiser:
    """±1/√n_in by a fair coin."""
    return Initialiser(_coins, lambda n_in, n_out, act: n_in**-0.5)


def newcomer_draw_wrong() -> Initialiser:
    """Says half the size that it draws."""
    return Initialiser(lambda *key: 2 * _coins(*key), lambda n_in, n_out, act: n_in**-0.5 / 2)


def newcomer_offset() -> Initialiser:
    """±1 by a fair coin."""
    return Initialiser(_coins, lambda n_in, n_out, act: 1.0)


def newcomer_offset_wrong() -> Initialiser:
    """Says half the size that it draws."""
    return Initialiser(lambda *key: 2 * _coins(*key), lambda n_in, n_out, act: 1.0)


def _squares(z, y, factor):
    error = z - (y[..., None] == np.arange(z.shape[-1])).astype(z.dtype)
    return np.square(error).sum(axis=-1).mean(axis=-1), error * z.dtype.type(factor / z.shape[-2])


def newcomer_loss(z, y):
    """The squared error, summed over classes."""
    return _squares(z, y, 2)


def newcomer_loss_wrong(z, y):
    """Its gradient forgets the 2."""
    return _squares(z, y, 1)


def _by_sign(sign: int) -> Optimiser:
    return Optimiser(lambda like: lambda g, lr, out: np.multiply(np.sign(g, out=out), sign * lr, out=out))


def newcomer_rule() -> Optimiser:
    """step = −lr·sign(g)."""
    return _by_sign(-1)


def newcomer_rule_wrong() -> Optimiser:
    """Uphill."""
    return _by_sign(1)


def newcomer_norm(eps: float = 1e-3) -> Norm:
    """Over the layer, with another eps."""
    return Norm(-1, eps)


class _Forgetful(Norm):
    def backward(self, g, u_hat, scale):
        return g * scale


def newcomer_norm_wrong(eps: float = 1e-3) -> Norm:
    """Its gradient forgets that the moments move, too."""
    return _Forgetful(-1, eps)


def newcomer_probe(t):
    """The largest weight."""
    return t.w.max(axis=(1, 2)).astype(np.float64)


def newcomer_probe_wrong(t):
    """The largest weight of the whole stack: a run's number depends on its neighbours."""
    return np.full(len(t.w), t.w.max(), np.float64)


def newcomer_schedule() -> Callable[[int, int], float]:
    """A straight line down to 0."""
    return lambda step, steps: 1 - step / max(steps, 1)


def newcomer_schedule_wrong() -> Callable[[int, int], float]:
    """The same line beyond 0."""
    return lambda step, steps: 0.5 - step / max(steps, 1)


TABLES: dict[str, Any] = {
    "curve": ACTIVATIONS,
    "draw": INITIALISERS,
    "offset": BIASES,
    "loss": LOSSES,
    "rule": OPTIMISERS,
    "norm": NORMS,
    "probe": PROBES,
    "schedule": SCHEDULES,
}
for kind, table in TABLES.items():
    table(globals()[f"newcomer_{kind}"])
    table(globals()[f"newcomer_{kind}_wrong"])
