"""The only training loop: a generator of snapshots. It does not measure, log, print or save."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlp.activations import Array
from mlp.losses import LOSSES
from mlp.network import Network
from mlp.observers import BatchObserver, ProbeSetObserver, Snapshot
from mlp.schedules import SCHEDULES
from mlp.streams import stream
from mlp.update import Update, UpdateRule
from mlp.worker import Data, Worker

__all__ = ["Data", "Snapshot", "batches", "train"]


def batches(n: int, batch: int, seeds: Sequence[int]) -> Iterator[npt.NDArray[np.int64]]:
    """Endless (R, batch) example indices: every run's own shuffle of all n, anew each epoch.

    The n mod batch examples left over at the end of an epoch sit that epoch out.
    """
    streams = {seed: stream(seed, "batches") for seed in seeds}
    while True:
        orders = {seed: rng.permutation(n) for seed, rng in streams.items()}
        order = np.stack([orders[seed] for seed in seeds])
        for start in range(0, n - batch + 1, batch):
            yield order[:, start : start + batch]


def train(
    net: Network,
    data: Data,
    *,
    seeds: Sequence[int],
    lr: Sequence[float],
    steps: int,
    batch: int,
    watch: Collection[int],
    loss: str = "softmax_cross_entropy",
    optimiser: str = "sgd",
    schedule: str = "constant",
    clip: float | None = None,
    weight_decay: float = 0.0,
    trace: Literal["probe_set", "batch"] = "probe_set",
    probe_set: int = 2048,
) -> Iterator[Snapshot]:
    """Train R networks in place for `steps` updates; yield a snapshot before the update at a watched step.

    The last step has no update; if it is watched, its traces hold the one that would come next. Texts are
    call-texts; lr and seeds are one a run. Traces are taken on the first `probe_set` training examples, or
    with trace="batch" on the batch that the update comes from.
    """
    data = data.astype(net.params.dtype)
    factor = SCHEDULES.bind(schedule)()
    rate = np.asarray(lr, net.params.dtype)[:, None]
    rule = UpdateRule(net, optimiser, clip, weight_decay)
    worker = Worker(net, data, LOSSES.bind(loss), batch)
    observer = (BatchObserver if trace == "batch" else ProbeSetObserver)(worker, probe_set)
    indices = batches(len(data.x), batch, seeds)
    for step in range(steps + 1):
        watched = step in watch
        if step == steps and not watched:
            return
        grads = worker.gradient(step, next(indices), *(observer.watches if watched else ()))
        now = rate * rate.dtype.type(factor(step, steps))
        update = Update(partial(_steps, worker, rule, now))
        if watched:
            yield observer.snapshot(step, now[:, 0], update, ends=step in (0, steps))
        if step < steps:
            rule.apply(update.steps(grads))


def _steps(worker: Worker, rule: UpdateRule, lr: Array, out: Array) -> Array:
    """(R, P) steps from the worker's gradients, written to out, which may be these."""
    return rule.step(worker.true_scale(out), lr, out)
