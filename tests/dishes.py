"""A table of parts that no network has, with options of every kind, and the tables that networks have."""

from typing import Literal

from mlp.activations import ACTIVATIONS
from mlp.initialisers import BIASES, INITIALISERS
from mlp.losses import LOSSES
from mlp.norms import NORMS
from mlp.optimisers import OPTIMISERS
from mlp.probes import PROBES, UNIT_PROBES
from mlp.registry import Registry
from mlp.schedules import SCHEDULES

TABLES = [ACTIVATIONS, INITIALISERS, BIASES, LOSSES, NORMS, OPTIMISERS, PROBES, UNIT_PROBES, SCHEDULES]

DISHES = Registry("dish")


@DISHES
def soup(salt: float = 1, portions: int = 2, hot: bool = True, name: str = "leek") -> tuple:
    return ("soup", salt, portions, hot, name)


@DISHES
def stew(guests: int, gain: float | str = "auto", size: Literal["small", "large"] = "small",
         times: list[float] = [1], *, lid: float | None = None) -> tuple:  # noqa: B006  # fmt: skip
    return ("stew", guests, gain, size, times, lid)


@DISHES
def bread() -> tuple:
    return ("bread",)
