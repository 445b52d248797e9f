"""The only training loop: a generator of snapshots. It does not measure, log, print or save."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlp.activations import ACTIVATIONS, Array
from mlp.losses import LOSSES, Labels, accuracy
from mlp.network import Layer, Network
from mlp.schedules import SCHEDULES
from mlp.streams import stream
from mlp.tape import Tape
from mlp.trace import LayerTrace
from mlp.update import UpdateRule

Measure = npt.NDArray[np.float64]
_Loss = Callable[[Array, Labels], tuple[Array, Array]]

IDENTITY = ACTIVATIONS["identity"]()  # what the output layer's trace has for an activation


@dataclass(frozen=True)
class Data:
    """x (n, n_in), y (n,) class indices, and the test set's."""

    x: Array
    y: Labels
    x_test: Array
    y_test: Labels

    def astype(self, dtype: npt.DTypeLike) -> Data:
        """The same in a run's number format."""
        x, x_test = (part.astype(dtype, copy=False) for part in (self.x, self.x_test))
        return Data(x, self.y, x_test, self.y_test)


@dataclass(frozen=True)
class Snapshot:
    """R runs after `step` updates; every array is (R,).

    loss and accuracy are those of the probe set (with trace="batch" of the training batch), the test ones
    those of the whole test set (with trace="batch" NaN but at the first and last step); lr is the rate of
    the update that follows. diverged_at is the first step with a loss that is not finite, −1 for none so
    far. `layers` yields traces, once: for some runs at a time (`trace.runs`, a slice of the stack) one a
    layer, from the output layer to the first.
    """

    step: int
    loss: Measure
    accuracy: Measure
    test_loss: Measure
    test_accuracy: Measure
    lr: Measure
    diverged_at: npt.NDArray[np.int64]
    layers: Iterator[LayerTrace]
    network: Network


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
    worker = _Worker(net, data, LOSSES.bind(loss), batch)
    observer = (_BatchObserver if trace == "batch" else _ProbeSetObserver)(worker, probe_set)
    indices = batches(len(data.x), batch, seeds)
    for step in range(steps + 1):
        watched = step in watch
        if step == steps and not watched:
            return
        grads = worker.gradient(step, next(indices), observer.tape if watched else None)
        if watched:
            observer.keep(grads)
        now = rate * rate.dtype.type(factor(step, steps))
        update = rule.step(worker.true_scale(grads), now)
        if watched:
            views = worker.views if update is grads else net.views(update)
            yield observer.snapshot(step, now[:, 0], views, ends=step in (0, steps))
        if step < steps:
            rule.apply(update)


class _Worker:
    """The gradient of a training batch, in buffers of its own."""

    def __init__(self, net: Network, data: Data, loss: _Loss, batch: int) -> None:
        self.net, self.data, self.loss, self.batch = net, data, loss, batch
        self.start = net.views(net.params.copy())
        self.tape = Tape(net, batch, lean=True)
        self.used = self.tape
        self.grads = np.zeros_like(net.params)
        self.views = net.views(self.grads)
        self.x = np.empty((net.runs, batch, net.sizes[0]), net.params.dtype)
        self.diverged_at = np.full(net.runs, -1)

    @np.errstate(all="ignore")  # a run that diverges goes on as NaN; the others must not hear of it
    def gradient(self, step: int, index: npt.NDArray[np.int64], tape: Tape | None) -> Array:
        """(R, P), scaled by the exponents of the tape it was taken on, for the examples index (R, B)."""
        self.used = tape or self.tape
        np.take(self.data.x, index, axis=0, out=self.x, mode="clip")
        self.y = self.data.y[index]
        self.logits = self.used.forward(self.x)
        self.value, d_logits = self.loss(self.logits, self.y)
        self.mark_diverged(self.value, step)
        self.used.gradients(d_logits, self.views)
        return self.grads

    def mark_diverged(self, value: Measure, step: int) -> None:
        """Remember the first step at which a run's loss (R,) is not finite."""
        self.diverged_at[~np.isfinite(value) & (self.diverged_at < 0)] = step

    def true_scale(self, grads: Array) -> Array:
        """The same gradients without their exponents, in place."""
        self.used.unscale(grads)
        return grads


BLOCK = 2**20  # bytes of one layer that a probe walks over at once: what stays in a core's own cache


class _ProbeSetObserver:
    """Traces on a fixed set of examples, by passes of their own over as many runs as the cache holds."""

    tape: Tape | None = None  # of the training batch: none, its update stays lean

    def __init__(self, worker: _Worker, probe_set: int) -> None:
        self.worker, self.net = worker, worker.net
        self.x, self.y = worker.data.x[None, :probe_set], worker.data.y[None, :probe_set]
        widest = self.x.shape[1] * max(self.net.sizes[1:]) * 8  # bytes: probes measure in float64
        count = max(1, BLOCK // widest)
        self.parts = [slice(r, min(r + count, self.net.runs)) for r in range(0, self.net.runs, count)]
        self.tapes = [Tape(self.net.part(runs), self.x.shape[1], lean=False) for runs in self.parts]

    def keep(self, grads: Array) -> None:
        """Nothing: the batch's gradients are not what is traced."""

    def snapshot(self, step: int, lr: Measure, update: tuple[Layer, ...], *, ends: bool) -> Snapshot:
        """Measure loss and accuracy now; the traces come as they are asked for."""
        measured = [self._measure(tape) for tape in self.tapes]
        numbers = [np.concatenate([m[i] for m in measured]) for i in range(4)]
        value, right, test_loss, test_accuracy = numbers
        self.worker.mark_diverged(value, step)
        layers = self._traces([m[4] for m in measured], update)
        at = self.worker.diverged_at.copy()
        return Snapshot(step, value, right, test_loss, test_accuracy, lr, at, layers, self.net)

    @np.errstate(all="ignore")
    def _measure(self, tape: Tape) -> tuple[Measure, Measure, Measure, Measure, Array]:
        logits = tape.forward(self.x)
        right = accuracy(logits, self.y)
        value, d_logits = self.worker.loss(logits, self.y)
        return value, right, *_test(self.worker, tape), d_logits

    def _traces(self, d_logits: Sequence[Array], update: tuple[Layer, ...]) -> Iterator[LayerTrace]:
        for runs, tape, d in zip(self.parts, self.tapes, d_logits, strict=True):
            grads = tape.net.views(np.zeros_like(tape.net.params))
            for index in tape.backward(d, grads):
                yield _trace(tape, runs, index, grads, self.worker.start, update)


class _BatchObserver:
    """Traces on the training batch itself, from the pass that the update comes from."""

    def __init__(self, worker: _Worker, probe_set: int) -> None:
        self.worker, self.net = worker, worker.net
        self.tape = Tape(self.net, worker.batch, lean=True, keep=True)
        self.kept = np.zeros_like(self.net.params)
        self.views = self.net.views(self.kept)
        self.seen: dict[int, LayerTrace] = {}

    def keep(self, grads: Array) -> None:
        """Set the gradients aside before the optimiser writes over them."""
        np.copyto(self.kept, grads)

    def snapshot(self, step: int, lr: Measure, update: tuple[Layer, ...], *, ends: bool) -> Snapshot:
        """Loss and accuracy of the batch; the test set's at both ends of the training only."""
        worker = self.worker
        never = np.full(self.net.runs, np.nan)
        test_loss, test_accuracy = _test(worker, self.tape) if ends else (never, never)
        layers = self._traces(update)
        right = accuracy(worker.logits, worker.y)
        at = worker.diverged_at.copy()
        return Snapshot(step, worker.value, right, test_loss, test_accuracy, lr, at, layers, self.net)


    def _traces(self, update: tuple[Layer, ...]) -> Iterator[LayerTrace]:
        """One a layer; of a hidden layer whose arrays are the same as last time, without looking them up."""
        same = self.tape.in_place is not None and update is self.worker.views
        for index in reversed(range(len(self.net.layers))):
            if same and index in self.seen:
                yield self.seen[index].renewed()
                continue
            trace = _trace(self.tape, slice(None), index, self.views, self.worker.start, update)
            if same and index < self.net.depth:
                self.seen[index] = trace
            yield trace


def _test(worker: _Worker, tape: Tape) -> tuple[Measure, Measure]:
    """(R,) loss and accuracy of the test set, normalised by the moments of the tape's last pass."""
    with np.errstate(all="ignore"):
        logits = tape.net.predict(worker.data.x_test, tape.moments)
        value, _ = worker.loss(logits, worker.data.y_test[None])
    return value, accuracy(logits, worker.data.y_test[None])


def _trace(
    tape: Tape,
    runs: slice,
    index: int,
    grads: tuple[Layer, ...],
    start: tuple[Layer, ...],
    update: tuple[Layer, ...],
) -> LayerTrace:
    """The trace of layer `index` (from 0) while the backward pass of these runs' tape stands at it."""
    net, delta = tape.net, tape.delta[index]
    x = tape.x[index]
    if len(x) != net.runs:
        x = np.broadcast_to(x, (net.runs, *x.shape[1:]))
    hidden = index < net.depth
    return LayerTrace(
        layer=index + 1,
        runs=runs,
        act=net.act if hidden else IDENTITY,
        x=x,
        z=tape.saved[index].z if hidden else tape.z[index],
        a=tape.saved[index].a if hidden else tape.z[index],
        passed=tape.slope[index] if hidden else np.ones_like(delta),
        scaled_delta=delta,
        scaled_dw=grads[index].w,
        scaled_db=grads[index].b,
        exponent=tape.exponent[index],
        w=net.layers[index].w,
        b=net.layers[index].b,
        w0=start[index].w[runs],
        step=update[index].w[runs],
        form=tape.in_place if hidden else IDENTITY.in_place,
        tape=tape,
    )
