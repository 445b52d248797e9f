"""The gradients that a training goes by: of R runs, each on a batch of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlp.activations import Array
from mlp.losses import Labels
from mlp.network import Network
from mlp.tape import Tape
from mlp.trace import Measure

Loss = Callable[[Array, Labels], tuple[Array, Array]]


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


class Worker:
    """The gradient of a training batch, in buffers of its own."""

    def __init__(self, net: Network, data: Data, loss: Loss, batch: int) -> None:
        self.net, self.data, self.loss, self.batch = net, data, loss, batch
        self.first = net.params.copy()
        self.start = net.views(self.first)
        self.tape = Tape(net, batch, lean=True)
        self.used = self.tape
        self.grads = np.zeros_like(net.params)
        self.views = net.views(self.grads)
        self.x = np.empty((net.runs, batch, net.sizes[0]), net.params.dtype)
        self.diverged_at = np.full(net.runs, -1)

    @np.errstate(all="ignore")  # a run that diverges goes on as NaN; the others must not hear of it
    def gradient(
        self,
        step: int,
        index: npt.NDArray[np.int64],
        tape: Tape | None = None,
        seen: Callable[[int], None] | None = None,
    ) -> Array:
        """(R, P), scaled by the exponents of the tape it was taken on, for the examples index (R, B).

        seen(layer's index) is called as soon as that layer's gradient is known.
        """
        self.used = tape or self.tape
        np.take(self.data.x, index, axis=0, out=self.x, mode="clip")
        self.y = self.data.y[index]
        self.logits = self.used.forward(self.x)
        self.value, d_logits = self.loss(self.logits, self.y)
        self.mark_diverged(self.value, step)
        self.used.gradients(d_logits, self.views, seen)
        return self.grads

    def mark_diverged(self, value: Measure, step: int) -> None:
        """Remember the first step at which a run's loss (R,) is not finite."""
        self.diverged_at[~np.isfinite(value) & (self.diverged_at < 0)] = step

    def true_scale(self, spare: Array) -> Array:
        """The gradients without their exponents: themselves if there are none, else in `spare`."""
        if not self.used.exponent.any():
            return self.grads
        if spare is not self.grads:
            np.copyto(spare, self.grads)
        self.used.unscale(spare)
        return spare
