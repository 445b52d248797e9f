"""PyTorch as an expert would run many seeds: as stacked products."""

from __future__ import annotations

from typing import Any

from experiments.bench.workload import BELOW, LEAK, SLOPES, Array, Engine, Problem, Readings


def bmm(problem: Problem) -> Engine:
    """Return the engine with all runs as (R, batch, n) tensors.

    It uses baddbmm, autograd of the summed loss, one foreach update.
    """
    import torch

    w = [torch.from_numpy(first.copy()) for first in problem.weights]
    b = [torch.zeros(len(one), 1, one.shape[-1], dtype=one.dtype) for one in w]
    gradient = _by_bmm(problem, w, b)
    x, y = torch.from_numpy(problem.data.x), torch.from_numpy(problem.data.y)
    slope, threshold = SLOPES[problem.case.activation], BELOW * problem.case.max_slope
    batches = problem.indices()

    def run(steps: int) -> Readings:
        found = Readings.empty(steps, problem.case)
        log = {name: torch.from_numpy(array) for name, array in vars(found).items()}
        for row in range(steps):
            index = torch.from_numpy(next(batches))
            loss, outputs, grads = gradient(x[index], y[index])
            with torch.no_grad():
                slopes = slope(torch.stack(outputs))
                log["loss"][row] = loss
                log["dw_norm"][row] = torch.stack(
                    [torch.linalg.vector_norm(g, dim=(1, 2)) for g in grads[: len(w)]]
                )
                log["dead"][row] = (slopes == 0).all(dim=2).double().mean(dim=2)
                log["saturated"][row] = (slopes < threshold).double().mean(dim=(2, 3))
                torch._foreach_add_([*w, *b], list(grads), alpha=-problem.case.lr)
        return found

    def weights() -> list[Array]:
        return [one.detach().numpy().copy() for one in w]

    return Engine(run, weights)


def _function(name: str) -> Any:
    import torch
    from torch.nn.functional import leaky_relu

    kinds = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}
    return kinds.get(name, lambda z: leaky_relu(z, LEAK))


def _by_bmm(problem: Problem, w: list[Any], b: list[Any]) -> Any:
    import torch

    f, parameters = _function(problem.case.activation), [*w, *b]
    for parameter in parameters:
        parameter.requires_grad_()

    def gradient(x: Any, y: Any) -> Any:
        outputs, h = [], x
        for one, bias in zip(w[:-1], b[:-1], strict=True):
            h = f(torch.baddbmm(bias, h, one))
            outputs.append(h)
        logits = torch.baddbmm(b[-1], h, w[-1])
        each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
        loss = each.view(y.shape).mean(dim=1)
        return loss.detach(), [h.detach() for h in outputs], torch.autograd.grad(loss.sum(), parameters)

    return gradient
