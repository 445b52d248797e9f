"""One new entry in every table of the engine, and a wrong one beside it. Loaded by `pytest -p newcomers`.

The activation of CONTRIBUTING.md is among them, as it is printed there.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mlp import activations
from mlp.activations import ACTIVATIONS, Activation
from mlp.initialisers import BIASES, INITIALISERS, Initialiser
from mlp.losses import LOSSES
from mlp.norms import NORMS, Norm
from mlp.optimisers import OPTIMISERS, Optimiser
from mlp.probes import DISTRIBUTIONS, PROBES, UNIT_PROBES
from mlp.schedules import SCHEDULES


def _curve(error: float) -> Activation:
    """z/√(1 + z²), and a slope that is off by a share of itself."""
    return Activation(
        f=lambda z: z / np.hypot(z, 1),
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


def newcomer_unit(t):
    """The largest weight into the unit."""
    return t.w.max(axis=1).astype(np.float64)


def newcomer_unit_wrong(t):
    """The same as a share of the stack's largest: a run's numbers depend on its neighbours."""
    return newcomer_unit(t) / t.w.max()


def newcomer_sizes(t):
    """|w|, the layer's weights."""
    return t.w, np.zeros(len(t.w), np.int64)


def newcomer_sizes_wrong(t):
    """Those of the first run alone."""
    return t.w[:1], np.zeros(len(t.w), np.int64)


TABLES: dict[str, Any] = {
    "curve": ACTIVATIONS,
    "draw": INITIALISERS,
    "offset": BIASES,
    "loss": LOSSES,
    "rule": OPTIMISERS,
    "norm": NORMS,
    "probe": PROBES,
    "unit": UNIT_PROBES,
    "sizes": DISTRIBUTIONS,
    "schedule": SCHEDULES,
}
for kind, table in TABLES.items():
    table(globals()[f"newcomer_{kind}"])
    table(globals()[f"newcomer_{kind}_wrong"])

PAGE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
(EXAMPLE,) = re.findall(r"```python\n(@ACTIVATIONS\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
EXAMPLES_NAME = re.findall(r"def (\w+)", EXAMPLE)[0]


def _example_wrong() -> str:
    """The same under another name, with a slope that is off by a third."""
    renamed = EXAMPLE.replace(EXAMPLES_NAME, f"{EXAMPLES_NAME}_wrong")
    assert renamed.count("(2 *") == 1
    return renamed.replace("(2 *", "(3 *")


for code in (EXAMPLE, _example_wrong()):
    exec(code, vars(activations))
