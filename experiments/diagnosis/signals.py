"""What is known of one run, gathered for the rules: records as arrays, data, the first forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments import datasets
from experiments.analysis.score import ACCURACY, R2
from experiments.config import ConfigError, Run
from experiments.storage.recorded import RECORDED
from experiments.storage.records import run_of
from experiments.theory.of_records import inputs_of
from mlp.activations import Array
from mlp.losses import LOSSES
from mlp.network import Network, create
from mlp.probes.jacobian import forward

if TYPE_CHECKING:
    from experiments.storage.records import Records

EXAMPLES = 256  # of the training set, on which the first forward pass is looked at
NEEDED = (
    "delta_log10", "dw_norm", "db_norm", "w_norm", "z_rms", "a_rms", "a_mean", "dead_fraction",
    "saturated_fraction", "update_ratio", "displacement",
)  # fmt: skip


@dataclass(frozen=True)
class DataFacts:
    """What a training set says before anything is learnt.

    prior_loss is the loss of always answering with the classes' shares, majority the accuracy of always
    naming the commonest class. Where a number is learnt these are the loss and the R² of always predicting
    its mean, and R² stands for every accuracy; score is its name. rms, mean, sd and
    largest (in size) are those of all inputs, alike is the mean cosine between two examples as they enter
    the network.
    """

    classes: int
    examples: int
    majority: float
    prior_loss: float
    rms: float
    mean: float
    sd: float
    largest: float
    alike: float
    score: str = ACCURACY.name


@dataclass(frozen=True)
class Start:
    """The network before its first update; every array is (depth,), one number per hidden layer.

    spread is the share of a layer's mean square that differs between examples (0: all look alike), twins the
    share of its units that have the same incoming weights as another.
    """

    spread: Array
    twins: Array


@dataclass(frozen=True)
class Signals:
    """One run for the rules. steps, loss, accuracy and the like are (T,), layer columns (T, depth + 1)."""

    run: Run
    run_id: str
    steps: npt.NDArray[np.int64]
    loss: Array
    accuracy: Array
    test_accuracy: Array
    lr: Array
    layers: Mapping[str, Array]
    diverged_at: int | None
    data: DataFacts
    start: Start

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return self.run.depth

    def hidden(self, column: str) -> Array:
        """A column of the hidden layers: (T, depth)."""
        return self.layers[column][:, : self.depth]

    def output(self, column: str) -> Array:
        """A column of the output layer: (T,)."""
        return self.layers[column][:, self.depth]

    @property
    def final_accuracy(self) -> float:
        """Training accuracy at the last watched step; a run that diverged has learnt nothing."""
        return float("nan") if self.diverged_at is not None else float(self.accuracy[-1])

    @property
    def learnt(self) -> float:
        """The share of the prior's loss that training removed: 0 as at chance, 1 all of it, −1 at worst.

        A run that diverged removed nothing: −1.
        """
        if self.diverged_at is not None or not np.isfinite(self.loss[-1]):
            return -1.0
        return max(-1.0, 1 - float(self.loss[-1]) / self.data.prior_loss)

    @cached_property
    def gradient_norm(self) -> Array:
        """Norm of the whole gradient on the probe set at each watched step, before clipping: (T,)."""
        squares = self.layers["dw_norm"] ** 2 + self.layers["db_norm"] ** 2
        return np.sqrt(squares.sum(axis=1))

    @cached_property
    def moved(self) -> Array:
        """How far each layer could have come at most, relative to its size: (depth + 1,).

        The sum over all updates of ‖step‖/‖w‖, by the trapezoid rule over the watched steps.
        """
        ratios = np.nan_to_num(self.layers["update_ratio"])
        if len(self.steps) < 2:
            return np.zeros(ratios.shape[1])
        width = np.diff(self.steps)[:, None]
        return ((ratios[1:] + ratios[:-1]) / 2 * width).sum(axis=0)


def signals(records: Records, lesion: Callable[[Network], None] | None = None) -> list[Signals]:
    """Return the signals of every run that has rows; `lesion` is what the runs were trained with.

    Errors: ConfigError where runs or probes are missing.
    """
    if not len(records.runs):
        raise ConfigError(["a diagnosis is of networks, and this experiment has none: it asks for checks"])
    missing = [name for name in NEEDED if name not in records.layers]
    if missing:
        raise ConfigError(
            [f"a diagnosis needs the probes {', '.join(missing)}; leave `probes:` out or add them"]
        )
    steps = dict(list(records.steps.groupby("run_id", sort=False)))
    layers = dict(list(records.layers.groupby("run_id", sort=False)))
    recorded = records.runs.attrs.get(RECORDED, {})
    return [
        _of_run(row, steps[row["run_id"]], layers[row["run_id"]], lesion, recorded.get(row["run_id"]))
        for row in records.runs.to_dict("records")
        if row["run_id"] in layers
    ]


def _of_run(
    row: Mapping[str, Any], steps: Any, layers: Any, lesion: Callable[[Network], None] | None,
    recorded: Mapping[str, Any] | None,
) -> Signals:  # fmt: skip
    """Return the signals of a run; recorded: what is known of a network of another program."""
    run = run_of(row)
    rows = layers.sort_values(["step", "layer"])
    shape = (-1, run.depth + 1)
    by_step = steps.sort_values("step")
    score = R2 if R2.train in steps and steps[R2.train].notna().any() else ACCURACY
    if recorded is not None and row["status"] == "ok" and np.isnan(by_step["accuracy"].iloc[-1]):
        raise ConfigError(["a diagnosis needs the accuracy: give record(…, accuracy=…) or labels=…"])
    diverged = row["diverged_at"]
    return Signals(
        run=run,
        run_id=row["run_id"],
        steps=by_step["step"].to_numpy(),
        loss=by_step["loss"].to_numpy(),
        accuracy=by_step[score.train].to_numpy(),
        test_accuracy=by_step[score.test].to_numpy(),
        lr=by_step["lr"].to_numpy(),
        layers={name: rows[name].to_numpy(float).reshape(shape) for name in rows.columns[3:]},
        diverged_at=None if row["status"] != "diverged" else int(diverged),
        data=data_facts(run.dataset, run.loss) if recorded is None else _recorded_data(run, recorded),
        start=_start(run, lesion) if recorded is None else _recorded_start(recorded),
    )


def _recorded_data(run: Run, recorded: Mapping[str, Any]) -> DataFacts:
    """Return what was noted of a recorded network's data; errors: ConfigError where too little was stated."""
    unstated = [name for name in ("activation", "loss", "lr") if getattr(run, name) in (RECORDED, None)]
    if unstated:
        raise ConfigError(
            [f"a diagnosis needs to know the {' and the '.join(unstated)}: state it to Recorder"]
        )
    if run.dataset != RECORDED:
        return data_facts(run.dataset, run.loss)
    noted = {name: np.nan if value is None else value for name, value in recorded["data"].items()}
    shares = np.array(noted.pop("shares"))
    return DataFacts(majority=float(shares.max()), prior_loss=_prior_loss(shares, run.loss), **noted)


def _recorded_start(recorded: Mapping[str, Any]) -> Start:
    return Start(**{name: np.array(values, np.float64) for name, values in recorded["start"].items()})


@lru_cache(maxsize=16)
def data_facts(dataset: str, loss: str) -> DataFacts:
    """Return the facts of a data set under a loss (call-texts); errors: DataError."""
    data = datasets.load(dataset)
    x = data.x
    if data.is_regression:
        answers = {"majority": 0.0, "prior_loss": float(data.y.var()), "score": R2.name}
    else:
        shares = np.bincount(data.y, minlength=data.classes) / len(data.y)
        answers = {"majority": float(shares.max()), "prior_loss": _prior_loss(shares, loss)}
    return DataFacts(
        **answers,
        classes=data.classes,
        examples=len(x),
        rms=float(np.sqrt(np.mean(x**2))),
        mean=float(x.mean()),
        sd=float(x.std()),
        largest=float(np.abs(x).max()),
        alike=alike(inputs_of(dataset).gram),
    )


def _prior_loss(shares: Array, loss: str) -> float:
    """The mean loss of the best constant answer: logits that say the shares, in the way this loss reads them.

    A softmax reads logarithms of shares, a sigmoid log odds, a squared error the shares themselves.
    """
    kept = np.clip(shares, 1e-12, 1 - 1e-12)
    answers = [np.log(kept), np.log(kept / (1 - kept)), shares]
    labels = np.arange(len(shares))[:, None]
    each = [LOSSES.bind(loss)(np.repeat(a[None, None], len(shares), axis=0), labels)[0] for a in answers]
    return float(min(np.dot(shares, values) for values in each))


def alike(gram: Array) -> float:
    """Return the mean cosine between two different examples, from their inner products (M, M)."""
    size = np.sqrt(np.diag(gram))
    cosines = gram / np.maximum(np.outer(size, size), np.finfo(float).tiny)
    return float(cosines[~np.eye(len(size), dtype=bool)].mean())


@np.errstate(all="ignore")
def _start(run: Run, lesion: Callable[[Network], None] | None) -> Start:
    """Draw the run's network again, as it was before the first update, and look at its first examples."""
    data = datasets.load(run.dataset)
    sizes = (data.x.shape[1], *[run.width] * run.depth, data.classes)
    net = create(
        sizes, run.activation, seeds=[run.seed], init=[run.init], bias=[run.bias], dtype=run.dtype,
        norm=run.norm, residual=run.residual,
    )  # fmt: skip
    if lesion is not None:
        lesion(net)
    tape = forward(net, data.x[:EXAMPLES].astype(net.params.dtype))
    outputs = [saved.a[0].astype(np.float64) for saved in tape.saved]
    return Start(
        spread=np.array([spread(a) for a in outputs]),
        twins=np.array([twins(layer.w[0]) for layer in net.layers[: run.depth]]),
    )


def spread(a: Array) -> float:
    """Return the share of the mean square of a (B, n) that differs between examples."""
    size = np.abs(a).max()
    if not size > 0:
        return 0.0
    scaled = a / size
    return float(scaled.var(axis=0).mean() / np.mean(scaled**2))


def twins(w: Array) -> float:
    """Return the share of columns of w (n_in, n) that another column equals, to rounding."""
    size = np.abs(w).max()
    if not size > 0:
        return 1.0
    rounded = np.round(w / size, 6).T
    _, inverse, counts = np.unique(rounded, axis=0, return_inverse=True, return_counts=True)
    return float((counts[inverse.ravel()] > 1).mean())
