"""scikit-learn's MLPClassifier by partial_fit: it shows no gradients, so no records are kept."""

from __future__ import annotations

import numpy as np

from experiments.bench.workload import CLASSES, Array, Engine, Problem

NAMES = {"sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}


def engine(problem: Problem) -> Engine:
    """Return the engine, which trains the runs one after another."""
    from sklearn.neural_network import MLPClassifier

    case, x, y = problem.case, problem.data.x, problem.data.y
    nets = []
    for r in range(case.runs):
        net = MLPClassifier(
            (case.shape.width,) * case.shape.depth, activation=NAMES[case.activation], solver="sgd",
            alpha=0, batch_size=case.batch, learning_rate_init=case.lr, momentum=0, nesterovs_momentum=False,
        )  # fmt: skip
        net.partial_fit(x[: case.batch], y[: case.batch], classes=np.arange(CLASSES))
        for w, b, first in zip(net.coefs_, net.intercepts_, problem.weights, strict=True):
            w[:], b[:] = first[r], 0
        nets.append(net)
    batches = problem.indices()

    def run(steps: int) -> None:
        for _ in range(steps):
            for net, index in zip(nets, next(batches), strict=True):
                net.partial_fit(x[index], y[index])

    def weights() -> list[Array]:
        return [np.stack(same) for same in zip(*(net.coefs_ for net in nets), strict=True)]

    return Engine(run, weights)
