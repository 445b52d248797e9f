"""Where the configs that come with this program are: in the checkout, or in the installed package."""

from __future__ import annotations

from pathlib import Path

PACKAGED = "shipped_configs"  # the folder of `experiments` that a wheel puts them in: see pyproject.toml


def shipped_configs() -> Path:
    """Return the folder of the configs that come with this program."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / PACKAGED
    return packaged if packaged.is_dir() else package.parent / "configs"


def found_config(path: Path) -> Path:
    """Return the shipped config that a path such as ``configs/smoke.yaml`` means where there is no such file.

    A file where the user stands comes first; a path of which nothing is shipped is returned as it is.
    """
    if path.is_absolute() or path.suffix not in (".yaml", ".yml") or ".." in path.parts:
        return path
    try:
        if path.exists() or path.is_symlink():
            return path
        parts = path.parts[1:] if path.parts[:1] == ("configs",) else path.parts
        there = shipped_configs().joinpath(*parts)
        return there if there.is_file() else path
    except (OSError, ValueError):  # a name that no file can have; whoever opens it says so
        return path
