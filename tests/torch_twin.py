"""Trainings of ours beside PyTorch's own, in float64.

The networks, losses, optimisers and schedules are PyTorch's, put together as a user would; every gradient is
its autograd's. Without PyTorch the tests that import this are skipped, with the reason.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from small import data, network, shaken, watch

from mlp.network import Network
from mlp.train import Data, batches

torch = pytest.importorskip("torch", reason="parity with PyTorch is not tested: pip install -e '.[parity]'")
nn, optim = torch.nn, torch.optim
STEPS, BATCH = 5, 8
# Errors are roundings: 1e-16 each, a few hundred in a row, over five updates that may each double them.
CLOSE = 1e-12

ACTS = {
    "identity": nn.Identity, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU, "leaky_relu(slope=0.3)": lambda: nn.LeakyReLU(0.3), "elu": nn.ELU,
    "elu(alpha=2.0)": lambda: nn.ELU(2.0), "selu": nn.SELU, "gelu": nn.GELU, "silu": nn.SiLU,
    "softplus": lambda: nn.Softplus(threshold=1e9), "softsign": nn.Softsign, "mish": nn.Mish,
    "hard_sigmoid": lambda: _HardSigmoid(), "hard_tanh": nn.Hardtanh, "prelu": nn.PReLU,
}  # fmt: skip


class _HardSigmoid(nn.Module):
    """Of elementary operations, since the slope of nn.Hardsigmoid is a sixth in float32."""

    def forward(self, z):
        return torch.clamp(z / 6 + 0.5, 0, 1)


def one_hot(z, y):
    return nn.functional.one_hot(y, z.shape[-1]).to(z.dtype)


LOSS = {
    "softmax_cross_entropy": lambda z, y: nn.CrossEntropyLoss()(z, y),
    "sigmoid_cross_entropy": lambda z, y: nn.BCEWithLogitsLoss(reduction="sum")(z, one_hot(z, y)) / len(z),
    "mean_squared_error": lambda z, y: nn.MSELoss()(z, one_hot(z, y)),
    "mean_squared_error(output=sigmoid)": lambda z, y: nn.MSELoss()(torch.sigmoid(z), one_hot(z, y)),
}
# The eps of the adaptive rules is large, so that a gradient of mere rounding does not make a whole step.
OPTIMISER = {
    "sgd": lambda p, lr: optim.SGD(p, lr),
    "momentum": lambda p, lr: optim.SGD(p, lr, momentum=0.9),
    "nesterov(beta=0.8)": lambda p, lr: optim.SGD(p, lr, momentum=0.8, nesterov=True),
    "rmsprop(eps=0.001)": lambda p, lr: optim.RMSprop(p, lr, alpha=0.99, eps=1e-3),
    "adam(eps=0.001)": lambda p, lr: optim.Adam(p, lr, eps=1e-3),
    "adam(beta1=0.5, beta2=0.9, eps=0.01)": lambda p, lr: optim.Adam(p, lr, betas=(0.5, 0.9), eps=1e-2),
    "adamw(eps=0.001)": lambda p, lr: optim.AdamW(p, lr, eps=1e-3),
}
SCHEDULE = {
    "constant": lambda o: optim.lr_scheduler.ConstantLR(o, factor=1.0),
    "step(every=2, factor=0.5)": lambda o: optim.lr_scheduler.StepLR(o, 2, 0.5),
    "cosine": lambda o: optim.lr_scheduler.CosineAnnealingLR(o, STEPS),
    "cosine(floor=0.1)": lambda o: optim.lr_scheduler.LambdaLR(
        o, lambda t: 0.1 + 0.9 * (1 + np.cos(np.pi * t / STEPS)) / 2
    ),
    "shock(at=2, factor=3.0)": lambda o: optim.lr_scheduler.LambdaLR(o, lambda t: 3.0 if t == 2 else 1.0),
}
NORM = {
    "none": lambda n: nn.Identity(),
    "batch": lambda n: nn.BatchNorm1d(n),
    "batch(eps=0.001)": lambda n: nn.BatchNorm1d(n, eps=1e-3),
    "layer": lambda n: nn.LayerNorm(n),
}


@dataclass(frozen=True)
class Case:
    act: str = "tanh"
    init: str = "xavier_normal"
    loss: str = "softmax_cross_entropy"
    optimiser: str = "sgd"
    schedule: str = "constant"
    norm: str = "none"
    residual: float = 0.0
    clip: float | None = None
    weight_decay: float = 0.0
    layer_lr: float = 1.0
    dropout: float = 0.0
    depth: int = 3
    width: int = 6
    seed: int = 0


class Twin(nn.Module):
    """Run r of a network of ours, as PyTorch has it."""

    def __init__(self, net: Network, r: int, case: Case) -> None:
        super().__init__()
        self.residual, self.masks = net.residual, []
        self.act = nn.ModuleList(ACTS[case.act]() for _ in range(net.depth))
        self.linear = nn.ModuleList(nn.Linear(*p.w.shape[1:]) for p in net.layers)
        self.norm = nn.ModuleList(NORM[case.norm](n) for n in net.sizes[1:-1])
        self.double()
        with torch.no_grad():
            for values, own in zip(self.each(), ours(net, net.params, r), strict=True):
                values.copy_(torch.from_numpy(np.ascontiguousarray(own)))

    def each(self):
        """Parameters in our order: of each layer w and b, gain and shift, and what its activation learns."""
        for index in range(len(self.linear)):
            yield from self.of_layer(index)

    def of_layer(self, index):
        modules = [self.linear[index]]
        if index < len(self.norm):
            modules += [self.norm[index], self.act[index]]
        return [values for module in modules for values in module.parameters()]

    def forward(self, x):
        self.z = []
        for index, linear in enumerate(self.linear):
            z = linear(x) if index == len(self.norm) else self.norm[index](linear(x))
            self.z.append(z)
            if index == len(self.norm):
                return z
            a = self.act[index](z) * (self.masks[index] if self.masks else 1)
            x = x + self.residual * a if self.residual and index else a
        raise AssertionError


def ours(net: Network, flat, r):
    """A run's row of a flat block in the twin's order, weights transposed."""
    for p in net.views(flat):
        yield from (p.w[r].T, p.b[r, 0])
        if p.gain is not None:
            yield from (p.gain[r, 0], p.shift[r, 0])
        if p.learnt is not None:
            yield p.learnt[r, 0]


def is_noise(case, number):
    """Whether a parameter is a bias under batch normalisation, whose gradient is rounding alone."""
    of_layer = 4 + (case.act == "prelu")
    return case.norm.startswith("batch") and number % of_layer == 1 and number < of_layer * case.depth


def clip_as_we_do(parameters, most):
    """Scale all gradients by min(1, most/norm)."""
    norm = torch.sqrt(sum((p.grad**2).sum() for p in parameters))
    for p in parameters:
        p.grad *= min(1.0, float(most / norm))


def train_twin(twin: Twin, case: Case, sample: Data, indices, lr, clip=clip_as_we_do, masks=None):
    """Yield the parameters after each update, and at the end of each pass what the twin has seen."""
    groups = [
        {"params": [p], "weight_decay": case.weight_decay * (p is linear.weight),
         "lr": lr * case.layer_lr ** (case.depth - index)}
        for index, linear in enumerate(twin.linear)
        for p in twin.of_layer(index)
    ]  # fmt: skip
    rule = OPTIMISER[case.optimiser](groups, lr)
    schedule = SCHEDULE[case.schedule](rule)
    for index, twin.masks in zip(indices, masks or [[]] * len(indices), strict=True):
        rule.zero_grad()
        z = twin(torch.from_numpy(sample.x[index]))
        for each in twin.z:
            each.retain_grad()
        loss = LOSS[case.loss](z, torch.from_numpy(sample.y[index]))
        loss.backward()
        seen = loss.item(), [each.grad.numpy().copy() for each in twin.z]
        if case.clip is not None:
            clip(list(twin.parameters()), case.clip)
        rule.step()
        schedule.step()
        yield seen, [p.detach().numpy().copy() for p in twin.each()]


def start(case: Case):
    """Two networks of ours, their data, and their batches, (STEPS, 2, BATCH)."""
    rng = np.random.default_rng([case.seed, 21])
    sample, seeds = data(rng, n=20), [case.seed, case.seed + 500]
    net = shaken(
        network(case.act, case.depth, case.width, seeds=seeds, init=case.init, norm=case.norm,
                residual=case.residual), rng
    )  # fmt: skip
    stream = batches(20, BATCH, seeds)
    return net, sample, np.array([next(stream) for _ in range(STEPS)])


def away(got, expected):
    """By what share of its largest entry, since a small entry is a difference of large ones."""
    return abs(got - expected).max(initial=0) / max(abs(expected).max(initial=0), 1e-3)


def near(got, expected, what, close=CLOSE):
    assert away(got, expected) <= close, (what, away(got, expected))


def check(case: Case, clip=clip_as_we_do, close=CLOSE) -> None:
    """Compare loss, deltas and parameters of two runs, at every step of a training, with the twins'."""
    net, sample, indices = start(case)
    rates, seeds = [0.05, 0.02], [case.seed, case.seed + 500]
    twins = [
        list(train_twin(Twin(net, r, case), case, sample, indices[:, r], rates[r], clip)) for r in range(2)
    ]
    seen = watch(
        net, sample, seeds=seeds, steps=STEPS, lr=rates, batch=BATCH, trace="batch", loss=case.loss,
        clip=case.clip, optimiser=case.optimiser, schedule=case.schedule, weight_decay=case.weight_decay,
        layer_lr=case.layer_lr,
    )  # fmt: skip
    for r, steps in enumerate(twins):
        for t, ((loss, deltas), params) in enumerate(steps):
            near(seen[t].columns["loss"][r], np.array(loss), (t, "loss"), close)
            for index, delta in enumerate(deltas):
                near(seen[t].layers[index + 1]["delta"][r], delta, (t, "delta", index + 1), close)
            for number, (got, expected) in enumerate(
                zip(ours(net, seen[t + 1].params, r), params, strict=True)
            ):
                if not is_noise(case, number):
                    near(got, expected, (t, "parameter", number), close)
