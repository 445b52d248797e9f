"""The question answered by PyTorch as a user writes it: modules, autograd, one network after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from experiments.bench.answer_task import Group, Look, joined, main
from experiments.bench.workload import BELOW, LEAK, SLOPES

MODULES = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "leaky_relu": lambda: nn.LeakyReLU(LEAK)}


class Net(nn.Module):
    """A network whose forward pass also gives z and a of every layer."""

    def __init__(self, group: Group, r: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for weights in (each[r] for each in group.weights):
            layer = nn.Linear(*weights.shape, dtype=getattr(torch, group.task.dtype))
            with torch.no_grad():
                layer.weight.copy_(torch.as_tensor(weights.T))
                layer.bias.zero_()
            self.layers.append(layer)
        self.act = MODULES[group.activation]()

    def forward(self, x: Any) -> tuple[list[Any], list[Any]]:
        """Return z and a by layer; of the last, a is z."""
        z, a = [], []
        for layer in self.layers[:-1]:
            z.append(layer(x))
            x = self.act(z[-1])
            a.append(x)
        z.append(self.layers[-1](x))
        return z, [*a, z[-1]]


def train(group: Group) -> Iterator[Look]:
    """Train the runs of a group one after another; return what was measured of all of them, by step."""
    return joined([_looks(group, r) for r in range(len(group.batches))])


def _looks(group: Group, r: int) -> list[tuple[int, dict[str, float], dict[str, Any]]]:
    """Train one run; return (step, its row of `steps`, its columns of `layers`) of each watched step."""
    task, data, net = group.task, group.data, Net(group, r)
    x, y = torch.as_tensor(data.x), torch.as_tensor(data.y)
    batches = torch.as_tensor(group.batches[r])
    first = [layer.weight.detach().clone() for layer in net.layers]
    optimiser, found = torch.optim.SGD(net.parameters(), lr=task.lr), []
    for step in range(task.steps + 1):
        if step in task.watched:
            found.append((step, *_measured(group, net, first, x, y)))
        if step < task.steps:
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x[batches[step]])[0][-1], y[batches[step]]).backward()
            optimiser.step()
    return found


def _measured(
    group: Group, net: Net, first: list[Any], x: Any, y: Any
) -> tuple[dict[str, float], dict[str, Any]]:
    """Measure one network on the first examples of the training set, and on the test set."""
    count = group.task.probe_set
    z, a = net(x[:count])
    for each in z:
        each.retain_grad()
    loss = nn.functional.cross_entropy(z[-1], y[:count])
    net.zero_grad()
    loss.backward()
    with torch.no_grad():
        tested, y_test = net(torch.as_tensor(group.data.x_test))[0][-1], torch.as_tensor(group.data.y_test)
        slopes = [SLOPES[group.activation](each) for each in a[:-1]] + [torch.ones_like(z[-1])]
        largest = [0.25 if group.activation == "sigmoid" else 1.0] * group.depth + [1.0]
        weights = [layer.weight for layer in net.layers]
        columns = {
            "delta_norm": [each.grad.norm() for each in z],
            "dw_norm": [each.grad.norm() for each in weights],
            "db_norm": [layer.bias.grad.norm() for layer in net.layers],
            "w_norm": [each.norm() for each in weights],
            "z_mean": [each.mean() for each in z],
            "z_var": [each.var(correction=0) for each in z],
            "a_mean": [each.mean() for each in a],
            "a_var": [each.var(correction=0) for each in a],
            "dead_fraction": [(s == 0).all(dim=0).double().mean() for s in slopes],
            "saturated_fraction": [
                (s < BELOW * m).double().mean() for s, m in zip(slopes, largest, strict=True)
            ],
            "displacement": [(n - o).norm() / o.norm() for n, o in zip(weights, first, strict=True)],
            "zero_fraction": [(each.grad == 0).double().mean() for each in weights],
        }
        steps = {
            "loss": loss.item(),
            "accuracy": (z[-1].argmax(dim=1) == y[:count]).double().mean().item(),
            "test_loss": nn.functional.cross_entropy(tested, y_test).item(),
            "test_accuracy": (tested.argmax(dim=1) == y_test).double().mean().item(),
        }
    return steps, {name: torch.stack(values).double().numpy() for name, values in columns.items()}


if __name__ == "__main__":
    main(train)
