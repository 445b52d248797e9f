"""The only training loop: a generator of snapshots. It does not measure, log, print or save."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlp.activations import ACTIVATIONS, Array
from mlp.dropout import Dropout
from mlp.forward_exponents import can_follow, is_tiny
from mlp.losses import LOSSES, Labels, Loss, accuracy, are_numbers, evaluate
from mlp.network import Layer, Network
from mlp.numbers import Exponents, Measure
from mlp.schedules import SCHEDULES
from mlp.streams import stream
from mlp.tape import STRIDE, Origin, Tape
from mlp.trace import LayerTrace
from mlp.update import UpdateRule

IDENTITY = ACTIVATIONS["identity"]()  # the activation in an output layer's trace
BLOCK = 2**20  # bytes of one array that a probe walks over at once: what stays in a core's own cache


@dataclass(frozen=True)
class Data:
    """Training examples x (n, n_in) with class indices, or numbers to predict, y (n,); the test set's."""

    x: Array
    y: Labels
    x_test: Array
    y_test: Labels

    def astype(self, dtype: npt.DTypeLike) -> Data:
        """Return the same data in a run's number format; class indices stay as they are."""
        x, x_test = (part.astype(dtype, copy=False) for part in (self.x, self.x_test))
        if not are_numbers(self.y):
            return Data(x, self.y, x_test, self.y_test)
        y, y_test = (part.astype(dtype, copy=False) for part in (self.y, self.y_test))
        return Data(x, y, x_test, y_test)


@dataclass(frozen=True)
class Snapshot:
    """R runs after `step` updates; every array is (R,).

    loss and accuracy are those of the probe set (with trace="batch" of the training batch), test_loss and
    test_accuracy those of the whole test set (with trace="batch" NaN but at the first and the last step). lr
    is the rate of the update that follows, NaN after the last. diverged_at is the first step whose loss is
    not finite, −1 for none so far. `layers` yields traces, once: one per layer from the output layer to the
    first, for some runs of the stack at a time (`trace.runs`).
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
    """Yield (R, batch) example indices without end: each run's own shuffle of all n, anew in each epoch.

    The n mod batch examples left over at the end of an epoch sit that epoch out.
    Errors: ValueError for a batch of more than n.
    """
    if batch > n:
        raise ValueError(f"a batch of {batch} is asked for and there are {n} examples")
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
    layer_lr: float = 1.0,
    dropout: float = 0.0,
    trace: Literal["probe_set", "batch"] = "probe_set",
    probe_set: int = 2048,
    start: int = 0,
) -> Iterator[Snapshot]:
    """Train R networks in place for `steps` updates; yield a snapshot before the update at a watched step.

    No update follows the last step: there, `lr` and the traces' `step` are NaN. Texts are call-texts; there
    is one lr and one seed per run. Traces are taken on the first `probe_set` training examples, or with
    trace="batch" on the batch that the update comes from.

    Layer l learns at the rate lr·layer_lr^(depth + 1 − l). dropout is the share of hidden outputs that each
    update leaves out. The whole network is measured, so that with dropout trace="batch" is a ValueError.

    With `start` the networks are taken to be at that step already: schedule and batches go on from there. An
    optimiser that remembers begins anew, and the traces' w0 are the weights at `start`.
    """
    data = data.astype(net.params.dtype)
    factor = SCHEDULES.bind(schedule)()
    rate = np.asarray(lr, net.params.dtype)[:, None]
    if dropout and trace == "batch":
        raise ValueError("dropout: traces on the batch would be of a network with units left out")
    rule = UpdateRule(net, optimiser, clip, weight_decay, layer_lr)
    gradient = _Gradient(net, data, LOSSES.bind(loss), batch, Dropout(net, batch, seeds, dropout))
    observer = (_BatchObserver if trace == "batch" else _ProbeSetObserver)(gradient, probe_set)
    indices = islice(batches(len(data.x), batch, seeds), start, None)
    for step in range(start, steps + 1):
        watched = step in watch
        if step == steps and not watched:
            return
        gradient.take(step, next(indices), observer.tape if watched else None)
        if step == steps:
            none = _Update(np.full_like(gradient.grads, np.nan))
            yield observer.snapshot(step, np.full(net.runs, np.nan), none, ends=True)
            return
        now = rate * rate.dtype.type(factor(step, steps))
        out = observer.spare if watched else gradient.grads
        update = gradient.update(rule, now, out, watched=watched)
        if watched:
            yield observer.snapshot(step, now[:, 0], update, ends=step == 0)
        rule.apply(update.steps)


@dataclass(frozen=True)
class _Update:
    """The steps (R, P) that are added, and in float64 what is too small to be added but is measured."""

    steps: Array
    faint: Array | None = None


class _Gradient:
    """The gradients that R runs train by, each on a batch of its own; the buffers are allocated once."""

    def __init__(self, net: Network, data: Data, loss: Loss, batch: int, dropout: Dropout) -> None:
        self.net, self.data, self.loss, self.batch, self.dropout = net, data, loss, batch, dropout
        self.start = net.with_params(net.params.copy())
        self.tape = Tape(net, batch, exact=False)
        self.exact_tape: Tape | None = None  # for signals that become tiny
        self.can_follow = can_follow(net)
        self.used = self.tape
        self.grads = np.zeros_like(net.params)
        self.views = net.views(self.grads)
        self.x = np.empty((net.runs, batch, net.sizes[0]), net.params.dtype)
        self.diverged_at = np.full(net.runs, -1)

    @np.errstate(all="ignore")  # a run that diverges goes on as NaN; the others must not hear of it
    def take(self, step: int, index: npt.NDArray[np.int64], tape: Tape | None) -> None:
        """Fill `grads` (R, P) for the examples index (R, B), on this tape or the lean one; still scaled."""
        self.used = tape or self.tape
        np.take(self.data.x, index, axis=0, out=self.x, mode="clip")
        self.y = self.data.y[index]
        self.used.masks = self.dropout.masks(step)
        self.logits = self.used.forward(self.x)
        self.value, d_logits, exponent = evaluate(self.loss, self.logits, self.y)
        self.mark_diverged(self.value, step)
        self.used.gradients(d_logits, self.views, exponent)

    def mark_diverged(self, value: Measure, step: int) -> None:
        """Remember the first step at which a run's loss (R,) is not finite."""
        self.diverged_at[~np.isfinite(value) & (self.diverged_at < 0)] = step

    def true_scale(self, spare: Array) -> Array:
        """Return the gradients without their exponents: themselves if there are none, else in `spare`."""
        if not self.used.backwards.are_used:
            return self.grads
        if spare is not self.grads:
            np.copyto(spare, self.grads)
        self.used.backwards.unscale(spare)
        return spare

    def update(self, rule: UpdateRule, lr: Array, out: Array, *, watched: bool) -> _Update:
        """Return the update by this rule at rates lr (R, 1), its steps written to out."""
        faint, is_asked = None, watched or not rule.forgets
        if is_asked and (self.used.backwards.leave_faint_gradients or rule.faint):
            faint = self.used.backwards.faint_gradients(self.grads)
        grads = self.true_scale(out)
        if is_asked and (fading := self._fading(every=1 if rule.forgets else STRIDE)).any():
            faint = self._followed(fading, grads, faint)
        steps = rule.step(grads, lr, out)
        return _Update(steps, None if faint is None else rule.faint_step(faint, lr))

    def _fading(self, every: int) -> npt.NDArray[np.bool_]:
        """Return for each run whether a lean pass has lost digits of a signal that became tiny: (R,).

        Looked at are the outputs of every so many hidden layers, from the last one on.
        """
        found = np.zeros(self.net.runs, bool)
        if not self.used.exact and self.can_follow:
            for index in range(self.net.depth, 0, -every):
                found |= is_tiny(self.used.x[index])
        return found

    @np.errstate(all="ignore")
    def _followed(self, fading: npt.NDArray[np.bool_], grads: Array, faint: Array | None) -> Array:
        """Return the faint gradients (R, P), those of the fading runs by an exact pass over the same batch.

        grads are the true ones that reach the update: what is faint comes on top of them.
        """
        if self.exact_tape is None:
            self.exact_tape = Tape(self.net, self.batch, exact=True)
        tape = self.exact_tape
        tape.masks = self.used.masks
        _, d_logits, exponent = evaluate(self.loss, tape.forward(self.x), self.y)
        again = np.zeros_like(self.net.params)
        tape.gradients(d_logits, self.net.views(again), exponent)
        wide = tape.backwards.faint_gradients(again)
        faint = np.zeros(grads.shape) if faint is None else faint
        on_top = np.where(wide != 0, wide - grads, faint)
        return np.where(fading[:, None], on_top, faint)

    @np.errstate(all="ignore")
    def test(self, tape: Tape) -> tuple[Measure, Measure]:
        """Return loss and accuracy (R,) of the test set, normalised by the tape's last moments."""
        logits = tape.net.predict(self.data.x_test, tape.moments)
        value, _, _ = evaluate(self.loss, logits, self.data.y_test[None])
        return value, accuracy(logits, self.data.y_test[None])


class _ProbeSetObserver:
    """Traces on a fixed set of examples, by passes of their own over as many runs as the cache holds."""

    tape = None  # nothing is seen of the training batch's own pass

    def __init__(self, gradient: _Gradient, probe_set: int) -> None:
        self.gradient, self.net, self.spare = gradient, gradient.net, gradient.grads
        self.x, self.y = gradient.data.x[None, :probe_set], gradient.data.y[None, :probe_set]
        widest = self.x.shape[1] * max(self.net.sizes[1:]) * self.x.itemsize  # bytes
        count = max(1, BLOCK // widest)
        self.parts = [slice(r, min(r + count, self.net.runs)) for r in range(0, self.net.runs, count)]
        self.tapes = [Tape(self.net.part(runs), self.x.shape[1], exact=True) for runs in self.parts]
        for runs, tape in zip(self.parts, self.tapes, strict=True):
            tape.origin = Origin(gradient.start.part(runs), gradient.loss, self.y)

    def snapshot(self, step: int, lr: Measure, update: _Update, *, ends: bool) -> Snapshot:
        """Measure loss and accuracy now; the traces come as they are asked for."""
        measured = [self._measure(tape) for tape in self.tapes]
        numbers = [np.concatenate([m[i] for m, _, _ in measured]) for i in range(4)]
        self.gradient.mark_diverged(numbers[0], step)
        at = self.gradient.diverged_at.copy()
        layers = self._traces([each[1:] for each in measured], update)
        return Snapshot(step, numbers[0], numbers[1], numbers[2], numbers[3], lr, at, layers, self.net)

    @np.errstate(all="ignore")
    def _measure(self, tape: Tape) -> tuple[tuple[Measure, ...], Array, Exponents]:
        """Return loss and accuracy, those of the test set, and the loss's gradient with its exponents."""
        logits = tape.forward(self.x)
        right = accuracy(logits, self.y)
        value, d_logits, exponent = evaluate(self.gradient.loss, logits, self.y)
        return (value, right, *self.gradient.test(tape)), d_logits, exponent

    def _traces(self, on_top: Sequence[tuple[Array, Exponents]], update: _Update) -> Iterator[LayerTrace]:
        for runs, tape, (d_logits, exponent) in zip(self.parts, self.tapes, on_top, strict=True):
            grads = tape.net.views(np.zeros_like(tape.net.params))
            for index in tape.backward(d_logits, grads, exponent):
                yield _trace(tape, runs, index, grads, update)


class _BatchObserver:
    """Traces on the training batch itself, from the pass that the update comes from."""

    def __init__(self, gradient: _Gradient, probe_set: int) -> None:
        self.gradient, self.net = gradient, gradient.net
        self.tape = Tape(self.net, gradient.batch, exact=True, keep=True)
        self.spare = np.empty_like(gradient.grads)  # for the update, since the gradients are traced

    def snapshot(self, step: int, lr: Measure, update: _Update, *, ends: bool) -> Snapshot:
        """Return loss and accuracy of the batch; the test set's at both ends of the training only."""
        gradient = self.gradient
        never = np.full(self.net.runs, np.nan)
        test_loss, test_accuracy = gradient.test(self.tape) if ends else (never, never)
        right = accuracy(gradient.logits, gradient.y)
        at = gradient.diverged_at.copy()
        layers, value = self._traces(update), gradient.value
        self.tape.origin = Origin(gradient.start, gradient.loss, gradient.y)
        return Snapshot(step, value, right, test_loss, test_accuracy, lr, at, layers, self.net)

    def _traces(self, update: _Update) -> Iterator[LayerTrace]:
        for index in reversed(range(self.net.depth + 1)):
            yield _trace(self.tape, slice(None), index, self.gradient.views, update)


def _trace(tape: Tape, runs: slice, index: int, grads: tuple[Layer, ...], update: _Update) -> LayerTrace:
    """Return the trace of layer `index` (from 0) while the backward pass of these runs' tape stands there.

    update is that of the whole stack.
    """
    net, hidden, x = tape.net, index < tape.depth, tape.x[index]
    assert tape.origin is not None
    if len(x) != net.runs:
        x = np.broadcast_to(x, (net.runs, *x.shape[1:]))
    step, step_exponent = _scaled_step(net, index, update, runs)
    return LayerTrace(
        layer=index + 1,
        runs=runs,
        act=net.act_of(index) if hidden else IDENTITY,
        scaled_x=x,
        scaled_z=tape.saved[index].z if hidden else tape.z[index],
        scaled_a=tape.saved[index].a if hidden else tape.z[index],
        slope=tape.slope[index] if hidden else np.ones_like(tape.delta[index]),
        scaled_delta=tape.delta[index],
        scaled_dw=grads[index].w,
        scaled_db=grads[index].b,
        scaled_step=step,
        w=net.layers[index].w,
        b=net.layers[index].b,
        w0=tape.origin.start.layers[index].w,
        exponent=tape.exponent[index],
        x_exponent=tape.x_exponent[index],
        z_exponent=tape.z_exponent[index],
        step_exponent=step_exponent,
        arrivals=tape.arrivals[index],
        tape=tape,
    )


def _scaled_step(net: Network, index: int, update: _Update, runs: slice) -> tuple[Array, Exponents]:
    """Return the steps of layer `index`'s weights as true · 2^exponent, (R, n_in, n_out), and (R,)."""
    step = net.weights(update.steps, index)[runs]
    exponent = np.zeros(len(step), np.int64)
    if update.faint is None:
        return step, exponent
    faint = net.weights(update.faint, index)[runs]
    some = np.flatnonzero(faint.any(axis=(1, 2)))
    step = step.copy() if len(some) else step
    for r in some:
        whole = step[r].astype(np.float64) + faint[r]
        exponent[r] = -np.frexp(np.abs(whole).max())[1]
        step[r] = np.ldexp(whole, int(exponent[r]))
    return step, exponent
