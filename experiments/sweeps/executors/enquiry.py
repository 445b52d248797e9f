"""What a process has: versions, the project and data. A Dask worker is asked this before it gets any work.

The source of this file is sent to the worker, because one that lacks the project cannot import it. It is
therefore complete in itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def facts(datasets: Iterable[str]) -> dict[str, Any]:
    """Return the versions and the fingerprints of these data sets; "fault" says what this process lacks."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, Any] = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in ("numpy", "scipy", "scikit-learn", "vanishing-gradients"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    try:
        from experiments.datasets import fingerprint
        from experiments.storage.identity import SCHEMA

        found["version of the numbers"] = SCHEMA
    except Exception as error:
        return found | {"fault": f"the project is not there or cannot be imported ({error})"}
    found["data"] = {}
    for text in datasets:
        try:
            found["data"][text] = fingerprint(text)
        except Exception as error:
            return found | {"fault": f"the data set {text} is not there ({error})"}
    return found


def question(source: str, datasets: Iterable[str]) -> str:
    """Return the expression that evaluates `facts` where this file, whose text is `source`, is not."""
    return f"(lambda space: (exec({source!r}, space), space['facts']({list(datasets)!r}))[1])({{}})"


def difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    """Return what is other in the process with the facts `there` than in that with those `here`; else ''."""
    if there.get("fault"):
        return str(there["fault"])
    for name, ours in here.items():
        theirs = there.get(name)
        if name != "data" and ours and theirs and theirs != ours:
            return f"{name} {theirs} there, {ours} here"
    changed = [text for text, ours in here["data"].items() if there["data"].get(text) != ours]
    return f"other data there: {', '.join(changed)}" if changed else ""
