"""What the lab trains: networks at the same step that go on, go back and are disturbed.

The engine is `mlp.train` itself, by plain SGD, whose updates have no memory: the parameters alone say how it
goes on. So a step back is exact, and a session gives the numbers of a run of `run.py` bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments import datasets
from experiments.config import Run
from experiments.sweeps.blas import blas
from mlp.network import create
from mlp.probes import PROBES
from mlp.registry import call_text
from mlp.train import Data, Snapshot, train

Array = npt.NDArray[Any]

PROBE_SET = 256  # training examples that are measured: as many as leave time for 20 updates a second
LAST = 100_000  # steps, after which a session stands still
KEPT, KEPT_BYTES = 400, 2**27  # moments that can be gone back to, and the bytes of their parameters
RECENT = 20  # the last of them are all kept; earlier ones are thinned
GRID = 32  # points along each side of the plane on which a boundary is drawn


@dataclass(frozen=True)
class Frame:
    """One network, measured after `step` updates on the examples of the probe set.

    loss in nats; accuracy and test_accuracy in [0, 1]. delta: log10 ‖delta‖ by layer, (depth + 1,), −inf for
    an exact zero. dead: share of dead units by hidden layer, (depth,). plane: the second class's probability,
    (GRID, GRID) with rows along the second feature; None unless there are two features and two classes.
    """

    step: int
    loss: float
    accuracy: float
    test_accuracy: float
    delta: Array
    dead: Array
    plane: Array | None


@dataclass(frozen=True)
class Moment:
    """A network as it was: its measures, parameters (1, P), activation, and what had been done to it."""

    frame: Frame
    params: Array
    activation: str
    events: tuple[tuple[int, str], ...] = ()  # step and words


class Trainee:
    """One network in training. `now` is its last moment."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.data = datasets.load(run.dataset)
        self.examples = min(PROBE_SET, len(self.data.x))
        self.plane = datasets.corners(self.data) if self.data.classes == 2 else None  # of one boundary
        sizes = (self.data.x.shape[1], *[run.width] * run.depth, self.data.classes)
        self._net = create(
            sizes, run.activation, seeds=[run.seed], init=[run.init], bias=[run.bias], norm=run.norm,
            residual=run.residual,
        )  # fmt: skip
        self._probes = [PROBES.bind(name) for name in ("delta_log10", "dead_fraction")]
        self._activation, self._events = run.activation, ()
        self._snapshots: Iterator[Snapshot] = self._training(0, 1)
        self._stride = 1
        self.now = self._measured(next(self._snapshots))

    def advance(self, steps: int) -> bool:
        """Go on by so many updates and measure; return False where the last step is reached."""
        if steps != self._stride:
            self._begin(steps)
        found = next(self._snapshots, None)
        if found is not None:
            self.now = self._measured(found)
        return found is not None

    def oversized(self, factor: float) -> bool:
        """Make the next update with `factor` times the learning rate."""
        step = self.now.frame.step
        self._events += ((step, f"one step of {factor:g} × the learning rate"),)
        self._begin(1, call_text("shock", {"at": step, "factor": factor}))
        return self.advance(1)

    def switch(self, activation: str) -> None:
        """Give all hidden units another activation from here on; their weights stay."""
        step = self.now.frame.step
        self._events += ((step, f"{activation} from here on"),)
        self._activate(activation)
        self._snapshots, self._stride = self._training(step, 1), 1
        self.now = self._measured(next(self._snapshots))

    def restore(self, moment: Moment) -> None:
        """Be again what it was at an earlier moment."""
        self.now, self._events = moment, moment.events
        self._activate(moment.activation)
        self._net.params[:] = moment.params
        self._stride = 0  # whatever comes next begins anew from here

    def _activate(self, text: str) -> None:
        if text != self._activation:
            self._net = self._net.with_activation(text)
            self._activation = text

    def _begin(self, stride: int, schedule: str = "constant") -> None:
        """Let the training begin anew from the present step, whose measures are known."""
        self._snapshots, self._stride = self._training(self.now.frame.step, stride, schedule), stride
        next(self._snapshots)

    def _training(self, start: int, stride: int, schedule: str = "constant") -> Iterator[Snapshot]:
        run, data = self.run, self.data
        return train(
            self._net, Data(data.x, data.y, data.x_test, data.y_test), seeds=[run.seed], lr=[run.lr],
            steps=LAST, batch=min(run.batch, len(data.x)), watch=range(start, LAST + 1, stride),
            loss=run.loss, schedule=schedule, probe_set=PROBE_SET, start=start,
        )  # fmt: skip

    def _measured(self, snap: Snapshot) -> Moment:
        """Return the moment that a snapshot shows."""
        layers = []
        for trace in snap.layers:
            with np.errstate(all="ignore"):  # a network that diverged goes on as NaN
                layers.append([probe(trace)[0] for probe in self._probes])
            moments = trace.tape.moments if trace.tape else ()
        delta, dead = np.array(layers[::-1]).T
        plane = self._on_plane(moments) if self.plane else None
        numbers = [float(value[0]) for value in (snap.loss, snap.accuracy, snap.test_accuracy)]
        frame = Frame(snap.step, *numbers, delta, dead[:-1], plane)
        return Moment(frame, self._net.params.copy(), self._activation, self._events)

    def _on_plane(self, moments: Sequence[tuple[Array, Array]]) -> Array:
        """The probability of the second class at every point of the grid."""
        from scipy.special import expit

        logits = self._net.predict(datasets.plane(self.data, GRID), moments)[0]
        return expit(logits[:, 1] - logits[:, 0]).reshape(GRID, GRID)


class Session:
    """Networks side by side, from step 0 on. `history` holds the moments that can be gone back to."""

    def __init__(self, runs: Sequence[Run]) -> None:
        with blas().limit(limits=1, user_api="blas"):
            self.trainees = [Trainee(run) for run in runs]
        self.history = [self.now]

    @property
    def now(self) -> tuple[Moment, ...]:
        """The present moment of each network."""
        return tuple(trainee.now for trainee in self.trainees)

    def advance(self, steps: int = 1) -> bool:
        """Train all by so many updates; return False where they have reached the last step."""
        with blas().limit(limits=1, user_api="blas"):
            went = [trainee.advance(steps) for trainee in self.trainees]
        return all(went) and self._remember()

    def oversized(self, factor: float) -> bool:
        """Make the next update of every network with `factor` times its learning rate."""
        with blas().limit(limits=1, user_api="blas"):
            went = [trainee.oversized(factor) for trainee in self.trainees]
        return all(went) and self._remember()

    def switch(self, which: int, activation: str) -> None:
        """Give one network, counted from 0, another activation from here on."""
        with blas().limit(limits=1, user_api="blas"):
            self.trainees[which].switch(activation)
        self._remember()

    def back(self) -> bool:
        """Undo what was done last; return False where nothing was."""
        if len(self.history) < 2:
            return False
        self.history.pop()
        for trainee, moment in zip(self.trainees, self.history[-1], strict=True):
            trainee.restore(moment)
        return True

    def _remember(self) -> bool:
        self.history.append(self.now)
        size = sum(moment.params.nbytes for moment in self.history[-1])
        if len(self.history) > max(2 * RECENT, min(KEPT, KEPT_BYTES // size)):
            first, *earlier = self.history[:-RECENT]
            self.history = [first, *earlier[1::2], *self.history[-RECENT:]]
        return True
