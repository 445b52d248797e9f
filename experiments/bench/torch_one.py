"""PyTorch as a user writes it, one run after another."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.bench.workload import BELOW, LEAK, SLOPES, Array, Engine, Problem, Readings


def plain(problem: Problem) -> Engine:
    """Return the engine: nn.Sequential, forward hooks, `.item()` for every number, optim.SGD."""
    import torch

    nets = [_Plain(problem, r) for r in range(problem.case.runs)]
    batches = problem.indices()

    def run(steps: int) -> Readings:
        found = Readings.empty(steps, problem.case)
        for net in nets:
            net.begin(steps)
        for row in range(steps):
            for net, index in zip(nets, torch.from_numpy(next(batches)), strict=True):
                net.step(row, index)
        for r, net in enumerate(nets):
            for column, values in zip(vars(found).values(), net.log(), strict=True):
                column[..., r] = values
        return found

    def weights() -> list[Array]:
        layers = zip(*(net.linear for net in nets), strict=True)
        return [np.stack([one.weight.detach().numpy().T for one in same]) for same in layers]

    return Engine(run, weights)


def _activation(name: str) -> Any:
    from torch import nn

    kinds = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
    return nn.LeakyReLU(LEAK) if name == "leaky_relu" else kinds[name]()


class _Plain:
    def __init__(self, problem: Problem, r: int) -> None:
        import torch
        from torch import nn

        case = problem.case
        self.x, self.y = torch.from_numpy(problem.data.x), torch.from_numpy(problem.data.y)
        self.slope, self.threshold = SLOPES[case.activation], BELOW * case.max_slope
        self.linear, layers = [], []
        for w in problem.weights:
            linear = nn.Linear(*w.shape[1:], dtype=getattr(torch, case.dtype))
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(w[r].T))
                linear.bias.zero_()
            self.linear.append(linear)
            layers += [linear, _activation(case.activation)]
        self.net = nn.Sequential(*layers[:-1])
        self.prepare(case.lr)

    def prepare(self, lr: float) -> None:
        import torch

        self.dead: list[float] = []
        self.saturated: list[float] = []
        for act in list(self.net)[1::2]:
            act.register_forward_hook(self.hook)
        self.loss = torch.nn.CrossEntropyLoss()
        self.optimiser = torch.optim.SGD(self.net.parameters(), lr=lr)

    def hook(self, module: Any, given: Any, a: Any) -> None:
        slope = self.slope(a.detach())
        self.dead.append((slope == 0).all(dim=0).double().mean().item())
        self.saturated.append((slope < self.threshold).double().mean().item())

    def begin(self, steps: int) -> None:
        self.records: list[Any] = []

    def step(self, row: int, index: Any) -> None:
        self.dead, self.saturated = [], []
        self.optimiser.zero_grad()
        loss = self.loss(self.net(self.x[index]), self.y[index])
        loss.backward()
        norms = [linear.weight.grad.norm().item() for linear in self.linear]
        self.optimiser.step()
        self.records.append((loss.item(), norms, self.dead, self.saturated))

    def log(self) -> Any:
        return tuple(np.array(column) for column in zip(*self.records, strict=True))
