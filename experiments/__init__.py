"""The science: a YAML question in; tidy frames, verdicts and figures out.

``from experiments import run, load`` is all a notebook needs; both are imported when first asked for, so
that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from experiments.cli.vanishing_gradients import HOMES, shadowed

try:
    from mlp.registry import PROJECT
except ImportError as error:  # a folder of the user's with the name of our package, most likely
    raise ImportError(shadowed() or str(error)) from None

if TYPE_CHECKING:
    from experiments.cli.notebook import run
    from experiments.pipeline import load

PROJECT.add(__name__)

__all__ = ["load", "run"]


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
