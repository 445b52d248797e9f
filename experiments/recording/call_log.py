"""What the layers of a model saw since the last recorded step, gathered by hooks of any framework.

A model may be called several times for one update: for each batch that is accumulated, by an evaluation, or,
under a checkpoint, once without gradients. A module may be called several times in one pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.recording.arrays import RecordingError
from mlp.activations import Array

Arrays = dict[str, Array | None]
Key = tuple[str, int]  # a module's name, and which of its calls in one pass

CHANGED = (
    "the weights have changed since the last take(): set hooks.active = False where a step is not recorded"
)


class CallLog:
    """The calls of modules, each a dict of arrays with the examples on the first axis, until `take`."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, int, Any, dict[str, Any]]] = []
        self._pass = 0

    def next_pass(self) -> None:
        """Note that the model is called anew, with the next batch."""
        self._pass += 1

    def call(self, name: str, module: Any, **arrays: Array | None) -> dict[str, Any]:
        """Note a call of a module with its x, z, w and b; return its dict, to which `delta` is added."""
        self._calls.append((name, self._pass, module, dict(arrays)))
        return self._calls[-1][-1]

    def take(self, now: Callable[[Any], Arrays]) -> dict[Key, Arrays]:
        """Return the arrays since the last `take` by (name, call), as `Recorder.record` takes them.

        now(module) are its w, dw and db after the update: `step` is what it has added to w. A pass that no
        gradient came back to is left out. Errors: RecordingError where other updates lie between the calls.
        """
        trained = {number for _, number, _, call in self._calls if "delta" in call}
        count: dict[tuple[str, int], int] = {}
        joined: dict[Key, list[dict[str, Any]]] = {}
        modules: dict[Key, Any] = {}
        for name, number, module, call in self._calls:
            if number in trained:
                count[name, number] = which = count.get((name, number), 0) + 1
                joined.setdefault((name, which), []).append(call)
                modules[name, which] = module
        self._calls = []
        return {key: _joined(calls, now(modules[key])) for key, calls in joined.items()}


def _joined(calls: list[dict[str, Any]], now: Arrays) -> Arrays:
    """Return the calls of one layer as one, the batches of a step one after another."""
    first = calls[0]
    if any((call["w"] != first["w"]).any() for call in calls):
        raise RecordingError(CHANGED)
    found: Arrays = {name: first[name] for name in ("w", "b") if first.get(name) is not None}
    for name in ("x", "z", "delta"):
        parts = [call.get(name) for call in calls]
        found[name] = None if any(part is None for part in parts) else np.concatenate(parts)
    after = now.pop("w")
    return found | now | {"step": None if after is None else after - first["w"]}
