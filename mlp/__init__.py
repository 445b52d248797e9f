"""The instrument: stacked from-scratch NumPy MLPs; arrays in, traces out.

Networks are drawn with `create` and trained with `train`, which yields a `Snapshot` at every watched step. A
snapshot has a trace of every layer, and a probe is a function from a trace to one number per run. Two sigmoid
networks of five hidden layers, and the norm of the gradient in each layer, from the input to the output:

>>> import numpy as np
>>> from mlp import PROBES, Data, create, train
>>> x = np.random.default_rng(0).normal(size=(300, 8))
>>> y = (x[:, 0] > 0).astype(int)
>>> data = Data(x[:200], y[:200], x[200:], y[200:])
>>> net = create([8, 16, 16, 16, 16, 16, 2], "sigmoid", seeds=[0, 1], init=["xavier_normal"] * 2)
>>> for snapshot in train(net, data, seeds=[0, 1], lr=[0.1, 0.1], steps=50, batch=20, watch=[0, 50]):
...     norms = {trace.layer: PROBES["delta_norm"](trace) for trace in snapshot.layers}
>>> bool(np.all(norms[1] < 0.01 * norms[6]))  # the first layer's is not a hundredth of the output layer's
True

The tables (`ACTIVATIONS`, `INITIALISERS`, …) map names to functions; `activation("leaky_relu(slope=0.1)")` is
an activation itself, with its f and its slope df. What is named here is loaded when it is first asked for, so
that importing the package costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlp.activations import ACTIVATIONS, Activation, activation
    from mlp.initialisers import BIASES, INITIALISERS, Initialiser
    from mlp.losses import LOSSES
    from mlp.network import Network, create
    from mlp.norms import NORMS
    from mlp.optimisers import OPTIMISERS
    from mlp.probes import DISTRIBUTIONS, PROBES, UNIT_PROBES
    from mlp.schedules import SCHEDULES
    from mlp.train import Data, Snapshot, train

__all__ = [
    "ACTIVATIONS", "BIASES", "DISTRIBUTIONS", "INITIALISERS", "LOSSES", "NORMS", "OPTIMISERS", "PROBES",
    "SCHEDULES", "UNIT_PROBES", "Activation", "Data", "Initialiser", "Network", "Snapshot", "activation",
    "create", "train",
]  # fmt: skip

_HOMES = {
    "activations": ("ACTIVATIONS", "Activation", "activation"),
    "initialisers": ("BIASES", "INITIALISERS", "Initialiser"),
    "losses": ("LOSSES",),
    "network": ("Network", "create"),
    "norms": ("NORMS",),
    "optimisers": ("OPTIMISERS",),
    "probes": ("DISTRIBUTIONS", "PROBES", "UNIT_PROBES"),
    "schedules": ("SCHEDULES",),
    "train": ("Data", "Snapshot", "train"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"mlp.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Package(ModuleType):
    """A package whose `train` is always the function, although the file that holds it has the same name."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):  # Python puts a loaded file there
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
