"""Parts of a user's own: Python files, as `--with my_parts.py` names them, and functions from Python."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from experiments.config.tree import ConfigError

Part = str | Path | Callable[..., Any]


def load_parts(parts: Iterable[Part]) -> None:
    """Run these files, whose decorators register parts, and register these functions.

    A file that is run again replaces what it had registered. It may import what lies beside it. A function
    that no decorator has registered is registered by what it returns (`_table_of`).
    Errors: ConfigError, with the file and the line.
    """
    for part in parts:
        if callable(part):
            _register(part)
        else:
            _load(Path(part).expanduser())


def _register(part: Callable[..., Any]) -> None:
    """Put a function into the table that it belongs to, unless a decorator has done so."""
    from experiments.config.kinds import TABLES

    name = getattr(part, "__name__", type(part).__name__)
    tables = [getattr(sys.modules.get(module), table, {}) for module, table in TABLES.values()]
    if any(found.get(name) is part for found in tables):
        return
    table = _table_of(part)
    if table is None:
        raise ConfigError([
            f"parts: {name} returns neither an activation, an initialiser, an optimiser nor a normalisation, "
            "and takes no LayerTrace as a probe does: put its table's decorator above it, as @SCHEDULES"
        ])  # fmt: skip
    table(part)


def _table_of(part: Callable[..., Any]) -> Any:
    """Return the table of a function by what it returns, or of a probe by what it takes; else None."""
    from mlp.activations import ACTIVATIONS, Activation
    from mlp.initialisers import INITIALISERS, Initialiser
    from mlp.norms import NORMS, Norm
    from mlp.optimisers import OPTIMISERS, Optimiser
    from mlp.probes import PROBES

    by_type = {Activation: ACTIVATIONS, Initialiser: INITIALISERS, Norm: NORMS, Optimiser: OPTIMISERS}
    taken = list(inspect.signature(part).parameters.values())
    needed = [p for p in taken if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    if needed:
        is_probe = len(needed) == 1 and "LayerTrace" in str(needed[0].annotation)
        return PROBES if is_probe else None
    try:
        made = part()
    except Exception as error:
        raise ConfigError([f"parts: {part.__name__}() fails: {said(error)}"]) from None
    return next((table for kind, table in by_type.items() if isinstance(made, kind)), None)


def _load(path: Path) -> None:
    if not path.is_file() or path.suffix != ".py":
        problem = "is not a Python file" if path.is_file() else "no such file"
        raise ConfigError([f"--with {path}: {problem}; give a .py file in which parts are registered"])
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    name = f"parts_of_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ConfigError([f"--with {path}: cannot be imported"])
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError([f"--with {path}{_line(error, path)}: {said(error)}"]) from None


def _line(error: Exception, path: Path) -> str:
    """Return the last line of the file that an error came through: ``, line 12``."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}" if error.lineno else ""
    file = str(path.resolve())
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f", line {lines[-1]}" if lines else ""


def said(error: Exception) -> str:
    """Return an error in one line, its type first where that is not plain from its text."""
    text = " ".join(str(error).split())
    return text if type(error).__name__ == "RegistryError" else f"{type(error).__name__}: {text}"
