"""The question answered by NumPy as a tutorial writes it: one network after another, lists of arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from experiments.bench.answer_task import Array, Group, Look, joined, main
from experiments.bench.loops import FUNCTIONS
from experiments.bench.workload import BELOW, SLOPES


def train(group: Group) -> Iterator[Look]:
    """Train the runs of a group one after another; return what was measured of all of them, by step."""
    return joined([_looks(group, r) for r in range(len(group.batches))])


def _looks(group: Group, r: int) -> list[tuple[int, dict[str, float], dict[str, Array]]]:
    """Train one run; return (step, its row of `steps`, its columns of `layers`) of each watched step."""
    task, data = group.task, group.data
    w = [weights[r].copy() for weights in group.weights]
    b = [np.zeros(weights.shape[1], weights.dtype) for weights in w]
    first, found = [weights.copy() for weights in w], []
    for step in range(task.steps + 1):
        if step in task.watched:
            found.append((step, *_measured(group, w, b, first)))
        if step < task.steps:
            batch = group.batches[r, step]
            _, dw, db, *_ = _passes(group.activation, w, b, data.x[batch], data.y[batch])
            for layer in range(len(w)):
                w[layer] -= task.lr * dw[layer]
                b[layer] -= task.lr * db[layer]
    return found


def _forward(activation: str, w: list[Array], b: list[Array], x: Array) -> tuple[list[Array], list[Array]]:
    zs, outputs = [], [x]
    for weights, biases in zip(w[:-1], b[:-1], strict=True):
        zs.append(outputs[-1] @ weights + biases)
        outputs.append(FUNCTIONS[activation](zs[-1]))
    zs.append(outputs[-1] @ w[-1] + b[-1])
    return zs, outputs


def _loss(logits: Array, y: Array) -> tuple[float, float, Array]:
    """Return the mean loss, the share of right answers and the probabilities."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return float(-np.log(p[np.arange(len(y)), y]).mean()), float((logits.argmax(axis=1) == y).mean()), p


def _passes(activation: str, w: list[Array], b: list[Array], x: Array, y: Array) -> Any:
    """Return loss and accuracy, dw, db, z, a, the deltas and the slopes by layer."""
    zs, outputs = _forward(activation, w, b, x)
    loss, accuracy, delta = _loss(zs[-1], y)
    delta[np.arange(len(y)), y] -= 1
    delta /= len(y)
    slopes = [SLOPES[activation](a) for a in outputs[1:]]
    dw, db, deltas = [], [], [delta]
    for layer in reversed(range(len(w))):
        dw.append(outputs[layer].T @ deltas[-1])
        db.append(deltas[-1].sum(axis=0))
        if layer:
            deltas.append((deltas[-1] @ w[layer].T) * slopes[layer - 1])
    slopes.append(np.ones_like(zs[-1]))
    return (loss, accuracy), dw[::-1], db[::-1], zs, [*outputs[1:], zs[-1]], deltas[::-1], slopes


def _measured(
    group: Group, w: list[Array], b: list[Array], first: list[Array]
) -> tuple[dict[str, float], dict[str, Array]]:
    """Measure one network on the first examples of the training set, and on the test set."""
    data, count = group.data, group.task.probe_set
    (loss, accuracy), dw, db, z, a, delta, slopes = _passes(
        group.activation, w, b, data.x[:count], data.y[:count]
    )
    test_loss, test_accuracy, _ = _loss(_forward(group.activation, w, b, data.x_test)[0][-1], data.y_test)
    largest = [0.25 if group.activation == "sigmoid" else 1.0] * group.depth + [1.0]
    columns = {
        "delta_norm": [np.linalg.norm(each) for each in delta],
        "dw_norm": [np.linalg.norm(each) for each in dw],
        "db_norm": [np.linalg.norm(each) for each in db],
        "w_norm": [np.linalg.norm(each) for each in w],
        "z_mean": [each.mean() for each in z],
        "z_var": [each.var() for each in z],
        "a_mean": [each.mean() for each in a],
        "a_var": [each.var() for each in a],
        "dead_fraction": [(each == 0).all(axis=0).mean() for each in slopes],
        "saturated_fraction": [(s < BELOW * m).mean() for s, m in zip(slopes, largest, strict=True)],
        "displacement": [np.linalg.norm(n - o) / np.linalg.norm(o) for n, o in zip(w, first, strict=True)],
        "zero_fraction": [(each == 0).mean() for each in dw],
    }
    steps = {"loss": loss, "accuracy": accuracy, "test_loss": test_loss, "test_accuracy": test_accuracy}
    return steps, {name: np.array(values, float) for name, values in columns.items()}


if __name__ == "__main__":
    main(train)
