"""A network as NumPy tutorials write it: one run, a fresh array for every result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from experiments.bench.workload import BELOW, LEAK, SLOPES, Array, Engine, Problem, Readings

FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(0, z),
    "leaky_relu": lambda z: np.where(z > 0, z, LEAK * z),
}


def engine(problem: Problem) -> Engine:
    """Return the engine, which trains the runs one after another."""
    nets = [_Net(problem, r) for r in range(problem.case.runs)]
    batches = problem.indices()

    def run(steps: int) -> Readings:
        found = Readings.empty(steps, problem.case)
        for row in range(steps):
            for r, (net, index) in enumerate(zip(nets, next(batches), strict=True)):
                loss, norms, dead, saturated = net.step(index)
                found.loss[row, r], found.dw_norm[row, :, r] = loss, norms
                found.dead[row, :, r], found.saturated[row, :, r] = dead, saturated
        return found

    def weights() -> list[Array]:
        return [np.stack(same) for same in zip(*(net.w for net in nets), strict=True)]

    return Engine(run, weights)


class _Net:
    def __init__(self, problem: Problem, r: int) -> None:
        case = problem.case
        self.w = [w[r].copy() for w in problem.weights]
        self.b = [np.zeros(w.shape[1], w.dtype) for w in self.w]
        self.f, self.slope = FUNCTIONS[case.activation], SLOPES[case.activation]
        self.lr, self.threshold = case.lr, BELOW * case.max_slope
        self.x, self.y = problem.data.x, problem.data.y

    def step(self, index: Array) -> tuple[float, list[float], list[float], list[float]]:
        """Make one step: forward pass, records, backward pass, update."""
        y, rows = self.y[index], np.arange(len(index))
        outputs = [self.x[index]]
        for w, b in zip(self.w[:-1], self.b[:-1], strict=True):
            outputs.append(self.f(outputs[-1] @ w + b))
        logits = outputs[-1] @ self.w[-1] + self.b[-1]
        shifted = logits - logits.max(axis=1, keepdims=True)
        p = np.exp(shifted)
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[rows, y]).mean()
        slopes = [self.slope(a) for a in outputs[1:]]
        dead = [np.all(slope == 0, axis=0).mean() for slope in slopes]
        saturated = [(slope < self.threshold).mean() for slope in slopes]
        p[rows, y] -= 1
        return loss, self._backward(p / len(index), outputs, slopes), dead, saturated

    def _backward(self, delta: Array, outputs: list[Array], slopes: list[Array]) -> list[float]:
        norms = []
        for layer in reversed(range(len(self.w))):
            dw, db = outputs[layer].T @ delta, delta.sum(axis=0)
            if layer:
                delta = (delta @ self.w[layer].T) * slopes[layer - 1]
            norms.append(float(np.linalg.norm(dw)))
            self.w[layer] -= self.lr * dw
            self.b[layer] -= self.lr * db
        return norms[::-1]
