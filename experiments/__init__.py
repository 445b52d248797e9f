"""The science: a YAML question in; tidy frames, verdicts and figures out.

``from experiments import run, load`` is all a notebook needs; both are imported when first asked for, so
that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from mlp.registry import PROJECT
except ImportError as error:
    raise ImportError(
        f"{error}: a folder or file of yours that is named mlp stands before our package 'mlp' on Python's "
        "path; rename it, or start from another folder"
    ) from None

if TYPE_CHECKING:
    from experiments.cli.notebook import run
    from experiments.pipeline import load

PROJECT.add(__name__)

__all__ = ["load", "run"]

_HOMES = {"load": "experiments.pipeline", "run": "experiments.cli.notebook"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
