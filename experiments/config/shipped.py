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
    """Return the config that a path, or a bare name such as ``smoke``, means; else the path as it is.

    A file where the user stands comes first, then ``configs/`` there, then the configs that are shipped.
    """
    is_name = not path.suffix and len(path.parts) == 1
    ways = [path, Path(f"{path}.yaml"), Path("configs", f"{path}.yaml")] if is_name else [path]
    try:
        here = (way for way in ways if way.exists() or way.is_symlink())
        return next(here, None) or _shipped(ways[-1]) or path
    except (OSError, ValueError):  # a name that no file can have; whoever opens it says so
        return path


def _shipped(path: Path) -> Path | None:
    """Return the shipped config that a path such as ``configs/smoke.yaml`` means; else None."""
    if path.is_absolute() or path.suffix not in (".yaml", ".yml") or ".." in path.parts:
        return None
    parts = path.parts[1:] if path.parts[:1] == ("configs",) else path.parts
    there = shipped_configs().joinpath(*parts)
    return there if there.is_file() else None
