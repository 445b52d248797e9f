"""What is seen of a training at a step: snapshots with the traces of every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from mlp.activations import ACTIVATIONS, Activation, Array
from mlp.losses import accuracy
from mlp.network import Layer, Network
from mlp.tape import Tape
from mlp.trace import LayerTrace, Measure, Rows
from mlp.update import Update
from mlp.worker import Worker

IDENTITY = ACTIVATIONS["identity"]()  # what the output layer's trace has for an activation


@dataclass(frozen=True)
class Snapshot:
    """R runs after `step` updates; every array is (R,).

    loss and accuracy are those of the probe set (with trace="batch" of the training batch), the test ones
    those of the whole test set (with trace="batch" NaN but at the first and last step); lr is the rate of
    the update that follows. diverged_at is the first step with a loss that is not finite, −1 for none so
    far. `layers` yields traces, once: for some runs at a time (`trace.runs`, a slice of the stack) one a
    layer, from the output layer to the first. `rows` yields, once and instead, traces of which one may be of
    several layers (`trace.Rows`): the same numbers sooner, by measures of a layer by itself.
    """

    step: int
    loss: Measure
    accuracy: Measure
    test_loss: Measure
    test_accuracy: Measure
    lr: Measure
    diverged_at: npt.NDArray[np.int64]
    layers: Iterator[LayerTrace]
    rows: Iterator[LayerTrace]
    network: Network


BLOCK = 2**20  # bytes of one array that a probe walks over at once: what stays in a core's own cache


class ProbeSetObserver:
    """Traces on a fixed set of examples, by passes of their own over as many runs as the cache holds."""

    watches = ()  # nothing of the training batch's own pass

    def __init__(self, worker: Worker, probe_set: int) -> None:
        self.worker, self.net = worker, worker.net
        self.x, self.y = worker.data.x[None, :probe_set], worker.data.y[None, :probe_set]
        widest = self.x.shape[1] * max(self.net.sizes[1:]) * self.x.itemsize  # bytes
        count = max(1, BLOCK // widest)
        self.parts = [slice(r, min(r + count, self.net.runs)) for r in range(0, self.net.runs, count)]
        self.tapes = [Tape(self.net.part(runs), self.x.shape[1], lean=False) for runs in self.parts]

    def snapshot(self, step: int, lr: Measure, update: Update, *, ends: bool) -> Snapshot:
        """Measure loss and accuracy now; the traces come as they are asked for."""
        measured = [self._measure(tape) for tape in self.tapes]
        numbers = [np.concatenate([m[i] for m in measured]) for i in range(4)]
        value, right, test_loss, test_accuracy = numbers
        self.worker.mark_diverged(value, step)
        layers = self._traces([m[4] for m in measured], update)
        at = self.worker.diverged_at.copy()
        return Snapshot(step, value, right, test_loss, test_accuracy, lr, at, layers, layers, self.net)

    @np.errstate(all="ignore")
    def _measure(self, tape: Tape) -> tuple[Measure, Measure, Measure, Measure, Array]:
        logits = tape.forward(self.x)
        right = accuracy(logits, self.y)
        value, d_logits = self.worker.loss(logits, self.y)
        return value, right, *_test(self.worker, tape), d_logits

    def _traces(self, d_logits: Sequence[Array], update: Update) -> Iterator[LayerTrace]:
        steps = partial(update.steps, self.worker.grads)  # over the gradients: it is others that are traced
        for runs, tape, d in zip(self.parts, self.tapes, d_logits, strict=True):
            grads = tape.net.views(np.zeros_like(tape.net.params))
            for index in tape.backward(d, grads):
                yield _trace(tape, runs, index, grads, self.worker, steps)


# What a trace calls an array, what the tape's block of it is called, and how many layers below it lies there:
# an input is the output of the layer below.
_PIECES = (("x", "a", 1), ("a", "a", 0), ("scaled_delta", "g", 0))


class BatchObserver:
    """Traces on the training batch itself, from the pass that the update comes from."""

    def __init__(self, worker: Worker, probe_set: int) -> None:
        self.worker, self.net = worker, worker.net
        self.tape = Tape(self.net, worker.batch, lean=True, keep=True)
        self.watches = (self.tape, self._seen)
        self.spare = np.empty_like(worker.grads)  # for the update, since it is the gradients that are traced
        self.update: Update
        self.single: list[LayerTrace] = []
        self.rows: list[LayerTrace] = []
        self.fresh: list[LayerTrace] = []  # as the backward pass has them; none if arrays move about

    def snapshot(self, step: int, lr: Measure, update: Update, *, ends: bool) -> Snapshot:
        """Loss and accuracy of the batch; the test set's at both ends of the training only."""
        worker, self.update = self.worker, update
        never = np.full(self.net.runs, np.nan)
        test_loss, test_accuracy = _test(worker, self.tape) if ends else (never, never)
        if not self.single or self.tape.in_place is None:  # else all arrays are where they were
            self._trace()
        right = accuracy(worker.logits, worker.y)
        at = worker.diverged_at.copy()
        layers, rows = ((t.renewed() for t in traces) for traces in (self.single, self.rows))
        return Snapshot(step, worker.value, right, test_loss, test_accuracy, lr, at, layers, rows, self.net)

    def _seen(self, index: int) -> None:
        """Take what is wanted of a layer that the backward pass has just been at."""
        if self.fresh and self.fresh[index].wanted:
            self.fresh[index].take()

    def _steps(self) -> Array:
        return self.update.steps(self.spare)

    def _trace(self) -> None:
        """A trace for each layer; and those in which hidden layers from the second on go together."""
        worker, net = self.worker, self.net
        traces = [
            _trace(self.tape, slice(None), index, worker.views, worker, self._steps)
            for index in range(len(net.layers))
        ]
        self.single = self.rows = traces[::-1]
        if net.depth > 1 and self._lies_in_one_piece():
            self.rows = [traces[-1], *self._in_rows(traces), traces[0]]
        if self.tape.in_place is not None:
            at_hand = zip(traces[:-1], self.tape.slope, strict=True)
            self.fresh = [*(trace.renewed(passed=slope) for trace, slope in at_hand), traces[-1]]

    def _lies_in_one_piece(self) -> bool:
        net = self.net
        plain = self.tape.in_place is not None and net.norm is None and not net.residual
        return plain and len(set(net.sizes[1:-1])) == 1

    def _in_rows(self, traces: Sequence[LayerTrace]) -> Iterator[Rows]:
        """The hidden layers from the second on, as many at a time as the cache holds."""
        tape, depth = self.tape, self.net.depth
        count = max(1, BLOCK // tape.blocks["a"][0].nbytes)
        slopes = np.empty_like(tape.blocks["a"][1 : 1 + count])
        for first in range(1, depth, count):
            end = min(first + count, depth)
            together = {"exponent": tape.exponent[first:end].reshape(-1)}
            for name, purpose, below in _PIECES:
                block = tape.blocks[purpose][first - below : end - below]
                together[name] = block.reshape(-1, *block.shape[2:])
            slope = partial(_slope, self.net.act, together["a"], slopes[: end - first])
            yield Rows(traces[first:end], together, self._parameters(first, end), {"passed": slope})

    def _parameters(self, first: int, end: int) -> dict[str, Callable[[], Array]]:
        """What the layers' traces have of parameters, in one piece each: (R, layers, …)."""
        net, worker = self.net, self.worker
        alike = partial(net.alike, first=first, end=end)
        return {
            "w": lambda: alike(net.params)[0], "b": lambda: alike(net.params)[1],
            "scaled_dw": lambda: alike(worker.grads)[0], "scaled_db": lambda: alike(worker.grads)[1],
            "w0": lambda: alike(worker.first)[0], "step": lambda: alike(self._steps())[0],
        }  # fmt: skip


def _slope(act: Activation, a: Array, out: Array) -> Array:
    """The slopes at the outputs a, as training has them."""
    assert act.in_place is not None
    act.in_place.slope(a, out.reshape(a.shape))
    return out.reshape(a.shape)


def _test(worker: Worker, tape: Tape) -> tuple[Measure, Measure]:
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
    worker: Worker,
    steps: Callable[[], Array],
) -> LayerTrace:
    """The trace of layer `index` (from 0) while the backward pass of these runs' tape stands at it."""
    net, delta = tape.net, tape.delta[index]
    x = tape.x[index]
    if len(x) != net.runs:
        x = np.broadcast_to(x, (net.runs, *x.shape[1:]))
    hidden = index < net.depth
    late: dict[str, Callable[[], Array]] = {"step": lambda: worker.net.weights(steps(), index)[runs]}
    if hidden and not tape.keeps_z:
        late["z"] = partial(tape.pre_activation, index)
    if hidden and tape.in_place is not None:
        late["passed"] = partial(tape.passed, index)
    return LayerTrace(  # of an array that is made late what stands here is not read
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
        w0=worker.start[index].w[runs],
        step=grads[index].w,
        form=tape.in_place if hidden else IDENTITY.in_place,
        tape=tape,
        late=late,
    )
