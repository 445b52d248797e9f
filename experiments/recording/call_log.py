"""What the layers of a model saw since the last recorded step, gathered by hooks of any framework.

A model may be called several times for one update: for each batch that is accumulated, by an evaluation, or,
under a checkpoint, once without gradients. A module may be called several times in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
        self._seen: dict[int, list[str]] = {}  # by pass, the modules in the order in which they were called

    def next_pass(self) -> None:
        """Note that the model is called anew, with the next batch."""
        self._pass += 1

    def passed(self, name: str) -> None:
        """Note a call without gradients: a checkpoint makes it first, and repeats it in the backward pass."""
        self._seen.setdefault(self._pass, []).append(name)

    def call(self, name: str, module: Any, **arrays: Array | None) -> dict[str, Any]:
        """Note a call of a module with its x, z, w and b; return its dict, to which `delta` is added."""
        self.passed(name)
        self._calls.append((name, self._pass, module, dict(arrays)))
        return self._calls[-1][-1]

    def take(self, now: Callable[[Any], Arrays]) -> dict[Key, Arrays]:
        """Return the arrays since the last `take` by (name, call), as `Recorder.record` takes them.

        now(module) are its w, dw and db after the update: `step` is what it has added to w. A pass that no
        gradient came back to is left out. Errors: RecordingError where other updates lie between the calls.
        """
        trained = {number for _, number, _, call in self._calls if "delta" in call}
        place: dict[Key, int] = {}
        count: dict[tuple[str, int], int] = {}
        joined: dict[Key, list[dict[str, Any]]] = {}
        modules: dict[Key, Any] = {}
        for name, number, module, call in self._calls:
            if number in trained and not self._is_repeated(name, number, call):
                count[name, number] = which = count.get((name, number), 0) + 1
                joined.setdefault((name, which), []).append(call)
                modules[name, which] = module
                places = [i for i, seen in enumerate(self._seen[number]) if seen == name]
                place.setdefault((name, which), places[which - 1])
        self._calls, self._seen = [], {}
        in_order = sorted(joined, key=place.__getitem__)
        return {key: _joined(joined[key], now(modules[key])) for key in in_order}

    def _is_repeated(self, name: str, number: int, call: Mapping[str, Any]) -> bool:
        """Return whether a checkpoint has made a call again, which then gets no gradient of its own."""
        return "delta" not in call and any(
            (other, another) == (name, number)
            and "delta" in earlier
            and _same(earlier.get("x"), call.get("x"))
            for other, another, _, earlier in self._calls
        )


def _same(a: Array | None, b: Array | None) -> bool:
    """Return whether two arrays hold the same numbers; a NaN is like another, as where a network diverged."""
    return a is b or (a is not None and b is not None and np.array_equal(a, b, equal_nan=True))


def _joined(calls: list[dict[str, Any]], now: Arrays) -> Arrays:
    """Return the calls of one layer as one, the batches of a step one after another."""
    first = calls[0]
    if not all(_same(call["w"], first["w"]) for call in calls):
        raise RecordingError(CHANGED)
    found: Arrays = {name: first[name] for name in ("w", "b") if first.get(name) is not None}
    for name in ("x", "z", "delta"):
        parts = [call.get(name) for call in calls]
        found[name] = None if any(part is None for part in parts) else np.concatenate(parts)
    after = now.pop("w")
    return found | now | {"step": None if after is None else after - first["w"]}
