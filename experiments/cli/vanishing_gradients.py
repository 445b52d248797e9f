"""`vanishing_gradients`: the name under which pip installs the way in (pyproject.toml moves this file there).

``from vanishing_gradients import run, load`` is what ``from experiments import run, load`` is, and the
command ``vanishing-gradients`` starts here. A folder of a user's project may well be named `mlp` or
`experiments`, but hardly so: this module can therefore say where such a folder hides our package.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Any

# What a notebook needs, and where it lies.
HOMES = {"load": "experiments.pipeline", "run": "experiments.cli.notebook"}
OURS = {"experiments": "cli/entry.py", "mlp": "registry.py"}  # a file that each of our packages has


def main() -> int:
    """Do what the command line says, and return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it in silence until it can say so
    if message := shadowed():
        print(f"vanishing-gradients: {message}", file=sys.stderr)
        return 2
    from experiments.cli.entry import front

    return front()


def shadowed() -> str:
    """Return what is wrong where Python finds other packages under the names of ours; else ''."""
    from importlib.util import find_spec  # not above: until `main` runs, Ctrl-C ends in a traceback
    from pathlib import Path

    for name, file in OURS.items():
        spec = find_spec(name)
        places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
        if any((place / file).is_file() for place in places):
            continue
        if spec is None:
            return f"the package {name!r} is not installed whole; install vanishing-gradients again"
        at = places[0] if places else spec.origin
        return (
            f"{at} has the name of our package {name!r} and stands before it on Python's path: "
            "start from another folder, take its folder out of PYTHONPATH, or rename it"
        )
    return ""


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if message := shadowed():
        raise ImportError(message)
    return getattr(import_module(HOMES[name]), name)


if __name__ == "__main__":
    sys.exit(main())
