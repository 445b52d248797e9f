"""Python files with parts of a user's own, as `--with my_parts.py` names them."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from experiments.config.tree import ConfigError


def load_parts(paths: Iterable[str | Path]) -> None:
    """Run these files, whose decorators register parts; errors: ConfigError, with the file and the line.

    A file that is run again replaces what it had registered. It may import what lies beside it.
    """
    for path in map(Path, paths):
        _load(path.expanduser())


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
